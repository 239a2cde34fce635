"""Whether a face is unlike those that a model learned from: by the distance of its features from theirs.

Features are the inputs of the network's last layer. Those of the training faces are summed up by the centers of clusters
(k-means), in eight bits; what counts is the cosine distance to the nearest center (Sun et al. 2022, "Out-of-distribution
detection with deep nearest neighbors", with centers in place of all faces). Such a face's answer is never sure, and more
expressions count as possible.
"""

import binascii
from base64 import b64decode, b64encode
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from pydantic.dataclasses import dataclass

from mien.errors import MienError
from mien.settings import STRICT, Count, NotNegative, Share

Array = npt.NDArray[np.float32]
MOST = 1 << 20
"""Most numbers in all centers."""


@dataclass(frozen=True, config=STRICT)
class UnlikeTraining:
    """From where on a face is unlike the training faces; part of a model's card."""

    beyond: NotNegative
    """Faces whose distance is above this are unlike: the quantile that a part of the validation faces exceeds."""
    least: Share
    """A class is possible for such a face from this probability on, where the class's own threshold is not lower."""
    width: Count
    """Numbers in the features of a face."""
    centers: str
    """The centers of the training faces' features, signed bytes (M, `width`), as base64."""

    def distances(self, features: npt.ArrayLike) -> Array:
        """The distance of each face's features (N, `width`) from the nearest center, (N,): 1 less the cosine, from 0 to 2.

        Features of length 0 are at distance 1. Raises MienError for features of another width, and for damaged centers.
        """
        given = np.asarray(features, np.float32)
        if given.ndim != 2 or given.shape[1] != self.width:
            expected = f"features (N, {self.width}), as the card's centers have them"
            raise MienError(expected, f"shape {given.shape}", "copy the model's folder whole, or export the model again")
        made: Array = 1 - (_unit(given) @ read_centers(self.centers, self.width).T).max(axis=1)
        return made

    def are_unlike(self, features: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether each face is unlike the training faces, (N,), by its features (N, `width`). Raises as `distances` does."""
        found: npt.NDArray[np.bool_] = self.distances(features) > self.beyond
        return found


@lru_cache(maxsize=8)
def read_centers(text: str, width: int) -> Array:
    """The centers in a card, as rows (M, width) of length 1. Raises MienError where they are damaged."""
    try:
        content = b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MienError("centers in base64 in the model's card", "others", "copy the model's folder again") from error
    if not content or len(content) % width or len(content) > MOST:
        expected = f"centers of {width} numbers, {MOST:,} in all at most"
        raise MienError(expected, f"{len(content):,} numbers", "copy the model's folder again")
    return _unit(np.frombuffer(content, np.int8).astype(np.float32).reshape(-1, width))


def write_centers(centers: npt.ArrayLike) -> str:
    """Centers (M, D) as a card holds them: eight bits each, every row up to its largest number."""
    given = np.asarray(centers, np.float64)
    scaled = given / np.maximum(np.abs(given).max(axis=1, keepdims=True), 1e-12)
    return b64encode(np.round(127 * scaled).astype(np.int8).tobytes()).decode("ascii")


def find_centers(features: npt.ArrayLike, count: int = 128, seed: int = 0, rounds: int = 20) -> Array:
    """At most `count` centers (M, D) of the directions of features (N, D), by k-means; `seed` draws the first ones.

    Raises MienError without features.
    """
    rows = _unit(np.asarray(features, np.float32))
    if not len(rows):
        raise MienError("features of at least one face", "none", "give faces that the model learned from")
    made = rows[np.random.default_rng(seed).choice(len(rows), min(count, len(rows)), replace=False)]
    for _ in range(rounds):
        nearest = (rows @ made.T).argmax(axis=1)
        sums = np.zeros_like(made)
        np.add.at(sums, nearest, rows)
        counts = np.bincount(nearest, minlength=len(made))
        made = _unit(np.where(counts[:, None] > 0, sums, made))
    return made


def _unit(rows: Array) -> Array:
    made: Array = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return made
