"""ResNet-18 (He et al. 2016, "Deep Residual Learning for Image Recognition", Table 1)."""

from pydantic.dataclasses import dataclass
from torch import nn
from typing_extensions import override

from mien.models import Architecture, Network, Residual, conv_bn, pooled_head, require_side
from mien.settings import STRICT, Share


@dataclass(frozen=True, config=STRICT)
class Resnet18(Architecture):
    """ResNet-18: four stages of two residual blocks, 64 to 512 channels, 11.2 M parameters.

    Departures: shortcuts of changed shape average before their 1x1 convolution (He et al. 2019, "Bag of Tricks",
    ResNet-D); below 96 pixels the stem is one 3x3 convolution without pooling, as is usual for small pictures.
    """

    dropout: Share = 0.0
    """Share of the features before the last layer that training leaves out."""

    @override
    def build(self, classes: int, channels: int, side: int) -> Network:
        """The network. Raises MienError below 16 pixels."""
        require_side("resnet18", side, 16)
        large = nn.Sequential(conv_bn(channels, 64, 7, 2), nn.MaxPool2d(3, 2, 1))
        blocks: dict[str, nn.Module] = {"stem": large if side >= 96 else conv_bn(channels, 64)}
        inputs = 64
        for stage, outputs in enumerate((64, 128, 256, 512)):
            for number in range(2):
                stride = 2 if stage > 0 and number == 0 else 1
                blocks[f"stage{stage + 1}_{number + 1}"] = Residual(inputs, outputs, stride)
                inputs = outputs
        return Network(blocks, pooled_head(512, classes, self.dropout), (channels, side, side))
