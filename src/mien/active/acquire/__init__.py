"""Which faces are asked about next: one strategy a file, found by its name; what they choose from, and how they are called.

A strategy is a frozen dataclass of its own parameters and a pure function of arrays: `mien.active.scoring.score_pool` makes these
of a recognizer and faces, so that it sees neither.
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
"""What has to be known of a face before it is chosen."""

LEAST = 1e-12
"""Probabilities are at least this before a logarithm is taken."""
TOLERANCE = 1e-3
"""How far from 1 the sum of a face's probabilities may be."""


@dataclass(frozen=True, eq=False)
class ScoredPool:
    """The pool that a strategy chooses from: what a recognizer says of N faces. Raises MienError where shapes do not fit."""

    patches: FloatArray
    """(N, P, K) probabilities of K classes for P patches of each face. P = 1: the whole face; P = 0: nobody looked."""
    features: FloatArray | None = None
    """(N, D) of each face."""
    known: FloatArray | None = None
    """(M, D) features of the faces that have labels already."""

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
        """How many faces of the pool are chosen where `count` are asked for. Raises MienError below 1."""
        if count < 1:
            raise MienError("at least 1 face to ask about", f"{count}", "ask for more")
        return min(count, len(self))

    def predictions(self) -> Floats:
        """`patches` in double precision. Raises MienError where nobody looked."""
        if not self.patches.shape[1]:
            raise MienError("probabilities of each face", "a pool that nobody looked at", "score it with look")
        return self.patches.astype(np.float64)

    def mean_prediction(self) -> Floats:
        """(N, K) mean over a face's patches. Raises MienError where nobody looked."""
        mean: Floats = self.predictions().mean(axis=1)
        return mean


def _check_features(features: FloatArray, shape: tuple[int, ...]) -> None:
    if features.shape != shape or not np.issubdtype(features.dtype, np.floating):
        found = f"{features.dtype} of shape {features.shape}"
        raise MienError(f"features of shape {shape}", found, "give a row per face, of the same network's same block")
    if not np.isfinite(features).all():
        raise MienError("finite features", f"{int((~np.isfinite(features).all(axis=1)).sum())} faces with others", "train again")


class Acquire(Protocol):
    """Which faces are asked about next? What `looks_at` names has to be in the pool.

    One that ranks faces by a number has a method `scores(pool)` as well, (N,): a face of a higher score is asked about first.
    """

    looks_at: ClassVar[LooksAt]

    def __call__(self, pool: ScoredPool, count: int, generator: np.random.Generator) -> Indices:
        """(min(count, N),) different places in the pool, the most wanted first."""
        ...


def most_wanted(scores: Floats, count: int) -> Indices:
    """(min(count, N),) places of the highest scores (N,), in descending order; of equal ones the first in the pool."""
    return np.argsort(-scores, kind="stable")[:count].astype(np.int64)


def entropy_of(probabilities: Floats) -> Floats:
    """-sum_k p_k log p_k of probabilities (..., K), in nats, (...)."""
    entropy: Floats = -(probabilities * np.log(np.maximum(probabilities, LEAST))).sum(axis=-1)
    return entropy
