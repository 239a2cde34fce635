"""Losses over a batch that a step evaluates when it wants to: of labeled faces, and of unlabeled ones."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

Unevaluated = Callable[[], Tensor]
"""A loss over a batch whose views are drawn: called, it is evaluated at the network's present weights; a scalar."""


Perturb = Callable[[Tensor], Tensor]
"""Changes probabilities (U, K) before pseudo-labels are taken from them."""


class UnlabeledLoss(Protocol):
    """The same for unlabeled faces; a step may say how the probabilities behind pseudo-labels are perturbed."""

    def __call__(self, perturb: Perturb | None = None) -> Tensor: ...
