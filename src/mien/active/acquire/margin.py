"""Faces between two classes (margin sampling; Scheffer et al. 2001, "Active hidden Markov models for information extraction")."""

from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from mien.active.acquire import Floats, Indices, LooksAt, ScoredPool, most_wanted
from mien.registry import STRICT


def margin(probabilities: Floats) -> Floats:
    """How far the highest of probabilities (N, K) is above the second, (N,)."""
    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    above: Floats = two[:, 1] - two[:, 0]
    return above


@dataclass(frozen=True, config=STRICT)
class Margin:
    """The faces whose two most probable classes are nearest to each other, by the mean prediction over what was looked at."""

    looks_at: ClassVar[LooksAt] = "face"

    def __call__(self, pool: ScoredPool, count: int, generator: np.random.Generator) -> Indices:
        """Places by ascending margin, (min(count, N),); nothing is random."""
        return most_wanted(self.scores(pool), pool.wanted(count))

    def scores(self, pool: ScoredPool) -> Floats:
        """(N,) the margin's negative, from -1 to 0."""
        return -margin(pool.mean_prediction())
