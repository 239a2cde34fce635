"""Pseudo-labels (Lee 2013, "Pseudo-Label", Eq. 15-16): the class the network finds most likely is taken for the truth."""

import torch.nn.functional as F
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.settings import STRICT, CountOrZero, NotNegative, Share
from mien.training.face_loader import Batch
from mien.training.label_quality import note_pseudo_labels
from mien.training.losses import Perturb, UnlabeledLoss
from mien.training.questions import Unlabeled
from mien.training.run import Run


def alpha(epoch: int, weight: float, start: int, ramp: int) -> float:
    """Eq. 16: 0 before epoch `start`, then linear over `ramp` epochs up to `weight`; `ramp` 0 is `weight` at once."""
    if epoch < start:
        return 0.0
    return weight * min(1.0, (epoch - start) / ramp) if ramp else weight


def probabilities(fused: Tensor) -> Tensor:
    """Logits of the deciding head (U, K) to probabilities; no gradient passes."""
    return fused.detach().softmax(dim=1)


def confident(chances: Tensor, threshold: float) -> Tensor:
    """(U,) whether the largest of the probabilities (U, K) reaches `threshold`."""
    return chances.amax(dim=1) >= threshold


@dataclass(frozen=True, config=STRICT)
class PseudoLabel(Unlabeled):
    """alpha(t) times the mean cross-entropy to the face's own most likely class, summed over heads.

    Departures: t counts epochs; label and loss are of one weakly distorted view (Lee trains on the faces as they are, with
    dropout); a face below `threshold` (Lee has none: 0) teaches nothing but is counted in the mean.
    """

    weight: NotNegative = 1.0
    """alpha_f: what the unlabeled loss counts in the end; ALT takes 1, Lee 3."""
    start: CountOrZero = 0
    """T1: epochs before pseudo-labels begin."""
    ramp: CountOrZero = 0
    """T2 - T1: epochs over which their weight rises."""
    threshold: Share = 0.0
    """Least probability of a face's class."""

    @override
    def __call__(self, run: Run, batch: Batch) -> UnlabeledLoss | None:
        """The unevaluated loss of a weak view of the batch; None while its weight is 0."""
        share = alpha(len(run.history), self.weight, self.start, self.ramp)
        if share == 0:
            run.notes.add("pseudo_label_share", 0.0)
            return None
        inputs = run.view(batch, "weak")

        def evaluate(perturb: Perturb | None = None) -> Tensor:
            heads = run.heads(inputs)
            chances = probabilities(heads[-1])
            labels = (chances if perturb is None else perturb(chances)).argmax(dim=1)
            counted = confident(chances, self.threshold)
            note_pseudo_labels(run, batch.rows, labels, counted)
            each = sum((F.cross_entropy(head, labels, reduction="none") for head in heads), start=heads.new_zeros(()))
            return share * (counted * each).mean()

        return evaluate
