"""The expression network of FaceNet2ExpNet (FN2EN, section III-B and Fig. 2)."""

from pydantic.dataclasses import dataclass
from torch import nn
from typing_extensions import override

from mien.models import Architecture, Network, require_side
from mien.settings import STRICT, Share, Units

WIDTHS = (64, 128, 256, 512, 512)
"""Channels of the 3x3 convolutions."""
HIDDEN = 256
"""Units of the hidden layer."""


@dataclass(frozen=True, config=STRICT)
class Exprnet(Architecture):
    """Five 3x3 convolutions, each with ReLU and a 3x3 max pool of stride 2, a 1x1 convolution, and one hidden layer of 256.

    The 1x1 convolution (block `match`, without ReLU) brings the maps to the face net's channels; distillation trains its output
    to be the face net's. 10.6 M parameters for faces of 224 pixels, as in the paper.

    Departures: padding of 1 and the pools' ceil mode, which the paper does not give, make the 7x7 of VGG-Face's pool5; the
    convolutions start as He et al. 2015 advise, since torch's own start shrinks the signal at every layer where there is no
    batch normalization.
    """

    channels: Units = 512
    """Channels of the 1x1 convolution: as many as the face net's map has (VGG-Face's pool5: 512)."""
    batch_norm: bool = False
    """Whether batch normalization follows the 3x3 convolutions and the hidden layer, as in "Train From Scratch (BN)"."""
    dropout: Share = 0.5
    """Share of the hidden layer's features that training leaves out."""

    @override
    def build(self, classes: int, channels: int, side: int) -> Network:
        """The network. Raises MienError below 32 pixels, which five pools bring to one."""
        require_side("exprnet", side, 32)
        blocks: dict[str, nn.Module] = {}
        inputs = channels
        for number, outputs in enumerate(WIDTHS, 1):
            pool = nn.MaxPool2d(3, 2, ceil_mode=True)
            blocks[f"conv{number}"] = nn.Sequential(*convolution(inputs, outputs, self.batch_norm), pool)
            inputs = outputs
        blocks["match"] = nn.Conv2d(inputs, self.channels, 1)
        blocks["fc"] = hidden_layer(self.channels * (side // 32) ** 2, self.batch_norm, self.dropout)
        return Network(blocks, nn.Linear(HIDDEN, classes), (channels, side, side))


def convolution(inputs: int, outputs: int, batch_norm: bool, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A layer of convolution, batch normalization where asked for, and ReLU.

    (B, inputs, S, S) to (B, outputs, S/stride, S/stride).
    """
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=not batch_norm)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    norm = [nn.BatchNorm2d(outputs)] if batch_norm else []
    return nn.Sequential(conv, *norm, nn.ReLU(inplace=True))


def hidden_layer(inputs: int, batch_norm: bool, dropout: float) -> nn.Sequential:
    """The hidden layer, fully connected: maps (B, C, S, S) with `inputs` values to (B, 256)."""
    norm = [nn.BatchNorm1d(HIDDEN)] if batch_norm else []
    layer = nn.Linear(inputs, HIDDEN, bias=not batch_norm)
    return nn.Sequential(nn.Flatten(), layer, *norm, nn.ReLU(inplace=True), nn.Dropout(dropout))
