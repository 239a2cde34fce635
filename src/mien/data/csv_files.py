"""Reading CSV files by column name; whatever is wrong with one is said in a sentence."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from mien.errors import MienError

HEADER_BYTES = 1 << 20
"""The longest header."""

MOST_BYTES = 1 << 30
"""The largest file that is read whole."""

BLOCK_BYTES = 8 << 20
"""A streamed file is read in blocks of this size."""


def header(path: Path) -> tuple[str, ...]:
    """The column names in the first line of `path`. Raises MienError where there is no such file or line."""
    _require_file(path)
    try:
        with path.open("rb") as file:
            names = next(csv.reader([file.readline(HEADER_BYTES).decode("utf-8-sig")]), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise MienError(f"CSV text in UTF-8 in {path}", str(error), "check that this is the right file") from error
    if not names:
        raise MienError(f"a line with column names in {path}", "an empty file", "check that this is the right file")
    return tuple(name.strip() for name in names)


def require(path: Path, wanted: Sequence[str]) -> tuple[str, ...]:
    """The column names of `path`. Raises MienError where one of `wanted` is missing, with those that are there."""
    found = header(path)
    missing = [name for name in wanted if name not in found]
    if missing:
        listed = ", ".join(found)[:500]
        raise MienError(f"columns {', '.join(missing)} in {path}", f"only {listed}", "check the file or the column names")
    return found


def stream(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """These columns of `path` as texts, block after block; an empty one is null.

    Raises MienError for a missing column or a broken row.
    """
    # One thread: blocks come in the order of the file, and an error names its row.
    names = require(path, columns)
    options = pacsv.ReadOptions(column_names=list(names), skip_rows=1, block_size=BLOCK_BYTES, use_threads=False)
    try:
        with pacsv.open_csv(path, options, convert_options=_conversion(dict.fromkeys(columns, pa.string()))) as reader:
            yield from reader
    except (pa.ArrowException, MemoryError) as error:
        raise _broken(path, error) from error


def read(path: Path, columns: Mapping[str, pa.DataType | None], headless: Sequence[str] = ()) -> pa.Table:
    """These columns of `path`, whole; None lets the values decide the type, and an empty value is null.

    `headless` names all the columns of a file without a header. Raises MienError for a missing column, a broken row or a
    value of another type.
    """
    _require_file(path)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise MienError(f"a CSV file of at most {MOST_BYTES:,} bytes at {path}", f"{size:,}", "part it, or leave columns out")
    names = tuple(headless) or require(path, list(columns))
    options = pacsv.ReadOptions(column_names=list(names), skip_rows=0 if headless else 1, use_threads=False)
    try:
        return pacsv.read_csv(path, options, convert_options=_conversion(columns))
    except (pa.ArrowException, MemoryError) as error:
        raise _broken(path, error) from error


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise MienError(f"a CSV file at {path}", "no file there", "check the path")


def _conversion(columns: Mapping[str, pa.DataType | None]) -> pacsv.ConvertOptions:
    types = {name: kind for name, kind in columns.items() if kind is not None}
    return pacsv.ConvertOptions(include_columns=list(columns), column_types=types, null_values=[""], strings_can_be_null=True)


def _broken(path: Path, error: Exception) -> MienError:
    return MienError(f"CSV rows that fit {path} and its header", str(error)[:300], "mend that row")
