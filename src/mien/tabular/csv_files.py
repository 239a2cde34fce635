"""Reading CSV files by column name, with errors that say in a sentence what is wrong with a file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from mien.errors import MienError
from mien.tabular.csv_header import SAVE, CsvFormat, csv_format, require_columns, require_csv_file

MOST_BYTES = 1 << 30
"""The most bytes of a file that is read whole."""

BLOCK_BYTES = 8 << 20
"""The bytes of a block of a streamed file."""


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
    require_csv_file(path)
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
