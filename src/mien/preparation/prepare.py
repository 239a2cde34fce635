"""Photos and videos to a face set, at any size: inputs are dealt into tasks, tasks become shards, shards become the set.

Whatever was done when a process is killed is done when it is asked the same again. Every input ends as faces or as a line, with
the reason, in rejected.csv.
"""

import json
import shutil
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass as checked

from mien.data.faceset import BLOCK, FaceSet
from mien.data.format import Info
from mien.data.importing import NOTES, attach_rejected, told_notes
from mien.data.source import names_in_text
from mien.data.splits import TOGETHER, draw_test, group_by_names
from mien.data.writer import FaceSetWriter
from mien.disk import LOCK, alone, replace_atomically, write_atomically
from mien.errors import MienError
from mien.expressions import canonical_names
from mien.faces.crop import NO_FACE, TURN, CropSpec
from mien.faces.detect import detector_from_text
from mien.faces.face import Which
from mien.faces.quality import QualityLimits
from mien.json_text import to_json
from mien.json_toml import read_json
from mien.media.face_pictures import PictureSide
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.media.find_source_files import escaped_name, find_source_files
from mien.media.rejections import Rejected
from mien.media.source_files import SourceFile
from mien.preparation.list_columns import check_kept, column_types, columns_left_out
from mien.preparation.photo_note import write_photo_note
from mien.preparation.shards import KINDS, Making, Record, Task, read_record, record_at, state_of
from mien.preparation.workers import work
from mien.progress import Progress, Silent
from mien.settings import STRICT, Seconds, Seed, Threads, plain_errors, require_fitting
from mien.wording import quantity

INPUTS, BYTES = 64, 1 << 26
"""Inputs of a task, and bytes that they may bring along."""
FILE, WHOLE = "prepare.json", "whole"
"""In the folder of what is done: what was asked, and the set before it is where it belongs."""
NAMED = 12
"""Most classes whose faces are counted in a line."""


@plain_errors
@checked(frozen=True, config=STRICT)
class PreparationSettings:
    """What `prepare` is asked."""

    inputs: Annotated[tuple[str, ...], Field(min_length=1)]
    """Folders, globs, photos, videos, lists of them, archives."""
    align: str = "eyes"
    """How faces are cut out: eyes, box, outline or whole, with settings."""
    detector: str = "mtcnn"
    """Which detector finds them, with settings."""
    which: Which = "largest"
    """Which faces of a photo."""
    side: PictureSide = 48
    """Of a crop, in pixels."""
    color: bool = False
    """Keep color; gray otherwise."""
    every: Seconds = 1.0
    """Seconds between the frames that are taken from a video."""
    limits: tuple[str, ...] = ()
    """Faces to keep, as `size>=40`."""
    labeled: bool = False
    """Folders are classes, and above them splits."""
    classes: dict[str, str] = field(default_factory=dict)
    """Our class for the name of a folder or a label; "" for no label."""
    test: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.0
    """Share of the faces that becomes the split `test`, the rest `train`: whole people, videos and photos."""
    seed: Seed = 0
    """Draws those."""
    keep: Annotated[tuple[str, ...], BeforeValidator(names_in_text)] = ()
    """Other columns of lists to take along."""
    turn: bool = False
    """Look for faces in photos that lie on their side or upside down, too."""

    def making(self, files: FileLimits = FILE_LIMITS) -> Making:
        """Raises MienError for a way, a detector or a limit that is not known, and for those that do not go together."""
        geometry, limits = CropSpec(self.align, self.detector, self.which), QualityLimits.parse(self.limits)
        detector_from_text(self.detector)  # `whole` would not ask for it
        geometry.require_workable()
        limits.require_measurable(geometry.gives_landmarks)
        return Making(geometry, self.side, self.color, self.every, limits, files, self.turn, self.keep)


@dataclass(frozen=True, eq=False)
class PreparedSet:
    """A new face set, and how many inputs there were and lines in its rejected.csv."""

    faces: FaceSet
    inputs: int
    rejected: int
    labels: Mapping[str, int]
    """How many faces each class has."""

    @property
    def unlabeled(self) -> int:
        """Faces without label."""
        return len(self.faces) - sum(self.labels.values())


@dataclass(frozen=True)
class Survey:
    """What lies at inputs."""

    photos: int
    """And videos."""
    labels: Mapping[str, int]
    """How many of them are in the folders of each name; "": in none."""
    loose: int
    """Those that lie in the one folder that was given itself."""
    splits: bool
    """Whether some have a split."""
    fault: str = ""
    """Why the first one cannot be read of which that is known."""


def prepare_faces(
    asked: PreparationSettings,
    out: Path | str,
    workers: int = 1,
    cluster: str | None = None,
    progress: Progress | None = None,
    limits: FileLimits = FILE_LIMITS,
) -> PreparedSet:
    """Write the faces of photos and videos as a new set, and open it.

    Until it is whole, what is done lies in `.OUT.parts` beside it; asked the same again, it goes on there, and reads
    again what has changed since. An error on the way has a note that names that folder; where nothing was done yet, or no
    face was found, it is removed. `cluster`: see `mien.preparation.workers`. With `test`, in memory are a number and the
    names of every face. Files beyond the `limits` are rejected.

    Raises MienError where `out` exists, something else was begun there, another process works there, no input shows a face
    or, with `labeled`, has a label, inputs for `test` have splits, or a setting cannot be.
    """
    require_fitting(Threads, workers=workers)
    out, bar, making = Path(out), progress or Silent(), asked.making(limits)
    _require_nothing(out)
    check_kept(asked.inputs, asked.keep, (*KINDS, "path"))
    parts = out.parent / f".{out.name}.parts"
    count = _require_fitting(asked, survey_inputs(asked, limits))
    if more := columns_left_out(asked.inputs, (*KINDS, "path", *asked.keep)):
        bar.say(more)
    bar.begin("photos and videos", count)
    with alone(parts):
        _require_nothing(out)  # another process may have been done meanwhile
        _claim(parts, asked)
        with _kept(parts), closing(_records(asked, making, parts, workers, cluster)) as records:
            tasks = 0
            for record in records:
                tasks = max(tasks, record.number + 1)
                bar.advance(record.inputs)
            rejected = _join(asked, making, parts, tasks, out, bar)
        _clear(parts)
    faces = FaceSet.open(out)
    labels = faces.labels
    counts = np.bincount(labels[labels >= 0], minlength=len(faces.classes)).tolist()
    done = PreparedSet(faces, count, rejected, dict(zip(faces.classes, counts, strict=True)))
    if done.labels:
        bar.say(f"labels: {_listed(done.labels)}, {quantity(done.unlabeled, 'face')} without")
    return done


def survey_inputs(asked: PreparationSettings, limits: FileLimits = FILE_LIMITS) -> Survey:
    """Count what lies at the inputs; raises MienError as `find_source_files` does."""
    labels, loose, splits, faulty = Counter[str](), 0, False, ""
    for one in _inputs(asked, limits):
        labels[one.label] += 1
        loose += not one.label and "/" not in one.name
        splits, faulty = splits or bool(one.split), faulty or (one.fault and f"{one.name}: {one.fault}")
    return Survey(labels.total(), labels, loose if len(asked.inputs) == 1 else 0, splits, faulty)


def classes_of(labels: Iterable[str], own: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Our class for each name of a class folder, where it is one: by the user's `own` map first."""
    names = sorted(set(labels) - {""})
    return {name: name if one is None else one for name, one in zip(names, canonical_names(names, own), strict=True) if one != ""}


def _listed(counts: Mapping[str, int]) -> str:
    """The first classes and their faces, in words."""
    more = len(counts) - NAMED
    told = [f"{name} {count}" for name, count in islice(counts.items(), NAMED)]
    return ", ".join(told + ([f"{quantity(more, 'more class', 'more classes')}"] if more > 0 else []))


def _require_nothing(out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise MienError(f"nothing at {out} yet", "a file or folder", "choose another name, or remove it first")


def _inputs(asked: PreparationSettings, limits: FileLimits) -> Iterator[SourceFile]:
    return find_source_files(asked.inputs, labeled=asked.labeled, limits=limits, mapped=asked.classes, keep=asked.keep)


def _require_fitting(asked: PreparationSettings, found: Survey) -> int:
    """How many photos and videos there are. Raises MienError where they do not fit what is asked."""
    if not found.photos:
        raise MienError("at least one photo or video", "none", "check the inputs")
    if asked.labeled and not classes_of(found.labels, asked.classes):
        loose = f", but {found.loose} in {escaped_name(asked.inputs[0])} itself, without a class folder" if found.loose else ""
        loose = f"; {found.fault}" if found.fault else loose
        todo = "give the folder that holds the class folders, or leave out --labeled"
        raise MienError("photos in class folders", f"none{loose}", todo)
    if unknown := sorted(set(asked.classes) - set(found.labels)):
        listed = ", ".join(sorted({name for name in found.labels if name})[:NAMED]) or "none"
        raise MienError(f"labels {', '.join(unknown)} in the inputs", listed, "change the map of classes")
    if asked.test and found.splits:
        raise MienError("inputs without splits, to make a test split", "some with splits", "leave --test out")
    return found.photos


@contextmanager
def _kept(parts: Path) -> Iterator[None]:
    """Whatever ends the work before it is done says where the rest can go on; where nothing is done, nothing is left."""
    try:
        yield
    except BaseException as error:
        if any(parts.glob("*[0-9].json")):
            error.add_note(f"what is done lies in {parts}: give the same command again to go on, or remove it")
        else:
            with suppress(OSError):  # the error itself is what matters
                _clear(parts)
            if not isinstance(error, Exception):
                error.add_note("nothing is done yet: give the same command again to begin anew")
        raise


def _claim(parts: Path, asked: PreparationSettings) -> None:
    """Take the folder for this, or go on in it."""
    now, usual = (json.loads(to_json(one)) for one in (asked, PreparationSettings(asked.inputs)))
    file = parts / FILE
    if file.is_file():
        before = read_json(file, f"remove {parts}")
        other = [key for key in now if before.get(key, usual[key]) != now[key]]  # it may lack what is new
        if other:
            expected = f"what {parts} was begun with, {other[0]} = {before.get(other[0])!r}"
            raise MienError(expected, repr(now[other[0]]), f"give the same again, or remove {parts} to begin anew")
    write_atomically(file, to_json(now).encode())


def _records(
    asked: PreparationSettings, making: Making, parts: Path, workers: int, cluster: str | None
) -> Generator[Record, None, None]:
    """Of all tasks, in any order; what was done before is not done again."""
    done = list[Record]()

    def undone() -> Iterator[Task]:
        for number, inputs in enumerate(_dealt(_inputs(asked, making.files))):
            task = Task(number, inputs, making, str(parts.absolute()), state_of(inputs, making.files))
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


def _dealt(inputs: Iterable[SourceFile]) -> Iterator[tuple[SourceFile, ...]]:
    """Inputs in lots, smaller ones where they bring their bytes along."""
    lot, held = list[SourceFile](), 0
    for one in inputs:
        lot.append(one)
        held += len(one.content or b"")
        if len(lot) >= INPUTS or held >= BYTES:
            yield tuple(lot)
            lot, held = [], 0
    if lot:
        yield tuple(lot)


def _join(asked: PreparationSettings, making: Making, parts: Path, tasks: int, out: Path, bar: Progress) -> int:
    """All shards, one after the other, as one set, with the classes that their folders are named for; the rejected inputs."""
    faces, labels, columns, rejected = 0, set[str](), set[str](), 0
    for record in _recorded(parts, tasks):
        faces, rejected = faces + record.faces, rejected + len(record.rejected)
        labels, columns = labels.union(record.labels), columns.union(record.columns)
    if not faces:
        listed = "; ".join(f"{one.path}: {one.reason}" for one in islice(_rejected(parts, tasks), 3))
        _clear(parts)  # other limits would be something else than was begun
        raise MienError("at least one face", f"none in {rejected} inputs ({listed})", "check the inputs, or the limits")
    ours = classes_of(labels, asked.classes)
    classes = tuple(sorted(set(ours.values())))
    numbers = {name: classes.index(one) for name, one in ours.items()}
    title = f"faces of {', '.join(escaped_name(Path(one).name or one) for one in asked.inputs[:3])}"
    info = Info(classes, side=asked.side, channels=3 if asked.color else 1, name=title, alignment=str(making.geometry))
    whole = parts / WHOLE
    for left in (whole, *parts.glob(f".{WHOLE}.*")):  # a process that was killed here
        shutil.rmtree(left, ignore_errors=True)
    kinds = column_types((_table(shard, asked.keep) for shard in _shards(parts, tasks)), asked.keep)
    held_out = _draw_test(asked, parts, tasks, numbers, bar) if asked.test else None
    with FaceSetWriter(whole, info) as writer:
        start = 0
        for pixels, table in _blocks(parts, tasks):
            kept = {name: table.column(name) for name in table.column_names if name in columns}
            kept |= {name: kept[name].cast(kind) for name, kind in kinds.items() if name in kept}
            kept["label"] = pa.array(_numbered(table, numbers))
            if held_out is not None:
                kept["split"] = pa.array(np.where(held_out[start : start + len(table)], "test", "train"))
            writer.add(pixels, kept)
            start += len(table)
        attach_rejected(writer, _rejected(parts, tasks))
        attach_rejected(writer, _notes(parts, tasks), NOTES)
        write_photo_note(writer, asked.inputs, out)
    _say_notes(asked, parts, tasks, bar)
    replace_atomically(whole, out)
    return rejected


def _say_notes(asked: PreparationSettings, parts: Path, tasks: int, bar: Progress) -> None:
    """What is to be said of photos, and what may be done where no face is found in some."""
    if notes := list(_notes(parts, tasks)):
        bar.say(told_notes(notes))
    lost = sum(one.reason == NO_FACE for one in _rejected(parts, tasks))
    if lost and not asked.turn:
        bar.say(f"no face found in {lost} of the inputs; {TURN}")


def _numbered(table: pa.Table, numbers: Mapping[str, int]) -> npt.NDArray[np.int64]:
    """(n,) labels, -1 for none."""
    return np.array([numbers.get(name, -1) for name in table.column("source_label").to_pylist()], np.int64)


def _draw_test(
    asked: PreparationSettings, parts: Path, tasks: int, numbers: Mapping[str, int], bar: Progress
) -> npt.NDArray[np.bool_]:
    """(N,) which faces of all shards become the split `test`; says of how many people, videos and photos they are."""
    columns = {**TOGETHER, "photos": "photo"}
    table = pa.concat_tables(_table(shard, ["source_label", *columns.values()]) for shard in _shards(parts, tasks))
    groups = group_by_names({kind: table.column(name) for kind, name in columns.items()})
    held_out, rows = draw_test(_numbered(table, numbers), groups.of, asked.test, asked.seed), np.arange(len(table))
    bar.say(f"test: {groups.tell(rows[held_out], rows)}, {held_out.sum()} of {quantity(len(rows), 'face')}")
    return held_out


def _recorded(parts: Path, tasks: int) -> Iterator[Record]:
    """The records of all tasks, in their order, read when they are due."""
    return (record_at(parts, number) for number in range(tasks))


def _notes(parts: Path, tasks: int) -> Iterator[Rejected]:
    return (one for record in _recorded(parts, tasks) for one in record.notes)


def _rejected(parts: Path, tasks: int) -> Iterator[Rejected]:
    return (one for record in _recorded(parts, tasks) for one in record.rejected)


def _shards(parts: Path, tasks: int) -> Iterator[FaceSet]:
    """Those with faces, one open at a time."""
    return (_shard(parts, record) for record in _recorded(parts, tasks) if record.faces)


def _shard(parts: Path, record: Record) -> FaceSet:
    shard = FaceSet.open(parts / record.shard)
    if len(shard) != record.faces:
        found = f"{len(shard)} in {parts / record.shard}"
        raise MienError(f"{record.faces} faces of task {record.number}", found, f"remove {parts} to begin anew")
    return shard


def _table(shard: FaceSet, names: Iterable[str]) -> pa.Table:
    return pa.table({name: shard.column(name) for name in names})


def _blocks(parts: Path, tasks: int) -> Iterator[tuple[npt.NDArray[np.uint8], pa.Table]]:
    """The faces and columns of all shards, some at a time."""
    pixels, tables, rows = list[npt.NDArray[np.uint8]](), list[pa.Table](), 0
    for shard in _shards(parts, tasks):
        pixels.append(np.array(shard.faces(np.arange(len(shard)))))
        tables.append(_table(shard, shard.column_names))
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
