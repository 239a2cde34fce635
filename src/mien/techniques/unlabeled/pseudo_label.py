"""Pseudo-labels (Lee 2013, "Pseudo-Label", Eq. 15-16): the class the network finds most likely is taken for the truth."""

import torch.nn.functional as F
from pydantic.dataclasses import dataclass
from torch import Tensor

from mien.registry import STRICT
from mien.techniques import Unevaluated
from mien.training.pool import Batch
from mien.training.run import Run


def alpha(epoch: int, weight: float, start: int, ramp: int) -> float:
    """Eq. 16: 0 before epoch `start`, then linear over `ramp` epochs up to `weight`; `ramp` 0 is `weight` at once."""
    if epoch < start:
        return 0.0
    return weight * min(1.0, (epoch - start) / ramp) if ramp else weight


def pseudo_labels(fused: Tensor) -> Tensor:
    """Logits of the deciding head (U, K) to the class of each face, (U,); no gradient passes."""
    return fused.detach().argmax(dim=1)


def confident(fused: Tensor, threshold: float) -> Tensor:
    """(U,) 1 for faces whose largest probability reaches `threshold`, 0 for others."""
    return (fused.detach().softmax(dim=1).amax(dim=1) >= threshold).float()


@dataclass(frozen=True, config=STRICT)
class PseudoLabel:
    """alpha(t) times the mean cross-entropy to the face's own most likely class, summed over heads.

    Departures: t counts epochs; label and loss are of one weakly distorted view (Lee trains on the faces as they are, with
    dropout); a face below `threshold` (Lee has none: 0) teaches nothing but is counted in the mean.
    """

    weight: float = 1.0
    """alpha_f: what the unlabeled loss counts in the end; ALT takes 1, Lee 3."""
    start: int = 0
    """T1: epochs before pseudo-labels begin."""
    ramp: int = 0
    """T2 - T1: epochs over which their weight rises."""
    threshold: float = 0.0
    """Least probability of a face's class."""

    def __call__(self, run: Run, batch: Batch) -> Unevaluated | None:
        """The unevaluated loss of a weak view of the batch; None while its weight is 0."""
        share = alpha(len(run.history), self.weight, self.start, self.ramp)
        if share == 0:
            return None
        inputs = run.view(batch, "weak")

        def evaluate() -> Tensor:
            heads = run.heads(inputs)
            labels, counted = pseudo_labels(heads[-1]), confident(heads[-1], self.threshold)
            each = sum((F.cross_entropy(head, labels, reduction="none") for head in heads), start=heads.new_zeros(()))
            return share * (counted * each).mean()

        return evaluate
