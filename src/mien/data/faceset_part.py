"""A part of a face set: some rows of one stored set, perhaps with columns that a view has added."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mien.data.format import Columns, Rows
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
