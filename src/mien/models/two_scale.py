"""SNA's recognizer: the face and the face at half size, each with its own convolutions, and three heads (Table II)."""

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from mien.models import Architecture, Network, conv_bn, require_side
from mien.settings import STRICT, Factor, Share

Streams = tuple[Tensor, Tensor]
"""Maps of the whole face, and maps of the face at half size."""


class WithHalfSize(nn.Module):
    """Gives faces (B, C, S, S) as they are, and beside them at half size, (B, C, S/2, S/2)."""

    def forward(self, x: Tensor) -> Streams:
        return x, F.avg_pool2d(x, 2)


class PerStream(nn.Module):
    """Two layers, one for each stream."""

    def __init__(self, whole: nn.Module, small: nn.Module) -> None:
        super().__init__()
        self.whole, self.small = whole, small

    def forward(self, x: Streams) -> Streams:
        return self.whole(x[0]), self.small(x[1])


class JoinStreams(nn.Module):
    """Joins the streams' last features: (B, 64) and (B, 32) to (B, 96)."""

    def forward(self, x: Streams) -> Tensor:
        return torch.cat(x, dim=1)


class ThreeHeads(nn.Module):
    """Three linear heads: on either stream, and on both, which decides. (B, whole + half) to (3, B, K)."""

    def __init__(self, whole: int, half: int, classes: int) -> None:
        super().__init__()
        self.sizes = (whole, half)
        self.whole, self.small = nn.Linear(whole, classes), nn.Linear(half, classes)
        self.fused = nn.Linear(whole + half, classes)

    def forward(self, x: Tensor) -> Tensor:
        whole, half = x.split(self.sizes, dim=1)
        return torch.stack([self.whole(whole), self.small(half), self.fused(x)])


@dataclass(frozen=True, config=STRICT)
class TwoScale(Architecture):
    """SNA's recognizer: blocks conv1_a to conv5 and fc. The maps of the whole face stand for a block's output.

    5.4 M parameters for gray faces of 112 pixels. As in Table II, nothing stands between a stream's last two linear layers.
    """

    width: Factor = 1.0
    """Factor for the channels of all convolutions; the streams end in 64 and 32 numbers in any case."""
    dropout: Share = 0.5
    """Share of the last maps' values that training leaves out."""

    @override
    def build(self, classes: int, channels: int, side: int) -> Network:
        """The network. Raises MienError below 32 pixels."""
        require_side("two_scale", side, 32)
        one, two, three, four, five = (max(1, round(n * self.width)) for n in (64, 128, 256, 512, 128))
        pool = nn.MaxPool2d(2)

        def stage(inputs: int, outputs: int, kernel: int = 3) -> PerStream:
            return PerStream(*(nn.Sequential(*conv_bn(inputs, outputs, kernel), pool) for _ in range(2)))

        def plain(inputs: int, outputs: int, kernel: int = 3) -> PerStream:
            return PerStream(*(conv_bn(inputs, outputs, kernel) for _ in range(2)))

        def last(size: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(nn.Dropout(self.dropout), nn.Flatten(), nn.Linear(five * size**2, outputs))

        blocks: dict[str, nn.Module] = {
            "conv1_a": nn.Sequential(WithHalfSize(), stage(channels, one, 5)),
            "conv1_b": plain(one, one, 5),
            "conv2_a": stage(one, two),
            "conv2_b": plain(two, two),
            "conv3_a": stage(two, three),
            "conv3_b": plain(three, three),
            "conv4": stage(three, four),
            "conv5": plain(four, five, 1),
            "fc": nn.Sequential(PerStream(last(side // 16, 64), last(side // 32, 32)), JoinStreams()),
        }
        return Network(blocks, ThreeHeads(64, 32, classes), (channels, side, side), head_count=3)
