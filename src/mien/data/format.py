"""The format of a face set on disk: what faceset.json states, the types of columns, and the checksum."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mien.data.info import MOST_CLASSES as MOST_CLASSES
from mien.data.info import Info as Info
from mien.data.info import Rows as Rows
from mien.data.info import is_pixels as is_pixels
from mien.disk import size_and_time
from mien.errors import MienError
from mien.tabular.parquet_files import FAULTS, read_column, read_metadata, read_schema

COLUMNS: dict[str, pa.DataType] = {
    "id": pa.string(),
    "label": pa.int16(),
    "votes": pa.list_(pa.float32()),
    "subject": pa.string(),
    "sequence": pa.string(),
    "frame": pa.int32(),
    "split": pa.string(),
    "source": pa.string(),
    "photo": pa.string(),
    "box": pa.list_(pa.float32(), 4),
    "landmarks": pa.list_(pa.float32(), 10),
    "score": pa.float32(),
}
"""The types of the columns that mien knows. `id` and `label` (-1: none) are always there."""


WHOLE = ("id", "label")
"""The columns in which every face has a value."""


class Columns:
    """The columns of a stored set, each read and checked when it is first asked for; or the columns of a table in memory.

    Raises MienError where a file holds no such table.
    """

    def __init__(self, table: pa.Table | Path) -> None:
        self._table = table
        self._read: dict[str, pa.ChunkedArray] = {}
        if isinstance(table, Path):
            self._file = size_and_time(table)
            self._metadata = read_metadata(table, "import the set again")
            self.rows = int(self._metadata.num_rows)
            self._schema = read_schema(table, self._metadata, "import the set again")
        else:
            self.rows, self._schema = len(table), table.schema
        missing = [name for name in WHOLE if name not in self._schema.names]
        if missing and isinstance(table, Path):
            raise MienError(f"columns id and label in {table}", f"no {', '.join(missing)}", "import the set again")

    @property
    def types(self) -> dict[str, pa.DataType]:
        return {entry.name: COLUMNS.get(entry.name, entry.type) for entry in self._schema}

    @property
    def place(self) -> str:
        """The place of the table, for messages."""
        return str(self._table.parent) if isinstance(self._table, Path) else "a set in memory"

    def read(self, name: str) -> pa.ChunkedArray:
        """A whole column by its name, (N,)."""
        if not isinstance(self._table, Path):
            return self._table.column(name)
        if name not in self._read:
            todo = "import the set again"
            if size_and_time(self._table) not in (None, self._file):  # Its rows may be other faces than the mapped pixels.
                raise MienError(f"{self._table} as it was opened", "written since", "open the set again: it was changed")
            column = read_column(self._table, self._metadata, name, COLUMNS.get(name), todo)
            if name in WHOLE and column.null_count:
                raise MienError(f"a value for each face in column {name} of {self._table}", f"{column.null_count} without", todo)
            self._read[name] = column
        return self._read[name]


def to_table(columns: Mapping[str, Any]) -> pa.Table:
    """A table of these columns, `id` first, with the types that mien fixes. Raises MienError for values that do not fit."""
    made = {name: _to_arrow(name, values, COLUMNS.get(name)) for name, values in columns.items()}
    lengths = {name: len(values) for name, values in made.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} {count}" for name, count in lengths.items())
        raise MienError("as many values in every column", found, "give one value per face")
    return pa.table(made)


def _to_arrow(name: str, values: Any, kind: pa.DataType | None) -> pa.ChunkedArray | pa.Array:
    try:
        if isinstance(values, pa.ChunkedArray | pa.Array):
            return values if kind is None else values.cast(kind)
        if isinstance(values, np.ndarray) and values.ndim == 2:
            values = list(values.astype(np.float32))
        if kind is not None and pa.types.is_integer(kind) and pa.types.is_floating((made := pa.array(values)).type):
            return made.cast(kind)  # a fraction is not cut off
        return pa.array(values, kind)
    except FAULTS as error:
        wanted = "values of one kind" if kind is None else f"values that are {kind}"
        raise MienError(f"{wanted} in column {name}", ascii(str(error))[1:-1][:200], "give others") from error


def checksum(folder: Path, info: Info) -> str:
    """The checksum of a set in hexadecimal: sha256 over faceset.json (without the checksum), faces.npy and table.parquet."""
    stated = asdict(replace(info, checksum=""))
    digest = hashlib.sha256(json.dumps(stated, sort_keys=True).encode())
    for name in ("faces.npy", "table.parquet"):
        with (folder / name).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def require_labels(column: pa.ChunkedArray | pa.Array, classes: int, where: str) -> Rows:
    """The labels (N,) of a column. Raises MienError where one is missing, or is neither -1 nor the number of a class."""
    if column.null_count or not pa.types.is_integer(column.type):
        raise MienError(f"a label for every face of {where}, -1 for none", "none, or no number", "name a class for each")
    labels = column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
    if len(labels) and not (labels.min() >= -1 and labels.max() < classes):
        found = f"{labels.min()} to {labels.max()}"
        raise MienError(f"labels from -1 to {classes - 1} in {where}", found, "name every class in `classes`")
    numbers: Rows = labels.astype(np.int64)
    return numbers
