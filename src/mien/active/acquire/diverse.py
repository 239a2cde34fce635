"""Core-set: faces unlike all that are known (Sener and Savarese 2018, arXiv 1708.00489, Algorithm 1, "k-Center-Greedy").

Each face that is chosen is the one whose features are farthest from those of the nearest face that has a label or was chosen.
"""

import math
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.active.acquire import Acquire, Indices, LooksAt, ScoredPool, entropy_of, most_wanted
from mien.errors import MienError
from mien.settings import STRICT, Share

Distances = npt.NDArray[np.float32]

CENTERS = 32
"""Known faces whose distances to all others are computed at a time."""


def squared_distances(features: Distances, norms: Distances, centers: Distances) -> Distances:
    """(N,) squared distances |f - c|^2 of features (N, D), with squared norms (N,), to the nearest of centers (C, D).

    Computed as |f|^2 - 2 f.c + |c|^2, so that no other array (N, D) is made; rounding never makes them negative.
    """
    nearest: Distances = ((centers**2).sum(axis=1) - 2 * (features @ centers.T)).min(axis=1) + norms
    return np.maximum(nearest, 0)


def farthest(features: Distances, known: Distances, count: int, generator: np.random.Generator) -> Indices:
    """(count,) rows of features (N, D), each the farthest from known features (M, D) and from the rows before it.

    Where nothing is known (M = 0) the first is random. O((M + count) N D) steps, O(N) memory.
    """
    norms = np.einsum("nd,nd->n", features, features)
    nearest = np.full(len(features), np.inf, np.float32)
    for start in range(0, len(known), CENTERS):
        nearest = np.minimum(nearest, squared_distances(features, norms, known[start : start + CENTERS]))
    chosen = np.empty(count, np.int64)
    for number in range(count):
        first = number == 0 and not len(known)
        row = chosen[number] = generator.integers(len(features)) if first else nearest.argmax()
        nearest = np.minimum(nearest, squared_distances(features, norms, features[row : row + 1]))
        nearest[row] = -1  # chosen: below all distances
    return chosen


@dataclass(frozen=True, config=STRICT)
class Diverse(Acquire):
    """The greedy solution of the k-center problem, at most twice as far from its faces as the best one.

    Departures: Algorithm 2, which improves on the greedy solution by mixed integer programming and leaves outliers out, is not
    here; features are what the network's last block gives, averaged over the face where that is a map. Beyond the paper:
    `candidates`, so that a face which is unlike all others, but of which the network is sure, is not asked about.
    """

    looks_at: ClassVar[LooksAt] = "features"

    candidates: Share = 1.0
    """The share of the pool, faces of highest entropy, among which the strategy chooses; never fewer than are wanted."""

    @override
    def __call__(self, pool: ScoredPool, count: int, generator: np.random.Generator) -> Indices:
        """(min(count, N),) indices in the order in which they were chosen. Raises MienError for a pool without features."""
        if pool.features is None:
            raise MienError("features of each face", "none", "score the pool with score_pool")
        wanted = pool.wanted(count)
        features = pool.features.astype(np.float32, copy=False)
        known = features[:0] if pool.known is None else pool.known.astype(np.float32, copy=False)
        if self.candidates == 1:
            return farthest(features, known, wanted, generator)
        size = max(wanted, math.ceil(round(self.candidates * len(pool), 9)))
        uncertain = most_wanted(entropy_of(pool.mean_prediction()), size)
        return uncertain[farthest(features[uncertain], known, wanted, generator)]
