"""The two objectives of SNA's autoencoder: give back every map of its encoder (Eq. 2-4), then make real faces (Eq. 5-8)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import RMSprop
from typing_extensions import override

from mien.data.augment import normalize
from mien.data.faceset import Normalization
from mien.models import Network, leading
from mien.models.asymmetric_autoencoder import SCALES
from mien.neighbors.semantic_neighbors import to_unit_range
from mien.pretraining.autoencoder.pictures import NeighborPictures
from mien.recognize.device import channels_last
from mien.training.face_loader import Batch
from mien.training.losses import BatchLoss
from mien.training.objective import Objective
from mien.training.run import EVALUATION_BATCH, Run

FACE = "face"
"""Name of the face itself among the scales."""
CLIP = 0.01
"""The critic's weights are kept within this (Arjovsky et al. 2017)."""


@torch.no_grad()
def clean_scales(network: Network, inputs: Tensor) -> dict[str, Tensor]:
    """z^l: the face (B, C, S, S) and the encoder's maps of it without any noise, by name."""
    found, x = {FACE: inputs}, inputs
    for name in reversed(SCALES.values()):
        x = network.blocks[name](x)
        found[name] = x
    return found


def recovered_scales(network: Network, inputs: Tensor) -> dict[str, Tensor]:
    """What the decoder makes of z^l, by the same names, once the inputs have been through the whole network."""
    found, x = {}, inputs
    for name, block in network.blocks.items():
        x = block(x)
        if name in SCALES:
            found[SCALES[name]] = x
    return found | {FACE: network.head(x)}


def loss_ae(clean: Mapping[str, Tensor], recovered: Mapping[str, Tensor], face_weight: float) -> Tensor:
    """Eq. 4, (B,): at every scale the mean squared difference, the face's with weight `face_weight`, all others with 1."""
    each = [
        (face_weight if name == FACE else 1.0) * (made.float() - clean[name].float()).square().flatten(1).mean(dim=1)
        for name, made in recovered.items()
    ]
    return torch.stack(each).sum(dim=0)


@dataclass(frozen=True)
class Reconstruct(Objective):
    """The first objective: the decoder gives back clean faces and maps from those with values left out.

    The clean maps are constants here: the encoder learns through the decoder alone, and cannot make its maps easy instead.
    """

    face_weight: float
    """alpha_0 of Eq. 4."""
    pictures: NeighborPictures

    @override
    def loss(self, run: Run, batch: Batch) -> Callable[[], BatchLoss]:
        """Eq. 4, mean over the batch."""
        inputs = either_side(run, batch)

        def evaluate() -> BatchLoss:
            with run.evaluating(), run.autocast():
                clean = clean_scales(run.network, inputs)
            with run.autocast():
                return BatchLoss.of_one(loss_ae(clean, recovered_scales(run.network, inputs), self.face_weight).mean())

        return evaluate

    @override
    def figures(self, run: Run) -> dict[str, float]:
        """Eq. 4 on held-out faces, and how far a pixel is from what it was, on average, of 255."""
        found = reconstruction_figures(run, self.face_weight)
        self.pictures.draw(run)
        return found


def either_side(run: Run, batch: Batch) -> Tensor:
    """Each face or its mirror image, by chance: network inputs (B, C, S, S)."""
    mirrored = torch.rand(len(batch.rows), generator=run.view_rng, device=run.device) < 0.5
    return channels_last(torch.where(mirrored.view(-1, 1, 1, 1), run.views.mirror(batch.faces), run.views.clean(batch.faces)))


def reconstruction_figures(run: Run, face_weight: float) -> dict[str, float]:
    """Eq. 4 on the run's validation faces, and how far a pixel is from what it was, of 255."""
    losses, errors = list[Tensor](), list[Tensor]()
    with run.evaluating(run.eval_network) as network:
        for rows in torch.arange(len(run.validation)).split(EVALUATION_BATCH):
            inputs = channels_last(run.views.clean(run.validation.fetch(rows).faces))
            with run.autocast():
                recovered = recovered_scales(network, inputs)
                losses.append(loss_ae(clean_scales(network, inputs), recovered, face_weight))
            errors.append((recovered[FACE].float() - inputs).abs().flatten(1).mean(dim=1))
    return {"validation_loss": float(torch.cat(losses).mean()), "pixel_error": float(torch.cat(errors).mean() / 4 * 255)}


@dataclass(frozen=True)
class Perception:
    """C of Eq. 5: an expression network, which is held fixed, and the blocks whose maps are compared."""

    network: Network
    normalize: Normalization
    weights: Mapping[str, float] = field(default_factory=dict)
    """What the difference of each block's maps weighs."""

    def maps(self, faces: Tensor) -> dict[str, Tensor]:
        """C(I): maps by block of faces (B, C, S, S) scaled to [-2, 2]."""
        found: dict[str, Tensor] = {}
        x = channels_last(normalize(to_unit_range(faces), self.normalize))
        for name, block in self.network.blocks.items():
            x = block(x)
            if name in self.weights:
                # A copy, since later blocks may work in place.
                found[name] = leading(x).clone()
            if len(found) == len(self.weights):
                break
        return found

    def distance(self, made: Tensor, real: Tensor) -> Tensor:
        """How far the maps of made faces are from those of real ones: weighted mean squared differences, a scalar."""
        with torch.no_grad():
            goal = self.maps(real)
        found = self.maps(made)
        return torch.stack([w * F.mse_loss(found[b].float(), goal[b].float()) for b, w in self.weights.items()]).sum()


@dataclass(frozen=True)
class Refine(Objective):
    """The second objective: the decoder learns from all losses (Eq. 8), the critic to tell its faces from real ones (Eq. 6)."""

    critic: nn.Module
    perception: Perception
    face_weight: float
    autoencoding: float
    """lambda_AE at first; it falls to a tenth four times on the way."""
    adversarial: float
    """lambda_Adv, the weight of the critic's verdict."""
    reconstruction: float
    """lambda_Rec, the weight of faces and of C's maps of them."""
    critic_rate: float
    critic_every: int
    """Steps of the decoder for one of the critic, after the first epoch; in that, one each."""
    pictures: NeighborPictures

    @override
    def loss(self, run: Run, batch: Batch) -> Callable[[], BatchLoss]:
        """Eq. 8 over the batch; where the critic's turn is, it takes a step first."""
        inputs = either_side(run, batch)

        def evaluate() -> BatchLoss:
            with run.autocast():
                recovered = recovered_scales(run.network, inputs)
                made = recovered[FACE]
                self._criticize(run, made.detach().float(), inputs)
                again = loss_ae(clean_scales(run.network, inputs), recovered, self.face_weight).mean()
                real = F.mse_loss(made.float(), inputs) + self.perception.distance(made.float(), inputs)
                terms = {
                    "autoencoding": self._share(run) * again,
                    "adversarial": -self.adversarial * self.critic(made.float()).mean(),
                    "reconstruction": self.reconstruction * real,
                }
            for name, value in terms.items():
                run.notes.add(name, value)
            return BatchLoss.of_one(torch.stack(list(terms.values())).sum())

        return evaluate

    @override
    def figures(self, run: Run) -> dict[str, float]:
        """Eq. 4 and the error of a pixel on held-out faces; what the critic has learned is remembered for the checkpoint."""
        if "critic" in run.cache:
            run.state["critic"].put("weights", dict(self.critic.state_dict()))
            run.state["critic"].put("optimizer", self._optimizer(run).state_dict()["state"])
        found = reconstruction_figures(run, self.face_weight)
        self.pictures.draw(run)
        return found

    def _share(self, run: Run) -> float:
        """lambda_AE in this epoch, counted over all stages."""
        return float(self.autoencoding * 0.1 ** (5 * len(run.history) // run.epochs))

    def _criticize(self, run: Run, made: Tensor, real: Tensor) -> None:
        """A step of the critic down Eq. 6, where it is its turn; its weights are then clipped."""
        optimizer, memory = self._optimizer(run), run.state["critic"]
        steps = memory.get("steps", int, int) + 1
        memory.put("steps", steps)
        if run.history and steps % self.critic_every:
            return
        self.critic.requires_grad_(True)
        loss = self.critic(made).mean() - self.critic(real).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for weight in self.critic.parameters():
                weight.clamp_(-CLIP, CLIP)
        self.critic.requires_grad_(False)
        run.notes.add("critic", loss.detach())

    def _optimizer(self, run: Run) -> RMSprop:
        """The critic's optimizer; critic and optimizer are as they were when the checkpoint was written."""

        def make() -> RMSprop:
            made, memory = RMSprop(self.critic.parameters(), self.critic_rate), run.state["critic"]
            if "weights" in memory:
                self.critic.load_state_dict(memory.get("weights", dict, dict))
                made.load_state_dict(made.state_dict() | {"state": memory.get("optimizer", dict, dict)})
            return made

        return run.cache.get("critic", RMSprop, make)
