"""Looks for near-duplicates of test faces among the faces that taught the recognizer, which make a test too easy."""

from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic.dataclasses import dataclass

from mien.data.faceset import FaceSet
from mien.data.near_duplicates import have_near_duplicates
from mien.data.perceptual_hash import Bools
from mien.data.splits import fold_view, split_rows, training_rows
from mien.errors import MienError
from mien.json_toml import read_settings
from mien.recognize.recognizer import Recognizer
from mien.recognize.run_records import ids_by_set, read_used_ids
from mien.wording import percent, quantity

MOST_BYTES = 2 << 30
"""Most bytes of training faces that are read for a warning."""
LEAST = 0.01
"""Share of test faces with near-duplicates from which on there is a warning; a smaller share is noted."""


def find_training_faces(recognizer: Recognizer, whole: FaceSet) -> list[FaceSet]:
    """The faces whose labels taught the run or a model that it began with: in the set `whole`, or else in the run's own set.

    After them those of a further set whose labels joined the run's, in its own side and color. Left out is what is not at hand:
    of a model without its run, of a set that is gone or was changed, and of features.
    """
    folder = recognizer.folder
    if folder is None:
        return []
    card, used, here = recognizer.card, ids_by_set(folder), whole.info.checksum
    checksum, also = card.faces.checksum, card.budget.get("also_checksum", "")
    # A further set of the run itself is looked through in any case, beside the run's own.
    taught_here = here not in ("", also) and bool(used.get(here))
    faces = whole if taught_here else _own_set(folder, checksum)
    found = [] if faces is None else [(faces, used[faces.info.checksum])]
    joined = _further_set(folder, also) if used.get(also) else None
    found += [] if joined is None else [(joined, used[also])]
    taught = [one.select(np.isin(one.values("id"), list(ids))) for one, ids in found if one.info.kind == "faces"]
    return [one for one in taught if len(one)]


def find_unlabeled_faces(recognizer: Recognizer, whole: FaceSet) -> FaceSet | None:
    """The faces that the run learned from without labels, in the training split of its own set; `whole` may be that set.

    None where there are none, where the run's folder does not tell which (some were drawn, or labels were given instead of
    drawn), and where the set is not at hand. Left out are faces of a further set, test faces that a transductive recipe learns
    from, and faces of models that the run began with.
    """
    folder, checksum = recognizer.folder, recognizer.card.faces.checksum
    settings = _FacesSeen() if folder is None else _faces_seen(folder)
    drawn = settings.unlabeled_faces is not None or not settings.own_unlabeled
    if folder is None or not _count_unlabeled(recognizer) or drawn or settings.faces is None:
        return None
    faces = whole if checksum and whole.info.checksum == checksum else _own_set(folder, checksum)
    if faces is None or faces.info.kind != "faces":
        return None
    faces = faces if settings.fold is None else fold_view(faces, settings.fold)
    split = faces.select(training_rows(faces) if settings.split is None else split_rows(faces, settings.split))
    rest = split.select(~np.isin(split.values("id"), list(read_used_ids(folder))))
    return rest if len(rest) else None


def near_duplicate_notes(recognizer: Recognizer, tested: FaceSet, whole: FaceSet, right: Bools) -> dict[str, str]:
    """Notes on test faces, of the set `whole`, that have near-duplicates among the training faces, by topic.

    `tested`: N test faces, none of which gave the recognizer its label. `right` (N,): which are predicted right. Near-duplicates
    among labeled training faces are a warning. Those among faces without labels are a note, which says how many faces were
    looked through (see `find_unlabeled_faces`) and how many were not. Empty where no training faces are at hand.
    """
    if tested.info.kind != "faces":
        return {}
    return _labeled_notes(recognizer, tested, whole, right) | _unlabeled_notes(recognizer, tested, whole, right)


def _labeled_notes(recognizer: Recognizer, tested: FaceSet, whole: FaceSet, right: Bools) -> dict[str, str]:
    training = find_training_faces(recognizer, whole)
    if not training:
        return {}
    if sum(map(_bytes, training)) > MOST_BYTES:
        count = quantity(sum(map(len, training)), "training face")
        return {"near-duplicates": f"not looked for among {count}: mien duplicates does"}
    duplicates = np.any([have_near_duplicates(tested, one) for one in training], axis=0)
    if not duplicates.any():
        return {}
    found, without = f"{_share(duplicates)} have a near-duplicate among the training faces", _without(duplicates, right)
    if duplicates.mean() < LEAST:
        return {"near-duplicates": f"{found}; {without}"}
    return {"warning": f"{found}: figures flatter; {without}"}


def _unlabeled_notes(recognizer: Recognizer, tested: FaceSet, whole: FaceSet, right: Bools) -> dict[str, str]:
    faces, left, said = find_unlabeled_faces(recognizer, whole), _count_unlabeled(recognizer), list[str]()
    if faces is not None and _bytes(faces) <= MOST_BYTES:
        duplicates, left = have_near_duplicates(tested, faces), left - len(faces)
        where = f"among {quantity(len(faces), 'face')} of the run's own training split that it learned from without labels"
        said = [
            f"{_share(duplicates)} have a near-duplicate {where}",
            *([_without(duplicates, right)] if duplicates.any() else []),
        ]
    before = sum(_number(source.get("budget")) for source in recognizer.card.sources)
    missed = [f"{left} {'others' if said else 'faces that the run learned from without labels'}"] if left > 0 else []
    missed += [f"{quantity(before, 'face')} without labels of models that it began with"] if before else []
    said += [f"not looked for among {' and '.join(missed)}"] if missed else []
    return {"near-duplicates without labels": "; ".join(said)} if said else {}


def _count_unlabeled(recognizer: Recognizer) -> int:
    return _number(recognizer.card.budget)


def _number(budget: Any) -> int:
    """Number of faces without labels in a card's label budget; 0 where the card says something else."""
    found = budget.get("unlabeled", 0) if isinstance(budget, dict) else 0
    return found if isinstance(found, int) else 0


def _share(duplicates: Bools) -> str:
    return f"{duplicates.sum()} of {quantity(len(duplicates), 'test face')} ({percent(duplicates.mean())})"


def _without(duplicates: Bools, right: Bools) -> str:
    return f"without them accuracy is {percent(right[~duplicates].mean())}" if not duplicates.all() else "no face is without one"


def _bytes(faces: FaceSet) -> int:
    return len(faces) * faces.info.side**2 * faces.info.channels


@dataclass(frozen=True)
class _FacesSeen:
    """The settings of a run that say which faces it saw."""

    faces: Path | None = None
    also: Path | None = None
    unlabeled_faces: int | None = None
    own_unlabeled: bool = True
    fold: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class _RunFile:
    """The part of run.json that is read here."""

    order: _FacesSeen = field(default_factory=_FacesSeen)
    """The settings: the key of the file is older than the word."""


def _faces_seen(folder: Path) -> _FacesSeen:
    """The settings of a run by its folder; the defaults for a model folder."""
    file = folder / "run.json"
    return read_settings(_RunFile, file, "train again").order if file.is_file() else _FacesSeen()


def _own_set(folder: Path, checksum: str) -> FaceSet | None:
    """The stored set that a run was trained on; None where it is gone or was changed."""
    return _unchanged(_faces_seen(folder).faces if checksum else None, checksum)


def _further_set(folder: Path, checksum: str) -> FaceSet | None:
    """The stored set whose labels joined a run's; None where it is gone or was changed."""
    return _unchanged(_faces_seen(folder).also if checksum else None, checksum)


def _unchanged(path: Path | None, checksum: str) -> FaceSet | None:
    """The set at `path`; None where none with this checksum is there."""
    try:
        faces = None if path is None else FaceSet.open(path)
    except MienError:
        return None  # It was moved: that is no fault of the test.
    return faces if faces is not None and faces.info.checksum == checksum else None
