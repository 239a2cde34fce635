"""Rare classes count more (SNA's "weighted loss", Table VIII)."""

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from mien.settings import STRICT, Power
from mien.training.run import Run


def class_weights(labels: Tensor, classes: int, power: float) -> Tensor:
    """(N,) labels without -1 to (K,): n_k^-power, scaled so that the faces' mean weight is 1; 0 for an absent class."""
    counts = torch.bincount(labels, minlength=classes).float()
    raw = torch.where(counts > 0, counts.clamp(min=1) ** -power, 0.0)
    return raw * len(labels) / (raw * counts).sum()


@dataclass(frozen=True, config=STRICT)
class ByClass:
    """w_i = n_{y_i}^-power, scaled to a mean of 1. SNA does not give the power; 1 is the usual reading."""

    power: Power = 1.0
    """1: every class has the same sum of weights; 0: every face the same weight."""

    def __call__(self, run: Run) -> Tensor:
        """(N,); 1 for faces without label."""
        weights = class_weights(run.labels[run.labeled], run.classes, self.power)
        return torch.where(run.labels >= 0, weights[run.labels.clamp(min=0)], 1.0)
