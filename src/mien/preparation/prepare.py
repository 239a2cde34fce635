"""From photos and videos to a face set of any size: inputs are dealt into tasks, tasks become shards, shards become the set.

A process that was killed is continued by the same settings. Every input gives faces, or a line with the reason in rejected.csv.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from mien.data.faceset import FaceSet
from mien.faces.crop import CropSpec
from mien.faces.detect import detector_from_text
from mien.faces.quality import QualityLimits
from mien.folders import claim, exclusive, require_absent
from mien.json_text import plain_values
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.media.source_files import SourceFile
from mien.preparation.join_shards import join_shards
from mien.preparation.list_columns import check_kept, columns_left_out
from mien.preparation.preparation_settings import PreparationSettings
from mien.preparation.shards import ASKED, KINDS, ShardRecord, ShardSettings, ShardTask, clear_parts, read_record, state_of
from mien.preparation.survey import MOST_NAMED, require_fitting_inputs, source_files_of, survey_inputs
from mien.preparation.workers import make_shards
from mien.progress import Progress, Silent
from mien.settings import Threads, require_fitting
from mien.wording import quantity

INPUTS, BYTES = 64, 1 << 26
"""The most inputs of a task, and the bytes that they bring along at which a task is full."""


@dataclass(frozen=True, eq=False)
class PreparedSet:
    """A new face set, the number of inputs, and the number of lines in its rejected.csv."""

    faces: FaceSet
    """The new face set."""
    inputs: int
    """The number of photos and videos."""
    rejected: int
    """The number of lines in rejected.csv."""
    labels: Mapping[str, int]
    """The number of faces of each class."""

    @property
    def unlabeled(self) -> int:
        """The number of faces without label."""
        return len(self.faces) - sum(self.labels.values())


def prepare_faces(
    asked: PreparationSettings,
    out: Path | str,
    workers: int = 1,
    cluster: str | None = None,
    progress: Progress | None = None,
    limits: FileLimits = FILE_LIMITS,
) -> PreparedSet:
    """Write the faces of photos and videos as a new set at `out`, and open it.

    Until the set is finished, the work lies in `.OUT.parts` beside it. With the same settings it is continued there, and what
    has changed is read again. An error on the way has a note that names that folder; it is removed where nothing was done, or
    no face was found. `cluster`: the address of a Ray cluster (see `make_shards`). With `test`, memory holds
    a number and the names of every face. Files beyond the `limits` are rejected.

    Raises MienError where `out` exists, other settings were begun there, another process works there, no input shows a face or,
    with `labeled`, has a label, inputs for `test` have splits, or settings do not fit.
    """
    require_fitting(Threads, workers=workers)
    out, bar, making = Path(out), progress or Silent(), _shard_settings(asked, limits)
    require_absent(out)
    check_kept(asked.inputs, asked.keep, (*KINDS, "path"))
    parts = out.parent / f".{out.name}.parts"
    count = require_fitting_inputs(asked, survey_inputs(asked, limits))
    if more := columns_left_out(asked.inputs, (*KINDS, "path", *asked.keep)):
        bar.say(more)
    bar.begin("photos and videos", count)
    with exclusive(parts):
        require_absent(out)  # another process may have been done meanwhile
        # A file of an earlier version may lack what is new: it was as it is when nothing is said.
        usual = plain_values(PreparationSettings(asked.inputs))
        todo = f"remove {parts} to begin anew"
        claim(parts / ASKED, asdict(asked), lambda written: usual | written, "this set", todo, empty=False)
        with _kept(parts), closing(_records(asked, making, parts, workers, cluster)) as records:
            tasks = 0
            for record in records:
                tasks = max(tasks, record.number + 1)
                bar.advance(record.inputs)
            rejected = join_shards(asked, making, parts, tasks, out, bar)
        clear_parts(parts)
    faces = FaceSet.open(out)
    labels = faces.labels
    counts = np.bincount(labels[labels >= 0], minlength=len(faces.classes)).tolist()
    done = PreparedSet(faces, count, rejected, dict(zip(faces.classes, counts, strict=True)))
    if done.labels:
        bar.say(f"labels: {_listed(done.labels)}, {quantity(done.unlabeled, 'face')} without")
    return done


def _shard_settings(asked: PreparationSettings, files: FileLimits) -> ShardSettings:
    """How shards are made by these settings.

    Raises MienError for an unknown alignment, detector or limit, and for those that do not work together.
    """
    crop_spec, limits = CropSpec(asked.align, asked.detector, asked.which), QualityLimits.parse(asked.limits)
    detector_from_text(asked.detector)  # `whole` would not ask for it
    crop_spec.require_workable()
    limits.require_measurable(crop_spec.gives_landmarks)
    return ShardSettings(crop_spec, asked.side, asked.color, asked.every, limits, files, asked.turn, asked.keep)


def _listed(counts: Mapping[str, int]) -> str:
    """The first classes and the numbers of their faces, in words."""
    more = len(counts) - MOST_NAMED
    told = [f"{name} {count}" for name, count in islice(counts.items(), MOST_NAMED)]
    return ", ".join(told + ([f"{quantity(more, 'more class', 'more classes')}"] if more > 0 else []))


@contextmanager
def _kept(parts: Path) -> Iterator[None]:
    """A context whose errors tell where the work can go on; where nothing is done, nothing is left."""
    try:
        yield
    except BaseException as error:
        if any(parts.glob("*[0-9].json")):
            error.add_note(f"what is done lies in {parts}: give the same command again to go on, or remove it")
        else:
            with suppress(OSError):  # the error itself is what matters
                clear_parts(parts)
            if not isinstance(error, Exception):
                error.add_note("nothing is done yet: give the same command again to begin anew")
        raise


def _records(
    asked: PreparationSettings, making: ShardSettings, parts: Path, workers: int, cluster: str | None
) -> Generator[ShardRecord, None, None]:
    """The records of all tasks in any order; what was done before is not done again."""
    done = list[ShardRecord]()

    def undone() -> Iterator[ShardTask]:
        for number, inputs in enumerate(_dealt(source_files_of(asked, making.files))):
            task = ShardTask(number, inputs, making, str(parts.absolute()), state_of(inputs, making.files))
            before = read_record(task)
            if before is None:
                yield task
            else:
                done.append(before)

    for record in make_shards(undone(), workers, cluster):
        yield record
        while done:
            yield done.pop()
    yield from done


def _dealt(inputs: Iterable[SourceFile]) -> Iterator[tuple[SourceFile, ...]]:
    """Inputs in lots, which are smaller where inputs bring their bytes along."""
    lot, held = list[SourceFile](), 0
    for one in inputs:
        lot.append(one)
        held += len(one.content or b"")
        if len(lot) >= INPUTS or held >= BYTES:
            yield tuple(lot)
            lot, held = [], 0
    if lot:
        yield tuple(lot)
