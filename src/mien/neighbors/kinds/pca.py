"""Neighbors by principal components: the leading ones of the faces are codes, moved a little. Fitted in seconds."""

import math
from dataclasses import dataclass as plain

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor
from typing_extensions import override

from mien.data.augment import to_unit
from mien.data.faceset import FaceSet
from mien.errors import MienError
from mien.neighbors.kinds import Fitted, Ground, Kind, require_pixels
from mien.neighbors.semantic_neighbors import SIGMA
from mien.settings import STRICT, Positive, Units

MOST_PIXELS = 1 << 25
"""Pixels that components are found in at most: of more, evenly spaced faces are taken. 14,500 faces of 48 pixels."""
ROUNDS = 4
"""Power iterations of the randomized decomposition (Halko, Martinsson & Tropp 2011)."""
BEYOND = 8
"""Components that are computed beyond those that are kept, which makes these exact enough."""


@dataclass(frozen=True, config=STRICT)
class Pca(Kind):
    """A face's leading components, each with normal noise: what the face of a set varies by most, moved a little.

    Of 48-pixel faces 256 components lose less than an autoencoder of 256 numbers. Unless `residual` is false nothing is lost:
    the face itself gets what the noise changes.
    """

    components: Units = 128
    """Components at most; faces that span fewer have fewer."""
    sigma: Positive = SIGMA
    """Standard deviation of the noise, in deviations of each component."""
    residual: bool = True
    """Whether the face itself gets what the noise changes: I + D(z + n) - D(z), within the range of pixels."""

    @property
    @override
    def noise(self) -> float:
        return self.sigma

    @override
    def fit(self, ground: Ground) -> "Moved":
        """The components of the faces around. Raises MienError for cached features, and for fewer than two faces."""
        require_pixels(ground)
        faces = ground.around
        if len(faces) < 2:
            raise MienError("two faces or more, to find how faces vary", f"{len(faces)}", "take more faces, or other neighbors")
        pixels = faces_matrix(faces)
        mean = pixels.mean(dim=0)
        components, deviation = leading_components(pixels - mean, self.components)
        return Moved(mean.to(ground.device), components.to(ground.device), deviation.to(ground.device), self)


@plain(frozen=True)
class Moved(Fitted):
    """Faces whose leading components were moved."""

    mean: Tensor
    """(P,) the mean face."""
    components: Tensor
    """(P, Q) orthonormal columns."""
    deviation: Tensor
    """(Q,) standard deviation of each component over the faces."""
    how: Pca

    @property
    @override
    def told(self) -> str:
        return f"{len(self.deviation)} principal components of the faces"

    @override
    def near(self, rows: Tensor, given: Tensor, draws: int, generator: Generator) -> Tensor:
        faces = to_unit(given)
        flat, shape = faces.flatten(1), (draws, len(faces), len(self.deviation))
        noise = self.how.sigma * self.deviation * torch.randn(shape, generator=generator, device=faces.device)
        start = flat if self.how.residual else self.mean + (flat - self.mean) @ self.components @ self.components.T
        made: Tensor = (start + noise @ self.components.T).clamp_(0, 1).unflatten(2, faces.shape[1:])
        return made


def components_error(taught: FaceSet, held_out: FaceSet, components: int) -> float:
    """How far a pixel of held-out faces is, of 255, from what the leading components of the others make of it."""
    pixels, others = faces_matrix(taught), faces_matrix(held_out)
    mean = pixels.mean(dim=0)
    axes, _ = leading_components(pixels - mean, components)
    return 255 * float((others - mean - (others - mean) @ axes @ axes.T).abs().mean())


def faces_matrix(faces: FaceSet) -> Tensor:
    """Faces as (M, P) in [0, 1] on the CPU: all, or evenly spaced ones of MOST_PIXELS pixels in all."""
    size = math.prod(faces.faces([0]).shape[1:])
    count = max(2, min(len(faces), MOST_PIXELS // size))
    rows = np.linspace(0, len(faces) - 1, count).astype(np.int64)
    return to_unit(torch.from_numpy(faces.faces(rows))).flatten(1)


def leading_components(centered: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The leading components (P, Q) of centered rows (M, P), and the deviation (Q,) of the rows along each.

    The same for the same rows: the random start of the decomposition has a seed of its own.
    """
    most = min(count, *centered.shape)
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(0)
        _, spread, axes = torch.svd_lowrank(centered, min(most + BEYOND, *centered.shape), ROUNDS)
    deviation = spread[:most] / math.sqrt(len(centered))
    kept = deviation > 1e-6 * max(float(deviation.max()), 1e-12)
    return axes[:, :most][:, kept].contiguous(), deviation[kept]
