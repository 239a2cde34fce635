"""Writes a face set block by block; it appears only when it is finished, so that a half-written set never exists."""

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from mien.data.format import COLUMNS, Info, checksum, require_labels, to_table
from mien.disk import replace_atomically, require_utf8_path, write_atomically
from mien.errors import MienError
from mien.folders import require_absent
from mien.json_text import to_json
from mien.json_toml import require_simple
from mien.wording import quantity


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file, so that after a crash `path` is the old file or the new one."""
    content = pa.BufferOutputStream()
    pq.write_table(table, content)
    write_atomically(path, content.getvalue().to_pybytes())


class FaceSetWriter:
    """Writes a new set: `with FaceSetWriter(folder, info) as writer: writer.add(faces, columns)`, block after block.

    Nothing is at `folder` before the end, and nothing is left where writing fails. Raises MienError where `folder` exists
    already, or a block has other columns or shapes than the first.
    """

    def __init__(self, folder: Path, info: Info) -> None:
        require_utf8_path(folder)
        require_simple(asdict(info), f"what is written to {folder}", "give other texts")
        require_absent(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._info = info
        self._count = 0
        self._aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        self._faces = (self._aside / "faces.npy").open("wb")
        self._table: pq.ParquetWriter | None = None
        self._shape: tuple[pa.Schema, tuple[int, ...], np.dtype[Any]]

    def __enter__(self) -> "FaceSetWriter":
        return self

    def add(self, faces: npt.NDArray[Any], columns: Mapping[str, Any]) -> None:
        """Append faces, (n, ...), and their columns, n values each; `id` and `label` are required."""
        table = to_table(columns)
        shape = (table.schema, faces.shape[1:], faces.dtype)
        if self._table is None:
            self._shape = shape
            self._table = pq.ParquetWriter(self._aside / "table.parquet", table.schema, compression="zstd")
            self._write_header(faces.shape[1:], faces.dtype)
        if shape != self._shape or len(table) != len(faces):
            raise MienError(
                f"blocks like the first, {self._shape[1]} with columns {self._shape[0].names}",
                f"{quantity(len(faces), 'face')} {faces.shape[1:]}, {quantity(len(table), 'row')} with {table.column_names}",
                "give every block the same columns and one row per face",
            )
        require_labels(table.column("label"), len(self._info.classes), f"what is written to {self._folder}")
        self._faces.write(np.ascontiguousarray(faces).data)
        self._table.write_table(table)
        self._count += len(faces)

    def attach(self, name: str, parts: Iterable[bytes]) -> None:
        """Add a further file to the set."""
        with (self._aside / name).open("wb") as file:
            file.writelines(parts)

    def _write_header(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        # numpy pads the header so that the number of rows may grow in place: the final count is written over this one.
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (self._count, *shape)}
        self._faces.seek(0)
        np.lib.format.write_array_header_1_0(self._faces, header)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            with self._faces:
                if kind is None:
                    self._finish()
        finally:  # closing may fail, too, on a full disk
            shutil.rmtree(self._aside, ignore_errors=True)

    def _finish(self) -> None:
        if self._table is None:
            empty = {"id": pa.array([], COLUMNS["id"]), "label": pa.array([], COLUMNS["label"])}
            square = (self._info.side, self._info.side)
            shape = square if self._info.channels == 1 else (*square, self._info.channels)
            self.add(np.zeros((0, *shape), np.uint8), empty)
        assert self._table is not None
        self._table.close()
        self._write_header(self._shape[1], self._shape[2])
        self._faces.close()
        info = replace(self._info, count=self._count)
        info = replace(info, checksum=checksum(self._aside, info))
        (self._aside / "faceset.json").write_text(to_json(info), "utf-8")
        self._aside.chmod(0o755)
        replace_atomically(self._aside, self._folder)
