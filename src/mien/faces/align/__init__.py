"""How a face is cut out of its photo: a map from the photo to a square, found from the face, written down with the set, and used
again when the model reads photos.

A map is a matrix (2, 3): it takes (x, y, 1), in pixels of the photo, the corner of the first pixel being (0, 0), to the crop,
whose corners are (0, 0) and (1, 1).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from mien.faces.face import Face
from mien.media.photos import Photo
from mien.protocols import require_subclass
from mien.registry import component_from_text

ROOM = "mien.faces.align"
"""The package whose files are the ways to cut out a face."""

Floats = npt.NDArray[np.float64]
CropMap = Floats

AREA = (2**31 - 1) // 255
"""The most pixels that cv2 averages at once: sums of more may overflow its whole numbers."""


class Align(Protocol):
    """A way to cut out a face: one frozen dataclass a file. One's own way subclasses it."""

    def require_workable(self, landmarks: bool) -> None:
        """Raises MienError where this way cannot work. `landmarks`: whether the detector gives them.

        For a way that does not work with every detector, or not everywhere; as it stands here, nothing is refused.
        """
        return None

    def __call__(self, photo: Photo, face: Face) -> CropMap | None:
        """The crop map of a face in a photo (H, W, 3); None where the face lacks what it is aligned by."""
        ...


def align_from_text(text: str) -> Align:
    """The way to cut out faces that a text such as `eyes distance=0.4` describes.

    Raises MienError for an unknown one, and for one of somebody's own that does not subclass Align.
    """
    made: Align = component_from_text(ROOM, text, "alignment")
    require_subclass(made, Align, ROOM, "alignment")
    return made


def square_map(center: npt.NDArray[np.float64], side: float) -> CropMap:
    """The crop map of an upright square of a photo, by its center (2,) and its side in pixels."""
    corner = (center - side / 2) / side
    return np.array([[1 / side, 0, -corner[0]], [0, 1 / side, -corner[1]]])


def crop(photo: Photo, map_: CropMap, side: int) -> Photo:
    """The crop (side, side, 3) of a photo (H, W, 3) by a crop map; black beyond the photo.

    Where it shrinks, the photo is averaged over areas first, so that no pixel is passed over.
    """
    # From column and row of a pixel in the crop, and 1, to x and y of its center in the photo.
    back = cv2.invertAffineTransform(map_) @ np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, side]]) / side
    x, y = (_seen(row, side, length) for row, length in zip(back.tolist(), photo.shape[1::-1], strict=True))
    if not x.needed or not y.needed:
        return np.zeros((side, side, 3), np.uint8)
    # Not the whole photo: warpAffine takes no side of 32767 and more. What is needed is about three crops wide at most.
    part = _averaged(photo[y.needed.start : y.needed.stop, x.needed.start : x.needed.stop], x.shrink, y.shrink)
    matrix = back - np.array([[0, 0, x.needed.start], [0, 0, y.needed.start]])
    # cv2 counts from the center of the first pixel.
    matrix = matrix / [[x.shrink], [y.shrink]] - np.array([0, 0, 0.5])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    made = np.asarray(cv2.warpAffine(part, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    if x.inside and y.inside:
        return made
    within = _within(back[0], x, photo.shape[1], side) * _within(back[1], y, photo.shape[0], side)
    return np.rint(made * within[:, :, None]).astype(np.uint8)


@dataclass(frozen=True)
class _Seen:
    """What a crop sees of a photo's width, or of its height."""

    step: float
    """Pixels of the photo between neighbors in the crop."""
    shrink: int
    """How many pixels of the photo are averaged into one."""
    needed: range
    """The pixels of the photo that are averaged."""
    inside: bool
    """Whether the crop ends within the photo."""


def _seen(row: Sequence[float], side: int, length: int) -> _Seen:
    """What a crop sees of a photo's `length`. `row`: a row (3,) of the map from the crop back to the photo."""
    along, down, first = row
    step = math.hypot(along, down)
    shrink = int(min(max(1, step * (1 + 1e-9)), length, AREA))  # what is whole but for rounding counts as whole
    corner = first - (along + down) / 2
    low, high = (corner + side * (limit(along, 0) + limit(down, 0)) for limit in (min, max))
    begin, end = max(0, math.floor(low) - 2 * shrink), min(length, math.ceil(high) + 2 * shrink)
    # What does not fill an area is left out, but not at the photo's own edges.
    if end < length:
        end -= (end - begin) % shrink
    elif begin > 0:
        begin += (end - begin) % shrink
    return _Seen(step, shrink, range(begin, end), low >= 0 and high <= length)


def _averaged(photo: Photo, wide: int, high: int) -> Photo:
    """Means over areas of so many pixels, and over what is left at the right and the lower edge.

    What is left is averaged apart, since cv2 is three times as fast where areas have whole pixels.
    """
    if wide == high == 1:
        return photo
    if wide * high > AREA:
        return _averaged(_averaged(photo, wide, 1), 1, high)
    rows, columns = (
        list(pairwise(sorted({0, length - length % by, length})))
        for length, by in zip(photo.shape[:2], (high, wide), strict=True)
    )
    return np.concatenate(
        [np.concatenate([_mean(photo[y0:y1, x0:x1], wide, high) for x0, x1 in columns], axis=1) for y0, y1 in rows]
    )


def _mean(photo: Photo, wide: int, high: int) -> Photo:
    size = (-(-photo.shape[1] // wide), -(-photo.shape[0] // high))
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)


def _within(row: Floats, seen: _Seen, length: int, side: int) -> Floats:
    """How much of each pixel of a crop is within a photo's `length`: (side, side), 0 to 1.

    `row`: a row (3,) of the map back to the photo. Where the crop is enlarged its own pixels count, else the averaged ones.
    """
    place = row[0] * np.arange(side) + row[1] * np.arange(side)[:, None] + row[2]
    inner: Floats = np.minimum(place, length - place)
    return (inner / min(seen.step, seen.shrink) + 0.5).clip(0, 1)
