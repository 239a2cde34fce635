"""Sample importance (ST+SW, "Assigning Sample Importance", Eq. 6-8): faces of high loss come to count less.

Weights start at 1. When the validation loss rises, each labeled face's weight moves by its loss against the average's.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.errors import MienError
from mien.settings import STRICT, Count, Positive, Share
from mien.training.questions import Weigh
from mien.training.run import Run


def rises(losses: list[float], window: int) -> bool:
    """Whether the average over `window` epochs rose, which is exactly L_v(t) > L_v(t - window)."""
    return len(losses) > window and losses[-1] > losses[-1 - window]


def change(losses: Tensor, c: float, sigma: float) -> Tensor:
    """Eq. 8: c tanh((f_i - f_avg) / sigma) of losses (N_l,)."""
    return c * torch.tanh((losses - losses.mean()) / sigma)


def lowered(weights: Tensor, by: Tensor) -> Tensor:
    """Eq. 7: (N_l,) weights less `by`, kept in [0, 1]."""
    return (weights - by).clamp(0, 1)


@dataclass(frozen=True, config=STRICT)
class Importance(Weigh):
    """w_i of labeled faces; unlabeled faces always count 1 (Eq. 6). The batch loss divides by the batch's size.

    Losses are of un-augmented faces. Departures: they are by the averaged weights where a recipe averages;
    `against = "label"` and `when = "always"` (with c falling to 0 over the stage) are options that the paper does not have.
    """

    c: Share = 0.3
    """How far a weight can move at once."""
    sigma: Positive = 2.0
    """Loss, in nats above the average, at which a weight moves by tanh(1) of that."""
    window: Count = 3
    """T: epochs over which the validation loss is averaged."""
    when: Literal["rising", "always"] = "rising"
    """Move weights only after epochs in which the averaged validation loss rose, or after every epoch."""
    against: Literal["target", "label"] = "target"
    """f_i is the loss against the current target, or against the given label, which tells wrong labels better."""

    @override
    def __call__(self, run: Run) -> Tensor:
        """The weights (N,) of the coming epoch. Raises MienError without validation faces."""
        weights = run.state["weigh"].get("importance", Tensor, lambda: torch.ones(len(run.labels), device=run.device))
        moved = self._moves(run)
        if moved:
            losses = self._losses(run)[run.labeled]
            weights[run.labeled] = lowered(weights[run.labeled], change(losses, moved, self.sigma))
        run.notes.add("weight", weights[run.labeled].mean())
        return weights.clone()

    def _moves(self, run: Run) -> float:
        """How far weights may move at this time, c; 0 where they stay."""
        if self.when == "always":
            return self.c * (1 - run.epoch / run.stage_epochs) if run.history else 0.0
        if not len(run.data.validation_labels):
            raise MienError("validation faces, whose loss says when weights move", "none", 'set weigh.when to "always"')
        return self.c if rises([epoch["validation_loss"] for epoch in run.history], self.window) else 0.0

    def _losses(self, run: Run) -> Tensor:
        """f_i of every row, (N,)."""
        found = run.predictions()
        if self.against == "target":
            return found.losses
        return F.nll_loss(found.probabilities.clamp(min=1e-12).log(), run.labels.clamp(min=0), reduction="none")
