"""Lists of photos and videos: texts with a path a line, and CSV files with a column `path`."""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mien.data.csv_files import header, require, stream
from mien.data.sources.folder import SPLITS
from mien.errors import MienError
from mien.faces.places import fault, require_regular

LISTS = (".txt", ".csv")
"""How the names of lists end, in lower case."""

LONGEST = 1 << 16
"""The most bytes of a line."""


@dataclass(frozen=True)
class Line:
    """A path as it is written; label, split and subject are None where the list does not have them."""

    path: str
    label: str | None = None
    split: str | None = None
    """train, validation, test or ""."""
    subject: str | None = None


def check_list(path: Path) -> None:
    """Raises MienError for a list that cannot be read, has no column `path`, or names a split that is none."""
    try:
        require_regular(path)
        if path.suffix.lower() == ".csv" and "split" in require(path, ["path"]):
            with suppress(MienError):  # a broken row is said when its turn comes
                deque(_rows(path), 0)
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        raise _unread(path, fault(error)) from error


def lines(path: Path) -> Iterator[Line]:
    """The paths of a list in order, with label, split and subject where the list has such columns.

    Empty lines are passed over; bytes that are no UTF-8 stay what they are. Raises MienError where the list breaks.
    """
    try:
        yield from _rows(path) if path.suffix.lower() == ".csv" else _texts(path)
    except (OSError, ValueError) as error:
        raise _unread(path, fault(error)) from error


def _texts(path: Path) -> Iterator[Line]:
    with path.open("rb") as file:
        for count, line in enumerate(iter(lambda: file.readline(LONGEST), b""), 1):
            if len(line) == LONGEST:
                raise _unread(path, f"line {count} of {LONGEST:,} bytes or more")
            text = os.fsdecode(line.removeprefix(b"\xef\xbb\xbf") if count == 1 else line).rstrip("\r\n")
            if text:
                yield Line(text)


def _rows(path: Path) -> Iterator[Line]:
    there, before = header(path), 1
    for block in stream(path, ["path", *(name for name in ("label", "split", "subject") if name in there)]):
        for number, row in enumerate(block.to_pylist(), before + 1):
            line = Line(**{name: value or "" for name, value in row.items()})
            if line.path:
                yield line if line.split is None else replace(line, split=_split(line, number))
        before += len(block)


def _split(line: Line, number: int) -> str:
    """Raises ValueError for one that is none."""
    text = (line.split or "").strip()
    if text and text.lower() not in SPLITS:
        known = ", ".join(dict.fromkeys(SPLITS.values()))
        raise ValueError(f"the split {text!r} in row {number} ({line.path!r}), none of {known}")
    return SPLITS[text.lower()] if text else ""


def _unread(path: Path, found: str) -> MienError:
    return MienError(f"a list of paths in {path}", found, "check that this is the right file")
