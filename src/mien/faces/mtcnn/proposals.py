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
"""Pixels that one cell of P-Net's map sees, and how many pixels apart cells are."""
CHUNK = 1 << 17
"""The pixels that a network is shown at once, so that its maps stay in the processor's cache."""
WIDE = 1 << 12
"""The columns that P-Net is shown at once: of wider tiles only few rows would fit, and most be shown several times."""


@dataclass(frozen=True, eq=False)
class FaceCandidates:
    """Boxes that may be faces. Pixels count from 1, and x1, y1 is a box's last pixel, as in MTCNN's first implementation."""

    boxes: Boxes
    """The boxes, (N, 4)."""
    logits: Scores
    """The logits of being a face, (N,). Many probabilities would round to 1, and no longer tell which is best."""
    photos: Places
    """The numbers of their photos, (N,)."""
    offsets: npt.NDArray[np.float32]
    """What the network says of each box: its offsets (N, 4), or with the landmarks (N, 14)."""

    def take(self, places: Places | npt.NDArray[np.bool_]) -> "FaceCandidates":
        """Some of the candidates, by their rows."""
        return FaceCandidates(self.boxes[places], self.logits[places], self.photos[places], self.offsets[places])


@dataclass(frozen=True)
class Search:
    """Where P-Net looks, and what it keeps."""

    least_face: float
    """Side in pixels of the smallest faces that are looked for."""
    factor: float
    """Ratio from one level of the pyramid to the next, smaller one."""
    threshold: float
    """The least probability of being a face."""
    framed: bool
    """Whether to look in a black frame, which doubles the photo's longer side, for faces larger than half its shorter side.

    The frame is no wider than the shorter side: that of a narrow strip would hold many times the photo's pixels.
    """


def propose(net: Net, sums: IntegralImage, numbers: Sequence[int], search: Search) -> FaceCandidates:
    """The candidates of P-Net in the photos of `numbers`, at all levels of the pyramid.

    Of boxes of one level that overlap by over half, the best stays.
    """
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
    """The scales at which a photo (height, width) is searched: a face of `least_face` fills a window first, then smaller ones.

    Each scale is `factor` times the one before, as long as a window fits.
    """
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
    """The windows of P-Net's map (B, 5, h, w) that may be faces, as boxes in B photos. `first`: the map's first row and
    column.
    """
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
    """Runs of neighboring photos of one size, and that size (height, width)."""
    sizes = list(zip(sums.heights.tolist(), sums.widths.tolist(), strict=True))
    for (size, _), run in groupby(enumerate(numbers), key=lambda pair: (sizes[pair[1]], pair[1] - pair[0])):
        photos = [number for _, number in run]
        yield range(photos[0], photos[-1] + 1), size


def no_candidates(width: int) -> FaceCandidates:
    """No candidates at all; their offsets have `width` columns."""
    empty = np.empty((0, width), np.float32)
    return FaceCandidates(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int64), empty)
