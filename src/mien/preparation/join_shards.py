"""Joins shards to one face set: its classes, columns and test split, and the files about rejected inputs and notes."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mien.data.face_groups import GROUP_COLUMNS, group_by_names
from mien.data.faceset import BLOCK, FaceSet
from mien.data.format import Info
from mien.data.importing import NOTES, attach_rejected, told_notes
from mien.data.splits import draw_test
from mien.data.writer import FaceSetWriter
from mien.disk import replace_atomically
from mien.errors import MienError
from mien.faces.crop import NO_FACE, TURN
from mien.media.file_names import escaped_name
from mien.media.rejections import Rejected
from mien.preparation.list_columns import column_types
from mien.preparation.photo_note import write_photo_note
from mien.preparation.preparation_settings import PreparationSettings
from mien.preparation.shards import ShardRecord, ShardSettings, clear_parts, record_at
from mien.preparation.survey import classes_of
from mien.progress import Progress
from mien.wording import quantity

WHOLE = "whole"
"""The new set's folder among the shards, until it is finished and gets its place."""


def join_shards(asked: PreparationSettings, making: ShardSettings, parts: Path, tasks: int, out: Path, bar: Progress) -> int:
    """Write the new set from all shards, one after the other; returns the number of rejected inputs.

    Its classes are those that the photos' folders are named for. Raises MienError where no shard has a face.
    """
    faces, labels, columns, rejected = 0, set[str](), set[str](), 0
    for record in _recorded(parts, tasks):
        faces, rejected = faces + record.faces, rejected + len(record.rejected)
        labels, columns = labels.union(record.labels), columns.union(record.columns)
    if not faces:
        listed = "; ".join(f"{one.path}: {one.reason}" for one in islice(_rejected(parts, tasks), 3))
        clear_parts(parts)  # other limits would be something else than was begun
        raise MienError(
            "at least one face", f"none in {quantity(rejected, 'input')} ({listed})", "check the inputs, or the limits"
        )
    ours = classes_of(labels, asked.classes)
    classes = tuple(sorted(set(ours.values())))
    numbers = {name: classes.index(one) for name, one in ours.items()}
    title = f"faces of {', '.join(escaped_name(Path(one).name or one) for one in asked.inputs[:3])}"
    info = Info(classes, side=asked.side, channels=3 if asked.color else 1, name=title, alignment=str(making.crop_spec))
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
    """Tell the notes about photos, and what may be done where no face is found in some."""
    if notes := list(_notes(parts, tasks)):
        bar.say(told_notes(notes))
    lost = sum(one.reason == NO_FACE for one in _rejected(parts, tasks))
    if lost and asked.turn == "off":
        bar.say(f"no face found in {lost} of the inputs; {TURN}")


def _numbered(table: pa.Table, numbers: Mapping[str, int]) -> npt.NDArray[np.int64]:
    """Labels (n,) of a shard's faces, -1 for none."""
    return np.array([numbers.get(name, -1) for name in table.column("source_label").to_pylist()], np.int64)


def _draw_test(
    asked: PreparationSettings, parts: Path, tasks: int, numbers: Mapping[str, int], bar: Progress
) -> npt.NDArray[np.bool_]:
    """Which faces of all shards, (N,), become the split `test`; tells how many people, videos and photos they are."""
    columns = {**GROUP_COLUMNS, "photos": "photo"}
    table = pa.concat_tables(_table(shard, ["source_label", *columns.values()]) for shard in _shards(parts, tasks))
    groups = group_by_names({kind: table.column(name) for kind, name in columns.items()})
    held_out, rows = draw_test(_numbered(table, numbers), groups.of, asked.test, asked.seed), np.arange(len(table))
    bar.say(f"test: {groups.tell(rows[held_out], rows)}, {held_out.sum()} of {quantity(len(rows), 'face')}")
    return held_out


def _recorded(parts: Path, tasks: int) -> Iterator[ShardRecord]:
    """The records of all tasks in their order, each read when its turn comes."""
    return (record_at(parts, number) for number in range(tasks))


def _notes(parts: Path, tasks: int) -> Iterator[Rejected]:
    return (one for record in _recorded(parts, tasks) for one in record.notes)


def _rejected(parts: Path, tasks: int) -> Iterator[Rejected]:
    return (one for record in _recorded(parts, tasks) for one in record.rejected)


def _shards(parts: Path, tasks: int) -> Iterator[FaceSet]:
    """The shards that have faces, one open at a time."""
    return (_shard(parts, record) for record in _recorded(parts, tasks) if record.faces)


def _shard(parts: Path, record: ShardRecord) -> FaceSet:
    shard = FaceSet.open(parts / record.shard)
    if len(shard) != record.faces:
        found = f"{len(shard)} in {parts / record.shard}"
        raise MienError(f"{record.faces} faces of task {record.number}", found, f"remove {parts} to begin anew")
    return shard


def _table(shard: FaceSet, names: Iterable[str]) -> pa.Table:
    return pa.table({name: shard.column(name) for name in names})


def _blocks(parts: Path, tasks: int) -> Iterator[tuple[npt.NDArray[np.uint8], pa.Table]]:
    """The faces and columns of all shards, in blocks."""
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
