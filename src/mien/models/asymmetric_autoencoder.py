"""SNA's autoencoder: a small encoder, and a decoder thickened with residual blocks (Table I, Eq. 2-3); and its critic."""

from itertools import pairwise

from pydantic.dataclasses import dataclass
from torch import nn
from typing_extensions import override

from mien.errors import MienError
from mien.models import Architecture, Network, Residual, require_side
from mien.settings import STRICT, LayerCount, Share, Units

CHANNELS = (16, 32, 64, 80)
"""Channels of the encoder's four maps, each half as large as the one before."""
ENCODER = ("conv_a", "conv_b", "conv_c", "conv_d", "code")
"""Names of the blocks that make a latent code."""
SCALES = {"from_code": "conv_d", "tconv_c": "conv_c", "tconv_b": "conv_b", "tconv_a": "conv_a"}
"""The decoder's blocks, and the encoder's map that each reconstructs (Eq. 3); the head reconstructs the face."""


def encoder_layer(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    """A layer of the encoder (E-Conv): (B, inputs, S, S) to (B, outputs, S/2, S/2)."""
    conv = nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.01), nn.Dropout(dropout))


def decoder_layer(inputs: int, outputs: int, residuals: int) -> nn.Sequential:
    """A layer of the decoder (D-TConv): (B, inputs, S, S) to (B, outputs, 2 S, 2 S), then residual blocks.

    Without residual blocks there is one activation, as in Eq. 3.
    """
    larger = nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1)
    return nn.Sequential(larger, *(Residual(outputs, outputs) for _ in range(residuals)), nn.LeakyReLU(0.01))


@dataclass(frozen=True, config=STRICT)
class AsymmetricAutoencoder(Architecture):
    """SNA's autoencoder: blocks conv_a to conv_d and code, then from_code to tconv_t, and a head that makes the face.

    As a recognizer (`build`) it is the encoder with a linear layer, which tells what its codes know or may learn. Sides are
    multiples of 16 (48, 64, 112).

    Departures: Table I's last layer has stride 1, or it would not end at 112, and its residual block stands before it, where
    there are 16 channels and not one. Residual blocks end in a ReLU, so that the table's own changes nothing.
    """

    latent: Units = 64
    """Numbers in a code."""
    dropout: Share = 0.1
    """Share of the pixels, and of each of the encoder's maps but the last, that training leaves out (Eq. 2)."""
    residuals: tuple[LayerCount, LayerCount, LayerCount, LayerCount, LayerCount] = (2, 2, 2, 2, 1)
    """Residual blocks after the decoder's layers c, b, a and t, and before the last one, o."""
    symmetric: bool = False
    """Whether the decoder is the plain one of Eq. 3, without residual blocks and the extra layer t (Fig. 3, second row)."""

    @override
    def build(self, classes: int, channels: int, side: int) -> Network:
        """A recognizer: the encoder and a linear layer. Raises MienError for sides that cannot be halved four times."""
        return Network(self._encoder(channels, side), nn.Linear(self.latent, classes), (channels, side, side))

    def autoencoder(self, channels: int, side: int) -> Network:
        """The autoencoder, from faces (B, C, S, S) to faces; 0.9 M parameters at 112 pixels. Raises MienError as `build` does."""
        a, b, c, d = CHANNELS
        size = side // 16
        after_c, after_b, after_a, after_t, before_o = (0,) * 5 if self.symmetric else self.residuals
        blocks: dict[str, nn.Module] = {
            **self._encoder(channels, side),
            "from_code": nn.Sequential(nn.Linear(self.latent, d * size**2), nn.Unflatten(1, (d, size, size))),
            "tconv_c": decoder_layer(d, c, after_c),
            "tconv_b": decoder_layer(c, b, after_b),
            "tconv_a": decoder_layer(b, a, after_a),
        }
        if self.symmetric:
            head: nn.Module = nn.ConvTranspose2d(a, channels, 3, 2, 1, output_padding=1)
        else:
            blocks["tconv_t"] = decoder_layer(a, a, after_t)
            head = nn.Sequential(*(Residual(a, a) for _ in range(before_o)), nn.ConvTranspose2d(a, channels, 3, 1, 1))
        return Network(blocks, head, (channels, side, side))

    def _encoder(self, channels: int, side: int) -> dict[str, nn.Module]:
        require_side("asymmetric_autoencoder", side, 16)
        if side % 16:
            raise MienError(
                "faces whose side is a multiple of 16, to be halved four times",
                f"{side}",
                "import them with --side 48, 64 or 112",
            )
        a, b, c, d = CHANNELS
        last = nn.Sequential(nn.Conv2d(c, d, 3, 2, 1, bias=False), nn.BatchNorm2d(d), nn.Tanh())
        return {
            "conv_a": nn.Sequential(nn.Dropout(self.dropout), *encoder_layer(channels, a, self.dropout)),
            "conv_b": encoder_layer(a, b, self.dropout),
            "conv_c": encoder_layer(b, c, self.dropout),
            "conv_d": last,
            "code": nn.Sequential(nn.Flatten(), nn.Linear(d * (side // 16) ** 2, self.latent)),
        }


def critic(channels: int, side: int) -> nn.Sequential:
    """The critic D of Eq. 6, from faces (B, C, S, S) to (B, 1): four strided convolutions without batch normalization.

    The paper does not describe it.
    """
    widths = (channels, 32, 64, 128, 256)
    layers = [layer for inputs, outputs in pairwise(widths) for layer in (nn.Conv2d(inputs, outputs, 5, 2, 2), nn.LeakyReLU(0.2))]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256 * (-(-side // 16)) ** 2, 1))
