"""The lesson of a network that imitates another one's map, which was computed beforehand; and what a run keeps of that."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic.dataclasses import dataclass as checked
from torch import Tensor, nn

from mien.data.faceset import FaceSet
from mien.disk import write_atomically
from mien.errors import MienError
from mien.json_text import to_json
from mien.json_toml import read_settings
from mien.models import Network
from mien.pretraining.pretrain import Portions
from mien.recognize.device import autocast, channels_last
from mien.settings import STRICT, Positive, Units
from mien.training.checkpoint import load_weights, read_state
from mien.training.face_loader import Batch, FaceLoader
from mien.training.losses import Unevaluated
from mien.training.run import EVALUATION_BATCH, Run
from mien.wording import quantity, with_suggestion


@dataclass(frozen=True)
class Imitate:
    """Each face or its mirror image, by chance, is to give the map that the teacher gives (FN2EN, Eq. 4)."""

    taught: FaceLoader
    """The teacher's maps (N, 2, C H W) of the faces that are learned from and of their mirror images."""
    held_out: FaceLoader
    """The same of the run's validation faces."""
    goal: tuple[int, ...]
    """(C, H, W)."""

    @staticmethod
    def of(maps: FaceSet, parts: Portions, goal: tuple[int, ...], device: torch.device) -> "Imitate":
        """With the maps of all faces of a run, and the portions of it that teach and measure."""
        return Imitate(FaceLoader(maps.select(parts.taught), device), FaceLoader(maps.select(parts.held_out), device), goal)

    def loss(self, run: Run, batch: Batch) -> Unevaluated:
        """The recipe's loss between g(I) and G(I), mean over the batch."""
        shown = show(run, batch, self.taught.fetch(batch.rows.cpu()).faces)
        return lambda: self._difference(run, run.heads, shown.inputs, shown.maps).mean()

    @torch.no_grad()
    def figures(self, run: Run) -> dict[str, float]:
        """The same on held-out faces, not mirrored."""
        network = run.kept_network.eval()
        count = len(run.validation_labels)
        batches = torch.arange(count).split(EVALUATION_BATCH)
        each = [
            self._difference(
                run, network.heads, run.views.clean(run.validation.fetch(rows).faces), self.held_out.fetch(rows).faces[:, 0]
            )
            for rows in batches
        ]
        run.train_mode()
        return {"validation_loss": float(torch.cat(each).mean())}

    def _difference(self, run: Run, heads: Callable[[Tensor], Tensor], inputs: Tensor, maps: Tensor) -> Tensor:
        """(B,) of inputs (B, C, S, S) and the teacher's maps (B, C' H W)."""
        with autocast(run.device, run.precision):
            made = heads(channels_last(inputs))[-1].float()
        difference: Tensor = run.components.loss(made, maps.float().view(-1, *self.goal))
        return difference


@dataclass(frozen=True)
class Shown:
    """Network inputs (B, C, S, S), and the teacher's maps (B, C' H W) of just these."""

    inputs: Tensor
    maps: Tensor


def show(run: Run, batch: Batch, maps: Tensor) -> Shown:
    """Each face of the batch or its mirror image, by chance, with its own of the `maps` (B, 2, C' H W)."""
    mirrored = torch.rand(len(batch.rows), generator=run.noise, device=run.device) < 0.5
    inputs = torch.where(mirrored.view(-1, 1, 1, 1), run.views.mirror(batch.faces), run.views.clean(batch.faces))
    return Shown(inputs, maps[torch.arange(len(mirrored)), mirrored.long()])


@dataclass(frozen=True)
class Kept:
    """What a run keeps of its distillation."""

    maps: FaceSet
    """The teacher's maps (N, 2, C H W) of all its faces."""
    block: str
    """The student's block that imitates them."""
    goal: tuple[int, ...]
    """(C, H, W)."""
    matching: nn.Module
    """What brings the block's map to the teacher's form, as it was learned."""
    p: float
    """Power of the difference that was regressed."""


Shape = tuple[Units, Units, Units]


@checked(frozen=True, config=STRICT)
class Noted:
    """The content of imitation.json."""

    block: str
    shape: Shape
    goal: Shape
    p: Positive


def keep(folder: Path, block: str, shape: tuple[int, ...], goal: tuple[int, ...], p: float) -> None:
    """Note in a run's folder what `kept` has to know: the student's block, its map's shape, the teacher's, the power."""
    noted = {"block": block, "shape": shape, "goal": goal, "p": p}
    write_atomically(folder / "parts" / "distill" / "imitation.json", to_json(noted, indent=None).encode())


def kept(run: Run) -> Kept:
    """Read once. Raises MienError where the run kept no maps."""
    if "imitation" not in run.cache:
        run.cache["imitation"] = _read_kept(run)
    known: Kept = run.cache["imitation"]
    return known


def _read_kept(run: Run) -> Kept:
    part = run.folder / "parts" / "distill"
    if not (part / "imitation.json").is_file():
        raise MienError("a run that keeps its teacher's maps", "none", "start with distill, and set start.keep_maps to true")
    noted, file = read_settings(Noted, part / "imitation.json", "train again"), part / "weights.safetensors"
    maps = FaceSet.open(run.folder / "parts" / "maps")
    if noted.block not in run.network.blocks or maps.info.channels != math.prod(noted.goal) or len(maps) != len(run.labels):
        found = f"block {noted.block}, maps {noted.goal} and {quantity(len(maps), 'face')}"
        raise MienError(f"what this run kept of its teacher in {part}", found, "train again")
    matching = match(noted.shape, noted.goal)
    mine = {name.removeprefix("head."): value for name, value in read_state(file).items() if name.startswith("head.")}
    load_weights(matching, mine, file)
    return Kept(maps, noted.block, noted.goal, matching.to(run.device), noted.p)


def convolutions(whole: Network, block: str | None, goal: tuple[int, ...], deviation: float, seed: int) -> Network:
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
                start_small(module, deviation)
        return Network({name: whole.blocks[name] for name in below}, match(shapes[chosen], goal), whole.shape)


def start_small(module: nn.Module, deviation: float) -> None:
    """Weights from N(0, deviation), biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.normal_(layer.weight, 0.0, deviation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def match(shape: tuple[int, ...], goal: tuple[int, ...]) -> nn.Module:
    """Of maps of `shape` (C, H, W) those of `goal`: larger ones are averaged, smaller ones go through a deconvolution."""
    (inputs, size, _), (outputs, wanted, _) = shape, goal
    if size < wanted:
        stride = wanted // size
        return nn.ConvTranspose2d(inputs, outputs, wanted - (size - 1) * stride, stride)
    pool = nn.AdaptiveAvgPool2d(wanted) if size > wanted else nn.Identity()
    return nn.Sequential(pool, nn.Conv2d(inputs, outputs, 1)) if inputs != outputs else pool
