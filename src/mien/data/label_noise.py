"""Wrong labels on purpose, at an exact rate, to measure what a technique makes of them."""

import numpy as np
import numpy.typing as npt

from mien.errors import MienError

Labels = npt.NDArray[np.int64]


def flip_uniform(labels: Labels, rate: float, classes: int, seed: int) -> Labels:
    """Labels (N,) of which round(rate * labeled) are changed to another class, each equally likely; -1 stays."""
    if not 0 <= rate <= 1:
        raise MienError("a noise rate from 0 to 1", f"{rate}", "give another")
    generator = np.random.default_rng((seed, 2))
    labeled = np.flatnonzero(labels >= 0)
    chosen = generator.choice(labeled, round(rate * len(labeled)), replace=False)
    flipped = labels.copy()
    flipped[chosen] = (labels[chosen] + generator.integers(1, classes, len(chosen))) % classes
    return flipped


def flip_by_matrix(labels: Labels, matrix: npt.NDArray[np.float64], seed: int) -> Labels:
    """Labels (N,), each drawn from the row of its class in a confusion matrix (K, K) whose rows sum to 1; -1 stays."""
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.min() < 0 or not np.allclose(matrix.sum(1), 1):
        raise MienError("a square matrix of probabilities whose rows sum to 1", f"shape {matrix.shape}", "mend it")
    if labels.max(initial=-1) >= len(matrix):
        raise MienError(f"labels below {len(matrix)}, the matrix's size", f"{labels.max()}", "give a matrix for every class")
    generator = np.random.default_rng((seed, 2))
    labeled = np.flatnonzero(labels >= 0)
    drawn = generator.random((len(labeled), 1)) > np.cumsum(matrix, axis=1)[labels[labeled]]
    flipped = labels.copy()
    flipped[labeled] = np.minimum(drawn.sum(axis=1), len(matrix) - 1)
    return flipped
