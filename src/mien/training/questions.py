"""The seven questions that a recipe's techniques answer. A technique is a subclass of its question's protocol."""

from typing import Protocol

from torch import Tensor

from mien.training.face_loader import Batch
from mien.training.losses import LabeledLoss, Loss, Unevaluated, UnlabeledLoss
from mien.training.run import Run

__all__ = ["Draw", "Loss", "Start", "Step", "Targets", "Unlabeled", "Weigh"]


class Start(Protocol):
    """Where do the weights come from? Called once, before the first epoch; sets the weights of `run.network`."""

    @property
    def draws_unlabeled(self) -> bool:
        """Whether the start learns from faces without labels, so that the run has to hold some."""
        return False

    def __call__(self, run: Run) -> None:
        """Set the weights of `run.network`."""
        ...


class Draw(Protocol):
    """Which faces make a batch? A technique for this question is called before every epoch."""

    @property
    def draws_unlabeled(self) -> bool:
        """Whether unlabeled faces are drawn, too; such a draw sets their targets itself."""
        return False

    def __call__(self, run: Run) -> list[Tensor]:
        """The rows of the faces of each batch, (B,) each, int64 on the CPU."""
        ...


class Targets(Protocol):
    """What should each face be taught? A technique for this question is called before every epoch."""

    def __call__(self, run: Run) -> Tensor:
        """A distribution over the classes for every row, (N, K)."""
        ...


class Weigh(Protocol):
    """How much does each face count? Called before every epoch, while `run.targets` are still those of the epoch before."""

    def __call__(self, run: Run) -> Tensor:
        """The weight of every row in this epoch, (N,)."""
        ...

    def of_batch(self, run: Run, batch: Batch) -> Unevaluated | None:
        """Draw what is needed, and return the unevaluated weights (B,) of a batch, which multiply those of the epoch.

        None leaves the epoch's weights as they are.
        """
        return None


class Unlabeled(Protocol):
    """What do faces without labels teach? Called for every batch of them."""

    @property
    def needs_unlabeled(self) -> bool:
        """Whether the technique looks at faces without labels, so that the run has to hold some."""
        return True

    def __call__(self, run: Run, batch: Batch) -> UnlabeledLoss | None:
        """Draw the views of the batch and return its unevaluated loss, or None."""
        ...


class Step(Protocol):
    """When is an update kept? Called for every batch; evaluates its losses and updates the network."""

    def __call__(self, run: Run, labeled: LabeledLoss, unlabeled: UnlabeledLoss | None) -> None:
        """Update `run.network`, by `run.descend(loss)`."""
        ...
