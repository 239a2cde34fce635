"""How a face is cut out of its photo: a map from the photo to a square, found from the face, written down with the set, and used
again when the model reads photos.

A map is a matrix (2, 3): it takes (x, y, 1), in pixels of the photo, the corner of the first pixel being (0, 0), to the crop,
whose corners are (0, 0) and (1, 1).
"""

from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from mien.faces.face import Face, Photo
from mien.registry import build_from_text

ROOM = "mien.faces.align"
"""The package whose files are the ways."""

Map = npt.NDArray[np.float64]


class Align(Protocol):
    """A way to cut out a face, one frozen dataclass a file."""

    def __call__(self, photo: Photo, face: Face) -> Map | None:
        """The map of a face in a photo (H, W, 3); None where the face lacks what it goes by."""
        ...


def align_from_text(text: str) -> Align:
    """The way that a text such as `eyes distance=0.4` names. Raises MienError for an unknown one."""
    made: Align = build_from_text(ROOM, text, "alignment")
    return made


def square(center: npt.NDArray[np.float64], side: float) -> Map:
    """The map of an upright square of the photo, by its center (2,) and side in pixels."""
    corner = (center - side / 2) / side
    return np.array([[1 / side, 0, -corner[0]], [0, 1 / side, -corner[1]]])


def scale_of(map_: Map) -> float:
    """The side of the crop in pixels of the photo."""
    return float(1 / np.sqrt(abs(np.linalg.det(map_[:, :2]))))


def crop(photo: Photo, map_: Map, side: int) -> Photo:
    """The square of a photo (H, W, 3) that the map takes to the crop, (side, side, 3); black where the photo ends.

    Where it shrinks, the photo is first averaged over areas, so that nothing is passed over.
    """
    shrink = max(1, int(scale_of(map_) / side))
    if shrink > 1:
        photo, map_ = _part(photo, map_, shrink)
    # cv2 counts from the center of the first pixel.
    matrix = map_ * side
    matrix[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
    found = cv2.warpAffine(photo, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(found, np.uint8)


def _part(photo: Photo, map_: Map, shrink: int) -> tuple[Photo, Map]:
    """What the crop needs of the photo, `shrink` times smaller, and the map from there."""
    corners = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]])
    inside = (corners - map_[:, 2]) @ np.linalg.inv(map_[:, :2]).T
    height, width = photo.shape[:2]
    low = np.clip(np.floor(inside.min(axis=0)) - 2 * shrink, 0, [width, height]).astype(int)
    high = np.clip(np.ceil(inside.max(axis=0)) + 2 * shrink, 0, [width, height]).astype(int)
    size = np.maximum((high - low) // shrink, 0)
    if not size.all():
        return np.zeros((1, 1, 3), np.uint8), map_
    cut = photo[low[1] : low[1] + size[1] * shrink, low[0] : low[0] + size[0] * shrink]
    smaller = np.asarray(cv2.resize(cut, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA), np.uint8)
    moved = map_.copy()
    moved[:, 2] += map_[:, :2] @ low
    moved[:, :2] *= shrink
    return smaller, moved
