"""The paper's neighbors: an autoencoder's code of a face, moved a little and decoded again (SNA, Eq. 9)."""

from dataclasses import dataclass as plain
from typing import Any, Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor
from typing_extensions import override

from mien.data.augment import to_unit
from mien.errors import MienError
from mien.neighbors.kinds import Fitted, Ground, Kind, require_pixels
from mien.neighbors.semantic_neighbors import SIGMA, SemanticNeighbors
from mien.settings import STRICT, Positive


@dataclass(frozen=True, config=STRICT)
class Autoencoder(Kind):
    """H_d(H_e(I) + N) of Eq. 9, N normal noise.

    Departure: sigma, which the paper does not give, is a share of the deviation of each number of a code. Beyond the paper:
    `against = "reconstruction"` and `residual` leave out of S what the autoencoder blurs.
    """

    source: str | dict[str, Any] = "small"
    """A folder of `mien autoencoder train`; or `small`, `paper` or settings, by which one is trained and cached."""
    sigma: Positive = SIGMA
    """Standard deviation of the noise, in deviations of each number of a code."""
    against: Literal["face", "reconstruction"] = "face"
    """What a neighbor is compared with: the face (Eq. 10), or what the autoencoder makes of it without noise."""
    residual: bool = False
    """Whether the face itself gets what the noise changes: I + D(z + n) - D(z), within the range of pixels."""

    def __post_init__(self) -> None:
        if self.residual and self.against == "reconstruction":
            todo = "leave one of them out"
            raise MienError("neighbors that keep the face, or that are compared with its reconstruction", "both", todo)

    @property
    @override
    def noise(self) -> float:
        return self.sigma

    @override
    def fit(self, ground: Ground) -> "Decoded":
        """Neighbors by that autoencoder. Raises MienError for one that was made for other faces, and for cached features."""
        require_pixels(ground)
        made = ground.autoencoder(self.source)
        return Decoded(made, self)


@plain(frozen=True)
class Decoded(Fitted):
    """Faces that an autoencoder makes of codes that were moved."""

    made: SemanticNeighbors
    how: Autoencoder

    @property
    @override
    def told(self) -> str:
        error = self.made.card.metrics.get("pixel_error")
        blur = "" if error is None else f" (a pixel is {error:.1f} of 255 from what it was)"
        return f"the autoencoder {self.made.told}{blur}"

    @property
    @override
    def passes(self) -> float:
        return 2.0

    @override
    def itself(self, faces: Tensor) -> Tensor | None:
        return self.made.faces(self.made.codes(faces)) if self.how.against == "reconstruction" else None

    @override
    def near(self, rows: Tensor, given: Tensor, draws: int, generator: Generator) -> Tensor:
        codes = self.made.codes(given)
        made = torch.stack([self.made.faces(self.made.moved(codes, self.how.sigma, generator)) for _ in range(draws)])
        return (to_unit(given) + made - self.made.faces(codes)).clamp_(0, 1) if self.how.residual else made
