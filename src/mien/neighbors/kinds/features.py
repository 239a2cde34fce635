"""Neighbors among features: noise in what the network's last block gives. The paper's own outlook; no face is made."""

from dataclasses import dataclass as plain
from typing import Literal

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor
from typing_extensions import override

from mien.errors import MienError
from mien.neighbors.divergence import moved
from mien.neighbors.kinds import Fitted, Ground, Kind
from mien.neighbors.semantic_neighbors import SIGMA
from mien.recognize.device import sum_dtype
from mien.settings import STRICT, Positive

BATCH = 256
"""Faces whose features are measured at a time."""


@dataclass(frozen=True, config=STRICT)
class Features(Kind):
    """Normal noise in what the last block gives, in deviations of each number.

    They deviate over all faces where the network is finished, so that a face's neighbors do not depend on its batch; while it
    learns, over the batch. Of a face net's cached features, this is the face net's space.
    """

    sigma: Positive = SIGMA
    """Standard deviation of the noise, in deviations of each number."""

    @property
    @override
    def noise(self) -> float:
        return self.sigma

    @override
    def fit(self, ground: Ground) -> "NearFeatures":
        """Noise by the deviation of these faces' features. Raises MienError for fewer than two faces."""
        if ground.features is None:
            return NearFeatures(self.sigma, None)
        if len(ground.faces) < 2:
            todo = "take another split, or --neighbors"
            raise MienError("two faces or more, to know how features vary", f"{len(ground.faces)}", todo)
        ground.progress.begin("features", len(ground.faces))
        total = squares = torch.zeros((), dtype=sum_dtype(ground.device), device=ground.device)
        for start in range(0, len(ground.faces), BATCH):
            rows = np.arange(start, min(len(ground.faces), start + BATCH))
            found = ground.features(torch.from_numpy(ground.faces.faces(rows)).to(ground.device)).to(total.dtype)
            total, squares = total + found.sum(dim=0), squares + found.square().sum(dim=0)
            ground.progress.advance(len(rows))
        variance = squares / len(ground.faces) - (total / len(ground.faces)).square()
        return NearFeatures(self.sigma, variance.clamp(min=0).sqrt().float())


@plain(frozen=True)
class NearFeatures(Fitted):
    """Features near those of a face."""

    sigma: float
    deviation: Tensor | None
    """Deviation of each number of the features over the faces; None: that of each batch."""

    @property
    @override
    def told(self) -> str:
        return "features of the network's last block"

    @property
    @override
    def among(self) -> Literal["faces", "features"]:
        return "features"

    @property
    @override
    def passes(self) -> float:
        return 0.0

    @override
    def near(self, rows: Tensor, given: Tensor, draws: int, generator: Generator) -> Tensor:
        deviation = given.std(dim=0, correction=0) if self.deviation is None else self.deviation
        return torch.stack([moved(given, deviation, self.sigma, generator) for _ in range(draws)])
