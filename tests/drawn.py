"""Photos with drawn faces, which detectors of real faces find."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from mien.data.importing import source_from
from mien.faces.face import Face
from mien.media.photos import Photo

SIDE = 128


@dataclass(frozen=True, eq=False)
class Drawing:
    """A photo (H, W, 3), and the corners x, y of the SIDE x SIDE squares with a face each in it."""

    photo: Photo
    corners: tuple[tuple[int, int], ...]

    def hits(self, faces: tuple[Face, ...]) -> list[int]:
        """For each face the place among `corners` of the square that its center is in the middle half of; -1 for none."""
        return [self._place(*face.center) for face in faces]

    def _place(self, x: float, y: float) -> int:
        near = [abs(x - left - SIDE / 2) < SIDE / 4 and abs(y - top - SIDE / 2) < SIDE / 4 for left, top in self.corners]
        return near.index(True) if any(near) else -1


@cache
def drawings() -> tuple[Drawing, ...]:
    """Two photos of one size with two faces each, a larger one with a face, and one of a face alone."""
    squares = next(source_from("synthetic", {"faces": 6, "people": 3, "side": SIDE}).blocks()).faces
    places = (((10, 20), (170, 60)), ((150, 8), (4, 70)), ((120, 100),), ((0, 0),))
    sizes = ((210, 320), (210, 320), (300, 401), (SIDE, SIDE))
    numbers, made = iter(range(6)), []
    for corners, size in zip(places, sizes, strict=True):
        photo = np.full((*size, 3), 128, np.uint8)
        for x, y in corners:
            photo[y : y + SIDE, x : x + SIDE] = squares[next(numbers)][:, :, None]
        made.append(Drawing(photo, corners))
    return tuple(made)


def photos() -> list[Photo]:
    """Of all drawings."""
    return [drawing.photo for drawing in drawings()]
