"""Face sets as data frames of pandas, and as Parquet files and Arrow tables in the layout of Hugging Face `datasets`.

The package `datasets` itself is not needed, and nothing of it is imported: its layout is a column `image` with a PNG's bytes, and
the names of classes in the schema.
"""

import io
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from mien.installed import missing_extra, module_of_extra

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ModuleNotFoundError as error:
    raise missing_extra("frames", "the package pyarrow, which holds tables") from error

from mien.data.faceset import FaceSet
from mien.disk import replace_atomically
from mien.errors import MienError
from mien.folders import require_absent
from mien.json_text import to_json
from mien.media.photos import as_photo

IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
"""The type of pictures in `datasets`."""
ROWS = 1000
"""Faces written or read at a time."""
TODO = "embed square pictures of one size, such as PNGs, as bytes"


def to_pandas(faces: FaceSet) -> Any:
    """A `pandas.DataFrame` with the set's columns, a row for each face, and the name of its class under `class`.

    Pixels are not in it: row n is `faces.faces([n])`. Raises MienError where pandas is not installed.
    """
    module_of_extra("pandas")
    columns = {name: faces.column(name) for name in faces.column_names}
    names = [None if label < 0 else faces.classes[label] for label in faces.labels]
    frame = pa.table({**columns, "class": pa.array(names, pa.string())}).to_pandas()
    return frame


def from_pandas(frame: Any, pixels: npt.NDArray[np.uint8], classes: Sequence[str] = ()) -> FaceSet:
    """A set of faces, uint8 (N, S, S) or (N, S, S, 3), with the columns of a data frame of N rows.

    `label` holds numbers of `classes`, or a column `class` their names. `classes`: unless given, the names that are there,
    sorted. Raises MienError where rows and faces, or labels and classes, do not fit.
    """
    columns = {str(name): pa.Array.from_pandas(frame[name]) for name in frame.columns if name != "class"}
    labels = columns.pop("label", None)
    if "class" in frame.columns:
        named = [str(name) if isinstance(name, str) else None for name in frame["class"]]
        classes = tuple(classes) or tuple(sorted({name for name in named if name is not None}))
        unknown = sorted({name for name in named if name is not None} - set(classes))
        if unknown:
            raise MienError(f"classes among {', '.join(classes)}", ", ".join(unknown)[:200], "name them in `classes`")
        labels = [-1 if name is None else list(classes).index(name) for name in named]
    if "votes" in columns:
        columns["votes"] = [None if row is None else list(row) for row in frame["votes"]]
    return FaceSet.from_arrays(pixels, None if labels is None else np.asarray(labels), classes, columns)


def to_arrow(faces: FaceSet) -> pa.Table:
    """A table that `datasets.Dataset(table)` takes: `image` (PNG), `label` with the names of classes, and the other columns.

    Label -1 is no label there, too. Raises MienError for cached features.
    """
    return pa.Table.from_batches(list(_batches(faces)), _schema(faces))


def save_dataset(faces: FaceSet, folder: Path | str) -> list[Path]:
    """Write a new folder that `datasets.load_dataset(folder)` reads, a Parquet file for each split. Returns the files.

    Faces without a split are in `train`. Raises MienError where `folder` exists, and for cached features.
    """
    folder, schema = Path(folder), _schema(faces)
    require_absent(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    splits = faces.values("split") if "split" in faces.column_names else np.full(len(faces), None)
    names = np.array([re.sub(r"\W+", "_", split or "train") for split in splits], object)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as aside:
        whole = Path(aside, "whole")
        (whole / "data").mkdir(parents=True)
        for name in sorted(set(names)) or ["train"]:
            with pq.ParquetWriter(whole / "data" / f"{name}-00000-of-00001.parquet", schema) as writer:
                for batch in _batches(faces.select(names == name)):
                    writer.write_batch(batch)
        replace_atomically(whole, folder)
    return sorted((folder / "data").iterdir())


def from_arrow(table: pa.Table, classes: Sequence[str] = (), image: str = "image", label: str = "label") -> FaceSet:
    """A set in memory from a table of `datasets`, such as `dataset.with_format("arrow")[:]`, or of Parquet files in its layout.

    Pictures are squares of one size, embedded as bytes; where all are gray, so is the set. `classes`: unless given,
    those that the schema names. Raises MienError for other pictures and labels, and where classes are not named.
    """
    if image not in table.column_names or table.schema.field(image).type not in (IMAGE, pa.binary()):
        raise MienError(f"pictures as bytes in column {image}", ", ".join(table.column_names)[:200], TODO)
    classes = tuple(classes) or _named_classes(table, label)
    labels = table.column(label).to_numpy() if label in table.column_names else np.full(len(table), -1)
    if not classes and (np.asarray(labels, float) >= 0).any():
        raise MienError("names of the classes", f"labels in {label} without names", "give `classes`")
    kept = [name for name in table.column_names if name not in (image, label)]
    return FaceSet.from_arrays(_pixels(table.column(image)), labels, classes, {name: table.column(name) for name in kept})


def open_dataset(folder: Path | str, classes: Sequence[str] = (), image: str = "image", label: str = "label") -> FaceSet:
    """A set in memory from a folder of Parquet files in the layout of `datasets`, such as `save_dataset` writes.

    Files are named by their splits. Takes and raises what `from_arrow` does, and MienError where there are no such files.
    """
    files = sorted(path for path in Path(folder).rglob("*.parquet") if path.is_file())
    if not files:
        raise MienError(f"Parquet files in {folder}", "none", "check the path")
    sets = []
    for path in files:
        try:
            made = from_arrow(pq.read_table(path), classes, image, label)
        except (pa.ArrowException, OSError) as error:
            raise MienError(f"a table in {path}", str(error)[:200], "download it again") from error
        split = path.stem.partition("-")[0]
        sets.append(made if "split" in made.column_names else made.with_column("split", [split] * len(made)))
    return sets[0].join(*sets[1:])


def _schema(faces: FaceSet) -> pa.Schema:
    if faces.info.kind != "faces":
        raise MienError("a set of faces, which have pictures", f"one of {faces.info.kind}", "give the faces themselves")
    types = {name: faces.column(name).type for name in faces.column_names if name != "label"}
    features: dict[str, Any] = {"image": {"_type": "Image"}, "label": {"names": list(faces.classes), "_type": "ClassLabel"}}
    features |= {name: _feature(kind) for name, kind in types.items()}
    fields = [pa.field("image", IMAGE), pa.field("label", pa.int64()), *(pa.field(*one) for one in types.items())]
    return pa.schema(fields, {"huggingface": to_json({"info": {"features": features}}, indent=None)})


def _feature(kind: pa.DataType) -> dict[str, Any]:
    """The name of a type in `datasets`."""
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        length = kind.list_size if pa.types.is_fixed_size_list(kind) else -1
        return {"feature": _feature(kind.value_type), "length": length, "_type": "List"}
    names = {pa.float32(): "float32", pa.float64(): "float64", pa.bool_(): "bool"}
    return {"dtype": names.get(kind, str(kind)), "_type": "Value"}


def _batches(faces: FaceSet) -> Iterator[pa.RecordBatch]:
    schema = _schema(faces)
    for start in range(0, len(faces), ROWS):
        some = faces.select(np.arange(start, min(start + ROWS, len(faces))))
        pictures = [{"bytes": png_bytes(pixels), "path": None} for pixels in some.faces()]
        columns = {"image": pa.array(pictures, IMAGE), "label": pa.array(some.labels, pa.int64())}
        columns |= {name: some.column(name).combine_chunks() for name in schema.names if name not in columns}
        yield pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def png_bytes(pixels: npt.NDArray[np.uint8]) -> bytes:
    """The content of a PNG file with these pixels, (S, S) or (S, S, 3)."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def _named_classes(table: pa.Table, label: str) -> tuple[str, ...]:
    """The names of classes in the schema; none where it says nothing."""
    try:
        said = json.loads((table.schema.metadata or {})[b"huggingface"])["info"]["features"][label]["names"]
        return tuple(map(str, said))
    except (KeyError, TypeError, ValueError):
        return ()


def _pixels(column: pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    """The pictures, (N, S, S) or (N, S, S, 3). Raises MienError where one is none, or of another size."""
    read = list[npt.NDArray[np.uint8]]()
    for entry in column.to_pylist():
        content = entry.get("bytes") if isinstance(entry, dict) else entry
        if not content:
            raise MienError(f"the bytes of picture {len(read)}", "none, or a path", TODO)
        read.append(as_photo(content))
        if read[-1].shape != read[0].shape or read[-1].shape[0] != read[-1].shape[1]:
            height, width = read[-1].shape[:2]
            raise MienError("square pictures of one size", f"one of {width} x {height} at {len(read) - 1}", TODO)
    if not read:
        raise MienError("pictures", "none", TODO)
    pixels = np.stack(read)
    return pixels[..., 0].copy() if (pixels == pixels[..., :1]).all() else pixels
