"""What the faces of a batch teach, and how well it was learned: classes, unless a part of a run says otherwise."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from mien.training import contract
from mien.training.losses import Unevaluated

if TYPE_CHECKING:
    from mien.training.face_loader import Batch
    from mien.training.run import Run


class Objective(Protocol):
    """What `fit` teaches a run's network."""

    def loss(self, run: "Run", batch: "Batch") -> Unevaluated:
        """The loss over a batch, a scalar; its views are drawn here."""
        ...

    def figures(self, run: "Run") -> dict[str, float]:
        """How good the network is after an epoch; with `validation_loss` unless there are no faces to measure it on."""
        ...


class Classes:
    """Faces teach the run's targets, by its weights and its recipe's loss."""

    def loss(self, run: "Run", batch: "Batch") -> Unevaluated:
        """Weighted losses are summed over heads and divided by the batch size."""
        inputs = run.view(batch, "weak")
        targets, weights = run.targets[batch.rows], run.weights[batch.rows]
        shape, loss = (len(batch.rows),), run.components.loss
        shares = [
            contract.unevaluated(weigh.of_batch(run, batch), shape, run.device, "weigh", weigh)
            for weigh in run.components.weigh
            if hasattr(weigh, "of_batch")
        ]

        def charged(charge: Callable[[Tensor, Tensor], Tensor], output: Tensor) -> Tensor:
            return contract.numbers(charge(output, targets), shape, run.device, "loss", loss)

        def evaluate() -> Tensor:
            counts = torch.stack([weights, *(share() for share in shares)]).prod(dim=0)
            outputs = run.heads(inputs)
            each = counts * torch.stack([contract.trainable(charged(loss, output), loss) for output in outputs])
            run.head_losses = each.detach().mean(dim=1)
            if displayed := getattr(loss, "displayed", None):
                shown = counts * torch.stack([charged(displayed, output.detach()) for output in outputs])
                run.note("loss", shown.sum(dim=0).mean())  # takes the place of the loss that trains in the history
            return each.sum(dim=0).mean()

        return evaluate

    def figures(self, run: "Run") -> dict[str, float]:
        """Accuracy, average accuracy and cross-entropy on the validation faces."""
        count = len(run.validation_labels)
        return validation_figures(run.predict(run.validation, count), run.validation_labels) if count else {}


def validation_figures(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Accuracy, average accuracy (over classes with faces) and cross-entropy of logits (N, K) against labels (N,)."""
    hits = (logits.argmax(dim=1) == labels).float()
    recalls = [hits[labels == label].mean() for label in labels.unique()]
    return {
        "validation_accuracy": float(hits.mean()),
        "validation_average_accuracy": float(torch.stack(recalls).mean()),
        "validation_loss": float(F.cross_entropy(logits, labels)),
    }
