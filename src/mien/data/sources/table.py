"""A CSV file with a row for each picture, as most published databases have it."""

from collections.abc import Callable, Iterator
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.class_words import label_or_none, split_name, text_or_none
from mien.data.format import COLUMNS, Info
from mien.data.source import FaceBlock, Source
from mien.errors import MienError
from mien.expressions import SYNONYMS, canonical_names
from mien.media.face_pictures import by_slashes, common_side, picture_file_limits, picture_path, read_picture_blocks
from mien.media.file_limits import LimitSwitch
from mien.settings import STRICT, PictureSide, names_in_text
from mien.tabular.csv_files import read_csv
from mien.tabular.csv_header import csv_columns
from mien.wording import with_suggestions

KNOWN = ("path", "label", "subject", "split", "sequence", "frame", "id", "source")
"""The columns that mien knows; `path` must be there."""


@dataclass(frozen=True, config=STRICT)
class Table(Source):
    """Pictures named in a CSV file; class names are those we know for the labels, sorted. An empty label is none, and so are
    nan, NA, null and the like. Splits are train, validation and test where they are written so in any way (Train, TEST, val).

    Ids are the paths as written, unless there is a column for them.
    """

    input: Path
    """The CSV file, with a header."""
    columns: dict[str, str] = field(default_factory=dict)
    """The file's column for each of path, label, subject, split, sequence, frame, id, source; "": do not take it."""
    classes: dict[str, str] = field(default_factory=dict)
    """Our class for a label of the file; "" for no label."""
    images: Path | None = None
    """Folder that the paths start from; the CSV file's own where none is given."""
    keep: Annotated[tuple[str, ...], BeforeValidator(names_in_text)] = ()
    """Other columns of the file to carry along."""
    side: PictureSide | None = None
    """Crop the central square and resize it to this side; without, all pictures must be squares of one size."""
    color: bool = False
    """Keep color; gray otherwise."""
    limits: LimitSwitch = "on"
    """Limits of the pictures' files: off, where they are known."""

    def info(self) -> Info:
        """Raises MienError where the table or its labels do not fit the settings, or no picture can be read."""
        table = self._read()
        side = self.side or common_side(self._paths(table), picture_file_limits(self.limits))
        channels = 3 if self.color else 1
        return Info(classes=self._classes(table), side=side, channels=channels, name=f"table {self.input.name}")

    def total(self) -> int:
        """The number of rows."""
        return len(self._read())

    @override
    def pictures(self) -> list[Path]:
        """The files of the pictures."""
        return self._paths(self._read())

    def blocks(self) -> Iterator[FaceBlock]:
        """Faces with id, label and the table's other columns."""
        table = self._read()
        names, labels = self._classes(table), self._labels(table)
        places = {name: place for place, name in enumerate(names)}
        columns: dict[str, pa.ChunkedArray | npt.NDArray[np.int64]] = {
            "id": table["id" if "id" in table.column_names else "path"],
            "label": np.array([places.get(name, -1) for name in labels], np.int64),
            **{name: table[name] for name in table.column_names if name not in ("id", "path", "label")},
        }
        for pictures in read_picture_blocks(self._paths(table), self.side, self.color, picture_file_limits(self.limits)):
            taken = {name: _take(values, pictures.index) for name, values in columns.items()}
            yield FaceBlock(pictures.faces, taken, pictures.rejected, pictures.notes)

    def _source_columns(self) -> dict[str, str]:
        """The file's column for each of ours, and the columns to keep by their own names."""
        unknown = [name for name in self.columns if name not in KNOWN]
        if unknown:
            raise MienError(
                f"columns among {', '.join(KNOWN)}",
                with_suggestions(unknown, KNOWN),
                "carry other columns along with keep (--set keep=NAME)",
            )
        taken = [name for name in self.keep if name in COLUMNS or name in self.columns.values()]
        if taken:
            raise MienError("other columns to keep than those taken", ", ".join(taken), "remove them from `keep`")
        found = csv_columns(self.input)
        own = {name: self.columns.get(name, name if name in found else "") for name in KNOWN}
        for name in ("path", "label"):
            if not own[name] and (name == "path" or name not in self.columns):
                todo = f"say which column it is: --columns {name}=ITS-NAME" + ("" if name == "path" else f", or {name}= for none")
                raise MienError(f"a column {name} in {self.input}", f"only {', '.join(found)}", todo)
        return {name: column for name, column in own.items() if column} | {name: name for name in self.keep}

    def _read(self) -> pa.Table:
        """The table with our column names. Raises MienError where it does not fit the settings."""
        wanted = self._source_columns()
        kinds: dict[str, pa.DataType | None] = {wanted[name]: pa.string() for name in wanted if name in KNOWN}
        if "frame" in wanted:
            kinds[wanted["frame"]] = pa.int32()
        found = read_csv(self.input, kinds | dict.fromkeys(self.keep))
        if not len(found):
            raise MienError(f"a row for each picture in {self.input}", "column names alone", "check that this is the right file")
        reads: dict[str, Callable[[str | None], str]] = {"split": split_name, "subject": text_or_none, "sequence": text_or_none}
        if not found[wanted["path"]].null_count:
            reads["path"] = lambda name: by_slashes(self._folder, name or "")
        columns = {name: found[column] for name, column in wanted.items()}
        table = pa.table({name: _read(values, reads[name]) if name in reads else values for name, values in columns.items()})
        ids = table["id" if "id" in table.column_names else "path"]
        if table["path"].null_count or ids.null_count:
            raise MienError(f"a path and an id in every row of {self.input}", "a row without", "mend or remove it")
        if pc.count_distinct(ids).as_py() != len(ids):
            counts = pc.value_counts(ids).to_pylist()
            twice = next(entry["values"] for entry in counts if entry["counts"] > 1)
            raise MienError(f"each id once in {self.input}", f"{twice!r} twice", "remove it, or name a column `id`")
        return table

    @property
    def _folder(self) -> Path:
        return self.images or self.input.parent

    def _paths(self, table: pa.Table) -> list[Path]:
        return [picture_path(self._folder, name) for name in table["path"].to_pylist()]

    def _labels(self, table: pa.Table) -> list[str]:
        """Our name of each row's class, "" for none. Raises MienError with the labels that nobody knows."""
        if "label" not in table.column_names:
            return [""] * len(table)
        written = [label_or_none(name, self.classes) for name in table["label"].to_pylist()]
        names = sorted({*written} - {""})
        ours = dict(zip(names, canonical_names(names, self.classes), strict=True))
        unknown = [name for name, known in ours.items() if known is None]
        if unknown:
            listed = with_suggestions(unknown, SYNONYMS)[:500]
            todo = 'map each by `classes` to an expression, or to "" for no label'
            raise MienError(f"labels in {self.input} that are expressions", listed, todo)
        return [ours.get(name) or "" for name in written]

    def _classes(self, table: pa.Table) -> tuple[str, ...]:
        return tuple(sorted({*self._labels(table)} - {""}))


def _read(column: pa.ChunkedArray, read: Callable[[str | None], str]) -> pa.ChunkedArray:
    """Texts as a function reads them; null where it gives ""."""
    known = pc.unique(column).to_pylist()
    ours = dict(zip(known, map(read, known), strict=True))
    return pa.chunked_array([pa.array([ours[name] or None for name in column.to_pylist()], pa.string())])


def _take(values: Any, rows: npt.NDArray[np.int64]) -> Any:
    """Some rows of a column of either kind."""
    return values[rows] if isinstance(values, np.ndarray) else values.take(pa.array(rows))
