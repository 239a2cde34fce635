"""VICReg: two views of a face get alike features that neither collapse nor repeat each other (Bardes, Ponce and LeCun 2022)."""

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn
from typing_extensions import override

from mien.errors import MienError
from mien.models import Network
from mien.pretraining.pretrain import portions, pretrain, pretraining_recipe
from mien.pretraining.vicreg import Agree
from mien.recipes.recipe import Stage
from mien.settings import STRICT, Count, NotNegative
from mien.training.questions import Start
from mien.training.run import Run
from mien.wording import with_suggestion

LEAST = 4
"""Faces: two to learn from and two to measure on."""


def expander(shape: tuple[int, ...], width: int, layers: int) -> nn.Sequential:
    """Maps of `shape` (C, H, W), averaged, or features (D,), through linear layers with batch normalization to (B, width)."""
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()] if len(shape) == 3 else []
    made: list[nn.Module] = []
    inputs = shape[0]
    for _ in range(layers - 1):
        made += [nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*pool, *made, nn.Linear(inputs, width))


@dataclass(frozen=True, config=STRICT)
class SelfSupervised(Start):
    """Learns from all faces of the run without their labels, Eq. 6, before the recipe's stages; the expander is then thrown away.

    Departures: as in the authors' code, Eq. 5 is divided by D and Eq. 6 takes the mean of the two variances; AdamW in one
    cycle instead of LARS with batches of 2048; mien's views instead of BYOL's; what is kept is best on held-out faces.
    """

    draws_unlabeled: ClassVar[bool] = True

    epochs: Count = 100
    """Passes over all faces, labeled and not."""
    lr: NotNegative = 1e-3
    """Highest learning rate."""
    batch: Annotated[int, Field(ge=2, le=2**16)] = 256
    """Faces in a batch; covariances are taken over them."""
    width: Annotated[int, Field(ge=1, le=2**14)] = 512
    """Features that the expander gives, and units of its hidden layers; the paper takes 8192."""
    layers: Annotated[int, Field(ge=1, le=16)] = 3
    """Linear layers of the expander."""
    block: str | None = None
    """The block whose average the expander takes; the last one with maps unless said."""
    views: Literal["weak", "strong"] = "strong"
    """How far the two views are distorted."""
    invariance: NotNegative = 25.0
    """Weight of the views' distance, lambda."""
    variance: NotNegative = 25.0
    """Weight of the spread that features lack, mu."""
    covariance: NotNegative = 1.0
    """Weight of what features repeat of each other, nu."""
    held_out: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.05
    """Share of the faces, two at least, that measures the loss and chooses the epoch."""
    unlabeled: bool = True
    """Whether unlabeled faces teach beside labeled ones."""

    @override
    def without_unlabeled(self) -> "SelfSupervised":
        """Labeled faces alone teach."""
        return replace(self, unlabeled=False)

    @override
    def __call__(self, run: Run) -> None:
        """Train the blocks in the run's parts/self_supervised. Raises MienError for an unknown block or too few faces."""
        rows = (torch.cat([run.labeled, run.unlabeled]) if self.unlabeled else run.labeled).sort().values
        if len(rows) < LEAST:
            raise MienError(f"at least {LEAST} faces to learn from without labels", f"{len(rows)}", "add `unlabeled` FACESET")
        network = self.network(run.network, run.seed)
        stage = Stage(epochs=self.epochs, lr=self.lr, optimizer="adamw", weight_decay=1e-6, schedule="one_cycle")
        recipe = pretraining_recipe(run, [stage], {"technique": "cross_entropy"}, self.held_out, self.batch)
        weights = {"invariance": self.invariance, "variance": self.variance, "covariance": self.covariance}
        divided = portions(rows, max(self.held_out, 2 / len(rows)), run.seed)
        pretrain(run, "self_supervised", recipe, divided.data(run.data.faces), network, Agree(weights, self.views))

    def network(self, whole: Network, seed: int) -> Network:
        """The network that learns: the blocks of `whole` (its own, not copies) up to the chosen one, and an expander."""
        shapes = whole.shapes()
        last = [name for name, shape in shapes.items() if len(shape) == 3] or list(shapes)
        chosen = self.block or last[-1]
        if chosen not in shapes:
            raise MienError(f"a block among {', '.join(shapes)}", with_suggestion(chosen, shapes), "choose one of those")
        names = list(shapes)[: list(shapes).index(chosen) + 1]
        with torch.random.fork_rng([]):
            torch.default_generator.manual_seed(seed)
            return Network({n: whole.blocks[n] for n in names}, expander(shapes[chosen], self.width, self.layers), whole.shape)
