"""Lists of photos and videos: texts with a path a line, and CSV files with a column `path`."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mien.data.csv_files import header, require, stream
from mien.errors import MienError
from mien.faces.places import fault, require_regular

LISTS = (".txt", ".csv")
"""How the names of lists end, in lower case."""

LONGEST = 1 << 16
"""The most bytes of a line."""


@dataclass(frozen=True)
class Line:
    """A path as it is written; label and split are None where the list does not have them."""

    path: str
    label: str | None = None
    split: str | None = None


def check_list(path: Path) -> None:
    """Raises MienError for a list that cannot be read, or has no column `path`."""
    try:
        require_regular(path)
        if path.suffix.lower() == ".csv":
            require(path, ["path"])
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        raise _unread(path, fault(error)) from error


def lines(path: Path, labeled: bool) -> Iterator[Line]:
    """The paths of a list in order, with label and split where the list has such columns and they are asked for.

    Empty lines are passed over; bytes that are no UTF-8 stay what they are. Raises MienError where the list breaks.
    """
    try:
        yield from _rows(path, labeled) if path.suffix.lower() == ".csv" else _texts(path)
    except OSError as error:
        raise _unread(path, fault(error)) from error


def _texts(path: Path) -> Iterator[Line]:
    with path.open("rb") as file:
        for count, line in enumerate(iter(lambda: file.readline(LONGEST), b""), 1):
            if len(line) == LONGEST:
                raise _unread(path, f"line {count} of {LONGEST:,} bytes or more")
            text = os.fsdecode(line.removeprefix(b"\xef\xbb\xbf") if count == 1 else line).rstrip("\r\n")
            if text:
                yield Line(text)


def _rows(path: Path, labeled: bool) -> Iterator[Line]:
    columns = ["path", *(name for name in ("label", "split") if labeled and name in header(path))]
    for block in stream(path, columns):
        for row in block.to_pylist():
            text = row.pop("path")
            if text:
                yield Line(text, **{name: value or "" for name, value in row.items()})


def _unread(path: Path, found: str) -> MienError:
    return MienError(f"a list of paths in {path}", found, "check that this is the right file")
