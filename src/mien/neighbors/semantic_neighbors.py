"""Semantic neighbors of faces: an autoencoder's code of a face, moved a little and decoded again (SNA, Eq. 9)."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor

from mien.data.format import Info
from mien.data.views import Views
from mien.errors import MienError
from mien.models import Network
from mien.models.asymmetric_autoencoder import ENCODER, AsymmetricAutoencoder
from mien.recognize.device import channels_last, to_device
from mien.recognize.model_card import ModelCard, read_card, require_alike
from mien.recognize.model_folder import CARD
from mien.recognize.saved_networks import build_with_weights, read_weights
from mien.registry import build_component, require_loaded

DEVIATION = "deviation"
"""Name of the codes' deviation among an autoencoder's weights."""
SIGMA = 0.22
"""Default noise of neighbors, in deviations of each number of a code: about nine neighbors of ten keep the expression."""


@dataclass(frozen=True)
class SemanticNeighbors:
    """A trained autoencoder that makes semantic neighbors of faces; `load` reads one from disk."""

    network: Network
    deviation: Tensor
    """(D,) standard deviation of each number of a code over the faces that the autoencoder learned from."""
    card: ModelCard
    told: str = ""
    """Where it comes from, in words."""

    @staticmethod
    def load(folder: Path, device: torch.device) -> "SemanticNeighbors":
        """The autoencoder in `folder`, on `device`. Raises MienError where there is none, or its files were changed."""
        card, weights = read_card(folder), read_weights(folder)
        if DEVIATION not in weights:
            raise MienError(
                f"an autoencoder at {folder}", f"a model of {card.network['network']}", "make one with mien autoencoder train"
            )
        require_loaded(str(card.network["network"]), place=folder / CARD)
        with torch.random.fork_rng([]):  # A run that is resumed reads it too, and draws on as if it had not.
            deviation = weights.pop(DEVIATION)
            network = build_with_weights(lambda: autoencoder(card.network, card.faces), weights, folder)
        codes = weights[f"blocks.{ENCODER[-1]}.1.bias"]
        if deviation.shape != codes.shape:
            raise MienError(f"deviations of {len(codes)} numbers at {folder}", str(tuple(deviation.shape)), "train it again")
        return SemanticNeighbors(to_device(network, device), deviation.to(device), card, str(folder))

    @torch.no_grad()
    def codes(self, faces: Tensor) -> Tensor:
        """Codes (B, D) of stored faces, uint8 (B, S, S[, 3]); the paper's H_e."""
        return encode(self.network, Views(self.card.faces).clean(faces))

    @torch.no_grad()
    def faces(self, codes: Tensor) -> Tensor:
        """Faces (B, C, S, S) in [0, 1] of codes (B, D), in one pass; the paper's H_d."""
        return to_unit_range(decode(self.network, codes)).clamp_(0, 1)

    def moved(self, codes: Tensor, sigma: float, generator: Generator) -> Tensor:
        """Codes (B, D) of neighbors: the given ones plus normal noise of `sigma` times the deviation of each number (z + N)."""
        noise = torch.randn(codes.shape, generator=generator, device=codes.device)
        return codes + sigma * self.deviation * noise

    def require(self, info: Info, checksum: str | None = None) -> None:
        """Raises MienError where the autoencoder was made for other faces than `info` says, or another set than `checksum`'s."""
        require_alike(self.card, info)
        made_for = self.card.faces
        if made_for.alignment != info.alignment:
            raise MienError(
                f"faces aligned as the autoencoder's ({made_for.alignment})",
                info.alignment,
                "train an autoencoder on these faces",
            )
        if checksum and made_for.checksum and made_for.checksum != checksum:
            found = f"one made for {made_for.name or 'another set'}, checksum {made_for.checksum[:12]}"
            wanted = f"an autoencoder made for these faces, checksum {checksum[:12]}"
            raise MienError(wanted, found, "train one on them with mien autoencoder train")


def autoencoder(network: dict[str, object], info: Info) -> Network:
    """An autoencoder with random weights, by the settings of a network as a card or a recipe states them.

    Raises MienError for settings of another network, and for faces whose side an autoencoder cannot take.
    """
    settings = build_component("mien.models", network, "network")
    if not isinstance(settings, AsymmetricAutoencoder):
        raise MienError("the settings of an autoencoder", repr(network["network"]), "set model.network to asymmetric_autoencoder")
    return settings.autoencoder(info.channels, info.side)


def encode(network: Network, inputs: Tensor) -> Tensor:
    """Codes (B, D) of inputs (B, C, S, S), which are scaled to [-2, 2]."""
    return network.features(channels_last(inputs), ENCODER[-1])


def decode(network: Network, codes: Tensor) -> Tensor:
    """Faces (B, C, S, S) scaled to [-2, 2] of codes (B, D)."""
    x = codes
    for name, block in network.blocks.items():
        if name not in ENCODER:
            x = block(x)
    made: Tensor = network.head(x)
    return made


def to_unit_range(faces: Tensor) -> Tensor:
    """Faces scaled from [-2, 2] to [0, 1]."""
    return faces / 4 + 0.5
