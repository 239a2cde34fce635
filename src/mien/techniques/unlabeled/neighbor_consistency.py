"""Consistency with neighbors: what the network says of a face and of an almost equal one has to be the same.

Sajjadi et al. 2016 ask this of random transformations, Xie et al. 2020 ("UDA") of views: KL(p(face) || p(view)), where the face's
prediction is a fixed target. The divergence may also be SNA's (Fu et al. 2020, Eq. 13), here as a loss instead of a mask.
"""

from typing import Any, Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.errors import MienError
from mien.neighbors.choose import kind_from
from mien.neighbors.divergence import divergence, kl
from mien.neighbors.kinds import Kind
from mien.neighbors.look import look
from mien.pretraining.run_neighbors import draw_in_run, require_neighbors
from mien.recognize.device import sum_dtype
from mien.settings import STRICT, Count, Positive, Share
from mien.training.face_loader import Batch
from mien.training.losses import Perturb, UnlabeledLoss
from mien.training.questions import Unlabeled
from mien.training.run import Run


def ramped(epoch: int, epochs: int, ramp: float) -> float:
    """The share of the weight in an epoch, from 0: linear over `ramp` of all `epochs`, of which the first counts; then 1."""
    return min(1.0, (epoch + 1) / (ramp * epochs)) if ramp else 1.0


def apart(own: Tensor, near: Tensor, by: str) -> Tensor:
    """The mean divergence () of logits of faces (B, K) and of their D neighbors (D, B, K).

    `by`: `symmetric` (SNA, Eq. 13), or `kl`, KL(face || neighbor).
    """
    if by == "symmetric":
        return torch.stack([divergence(own, one) for one in near]).mean()
    p, q = (each.to(sum_dtype(each.device)).log_softmax(dim=-1) for each in (own, near))
    return torch.stack([kl(p, one) for one in q]).mean().float()


@dataclass(frozen=True, config=STRICT)
class NeighborConsistency(Unlabeled):
    """weight * ramp(t) * mean of Div(p(face), p(neighbor)) over labeled and unlabeled faces alike; no label is read.

    Face and neighbor go through the network in training as one batch: normalized each in its own way, they would differ without
    any move. Each is drawn to the other, the divergence taken literally; `gradient = "neighbor"` takes the face's prediction
    for a fixed target, as UDA does. With several heads, the one that decides is asked. Further departures from UDA: the face is
    not distorted at all, and neither a threshold nor a sharper target picks faces.
    """

    weight: Positive = 1.0
    """What the divergence counts beside the loss on labels, once the ramp is over."""
    ramp: Share = 1.0
    """Share of the run's epochs over which the weight rises; 0: it is there at once."""
    divergence: Literal["symmetric", "kl"] = "symmetric"
    """The mean of both Kullback-Leibler divergences, or that of the neighbor from the face alone."""
    gradient: Literal["both", "neighbor"] = "both"
    """Through which predictions the network learns: the face's and the neighbor's, or the neighbor's alone."""
    neighbors: str | dict[str, Any] = "views"
    """A kind of neighbor or its settings, `{ kind = "views", shift = 0.05 }`."""
    draws: Count = 1
    """Neighbors of each face at a step, whose divergences are averaged."""
    faces: Literal["all", "labeled"] = "all"
    """Whether faces without labels are looked at as well."""

    def __post_init__(self) -> None:
        self.kind()  # Mistakes in it are refused now, not when it is needed.

    def kind(self) -> Kind:
        """The kind of neighbor and its settings."""
        return kind_from(self.neighbors)

    @property
    @override
    def needs_unlabeled(self) -> bool:
        """Whether faces without labels are looked at; without any, it learns from the labeled ones."""
        return self.faces == "all"

    @override
    def require(self, run: Run) -> None:
        """Raises MienError for neighbors that such faces do not have."""
        require_neighbors(run, self.kind())

    @override
    def rows(self, run: Run) -> Tensor:
        """All faces, or those with a label."""
        return torch.arange(len(run.labels), device=run.device) if self.faces == "all" else run.labeled

    @override
    def __call__(self, run: Run, batch: Batch) -> UnlabeledLoss | None:
        """The unevaluated loss of a batch; neighbors are drawn now."""
        drawn = draw_in_run(run, self.kind(), batch, self.draws)
        share = self.weight * ramped(len(run.history), run.epochs, self.ramp)

        def evaluate(perturb: Perturb | None = None) -> Tensor:
            with run.autocast():
                own, near = look(run.network, drawn, lambda inputs: run.heads(inputs)[-1])
            found = apart(own if self.gradient == "both" else own.detach(), near, self.divergence)
            if torch.is_grad_enabled() and not found.requires_grad:
                raise MienError("a divergence with a gradient", "none: no weight of the network moves it", "unfreeze some blocks")
            run.notes.add("neighbor_divergence", found)
            run.notes.add("neighbors_kept", (near.argmax(dim=2) == own.argmax(dim=1)).double().mean())
            return share * found

        return evaluate
