"""Rows of a network's last layer, fitted to few faces on what comes before it.

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
"""What is added to a covariance's diagonal, in its own mean."""
STEPS = 200
"""At most, of L-BFGS."""


@dataclass(frozen=True, eq=False)
class Row:
    """The row of one class."""

    weight: Tensor
    """(D,)"""
    bias: float

    def __call__(self, features: Tensor) -> Tensor:
        """Logits (...,) of features (..., D)."""
        return features @ self.weight + self.bias


def discriminant(new: Tensor, others: Tensor) -> Row:
    """Of features (N, D) of a new class against (M, D) of all others; 0 halfway between both means."""
    means = new.mean(0), others.mean(0)
    centered = torch.cat([new - means[0], others - means[1]])
    covariance = centered.T @ centered / len(centered)
    # Where all features are alike there is nothing to divide by, and nothing to tell apart.
    covariance.diagonal().add_(SHRINK * covariance.diagonal().mean() + 1e-6)
    weight = torch.linalg.solve(covariance, means[0] - means[1])
    return Row(weight, -float((means[0] + means[1]) @ weight) / 2)


@dataclass(frozen=True)
class Scale:
    """What takes a discriminant to where it competes with the logits of the known classes."""

    factor: float
    shift: float

    def __call__(self, scores: Tensor) -> Tensor:
        """Logits of a discriminant's scores."""
        return scores * self.factor + self.shift


def fit_scale(scores: Tensor, logits: Tensor, labels: Tensor, weights: Tensor, lose: Sequence[float]) -> Scale:
    """Of scores (N,) of faces that the discriminant did not learn from, beside their logits (N, K) of known classes.

    By logistic regression, as in Platt 1999, of the faces that are of no known class (`labels` (N,) of K or more) against the
    others, both of equal weight in all; then lowered until no more than the shares `lose` of the faces whose known class was
    found are lost to the new one, one by each of the `weights` (W, N): how much a face counts among those on its side. The
    regression uses the first.
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
    """Rows (K, D + 1), the bias last, near the given ones, fitted to features (N, D) of known classes `labels` (N,).

    `prior` (K,): how much more frequent, as a logarithm, a class is among these faces than where the model is used: it is added
    to the logits while fitting (logit adjustment, Menon et al. 2021), so that the faces' frequencies leave no trace.
    """
    inputs = with_one(features)

    def loss(at: Tensor) -> Tensor:
        away = (at - rows.flatten()).square().sum()
        return F.cross_entropy(inputs @ at.view_as(rows).T + prior, labels, reduction="sum") + strength / 2 * away

    return _minimize(rows.flatten(), loss).view_as(rows)


def with_one(features: Tensor) -> Tensor:
    """(N, D + 1): features (N, D), and 1 for the bias."""
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
