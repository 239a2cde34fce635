"""Rows of a model's last layer for its user's few faces: known ones fitted again, or new ones beside them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mien.experiments.last_layer import Row, discriminant, fit_scale, refit, with_one

FOLDS = 5
"""So many times the last layer is fitted to a part of the faces, and tried on the rest."""
LEAST = 5
"""Faces that a new class needs, one for each part, and a known one to be judged."""
LOSE = (0.025, 0.04)
"""Share of the faces whose known class is found that may be lost to new classes: of all, and of a class on average."""
STRENGTHS = (1.0, 10.0, 100.0)
"""Of what holds known rows where they were; the best is taken. The first is for faces of all classes alone: see `refitted`."""
HELD = 60
"""Where classes have no faces, more faces than these move the others' rows no further."""


@dataclass(frozen=True, eq=False)
class Given:
    """N labeled faces, seen by the model."""

    views: Tensor
    """(V, N, D) float64: what the last layer is given of each face's views; the first is the face as it is."""
    labels: Tensor
    """(N,), into `classes`."""
    classes: tuple[str, ...]
    """The known ones, then the new ones."""
    groups: Tensor
    """(N,) whose face it is, or of which video."""
    folds: Tensor
    """(N,) which part a face is in."""
    rows: Tensor
    """(K, D + 1) float64 of the known classes, the bias last."""
    prior: Tensor
    """(K,) how much more frequent each known class is here than among the faces that the model was trained on, as a logarithm."""

    @property
    def known(self) -> int:
        return len(self.rows)

    @property
    def weights(self) -> Tensor:
        """(2, N) what makes known classes as frequent as the model knows them, and what makes all as frequent; in the first 1 for
        faces of new ones."""
        prior = torch.cat([self.prior, torch.zeros(len(self.classes) - self.known)])
        return torch.stack([(-prior[self.labels]).exp(), 1 / self.counts[self.labels]])

    @property
    def counts(self) -> Tensor:
        """(K',) faces of each class."""
        return torch.bincount(self.labels, minlength=len(self.classes)).double()

    @property
    def seen(self) -> Tensor:
        """(K',) which classes have faces enough to be judged by."""
        return self.counts >= LEAST

    @property
    def logits(self) -> Tensor:
        """(V, N, K) of the known classes, as the model gives them."""
        return self.views @ self.rows[:, :-1].T + self.rows[:, -1]


def with_new(given: Given, some: Tensor) -> Tensor:
    """The known rows and those of the new classes, (K', D + 1), by `some` (N,) of the faces."""
    seen, rows = len(given.views), [given.rows]
    for number in range(given.known, len(given.classes)):
        new = given.labels == number
        scores = torch.zeros(seen, len(new), dtype=torch.float64)
        for fold in given.folds[some].unique():
            rest, left_out = some & (given.folds != fold), some & (given.folds == fold)
            scores[:, left_out] = _row(given, new & rest, ~new & rest)(given.views[:, left_out])
        # A face counts by each of its views; those of other new classes are not asked.
        used = (some & (new | (given.labels < given.known))).repeat(seen)
        weights, lose = given.weights.repeat(1, seen)[:, used], [share / (len(given.classes) - given.known) for share in LOSE]
        scale = fit_scale(
            scores.flatten()[used], given.logits.flatten(0, 1)[used], given.labels.repeat(seen)[used], weights, lose
        )
        row = _row(given, new & some, ~new & some)
        bias = torch.tensor([row.bias * scale.factor + scale.shift], dtype=torch.float64)
        rows.append(torch.cat([row.weight * scale.factor, bias])[None])
    return torch.cat(rows)


def _row(given: Given, new: Tensor, others: Tensor) -> Row:
    return discriminant(given.views[:, new].flatten(0, 1), given.views[:, others].flatten(0, 1))


def refitted(given: Given, some: Tensor) -> Tensor:
    """The known rows fitted again, (K, D + 1), by `some` (N,) of the faces, with the strength that is best among these.

    Where known classes have too few faces to be seen, nothing tells what is taken from them. Then only the rows of the others
    move, and by what tells these from each other: cross-entropy among them alone pushes none up against the rest. They are held
    more, and by more where faces are many.
    """
    seen, best, best_average = given.seen[: given.known], STRENGTHS[-1], -1.0
    used = some & seen[given.labels]
    for strength in STRENGTHS if bool(seen.all()) else STRENGTHS[1:]:
        shown = given.logits[0].clone()
        for fold in given.folds[used].unique():
            rest, left_out = used & (given.folds != fold), used & (given.folds == fold)
            shown[left_out] = with_one(given.views[0, left_out]) @ _fitted(given, rest, strength).T
        right = (shown.argmax(1) == given.labels)[used].double()
        average = float((right * given.weights[1, used]).sum())
        if average > best_average:
            best, best_average = strength, average
    return _fitted(given, used, best)


def _fitted(given: Given, some: Tensor, strength: float) -> Tensor:
    (seen,) = given.seen[: given.known].nonzero(as_tuple=True)
    views = given.views[:, some]
    held = 1.0 if len(seen) == given.known else max(1.0, len(views[0]) / HELD)
    labels = torch.searchsorted(seen, given.labels[some]).repeat(len(views))
    rows = given.rows.clone()
    # A face counts once, however many views there are of it.
    rows[seen] = refit(given.rows[seen], views.flatten(0, 1), labels, given.prior[seen], strength * held * len(views))
    return rows
