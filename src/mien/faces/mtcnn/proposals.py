"""MTCNN's first stage (Zhang et al. 2016, Sec. II-A): P-Net slides over a pyramid of each photo and proposes boxes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, product

import numpy as np
import numpy.typing as npt

from mien.faces.mtcnn.boxes import Boxes, Places, Scores, suppress
from mien.faces.mtcnn.integral_image import IntegralImage
from mien.faces.mtcnn.networks import Net

WINDOW, STRIDE = 12, 2
"""Pixels that one place of P-Net's map sees, and how far apart these places are."""
CHUNK = 1 << 17
"""Pixels that a network is shown at once, so that its maps stay near the processor."""
WIDE = 1 << 12
"""Columns that P-Net is shown at once: of wider ones few rows would go together, and most be shown several times."""


@dataclass(frozen=True, eq=False)
class FaceCandidates:
    """Boxes, as the first implementation counts: the first pixel is 1, and x1, y1 is the last pixel of a box."""

    boxes: Boxes
    """(N, 4)"""
    logits: Scores
    """(N,) of being a face. Probabilities would be 1 for many of them, and no longer say which is the best."""
    photos: Places
    """(N,) numbers of their photos."""
    offsets: npt.NDArray[np.float32]
    """(N, 4) what regression says of a box, or (N, 14) with the landmarks."""

    def take(self, places: Places | npt.NDArray[np.bool_]) -> "FaceCandidates":
        """Some of them."""
        return FaceCandidates(self.boxes[places], self.logits[places], self.photos[places], self.offsets[places])


@dataclass(frozen=True)
class Search:
    """Where P-Net looks, and what it keeps."""

    least_face: float
    """Side in pixels of the smallest faces that are looked for."""
    factor: float
    """From one level of the pyramid to the next, smaller one."""
    threshold: float
    """Probability of being a face that is kept."""
    framed: bool
    """In a black frame, which doubles the photo's longer side, and only for faces above half of its shorter side, instead of as
    it is. The frame is no wider than the shorter side: that of a strip would hold many times the photo's pixels."""


def propose(net: Net, sums: IntegralImage, numbers: Sequence[int], search: Search) -> FaceCandidates:
    """What P-Net finds in the photos of `numbers`, at all levels; of boxes of one level that overlap by over half, the best."""
    made, levels = [no_candidates(4)], [np.empty(0, np.int64)]
    for photos, (height, width) in _alike(sums, numbers):
        frame = min(max(height, width) // 2, height, width) if search.framed else 0
        least = max(search.least_face, min(height, width) / 2) if search.framed else search.least_face
        size = (height + 2 * frame, width + 2 * frame)
        for level, scale in enumerate(pyramid(size, least, search.factor)):
            for found in _scan(net, sums, photos, frame, size, scale, search.threshold):
                made.append(found)
                levels.append(np.full(len(found.boxes), level))
    parts = ([getattr(found, name) for found in made] for name in ("boxes", "logits", "photos", "offsets"))
    every, level_of = FaceCandidates(*map(np.concatenate, parts)), np.concatenate(levels)
    together = every.photos * (level_of.max(initial=0) + 1) + level_of
    return every.take(suppress(every.boxes, every.logits, together, 0.5))


def pyramid(size: tuple[int, int], least_face: float, factor: float) -> list[float]:
    """By how much a photo (height, width) is resized: first so that a face of `least_face` fills a window, and then by
    `factor` as long as a window fits."""
    scales, scale, shorter = [], WINDOW / least_face, min(size) * WINDOW / least_face
    while shorter >= WINDOW:
        scales.append(scale)
        scale, shorter = scale * factor, shorter * factor
    return scales


def _scan(
    net: Net, sums: IntegralImage, photos: range, frame: int, size: tuple[int, int], scale: float, threshold: float
) -> Iterator[FaceCandidates]:
    """P-Net over one level of photos of one size, frame included: several photos, or tiles of one, at a time."""
    height, width = (int(side * scale + 1) for side in size)
    together = max(1, CHUNK // (height * width))
    rows, columns = (max(1, (most - WINDOW) // STRIDE + 1) for most in (CHUNK // min(width, WIDE), WIDE))
    down, across = ((side - 1) // STRIDE - 4 for side in (height, width))  # the map: 3x3, pooling rounded up, 3x3, 3x3
    for first in range(photos.start, photos.stop, together):
        some = range(first, min(photos.stop, first + together))
        for row, column in product(range(0, down, rows), range(0, across, columns)):
            seen_rows = slice(STRIDE * row, STRIDE * (row + rows - 1) + WINDOW)
            seen_columns = slice(STRIDE * column, STRIDE * (column + columns - 1) + WINDOW)
            made = net(sums.level(some, frame, (height, width), (seen_rows, seen_columns)))
            found = _windows(made, scale, threshold, (row, column))
            yield FaceCandidates(found.boxes - np.float32(frame), found.logits, found.photos + first, found.offsets)


def _windows(made: npt.NDArray[np.float32], scale: float, threshold: float, first: tuple[int, int]) -> FaceCandidates:
    """Windows of P-Net's map (B, 5, h, w) that may be faces, as boxes in B photos; `first` are the map's row and column."""
    photos, rows, columns = (made[:, 0] >= logit(threshold)).nonzero()
    corner = (STRIDE * np.stack([columns + first[1], rows + first[0]], axis=1)).astype(np.float32)
    boxes = np.floor(np.concatenate([corner + 1, corner + WINDOW], axis=1) / np.float32(scale))
    found = made[photos, :, rows, columns]
    return FaceCandidates(boxes, found[:, 0], photos, found[:, 1:])


def logit(probability: float) -> float:
    """log(p / (1 - p)), infinite at 0 and 1."""
    if probability in (0, 1):
        return math.inf if probability else -math.inf
    return math.log(probability / (1 - probability))


def _alike(sums: IntegralImage, numbers: Sequence[int]) -> Iterator[tuple[range, tuple[int, int]]]:
    """Runs of photos of one size, and that size: (height, width)."""
    sizes = list(zip(sums.heights.tolist(), sums.widths.tolist(), strict=True))
    for (size, _), run in groupby(enumerate(numbers), key=lambda pair: (sizes[pair[1]], pair[1] - pair[0])):
        photos = [number for _, number in run]
        yield range(photos[0], photos[-1] + 1), size


def no_candidates(width: int) -> FaceCandidates:
    """No candidates, whose offsets have `width` columns."""
    empty = np.empty((0, width), np.float32)
    return FaceCandidates(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int64), empty)
