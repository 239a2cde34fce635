"""A face set: pixels (or features) and a table with a row for each face; selections and joins are views without copies."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mien.data.faceset_files import read_info, verify_checksum
from mien.data.faceset_part import FaceSetPart
from mien.data.format import Columns, Info, Rows, require_labels, to_table
from mien.data.info import Normalization as Normalization
from mien.data.info import info_of_pixels, no_faces
from mien.disk import require_utf8_path
from mien.errors import MienError
from mien.json_toml import require_simple
from mien.wording import brief_repr, with_suggestion

BLOCK = 4096
"""How many faces are copied at a time."""


@dataclass(frozen=True)
class FaceSet:
    """Faces with their table: open one from a folder, or make one with `from_arrays`.

    A FaceSet is immutable; `select`, `where` and `join` return views that copy no pixels.
    """

    info: Info
    """What holds for all faces."""
    parts: tuple[FaceSetPart, ...]
    """The parts of stored sets that the faces are in, one after the other."""
    folder: Path | None = field(default=None)
    """The folder of a stored set; None for a view, or a set in memory."""

    @staticmethod
    def open(folder: Path | str, verify: bool = False) -> "FaceSet":
        """Open a stored set. Pixels are memory-mapped, and columns are read when they are asked for.

        `verify`: read both files and compare the checksum. Raises MienError where the folder is no face set, was changed after
        it was written, or has another version of the format.
        """
        folder = Path(folder)
        require_utf8_path(folder)
        info = read_info(folder)
        if verify:
            verify_checksum(folder, info)
        faces = FaceSet(info, (FaceSetPart.open(folder),), folder)
        _check(faces)
        return faces

    @staticmethod
    def of(faces: "FaceSet | Path | str", verify: bool = True) -> "FaceSet":
        """A face set as it is, or the stored one of a folder, opened. What takes a set or a folder takes it through here.

        `verify`: compare an opened set with its checksum. Raises MienError as `open` does.
        """
        return faces if isinstance(faces, FaceSet) else FaceSet.open(faces, verify)

    @staticmethod
    def from_arrays(
        faces: npt.NDArray[Any],
        labels: npt.ArrayLike | None = None,
        classes: Sequence[str] = (),
        columns: Mapping[str, Any] | None = None,
        info: Info | None = None,
    ) -> "FaceSet":
        """A set in memory. `faces`: uint8 (N, S, S) or (N, S, S, 3), or float16 (N, V, D) with an `info` of kind features.

        `labels`: (N,) indices into `classes`, -1 for none. `columns`: further columns by name, N values each.
        Raises MienError where shapes, types or labels do not fit.
        """
        if not isinstance(faces, np.ndarray) or faces.ndim not in (3, 4):
            raise no_faces(faces)
        info = info or info_of_pixels(faces, tuple(classes))
        given: dict[str, Any] = {"id": [f"{n:07d}" for n in range(len(faces))], **(columns or {})}
        if labels is not None or "label" not in given:
            given["label"] = np.full(len(faces), -1) if labels is None else np.asarray(labels)
        for name, values in given.items():
            count = len(values) if hasattr(values, "__len__") and getattr(values, "ndim", 1) != 0 else brief_repr(values)
            if count != len(faces):
                raise MienError(f"a row for each of {len(faces)} faces in column {name}", f"{count}", "give one each")
        made = FaceSet(replace(info, count=len(faces)), (FaceSetPart(faces, Columns(to_table(given))),))
        _check(made)
        require_labels(made.column("label"), len(made.classes), "a set in memory")
        return made

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def __repr__(self) -> str:
        return f"FaceSet({len(self)} {self.info.kind} of {self.info.name or 'no name'}, classes {', '.join(self.classes)})"

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes; a label is the number of one."""
        return self.info.classes

    @property
    def column_names(self) -> list[str]:
        """The names of all columns."""
        return list(dict.fromkeys(name for part in self.parts for name in part.types))

    def column(self, name: str) -> pa.ChunkedArray:
        """A column by its name, (N,). Raises MienError where there is none."""
        kinds = [part.types[name] for part in self.parts if name in part.types]
        if not kinds:
            known = self.column_names
            raise MienError(f"a column among {', '.join(known)}", with_suggestion(name, known), "choose one of those")
        chunks = [chunk for part in self.parts for chunk in part.column(name, kinds[0]).chunks]
        return pa.chunked_array([chunk.cast(kinds[0]) for chunk in chunks], kinds[0])

    def values(self, name: str) -> npt.NDArray[Any]:
        """A column by its name as an array, (N,); texts are objects, None where there is none."""
        values: npt.NDArray[Any] = self.column(name).to_numpy()
        return values

    @property
    def labels(self) -> Rows:
        """The labels (N,), numbers of classes; -1 where a face has none."""
        return require_labels(self.column("label"), len(self.classes), self._place)

    @property
    def _place(self) -> str:
        """Where its first table lies, for messages."""
        return self.parts[0].columns.place

    @property
    def votes(self) -> npt.NDArray[np.float32] | None:
        """The votes (N, K) for each class, zeros where a face has none; None for a set without votes."""
        if "votes" not in self.column_names:
            return None
        column, classes = self.column("votes").combine_chunks(), len(self.classes)
        votes = np.zeros((len(self), classes), np.float32)
        valid, given = column.is_valid().to_numpy(zero_copy_only=False), column.flatten().to_numpy(zero_copy_only=False)
        found = pc.unique(pc.list_value_length(column).drop_null()).to_pylist()
        if found not in ([], [classes]):
            raise MienError(
                f"votes for each of {classes} classes in {self._place}", f"{brief_repr(found)} of them", "import again"
            )
        if not (np.isfinite(given).all() and (given >= 0).all()):
            raise MienError(f"votes from 0 up in {self._place}", "others", "import again")
        votes[valid] = given.reshape(-1, classes) if classes else 0
        return votes

    def faces(self, rows: npt.ArrayLike | None = None) -> npt.NDArray[Any]:
        """A copy of the pixels (or features) of some rows, in their order; of all rows by default."""
        wanted = np.arange(len(self)) if rows is None else _as_rows(rows, len(self))
        if len(self.parts) == 1:
            return self.parts[0].faces(wanted)
        starts = np.cumsum([0, *(len(part) for part in self.parts)])
        owner = np.searchsorted(starts, wanted, side="right") - 1
        first = self.parts[0].pixels
        out = np.empty((len(wanted), *first.shape[1:]), first.dtype)
        for number, part in enumerate(self.parts):
            mine = owner == number
            out[mine] = part.faces(wanted[mine] - starts[number])
        return out

    def select(self, rows: npt.ArrayLike) -> "FaceSet":
        """A view of some rows, given as numbers (in this order) or as a mask over all rows."""
        wanted = _as_rows(rows, len(self))
        if len(self.parts) == 1:
            return self._view((self.parts[0].take(wanted),))
        starts = np.cumsum([0, *(len(part) for part in self.parts)])
        owner = np.searchsorted(starts, wanted, side="right") - 1
        runs = np.split(np.arange(len(wanted)), np.flatnonzero(np.diff(owner)) + 1) if len(wanted) else []
        parts = [self.parts[owner[run[0]]].take(wanted[run] - starts[owner[run[0]]]) for run in runs]
        return self._view(tuple(parts) or (self.parts[0].take(wanted),))

    def _view(self, parts: tuple[FaceSetPart, ...]) -> "FaceSet":
        # A view is no stored set: it has neither folder nor checksum.
        return FaceSet(replace(self.info, count=sum(map(len, parts)), checksum=""), parts)

    def with_column(self, name: str, values: Sequence[Any] | npt.NDArray[Any]) -> "FaceSet":
        """A view with a column (N,) added or replaced. Raises MienError for another number of values."""
        if len(values) != len(self):
            raise MienError(f"{len(self)} values of {name}", f"{len(values)}", "give one value per face")
        column = to_table({name: values}).column(0).combine_chunks()
        if name == "label":
            require_labels(column, len(self.classes), "the column given")
        starts = np.cumsum([0, *(len(part) for part in self.parts)])
        pieces = [column.slice(start, len(part)) for start, part in zip(starts, self.parts, strict=False)]
        parts = zip(self.parts, pieces, strict=True)
        return self._view(tuple(replace(part, added={**part.added, name: piece}) for part, piece in parts))

    def where(self, **equal: Any) -> "FaceSet":
        """A view of the faces whose columns have these values: `where(split="Training")`, `where(label=[0, 3])`."""
        keep = np.ones(len(self), bool)
        for name, wanted in equal.items():
            options = list(wanted) if isinstance(wanted, list | tuple | np.ndarray) else [wanted]
            values = self.values(name)
            keep &= np.any([values == option for option in options], axis=0) if options else False
        return self.select(keep)

    def join(self, *others: "FaceSet") -> "FaceSet":
        """A view of the faces of this set, then those of `others`. Raises MienError where classes or shapes differ."""
        for other in others:
            for key in ("kind", "classes", "side", "channels", "views"):
                mine, theirs = getattr(self.info, key), getattr(other.info, key)
                if mine != theirs:
                    raise MienError(f"joined sets of one {key}, {mine!r}", repr(theirs), "import it with that, or leave it out")
        return self._view((*self.parts, *(part for other in others for part in other.parts)))

    def verify(self) -> None:
        """Compare a stored set with its checksum. Raises MienError where the set was changed."""
        if self.folder is not None:
            verify_checksum(self.folder, self.info)

    def require_stored(self) -> None:
        """Raises MienError for a set in memory, where work goes on from disk after it was interrupted."""
        if self.folder is None:
            raise MienError("a stored face set", "one in memory", "save it first: runs are resumed from disk")

    def save(self, folder: Path | str) -> "FaceSet":
        """Write these faces as a new set, and open it. Raises MienError where something is at `folder`."""
        from mien.data.writer import FaceSetWriter

        with FaceSetWriter(Path(folder), self.info) as writer:
            columns = {name: self.column(name) for name in self.column_names}
            for start in range(0, max(1, len(self)), BLOCK):
                rows = np.arange(start, min(len(self), start + BLOCK))
                writer.add(self.faces(rows), {name: values.slice(start, len(rows)) for name, values in columns.items()})
        return FaceSet.open(folder)


def _as_rows(rows: npt.ArrayLike, count: int) -> Rows:
    try:
        given = np.asarray(rows)
        given = given if given.dtype == bool else given.astype(np.int64).reshape(-1)
    except (ValueError, TypeError, OverflowError) as error:
        raise MienError(f"rows from 0 to {count - 1}", brief_repr(rows), "give rows of this set") from error
    if given.dtype == bool:
        if given.shape != (count,):
            raise MienError(f"a mask of {count} values", f"shape {given.shape}", "give one value per face")
        return np.flatnonzero(given)
    if len(given) and not (given.min() >= 0 and given.max() < count):
        raise MienError(f"rows from 0 to {count - 1}", f"{given.min()} to {given.max()}", "give rows of this set")
    return given


def _check(faces: FaceSet) -> None:
    """Raises MienError where the pixels' type or shape, or the table's length, is not what the set states."""
    info, pixels, rows = faces.info, faces.parts[0].pixels, faces.parts[0].columns.rows
    where, count = faces.folder or "memory", len(pixels) if pixels.ndim else 0
    if info.kind == "features":
        wanted: tuple[int, ...] = (count, len(info.views), info.channels)
    else:
        wanted = (count, info.side, info.side) if info.channels == 1 else (count, info.side, info.side, info.channels)
    kind = np.dtype(np.uint8 if info.kind == "faces" else np.float16)
    if pixels.dtype != kind or pixels.shape != wanted:
        found = f"{str(pixels.dtype)[:80]} {pixels.shape}"
        raise MienError(f"{info.kind} of type {kind} and shape {wanted} in {where}", found, "import the set again")
    if info.kind == "faces" and (info.channels not in (1, 3) or not info.side):
        found = f"side {info.side}, channels {info.channels}"
        raise MienError(f"gray or color faces with pixels in {where}", found, "import the set again")
    if not rows == count == info.count:
        found = f"{rows} rows, {info.count} stated"
        raise MienError(f"a table row for each of {count} faces in {where}", found, "import the set again")
    if len(set(info.classes)) < len(info.classes):
        raise MienError(f"classes of different names in {where}", brief_repr(info.classes), "import the set again")
    require_simple(asdict(info), f"what holds for the faces in {where}", "give other texts")
