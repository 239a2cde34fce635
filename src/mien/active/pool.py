"""The faces of a plan, and what is known of them after some rounds: a label, what it is used for, or that it is no face."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.data.splits import Budget, carve_validation, draw_labels, held_out_rows, training_rows
from mien.errors import MienError

UNDECIDED = -1
"""The answer about a face that wants more answers, and has no majority among those that are there; it stays in the pool."""
NOT_A_FACE = -2
"""The answer about a face that is none; it is discarded, and charged like a label."""
DISPUTED = -3
"""The answer about a face on which people do not agree, or are all unsure; it has no label, is not asked about again, and is
charged like one."""
FROM_POOL = "pool:"
"""Stands before the ids of the pool's faces, which may be those of other faces in the face set."""


@dataclass(frozen=True, eq=False)
class KnownLabels:
    """What is known of N faces."""

    labels: Rows
    """(N,) as they were given, -1 where nobody did."""
    start: Rows
    """Rows whose labels are the face set's own."""
    train: Rows
    """Rows that may be learned from, ascending, as the next two."""
    validation: Rows
    """Rows that choose the model."""
    rejected: Rows
    """Rows that are no faces."""
    disputed: Rows
    """Rows of faces on which people do not agree."""

    @property
    def budget(self) -> Budget:
        """All labels."""
        return Budget(self.train, self.validation)

    @property
    def charged(self) -> int:
        """What people were paid for: labels used, validation included, faces rejected, and those they do not agree on."""
        return len(self.train) + len(self.validation) + len(self.rejected) + len(self.disputed)

    def with_answers(self, rows: Rows, answers: Rows, share: float, seed: int) -> "KnownLabels":
        """What is known when `rows` (n,) were answered with labels, UNDECIDED, NOT_A_FACE or DISPUTED, (n,).

        `share` of the new labels validates, class by class.
        """
        labels, new = self.labels.copy(), rows[answers >= 0]
        labels[new] = answers[answers >= 0]
        added = carve_validation(labels, new, share, seed) if len(new) else Budget(new, new)
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
    """All N faces that may be learned from: the face set's training split, then those of the pool."""

    faces: FaceSet
    """A view, with the labels as the sets have them: only the start and the oracle may read them."""
    own: int
    """How many of them are the face set's."""
    candidates: Rows
    """Rows that may be asked about."""

    @staticmethod
    def of(faces: FaceSet, pool: FaceSet | None, oracle: bool) -> "AllFaces":
        """Of stored sets; test splits stay outside. Where an oracle answers, faces without label are not asked about.

        Raises MienError where classes or faces of the pool are others.
        """
        own = faces.select(training_rows(faces))
        everything = own if pool is None else own.join(_from_pool(faces, pool))
        rows = np.arange(0 if pool is None else len(own), len(everything))
        return AllFaces(everything, len(own), rows[everything.labels[rows] >= 0] if oracle else rows)

    def start(self, per_class: int | None, share: float, seed: int) -> KnownLabels:
        """Labels of the face set drawn by seed, `share` of them to validate. Raises MienError where there are none."""
        truth, nobody = self.faces.labels, np.zeros(0, np.int64)
        given = draw_labels(truth, np.arange(self.own), seed, per_class)
        labels = np.full(len(truth), UNDECIDED)
        labels[given] = truth[given]
        budget = carve_validation(labels, given, share, seed)
        return KnownLabels(labels, given, budget.train, budget.validation, nobody, nobody)

    def open(self, known: KnownLabels) -> Rows:
        """Candidates that may be asked about still, ascending."""
        unlabeled = self.candidates[known.labels[self.candidates] < 0]
        return np.setdiff1d(unlabeled, np.union1d(known.rejected, known.disputed))

    def stored_ids(self) -> list[str]:
        """The id of each face in the set that it is of, (N,)."""
        names: list[str] = self.faces.column("id").to_pylist()
        return [name if row < self.own else name.removeprefix(FROM_POOL) for row, name in enumerate(names)]

    def view(self, known: KnownLabels) -> FaceSet:
        """All faces as a run may see them: with the labels that are known alone; rejected ones are not in `train`.

        Votes are kept where the label is the face set's own: an annotator gives a label.
        """
        split = np.full(len(self.faces), "train", object)
        split[known.rejected] = "rejected"
        view, votes = self.faces.with_column("label", known.labels).with_column("split", split), self.faces.votes
        if votes is None:
            return view
        hidden = np.ones(len(votes), bool)
        hidden[known.start] = False
        return view.with_column("votes", np.where(hidden[:, None], np.float32(0), votes))


def _from_pool(faces: FaceSet, pool: FaceSet) -> FaceSet:
    """The pool's faces without its test splits, their ids apart from the face set's."""
    if pool.info.checksum and pool.info.checksum == faces.info.checksum:
        raise MienError("another set for --pool", "the face set itself", "leave it out, to ask about its training split")
    if pool.classes != faces.classes:
        found = ", ".join(pool.classes)
        raise MienError(f"a pool of the classes {', '.join(faces.classes)}", found, "import it with those, in that order")
    usable = pool.select(np.setdiff1d(np.arange(len(pool)), held_out_rows(pool)))
    ids: npt.NDArray[np.object_] = usable.values("id")
    return usable.with_column("id", [f"{FROM_POOL}{name}" for name in ids])
