"""Reading CSV files by column name, with errors that say in a sentence what is wrong with a file."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from mien.errors import MienError
from mien.wording import with_suggestions

HEADER_BYTES = 1 << 20
"""The most bytes of a header."""

MOST_BYTES = 1 << 30
"""The most bytes of a file that is read whole."""

BLOCK_BYTES = 8 << 20
"""The bytes of a block of a streamed file."""


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
    _require_file(path)
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


def stream_csv(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Some columns of a CSV file as texts, in blocks of rows; an empty value is null.

    Raises MienError for a missing column or a broken row.
    """
    require_columns(path, columns)
    types = dict.fromkeys(columns, pa.string())
    try:
        written = csv_format(path)
        with pacsv.open_csv(_source(path, written), **_options(types, written, block_size=BLOCK_BYTES)) as reader:
            yield from reader
    except (pa.ArrowException, UnicodeError, MemoryError) as error:
        raise _broken(path, error) from error


def read_csv(path: Path, columns: Mapping[str, pa.DataType | None], headless: Sequence[str] = ()) -> pa.Table:
    """Some columns of a CSV file as a table, each of the given type; None takes the type that the values have.

    An empty value is null. `headless` names all columns of a file without header. Raises MienError for a missing column, a
    broken row or a value of another type.
    """
    _require_file(path)
    _require_size(path)
    written = csv_format(path)
    if headless:
        written = replace(written, names=tuple(headless), skipped=written.skipped - 1)
    else:
        require_columns(path, list(columns))
    try:
        table = pacsv.read_csv(_source(path, written), **_options(columns, written))
    except (pa.ArrowException, UnicodeError, MemoryError) as error:
        raise _broken(path, error) from error
    if any(pa.types.is_binary(kind) for kind in table.schema.types):  # what values are that are no texts
        raise _foreign(path)
    return table


def _source(path: Path, written: CsvFormat) -> Any:
    """What pyarrow reads. UTF-16 is decoded here: pyarrow's threads would decode it in Python, which may be about to end."""
    if written.encoding == "utf-8-sig":
        return path
    _require_size(path)
    return pa.BufferReader(path.read_bytes().decode(written.encoding).encode())


def _require_size(path: Path) -> None:
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise MienError(f"a CSV file of at most {MOST_BYTES:,} bytes at {path}", f"{size:,}", "part it, or leave columns out")


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise MienError(f"a CSV file at {path}", "no file there", "check the path")


def _options(columns: Mapping[str, pa.DataType | None], written: CsvFormat, **more: int) -> dict[str, Any]:
    types = {name: kind for name, kind in columns.items() if kind is not None}
    # One thread: blocks come in the order of the file, and an error names its row.
    reading = pacsv.ReadOptions(column_names=list(written.names), skip_rows=written.skipped, use_threads=False, **more)
    return {
        "read_options": reading,
        "parse_options": pacsv.ParseOptions(delimiter=written.separator),
        "convert_options": pacsv.ConvertOptions(
            include_columns=list(columns), column_types=types, null_values=[""], strings_can_be_null=True
        ),
    }


def _broken(path: Path, error: Exception) -> MienError:
    if isinstance(error, UnicodeError) or "invalid UTF8" in str(error):
        return _foreign(path)
    return MienError(f"CSV rows that fit {path} and its header", str(error)[:300], "mend that row")


def _foreign(path: Path) -> MienError:
    return MienError(f"CSV rows that fit {path} and its header, in UTF-8", "letters of another encoding", SAVE)
