"""mien's own small network, for faces of 48 to 64 pixels on a laptop's CPU."""

from pydantic.dataclasses import dataclass
from torch import nn
from typing_extensions import override

from mien.models import Architecture, Network, Residual, conv_bn, grid_head, pooled_head, require_side
from mien.settings import STRICT, GridSideOrZero, LayerCount, Share, Units


@dataclass(frozen=True, config=STRICT)
class MienS(Architecture):
    """A stem that halves the face at once, then residual stages that halve it again and double the channels.

    Half of a plain network's time goes into its first layers at full resolution, where a face has little to say; the
    strided stem spares it. Channels are multiples of 32, which matrix units like.
    """

    width: Units = 32
    """Channels of the stem; the stages have 1, 2 and 4 times as many."""
    depths: tuple[LayerCount, LayerCount, LayerCount] = (1, 1, 2)
    """Residual blocks in each stage."""
    grid: GridSideOrZero = 0
    """Side to which the last map is averaged, and normalized, for the last layer, as in facenet_dlib; 0 for its mean alone."""
    dropout: Share = 0.2
    """Share of the features before the last layer that training leaves out."""

    @override
    def build(self, classes: int, channels: int, side: int) -> Network:
        """The network; 0.6 M parameters with the defaults. Raises MienError below 16 pixels."""
        require_side("mien_s", side, 16)
        blocks: dict[str, nn.Module] = {"stem": conv_bn(channels, self.width, stride=2)}
        inputs = self.width
        for stage, depth in enumerate(self.depths):
            outputs = self.width * 2**stage
            for number in range(depth):
                stride = 2 if stage > 0 and number == 0 else 1
                blocks[f"stage{stage + 1}_{number + 1}"] = Residual(inputs, outputs, stride)
                inputs = outputs
        head = grid_head(inputs, self.grid, classes, self.dropout) if self.grid else pooled_head(inputs, classes, self.dropout)
        return Network(blocks, head, (channels, side, side))
