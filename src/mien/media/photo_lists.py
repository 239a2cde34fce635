"""Lists of photos and videos: texts with a path a line, and tables (CSV, TSV, Parquet) with a column `path`."""

import hashlib
import os
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mien.class_words import FOLDERS, known_split, label_or_none, text_or_none
from mien.errors import MienError
from mien.media.face_pictures import by_slashes
from mien.media.rejections import reason_of
from mien.media.source_files import reject_special_file
from mien.tabular.csv_header import csv_columns, encoding_of, require_columns

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET = ".parquet"

LISTS = (".txt", ".csv", ".tsv", PARQUET)
"""How the names of lists end, in lower case."""

SAID = ("label", "split", "subject")
"""The columns besides `path` that always count."""

LONGEST = 1 << 16
"""The most bytes of a line."""

FILES = 3_000_000
"""The most files of a list: each is remembered."""


ROWS = 4096
"""Rows read at a time."""

MEND = "mend it, or give the right file"


@dataclass(frozen=True)
class ListEntry:
    """A line of a list: a path as written; label, split and subject are None where the list has no such column."""

    path: str
    label: str | None = None
    split: str | None = None
    """train, validation, test or ""."""
    subject: str | None = None
    row: int = 0
    """The number of the row, from 1; the row of column names counts."""
    before: int = 0
    """The row in which the same file came first; 0 where it is new."""
    more: tuple[tuple[str, str], ...] = ()
    """Other columns that are taken along, with their values."""


def check_list(path: Path, mapped: Collection[str] = ()) -> None:
    """Raises MienError for a list that cannot be read, has no column `path`, names an unknown split, or contradicts itself.

    A list contradicts itself where a file comes twice with different labels, splits or subjects.
    """
    try:
        reject_special_file(path)
        if is_table(path) and {*SAID} & {*list_columns(path)}:
            with suppress(MienError):  # a broken row is said when its turn comes
                deque(_noted(path, _rows(path, mapped)), 0)
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        raise _unread(path, reason_of(error)) from error


def read_list(path: Path, mapped: Collection[str] = (), keep: Sequence[str] = ()) -> Iterator[ListEntry]:
    """The lines of a list in order. Words such as nan and NA become "", unless a label is among those `mapped`.

    Empty lines and the list itself are passed over; bytes that are not UTF-8 stay. Raises MienError where the list cannot be
    read on.
    """
    try:
        yield from _noted(path, _rows(path, mapped, keep) if is_table(path) else _texts(path))
    except (OSError, ValueError) as error:
        raise _unread(path, reason_of(error)) from error


def _noted(path: Path, found: Iterable[ListEntry]) -> Iterator[ListEntry]:
    """The lines, each with the row where its file came before. Raises ValueError where that row says something else of it."""
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
    """The first row of a file in a list, and its label, split and subject there."""

    row: int
    said: tuple[str | None, ...]


def short_hash(name: str) -> bytes:
    """A hash of 16 bytes; different names never have the same."""
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def is_table(path: Path) -> bool:
    """Whether a list has columns: by its name, or for a text because its first line names them, as Excel writes it with
    tabs.
    """
    if path.suffix.lower() != ".txt":
        return True
    with suppress(MienError):
        names = csv_columns(path)
        return len(names) > 1 and "path" in names
    return False


def _texts(path: Path) -> Iterator[ListEntry]:
    coding = encoding_of(path)
    # Names of files need not be texts.
    errors = "surrogateescape" if coding == "utf-8-sig" else "replace"
    with path.open(encoding=coding, errors=errors, newline="\n") as file:
        for count, line in enumerate(iter(lambda: file.readline(LONGEST), ""), 1):
            if len(line) == LONGEST:
                raise _unread(path, f"line {count} of {LONGEST:,} bytes or more")
            if text := line.rstrip("\r\n"):
                yield ListEntry(by_slashes(path.parent, text), row=count)


def _rows(path: Path, mapped: Collection[str], keep: Sequence[str] = ()) -> Iterator[ListEntry]:
    there, before = list_columns(path), 1
    kept = [name for name in keep if name in there]
    for block in _blocks(path, ["path", *(name for name in SAID if name in there), *kept]):
        for number, row in enumerate(block.to_pylist(), before + 1):
            written = by_slashes(path.parent, row["path"] or "")
            line = ListEntry(written, row=number, more=tuple((name, row[name]) for name in kept if row[name]))
            if "label" in row:
                line = replace(line, label=label_or_none(row["label"], mapped))
            if "subject" in row:
                line = replace(line, subject=text_or_none(row["subject"]))
            if "split" in row and line.path:
                line = replace(line, split=_split(row["split"], line))
            if line.path:
                yield line
        before += len(block)


def list_columns(path: Path) -> tuple[str, ...]:
    """The column names of a list with columns. Raises MienError where `path` is not among them."""
    if path.suffix.lower() != PARQUET:
        return require_columns(path, ["path"])
    from mien.tabular.parquet_files import parquet_columns

    found = parquet_columns(path, MEND)
    if "path" not in found:
        raise MienError(f"columns path in {path}", f"only {', '.join(found)[:500]}", "check the file or the column names")
    return found


def _blocks(path: Path, names: list[str]) -> "Iterator[pa.RecordBatch]":
    """Some columns as texts, in blocks of rows."""
    if path.suffix.lower() != PARQUET:
        from mien.tabular.csv_files import stream_csv

        return stream_csv(path, names)
    from mien.tabular.parquet_files import read_text_columns

    return iter(read_text_columns(path, names, MEND).to_batches(ROWS))


def _split(written: str | None, line: ListEntry) -> str:
    """Our name of a split. Raises ValueError for an unknown one."""
    text = text_or_none(written)
    if text and not known_split(text):
        raise ValueError(f"the split {text!r} in row {line.row} ({line.path!r}), none of {', '.join(FOLDERS)}")
    return known_split(text)


def _unread(path: Path, found: str) -> MienError:
    return MienError(f"a list of paths in {path}", found, MEND)
