"""A part of a face set: some rows of one stored set, perhaps with columns that a view has added."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mien.data.faceset_files import map_pixels
from mien.data.format import Columns, Rows
from mien.disk import size_and_time
from mien.errors import MienError


@dataclass(frozen=True)
class FaceSetPart:
    """Some rows of one stored set, in some order; all rows where `rows` is None."""

    pixels: npt.NDArray[Any]
    """The pixels (or features) of the whole stored set."""
    columns: Columns
    """The columns of the whole stored set."""
    rows: Rows | None = None
    """The rows of the stored set that the part has; None for all."""
    added: Mapping[str, pa.Array] = field(default_factory=dict)
    """Columns that only this view has, one value for each of its rows."""
    file: tuple[int, int] | None = None
    """Size and time of the file of mapped pixels when it was opened; None in memory."""

    @staticmethod
    def open(folder: Path) -> "FaceSetPart":
        """All rows of the stored set in a folder, its pixels mapped. Raises MienError where a file is damaged."""
        path = folder / "faces.npy"
        file = size_and_time(path)  # Before it is mapped: one that is replaced meanwhile is then taken for another.
        return FaceSetPart(map_pixels(path), Columns(folder / "table.parquet"), file=file)

    def __reduce__(self) -> tuple[Callable[..., "FaceSetPart"], tuple[Any, ...]]:
        """Pickles the pixels of a stored set as the place of their file: a process that gets the part maps them, too.

        As an array, they would be copied to each of a DataLoader's workers, which Python 3.14 begins without a fork. They are
        copied where the file was moved, removed or replaced: here they can still be read, and there they could not.
        """
        pixels, rest = self.pixels, (self.columns, self.rows, self.added)
        if not isinstance(pixels, np.memmap) or self.file is None:
            return FaceSetPart, (pixels, *rest)
        if pixels.filename is None or size_and_time(Path(pixels.filename)) != self.file:
            return _copied, (pixels, *rest)
        return _mapped, (str(pixels.filename), pixels.shape, pixels.dtype, self.file, *rest)

    @property
    def types(self) -> dict[str, pa.DataType]:
        """The types of all columns, by name."""
        return self.columns.types | {name: values.type for name, values in self.added.items()}

    def __len__(self) -> int:
        return len(self.pixels) if self.rows is None else len(self.rows)

    def take(self, rows: Rows) -> "FaceSetPart":
        """A part with some of these rows, in this order."""
        added = {name: values.take(pa.array(rows)) for name, values in self.added.items()}
        return replace(self, rows=rows if self.rows is None else self.rows[rows], added=added)

    def faces(self, rows: Rows) -> npt.NDArray[Any]:
        """A copy of the pixels of some rows."""
        taken: npt.NDArray[Any] = self.pixels[rows if self.rows is None else self.rows[rows]]
        # Of half precision, all bits of the exponent: infinite, or no number.
        if taken.dtype == np.float16 and ((taken.view(np.uint16) & 0x7C00) == 0x7C00).any():
            raise MienError(f"features that are numbers in {self.columns.place}", "infinite ones, or none", "make them again")
        return taken

    def column(self, name: str, kind: pa.DataType) -> pa.ChunkedArray:
        """A column by its name at this part's rows; nulls where the stored set has none."""
        if name in self.added:
            return pa.chunked_array([self.added[name]])
        if name not in self.columns.types:
            return pa.chunked_array([pa.nulls(len(self), kind)])
        values = self.columns.read(name)
        return values if self.rows is None else values.take(pa.array(self.rows))


def _mapped(path: str, shape: tuple[int, ...], kind: np.dtype[Any], file: tuple[int, int], *rest: Any) -> FaceSetPart:
    """A part with the pixels of a file. Raises MienError where the file is gone, damaged or another set's."""
    now = size_and_time(Path(path))
    pixels = map_pixels(Path(path))
    if (pixels.shape, pixels.dtype, now) != (shape, kind, file):
        found = f"{pixels.dtype} {pixels.shape}, written since"
        raise MienError(f"{kind} {shape} in {path}, as they were opened", found, "open the set again: it was changed")
    return replace(FaceSetPart(pixels, *rest), file=file)


def _copied(pixels: npt.NDArray[Any], *rest: Any) -> FaceSetPart:
    """A part in memory: a copy of mapped pixels is still numpy's memmap, though of no file."""
    return FaceSetPart(np.asarray(pixels), *rest)
