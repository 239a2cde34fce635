"""AlexNet with batch normalization, the smaller network of ALT (papers: ALT, "Networks")."""

from pydantic.dataclasses import dataclass
from torch import nn
from typing_extensions import override

from mien.models import Architecture, Network, conv_bn, require_side
from mien.settings import STRICT, Share, Units


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, 2, ceil_mode=True)


@dataclass(frozen=True, config=STRICT)
class AlexnetBn(Architecture):
    """AlexNet: five convolutions and three fully connected layers (Krizhevsky et al. 2012, in its one-GPU form of 2014).

    Departures: batch normalization after every convolution, as ALT says without giving the place; below 112 pixels the first
    convolution is 5x5 with stride 1 (the original's 11x11 with stride 4 would leave nothing of a 48-pixel face). The
    convolutional features are pooled to 6x6 (3x3 below 112 pixels) before the fully connected layers.
    """

    hidden: Units = 4096
    """Units of the two hidden fully connected layers at 112 pixels or more; a quarter of it below."""
    dropout: Share = 0.5
    """Share of the features before each hidden layer that training leaves out."""

    @override
    def build(self, classes: int, channels: int, side: int) -> Network:
        """The network. Raises MienError below 32 pixels."""
        require_side("alexnet_bn", side, 32)
        large = side >= 112
        grid, hidden = (6, self.hidden) if large else (3, max(1, self.hidden // 4))
        first = conv_bn(channels, 64, 11, 4) if large else conv_bn(channels, 64, 5)
        blocks = {
            "conv1": nn.Sequential(first, _pool()),
            "conv2": nn.Sequential(conv_bn(64, 192, 5), _pool()),
            "conv3": conv_bn(192, 384),
            "conv4": conv_bn(384, 256),
            "conv5": nn.Sequential(conv_bn(256, 256), _pool(), nn.AdaptiveAvgPool2d(grid), nn.Flatten()),
            "fc6": nn.Sequential(nn.Dropout(self.dropout), nn.Linear(256 * grid * grid, hidden), nn.ReLU()),
            "fc7": nn.Sequential(nn.Dropout(self.dropout), nn.Linear(hidden, hidden), nn.ReLU()),
        }
        return Network(blocks, nn.Linear(hidden, classes), (channels, side, side))
