"""Tasks in which a process died: they are tried again alone, then photo by photo, and the photos to blame are rejected."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from mien.errors import MienError
from mien.media.source_files import SourceFile
from mien.preparation.shards import ShardRecord, ShardTask, make_shard
from mien.preparation.worker_process import WorkerProcess, hand_out

ENDED = "reading it ended the process"
"""Why a photo is rejected whose reading ended the process."""

MEMORY = "see whether memory ran out, take fewer --workers, and give the same command again: it goes on"
"""What to do where processes die without a photo to blame."""


def make_carefully(task: ShardTask) -> ShardRecord:
    """The record of a task, done in this process; in another one where a process died of it before."""
    begun = task.record.with_suffix(".begun")
    alone = begun.exists()
    begun.touch()
    try:
        return make_again(task) if alone else make_shard(task)
    finally:
        begun.unlink(missing_ok=True)


def make_again(task: ShardTask) -> ShardRecord:
    """The record of a task of which a process died. Photos that end another process, too, are rejected.

    Raises MienError where no photo by itself is to blame.
    """
    (record,) = _tried([task])
    if record is not None:
        return record
    with TemporaryDirectory(dir=task.folder) as folder:
        trial = _tried(replace(task, inputs=(one,), folder=folder) for one in (_plain(), *task.inputs))
        if next(trial) is not None:
            marked = [one if made else replace(one, fault=ENDED) for one, made in zip(task.inputs, trial, strict=True)]
            (record,) = _tried([replace(task, inputs=tuple(marked))])
    if record is None:
        raise MienError("worker processes that finish their tasks", "one that died twice", MEMORY)
    return record


def _plain() -> SourceFile:
    """A gray photo, of which nothing dies."""
    return SourceFile("gray", Path(), content=cv2.imencode(".png", np.full((96, 96), 128, np.uint8))[1].tobytes())


def _tried(tasks: Iterable[ShardTask]) -> Iterator[ShardRecord | None]:
    """The records of tasks, done one at a time by one process as long as it lives; None for a task of which it died."""
    crew = list[WorkerProcess]()
    try:
        for task in tasks:
            hand_out(deque([task]), crew, 1)
            record = crew[0].take()
            if record is None:
                crew.clear()
            yield record
    finally:
        for one in crew:
            one.end()
