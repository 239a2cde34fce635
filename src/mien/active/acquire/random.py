"""Random sampling: any faces. Every other strategy has to be better than this one."""

from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.active.acquire import Acquire, Indices, LooksAt, ScoredPool
from mien.settings import STRICT


@dataclass(frozen=True, config=STRICT)
class Random(Acquire):
    """Faces drawn without replacement, each with the same probability."""

    looks_at: ClassVar[LooksAt] = "nothing"

    @override
    def __call__(self, pool: ScoredPool, count: int, generator: np.random.Generator) -> Indices:
        """(min(count, N),) indices in random order."""
        return generator.permutation(len(pool))[: pool.wanted(count)].astype(np.int64)
