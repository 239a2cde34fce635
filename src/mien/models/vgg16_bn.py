"""VGG-16 with batch normalization (Simonyan and Zisserman 2015, configuration D), the larger network of ALT."""

from pydantic.dataclasses import dataclass
from torch import nn
from typing_extensions import override

from mien.models import Architecture, Network, conv_bn, require_side
from mien.settings import STRICT, Share, Units

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


@dataclass(frozen=True, config=STRICT)
class Vgg16Bn(Architecture):
    """VGG-16 with batch normalization: thirteen 3x3 convolutions in five stages, and three fully connected layers.

    Each stage ends in 2x2 max pooling.

    Departure: below 112 pixels the last feature map is pooled to one vector and the hidden layers have an eighth of their
    units, which is the usual VGG for small pictures.
    """

    hidden: Units = 4096
    """Units of the two hidden fully connected layers at 112 pixels or more; an eighth of it below."""
    dropout: Share = 0.5
    """Share of each hidden layer's features that training leaves out."""

    @override
    def build(self, classes: int, channels: int, side: int) -> Network:
        """The network. Raises MienError below 32 pixels, where five halvings leave nothing."""
        require_side("vgg16_bn", side, 32)
        grid, hidden = (7, self.hidden) if side >= 112 else (1, max(1, self.hidden // 8))
        blocks: dict[str, nn.Module] = {}
        inputs = channels
        for stage, widths in enumerate(STAGES):
            layers: list[nn.Module] = []
            for outputs in widths:
                layers.append(conv_bn(inputs, outputs))
                inputs = outputs
            blocks[f"stage{stage + 1}"] = nn.Sequential(*layers, nn.MaxPool2d(2))
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(grid), nn.Flatten())
        blocks["fc6"] = nn.Sequential(pool, nn.Linear(512 * grid * grid, hidden), nn.ReLU(), nn.Dropout(self.dropout))
        blocks["fc7"] = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(self.dropout))
        return Network(blocks, nn.Linear(hidden, classes), (channels, side, side))
