"""Self-training by replacement (ST+SW, "Exploiting Unlabeled Data for Model Update", Eq. 3).

In every epoch a small share of the labeled faces steps aside for unlabeled ones that the model is sure of, the same number
of every predicted class, so that the frequent class does not win every round.
"""

import math
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor
from typing_extensions import override

from mien.errors import MienError
from mien.recognize.calibration import fit_confidence_threshold
from mien.settings import STRICT, BatchCount, Share
from mien.training.face_loader import shuffled_batches
from mien.training.label_quality import note_pseudo_labels
from mien.training.questions import Draw
from mien.training.run import Run


def sure(probabilities: Tensor, threshold: float) -> Tensor:
    """Eq. 3: indices of the rows of (U, K) whose largest probability is above tau."""
    return torch.nonzero(probabilities.amax(dim=1) > threshold).squeeze(1)


def per_class(labeled: int, classes: int, share: float, up: bool = False) -> int:
    """floor(share * N_l / K) faces of every class, or the ceiling."""
    exact = round(share * labeled / classes, 9)
    return math.ceil(exact) if up else math.floor(exact)


def balanced(predicted: Tensor, classes: int, count: int, generator: Generator, fill: bool = False) -> Tensor:
    """Indices of up to `count` random rows of every class of predictions (C,).

    A short class gives what it has; where others `fill` up, they give as evenly as they can, `count` times `classes` in all.
    """
    order = torch.randperm(len(predicted), generator=generator)
    groups = [order[predicted[order] == label] for label in range(classes)]
    if not fill:
        return torch.cat([group[:count] for group in groups])
    # Each row's turn within its class; in the last turn, chance decides between classes.
    turns = torch.cat([torch.arange(len(group)) for group in groups]) + torch.rand(len(order), generator=generator)
    return torch.cat(groups)[turns.argsort()[: count * classes]]


@dataclass(frozen=True, config=STRICT)
class Replace(Draw):
    """Batches from a permutation of the faces that are left and those that came; q_u = p_u for the latter ("Updating q_u").

    Departures: 2 % of few labels is less than a face of each class, so their number is rounded up (`rounding = "down"` is the
    paper's floor), and other classes fill up a short one (`fill = false`); tau may follow the network (`by`); p_u is by the
    averaged weights where a recipe averages; `at_least` repeats permutations where labels are few.
    """

    draws_unlabeled: ClassVar[bool] = True

    share: Share = 0.02
    """Share of the labeled faces that steps aside."""
    rounding: Literal["up", "down"] = "up"
    """Which way the number of faces of each class is rounded."""
    fill: bool = True
    """Whether sure faces of other classes come where a class has too few."""
    threshold: Share = 0.9
    """tau: a face is sure above this probability."""
    by: Literal["probability", "quantile", "precision"] = "probability"
    """What `threshold` is: a probability; the share of unlabeled faces that is less sure; the share of sure validation faces that
    is to be right."""
    at_least: BatchCount = 1
    """Batches in an epoch at least."""

    @override
    def without_unlabeled(self) -> "Replace":
        """No face steps aside."""
        return replace(self, share=0.0)

    @override
    def __call__(self, run: Run) -> list[Tensor]:
        """Rows of each batch, (B,), labeled and unlabeled; the targets of the unlabeled ones become their predictions.

        Raises MienError where validation faces are to say who is sure, and there are none.
        """
        labeled = run.labeled.cpu()
        chosen = self._chosen(run)
        faces = torch.cat([labeled[torch.randperm(len(labeled), generator=run.generator)][len(chosen) :], chosen])
        size = min(run.batch, len(faces))
        return shuffled_batches(faces, max(self.at_least, len(faces) // size), size, run.generator)

    def _chosen(self, run: Run) -> Tensor:
        """Rows of the unlabeled faces of this epoch, on the CPU; half of the labeled ones stay, or what the share leaves."""
        count = per_class(len(run.labeled), run.classes, self.share, self.rounding == "up")
        if not count or not len(run.unlabeled):
            run.notes.add("replaced", 0)
            return run.unlabeled.cpu()[:0]
        predicted = run.predictions().probabilities
        candidates = run.unlabeled[sure(predicted[run.unlabeled], self._tau(run, predicted[run.unlabeled]))].cpu()
        labels = predicted.argmax(dim=1)
        classes = labels[candidates.to(run.device)].cpu()
        # A face of every class may be more than all labels: half of them stay, or what the share leaves.
        most = max(len(run.labeled) // 2, math.floor(len(run.labeled) * self.share + 1e-9))
        chosen = candidates[balanced(classes, run.classes, count, run.generator, self.fill)][:most]
        rows = chosen.to(run.device)
        run.targets[rows] = predicted[rows]
        run.notes.add("replaced", len(chosen))
        note_pseudo_labels(run, rows, labels[rows])
        return chosen

    def _tau(self, run: Run, probabilities: Tensor) -> float:
        """The probability above which a face is sure; `probabilities`: (U, K) of unlabeled faces."""
        if self.by == "probability":
            return self.threshold
        if self.by == "quantile":
            found = float(probabilities.amax(dim=1).double().quantile(self.threshold))
        else:
            found = self._precise(run)
        run.notes.add("threshold", found)
        # Those that are just as sure are meant, too; at 1 of validation, nobody is.
        return found * (1 - 1e-6) if self.by == "quantile" or found < 1 else 1.0

    def _precise(self, run: Run) -> float:
        """The lowest probability, from 1/2 on, that validation allows; 1 for none."""
        labels = run.data.validation_labels
        if not len(labels):
            raise MienError("validation faces, which say who is sure", "none", 'set draw.by to "probability" or "quantile"')
        likely = run.predict(run.validation).double().softmax(dim=1)
        return fit_confidence_threshold(likely.numpy(), labels.numpy(), 0.5, self.threshold)
