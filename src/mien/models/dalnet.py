"""DAL-Net: max feature maps and a double activation layer (DAL, section 3.1, Table 1, Eq. 1-2)."""

from typing import Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from typing_extensions import override

from mien.models import Architecture, Network, require_side
from mien.settings import STRICT, Factor, Share

LAYERS = ((96, 5), (192, 3), (384, 3), (384, 3), (256, 3))
"""Maps before the max feature map halves them, and side of the kernel, layer by layer (Table 1)."""
POOLED = (1, 2, 3, 5)
"""Numbers of the convolutions that a 2x2 max pool follows."""
HIDDEN = 512
"""Units of IP1 before the max feature map halves them."""


@dataclass(frozen=True, config=STRICT)
class Dalnet(Architecture):
    """DAL-Net: five convolutions and two fully connected layers; each activation is the larger of two maps, max(X1, X2).

    After the last convolution the activation is double: max(X1, X2, 0). 6.8 M parameters for gray faces of 144 pixels.

    Departures: Table 1 gives maps and kernels only; padding that keeps the size, the places of the 2x2 max pools, dropout
    and the max feature map after IP1 (512 to 256) are those of Lightened CNN (Wu et al. 2015, 2018), from which DAL takes
    the max feature map. Weights start with the variance that keeps a signal's size through these activations. Any side from
    16 pixels on; small faces have smaller maps (3x3 at 48 pixels before IP1).
    """

    double_activation: Literal["last_conv", "first_fc", "none"] = "last_conv"
    """The layer whose activation is max(X1, X2, 0): the last convolution as Fig. 2 draws it, though the text leads it to IP2."""
    activation: Literal["max_feature_map", "relu"] = "max_feature_map"
    """The activation. `relu` has plain layers of half as many maps, so that the next layer sees as many; none is then double."""
    batch_norm: bool = False
    """Whether batch normalization follows every convolution and IP1, before their activation; the paper has none."""
    width: Factor = 1.0
    """Factor for the number of maps; 0.5 makes a network for small faces."""
    dropout: Share = 0.7
    """Share of IP1's features that training leaves out."""

    @override
    def build(self, classes: int, channels: int, side: int) -> Network:
        """The network. Raises MienError below 16 pixels."""
        require_side("dalnet", side, 16)
        blocks: dict[str, nn.Module] = {}
        inputs = channels
        for number, (maps, kernel) in enumerate(LAYERS, 1):
            outputs = max(1, round(maps * self.width / 2))
            wide = outputs * self._parts
            layer = nn.Conv2d(inputs, wide, kernel, padding=kernel // 2, bias=not self.batch_norm)
            norm = [nn.BatchNorm2d(wide)] if self.batch_norm else []
            pool = [nn.MaxPool2d(2)] if number in POOLED else []
            last = number == len(LAYERS) and self.double_activation == "last_conv"
            blocks[f"conv{number}"] = nn.Sequential(layer, *norm, self._activate(last), *pool)
            inputs = outputs
        blocks["ip1"] = self._hidden(inputs * (side // 2 ** len(POOLED)) ** 2)
        for module in (module for block in blocks.values() for module in block.modules()):
            if isinstance(module, nn.Conv2d | nn.Linear):
                # The larger of two normal numbers has their own second moment; what ReLU leaves of one has half of it.
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu" if self._parts == 1 else "linear")
        return Network(blocks, nn.Linear(HIDDEN // 2, classes), (channels, side, side))

    def _hidden(self, inputs: int) -> nn.Sequential:
        """IP1: maps with `inputs` values to (B, 256)."""
        wide = HIDDEN // 2 * self._parts
        norm = [nn.BatchNorm1d(wide)] if self.batch_norm else []
        layers = nn.Linear(inputs, wide, bias=not self.batch_norm), *norm, self._activate(self.double_activation == "first_fc")
        return nn.Sequential(nn.Flatten(), *layers, nn.Dropout(self.dropout))

    @property
    def _parts(self) -> int:
        return 1 if self.activation == "relu" else 2

    def _activate(self, double: bool) -> nn.Module:
        return nn.ReLU(inplace=True) if self.activation == "relu" else MaxFeatureMap(double)


class MaxFeatureMap(nn.Module):
    """The max feature map: the larger of the two halves of the maps (Eq. 1); with `double`, a ReLU follows (Eq. 2)."""

    def __init__(self, double: bool) -> None:
        super().__init__()
        self.rectified = double

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, 2 C, ...) to (B, C, ...)."""
        first, second = x.chunk(2, dim=1)
        larger = torch.maximum(first, second)
        return torch.relu(larger) if self.rectified else larger
