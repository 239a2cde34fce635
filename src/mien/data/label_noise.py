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


def flip_proportionally(labels: Labels, rate: float, seed: int) -> Labels:
    """Labels (N,) of which round(rate * n_k) of every class k are dealt out anew among each other, none to its own class.

    So every class keeps its number of labels, and the same share of wrong ones; -1 stays. Raises MienError where one class has
    more than half of the labels: the others are too few to take its place.
    """
    if not 0 <= rate <= 1:
        raise MienError("a noise rate from 0 to 1", f"{rate}", "give another")
    generator = np.random.default_rng((seed, 2))
    rows = {label: generator.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels[labels >= 0])}
    most, labeled = max(map(len, rows.values()), default=0), int((labels >= 0).sum())
    if 2 * most > labeled:
        found = f"one with {most} of {labeled}"
        raise MienError(
            "classes of at most half of the labels, to flip them within their proportions", found, "flip to any class"
        )
    chosen = {label: mine[: round(rate * len(mine))] for label, mine in rows.items()}
    total = sum(map(len, chosen.values()))
    # Rounding alone may leave a class one label more than all others together.
    at = np.concatenate([np.zeros(0, np.int64), *(mine[: total - len(mine)] for mine in chosen.values())])
    flipped = labels.copy()
    flipped[at] = _without_own(labels[at], generator)
    return flipped


def _without_own(own: Labels, generator: np.random.Generator) -> Labels:
    """The labels (M,), none more than half of them, in a random order in which nobody has its own."""
    dealt = own[generator.permutation(len(own))]
    for place in generator.permutation(np.flatnonzero(dealt == own)):
        if dealt[place] == own[place]:
            label = own[place]
            other = generator.choice(np.flatnonzero((own != label) & (dealt != label)))
            dealt[[place, other]] = dealt[[other, place]]
    return dealt


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
