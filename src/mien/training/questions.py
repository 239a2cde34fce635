"""The seven questions that a recipe's techniques answer. A technique is a subclass of its question's protocol."""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from typing_extensions import override

from mien.errors import MienError
from mien.registry import component_name
from mien.training.face_loader import Batch
from mien.training.losses import LabeledLoss, Loss, Perturb, Unevaluated, UnlabeledLoss
from mien.training.run import Run

__all__ = ["Draw", "Loss", "Start", "Step", "Targets", "Unlabeled", "Weigh"]


class Start(Protocol):
    """Where do the weights come from? Called once, before the first epoch; sets the weights of `run.network`."""

    @property
    def draws_unlabeled(self) -> bool:
        """Whether the start learns from faces without labels, so that the run has to hold some."""
        return False

    def without_unlabeled(self) -> "Start":
        """The start of a control: as many steps, from labeled faces alone. Raises MienError where a start has none."""
        _require_labeled_only(self)
        return self

    def __call__(self, run: Run) -> None:
        """Set the weights of `run.network`."""
        ...


class Draw(Protocol):
    """Which faces make a batch? A technique for this question is called before every epoch."""

    @property
    def draws_unlabeled(self) -> bool:
        """Whether unlabeled faces are drawn, too; such a draw sets their targets itself."""
        return False

    @property
    def at_least(self) -> int:
        """Batches in an epoch at least, however few faces have labels."""
        return 1

    @property
    def balances(self) -> bool:
        """Whether batches hold as many faces of each class that has labels, however many labels each has."""
        return False

    def without_unlabeled(self) -> "Draw":
        """The draw of a control: as many batches, of labeled faces alone. Raises MienError where a draw has none."""
        _require_labeled_only(self)
        return self

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

    def require(self, run: Run) -> None:
        """Raises MienError where the run's faces or settings do not fit; asked of all stages before anything is trained."""
        return None

    def __call__(self, run: Run) -> Tensor:
        """The weight of every row in this epoch, (N,)."""
        ...

    def of_batch(self, run: Run, batch: Batch) -> Unevaluated | None:
        """Draw what is needed, and return the unevaluated weights (B,) of a batch, which multiply those of the epoch.

        None leaves the epoch's weights as they are.
        """
        return None

    def after_stage(self, run: Run) -> None:
        """Write into `run.folder` what is worth keeping of a stage that is over; nothing, unless a technique has something."""
        return None


class Unlabeled(Protocol):
    """What do faces teach without their labels? Called for every batch of them."""

    @property
    def needs_unlabeled(self) -> bool:
        """Whether the technique looks at faces without labels, so that the run has to hold some."""
        return True

    def rows(self, run: Run) -> Tensor:
        """Rows of the faces whose batches it is shown: those without labels, where it needs such faces."""
        return run.unlabeled if self.needs_unlabeled else run.unlabeled[:0]

    def require(self, run: Run) -> None:
        """Raises MienError where the run's faces or settings do not fit; asked of all stages before anything is trained."""
        return None

    def without_unlabeled(self) -> "Unlabeled":
        """The technique of a control: it does all that it does, and its loss counts 0."""
        return Weightless(self)

    def __call__(self, run: Run, batch: Batch) -> UnlabeledLoss | None:
        """Draw the views of the batch and return its unevaluated loss, or None."""
        ...


class Step(Protocol):
    """When is an update kept? Called for every batch; evaluates its losses and updates the network."""

    def without_unlabeled(self) -> "Step":
        """The step of a control, which gets an unlabeled loss of 0 without gradient: itself, where that changes nothing."""
        return self

    def __call__(self, run: Run, labeled: LabeledLoss, unlabeled: UnlabeledLoss | None) -> None:
        """Update `run.network`, by `run.descend(loss)`."""
        ...


@dataclass(frozen=True)
class Weightless(Unlabeled):
    """Another technique, whose loss counts 0: views and pseudo-labels are made as ever, and nothing is learned from them."""

    of: Unlabeled
    """The technique whose loss counts 0."""

    @property
    @override
    def needs_unlabeled(self) -> bool:
        """Whether the technique looks at faces without labels."""
        return self.of.needs_unlabeled

    @override
    def require(self, run: Run) -> None:
        """Raises MienError where the technique does."""
        self.of.require(run)

    @override
    def rows(self, run: Run) -> Tensor:
        """The faces that the technique is shown."""
        return self.of.rows(run)

    @override
    def __call__(self, run: Run, batch: Batch) -> UnlabeledLoss | None:
        """The technique's unevaluated loss, times 0."""
        loss = self.of(run, batch)
        if loss is None:
            return None

        def evaluate(perturb: Perturb | None = None) -> Tensor:
            with torch.no_grad():
                return 0.0 * (loss() if perturb is None else loss(perturb))

        return evaluate


def _require_labeled_only(technique: Any) -> None:
    """Raises MienError for a technique that draws unlabeled faces and does not say what it does without them."""
    if technique.draws_unlabeled:
        name = component_name(type(technique))
        raise MienError(f"a control of {name}, which draws unlabeled faces", "none", "write its method without_unlabeled")
