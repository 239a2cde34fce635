"""A small network over cached features, on which every recipe that needs no pixels runs in seconds."""

from typing import Self

from pydantic.dataclasses import dataclass
from torch import nn
from typing_extensions import override

from mien.errors import MienError
from mien.models import Architecture, Network
from mien.settings import STRICT, Share, UnitsOrZero


class Standardization(nn.BatchNorm1d):
    """Subtracts from every feature its mean and divides by its deviation, both measured before training and kept in the weights.

    Never normalizes by a batch, in train mode either. Its weights are named as those of batch normalization, which stood in its
    place before and which it equals in a trained model.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=False)
        self.training = False

    @override
    def train(self, mode: bool = True) -> Self:
        """Stay as in eval mode, whatever `mode` is."""
        return super().train(False)


@dataclass(frozen=True, config=STRICT)
class Embedding(Architecture):
    """Logistic regression on standardized features, with one hidden layer where `hidden` is above 0."""

    hidden: UnitsOrZero = 0
    """Units of the hidden layer; 0 for a linear head."""
    dropout: Share = 0.0
    """Share of the features that training leaves out."""

    @override
    def build(self, classes: int, channels: int, side: int) -> Network:
        """The network over vectors of dimension `channels`. Raises MienError for faces, whose `side` is not 0."""
        if side:
            raise MienError(
                "features for embedding", f"faces of {side} pixels", "make some with mien features, or take another network"
            )
        blocks: dict[str, nn.Module] = {"input": nn.Sequential(Standardization(channels), nn.Dropout(self.dropout))}
        if self.hidden:
            blocks["hidden"] = nn.Sequential(nn.Linear(channels, self.hidden), nn.ReLU(), nn.Dropout(self.dropout))
        return Network(blocks, nn.Linear(self.hidden or channels, classes), (channels,))
