"""Photos of any sizes resized, whole or in part, many at a time, from summed-area tables (Crow 1984).

A pixel of the result is the mean over the pixels that its rectangle touches, as in torch's adaptive average pooling, at four
look-ups whatever the rectangle's size: a photo is read once for all levels of a pyramid and all crops.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import cv2
import numpy as np
import torch
from torch import Tensor

from mien.faces.face import Photo


@dataclass(frozen=True, eq=False)
class Sums:
    """The tables of P photos, one after the other; those of photos of one size that follow each other are one array."""

    values: Tensor
    """(M, 3) int32. They wrap around in large photos; differences are right all the same below 2^31."""
    starts: Tensor
    """(P,) the first row of each table."""
    heights: Tensor
    """(P,) of the photos, in pixels."""
    widths: Tensor
    """(P,)"""

    @staticmethod
    def of(photos: Sequence[Photo]) -> "Sums":
        """Tables of at least one photo (H, W, 3)."""
        shapes = [(photo.shape[0] + 1, photo.shape[1] + 1, 3) for photo in photos]
        starts = [0, *accumulate(height * width for height, width, _ in shapes)]
        values = np.empty((starts[-1], 3), np.int32)
        for photo, shape, start in zip(photos, shapes, starts, strict=False):
            cv2.integral(np.ascontiguousarray(photo), values[start : start + shape[0] * shape[1]].reshape(shape), cv2.CV_32S)
        sizes = torch.tensor([photo.shape[:2] for photo in photos])
        return Sums(torch.from_numpy(values), torch.tensor(starts[:-1]), sizes[:, 0], sizes[:, 1])

    def level(self, photos: range, frame: int, size: tuple[int, int], part: tuple[slice, slice]) -> Tensor:
        """Rows and columns, `part`, of consecutive photos of one size, each in a black frame of `frame` pixels, resized to
        `size`, height and width.

        (B, rows, columns, 3), 0 to 255.
        """
        first = photos.start
        high, wide = int(self.heights[first]), int(self.widths[first])
        start, values = int(self.starts[first]), (high + 1) * (wide + 1)
        table = self.values[start : start + len(photos) * values].view(len(photos), high + 1, wide + 1, 3)
        top, bottom = (edge[part[0]] - frame for edge in _bins(torch.tensor(high + 2 * frame), size[0]))
        left, right = (edge[part[1]] - frame for edge in _bins(torch.tensor(wide + 2 * frame), size[1]))
        bands = table.index_select(1, bottom.clamp(0, high)) - table.index_select(1, top.clamp(0, high))
        sums = bands.index_select(2, right.clamp(0, wide)) - bands.index_select(2, left.clamp(0, wide))
        return sums / ((bottom - top)[:, None] * (right - left))[:, :, None]

    def crops(self, boxes: Tensor, photos: Tensor, side: int) -> Tensor:
        """Boxes (N, 4) of `photos` (N,), resized to (N, side, side, 3), 0 to 255; what is beyond a photo is black.

        Boxes are whole numbers x0 < x1, y0 < y1: pixels x0 to x1 - 1, y0 to y1 - 1.
        """
        left, right = (boxes[:, :1] + edge for edge in _bins((boxes[:, 2] - boxes[:, 0])[:, None], side))
        top, bottom = (boxes[:, 1:2] + edge for edge in _bins((boxes[:, 3] - boxes[:, 1])[:, None], side))
        pixels = (bottom - top)[:, :, None] * (right - left)[:, None, :]
        starts, high, wide = (values[photos][:, None] for values in (self.starts, self.heights, self.widths))
        left, right = (torch.minimum(edge.clamp(min=0), wide) for edge in (left, right))
        top, bottom = (starts + torch.minimum(edge.clamp(min=0), high) * (wide + 1) for edge in (top, bottom))
        sums = self._at(bottom, right) - self._at(bottom, left) - self._at(top, right) + self._at(top, left)
        return sums / pixels[..., None]

    def _at(self, rows: Tensor, columns: Tensor) -> Tensor:
        """(N, side, side, 3) values where rows (N, side) and columns (N, side) cross."""
        places = rows[:, :, None] + columns[:, None, :]
        return self.values.index_select(0, places.flatten()).view(*places.shape, 3)


def _bins(length: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Where each of `count` equal parts of `length` pixels begins, rounded down, and ends, rounded up: (..., count)."""
    part = torch.arange(count)
    return part * length // count, ((part + 1) * length + count - 1) // count
