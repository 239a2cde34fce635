"""FixMatch (Sohn et al. 2020, Eq. 3-4): a strong view has to agree with what the network says of a weak one, where it is sure.

`adaptive` takes the class-wise thresholds of FreeMatch (Wang et al. 2023, Eq. 4-8) instead of one fixed number.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.settings import STRICT, NotNegative, Share
from mien.training.class_prior import found_shares
from mien.training.face_loader import Batch
from mien.training.label_quality import note_pseudo_labels
from mien.training.losses import Perturb, UnlabeledLoss
from mien.training.questions import Unlabeled
from mien.training.run import Run


def global_threshold(before: Tensor, probabilities: Tensor, momentum: float) -> Tensor:
    """FreeMatch Eq. 5: () moving average of the mean largest probability of (U, K)."""
    return momentum * before + (1 - momentum) * probabilities.amax(dim=1).mean()


def class_expectation(before: Tensor, probabilities: Tensor, momentum: float) -> Tensor:
    """FreeMatch Eq. 6: (K,) moving average of the mean prediction."""
    return momentum * before + (1 - momentum) * probabilities.mean(dim=0)


def class_thresholds(overall: Tensor, expectation: Tensor) -> Tensor:
    """FreeMatch Eq. 7: (K,) the global threshold, lower for classes that are predicted less often."""
    return overall * expectation / expectation.max()


def aligned(probabilities: Tensor, target: Tensor, predicted: Tensor, strength: float) -> Tensor:
    """ReMixMatch section 3.1: (U, K) probabilities times (target / mean prediction), both (K,), made distributions again."""
    moved = probabilities * (target / predicted.clamp(min=1e-6)) ** strength
    return moved / moved.sum(dim=1, keepdim=True)


@dataclass(frozen=True, config=STRICT)
class Fixmatch(Unlabeled):
    """weight times the mean over U faces of 1[max q >= threshold] CE(argmax q, strong view), summed over heads.

    Departures: q comes from the network without dropout and with its running batch statistics; labeled faces and strong
    views are normalized each by their own batch's (the authors' code: as one batch), and the recipe says whose statistics are
    kept. FreeMatch's averages begin with the first batch, not at 1/K (`begin = "even"`), which lets every wrong label of a
    good start through; its fairness term is left out. `align` takes ReMixMatch's distribution alignment (Berthelot et al. 2020),
    not to the labels' frequencies but to those that EM finds among the unlabeled faces before the first step; the mean
    prediction moves by `momentum`, where ReMixMatch takes that of its last 128 batches. `teacher = "average"` takes q from the
    averaged weights (Mean Teacher, Tarvainen and Valpola 2017).
    """

    weight: NotNegative = 1.0
    """lambda_u."""
    threshold: Share = 0.95
    """tau: least probability of a face's class; not used where `adaptive`."""
    adaptive: bool = False
    """Thresholds by class that follow how sure the network has become."""
    momentum: Share = 0.999
    """Momentum of the moving averages behind adaptive thresholds; FreeMatch takes .999."""
    begin: Literal["first", "even"] = "first"
    """Where these averages begin: at the first batch's, or at 1/K."""
    align: Share = 0.0
    """How far pseudo-labels are aligned with how frequent the classes are: 0 not at all, 1 as in ReMixMatch."""
    teacher: Literal["network", "average"] = "network"
    """Whose word the pseudo-labels are: that of the network in training, or of its averaged weights."""

    @override
    def __call__(self, run: Run, batch: Batch) -> UnlabeledLoss | None:
        """The unevaluated loss of a weak and a strong view of the batch."""
        weak, strong = run.view(batch, "weak"), run.view(batch, "strong")

        def evaluate(perturb: Perturb | None = None) -> Tensor:
            with run.evaluating(run.eval_network if self.teacher == "average" else None) as network, run.autocast():
                sure: Tensor = network(weak).float().softmax(dim=1)
            sure = self._aligned(run, sure) if self.align else sure
            labels = (sure if perturb is None else perturb(sure)).argmax(dim=1)
            counted = sure.amax(dim=1) >= self._thresholds(run, sure)[labels]
            note_pseudo_labels(run, batch.rows, labels, counted)
            each = torch.stack([F.cross_entropy(head, labels, reduction="none") for head in run.heads(strong)]).sum(dim=0)
            return self.weight * (counted * each).mean()

        return evaluate

    def _aligned(self, run: Run, sure: Tensor) -> Tensor:
        """The probabilities (U, K), aligned; their mean moves with this batch's."""
        memory = run.state["unlabeled"]
        target = memory.get("target", Tensor, lambda: found_shares(run).to(sure))
        predicted = class_expectation(memory.get("predicted", Tensor, lambda: sure.mean(dim=0)), sure, self.momentum)
        memory.put("predicted", predicted)
        return aligned(sure, target, predicted, self.align)

    def _thresholds(self, run: Run, sure: Tensor) -> Tensor:
        """(K,) thresholds, after what this batch's probabilities (U, K) add to the averages."""
        if not self.adaptive:
            return sure.new_full((run.classes,), self.threshold)
        even, first = sure.new_full((run.classes,), 1 / run.classes), self.begin == "first"
        memory = run.state["unlabeled"]
        largest = memory.get("global", Tensor, lambda: sure.amax(dim=1).mean() if first else even[0])
        predicted = memory.get("classes", Tensor, lambda: sure.mean(dim=0) if first else even)
        overall = global_threshold(largest, sure, self.momentum)
        expectation = class_expectation(predicted, sure, self.momentum)
        memory.put("global", overall)
        memory.put("classes", expectation)
        run.notes.add("threshold", overall)
        return class_thresholds(overall, expectation)
