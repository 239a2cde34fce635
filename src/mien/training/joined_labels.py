"""Labels of a second set that join a run's own: its training faces, matched by class names, in the shape of the run's."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.data.convert import has_shape_of, in_shape_of, shape_in_words
from mien.data.faceset import FaceSet
from mien.data.format import Info, Rows
from mien.data.label_budget import draw_labels
from mien.data.splits import held_out_rows, training_rows
from mien.errors import MienError
from mien.progress import Progress
from mien.recognize.run_records import JOINED
from mien.training.settings import TrainingSettings
from mien.training.unfit_to_join import unfit_to_join
from mien.wording import quantity


@dataclass(frozen=True, eq=False)
class JoinedLabels:
    """Faces of a second set that train a run with their labels."""

    faces: FaceSet
    """The faces, in the shape of the run's and under its classes."""
    labels: npt.NDArray[np.int64]
    """(M,) numbers of the run's classes."""
    facts: dict[str, Any]
    """What the model's card says of them."""


def joined_labels(
    also: FaceSet, faces: FaceSet, settings: TrainingSettings, progress: Progress, reserved: FaceSet | None = None
) -> JoinedLabels:
    """The labeled training faces of the set `also` for a run on the set `faces`; its test splits are never taken.

    `reserved`: the faces of `faces` that test or validate the run; faces of the same photos and people are left out, as
    `unfit_to_join` finds them. Classes are matched by name; labels of classes that `faces` does not have are left out. Of the
    others as many as `settings.also_labels` says are drawn by seed, in the classes' proportions. What is left out or converted is
    said. Raises MienError where both are one set, where no label is left, and where one holds features.
    """
    name, info = also.info.name or "unnamed", faces.info
    if also.info.checksum and also.info.checksum == settings.checksums[0]:
        raise MienError("another set for `also`", "the training set", "leave it out: its labels are used anyway")
    labeled, mapped = _matched(also, info)
    taken = labeled[mapped[labeled] >= 0]
    if not len(taken):
        found = f"labels of {', '.join(also.classes)}" if len(labeled) else "no labels"
        raise MienError(f"labels of {', '.join(info.classes)} in {name}, for `also`", found, "choose another set")
    if left := len(labeled) - len(taken):
        strange = ", ".join(one for one in also.classes if one not in info.classes)
        progress.say(f"{name}: left out, as the training set has no such class: {quantity(left, 'label')} of {strange}")
    taken, unfit = _fit_to_join(also, taken, faces, reserved, progress)
    if settings.also_labels is not None:
        taken = draw_labels(mapped, taken, settings.seed, total=min(settings.also_labels, len(taken)))
    view = also.select(taken)
    if not has_shape_of(view, info):
        progress.say(f"faces of {name} are converted: {shape_in_words(view.info)} to {shape_in_words(info)}")
        view = in_shape_of(view, info)
    ids = [f"{JOINED}{one}" for one in view.column("id").to_pylist()]
    view = replace(view, info=replace(view.info, classes=info.classes, count=len(view)))
    progress.say(f"{quantity(len(taken), 'label')} of {name} join the training")
    facts = {
        "also": f"{name}, checksum {also.info.checksum[:12]}",
        "also_labels": len(taken),
        "also_checksum": also.info.checksum,
        "also_left_out": unfit,
    }
    return JoinedLabels(view.with_column("label", mapped[taken]).with_column("id", ids), mapped[taken], facts)


def count_joined(also: FaceSet, info: Info, settings: TrainingSettings) -> int:
    """About how many labels of `also` join a run on faces of this `info`: those of its photos and people are not looked for."""
    there = int((_matched(also, info)[1] >= 0).sum())
    return there if settings.also_labels is None else min(settings.also_labels, there)


def _matched(also: FaceSet, info: Info) -> tuple[Rows, npt.NDArray[np.int64]]:
    """The labeled training rows of `also`, and by row of it (N,) the class of the run, -1 where there is none."""
    place = np.array([info.classes.index(one) if one in info.classes else -1 for one in also.classes], np.int64)
    rows = np.setdiff1d(training_rows(also), held_out_rows(also))
    labeled = rows[also.labels[rows] >= 0]
    mapped = np.full(len(also), -1)
    mapped[labeled] = place[also.labels[labeled]]
    return labeled, mapped


def _fit_to_join(also: FaceSet, taken: Rows, faces: FaceSet, reserved: FaceSet | None, progress: Progress) -> tuple[Rows, int]:
    """The rows `taken` of `also` that may teach, and how many may not, as they are of the `reserved` photos and people."""
    if reserved is None:
        return taken, 0
    name, unfit = also.info.name or "unnamed", unfit_to_join(also.select(taken), reserved, faces)
    if unfit.all():
        found = f"only faces of photos or people of {name} that test or validate the run"
        raise MienError("labels that may join the training, for `also`", found, "choose another set")
    if unfit.any():
        left = quantity(int(unfit.sum()), "label")
        progress.say(f"{name}: left out, as photos or people of them test or validate the run: {left}")
    return taken[~unfit], int(unfit.sum())


def require_untouched(also: FaceSet | None, tested: FaceSet, rows: npt.NDArray[np.int64], split: str) -> None:
    """Raises MienError where a run would learn labels from rows of `tested`, the set that it is tested on, as it joins them."""
    if also is None or not also.info.checksum or also.info.checksum != tested.info.checksum:
        return
    if np.intersect1d(rows, np.setdiff1d(training_rows(also), held_out_rows(also))).size:
        raise MienError("a split to test on that nothing is trained on", repr(split), "name another `split`, or leave `also` out")
