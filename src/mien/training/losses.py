"""Losses: how a miss is charged, and what a step evaluates over the labeled and the unlabeled faces of a batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

Unevaluated = Callable[[], Tensor]
"""Numbers over a batch whose views are drawn: called, they are computed at the network's present weights."""

Perturb = Callable[[Tensor], Tensor]
"""Changes probabilities (U, K) before pseudo-labels are taken from them."""


class Loss(Protocol):
    """How is a miss charged? Output of a head (B, K) and target (B, K) to (B,), by which the network trains."""

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Logits (B, K) and targets (B, K) to the loss of each face, (B,)."""
        ...

    def displayed(self, output: Tensor, target: Tensor) -> Tensor | None:
        """The loss (B,) that a run's curve shows, for a loss published with another value than it trains by; else None."""
        return None


@dataclass(frozen=True)
class BatchLoss:
    """The loss over the labeled faces of one batch, at the weights at which it was evaluated."""

    total: Tensor
    """(), what the network trains by."""
    heads: Tensor
    """(H,) the mean loss of each head, without gradient."""

    @staticmethod
    def of_one(total: Tensor) -> "BatchLoss":
        """The loss () of a network with one head."""
        return BatchLoss(total, total.detach().view(1))


class LabeledLoss:
    """The loss over the labeled faces of a batch. Called, it is evaluated at the network's present weights: a tensor ()."""

    def __init__(self, evaluate: Callable[[], BatchLoss]) -> None:
        self._evaluate, self._last = evaluate, None

    _last: BatchLoss | None

    def __call__(self) -> Tensor:
        """Evaluate the loss, (), with its gradient."""
        self._last = self._evaluate()
        return self._last.total

    @property
    def heads(self) -> Tensor:
        """(H,) the mean loss of each head of the network at the last call, without gradient."""
        assert self._last is not None, "the loss of the heads is known once the loss was called"
        return self._last.heads


class UnlabeledLoss(Protocol):
    """The loss over the unlabeled faces of a batch. Called, it is evaluated at the network's present weights: a tensor ()."""

    def __call__(self, perturb: Perturb | None = None) -> Tensor:
        """Evaluate the loss; `perturb` changes the probabilities (U, K) behind pseudo-labels first."""
        ...
