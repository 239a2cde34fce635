"""Integral images (summed-area tables, Crow 1984), by which photos of any sizes are resized, whole or in part.

A pixel of the result is the mean over the pixels that its rectangle touches, as in torch's adaptive average pooling. It takes
four look-ups whatever the rectangle's size: a photo is read once for all levels of a pyramid and all crops.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import cv2
import numpy as np
import numpy.typing as npt

from mien.media.photos import Photo

Numbers = npt.NDArray[np.int64]
GrayPictures = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class IntegralImage:
    """The integral images of P photos, one after the other; neighbors of one size are one array."""

    values: npt.NDArray[np.int32]
    """The sums, (M, 3). They wrap around in large photos; differences below 2^31 are right all the same."""
    starts: Numbers
    """The first row of each photo's integral image, (P,)."""
    heights: Numbers
    """The heights of the photos in pixels, (P,)."""
    widths: Numbers
    """The widths of the photos in pixels, (P,)."""

    @staticmethod
    def of(photos: Sequence[Photo]) -> "IntegralImage":
        """The integral images of one photo (H, W, 3) or more."""
        shapes = [(photo.shape[0] + 1, photo.shape[1] + 1, 3) for photo in photos]
        starts = [0, *accumulate(height * width for height, width, _ in shapes)]
        values = np.empty((starts[-1], 3), np.int32)
        for photo, shape, start in zip(photos, shapes, starts, strict=False):
            cv2.integral(np.ascontiguousarray(photo), values[start : start + shape[0] * shape[1]].reshape(shape), cv2.CV_32S)
        sizes = np.array([photo.shape[:2] for photo in photos], np.int64)
        return IntegralImage(values, np.array(starts[:-1], np.int64), sizes[:, 0], sizes[:, 1])

    def level(self, photos: range, frame: int, size: tuple[int, int], part: tuple[slice, slice]) -> GrayPictures:
        """Consecutive photos of one size, each in a black frame of `frame` pixels, resized to `size` (height, width).

        `part`: the rows and columns of the result that are wanted. Returns (B, rows, columns, 3), 0 to 255.
        """
        first = photos.start
        high, wide = int(self.heights[first]), int(self.widths[first])
        start, values = int(self.starts[first]), (high + 1) * (wide + 1)
        table = self.values[start : start + len(photos) * values].reshape(len(photos), high + 1, wide + 1, 3)
        top, bottom = (edge[part[0]] - frame for edge in _bins(high + 2 * frame, size[0]))
        left, right = (edge[part[1]] - frame for edge in _bins(wide + 2 * frame, size[1]))
        # "clip" takes the photo's edge for what lies in the frame.
        bands = table.take(bottom, axis=1, mode="clip")
        bands -= table.take(top, axis=1, mode="clip")
        sums = bands.take(right, axis=2, mode="clip")
        sums -= bands.take(left, axis=2, mode="clip")
        return _means(sums, (bottom - top)[None], (right - left)[None])

    def crops(self, boxes: Numbers, photos: Numbers, side: int) -> GrayPictures:
        """Boxes (N, 4) of the `photos` (N,), resized to (N, side, side, 3), 0 to 255; black beyond a photo.

        Boxes are whole numbers x0 < x1, y0 < y1: pixels x0 to x1 - 1, y0 to y1 - 1.
        """
        left, right = (boxes[:, :1] + edge for edge in _bins((boxes[:, 2] - boxes[:, 0])[:, None], side))
        top, bottom = (boxes[:, 1:2] + edge for edge in _bins((boxes[:, 3] - boxes[:, 1])[:, None], side))
        rows, columns = bottom - top, right - left
        starts, high, wide = (values[photos][:, None] for values in (self.starts, self.heights, self.widths))
        left, right = (np.minimum(edge.clip(0), wide) for edge in (left, right))
        top, bottom = (starts + np.minimum(edge.clip(0), high) * (wide + 1) for edge in (top, bottom))
        sums = self._at(bottom, right)
        sums -= self._at(bottom, left)
        sums -= self._at(top, right)
        sums += self._at(top, left)
        return _means(sums, rows, columns)

    def _at(self, rows: Numbers, columns: Numbers) -> npt.NDArray[np.int32]:
        """(N, side, side, 3) values where rows (N, side) and columns (N, side) cross."""
        return self.values.take(rows[:, :, None] + columns[:, None, :], axis=0)


def _means(sums: npt.NDArray[np.int32], rows: Numbers, columns: Numbers) -> GrayPictures:
    """Means from sums (N, rows, columns, 3) over areas of so many rows and columns of pixels."""
    means = sums.reshape(*sums.shape[:2], 3 * sums.shape[2]).astype(np.float32)
    means /= rows.astype(np.float32)[:, :, None] * columns.astype(np.float32).repeat(3, axis=1)[:, None, :]
    return means.reshape(sums.shape)


def _bins(length: int | Numbers, count: int) -> tuple[Numbers, Numbers]:
    """Where each of `count` equal parts of `length` pixels begins, rounded down, and ends, rounded up: (..., count)."""
    part = np.arange(count, dtype=np.int64)
    return part * length // count, ((part + 1) * length + count - 1) // count
