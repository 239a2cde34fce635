"""The header of a CSV file: column names, separator and encoding; errors say in a sentence what is wrong with a file."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.errors import MienError
from mien.wording import with_suggestions

HEADER_BYTES = 1 << 20
"""The most bytes of a header."""

SAVE = "save it as UTF-8 (in Excel: CSV UTF-8), or check that this is the right file"

SEPARATORS = (",", ";", "\t", "|")
"""The signs that may separate columns, the most usual first."""


@dataclass(frozen=True)
class CsvFormat:
    """How a CSV file is written: spreadsheets write the same table differently from country to country."""

    names: tuple[str, ...]
    """The column names in the first line; in a file without header, the values of its first row."""
    separator: str
    """The sign between columns."""
    encoding: str
    """The name of the encoding, as Python knows it."""
    skipped: int
    """The number of lines before the rows."""


def csv_format(path: Path) -> CsvFormat:
    """How the CSV file at `path` is written, by its first line. Raises MienError where there is no such file or line.

    The separator is the one that gives the most columns, unless a first line such as `sep=;` names it, as for Excel.
    """
    require_csv_file(path)
    encoding = encoding_of(path)
    try:
        (line, after), skipped = _first_lines(path, encoding), 1
        if said := re.fullmatch(r"sep=([,;\t|])", line.strip('" ')):
            line, skipped = after, 2
        rows = {sign: next(csv.reader([line], delimiter=sign), []) for sign in (said[1] if said else SEPARATORS)}
    except (UnicodeError, csv.Error) as error:
        found = "letters of another encoding" if isinstance(error, UnicodeError) else str(error)
        raise MienError(f"CSV text in UTF-8 in {path}", found, SAVE) from error
    separator = max(rows, key=lambda sign: len(rows[sign]))
    if not rows[separator]:
        raise MienError(f"a line with column names in {path}", "an empty file", "check that this is the right file")
    return CsvFormat(tuple(name.strip() for name in rows[separator]), separator, encoding, skipped)


def encoding_of(path: Path) -> str:
    """The encoding of a text file: UTF-8, unless its first bytes have zeros where UTF-16 has them."""
    with path.open("rb") as file:
        begin = file.read(256)
    for mark, coding, high in ((b"\xff\xfe", "utf-16-le", 1), (b"\xfe\xff", "utf-16-be", 0)):
        # A damaged file may begin so, too.
        if begin.startswith(mark) and 0 in begin[high::2]:
            return "utf-16"
        if len(begin) >= 8 and not any(begin[high:8:2]) and all(begin[1 - high : 8 : 2]):
            return coding
    return "utf-8-sig"


def _first_lines(path: Path, encoding: str) -> tuple[str, str]:
    """The first two lines of a file; old Macs end lines by a carriage return alone."""
    with path.open("rb") as file:
        if encoding == "utf-8-sig":
            text = b"".join(file.readline(HEADER_BYTES) for _ in range(2)).decode(encoding, "surrogateescape")
        else:
            text = file.read(HEADER_BYTES).decode(encoding, "replace")
    first, second = [*re.split(r"\r\n|\r|\n", text, maxsplit=2), ""][:2]
    first.encode()  # the second may be a row, of which others complain
    return first, second


def csv_columns(path: Path) -> tuple[str, ...]:
    """The column names of a CSV file. Raises MienError where there is no such file or first line."""
    return csv_format(path).names


def require_columns(path: Path, wanted: Sequence[str]) -> tuple[str, ...]:
    """The column names of a CSV file. Raises MienError where a `wanted` column is missing, with the columns there are."""
    found = csv_columns(path)
    missing = [name for name in wanted if name not in found]
    if missing:
        listed = ", ".join(found)[:500]
        wanted = with_suggestions(missing, found)
        raise MienError(f"columns {wanted} in {path}", f"only {listed}", "check the file or the column names")
    return found


def require_csv_file(path: Path) -> None:
    """Raises MienError where there is no file."""
    if not path.is_file():
        raise MienError(f"a CSV file at {path}", "no file there", "check the path")
