"""Fits rows of a model's last layer to its user's few faces: new classes' rows, or the known ones again."""

import torch
from torch import Tensor

from mien.experiments.adaptation.adaptation_faces import AdaptationFaces
from mien.experiments.adaptation.last_layer import ClassRow, discriminant, fit_scale, refit, with_one

LOSE = (0.025, 0.04)
"""Most of the faces whose known class is found that may be lost to new classes: share of all, and mean share of a class."""
STRENGTHS = (1.0, 10.0, 100.0)
"""Strengths with which known rows are held near where they were; the best is taken. The first is tried only where all known
classes have faces."""
HELD = 60
"""Where some classes have no faces, more faces than these move the rows no further."""


def fit_new_classes(given: AdaptationFaces, some: Tensor) -> Tensor:
    """The known rows and new classes' rows, (K', D + 1), fitted to `some` (N,) of the faces."""
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


def _row(given: AdaptationFaces, new: Tensor, others: Tensor) -> ClassRow:
    """The discriminant of the faces `new` (N,) against `others` (N,), by all views."""
    return discriminant(given.views[:, new].flatten(0, 1), given.views[:, others].flatten(0, 1))


def refit_known_classes(given: AdaptationFaces, some: Tensor) -> Tensor:
    """The known rows, (K, D + 1), fitted again to `some` (N,) of the faces, held by the strength that is best on these.

    Where known classes have too few faces, nothing tells what is taken from them. Then only the other rows move, by
    cross-entropy among themselves, which pushes none of them up against the rest; they are held more, the more faces there are.
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


def _fitted(given: AdaptationFaces, some: Tensor, strength: float) -> Tensor:
    """The known rows fitted to `some` (N,) of the faces, held by this strength."""
    (seen,) = given.seen[: given.known].nonzero(as_tuple=True)
    views = given.views[:, some]
    held = 1.0 if len(seen) == given.known else max(1.0, len(views[0]) / HELD)
    labels = torch.searchsorted(seen, given.labels[some]).repeat(len(views))
    rows = given.rows.clone()
    # A face counts once, however many views there are of it.
    rows[seen] = refit(given.rows[seen], views.flatten(0, 1), labels, given.prior[seen], strength * held * len(views))
    return rows
