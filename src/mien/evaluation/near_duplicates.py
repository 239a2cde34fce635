"""Whether a test is too easy, because its faces have near-duplicates among those that taught the recognizer."""

from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic.dataclasses import dataclass

from mien.data.faceset import FaceSet
from mien.data.near_duplicates import have_near_duplicates
from mien.data.phash import Bools
from mien.data.splits import fold_view, split_rows, training_rows
from mien.errors import MienError
from mien.json_toml import read_settings
from mien.recognize.model_card import read_sources, read_used
from mien.recognize.recognizer import Recognizer
from mien.wording import quantity

MOST_BYTES = 2 << 30
"""More pixels of training faces are not read for a warning."""
LEAST = 0.01
"""A smaller share of test faces with twins is noted, and no reason for a warning."""


def find_training_faces(recognizer: Recognizer, whole: FaceSet) -> FaceSet | None:
    """The faces whose labels the run, or one that it began with, used: of the set `whole`, or else of the run's own set.

    None where they are not at hand: a model without its run, a set that is gone or was changed, features.
    """
    folder = recognizer.folder
    if folder is None:
        return None
    checksum = recognizer.card.faces.checksum
    used = {checksum: read_used(folder)}
    for source in read_sources(folder):
        theirs = source.get("faces", "")
        used[theirs] = used.get(theirs, set()) | set(source.get("used", ()))
    taught_here = bool(whole.info.checksum) and bool(used.get(whole.info.checksum))
    faces = whole if taught_here else _own_set(folder, checksum)
    if faces is None or faces.info.kind != "faces":
        return None
    taught = np.isin(faces.values("id"), list(used[faces.info.checksum]))
    return faces.select(taught) if taught.any() else None


def find_unlabeled_faces(recognizer: Recognizer, whole: FaceSet) -> FaceSet | None:
    """The faces of its own set's training split that the run learned from without labels; `whole` may be that set.

    None where there are none or the run's folder does not tell which: some were drawn (`unlabeled_faces`), labels were given
    instead of drawn, or the set is not at hand. Not among them are those of a further set, those held out for tests that a
    transductive recipe learns from, and those of models that the run began with.
    """
    folder, checksum = recognizer.folder, recognizer.card.faces.checksum
    order = _Order() if folder is None else _order(folder)
    drawn = order.unlabeled_faces is not None or not order.own_unlabeled
    if folder is None or not _count_unlabeled(recognizer) or drawn or order.faces is None:
        return None
    faces = whole if checksum and whole.info.checksum == checksum else _own_set(folder, checksum)
    if faces is None or faces.info.kind != "faces":
        return None
    faces = faces if order.fold is None else fold_view(faces, order.fold)
    split = faces.select(training_rows(faces) if order.split is None else split_rows(faces, order.split))
    rest = split.select(~np.isin(split.values("id"), list(read_used(folder))))
    return rest if len(rest) else None


def near_duplicate_notes(recognizer: Recognizer, tested: FaceSet, whole: FaceSet, right: Bools) -> dict[str, str]:
    """What is to be said of test faces, of the set `whole`, that have twins among the training faces; `right`: (N,).

    The test faces are none that taught the recognizer their labels. Of twins among the training faces with labels it warns;
    empty where there are none, or no training faces are at hand. Of those among faces without labels there is a note, which
    says how many of these were looked through (see `find_unlabeled_faces`) and how many were not.
    """
    if tested.info.kind != "faces":
        return {}
    return _labeled_notes(recognizer, tested, whole, right) | _unlabeled_notes(recognizer, tested, whole, right)


def _labeled_notes(recognizer: Recognizer, tested: FaceSet, whole: FaceSet, right: Bools) -> dict[str, str]:
    training = find_training_faces(recognizer, whole)
    if training is None:
        return {}
    if _bytes(training) > MOST_BYTES:
        return {"near-duplicates": f"not looked for among {quantity(len(training), 'training face')}: mien twins does"}
    twins = have_near_duplicates(tested, training)
    if not twins.any():
        return {}
    found, without = f"{_share(twins)} have a near-duplicate among the training faces", _without(twins, right)
    if twins.mean() < LEAST:
        return {"near-duplicates": f"{found}; {without}"}
    return {"warning": f"{found}: figures flatter; {without}"}


def _unlabeled_notes(recognizer: Recognizer, tested: FaceSet, whole: FaceSet, right: Bools) -> dict[str, str]:
    faces, left, said = find_unlabeled_faces(recognizer, whole), _count_unlabeled(recognizer), list[str]()
    if faces is not None and _bytes(faces) <= MOST_BYTES:
        twins, left = have_near_duplicates(tested, faces), left - len(faces)
        where = f"among {quantity(len(faces), 'face')} of the run's own training split that it learned from without labels"
        said = [f"{_share(twins)} have a near-duplicate {where}", *([_without(twins, right)] if twins.any() else [])]
    before = sum(_number(source.get("budget")) for source in recognizer.card.sources)
    missed = [f"{left} {'others' if said else 'faces that the run learned from without labels'}"] if left > 0 else []
    missed += [f"{quantity(before, 'face')} without labels of models that it began with"] if before else []
    said += [f"not looked for among {' and '.join(missed)}"] if missed else []
    return {"near-duplicates without labels": "; ".join(said)} if said else {}


def _count_unlabeled(recognizer: Recognizer) -> int:
    return _number(recognizer.card.budget)


def _number(budget: Any) -> int:
    """Faces without labels that a model learned from, by its card, which may say anything."""
    found = budget.get("unlabeled", 0) if isinstance(budget, dict) else 0
    return found if isinstance(found, int) else 0


def _share(twins: Bools) -> str:
    return f"{twins.sum()} of {quantity(len(twins), 'test face')} ({twins.mean():.1%})"


def _without(twins: Bools, right: Bools) -> str:
    return f"without them accuracy is {right[~twins].mean():.1%}" if not twins.all() else "no face is without one"


def _bytes(faces: FaceSet) -> int:
    return len(faces) * faces.info.side**2 * faces.info.channels


@dataclass(frozen=True)
class _Order:
    """What of a run's order says which faces it saw."""

    faces: Path | None = None
    unlabeled_faces: int | None = None
    own_unlabeled: bool = True
    fold: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class _Asked:
    """The content of run.json, as far as it matters here."""

    order: _Order = field(default_factory=_Order)


def _order(folder: Path) -> _Order:
    """What a run was asked to do; nothing for a model folder."""
    file = folder / "run.json"
    return read_settings(_Asked, file, "train again").order if file.is_file() else _Order()


def _own_set(folder: Path, checksum: str) -> FaceSet | None:
    """The stored set that a run was trained on, where it is still there as it was."""
    path = _order(folder).faces if checksum else None
    try:
        faces = None if path is None else FaceSet.open(path)
    except MienError:
        return None  # It was moved: that is no fault of the test.
    return faces if faces is not None and faces.info.checksum == checksum else None
