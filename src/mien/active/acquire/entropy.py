"""Entropy sampling: faces of which the recognizer can say least (Settles 2009, "Active learning literature survey", 3.1)."""

from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.active.acquire import Acquire, Floats, Indices, LooksAt, ScoredPool, entropy_of, most_wanted
from mien.settings import STRICT


@dataclass(frozen=True, config=STRICT)
class Entropy(Acquire):
    """The faces of highest entropy of the mean prediction."""

    looks_at: ClassVar[LooksAt] = "face"

    @override
    def __call__(self, pool: ScoredPool, count: int, generator: np.random.Generator) -> Indices:
        """(min(count, N),) indices by descending entropy; nothing is random."""
        return most_wanted(self.scores(pool), pool.wanted(count))

    @override
    def scores(self, pool: ScoredPool) -> Floats:
        """(N,) the entropy of each face in nats, from 0 to log K."""
        return entropy_of(pool.mean_prediction())
