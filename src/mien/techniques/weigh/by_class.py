"""Rare classes count more (SNA's "weighted loss", Table VIII)."""

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.settings import STRICT, Power
from mien.training.questions import Weigh
from mien.training.run import Run


def class_weights(labels: Tensor, classes: int, power: float) -> Tensor:
    """Labels (N,) without -1 to weights of classes (K,): n_k^-power, scaled to a mean of 1 over faces; 0 for an absent class."""
    counts = torch.bincount(labels, minlength=classes).float()
    raw = torch.where(counts > 0, counts.clamp(min=1) ** -power, 0.0)
    return raw * len(labels) / (raw * counts).sum()


@dataclass(frozen=True, config=STRICT)
class ByClass(Weigh):
    """w_i = n_{y_i}^-power, scaled to a mean of 1. SNA does not give the power; 1 is the usual reading."""

    power: Power = 1.0
    """1: every class has the same sum of weights; 0: every face the same weight."""

    @override
    def __call__(self, run: Run) -> Tensor:
        """The weights (N,) by class; 1 for faces without label."""
        weights = class_weights(run.labels[run.labeled], run.classes, self.power)
        return torch.where(run.labels >= 0, weights[run.labels.clamp(min=0)], 1.0)
