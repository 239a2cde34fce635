"""VGG-16 as Parkhi et al. 2015 ("Deep face recognition") train it: the network that ST+SW and FN2EN start from."""

from collections import OrderedDict
from typing import ClassVar

import torch
from pydantic.dataclasses import dataclass
from torch import nn
from typing_extensions import override

from mien.models import Architecture, FacePixels, Network, require_side
from mien.settings import STRICT, PixelsOrZero, Share, Units

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
MEAN = (129.1863, 104.7624, 93.5940)
DEVIATION = 64.0
"""Standard deviation of gray values, roughly."""


@dataclass(frozen=True, config=STRICT)
class Vgg16(Architecture):
    """VGG-16: thirteen 3x3 convolutions in five stages, each ended by 2x2 max pooling, and three fully connected layers.

    No batch normalization. The faces are gray values of 0 to 255 less VGG-Face's mean, so that its weights, which
    `mien convert` reads, fit as they are. stage5 ends with FN2EN's pool5.

    Departures: random weights are drawn as He et al. 2015 do, the first layer's divided by the gray values' deviation;
    below 112 pixels (`side = 0`) the last map is pooled to one vector and the hidden layers have an eighth of their units.
    """

    takes_gray_values: ClassVar[bool] = True
    side: PixelsOrZero = 224
    """Side to which faces are resized, 32 pixels or more; 0 leaves them as they are."""
    hidden: Units = 4096
    """Units of the two hidden fully connected layers at 112 pixels or more; an eighth of it below."""
    dropout: Share = 0.5
    """Share of each hidden layer's features that training leaves out."""

    @override
    def build(self, classes: int, channels: int, side: int) -> Network:
        """The network; 145.0 M parameters for 2,622 people. Raises MienError below 16 pixels, or below 32 where `side` is 0."""
        require_side("vgg16", side, 16)
        shown = self.side or side
        require_side("vgg16", shown, 32)
        grid, hidden = (7, self.hidden) if shown >= 112 else (1, max(1, self.hidden // 8))
        blocks: dict[str, nn.Module] = {}
        inputs = 3
        for stage, widths in enumerate(STAGES, 1):
            layers: OrderedDict[str, nn.Module] = (
                OrderedDict(pixels=FacePixels(self.side, MEAN, 1.0)) if stage == 1 else OrderedDict()
            )
            for number, outputs in enumerate(widths, 1):
                layers[f"conv{stage}_{number}"] = nn.Conv2d(inputs, outputs, 3, 1, 1)
                layers[f"relu{stage}_{number}"] = nn.ReLU(inplace=True)
                inputs = outputs
            layers["pool"] = nn.MaxPool2d(2)
            blocks[f"stage{stage}"] = nn.Sequential(layers)
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(grid), nn.Flatten())
        blocks["fc6"] = _full("fc6", pool, inputs * grid * grid, hidden, self.dropout)
        blocks["fc7"] = _full("fc7", nn.Identity(), hidden, hidden, self.dropout)
        made = Network(blocks, nn.Linear(hidden, classes), (channels, side, side))
        _draw(made)
        return made


def _full(name: str, before: nn.Module, inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    """A block of `before`, one linear layer called `name`, ReLU and dropout: (B, ...) to (B, outputs)."""
    layers = OrderedDict[str, nn.Module](before=before)
    layers |= {name: nn.Linear(inputs, outputs), "relu": nn.ReLU(), "dropout": nn.Dropout(dropout)}
    return nn.Sequential(layers)


@torch.no_grad()
def _draw(network: Network) -> None:
    """Draw random weights under which every layer's output has about the deviation of its input."""
    layers = [module for module in network.blocks.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    layers[0].weight /= DEVIATION
