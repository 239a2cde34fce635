"""TypiClust: the typical face of each cluster without a label (Hacohen, Dekel and Weinshall 2022, arXiv 2202.02794, Algorithm 1).

Where few labels are known, what a model is unsure of says little, and a face that stands for many others teaches most. Nothing
but features is looked at, so that the first faces can be chosen before there is a model.
"""

import math
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.active.acquire import Acquire, Indices, LooksAt, ScoredPool, most_wanted
from mien.errors import MienError
from mien.settings import STRICT, Count

Features = npt.NDArray[np.float32]

ROWS = 1024
"""Faces whose distances to all centers are computed at a time."""


def on_sphere(features: Features) -> Features:
    """(N, D) features scaled to length 1; zeros stay zeros."""
    lengths: Features = np.linalg.norm(features, axis=1, keepdims=True).astype(np.float32)
    scaled: Features = (features / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return scaled


def squared_distances(features: Features, centers: Features) -> Features:
    """(N, C) squared distances of features (N, D) to centers (C, D); rounding never makes them negative."""
    squares: Features = (features**2).sum(axis=1)[:, None] + (centers**2).sum(axis=1) - 2 * features @ centers.T
    return np.maximum(squares, np.float32(0))


def nearest_centers(features: Features, centers: Features) -> Indices:
    """(N,) the number of the nearest of centers (C, D) for each of features (N, D)."""
    starts = range(0, len(features), ROWS)
    return np.concatenate([squared_distances(features[start : start + ROWS], centers).argmin(axis=1) for start in starts])


def first_centers(features: Features, count: int, generator: np.random.Generator) -> Features:
    """(count, D) greedy k-means++ (Arthur and Vassilvitskii 2007): rows drawn by their squared distance to those drawn before.

    Of some that are drawn at a time, that is taken which leaves all faces nearest to a center, as in scikit-learn.
    """
    rows, trials = [int(generator.integers(len(features)))], 2 + int(math.log(count))
    nearest = squared_distances(features, features[rows])[:, 0]
    while len(rows) < count:
        total = nearest.sum(dtype=np.float64)
        drawn = generator.choice(len(features), trials, p=nearest.astype(np.float64) / total if total > 0 else None)
        reached = np.minimum(nearest[:, None], squared_distances(features, features[drawn]))
        best = int(reached.sum(axis=0).argmin())
        rows.append(int(drawn[best]))
        nearest = reached[:, best]
    return features[rows]


def k_means(features: Features, centers: Features, steps: int) -> Indices:
    """(N,) the cluster of each of features (N, D) after at most `steps` of Lloyd's algorithm, begun at centers (C, D).

    A center that no face is nearest to stays where it is.
    """
    clusters, centers = nearest_centers(features, centers), centers.copy()
    for _ in range(steps):
        for number in np.unique(clusters):
            centers[number] = features[clusters == number].mean(axis=0)
        before, clusters = clusters, nearest_centers(features, centers)
        if (before == clusters).all():
            break
    return clusters


def typicality(features: Features, neighbors: int) -> npt.NDArray[np.float64]:
    """(N,) Eq. 1: one over the mean distance of each face (N, D) to its nearest others; infinite where these are the same."""
    count = min(neighbors, len(features) - 1)
    if not count:
        return np.zeros(len(features))
    found = []
    for start in range(0, len(features), ROWS):
        squares = squared_distances(features[start : start + ROWS], features)
        squares[np.arange(len(squares)), np.arange(start, start + len(squares))] = np.inf  # a face is not its own neighbor
        found.append(np.sqrt(np.partition(squares, count - 1, axis=1)[:, :count]).mean(axis=1, dtype=np.float64))
    distances = np.concatenate(found)
    typical = np.full(len(distances), np.inf)
    np.divide(1, distances, out=typical, where=distances > 0)
    return typical


@dataclass(frozen=True, config=STRICT)
class Typical(Acquire):
    """The most typical face of each of the largest clusters that hold no label; then of those that hold the fewest.

    As many clusters as there are labels and wanted faces together. As in the authors' code features have length 1, and neighbors
    are those of a face's own cluster.
    Departures: features are those at hand (a face net's before there is a model, then the last block's), where the paper trains
    its own without labels; Lloyd's k-means throughout, where the paper has mini-batches for more than 50 clusters.
    """

    looks_at: ClassVar[LooksAt] = "features"

    neighbors: Count = 20
    """K of Eq. 1: neighbors of a face by which its typicality is measured; never more than half of its cluster."""
    most_clusters: Count = 500
    """The most clusters."""
    least: Count = 6
    """Clusters of fewer faces are passed over while others are left."""
    steps: Count = 30
    """The most steps of k-means."""

    @override
    def __call__(self, pool: ScoredPool, count: int, generator: np.random.Generator) -> Indices:
        """(min(count, N),) indices in the order in which they were chosen. Raises MienError for a pool without features."""
        if pool.features is None:
            raise MienError("features of each face", "none", "score the pool with score_pool")
        wanted, known = pool.wanted(count), 0 if pool.known is None else len(pool.known)
        both = pool.features if pool.known is None else np.concatenate([pool.features, pool.known])
        features = on_sphere(both.astype(np.float32))
        number = min(known + wanted, self.most_clusters, len(features))
        clusters = k_means(features, first_centers(features, number, generator), self.steps)
        return self._take(features, clusters, len(pool), wanted)

    def _take(self, features: Features, clusters: Indices, pool: int, wanted: int) -> Indices:
        """Rows below `pool`, taken one after another from the cluster with the fewest labels so far; of those, the largest."""
        number = int(clusters.max()) + 1
        sizes, labels = np.bincount(clusters, minlength=number), np.bincount(clusters[pool:], minlength=number)
        left, queues, chosen = sizes - labels, dict[int, Indices](), list[int]()
        while len(chosen) < wanted:
            best = int(np.lexsort((-sizes, labels, sizes < self.least, left < 1))[0])
            if best not in queues:
                rows = np.flatnonzero(clusters == best)
                order = rows[most_wanted(typicality(features[rows], min(self.neighbors, max(1, len(rows) // 2))), len(rows))]
                queues[best] = order[order < pool]
            chosen.append(int(queues[best][-left[best]]))
            labels[best] += 1
            left[best] -= 1
        return np.array(chosen, np.int64)
