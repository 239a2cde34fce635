"""Reading Parquet files column by column, with errors for files that are damaged or state what cannot be."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mien.disk import require_regular
from mien.errors import MienError

LABEL_COLUMNS = {"id": pa.string(), "label": pa.int64()}
"""Columns of the tables of labels that a run keeps."""
BUDGET_COLUMNS = {"id": pa.string(), "role": pa.string(), "label": pa.int64()}
"""Columns of a run's budget.parquet: a row for each label used, and what it was used for."""

LONGEST = 1 << 16
"""The most bytes of a text, and numbers of a list, in a table."""
ROOM, PER_ROW = 256 << 20, 4096
"""The most bytes of memory for a column, in all or for each row, whichever is more."""
FAULTS = (pa.ArrowException, OSError, ValueError, LookupError, TypeError, OverflowError, MemoryError)
"""The exceptions of pyarrow for damaged files and for values that do not fit."""


def read_table(path: Path, kinds: Mapping[str, pa.DataType], todo: str) -> pa.Table:
    """Some columns of a Parquet file, by name with their types; every row must have a value.

    Raises MienError, which ends with `todo`, for a damaged file, a missing column or other values.
    """
    metadata = read_metadata(path, todo)
    missing = [name for name in kinds if name not in read_schema(path, metadata, todo).names]
    if missing:
        raise MienError(f"columns {', '.join(kinds)} in {path}", f"no {', '.join(missing)}", todo)
    columns = {name: read_column(path, metadata, name, kind, todo) for name, kind in kinds.items()}
    for name, column in columns.items():
        if column.null_count:
            raise MienError(f"a value in every row of column {name} in {path}", f"{column.null_count} without", todo)
    table: pa.Table = pa.table(columns)
    return table.replace_schema_metadata(metadata.schema.to_arrow_schema().metadata)


def parquet_columns(path: Path, todo: str) -> tuple[str, ...]:
    """The column names of a Parquet file. Raises MienError, which ends with `todo`, where it is damaged."""
    return tuple(read_schema(path, read_metadata(path, todo), todo).names)


def read_text_columns(path: Path, names: Sequence[str], todo: str) -> pa.Table:
    """Some columns of a Parquet file as texts, null where there is no value. Raises MienError where the file is damaged."""
    metadata = read_metadata(path, todo)
    return pa.table({name: read_column(path, metadata, name, pa.string(), todo) for name in names})


def read_metadata(path: Path, todo: str) -> pq.FileMetaData:
    """The metadata of a Parquet file. Raises MienError, which ends with `todo`, where there is no such file."""
    require_regular(path, todo)
    try:
        return pq.read_metadata(path)
    except FAULTS as error:
        raise MienError(f"a table in {path}", str(error), todo) from error


def read_schema(path: Path, metadata: pq.FileMetaData, todo: str) -> pa.Schema:
    """The columns and types of a Parquet file. Raises MienError where two columns have the same name."""
    try:
        schema = metadata.schema.to_arrow_schema()
        names = schema.names
    except FAULTS as error:
        raise MienError(f"a table in {path}", str(error), todo) from error
    if len(set(names)) < len(names):
        raise MienError(f"columns of different names in {path}", ", ".join(names)[:200], todo)
    return schema


def read_column(path: Path, metadata: pq.FileMetaData, name: str, kind: pa.DataType | None, todo: str) -> pa.ChunkedArray:
    """One column of a Parquet file with every value checked. Raises MienError where it is damaged or too large."""
    room = max(ROOM, PER_ROW * int(metadata.num_rows))
    _require_room(path, metadata, name, room, todo)
    try:
        # Not pq.read_table, which looks for a folder of files first and takes four times as long. Threads read columns side by
        # side; here there is one, and they would free what they read when they get to it.
        with pq.ParquetFile(path, metadata=metadata, memory_map=True) as file:
            column = file.read(columns=[name], use_threads=False).column(0)
        column = column if kind is None or column.type == kind else column.cast(kind)
        column.validate(full=True)
    except FAULTS as error:
        raise MienError(f"a column {name} in {path}" + (f" of {kind}" if kind else ""), str(error)[:200], todo) from error
    if len(column) != metadata.num_rows:
        raise MienError(f"{metadata.num_rows} values of column {name} in {path}", f"{len(column)}", todo)
    if pa.types.is_string(column.type) and (pc.max(pc.binary_length(column)).as_py() or 0) > LONGEST:
        raise MienError(f"texts of at most {LONGEST} bytes in column {name} of {path}", "longer ones", todo)
    return column


def _require_room(path: Path, metadata: pq.FileMetaData, name: str, room: int, todo: str) -> None:
    """Raises MienError, before it is read, where a column would take more than `room` bytes.

    A text that comes again and again is stored once, so where texts could be long their lengths are read first.
    """
    stated, repeated = 0, 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for place in range(group.num_columns):
            part = group.column(place)
            if part.path_in_schema.partition(".")[0] == name:
                stated += max(part.total_uncompressed_size, part.num_values)
                repeated += part.total_uncompressed_size * group.num_rows if part.physical_type == "BYTE_ARRAY" else 0
    if repeated > room and stated <= room:
        try:
            with pq.ParquetFile(path, metadata=metadata, read_dictionary=[name], memory_map=True) as file:
                told = file.read(columns=[name], use_threads=False).column(0)
            stated = sum(_text_bytes(chunk) for chunk in told.chunks)
        except FAULTS as error:
            raise MienError(f"a column {name} in {path}", str(error)[:200], todo) from error
    if stated > room:
        raise MienError(f"a column {name} of at most {room >> 20} MiB in {path}", f"{stated >> 20} MiB", todo)


def _text_bytes(values: pa.Array) -> int:
    """Bytes of all the texts of an array, repeated ones counted as often as they come."""
    if not isinstance(values, pa.DictionaryArray):
        return int(values.nbytes)
    lengths = pc.binary_length(values.dictionary).cast(pa.int64())
    return int(pc.sum(lengths.take(values.indices)).as_py() or 0)
