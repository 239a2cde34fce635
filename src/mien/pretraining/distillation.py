"""A network imitates the maps of another one, computed beforehand (FN2EN, Eq. 4); and what a run keeps of that."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic.dataclasses import dataclass as checked
from torch import Tensor, nn
from typing_extensions import override

from mien.data.faceset import FaceSet
from mien.disk import write_atomically
from mien.errors import MienError
from mien.json_text import to_json
from mien.json_toml import read_settings
from mien.models import Network
from mien.pretraining.pretrain import Portions
from mien.recognize.device import channels_last
from mien.settings import STRICT, Positive, Units
from mien.training.checkpoint import load_weights, read_state
from mien.training.face_loader import Batch, FaceLoader
from mien.training.losses import BatchLoss
from mien.training.objective import Objective
from mien.training.run import EVALUATION_BATCH, Run
from mien.wording import quantity, with_suggestion


@dataclass(frozen=True)
class Imitate(Objective):
    """The objective of FN2EN's stage 1 (Eq. 4): a face, or its mirror image by chance, gives the map that the teacher gives."""

    taught: FaceLoader
    """The teacher's maps (N, 2, C H W) of the faces that are learned from and of their mirror images."""
    held_out: FaceLoader
    """The teacher's maps of the run's validation faces, and of their mirror images."""
    goal: tuple[int, ...]
    """The shape of such a map, (C, H, W)."""

    @staticmethod
    def of(maps: FaceSet, parts: Portions, goal: tuple[int, ...], device: torch.device) -> "Imitate":
        """The objective by the maps of all faces of a run, and the portions that teach and measure."""
        return Imitate(FaceLoader(maps.select(parts.taught), device), FaceLoader(maps.select(parts.held_out), device), goal)

    @override
    def loss(self, run: Run, batch: Batch) -> Callable[[], BatchLoss]:
        """The run's loss between g(I) and G(I), mean over the batch."""
        pairs = pair_with_maps(run, batch, self.taught.fetch(batch.rows.cpu()).faces)
        maps = pairs.maps.float().view(-1, *self.goal)
        return lambda: BatchLoss.of_one(run.loss(self._made(run, run.heads, pairs.inputs), maps).mean())

    @override
    def figures(self, run: Run) -> dict[str, float]:
        """The run's loss on held-out faces, not mirrored, and R2: the share of the maps' variance that is explained.

        R2 is 1 less the squared errors over the squared differences from each number's mean, both summed over all numbers.
        """
        each, missed, told = [], [], []
        with run.evaluating(run.eval_network) as network:
            for rows in torch.arange(len(run.validation)).split(EVALUATION_BATCH):
                maps = self.held_out.fetch(rows).faces[:, 0].float().view(-1, *self.goal)
                made = self._made(run, network.heads, run.views.clean(run.validation.fetch(rows).faces))
                each.append(run.loss(made, maps))
                missed.append((made - maps).square().sum(dtype=torch.float64))
                told.append(torch.stack([maps.sum(dim=0, dtype=torch.float64), maps.square().sum(dim=0, dtype=torch.float64)]))
        figures = {"validation_loss": float(torch.cat(each).mean())}
        total, squared = torch.stack(told).sum(dim=0)
        spread = float((squared - total.square() / len(run.validation)).sum())
        # A single face has no variance.
        return figures | ({"validation_r2": 1 - float(torch.stack(missed).sum()) / spread} if spread > 0 else {})

    def _made(self, run: Run, heads: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        """What the network makes of inputs (B, C, S, S): (B, C', H, W)."""
        with run.autocast():
            return heads(channels_last(inputs))[-1].float()


@dataclass(frozen=True)
class InputsAndMaps:
    """Network inputs, and the teacher's maps of the same faces."""

    inputs: Tensor
    """(B, C, S, S)."""
    maps: Tensor
    """(B, C' H W)."""


def pair_with_maps(run: Run, batch: Batch, maps: Tensor) -> InputsAndMaps:
    """Each face of the batch or its mirror image, by chance, with its own of the `maps` (B, 2, C' H W)."""
    mirrored = torch.rand(len(batch.rows), generator=run.view_rng, device=run.device) < 0.5
    inputs = torch.where(mirrored.view(-1, 1, 1, 1), run.views.mirror(batch.faces), run.views.clean(batch.faces))
    return InputsAndMaps(inputs, maps[torch.arange(len(mirrored)), mirrored.long()])


@dataclass(frozen=True)
class Imitation:
    """What a run keeps of its distillation."""

    maps: FaceSet
    """The teacher's maps (N, 2, C H W) of all its faces."""
    block: str
    """The student's block that imitates them."""
    goal: tuple[int, ...]
    """The shape of such a map, (C, H, W)."""
    matching: nn.Module
    """What brings the block's map to the teacher's form, as it was learned."""
    p: float
    """Power of the difference that was regressed."""


Shape = tuple[Units, Units, Units]


@checked(frozen=True, config=STRICT)
class ImitationFile:
    """What imitation.json says: the student's block, the shape of its map, that of the teacher's, and the power of the loss."""

    block: str
    shape: Shape
    goal: Shape
    p: Positive


def write_imitation(folder: Path, block: str, shape: tuple[int, ...], goal: tuple[int, ...], p: float) -> None:
    """Note in a run's folder which block imitates, the shapes of its map and of the teacher's, and the power of the loss."""
    noted = {"block": block, "shape": shape, "goal": goal, "p": p}
    write_atomically(folder / "parts" / "distill" / "imitation.json", to_json(noted, indent=None).encode())


def read_imitation(run: Run) -> Imitation:
    """What the run keeps of its distillation, read once. Raises MienError where it kept no maps."""
    return run.cache.get("imitation", Imitation, lambda: _read(run))


def _read(run: Run) -> Imitation:
    part = run.folder / "parts" / "distill"
    if not (part / "imitation.json").is_file():
        raise MienError("a run that keeps its teacher's maps", "none", "start with distill, and set start.keep_maps to true")
    noted, file = read_settings(ImitationFile, part / "imitation.json", "train again"), part / "weights.safetensors"
    maps = FaceSet.open(run.folder / "parts" / "maps")
    if noted.block not in run.network.blocks or maps.info.channels != math.prod(noted.goal) or len(maps) != len(run.labels):
        found = f"block {noted.block}, maps {noted.goal} and {quantity(len(maps), 'face')}"
        raise MienError(f"what this run kept of its teacher in {part}", found, "train again")
    matching = matching_layer(noted.shape, noted.goal)
    mine = {name.removeprefix("head."): value for name, value in read_state(file).items() if name.startswith("head.")}
    load_weights(matching, mine, file)
    return Imitation(maps, noted.block, noted.goal, matching.to(run.device), noted.p)


def student_network(whole: Network, block: str | None, goal: tuple[int, ...], deviation: float, seed: int) -> Network:
    """The student: the blocks of `whole` (its own, not copies) up to the one that imitates, then what matches maps to `goal`.

    What lies above is drawn afresh. `block` None is the last one with a map. Raises MienError for one that has none.
    """
    shapes = whole.shapes()
    maps = [name for name, shape in shapes.items() if len(shape) == 3]
    chosen = block or (maps[-1] if maps else "none")
    if chosen not in maps:
        known = ", ".join(maps) or "none: it takes features"
        raise MienError(f"a block of the network with a map, among {known}", with_suggestion(chosen, maps), "set start.student")
    names = list(whole.blocks)
    below = names[: names.index(chosen) + 1]
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        if deviation:
            for module in (*(whole.blocks[name] for name in names[len(below) :]), whole.head):
                initialize_small(module, deviation)
        return Network({name: whole.blocks[name] for name in below}, matching_layer(shapes[chosen], goal), whole.shape)


def initialize_small(module: nn.Module, deviation: float) -> None:
    """Draw the weights of all linear layers and convolutions from N(0, deviation), and set their biases to 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.normal_(layer.weight, 0.0, deviation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def matching_layer(shape: tuple[int, ...], goal: tuple[int, ...]) -> nn.Module:
    """A layer from maps of `shape` (C, H, W) to `goal`: larger maps are averaged, smaller ones go through a deconvolution."""
    (inputs, size, _), (outputs, wanted, _) = shape, goal
    if size < wanted:
        stride = wanted // size
        return nn.ConvTranspose2d(inputs, outputs, wanted - (size - 1) * stride, stride)
    pool = nn.AdaptiveAvgPool2d(wanted) if size > wanted else nn.Identity()
    return nn.Sequential(pool, nn.Conv2d(inputs, outputs, 1)) if inputs != outputs else pool


def same_form(one: nn.Module, other: nn.Module) -> bool:
    """Whether the weights of one module fit the other: their names and shapes are the same."""
    shapes = [{name: value.shape for name, value in module.state_dict().items()} for module in (one, other)]
    return shapes[0] == shapes[1]
