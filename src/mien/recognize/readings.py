"""Predictions of many photos and videos as one table in memory, without pixels: for pandas, Arrow and what reads them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mien.installed import module_of_extra
from mien.recognize.predict_files import PredictedPhoto
from mien.recognize.prediction_rows import Columns, PredictionRows, Row


@dataclass(frozen=True)
class Readings:
    """A row for each face that was read, with the columns that `mien predict --csv` writes."""

    names: tuple[str, ...]
    """The names of the columns."""
    kinds: tuple[type, ...]
    """The kinds of their values: `str`, `int`, `float` or `bool`."""
    rows: tuple[Row, ...]
    """A row for each face, None where a column does not apply; values are not rounded."""

    @staticmethod
    def of(found: Iterable[PredictedPhoto], columns: Columns = "mien", classes: Sequence[str] | None = None) -> "Readings":
        """Read photos and frames to their end, such as those of `mien.recognize.predict_files.predict`; pixels are let go.

        `columns`: `mien`, or `fex` for those of py-feat. `classes`: the expressions; unless given, those of the first face,
        and none where there is no face. Raises MienError for other `columns`.
        """
        empty = PredictionRows(columns, ())  # refuses unknown columns before anything is read
        table, rows = None if classes is None else PredictionRows(columns, classes), list[Row]()
        for read in found:
            if table is None and read.faces:
                table = PredictionRows(columns, tuple(read.faces[0].scores))
            if table is not None:
                rows += table.rows(read)
        table = table or empty
        return Readings(table.names, table.kinds, tuple(rows))

    def __len__(self) -> int:
        return len(self.rows)

    def to_arrow(self) -> Any:
        """A `pyarrow.Table`: texts, int64, float64 and bool, null where a column does not apply."""
        import pyarrow as pa

        types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
        columns = list(zip(*self.rows, strict=True)) or [()] * len(self.names)
        arrays = [pa.array(map(_text, values), types[kind]) for values, kind in zip(columns, self.kinds, strict=True)]
        return pa.table(arrays, list(self.names))

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`; whole numbers are `Int64`, which has missing values. Raises MienError without pandas."""
        pandas = module_of_extra("pandas")
        import pyarrow as pa

        return self.to_arrow().to_pandas(types_mapper={pa.int64(): pandas.Int64Dtype()}.get)


def _text(value: Any) -> Any:
    """A name of a file need not be UTF-8, as Arrow's texts are."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
