"""The answers to a recipe's questions: one technique a file, found by its folder and name.

A technique is a frozen dataclass of its own parameters that can be called as its question's protocol below says. It sees
the run, never the recipe, and remembers what it must in `run.state[question]`, which is checkpointed with the run.
"""

from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from mien.training.losses import Unevaluated, UnlabeledLoss

if TYPE_CHECKING:
    from mien.training.face_loader import Batch
    from mien.training.run import Run


class Start(Protocol):
    """Where do the weights come from? Called once, before the first epoch; sets the weights of `run.network`."""

    def __call__(self, run: "Run") -> None: ...


class Draw(Protocol):
    """Which faces make a batch? Called before every epoch: rows of labeled faces for each batch, (B,) each.

    One that draws unlabeled faces too says so with the class attribute `draws_unlabeled = True`, and sets their targets.
    """

    def __call__(self, run: "Run") -> list[Tensor]: ...


class Targets(Protocol):
    """What should each face be taught? Called before every epoch: a distribution over classes for every row, (N, K)."""

    def __call__(self, run: "Run") -> Tensor: ...


class Weigh(Protocol):
    """How much does each face count? Called before every epoch, while `run.targets` are still the old ones: (N,).

    One that decides at every step as well has a method `of_batch(run, batch)`, which draws what it needs and returns the
    unevaluated weights (B,) of the batch's faces, by which those of the epoch are multiplied.
    """

    def __call__(self, run: "Run") -> Tensor: ...


class Loss(Protocol):
    """How is a miss charged? Output of a head (B, K) and target (B, K) to (B,), by which the network trains.

    One that is published with another value than the one it trains by has a method `displayed` of the same arguments: a run's
    curve shows that. Whatever else asks for a loss gets the one that trains.
    """

    def __call__(self, output: Tensor, target: Tensor) -> Tensor: ...


class Unlabeled(Protocol):
    """What do faces without labels teach? Draws its views of the batch and returns the unevaluated loss, or None."""

    def __call__(self, run: "Run", batch: "Batch") -> UnlabeledLoss | None: ...


class Step(Protocol):
    """When is an update kept? Evaluates the losses of one batch and updates the network."""

    def __call__(self, run: "Run", labeled: Unevaluated, unlabeled: UnlabeledLoss | None) -> None: ...
