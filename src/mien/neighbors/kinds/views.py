"""Neighbors that are small moves of geometry and light: no expression changes, and nothing is blurred but by resampling."""

from dataclasses import dataclass as plain
from typing import Annotated

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor
from typing_extensions import override

from mien.data.augment import Change, Distortion, distort, to_unit
from mien.errors import MienError
from mien.neighbors.kinds import Fitted, Ground, Kind
from mien.settings import STRICT, Share


@dataclass(frozen=True, config=STRICT)
class Views(Kind):
    """Each neighbor is turned, shifted, zoomed and lit a little, by as much as a crop of the same photo may differ.

    Of cached features, a neighbor is one of the stored weak views.
    """

    rotation: Annotated[float, Field(ge=0, le=360, allow_inf_nan=False)] = 6.0
    """Most degrees of rotation, either way."""
    shift: Share = 0.04
    """Largest shift in each direction, as a share of the side."""
    zoom: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0.06
    """Largest natural logarithm of the scale, either way."""
    contrast: Change = 0.15
    """Largest relative change of the distance from middle gray."""
    brightness: Change = 0.06
    """Largest change of gray, where black is 0 and white 1."""

    @override
    def fit(self, ground: Ground) -> "Moved":
        """Small moves of the faces. Raises MienError for cached features that have no other weak view than the clean one."""
        by = Distortion(0.0, self.rotation, self.shift, self.zoom, self.contrast, self.brightness)
        if ground.faces.info.kind == "features":
            weak = [name for name in ground.faces.info.views if name in ("mirror", "weak")]
            if not weak:
                raise MienError(
                    "cached features with a weak view",
                    ", ".join(ground.faces.info.views),
                    'make them with more --views, or take the neighbors "features"',
                )
        return Moved(ground, by)


@plain(frozen=True)
class Moved(Fitted):
    """Small moves of faces."""

    ground: Ground
    by: Distortion

    @property
    @override
    def told(self) -> str:
        return "small moves of geometry and light"

    @override
    def near(self, rows: Tensor, given: Tensor, draws: int, generator: Generator) -> Tensor:
        if self.ground.faces.info.kind == "features":
            return torch.stack([self.ground.views.view(given, "weak", generator) for _ in range(draws)])
        return torch.stack([distort(to_unit(given), self.by, generator) for _ in range(draws)])
