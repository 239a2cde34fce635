"""Self-training by replacement (ST+SW, "Exploiting Unlabeled Data for Model Update", Eq. 3).

In every epoch a small share of the labeled faces steps aside for unlabeled ones that the model is sure of, the same number
of every predicted class, so that the frequent class does not win every round.
"""

from dataclasses import replace
from typing import ClassVar

import torch
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor
from typing_extensions import override

from mien.settings import STRICT, BatchCount, Share
from mien.training.face_loader import shuffled_batches
from mien.training.label_quality import note_pseudo_labels
from mien.training.questions import Draw
from mien.training.run import Run


def sure(probabilities: Tensor, threshold: float) -> Tensor:
    """Eq. 3: indices of the rows of (U, K) whose largest probability is above tau."""
    return torch.nonzero(probabilities.amax(dim=1) > threshold).squeeze(1)


def per_class(labeled: int, classes: int, share: float) -> int:
    """floor(share * N_l / K) faces of every class."""
    return int(round(share * labeled / classes, 9))


def balanced(predicted: Tensor, classes: int, count: int, generator: Generator) -> Tensor:
    """Indices of up to `count` random rows of every class of predictions (C,); a short class gives what it has."""
    order = torch.randperm(len(predicted), generator=generator)
    return torch.cat([order[predicted[order] == label][:count] for label in range(classes)])


@dataclass(frozen=True, config=STRICT)
class Replace(Draw):
    """Batches from a permutation of the faces that are left and those that came; q_u = p_u for the latter ("Updating q_u").

    Departures: p_u is by the averaged weights where a recipe averages; `at_least` repeats permutations where labels are few.
    """

    draws_unlabeled: ClassVar[bool] = True

    share: Share = 0.02
    """Share of the labeled faces that steps aside."""
    threshold: Share = 0.9
    """tau: a face is sure above this probability."""
    at_least: BatchCount = 1
    """Batches in an epoch at least."""

    @override
    def without_unlabeled(self) -> "Replace":
        """No face steps aside."""
        return replace(self, share=0.0)

    @override
    def __call__(self, run: Run) -> list[Tensor]:
        """Rows of each batch, (B,), labeled and unlabeled; the targets of the unlabeled ones become their predictions."""
        labeled = run.labeled.cpu()
        chosen = self._chosen(run)
        faces = torch.cat([labeled[torch.randperm(len(labeled), generator=run.generator)][len(chosen) :], chosen])
        size = min(run.batch, len(faces))
        return shuffled_batches(faces, max(self.at_least, len(faces) // size), size, run.generator)

    def _chosen(self, run: Run) -> Tensor:
        """Rows of the unlabeled faces of this epoch, on the CPU."""
        count = per_class(len(run.labeled), run.classes, self.share)
        if not count or not len(run.unlabeled):
            run.notes.add("replaced", 0)
            return run.unlabeled.cpu()[:0]
        predicted = run.predictions().probabilities
        candidates = run.unlabeled[sure(predicted[run.unlabeled], self.threshold)].cpu()
        labels = predicted.argmax(dim=1)
        chosen = candidates[balanced(labels[candidates.to(run.device)].cpu(), run.classes, count, run.generator)]
        rows = chosen.to(run.device)
        run.targets[rows] = predicted[rows]
        run.notes.add("replaced", len(chosen))
        note_pseudo_labels(run, rows, labels[rows])
        return chosen
