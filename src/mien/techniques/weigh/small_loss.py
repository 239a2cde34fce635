"""Small-loss selection (Co-teaching; Han et al. 2018, NeurIPS, Algorithm 1): faces of large loss are left out, more and more."""

import torch
import torch.nn.functional as F
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.settings import STRICT, Share
from mien.training.label_quality import weights_of_labeled
from mien.training.questions import Weigh
from mien.training.run import Run


def kept_share(wrong: float, progress: float) -> float:
    """R(T) = 1 - tau min(T / T_k, 1), of tau and T / T_k."""
    return 1 - wrong * min(progress, 1.0)


def smallest(losses: Tensor, share: float) -> Tensor:
    """(N,) bool: the `share` of smallest loss, at least one; of equal losses, the first."""
    order = losses.argsort(stable=True)[: max(1, round(share * len(losses)))]
    return torch.zeros_like(losses, dtype=torch.bool).index_fill_(0, order, True)


@dataclass(frozen=True, config=STRICT)
class SmallLoss(Weigh):
    """w_i = 1 for the R(T) labeled faces of smallest loss against their labels, 0 for the others.

    Departures: one network selects for itself, where Co-teaching's two select for each other; it selects among all labeled faces
    before every epoch, un-augmented, not within each batch.
    """

    wrong: Share = 0.2
    """tau, the share of labels that is left out in the end: about as many as are wrong."""
    ramp: Share = 0.3
    """T_k, the share of the run's epochs over which that many are reached."""

    @override
    def __call__(self, run: Run) -> Tensor:
        """The weights (N,) of the coming epoch; 1 for faces without label."""
        if not run.history:
            return weights_of_labeled(run, None)
        found, rows = run.predictions().probabilities[run.labeled], run.labeled
        losses = F.nll_loss(found.clamp(min=1e-12).log(), run.labels[rows], reduction="none")
        progress = len(run.history) / max(self.ramp * run.epochs, 1.0)
        return weights_of_labeled(run, smallest(losses, kept_share(self.wrong, progress)))
