"""Predictions as rows of a table, a row for each face: mien's own columns, or those of py-feat's Fex."""

from collections.abc import Sequence
from typing import Literal, get_args

from mien.errors import MienError
from mien.expressions import canonical
from mien.recognize.predict_files import PredictedPhoto, file_fields
from mien.recognize.prediction import Prediction
from mien.wording import plain_text

Columns = Literal["mien", "fex"]
"""Whose names and order the columns have."""
Value = str | float | None
"""A value of a row; truth values and whole numbers are among the floats."""
Row = tuple[Value, ...]

FIELDS: dict[str, type] = {
    "photo": str, "path": str, "member": str, "frame": int, "time": float, "track": int,
    "x0": float, "y0": float, "x1": float, "y1": float, "top": str, "confidence": float, "unsure": bool,
}  # fmt: skip
"""mien's columns with the kinds of their values, before one for each expression."""
FEX_FIELDS: dict[str, type] = {
    "input": str, "frame": int, "approx_time": str, "FaceRectX": float, "FaceRectY": float, "FaceRectWidth": float,
    "FaceRectHeight": float, "FaceScore": float, "Identity": str,
}  # fmt: skip
"""py-feat's columns with the kinds of their values, before one for each expression."""
FEX_EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""The expressions of py-feat's `Fex`, which are always there, in its order."""
_DIGITS = {"time": 3, **dict.fromkeys(("x0", "y0", "x1", "y1"), 1), **dict.fromkeys(list(FEX_FIELDS)[3:7], 1)}


class PredictionRows:
    """Makes rows of predictions. It counts photos, which have no number of their own."""

    def __init__(self, columns: Columns, classes: Sequence[str]) -> None:
        """`classes`: the expressions that the predictions have scores for, in order. Raises MienError for other columns."""
        if columns not in get_args(Columns):
            raise MienError(f"`columns` among {', '.join(get_args(Columns))}", repr(columns), "choose one of them")
        self._fex = columns == "fex"
        self._classes = tuple(classes)
        self._photos = 0
        fields = FEX_FIELDS if self._fex else FIELDS
        self._scores = _fex_scores(self._classes) if self._fex else {name: name for name in self._classes}
        self.names = (*fields, *self._scores)
        """The names of the columns."""
        self.kinds: tuple[type, ...] = (*fields.values(), *(float for _ in self._scores))
        """The kinds of their values: `str`, `int`, `float` or `bool`."""
        self._digits = [*(_DIGITS.get(name, 4) for name in fields), *(4 for _ in self._scores)]

    def rows(self, read: PredictedPhoto) -> list[Row]:
        """The rows of a photo or frame, one for each face; None where a column does not apply."""
        fields = file_fields(read.photo.input)
        if self._fex:
            where = self._fex_place(read, fields)
            return [(*where, *_fex_face(one), *self._values(one)) for one in read.faces]
        names = (fields.get(name) for name in ("photo", "path", "member"))
        frame = (*names, *((None, None) if read.photo.time is None else (read.photo.number, read.photo.time)))
        own = ((one.track, *one.face.box, one.top, one.confidence, one.unsure, *self._values(one)) for one in read.faces)
        return [(*frame, *each) for each in own]

    def cells(self, row: Row) -> list[str | float]:
        """A row as CSV has it: empty where there is no value, rounded, and truth values as 0 and 1."""
        return [_cell(value, digits, name) for value, digits, name in zip(row, self._digits, self.names, strict=True)]

    def _values(self, one: Prediction) -> list[Value]:
        return [None if name is None else one.scores[name] for name in self._scores.values()]

    def _fex_place(self, read: PredictedPhoto, fields: dict[str, str]) -> tuple[Value, ...]:
        """File, number and time, as py-feat has them: photos are numbered from 0, and the time is minutes and seconds."""
        name = fields.get("path", fields["photo"]) if "member" not in fields else fields["photo"]
        if read.photo.time is None:
            self._photos += 1
            return name, self._photos - 1, None
        minutes, seconds = divmod(int(read.photo.time), 60)
        return name, read.photo.number, f"{minutes:02d}:{seconds:02d}"


def _fex_scores(classes: Sequence[str]) -> dict[str, str | None]:
    """py-feat's columns of expressions, each with the class that it shows; further classes come after them."""
    found: dict[str, str | None] = dict.fromkeys(FEX_EMOTIONS)
    for name in classes:
        theirs = canonical(name) or name
        found[theirs if found.get(theirs) is None else name] = name
    return found


def _fex_face(one: Prediction) -> tuple[Value, ...]:
    x0, y0, x1, y1 = one.face.box
    return x0, y0, x1 - x0, y1 - y0, one.face.score, None if one.track is None else f"Person_{one.track}"


def _cell(value: Value, digits: int, name: str) -> str | float:
    if value is None:
        return ""
    if isinstance(value, str):
        return plain_text(value) if name == "top" else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int):
        return int(value)
    return f"{value:.3f}" if name == "time" else round(value, digits)
