"""Distillation (Hinton, Vinyals and Dean 2015): a student learns what its teacher says of faces, all classes at once."""

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from mien.data.augment import Strength
from mien.pretraining.soft_targets import read_logits, softened
from mien.settings import STRICT, NotNegative, Positive
from mien.training.face_loader import Batch
from mien.training.label_quality import note_pseudo_labels
from mien.training.losses import Perturb, UnlabeledLoss
from mien.training.questions import Unlabeled
from mien.training.run import Run


@dataclass(frozen=True, config=STRICT)
class SoftTargets(Unlabeled):
    """weight T^2 times the mean over U faces of CE(softmax(z / T), softmax(v / T)), summed over heads; Eq. 1 and section 2.

    z are the teacher's logits, v the student's. Needs start = teachers, or distill with keep_logits. Departures: z is computed
    once, of the face as it is and of its mirror image, and their mean taken; the paper's teacher sees what its student sees.
    """

    weight: NotNegative = 1.0
    """What the term counts beside the loss on labels."""
    temperature: Positive = 1.0
    """T: above 1, classes that are unlikely to the teacher count more."""
    views: Strength = "weak"
    """How far the student's views are distorted."""

    @override
    def __call__(self, run: Run, batch: Batch) -> UnlabeledLoss | None:
        """The unevaluated loss of a view of the batch. Raises MienError where the run kept no logits."""
        taught = softened(read_logits(run)[batch.rows], self.temperature)
        inputs = run.view(batch, self.views)

        def evaluate(perturb: Perturb | None = None) -> Tensor:
            heads = run.heads(inputs)
            note_pseudo_labels(run, batch.rows, taught.argmax(dim=1))
            run.notes.add("agreement", (heads[-1].argmax(dim=1) == taught.argmax(dim=1)).double().mean())
            each = torch.stack([F.cross_entropy(head / self.temperature, taught, reduction="none") for head in heads])
            return self.weight * self.temperature**2 * each.sum(dim=0).mean()

        return evaluate
