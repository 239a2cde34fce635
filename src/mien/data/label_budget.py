"""Label budgets: which labeled faces a run trains on and which validate, drawn by seed."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mien.data.format import Rows
from mien.errors import MienError
from mien.wording import quantity


@dataclass(frozen=True)
class LabelBudget:
    """The labeled faces of a run, as rows of the face set: all that it may learn from or choose by."""

    train: Rows
    """The rows that train."""
    validation: Rows
    """The rows that validate."""

    def __str__(self) -> str:
        total = len(self.train) + len(self.validation)
        return f"{len(self.train)} train + {len(self.validation)} validation = {quantity(total, 'label')}"


def draw_labels(
    labels: npt.NDArray[np.int64], rows: Rows, seed: int, per_class: int | None = None, total: int | None = None
) -> Rows:
    """Labeled rows within a budget, drawn by seed, ascending; without a budget all labeled `rows`.

    `per_class`: that many of each class, or all it has. `total`: that many in all, in the classes' proportions (largest
    remainder), at least one of each class where possible. For `per_class`, the smaller budgets of a seed lie within its larger
    ones. Raises MienError for both at once, a budget below 1, or more than there are.
    """
    labeled = rows[labels[rows] >= 0]
    if not len(labeled):
        raise MienError("labeled faces to train on", "none", "label some, or choose another split")
    if per_class is None and total is None:
        return labeled
    if per_class is not None and total is not None:
        raise MienError("one label budget", "one per class and one in all", "give one of them")
    classes, counts = np.unique(labels[labeled], return_counts=True)
    wanted = _proportional(counts, int(total or 0)) if per_class is None else np.minimum(counts, per_class)
    if wanted.sum() < 1 or wanted.min() < 0:
        raise MienError("a label budget of at least 1", f"{per_class if per_class is not None else total}", "give more")
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(labeled[labels[labeled] == label]) for label in classes]
    return np.sort(np.concatenate([order[:count] for order, count in zip(orders, wanted, strict=True)]))


def _proportional(counts: npt.NDArray[np.int64], total: int) -> npt.NDArray[np.int64]:
    """How many of each class, `total` in all: proportional, by largest remainder, at least 1 each where possible."""
    if total > counts.sum():
        raise MienError(f"a budget of at most {counts.sum()} labels", f"{total}", "give fewer, or leave it out")
    least = 1 if total >= len(counts) else 0
    shares = (total - least * len(counts)) * (counts - least) / max(1, (counts - least).sum())
    wanted = np.floor(shares).astype(np.int64)
    rest = int(total - least * len(counts) - wanted.sum())
    wanted[np.argsort(wanted - shares, kind="stable")[:rest]] += 1
    proportional: npt.NDArray[np.int64] = wanted + least
    return proportional


def carve_validation(
    labels: npt.NDArray[np.int64], rows: Rows, share: float, seed: int, groups: npt.NDArray[np.int64] | None = None
) -> LabelBudget:
    """Labeled rows parted into train and validation: of each class a `share` validates, rounded to nearest.

    A class of two faces or more gives at least one and keeps at least one; a class of one trains. With `groups` (N,), faces of
    one number stay together, and classes come as near to their shares as whole groups allow. A class of two groups or more then
    keeps at least one to train with, and gives one unless another class would have none left.
    """
    if not 0 <= share < 1:
        raise MienError("a validation share from 0 to below 1", f"{share}", "give another")
    generator = np.random.default_rng((seed, 1))
    if groups is None or len(np.unique(groups[rows])) == len(rows):
        validation = _draw_faces(labels, rows, share, generator)
    else:
        validation = np.sort(rows[_draw_groups(labels[rows], groups[rows], share, generator)])
    return LabelBudget(np.setdiff1d(rows, validation), validation)


def _draw_faces(labels: npt.NDArray[np.int64], rows: Rows, share: float, generator: np.random.Generator) -> Rows:
    """A share of the rows of each class."""
    chosen = []
    for label in np.unique(labels[rows]):
        order = generator.permutation(rows[labels[rows] == label])
        count = round(share * len(order))
        if share > 0 and len(order) >= 2:
            count = min(max(count, 1), len(order) - 1)
        chosen.append(order[: count if len(order) >= 2 else 0])
    return np.sort(np.concatenate(chosen))


def _draw_groups(
    labels: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], share: float, generator: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Whether each face, (n,), is in a group that is drawn, given `labels` (n,) and `groups` (n,).

    In an order drawn by seed, a group is taken where it brings its classes nearer to their shares: by the sum of the squares of
    what they lack, each by its share. A class whose groups are so large that it got none gives the best of them.
    """
    _, label, totals = np.unique(labels, return_inverse=True, return_counts=True)
    names, group = np.unique(groups, return_inverse=True)
    pairs, counts = np.unique(group * len(totals) + label, return_counts=True)
    owner, kind = np.divmod(pairs, len(totals))
    left = np.bincount(kind)
    wanted = np.where((left > 1) & (share > 0), np.clip(np.round(share * totals), 1, totals - 1), 0).astype(np.int64)
    starts = np.searchsorted(owner, np.arange(len(names) + 1)).tolist()
    held: list[list[tuple[int, int]]] = [
        list(zip(kind[i:j].tolist(), counts[i:j].tolist(), strict=True)) for i, j in pairwise(starts)
    ]
    due, missing, drawn = list[int](wanted.tolist()), list[int](wanted.tolist()), np.zeros(len(names), bool)
    training = list[int](left.tolist())

    def nearer(one: int) -> float:
        """By how much a group brings its classes nearer; minus infinity where one would have no group left to train with."""
        if any(training[its] < 2 for its, _ in held[one]):
            return -np.inf
        return sum(count * (2 * missing[its] - count) / max(1, due[its]) for its, count in held[one])

    def draw(one: int) -> None:
        drawn[one] = True
        for its, count in held[one]:
            missing[its] -= count
            training[its] -= 1

    order = generator.permutation(len(names))
    for one in order.tolist():
        if nearer(one) > 0:
            draw(one)
    by_class = np.lexsort((np.argsort(order)[owner], kind))
    for its, ones in enumerate(np.split(owner[by_class], np.cumsum(left)[:-1])):
        best = max(ones.tolist(), key=nearer) if 0 < due[its] == missing[its] else None
        if best is not None and nearer(best) > -np.inf:
            draw(best)
    chosen: npt.NDArray[np.bool_] = drawn[group]
    return chosen
