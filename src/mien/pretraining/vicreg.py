"""The lesson of a network whose features of two views of a face are to agree: VICReg (Bardes, Ponce and LeCun 2022)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from mien.data.augment import Strength
from mien.recognize.device import autocast, channels_last
from mien.training.face_loader import Batch
from mien.training.losses import Unevaluated
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
class Agree:
    """The lesson: two views of each face agree."""

    weights: Mapping[str, float]
    """Of each term."""
    views: Strength

    def loss(self, run: Run, batch: Batch) -> Unevaluated:
        """Eq. 6 over the batch; its terms are noted."""
        shown = [run.view(batch, self.views) for _ in range(2)]

        def evaluate() -> Tensor:
            found = self.terms(*(run.heads(inputs)[-1] for inputs in shown))
            for name, value in found.items():
                run.note(name, value)
            return self.total(found)

        return evaluate

    def terms(self, one: Tensor, other: Tensor) -> dict[str, Tensor]:
        """Every term of Eq. 6 by name, scalars, of two views' features (B, D)."""
        return {
            "invariance": invariance(one, other),
            "variance": (variance(one) + variance(other)) / 2,
            "covariance": covariance(one) + covariance(other),
        }

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Their weighted sum."""
        return torch.stack([self.weights[name] * value for name, value in terms.items()]).sum()

    @torch.no_grad()
    def figures(self, run: Run) -> dict[str, float]:
        """The same over all held-out faces at once, in the same views after every epoch."""
        noise, network = Generator(run.device).manual_seed(run.seed), run.kept_network.eval()
        sides: tuple[list[Tensor], list[Tensor]] = ([], [])
        for rows in torch.arange(len(run.validation_labels)).split(EVALUATION_BATCH):
            faces = run.validation.fetch(rows).faces
            for side in sides:
                inputs = channels_last(run.views.view(faces, self.views, noise))
                with autocast(run.device, run.precision):
                    side.append(network(inputs).float())
        run.train_mode()
        return {"validation_loss": float(self.total(self.terms(*map(torch.cat, sides))))}
