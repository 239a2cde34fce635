"""Shards: some inputs become a small face set of its own, with a record of what became of each input.

Any process or machine that sees the folder may make a shard; whoever makes it again makes the same.
"""

import hashlib
import os
import re
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mien.data.format import COLUMNS, Info
from mien.data.writer import FaceSetWriter
from mien.disk import write_atomically
from mien.errors import MienError
from mien.faces.crop import Crops, CropSpec, crop_faces
from mien.faces.quality import MEASURES, QualityLimits, measure_quality
from mien.faces.which_faces import Turns
from mien.folders import LOCK
from mien.json_text import to_json
from mien.json_toml import read_settings
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.media.photos_and_frames import PhotoOrFrame, in_batches, read_photos_and_frames
from mien.media.rejections import Rejected
from mien.media.source_files import SourceFile
from mien.wording import brief_repr

ASKED = "prepare.json"
"""The file of settings that shards were made with, in the folder of shards."""
TEXTS = ("id", "photo", "source_label", "split", "subject", "sequence")
KINDS = {name: COLUMNS.get(name, pa.string()) for name in TEXTS}
KINDS |= {"label": COLUMNS["label"], "frame": COLUMNS["frame"], "time": pa.float32()}
KINDS |= {name: COLUMNS[name] for name in ("box", "landmarks", "score")} | dict.fromkeys(MEASURES, pa.float32())
"""The columns of every shard; without a value where an input has none."""


@dataclass(frozen=True)
class ShardSettings:
    """How the faces of a shard are made from photos."""

    crop_spec: CropSpec
    """How faces are found and cut out."""
    side: int
    """The side of a crop in pixels."""
    color: bool
    """Whether crops keep their colors."""
    every: float
    """Seconds between the frames taken from a video."""
    limits: QualityLimits
    """Faces beyond these limits are left out."""
    files: FileLimits = FILE_LIMITS
    """Photos and videos beyond these limits are rejected."""
    turn: Turns = "off"
    """Which photos may lie in any direction."""
    keep: tuple[str, ...] = ()
    """Columns of lists to take along, as texts."""


@dataclass(frozen=True)
class ShardTask:
    """A shard to be made, from which inputs and how."""

    number: int
    """The number of the task, from 0."""
    inputs: tuple[SourceFile, ...]
    """The photos and videos to read."""
    making: ShardSettings
    """How faces are made from them."""
    folder: str
    """The folder of all shards."""
    state: str
    """A hash of the inputs as they were when the task was dealt."""

    @property
    def record(self) -> Path:
        """The file that says that the task is done."""
        return Path(self.folder, f"{self.number:08d}.json")


@dataclass(frozen=True)
class ShardRecord:
    """What became of a task's inputs; it lies in a JSON file."""

    number: int
    """The number of the task."""
    state: str
    """The hash of the inputs when the task was dealt."""
    inputs: int
    """The number of inputs."""
    faces: int
    """The number of faces."""
    shard: str
    """The folder of its faces, beside the record."""
    labels: tuple[str, ...]
    """The labels of its inputs, each once."""
    columns: tuple[str, ...]
    """The columns in which a face has a value."""
    rejected: tuple[Rejected, ...]
    """The inputs that gave no face, and why."""
    notes: tuple[Rejected, ...] = ()
    """Photos that were read, and notes about them."""


def state_of(inputs: Sequence[SourceFile], limits: FileLimits = FILE_LIMITS) -> str:
    """A hash of inputs: their names, labels and places, sizes and times of their files; and of limits other than usual."""
    digest = hashlib.sha256(b"" if limits == FILE_LIMITS else repr(limits).encode())
    for one in inputs:
        try:
            status = os.stat(one.path)
            file = (status.st_size, status.st_mtime_ns)
        except (OSError, ValueError):  # a name with a null byte is none
            file = (-1, -1)
        content = hashlib.sha256(one.content or b"").hexdigest()
        known = (one.name, one.label, one.split, one.subject, one.fault, one.member, file, content, *one.more)
        digest.update(repr(known).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def read_record(task: ShardTask) -> ShardRecord | None:
    """The record of a task that was done before; None where it was not, or its inputs have changed since."""
    if not task.record.is_file():
        return None
    record = record_at(Path(task.folder), task.number)
    return record if record.state == task.state else None


def record_at(folder: Path, number: int) -> ShardRecord:
    """The record of a task that is done, by its number. Raises MienError where it is damaged, or another's."""
    file, todo = folder / f"{number:08d}.json", f"remove {folder} to begin anew"
    record = read_settings(ShardRecord, file, todo)
    if record.number != number or not re.fullmatch(rf"{number:08d}-[0-9a-f]{{8}}", record.shard):
        raise MienError(f"the record of task {number} in {file}", f"that of {record.number}, {brief_repr(record.shard)}", todo)
    return record


def make_shard(task: ShardTask, beat: Callable[[], None] = lambda: None) -> ShardRecord:
    """Do a task. An input that cannot be read, or shows no face, is rejected with the reason.

    `beat` is called for each photo and frame, and after each batch. Raises OSError where the disk fails.
    """
    shard = f"{task.number:08d}-{secrets.token_hex(4)}"
    kept, filled, reasons, unread = Counter[str](), set[str](), dict[str, str](), list[Rejected]()
    notes = list[Rejected]()
    info = Info(classes=(), side=task.making.side, channels=3 if task.making.color else 1, alignment=str(task.making.crop_spec))
    with FaceSetWriter(Path(task.folder, shard), info) as writer:
        writer.add(*_rows([], _no_crops(task.making), task.making)[:2])
        for batch in in_batches(read_photos_and_frames(task.inputs, task.making.every, unread, task.making.files, beat)):
            beat()
            crops = _crops_of(batch, task.making)
            faces, columns, left = _rows(batch, crops, task.making)
            notes += _notes(batch, crops)
            kept.update(str(name) for name in columns["photo"].to_pylist())
            filled |= {name for name, values in columns.items() if values.null_count < len(values)}
            reasons |= {one.input.name: left[number] for number, one in enumerate(batch) if number in left}
            if len(faces):
                writer.add(faces, columns)
    said = {one.path for one in unread}
    empty = [
        Rejected(one.name, reasons[one.name]) for one in task.inputs if one.name in reasons.keys() - said and not kept[one.name]
    ]
    labels = tuple(sorted({one.label for one in task.inputs if one.label}))
    counts = (len(task.inputs), kept.total())
    record = ShardRecord(task.number, task.state, *counts, shard, labels, tuple(sorted(filled)), (*unread, *empty), tuple(notes))
    write_atomically(task.record, to_json(record, indent=None).encode())
    return record


def _crops_of(batch: Sequence[PhotoOrFrame], making: ShardSettings) -> Crops:
    """The crops of photos and frames. A photo on which a library fails has none, and the others have theirs."""
    try:
        return crop_faces([one.pixels for one in batch], making.crop_spec, making.side, making.color, making.turn)
    except (cv2.error, RuntimeError, MemoryError) as error:
        if len(batch) == 1:
            return replace(_no_crops(making), empty={0: f"a photo that cannot be looked at ({error})"})
    parts = [_crops_of([one], making) for one in batch]
    return Crops(
        np.concatenate([part.faces for part in parts]),
        np.repeat(np.arange(len(parts)), [len(part.found) for part in parts]),
        tuple(face for part in parts for face in part.found),
        {number: why for number, part in enumerate(parts) for why in part.empty.values()},
        {number: times for number, part in enumerate(parts) for times in part.turned.values()},
    )


def _notes(batch: Sequence[PhotoOrFrame], crops: Crops) -> list[Rejected]:
    """The notes about photos; a video has too many frames for notes."""
    said = list[Rejected]()
    for number, one in enumerate(batch):
        turned = f"turned to the left by {90 * crops.turned[number]} degrees" if number in crops.turned else ""
        if one.time is None and (one.notes or turned):
            said.append(Rejected(one.input.name, "; ".join([*one.notes, *([turned] if turned else [])])))
    return said


def _no_crops(making: ShardSettings) -> Crops:
    shape = (0, making.side, making.side, 3) if making.color else (0, making.side, making.side)
    return Crops(np.zeros(shape, np.uint8), np.zeros(0, np.int64), (), {})


def _rows(
    batch: Sequence[PhotoOrFrame], crops: Crops, making: ShardSettings
) -> tuple[npt.NDArray[np.uint8], dict[str, pa.Array], dict[int, str]]:
    """Faces within the limits, their columns, and why others of `batch` have none."""
    measures = measure_quality(crops.faces, crops.found)
    broken = [
        making.limits.broken({name: abs(float(values[n])) for name, values in measures.items()}) for n in range(len(crops.found))
    ]
    left = dict(crops.empty) | {int(crops.photo[n]): why for n, why in enumerate(broken) if why}
    keep = [n for n, why in enumerate(broken) if not why]
    of = [batch[crops.photo[n]] for n in keep]
    places = Counter[str]()
    ids = list[str]()
    for one in of:
        places[one.name] += 1
        ids.append(f"{one.name}#{places[one.name]}" if making.crop_spec.which == "all" else one.name)
    lying = crops.lying([one.pixels for one in batch])
    found = [lying[n] for n in keep]
    values: dict[str, Sequence[Any]] = {
        "id": ids,
        "label": [-1] * len(keep),
        "photo": [one.input.name for one in of],
        "source_label": [one.input.label or None for one in of],
        "split": [one.input.split or None for one in of],
        "subject": [one.input.subject or None for one in of],
        "sequence": [one.input.name if one.input.video else None for one in of],
        "frame": [one.frame for one in of],
        "time": [one.time for one in of],
        "box": [face.box for face in found],
        "landmarks": [None if face.landmarks is None else face.landmarks.ravel().tolist() for face in found],
        "score": [face.score for face in found],
    }
    values |= {name: [dict(one.input.more).get(name) for one in of] for name in making.keep}
    values |= {name: [None if np.isnan(value) else float(value) for value in array[keep]] for name, array in measures.items()}
    return (
        crops.faces[keep],
        {name: pa.array(list(column), KINDS.get(name, pa.string())) for name, column in values.items()},
        left,
    )


def clear_parts(parts: Path) -> None:
    """Empty the folder of shards, the settings last: a process killed here leaves no shards that pass for those of others."""
    for one in sorted(parts.iterdir(), key=lambda one: (one.name == ASKED, one.is_dir())):
        if one.name != LOCK:
            shutil.rmtree(one) if one.is_dir() else one.unlink(missing_ok=True)


def draw_tasks(tasks: Iterator[ShardTask], most: int, room: int) -> Iterator[ShardTask]:
    """The next `most` tasks, or fewer: up to the one whose photos fill `room`, in bytes."""
    while most > 0 and room > 0 and (task := next(tasks, None)) is not None:
        yield task
        most, room = most - 1, room - bytes_in_task(task)


def bytes_in_task(task: ShardTask) -> int:
    """The bytes of photos that a task brings along."""
    return sum(len(one.content or b"") for one in task.inputs)
