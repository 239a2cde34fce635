"""Confident learning (Northcutt, Jiang and Chuang 2021, JAIR) within a run: faces whose labels it takes for wrong are left out.

mien label-errors finds such labels by cleanlab, on predictions out of sample; here the run judges the labels as it learns them.
"""

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.settings import STRICT, Share
from mien.training.label_quality import weights_of_labeled
from mien.training.questions import Weigh
from mien.training.run import Run


def class_thresholds(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Eq. 2: t_j, (K,), the mean probability of class j over the faces labeled j; infinite for a class without faces."""
    classes = probabilities.shape[1]
    own = probabilities.gather(1, labels.unsqueeze(1)).squeeze(1)
    counts = torch.bincount(labels, minlength=classes)
    sums = torch.zeros(classes, device=labels.device, dtype=own.dtype).index_add_(0, labels, own)
    return torch.where(counts > 0, sums / counts.clamp(min=1), torch.inf)


def confident_class(probabilities: Tensor, thresholds: Tensor) -> Tensor:
    """Eq. 1: (N,) the likeliest of the classes whose probability reaches their threshold, (K,); -1 where none does."""
    reached = probabilities >= thresholds
    found = torch.where(reached, probabilities, -1.0).argmax(dim=1)
    return torch.where(reached.any(dim=1), found, -1)


def wrong(probabilities: Tensor, labels: Tensor) -> Tensor:
    """(N,) bool: faces off the diagonal of the confident joint. Of a class that would lose all its faces, none."""
    found = confident_class(probabilities, class_thresholds(probabilities, labels))
    off = (found >= 0) & (found != labels)
    left = torch.bincount(labels[~off], minlength=probabilities.shape[1])
    return off & (left[labels] > 0)


@dataclass(frozen=True, config=STRICT)
class Pruned(Weigh):
    """w_i = 0 for faces off the diagonal of the confident joint, 1 for all others; judged anew before every epoch.

    Departures: the paper predicts each face by a network that never saw it, prunes once, and trains again. Here the network in
    training predicts, un-augmented, after a warm-up in which no face is left out and before it knows the labels by heart. What is
    left out is not learned, so that it may come back. Of the paper's ways to prune, this is C (confusion), the simplest.
    """

    after: Share = 0.3
    """Share of the run's epochs that pass before faces are left out."""

    @override
    def __call__(self, run: Run) -> Tensor:
        """The weights (N,) of the coming epoch; 1 for faces without label."""
        rows = run.labeled
        if not run.history or len(run.history) < self.after * run.epochs:
            return weights_of_labeled(run, None)
        return weights_of_labeled(run, ~wrong(run.predictions().probabilities[rows], run.labels[rows]))
