"""VICReg: the features of two views of a face are to agree (Bardes, Ponce and LeCun 2022)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F
from typing_extensions import override

from mien.data.augment import Strength
from mien.recognize.device import channels_last
from mien.training.face_loader import Batch
from mien.training.losses import BatchLoss
from mien.training.objective import Objective
from mien.training.run import EVALUATION_BATCH, Run

EPSILON = 1e-4


def invariance(one: Tensor, other: Tensor) -> Tensor:
    """Eq. 5: mean squared distance of two views' features (B, D), a scalar; divided by D as well."""
    return F.mse_loss(one, other)


def variance(z: Tensor) -> Tensor:
    """Eq. 1-2: how far the standard deviation of each of D features (B, D) is below 1, their mean."""
    return torch.relu(1 - (z.var(dim=0) + EPSILON).sqrt()).mean()


def covariance(z: Tensor) -> Tensor:
    """Eq. 3-4: squared covariances of different features (B, D), their sum divided by D."""
    centered = z - z.mean(dim=0)
    squared = (centered.T @ centered / (len(z) - 1)).square()
    return (squared.sum() - squared.diagonal().sum()) / z.shape[1]


@dataclass(frozen=True)
class Agree(Objective):
    """The objective of VICReg: the features of two views of each face agree."""

    weights: Mapping[str, float]
    """The weight of each term, by name: invariance, variance, covariance."""
    views: Strength
    """How far the two views are distorted."""

    @override
    def loss(self, run: Run, batch: Batch) -> Callable[[], BatchLoss]:
        """Eq. 6 over the batch; its terms are noted."""
        views = [run.view(batch, self.views) for _ in range(2)]

        def evaluate() -> BatchLoss:
            found = self.terms(*(run.heads(inputs)[-1] for inputs in views))
            for name, value in found.items():
                run.notes.add(name, value)
            return BatchLoss.of_one(self.total(found))

        return evaluate

    def terms(self, one: Tensor, other: Tensor) -> dict[str, Tensor]:
        """Every term of Eq. 6 by name, scalars, of two views' features (B, D)."""
        return {
            "invariance": invariance(one, other),
            "variance": (variance(one) + variance(other)) / 2,
            "covariance": covariance(one) + covariance(other),
        }

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Eq. 6: the weighted sum of the terms, a scalar."""
        return torch.stack([self.weights[name] * value for name, value in terms.items()]).sum()

    @override
    def figures(self, run: Run) -> dict[str, float]:
        """Eq. 6 over all held-out faces at once, in the same views after every epoch."""
        generator = Generator(run.device).manual_seed(run.seed)
        sides: tuple[list[Tensor], list[Tensor]] = ([], [])
        with run.evaluating(run.eval_network) as network:
            for rows in torch.arange(len(run.validation)).split(EVALUATION_BATCH):
                faces = run.validation.fetch(rows).faces
                for side in sides:
                    inputs = channels_last(run.views.view(faces, self.views, generator))
                    with run.autocast():
                        side.append(network(inputs).float())
        return {"validation_loss": float(self.total(self.terms(*map(torch.cat, sides))))}
