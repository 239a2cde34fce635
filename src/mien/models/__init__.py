"""What every network is: ordered blocks, known by name, and a head that can be replaced."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from mien.errors import MienError
from mien.protocols import require_subclass
from mien.registry import build_component
from mien.wording import plain_text, with_suggestion

MOST_COPIES = 1000
"""Most copies of the last layer."""


class Network(nn.Module):
    """A network: `blocks` in order, then `head`. The settings in every file of models/ build one.

    Blocks are frozen, tapped and transferred by name; a block may hand several maps to the next (two_scale). The head maps the
    last block's output to logits (B, K), or to (H, B, K) where a network has several heads; the last of these decides.
    """

    def __init__(self, blocks: Mapping[str, nn.Module], head: nn.Module, shape: tuple[int, ...], head_count: int = 1) -> None:
        """`shape`: the shape of one input, (C, S, S), or (D,) for cached features. `head_count`: how many heads `head` holds."""
        super().__init__()
        self.blocks = nn.ModuleDict(blocks)
        self.head = head
        self.shape = shape
        self.head_count = head_count

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, K) of inputs (B, C, S, S), or (B, D) for cached features."""
        logits: Tensor = self.heads(x)[-1]
        return logits

    def heads(self, x: Tensor) -> Tensor:
        """Logits of all heads, (H, B, K), for inputs (B, C, S, S) or (B, D)."""
        for block in self.blocks.values():
            x = block(x)
        x = self.head(leading(x))
        return x if x.ndim == 3 else x.unsqueeze(0)

    def features(self, x: Tensor, block: str) -> Tensor:
        """The output of `block` for inputs `x`: (B, C', S', S') or (B, D'). Raises MienError for a block that is not there."""
        if block not in self.blocks:
            raise MienError(f"a block among {', '.join(self.blocks)}", with_suggestion(block, self.blocks), "choose one of those")
        for name, module in self.blocks.items():
            x = module(x)
            if name == block:
                break
        return leading(x)

    def last_features(self, x: Tensor) -> Tensor:
        """What the last block makes of inputs (B, C, S, S) or (B, D): (B, C', S', S') or (B, D')."""
        return self.features(x, list(self.blocks)[-1])

    def decide(self, features: Tensor) -> Tensor:
        """Logits (B, K) float32 of the head that decides, of what the last block gave."""
        logits: Tensor = self.head(features).float()
        return logits[-1] if logits.ndim == 3 else logits

    def copy_head(self, count: int) -> None:
        """Put `count` copies of the head and their average in its place. Raises MienError where there are several heads."""
        if self.head_count > 1:
            raise MienError("a network with one head for model.copies", "one with several", "take another network, or one copy")
        self.head, self.head_count = Copies(self.head, count), count + 1

    @torch.no_grad()
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the blocks' outputs for one face, by name: (C', S', S') or (D',)."""
        modes, found = {module: module.training for module in self.modules()}, {}
        x = torch.zeros(1, *self.shape, device=next(self.parameters()).device)
        self.eval()
        for name, block in self.blocks.items():
            x = block(x)
            found[name] = tuple(leading(x).shape[1:])
        for module, mode in modes.items():
            module.training = mode
        return found


@contextmanager
def by_own_statistics(network: nn.Module, count: int) -> Iterator[None]:
    """Within, batch normalization uses the statistics of the `count` inputs that it is given, and remembers nothing of them.

    A single input has no statistics: the running ones are used.
    """
    norms = {
        module: module.training
        for module in network.modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats and count > 1
    }
    for module in norms:
        module.training, module.track_running_stats = True, False
    try:
        yield
    finally:
        for module, mode in norms.items():
            module.training, module.track_running_stats = mode, True


def leading(x: Tensor | tuple[Tensor, ...]) -> Tensor:
    """A block's output as one tensor; where a block gives several maps, the first stands for it."""
    return x[0] if isinstance(x, tuple) else x


class Architecture(Protocol):
    """The settings of a network: a frozen dataclass that builds it. A network of one's own subclasses it."""

    def build(self, classes: int, channels: int, side: int) -> Network:
        """The network with `classes` outputs for faces of `side` pixels (0: features of dimension `channels`)."""
        ...

    takes_gray_values: ClassVar[bool] = False
    """Whether the network takes gray values as they are (FacePixels), so that faces must not be normalized one by one."""

    def published(self) -> dict[str, Tensor] | None:
        """The weights that others published for the blocks that these settings keep, without the head; None for none.

        Raises MienError where there are some, but what holds them is not installed.
        """
        return None

    def origin(self) -> "Origin | None":
        """Whose weights `published` gives; None where it gives none."""
        return None


@dataclass(frozen=True)
class Origin:
    """Where published weights come from: what stands on the card of each model that began with them."""

    sha256: str
    """sha256 of the published file."""
    license: str


def architecture(network: Mapping[str, Any]) -> Architecture:
    """The settings of a network, checked, from its file's name under `network` and the rest; `copies` belongs to its head."""
    head_copies(network)
    made: Architecture = build_component(
        "mien.models", {key: value for key, value in network.items() if key != "copies"}, "network"
    )
    require_subclass(made, Architecture, "mien.models", "network")
    return made


def published(network: Mapping[str, Any]) -> dict[str, Tensor] | None:
    """The weights that others published for a network of these settings, by its own names; None where there are none.

    Raises MienError where there are some, but what holds them is not installed.
    """
    return architecture(network).published()


def head_copies(network: Mapping[str, Any]) -> int:
    """How many copies of the last layer a network's settings ask for. Raises MienError for anything but 1 to 1,000."""
    copies = network.get("copies", 1)
    if not isinstance(copies, int) or isinstance(copies, bool) or not 1 <= copies <= MOST_COPIES:
        raise MienError(
            f"a number of copies of the last layer, 1 to {MOST_COPIES}", plain_text(repr(copies), 200), "set model.copies"
        )
    return copies


class Copies(nn.Module):
    """Copies of a head with weights of their own, and the average of their probabilities: the last layer of ALRAO.

    Gives (copies + 1, B, K): each copy's logits, from which the blocks below learn nothing, then the average's log
    probabilities, from which the copies learn nothing. The sum of all heads' losses so trains every copy by its own loss, and the
    blocks by the average's. `shares` (copies,) are the copies' weights in the average.
    """

    def __init__(self, head: nn.Module, count: int) -> None:
        """`count` copies of `head` with fresh random weights. `head`: a single one, to logits (B, K)."""
        super().__init__()
        self.copies = nn.ModuleList(_fresh(head) for _ in range(count))
        self.register_buffer("shares", torch.full((count,), 1 / count))
        self.shares: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Logits (copies + 1, B, K) for the last block's output."""
        own = [_bounded(head(x.detach())) for head in self.copies]
        fixed = [_bounded(functional_call(head, _constants(head), (x,))) for head in self.copies]
        likely = torch.log_softmax(torch.stack(fixed), dim=2) + self.shares.log().view(-1, 1, 1)
        # Where the blocks give no numbers, the sum is none, so that the loop stops.
        return torch.stack([*own, likely.logsumexp(dim=0) + 0 * x.detach().sum()])


def _constants(head: nn.Module) -> dict[str, Tensor]:
    """The head's parameters as constants, by name; values that are not finite become 0, or they would reach the blocks'
    gradients."""
    return {name: p.detach().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0) for name, p in head.named_parameters()}


def _fresh(head: nn.Module) -> nn.Module:
    """A copy of the head with new random weights."""
    made = copy.deepcopy(head)
    for module in made.modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()
    return made


def _bounded(logits: Tensor) -> Tensor:
    """Logits bounded to -30 to 30, which are finite even where a copy has diverged, and have a gradient everywhere."""
    return 30 * torch.tanh(logits.float().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0) / 30)


def require_side(name: str, side: int, least: int) -> None:
    """Raises MienError where faces of `side` pixels are below the `least` that the network `name` can take."""
    if side == 0:
        raise MienError(f"faces for {name}", "features", "take --model embedding, which learns from features")
    if side < least:
        raise MienError(f"faces of at least {least} pixels for {name}", f"{side}", "import larger faces or take another network")


def blocks_until(blocks: tuple[str, ...], until: str) -> tuple[str, ...]:
    """The blocks up to the one called `until`. Raises MienError where there is none of that name."""
    if until not in blocks:
        raise MienError(f"model.until among {', '.join(blocks)}", with_suggestion(until, blocks), "choose one of those")
    return blocks[: blocks.index(until) + 1]


class FacePixels(nn.Module):
    """Turns mien's inputs into those that a network of others was trained on: (p - mean) / divisor of gray values p, 0 to 255.

    Expects `normalize = "fixed"`, where black is -2 and white 2. Gray faces are repeated into all channels, and faces of another
    side are resized (bilinear).
    """

    def __init__(self, side: int, mean: Sequence[float], divisor: float) -> None:
        """`side`: 0 leaves the size as it is. `mean`: one value for each channel that the network takes."""
        super().__init__()
        self.side = side
        self.scale = 255 / 4 / divisor
        shift = (127.5 - torch.tensor(mean, dtype=torch.float64)) / divisor
        self.register_buffer("shift", shift.float().view(1, -1, 1, 1), persistent=False)
        self.shift: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Inputs (B, 1 or C, S, S) to (B, C, side, side)."""
        if self.side and x.shape[-1] != self.side:
            x = F.interpolate(x, self.side, mode="bilinear", antialias=x.shape[-1] > self.side)
        return x * self.scale + self.shift


def upscaling(network: Network, name: str) -> str | None:
    """A sentence where `network`, called `name`, was trained on larger faces than it is given; else None."""
    given = network.shape[-1]
    wanted = max((module.side for module in network.modules() if isinstance(module, FacePixels)), default=0)
    return f"faces of {given} pixels are upscaled to {wanted} for {name}" if wanted > given else None


def conv_bn(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, batch normalization and ReLU: (B, inputs, S, S) to (B, outputs, S/stride, S/stride)."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """A residual block: two 3x3 convolutions and a shortcut (He et al. 2016).

    Where the shape changes, the shortcut is average pooling and a 1x1 convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = conv_bn(inputs, outputs, stride=stride)
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = nn.Sequential() if stride == 1 and inputs == outputs else self._match(inputs, outputs, stride)

    @staticmethod
    def _match(inputs: int, outputs: int, stride: int) -> nn.Sequential:
        pool = nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity()
        return nn.Sequential(pool, nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, inputs, S, S) to (B, outputs, S/stride, S/stride)."""
        return torch.relu(self.second(self.first(x)) + self.shortcut(x))


def pooled_head(channels: int, classes: int, dropout: float) -> nn.Sequential:
    """A head of global average pooling, dropout and one linear layer: (B, channels, S, S) to (B, classes)."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, classes))


def grid_head(channels: int, grid: int, classes: int, dropout: float) -> nn.Sequential:
    """A head that averages maps to grid x grid, normalizes them, and ends in dropout and one linear layer.

    (B, channels, S, S) to (B, classes).
    """
    inputs = channels * grid**2
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(grid), nn.Flatten(), nn.BatchNorm1d(inputs, affine=False))
    return nn.Sequential(pool, nn.Dropout(dropout), nn.Linear(inputs, classes))
