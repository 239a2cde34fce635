"""Margin sampling: faces between two classes (Scheffer et al. 2001, "Active hidden Markov models for information extraction")."""

from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.active.acquire import Acquire, Floats, Indices, LooksAt, ScoredPool, most_wanted
from mien.settings import STRICT


def margin(probabilities: Floats) -> Floats:
    """(N,) the highest minus the second highest of probabilities (N, K)."""
    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    above: Floats = two[:, 1] - two[:, 0]
    return above


@dataclass(frozen=True, config=STRICT)
class Margin(Acquire):
    """The faces whose two most probable classes are nearest to each other, by the mean prediction."""

    looks_at: ClassVar[LooksAt] = "face"

    @override
    def __call__(self, pool: ScoredPool, count: int, generator: np.random.Generator) -> Indices:
        """(min(count, N),) indices by ascending margin; nothing is random."""
        return most_wanted(self.scores(pool), pool.wanted(count))

    @override
    def scores(self, pool: ScoredPool) -> Floats:
        """(N,) the negative margin of each face, from -1 to 0."""
        return -margin(pool.mean_prediction())
