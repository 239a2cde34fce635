"""Label smoothing (ST+SW, Eq. 2; Szegedy et al. 2016)."""

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.settings import STRICT, Share
from mien.training.questions import Targets
from mien.training.run import Run


def smooth(labels: Tensor, classes: int, epsilon: float) -> Tensor:
    """Labels (N,), -1 for none, to targets (N, K): 1 - epsilon for the label's class, epsilon/(K - 1) for each other."""
    others = epsilon / (classes - 1)
    targets = torch.full((len(labels), classes), others, device=labels.device)
    targets.scatter_(1, labels.clamp(min=0).unsqueeze(1), 1 - epsilon)
    return targets * (labels >= 0).unsqueeze(1)


@dataclass(frozen=True, config=STRICT)
class Smoothed(Targets):
    """q_k = 1 - epsilon for the label's class, epsilon/(K - 1) elsewhere."""

    epsilon: Share = 0.05
    """What the true class gives up."""

    @override
    def __call__(self, run: Run) -> Tensor:
        """The smoothed labels, (N, K); zero for faces without label."""
        return smooth(run.labels, run.classes, self.epsilon)
