"""Strategies that choose the faces to ask about next, one a file, found by name; what they get, and how they are called.

A strategy is a frozen dataclass of its parameters, and a pure function of arrays. `mien.active.scoring.score_pool` makes these of
a recognizer and faces, so that a strategy sees neither.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from mien.errors import MienError

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating[Any]]

LooksAt = Literal["nothing", "face", "patches", "features"]
"""What a strategy has to know of a face before it may choose it."""

PATCH_SIDE = 0.9
"""The side of a patch, as a share of the face's side."""
LEAST = 1e-12
"""The smallest probability of which a logarithm is taken; smaller ones are replaced by it."""
TOLERANCE = 1e-3
"""How far from 1 the sum of a face's probabilities may be."""


@dataclass(frozen=True, eq=False)
class ScoredPool:
    """What a recognizer says of the N faces of a pool. Raises MienError where shapes do not fit."""

    patches: FloatArray
    """(N, P, K) probabilities of K classes for P patches of each face. P = 1: of the whole face; P = 0: not computed."""
    features: FloatArray | None = None
    """(N, D) features of each face; None where they were not computed."""
    known: FloatArray | None = None
    """(M, D) features of the faces that have labels already; None where they were not computed."""

    def __post_init__(self) -> None:
        shape, advice = self.patches.shape, "give the softmax of each patch's logits"
        if len(shape) != 3 or not shape[0] or shape[2] < 2 or not np.issubdtype(self.patches.dtype, np.floating):
            found = f"{self.patches.dtype} of shape {shape}"
            raise MienError("probabilities (N, P, K) of at least one face and two classes", found, advice)
        wrong = (np.abs(self.patches.sum(axis=2) - 1) <= TOLERANCE) & (self.patches >= 0).all(axis=2)
        if not wrong.all():
            raise MienError("probabilities that add up to 1", f"{int((~wrong).any(axis=1).sum())} faces with others", advice)
        if self.features is not None:
            _check_features(self.features, (len(self), self.features.shape[-1]))
        if self.known is not None:
            if self.features is None:
                raise MienError("features of the pool beside those of the known faces", "none", "give both")
            _check_features(self.known, (len(self.known), self.features.shape[-1]))

    def __len__(self) -> int:
        return len(self.patches)

    def wanted(self, count: int) -> int:
        """How many faces of the pool can be chosen where `count` are wanted. Raises MienError for a count below 1."""
        if count < 1:
            raise MienError("at least 1 face to ask about", f"{count}", "ask for more")
        return min(count, len(self))

    def predictions(self) -> Floats:
        """(N, P, K) the probabilities in double precision. Raises MienError where they were not computed."""
        if not self.patches.shape[1]:
            raise MienError("probabilities of each face", "a pool without them", "score it with score_pool")
        return self.patches.astype(np.float64)

    def mean_prediction(self) -> Floats:
        """(N, K) the mean probabilities over a face's patches. Raises MienError where they were not computed."""
        mean: Floats = self.predictions().mean(axis=1)
        return mean


def _check_features(features: FloatArray, shape: tuple[int, ...]) -> None:
    if features.shape != shape or not np.issubdtype(features.dtype, np.floating):
        found = f"{features.dtype} of shape {features.shape}"
        raise MienError(f"features of shape {shape}", found, "give a row per face, of the same network's same block")
    if not np.isfinite(features).all():
        raise MienError("finite features", f"{int((~np.isfinite(features).all(axis=1)).sum())} faces with others", "train again")


class Acquire(Protocol):
    """A strategy: chooses the faces to ask about next. A strategy of one's own subclasses it."""

    looks_at: ClassVar[LooksAt]
    """What has to be in the pool."""
    patch_side: float = PATCH_SIDE
    """The side of a patch, as a share of the face's side, where it looks at patches."""

    def __call__(self, pool: ScoredPool, count: int, generator: np.random.Generator) -> Indices:
        """(min(count, N),) different indices into the pool, the most wanted first."""
        ...

    def scores(self, pool: ScoredPool) -> Floats | None:
        """(N,) what the strategy ranks faces by, those of higher scores first; None where it ranks them by no number."""
        return None


def most_wanted(scores: Floats, count: int) -> Indices:
    """(min(count, N),) indices of the highest scores (N,), in descending order; of equal scores the first in the pool."""
    return np.argsort(-scores, kind="stable")[:count].astype(np.int64)


def entropy_of(probabilities: Floats) -> Floats:
    """The entropy -sum_k p_k log p_k of probabilities (..., K), in nats, (...)."""
    entropy: Floats = -(probabilities * np.log(np.maximum(probabilities, LEAST))).sum(axis=-1)
    return entropy
