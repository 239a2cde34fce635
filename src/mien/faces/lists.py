"""Lists of photos and videos: texts with a path a line, and tables with a column `path`."""

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mien.data.csv_files import encoding_of, header, require, stream
from mien.data.images import by_slashes
from mien.data.sources.folder import SPLITS
from mien.errors import MienError
from mien.faces.places import require_regular
from mien.files.faults import fault

LISTS = (".txt", ".csv", ".tsv")
"""How the names of lists end, in lower case."""

SAID = ("label", "split", "subject")
"""What a csv may say of a path, each in its column."""

LONGEST = 1 << 16
"""The most bytes of a line."""

FILES = 3_000_000
"""The most files of a list: each is remembered."""


@dataclass(frozen=True)
class Line:
    """A path as it is written; label, split and subject are None where the list does not have them."""

    path: str
    label: str | None = None
    split: str | None = None
    """train, validation, test or ""."""
    subject: str | None = None
    row: int = 0
    """From 1; that of column names is the first."""
    before: int = 0
    """The row in which the same file was first; 0 where it is new."""


def check_list(path: Path) -> None:
    """Raises MienError for a list that cannot be read, has no column `path`, names a split that is none, or one file twice with
    different labels, splits or subjects."""
    try:
        require_regular(path)
        if _is_table(path) and {*SAID} & {*require(path, ["path"])}:
            with suppress(MienError):  # a broken row is said when its turn comes
                deque(_noted(path, _rows(path)), 0)
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        raise _unread(path, fault(error)) from error


def lines(path: Path) -> Iterator[Line]:
    """The paths of a list in order, with label, split and subject where the list has such columns.

    Empty lines are passed over, and so is the list itself; bytes that are no UTF-8 stay what they are. Raises MienError where
    the list breaks.
    """
    try:
        yield from _noted(path, _rows(path) if _is_table(path) else _texts(path))
    except (OSError, ValueError) as error:
        raise _unread(path, fault(error)) from error


def _noted(path: Path, found: Iterable[Line]) -> Iterator[Line]:
    """The lines, with a note where a file was before. Raises ValueError where something else was said of it then."""
    own, seen, known = os.path.normpath(path), dict[bytes, _Seen](), dict[tuple[str | None, ...], tuple[str | None, ...]]()
    for line in found:
        file = os.path.normpath(os.path.join(path.parent, line.path))
        said = (line.label, line.split, line.subject)
        if len(seen) >= FILES:
            raise ValueError(f"more than {FILES:,} files in a list; make several of it")
        first = seen.setdefault(short_hash(file), _Seen(line.row, known.setdefault(said, said)))
        for name, here, there in zip(SAID, said, first.said, strict=True):
            if here != there:
                raise ValueError(f"{line.path!r} with the {name} {there!r} in row {first.row} and {here!r} in row {line.row}")
        if file != own:
            yield line if first.row == line.row else replace(line, before=first.row)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file of a list: its first row, and label, split and subject there."""

    row: int
    said: tuple[str | None, ...]


def short_hash(name: str) -> bytes:
    """16 bytes; two of different names are never the same."""
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _is_table(path: Path) -> bool:
    """By its name; a text is one whose first line names columns, as Excel writes it with tabs."""
    if path.suffix.lower() != ".txt":
        return True
    with suppress(MienError):
        names = header(path)
        return len(names) > 1 and "path" in names
    return False


def _texts(path: Path) -> Iterator[Line]:
    coding = encoding_of(path)
    # Names of files need not be texts.
    errors = "surrogateescape" if coding == "utf-8-sig" else "replace"
    with path.open(encoding=coding, errors=errors, newline="\n") as file:
        for count, line in enumerate(iter(lambda: file.readline(LONGEST), ""), 1):
            if len(line) == LONGEST:
                raise _unread(path, f"line {count} of {LONGEST:,} bytes or more")
            if text := line.rstrip("\r\n"):
                yield Line(by_slashes(path.parent, text), row=count)


def _rows(path: Path) -> Iterator[Line]:
    there, before = header(path), 1
    for block in stream(path, ["path", *(name for name in SAID if name in there)]):
        for number, row in enumerate(block.to_pylist(), before + 1):
            said = {name: value or "" for name, value in row.items()}
            line = Line(by_slashes(path.parent, said["path"]), said.get("label"), said.get("split"), said.get("subject"), number)
            if line.path:
                yield line if line.split is None else replace(line, split=_split(line))
        before += len(block)


def _split(line: Line) -> str:
    """Raises ValueError for one that is none."""
    text = (line.split or "").strip()
    if text and text.lower() not in SPLITS:
        known = ", ".join(dict.fromkeys(SPLITS.values()))
        raise ValueError(f"the split {text!r} in row {line.row} ({line.path!r}), none of {known}")
    return SPLITS[text.lower()] if text else ""


def _unread(path: Path, found: str) -> MienError:
    return MienError(f"a list of paths in {path}", found, "mend it, or give the right file")
