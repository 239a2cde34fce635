"""Successive label smoothing (ST+SW, "Label update", Eq. 4-5): faces that the model gets right are taught its prediction."""

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.settings import STRICT, Share
from mien.training.questions import Targets
from mien.training.run import Run


def floor(labels: Tensor, classes: int, alpha: float) -> Tensor:
    """Eq. 5, g: (N,) labels, -1 for none, to (N, K): alpha for the label's class, (1 - alpha)/(K - 1) for each other."""
    targets = torch.full((len(labels), classes), (1 - alpha) / (classes - 1), device=labels.device)
    return targets.scatter_(1, labels.clamp(min=0).unsqueeze(1), alpha)


def successive(probabilities: Tensor, labels: Tensor, alpha: float) -> Tensor:
    """Eq. 4: (N, K) the prediction where it is right and above alpha, else g; zero for faces without label."""
    sure, predicted = probabilities.max(dim=1)
    kept = (sure > alpha) & (predicted == labels)
    targets = torch.where(kept.unsqueeze(1), probabilities, floor(labels, probabilities.shape[1], alpha))
    return targets * (labels >= 0).unsqueeze(1)


@dataclass(frozen=True, config=STRICT)
class Successive(Targets):
    """The targets q_l of the next epoch come from the predictions p_l of this one; draw/replace sets the q_u of unlabeled faces.

    Predictions are of un-augmented faces, by the averaged weights where a recipe averages.

    When it follows Eq. 2's smoothing, the true class's target drops from 0.95 to at least alpha at once, as in the paper.
    """

    alpha: Share = 0.7
    """Least share of the given label's class."""

    @override
    def __call__(self, run: Run) -> Tensor:
        """The targets (N, K) of Eq. 4; zero for faces without label."""
        return successive(run.predictions().probabilities, run.labels, self.alpha)
