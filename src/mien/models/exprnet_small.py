"""The expression network of FaceNet2ExpNet for faces of 48 to 112 pixels and a CPU."""

from pydantic.dataclasses import dataclass
from torch import nn
from typing_extensions import override

from mien.models import Architecture, Network, grid_head, require_side
from mien.models.exprnet import HIDDEN, convolution, hidden_layer
from mien.settings import STRICT, GridSideOrZero, Share, Units

LARGEST = 27
"""Most pixels on a side of the map that conv1 makes."""


@dataclass(frozen=True, config=STRICT)
class ExprnetSmall(Architecture):
    """A small expression network with the blocks of exprnet: conv1 to conv5, match (1x1, without ReLU) and fc.

    With `grid`, a ReLU follows `match` in place of `fc`, as in the face net, whose last layer may then be put onto it.

    The stride of conv1 brings a face of any side to a map of about 24, and two pools bring that to 6: time goes where maps
    are small. 21 M multiply-adds for a gray face of 48 pixels, and never above 25 M up to 112. 1.6 M parameters.

    Departures: fewer and narrower layers (in multiples of 32, which processors like), batch normalization, and pools after
    the first and the third convolution only.
    """

    channels: Units = 128
    """Channels of the 1x1 convolution."""
    batch_norm: bool = True
    """Whether batch normalization follows every layer but the 1x1 convolution and the last one."""
    grid: GridSideOrZero = 0
    """Side to which the map is averaged for one linear layer, as in facenet_dlib; 0 for exprnet's hidden layer instead."""
    dropout: Share = 0.5
    """Share of the features before the last layer that training leaves out."""

    @override
    def build(self, classes: int, channels: int, side: int) -> Network:
        """The network. Raises MienError below 32 pixels."""
        require_side("exprnet_small", side, 32)
        stride = -(-side // LARGEST)
        kernel = 2 * -(-stride // 2) + 1
        size = -(-side // stride) // 4
        first = convolution(channels, 32, self.batch_norm, kernel, stride)
        blocks: dict[str, nn.Module] = {
            "conv1": nn.Sequential(*first, nn.MaxPool2d(3, 2, ceil_mode=True)),
            "conv2": convolution(32, 64, self.batch_norm),
            "conv3": nn.Sequential(*convolution(64, 64, self.batch_norm), nn.MaxPool2d(3, 2, ceil_mode=True)),
            "conv4": convolution(64, 128, self.batch_norm),
            "conv5": convolution(128, 192, self.batch_norm),
            "match": nn.Conv2d(192, self.channels, 1),
        }
        if self.grid:
            blocks["relu"] = nn.ReLU()
            return Network(blocks, grid_head(self.channels, self.grid, classes, self.dropout), (channels, side, side))
        blocks["fc"] = hidden_layer(self.channels * size**2, self.batch_norm, self.dropout)
        return Network(blocks, nn.Linear(HIDDEN, classes), (channels, side, side))
