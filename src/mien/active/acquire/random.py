"""Random sampling: any faces. Every other strategy has to be better than this one."""

from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from mien.active.acquire import Indices, LooksAt, ScoredPool
from mien.settings import STRICT


@dataclass(frozen=True, config=STRICT)
class Random:
    """Faces drawn without replacement, each with the same probability."""

    looks_at: ClassVar[LooksAt] = "nothing"

    def __call__(self, pool: ScoredPool, count: int, generator: np.random.Generator) -> Indices:
        """(min(count, N),) indices in random order."""
        return generator.permutation(len(pool))[: pool.wanted(count)].astype(np.int64)
