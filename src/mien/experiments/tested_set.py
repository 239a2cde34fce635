"""The faces that a comparison is tested on: of the set whose labels are learned, or of another one."""

from dataclasses import dataclass, replace

import numpy as np

from mien.data.convert import has_shape_of, in_shape_of, shape_in_words
from mien.data.faceset import FaceSet
from mien.data.splits import fold_view, held_out_rows, no_splits, require_untrained, split_rows, test_split, training_rows
from mien.errors import MienError
from mien.evaluation.evaluate import tested_faces
from mien.training.joined_labels import require_untouched
from mien.wording import quantity


@dataclass(frozen=True)
class TestedSet:
    """Faces to test on, in the shape of those that are learned from."""

    faces: FaceSet
    """The set whose split is tested on, or that split of another set."""
    split: str
    """The split's name."""
    checksum: str
    """Checksum of another set, and which classes of it do not count; empty where it is the set that is learned from."""
    counts: dict[str, int]
    """Number of test faces of each class that is learned."""
    left_out: int
    """Number of labeled faces that are of no such class."""
    notes: tuple[str, ...]
    """What is converted, and which classes the two sets do not share, in sentences."""

    @property
    def name(self) -> str:
        """Name of the set."""
        return self.faces.info.name or "unnamed"


def choose_tested_set(
    faces: FaceSet,
    others: FaceSet | None,
    other: FaceSet | None,
    split: str | None,
    also: FaceSet | None = None,
    shared: bool = False,
) -> TestedSet:
    """The faces of `split` (unless given: the set's own, such as test) of the set `other`, or of `faces` itself.

    `faces`: whose labels are learned. `others`: a set that is learned from without labels. `also`: one whose labels join those of
    `faces`. `shared`: of another set, only classes count that both have labeled training faces of. Raises MienError where a run
    would learn from the split, where it has no labeled face of a class that is learned, and where one set holds features.
    """
    if other is None or (other.info.checksum and other.info.checksum == faces.info.checksum):
        if split is None and "split" not in faces.column_names:
            raise no_splits("test", "test on each fold of people in turn by `folds`")
        name = split or test_split(faces)
        require_untrained(faces, name)
        return _measured(faces, faces, name, "", ())
    name = split or test_split(other)
    rows = split_rows(other, name)
    require_untouched(also, other, rows, name)
    if others is not None and others.info.checksum == other.info.checksum and np.setdiff1d(rows, held_out_rows(other)).size:
        raise MienError(
            "a split to test on that nothing is learned from, not even without labels",
            repr(name),
            "name a test split by `split`, or leave `unlabeled` out",
        )
    view, notes, counted = other.select(rows), tuple[str, ...](), ""
    apart = np.zeros(0, np.int64)
    if shared and (lacked := _lacked(faces, also, other)):
        apart = np.flatnonzero(np.isin(view.labels, [other.classes.index(one) for one in lacked]))
        view = view.select(np.setdiff1d(np.arange(len(view)), apart))
        notes = (*notes, f"counted are classes that both sets have training faces of; without {', '.join(lacked)}")
        notes += (f"{quantity(len(apart), 'test face')} left out for that",) if len(apart) else ()
        counted = f" without {', '.join(lacked)}"
    if not has_shape_of(view, faces.info):
        notes = (*notes, f"test faces are converted: {shape_in_words(view.info)} to {shape_in_words(faces.info)}")
        view = in_shape_of(view, faces.info)
    found = _measured(faces, view, name, other.info.checksum + counted, (*notes, *_unshared(faces, view)))
    return replace(found, left_out=found.left_out + len(apart))


def _lacked(faces: FaceSet, also: FaceSet | None, other: FaceSet) -> list[str]:
    """Classes of both sets of which one has no labeled training face; `also` adds to those of the first."""
    mine = _trained_classes(faces) | (set() if also is None else _trained_classes(also) & set(faces.classes))
    theirs = _trained_classes(other)
    return [one for one in faces.classes if one in other.classes and not (one in mine and one in theirs)]


def _trained_classes(faces: FaceSet) -> set[str]:
    """Names of the classes that a set has labeled training faces of."""
    rows = training_rows(faces)
    return {faces.classes[label] for label in np.unique(faces.labels[rows]) if label >= 0}


def all_folds(faces: FaceSet, folds: int) -> TestedSet:
    """All labeled faces, which are tested on fold by fold. Raises MienError where there are too few people for so many folds."""
    fold_view(faces, f"1/{folds}")
    return _measured(faces, faces, "all", "", (f"each of {folds} folds of people is tested on by a run on the others",))


def _measured(faces: FaceSet, tested: FaceSet, split: str, checksum: str, notes: tuple[str, ...]) -> TestedSet:
    found = tested_faces(faces.classes, tested, split)
    counts = {name: int((found.labels == number).sum()) for number, name in enumerate(faces.classes)}
    return TestedSet(tested, split, checksum, counts, found.unknown, notes)


def _unshared(faces: FaceSet, tested: FaceSet) -> list[str]:
    """What follows from classes that one of the two sets does not have, in sentences."""
    name, labels = tested.info.name or "the set to test on", tested.labels
    lacked = [one for one in faces.classes if one not in tested.classes]
    strange = {one: int((labels == number).sum()) for number, one in enumerate(tested.classes) if one not in faces.classes}
    told = [f"{quantity(count, 'test face')} of {one}" for one, count in strange.items() if count]
    said = [f"left out, as no run learns the class: {', '.join(told)}"] if told else []
    return [*said, *([f"{name} does not have {', '.join(lacked)}: such an answer is a mistake"] if lacked else [])]
