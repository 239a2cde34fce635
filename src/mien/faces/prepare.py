"""Photos and videos to a face set, at any size: inputs are dealt into tasks, tasks become shards, shards become the set.

Whatever was done when a process is killed is done when it is asked the same again. Every input ends as faces or as a line, with
the reason, in rejected.csv.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from mien.data.faceset import BLOCK, FaceSet, Info
from mien.data.images import Side
from mien.data.importing import attach_rejected
from mien.data.source import Rejected
from mien.data.sources.folder import UNLABELED
from mien.data.writer import FaceSetWriter
from mien.disk import alone, read_json, write_aside
from mien.errors import MienError
from mien.expressions import rename
from mien.faces.align import align_from_text
from mien.faces.cut import Geometry
from mien.faces.detect import detector_from_text
from mien.faces.face import Which
from mien.faces.inputs import find_inputs
from mien.faces.places import Input
from mien.faces.quality import Limits
from mien.faces.shards import Making, Record, Task, read_record
from mien.faces.workers import work
from mien.progress import Progress, Silent
from mien.registry import STRICT, Positive

INPUTS = 64
"""Inputs of a task."""
FILE = "prepare.json"


@checked(frozen=True, config=STRICT)
class Preparing:
    """What `prepare` is asked."""

    inputs: Annotated[tuple[str, ...], Field(min_length=1)]
    """Folders, globs, photos, videos, lists of them, archives."""
    align: str = "eyes"
    """How faces are cut out: eyes, box, outline or whole, with settings."""
    detector: str = "mtcnn"
    """Which detector finds them, with settings."""
    which: Which = "largest"
    """Which faces of a photo."""
    side: Side = 48
    """Of a crop, in pixels."""
    color: bool = False
    """Keep color; gray otherwise."""
    every: Positive = 1.0
    """Seconds between the frames that are taken from a video."""
    limits: tuple[str, ...] = ()
    """Faces to keep, as `size>=40`."""
    labeled: bool = False
    """Folders are classes, and above them splits."""

    def making(self) -> Making:
        """Raises MienError for a way, a detector or a limit that is not known."""
        geometry = Geometry(self.align, self.detector, self.which)
        detector_from_text(self.detector)  # `whole` would not ask for it
        align_from_text(self.align)
        return Making(geometry, self.side, self.color, self.every, Limits.parse(self.limits))


@dataclass(frozen=True, eq=False)
class Prepared:
    """A new face set, and the inputs that gave no face."""

    faces: FaceSet
    inputs: int
    rejected: tuple[Rejected, ...]


def prepare(
    asked: Preparing, out: Path | str, workers: int = 1, cluster: str | None = None, progress: Progress | None = None
) -> Prepared:
    """Write the faces of photos and videos as a new set, and open it.

    Until it is whole, what is done lies in `.OUT.parts` beside it; asked the same again, it goes on there. `cluster`: see
    `mien.faces.workers`. Raises MienError where `out` exists, something else was begun there, the inputs are no longer those
    that it was begun with, another process works there, no input shows a face, or a setting cannot be.
    """
    out, bar, making = Path(out), progress or Silent(), asked.making()
    if out.exists() or out.is_symlink():
        raise MienError(f"nothing at {out} yet", "a file or folder", "choose another name, or remove it first")
    parts = out.parent / f".{out.name}.parts"
    count = sum(1 for _ in _inputs(asked))
    if not count:
        raise MienError("at least one photo or video", "none", "check the inputs")
    bar.begin("faces", count)
    with alone(parts):
        _claim(parts, asked)
        records = list[Record]()
        for record in _records(asked, making, parts, workers, cluster):
            records.append(record)
            bar.advance(record.inputs)
        records.sort(key=lambda record: record.number)
        rejected = tuple(one for record in records for one in record.rejected)
        faces = _join(asked, making, parts, records, rejected, out)
        for one in parts.iterdir():
            shutil.rmtree(one) if one.is_dir() else one.unlink(missing_ok=True)
    return Prepared(faces, count, rejected)


def _inputs(asked: Preparing) -> Iterator[Input]:
    return find_inputs(asked.inputs, labeled=asked.labeled)


def _claim(parts: Path, asked: Preparing) -> None:
    """Take the folder for this, or go on in it."""
    now = json.loads(json.dumps(asdict(asked)))
    file = parts / FILE
    if file.is_file():
        before = read_json(file, f"remove {parts}")
        other = [key for key in now if before.get(key) != now[key]]
        if other:
            expected = f"what {parts} was begun with, {other[0]} = {before.get(other[0])!r}"
            raise MienError(expected, repr(now[other[0]]), f"give the same again, or remove {parts} to begin anew")
    write_aside(file, json.dumps(now, indent=1).encode())


def _records(asked: Preparing, making: Making, parts: Path, workers: int, cluster: str | None) -> Iterator[Record]:
    """Of all tasks, in any order; what was done before is not done again."""
    done = list[Record]()

    def tasks() -> Iterator[Task]:
        found, number = _inputs(asked), 0
        while inputs := tuple(islice(found, INPUTS)):
            task = Task(number, inputs, making, str(parts.absolute()))
            number += 1
            before = read_record(task)
            if before is None:
                yield task
            else:
                done.append(before)

    for record in work(tasks(), workers, cluster):
        yield record
        while done:
            yield done.pop()
    yield from done


def _join(
    asked: Preparing, making: Making, parts: Path, records: Sequence[Record], rejected: tuple[Rejected, ...], out: Path
) -> FaceSet:
    """All shards as one set, with the classes that their folders are named for."""
    shards = [FaceSet.open(parts / record.shard) for record in records if record.faces]
    if not shards:
        listed = "; ".join(f"{one.path}: {one.reason}" for one in rejected[:3])
        raise MienError("at least one face", f"none in {len(rejected)} inputs ({listed})", "check the inputs, or the limits")
    found = shards[0].join(*shards[1:])
    columns = {name: found.column(name) for name in found.column_names}
    columns = {name: values for name, values in columns.items() if values.null_count < len(values)}
    folders = columns.get("source_label", pa.chunked_array([pa.nulls(len(found), pa.string())]))
    names = [name for name in pc.unique(folders).to_pylist() if name is not None]
    ours = {name: one or name for name, one in zip(names, rename(names, {}), strict=True) if name.lower() != UNLABELED}
    classes = tuple(sorted(set(ours.values())))
    numbers = {name: classes.index(one) for name, one in ours.items()}
    columns["label"] = pa.array(np.array([numbers.get(name, -1) for name in folders.to_pylist()], np.int64))
    title = f"faces of {', '.join(Path(one).name or one for one in asked.inputs[:3])}"
    info = Info(classes, side=asked.side, channels=3 if asked.color else 1, name=title, alignment=str(making.geometry))
    with FaceSetWriter(out, info) as writer:
        for start in range(0, len(found), BLOCK):
            rows = np.arange(start, min(len(found), start + BLOCK))
            writer.add(found.faces(rows), {name: values[start : start + len(rows)] for name, values in columns.items()})
        attach_rejected(writer, rejected)
    return FaceSet.open(out)
