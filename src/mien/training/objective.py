"""What the faces of a batch teach, and how well it was learned: classes, unless pretraining says otherwise."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from mien.training import technique_checks
from mien.training.face_loader import Batch
from mien.training.label_quality import memorized
from mien.training.losses import BatchLoss
from mien.training.questions import Weigh
from mien.training.run import Run


class Objective(Protocol):
    """What `fit` teaches a run's network."""

    def loss(self, run: Run, batch: Batch) -> Callable[[], BatchLoss]:
        """Draw the views of a batch, and return its unevaluated loss."""
        ...

    def figures(self, run: Run) -> dict[str, float]:
        """How good the network is after an epoch; with `validation_loss` unless there are no faces to measure it on."""
        ...


class Classes(Objective):
    """The usual objective: faces teach the run's targets, by the run's weights and its loss."""

    def __init__(self, weigh: tuple[Weigh, ...] = ()) -> None:
        """`weigh`: the techniques that are asked for the weights of each batch as well."""
        self.weigh = weigh

    def loss(self, run: Run, batch: Batch) -> Callable[[], BatchLoss]:
        """The weighted losses of all heads, summed over heads and divided by the batch size."""
        inputs = run.view(batch, "weak")
        targets, weights = run.targets[batch.rows], run.weights[batch.rows]
        shape = (len(batch.rows),)
        asked = [(weigh, weigh.of_batch(run, batch)) for weigh in self.weigh]
        shares = [
            technique_checks.unevaluated(made, shape, run.device, "weigh", weigh) for weigh, made in asked if made is not None
        ]

        def charged(losses: object) -> Tensor:
            return technique_checks.numbers(losses, shape, run.device, "loss", run.loss)

        def evaluate() -> BatchLoss:
            counts = torch.stack([weights, *(share() for share in shares)]).prod(dim=0)
            outputs = run.heads(inputs)
            each = counts * torch.stack(
                [technique_checks.trainable(charged(run.loss(output, targets)), run.loss) for output in outputs]
            )
            displayed = [run.loss.displayed(output.detach(), targets) for output in outputs]
            if displayed[0] is not None:
                shown = counts * torch.stack([charged(losses) for losses in displayed])
                run.notes.add("loss", shown.sum(dim=0).mean())  # takes the place of the loss that trains in the history
            return BatchLoss(each.sum(dim=0).mean(), each.detach().mean(dim=1))

        return evaluate

    def figures(self, run: Run) -> dict[str, float]:
        """Accuracy, average accuracy and cross-entropy on the validation faces; how many wrong labels are known by heart."""
        labels = run.data.validation_labels
        found = validation_figures(run.predict(run.validation), labels) if len(labels) else {}
        return memorized(run) | found


def validation_figures(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Accuracy, average accuracy (over classes with faces) and cross-entropy of logits (N, K) against labels (N,)."""
    hits = (logits.argmax(dim=1) == labels).float()
    recalls = [hits[labels == label].mean() for label in labels.unique()]
    return {
        "validation_accuracy": float(hits.mean()),
        "validation_average_accuracy": float(torch.stack(recalls).mean()),
        "validation_loss": float(F.cross_entropy(logits, labels)),
    }
