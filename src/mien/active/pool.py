"""All faces that rounds may learn from, and what is known of them: labels, what these are used for, and what is no face."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mien.data.convert import has_shape_of, in_shape_of, shape_in_words
from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.data.label_budget import LabelBudget, carve_validation, draw_labels
from mien.data.splits import held_out_rows, training_rows
from mien.errors import MienError
from mien.expressions import label_translation
from mien.progress import Progress, Silent
from mien.wording import quantity

UNDECIDED = -1
"""The answer about a face with too few answers and no majority; it stays in the pool."""
NOT_A_FACE = -2
"""The answer about a picture that is no face; it is discarded, and charged like a label."""
DISPUTED = -3
"""The answer about a face on which people disagree, or are all unsure: no label, never asked again, charged like a label."""
FROM_POOL = "pool:"
"""Stands before the ids of the pool's faces, since the face set may use the same ids for other faces."""


@dataclass(frozen=True, eq=False)
class KnownLabels:
    """What is known of N faces: labels, and what they are used for."""

    labels: Rows
    """(N,) labels as they were given; -1 where there is none."""
    start: Rows
    """Rows whose labels are the face set's own."""
    train: Rows
    """Rows that may be learned from, ascending."""
    validation: Rows
    """Rows that choose the model, ascending."""
    rejected: Rows
    """Rows of pictures that are no faces, ascending."""
    disputed: Rows
    """Rows of faces on which people disagree, ascending."""

    @property
    def budget(self) -> LabelBudget:
        """The rows with labels: to learn from, and to validate."""
        return LabelBudget(self.train, self.validation)

    @property
    def charged(self) -> int:
        """Labels that are charged: those to learn from and to validate, and faces that were rejected or disputed."""
        return len(self.train) + len(self.validation) + len(self.rejected) + len(self.disputed)

    @property
    def can_train(self) -> bool:
        """Whether there are labels to learn from of two classes or more."""
        return len(np.unique(self.labels[self.train])) > 1

    def with_answers(self, rows: Rows, answers: Rows, share: float, seed: int) -> "KnownLabels":
        """What is known once `rows` (n,) were answered with labels, UNDECIDED, NOT_A_FACE or DISPUTED, (n,).

        A `share` of the new labels, class by class, is drawn by `seed` to validate.
        """
        labels, new = self.labels.copy(), rows[answers >= 0]
        labels[new] = answers[answers >= 0]
        added = carve_validation(labels, new, share, seed) if len(new) else LabelBudget(new, new)
        return replace(
            self,
            labels=labels,
            train=np.union1d(self.train, added.train),
            validation=np.union1d(self.validation, added.validation),
            rejected=np.union1d(self.rejected, rows[answers == NOT_A_FACE]),
            disputed=np.union1d(self.disputed, rows[answers == DISPUTED]),
        )


@dataclass(frozen=True, eq=False)
class AllFaces:
    """All N faces that rounds may learn from: the face set's training split, then the pool's faces."""

    faces: FaceSet
    """A view of the faces, with the labels of the sets: only the start and the oracle may read those."""
    own: int
    """How many of them are of the face set: the first ones."""
    candidates: Rows
    """Rows that may be asked about."""

    @staticmethod
    def of(faces: FaceSet, pool: FaceSet | None, oracle: bool, progress: Progress | None = None) -> "AllFaces":
        """The faces of stored sets, without test splits. Where an oracle answers, faces without label are not asked about.

        Labels of the pool are translated by their classes' names, and its faces to the side and color of the set's. What is not
        shared is said. Raises MienError where the pool is the face set itself, or holds what cannot be joined with it.
        """
        own = faces.select(training_rows(faces))
        everything = own if pool is None else own.join(_from_pool(faces, pool, oracle, (progress or Silent()).say))
        rows = np.arange(0 if pool is None else len(own), len(everything))
        return AllFaces(everything, len(own), rows[everything.labels[rows] >= 0] if oracle else rows)

    def start(self, per_class: int | None, share: float, seed: int) -> KnownLabels:
        """What is known at the start: labels of the face set, drawn by `seed`, a `share` of them to validate.

        Nothing is known for 0 labels `per_class`, and where all labels are to be used and the set has none. Raises MienError
        where there are no labels, but some are wanted.
        """
        truth, nobody = self.faces.labels, np.zeros(0, np.int64)
        labels, none = np.full(len(truth), UNDECIDED), not (truth[: self.own] >= 0).any()
        if per_class == 0 or (per_class is None and none):
            return KnownLabels(labels, nobody, nobody, nobody, nobody, nobody)
        given = draw_labels(truth, np.arange(self.own), seed, per_class)
        labels[given] = truth[given]
        budget = carve_validation(labels, given, share, seed)
        return KnownLabels(labels, given, budget.train, budget.validation, nobody, nobody)

    def open(self, known: KnownLabels) -> Rows:
        """The rows of candidates that may still be asked about, ascending."""
        unlabeled = self.candidates[known.labels[self.candidates] < 0]
        return np.setdiff1d(unlabeled, np.union1d(known.rejected, known.disputed))

    def stored_ids(self) -> list[str]:
        """(N,) the id of each face in the stored set that it is of."""
        names: list[str] = self.faces.column("id").to_pylist()
        return [name if row < self.own else name.removeprefix(FROM_POOL) for row, name in enumerate(names)]

    def view(self, known: KnownLabels) -> FaceSet:
        """All faces as a training run may see them: with known labels only, and rejected ones outside the split `train`.

        Votes stay where the label is the face set's own, since annotators of rounds give labels.
        """
        split = np.full(len(self.faces), "train", object)
        split[known.rejected] = "rejected"
        view, votes = self.faces.with_column("label", known.labels).with_column("split", split), self.faces.votes
        if votes is None:
            return view
        hidden = np.ones(len(votes), bool)
        hidden[known.start] = False
        return view.with_column("votes", np.where(hidden[:, None], np.float32(0), votes))


def _from_pool(faces: FaceSet, pool: FaceSet, oracle: bool, say: Callable[[str], None]) -> FaceSet:
    """The pool's faces without its test splits, in the shape and the classes of the set, with FROM_POOL before their ids."""
    if pool.info.checksum and pool.info.checksum == faces.info.checksum:
        raise MienError("another set for `pool`", "the face set itself", "leave it out, to ask about its training split")
    usable = pool.select(np.setdiff1d(np.arange(len(pool)), held_out_rows(pool)))
    if usable.info.kind == faces.info.kind == "faces" and not has_shape_of(usable, faces.info):
        say(f"faces of the pool are converted: {shape_in_words(usable.info)} to {shape_in_words(faces.info)}")
        usable = in_shape_of(usable, faces.info)
    ids: npt.NDArray[np.object_] = usable.values("id")
    renamed = _renamed(usable, faces.classes, oracle, say)
    return renamed.with_column("id", [f"{FROM_POOL}{name}" for name in ids])


def _renamed(pool: FaceSet, classes: tuple[str, ...], oracle: bool, say: Callable[[str], None]) -> FaceSet:
    """The pool with its labels among `classes`, by name; -1 for those of other classes. Votes, which nobody reads, are 0."""
    if pool.classes == classes:
        return pool
    table, labels = label_translation(pool.classes, classes), pool.labels
    theirs = [name for name, place in zip(pool.classes, table[:-1], strict=True) if place < 0]
    mine = [name for place, name in enumerate(classes) if place not in table]
    if theirs:
        lost = int(((labels >= 0) & (table[labels] < 0)).sum())
        left_out = f"; {quantity(lost, 'face')} of theirs cannot be asked about" if oracle and lost else ""
        say(f"classes of the pool that the face set has not: {', '.join(theirs)}{left_out}")
    if mine and pool.classes:
        say(f"classes of the face set that the pool has not: {', '.join(mine)}")
    pool = replace(pool, info=replace(pool.info, classes=classes)).with_column("label", table[labels])
    return pool.with_column("votes", np.zeros((len(pool), len(classes)), np.float32)) if "votes" in pool.column_names else pool
