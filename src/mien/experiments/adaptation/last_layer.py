"""Fits rows of a network's last layer to few faces, by the layer's inputs.

A new class gets the row of a linear discriminant (Fisher 1936) whose covariance is shrunk towards that of independent numbers of
equal variance (as in Friedman 1989, "Regularized discriminant analysis"), so that few faces suffice. Known classes' rows are
fitted again by cross-entropy near where they were (L2-SP, Li et al. 2018, "Explicit inductive bias for transfer learning").
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

SHRINK = 0.1
"""Added to a covariance's diagonal, as a share of the diagonal's mean."""
STEPS = 200
"""Most steps of L-BFGS."""


@dataclass(frozen=True, eq=False)
class ClassRow:
    """The row of one class in a linear layer."""

    weight: Tensor
    """(D,) a weight for each feature."""
    bias: float

    def __call__(self, features: Tensor) -> Tensor:
        """The class's logits (...,) for features (..., D)."""
        return features @ self.weight + self.bias


def discriminant(new: Tensor, others: Tensor) -> ClassRow:
    """The linear discriminant of a new class's features (N, D) against all others' (M, D); it is 0 halfway between both means."""
    means = new.mean(0), others.mean(0)
    centered = torch.cat([new - means[0], others - means[1]])
    covariance = centered.T @ centered / len(centered)
    # Where all features are alike there is nothing to divide by, and nothing to tell apart.
    covariance.diagonal().add_(SHRINK * covariance.diagonal().mean() + 1e-6)
    weight = torch.linalg.solve(covariance, means[0] - means[1])
    return ClassRow(weight, -float((means[0] + means[1]) @ weight) / 2)


@dataclass(frozen=True)
class Scale:
    """Factor and shift that make a discriminant's scores comparable with the logits of the known classes."""

    factor: float
    shift: float

    def __call__(self, scores: Tensor) -> Tensor:
        """Logits for a discriminant's scores."""
        return scores * self.factor + self.shift


def fit_scale(scores: Tensor, logits: Tensor, labels: Tensor, weights: Tensor, lose: Sequence[float]) -> Scale:
    """Fit the scale of a discriminant by its scores (N,) for faces that it did not learn from.

    `logits` (N, K): the known classes' logits for these faces. `labels` (N,): K or more for faces of the new class. Logistic
    regression (as in Platt 1999) tells the new class's faces from the others, both sides of equal weight in all. The shift is
    then lowered until no more than a share `lose` of the faces whose known class is found is lost to the new one, for each of
    the `weights` (W, N) by which faces count. The regression uses the first of them.
    """
    new, known = labels >= logits.shape[1], torch.logsumexp(logits, dim=1)
    even = torch.where(new, weights[0] / weights[0, new].sum(), weights[0] / weights[0, ~new].sum())
    start = torch.tensor([-math.log(float(scores.std()) + 1e-6), float(known.mean())], dtype=scores.dtype)
    truth = new.to(scores.dtype)
    found = _minimize(start, lambda at: F.binary_cross_entropy_with_logits(at[0].exp() * scores + at[1] - known, truth, even))
    factor, shift = float(found[0].exp()), float(found[1])
    right = (logits.argmax(1) == labels) & ~new
    # The shift from which a face is lost.
    lost_from, order = (logits.max(1).values - factor * scores)[right].sort()
    for each, share in zip(weights, lose, strict=True):
        lost = each[right][order].cumsum(0)
        allowed = int((lost <= share * lost[-1]).sum()) if len(lost) else 0
        if allowed < len(lost_from):
            shift = min(shift, float(lost_from[allowed]) - 1e-6)
    return Scale(factor, shift)


def refit(rows: Tensor, features: Tensor, labels: Tensor, prior: Tensor, strength: float) -> Tensor:
    """Rows (K, D + 1), the bias last, near the given `rows`, fitted to features (N, D) of known classes `labels` (N,).

    `prior` (K,): logarithm of how much more frequent each class is among these faces than where the model is used. Adding it to
    the logits while fitting (logit adjustment, Menon et al. 2021) keeps these frequencies out of the rows. `strength`: how
    strongly rows are held near where they were.
    """
    inputs = with_one(features)

    def loss(at: Tensor) -> Tensor:
        away = (at - rows.flatten()).square().sum()
        return F.cross_entropy(inputs @ at.view_as(rows).T + prior, labels, reduction="sum") + strength / 2 * away

    return _minimize(rows.flatten(), loss).view_as(rows)


def with_one(features: Tensor) -> Tensor:
    """Features (N, D) with a 1 for the bias at the end, (N, D + 1)."""
    return torch.cat([features, features.new_ones(len(features), 1)], dim=1)


def _minimize(start: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    at = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([at], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(at)
        value.backward()
        return value

    optimizer.step(closure)
    return at.detach()
