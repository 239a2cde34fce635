"""Faces between two classes (margin sampling; Scheffer et al. 2001, "Active hidden Markov models for information extraction")."""

from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from mien.active.acquire import Candidates, Floats, LooksAt, Places, most_wanted
from mien.settings import STRICT


def margin(probabilities: Floats) -> Floats:
    """How far the highest of probabilities (N, K) is above the second, (N,)."""
    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    above: Floats = two[:, 1] - two[:, 0]
    return above


@dataclass(frozen=True, config=STRICT)
class Margin:
    """The faces whose two most probable classes are nearest to each other, by the mean prediction over what was looked at."""

    looks_at: ClassVar[LooksAt] = "face"

    def __call__(self, pool: Candidates, count: int, generator: np.random.Generator) -> Places:
        """Places by ascending margin, (min(count, N),); nothing is random."""
        return most_wanted(self.scores(pool), pool.wanted(count))

    def scores(self, pool: Candidates) -> Floats:
        """(N,) the margin's negative, from -1 to 0."""
        return -margin(pool.mean_prediction())
