"""Arithmetic on many boxes at once: float32 arrays (N, 4) of x0, y0, x1, y1."""

from typing import Literal

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]


def squared(boxes: Boxes) -> Boxes:
    """Boxes as squares of their longer sides, about the same centers."""
    sides = boxes[:, 2:] - boxes[:, :2]
    longer = sides.max(axis=1, keepdims=True)
    corner = boxes[:, :2] + sides * 0.5 - longer * 0.5
    return np.concatenate([corner, corner + longer], axis=1)


def corrected(boxes: Boxes, offsets: Boxes, more: int) -> Boxes:
    """Boxes corrected by a network's offsets (N, 4), in shares of their widths and heights, to which `more` pixels are added."""
    sides = boxes[:, 2:] - boxes[:, :2] + more
    made: Boxes = boxes + offsets * np.tile(sides, 2)
    return made


def suppress(
    boxes: Boxes, scores: Scores, groups: Places, threshold: float, over: Literal["union", "smaller"] = "union"
) -> Places:
    """Greedy non-maximum suppression within each of `groups` (N,): the rows of the boxes that stay, the highest scores first.

    A box goes where it overlaps one that stays, of a higher score (of equal ones: an earlier one), by more than `threshold`:
    intersection over union, or over the smaller of both areas.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = boxes[order].astype(np.float64)
    better, worse = _overlapping(ranked, groups[order])
    top = np.maximum(ranked[better], ranked[worse])[:, :2]
    sides = np.minimum(ranked[better], ranked[worse])[:, 2:] - top
    common = sides.clip(0).prod(axis=1)
    area = (ranked[:, 2:] - ranked[:, :2]).prod(axis=1)
    first, second = area[better], area[worse]
    whole = first + second - common if over == "union" else np.minimum(first, second)
    beaten = common > threshold * whole
    better, worse = better[beaten], worse[beaten]
    # A box's fate depends on better boxes only: each round settles at least the best whose fate was open.
    kept = np.ones(len(boxes), bool)
    while True:
        left = np.ones(len(boxes), bool)
        left[worse[kept[better]]] = False
        if np.array_equal(left, kept):
            return order[kept].astype(np.int64)
        kept = left


def _overlapping(boxes: npt.NDArray[np.float64], groups: Places) -> tuple[Places, Places]:
    """All pairs of a group's boxes that overlap: the earlier rows and the later ones.

    A sweep from left to right: groups are laid side by side, and a box meets those that begin before it ends.
    """
    if not len(boxes):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    apart = groups * (boxes[:, 2].max() - boxes[:, 0].min() + 1)
    begins = boxes[:, 0] + apart
    sweep = np.argsort(begins, kind="stable")
    after = np.arange(1, len(boxes) + 1)
    met = (np.searchsorted(begins[sweep], (boxes[:, 2] + apart)[sweep]) - after).clip(0)
    one = np.repeat(sweep, met)
    within = np.arange(met.sum()) - np.repeat(met.cumsum() - met, met)
    other = sweep[np.repeat(after, met) + within]
    both = (boxes[one, 1] < boxes[other, 3]) & (boxes[other, 1] < boxes[one, 3])
    one, other = one[both], other[both]
    return np.minimum(one, other), np.maximum(one, other)
