"""Photos and videos to a face set, at any size: inputs are dealt into tasks, tasks become shards, shards become the set.

Whatever was done when a process is killed is done when it is asked the same again. Every input ends as faces or as a line, with
the reason, in rejected.csv.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from mien.data.faceset import BLOCK, FaceSet, Info
from mien.data.images import Side
from mien.data.importing import attach_rejected
from mien.data.source import Rejected
from mien.data.sources.folder import UNLABELED
from mien.data.writer import FaceSetWriter
from mien.disk import LOCK, alone, read_json, write_aside
from mien.errors import MienError
from mien.expressions import rename
from mien.faces.cut import Geometry
from mien.faces.detect import detector_from_text
from mien.faces.face import Which
from mien.faces.inputs import find_inputs, printable
from mien.faces.places import Input
from mien.faces.quality import Limits
from mien.faces.shards import Making, Record, Task, read_record, record_at, state_of
from mien.faces.workers import work
from mien.progress import Progress, Silent
from mien.registry import STRICT, Positive

INPUTS, BYTES = 64, 1 << 26
"""Inputs of a task, and bytes that they may bring along."""
FILE, WHOLE = "prepare.json", "whole"
"""In the folder of what is done: what was asked, and the set before it is where it belongs."""


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
        """Raises MienError for a way, a detector or a limit that is not known, and for those that do not go together."""
        geometry, limits = Geometry(self.align, self.detector, self.which), Limits.parse(self.limits)
        detector_from_text(self.detector)  # `whole` would not ask for it
        geometry.require_workable()
        limits.require_measurable(geometry.gives_landmarks)
        return Making(geometry, self.side, self.color, self.every, limits)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A new face set, and how many inputs there were and lines in its rejected.csv."""

    faces: FaceSet
    inputs: int
    rejected: int


def prepare(
    asked: Preparing, out: Path | str, workers: int = 1, cluster: str | None = None, progress: Progress | None = None
) -> Prepared:
    """Write the faces of photos and videos as a new set, and open it.

    Until it is whole, what is done lies in `.OUT.parts` beside it; asked the same again, it goes on there, and reads again
    what has changed since. `cluster`: see `mien.faces.workers`. Raises MienError where `out` exists, something else was begun
    there, another process works there, no input shows a face or, with `labeled`, has a label, or a setting cannot be.
    """
    out, bar, making = Path(out), progress or Silent(), asked.making()
    _require_nothing(out)
    parts = out.parent / f".{out.name}.parts"
    count = _count(asked)
    bar.begin("faces", count)
    with alone(parts):
        _require_nothing(out)  # another process may have been done meanwhile
        _claim(parts, asked)
        tasks = 0
        for record in _records(asked, making, parts, workers, cluster):
            tasks = max(tasks, record.number + 1)
            bar.advance(record.inputs)
        rejected = _join(asked, making, parts, tasks, out)
        _clear(parts)
    return Prepared(FaceSet.open(out), count, rejected)


def _require_nothing(out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise MienError(f"nothing at {out} yet", "a file or folder", "choose another name, or remove it first")


def _inputs(asked: Preparing) -> Iterator[Input]:
    return find_inputs(asked.inputs, labeled=asked.labeled)


def _count(asked: Preparing) -> int:
    count, labels = 0, False
    for one in _inputs(asked):
        count, labels = count + 1, labels or bool(one.label)
    if not count:
        raise MienError("at least one photo or video", "none", "check the inputs")
    if asked.labeled and not labels:
        raise MienError("photos in class folders", "none", "give the folder that holds the class folders, or leave out --labeled")
    return count


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

    def undone() -> Iterator[Task]:
        for number, inputs in enumerate(_dealt(_inputs(asked))):
            task = Task(number, inputs, making, str(parts.absolute()), state_of(inputs))
            before = read_record(task)
            if before is None:
                yield task
            else:
                done.append(before)

    for record in work(undone(), workers, cluster):
        yield record
        while done:
            yield done.pop()
    yield from done


def _dealt(inputs: Iterable[Input]) -> Iterator[tuple[Input, ...]]:
    """Inputs in lots, smaller ones where they bring their bytes along."""
    lot, held = list[Input](), 0
    for one in inputs:
        lot.append(one)
        held += len(one.content or b"")
        if len(lot) >= INPUTS or held >= BYTES:
            yield tuple(lot)
            lot, held = [], 0
    if lot:
        yield tuple(lot)


def _join(asked: Preparing, making: Making, parts: Path, tasks: int, out: Path) -> int:
    """All shards, one after the other, as one set, with the classes that their folders are named for; the rejected inputs."""
    faces, labels, columns, rejected = 0, set[str](), set[str](), 0
    for record in _recorded(parts, tasks):
        faces, rejected = faces + record.faces, rejected + len(record.rejected)
        labels, columns = labels.union(record.labels), columns.union(record.columns)
    if not faces:
        listed = "; ".join(f"{one.path}: {one.reason}" for one in islice(_rejected(parts, tasks), 3))
        raise MienError("at least one face", f"none in {rejected} inputs ({listed})", "check the inputs, or the limits")
    names = sorted(labels)
    ours = {name: one or name for name, one in zip(names, rename(names, {}), strict=True) if name.lower() != UNLABELED}
    classes = tuple(sorted(set(ours.values())))
    numbers = {name: classes.index(one) for name, one in ours.items()}
    title = f"faces of {', '.join(printable(Path(one).name or one) for one in asked.inputs[:3])}"
    info = Info(classes, side=asked.side, channels=3 if asked.color else 1, name=title, alignment=str(making.geometry))
    whole = parts / WHOLE
    for left in (whole, *parts.glob(f".{WHOLE}.*")):  # a process that was killed here
        shutil.rmtree(left, ignore_errors=True)
    with FaceSetWriter(whole, info) as writer:
        for pixels, table in _blocks(parts, tasks):
            folders = table.column("source_label").to_pylist()
            label = pa.array([numbers.get(name, -1) for name in folders], pa.int64())
            kept = {name: table.column(name) for name in table.column_names if name in columns}
            writer.add(pixels, kept | {"label": label})
        attach_rejected(writer, _rejected(parts, tasks))
    whole.rename(out)
    return rejected


def _recorded(parts: Path, tasks: int) -> Iterator[Record]:
    """The records of all tasks, in their order, read when they are due."""
    return (record_at(parts, number) for number in range(tasks))


def _rejected(parts: Path, tasks: int) -> Iterator[Rejected]:
    return (one for record in _recorded(parts, tasks) for one in record.rejected)


def _blocks(parts: Path, tasks: int) -> Iterator[tuple[npt.NDArray[np.uint8], pa.Table]]:
    """The faces and columns of all shards, some at a time."""
    pixels, tables, rows = list[npt.NDArray[np.uint8]](), list[pa.Table](), 0
    for record in _recorded(parts, tasks):
        if not record.faces:
            continue
        shard = FaceSet.open(parts / record.shard)
        pixels.append(np.array(shard.faces(np.arange(len(shard)))))
        tables.append(pa.table({name: shard.column(name) for name in shard.column_names}))
        rows += len(shard)
        if rows >= BLOCK:
            yield np.concatenate(pixels), pa.concat_tables(tables)
            pixels, tables, rows = [], [], 0
    if rows:
        yield np.concatenate(pixels), pa.concat_tables(tables)


def _clear(parts: Path) -> None:
    """Remove what was done, and then what was asked: whoever is killed here leaves nothing that counts as done for another."""
    for one in sorted(parts.iterdir(), key=lambda one: (one.name == FILE, one.is_dir())):
        if one.name != LOCK:
            shutil.rmtree(one) if one.is_dir() else one.unlink(missing_ok=True)
