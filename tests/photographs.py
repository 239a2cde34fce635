"""Photos for tests, and a detector that finds what is drawn in them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic.dataclasses import dataclass as checked
from typing_extensions import override

from mien.faces.detect import Detector
from mien.faces.face import Face

Photo = npt.NDArray[np.uint8]
HELD = (64, 99)
"""Height and width."""


@dataclass(frozen=True)
class Bright(Detector):
    """Finds bright spots, the upper left first; a detector by the name `photographs:Bright`."""

    @override
    def __call__(self, photos: Sequence[Photo]) -> list[tuple[Face, ...]]:
        """Boxes around them."""
        return [tuple(_faces(photo)) for photo in photos]


@checked(frozen=True)
class Mortal(Detector):
    """As Bright, but for the process that looks first: that one dies at once."""

    marker: Path
    """A file that is made before."""

    @override
    def __call__(self, photos: Sequence[Photo]) -> list[tuple[Face, ...]]:
        """Boxes, or the end."""
        try:
            self.marker.touch(exist_ok=False)
        except FileExistsError:
            return Bright()(photos)
        os._exit(1)


@dataclass(frozen=True)
class Held(Detector):
    """As Bright, but a process that looks at a photo of HELD goes no further, until it is ended, or all have given up on it."""

    @override
    def __call__(self, photos: Sequence[Photo]) -> list[tuple[Face, ...]]:
        """Boxes, if it comes to that."""
        if any(photo.shape[:2] == HELD for photo in photos):
            Event().wait(600)
        return Bright()(photos)


def _faces(photo: Photo) -> list[Face]:
    _, _, boxes, _ = cv2.connectedComponentsWithStats((photo[:, :, 0] > 200).astype(np.uint8))
    found = sorted((int(y), int(x), int(w), int(h)) for x, y, w, h, _ in boxes[1:])
    marks = np.array([[0.3, 0.3], [0.7, 0.3], [0.5, 0.5], [0.35, 0.8], [0.65, 0.8]], np.float32)
    size = [(x, y, w, h) for y, x, w, h in found]
    return [
        Face(box=(x, y, x + w, y + h), landmarks=(np.array([x, y]) + marks * [w, h]).astype(np.float32), score=0.9)
        for x, y, w, h in size
    ]


def photo_of(*squares: tuple[int, int, int], size: tuple[int, int] = (60, 80)) -> Photo:
    """Dark gray with bright squares, each x, y and side."""
    photo = np.full((*size, 3), 40, np.uint8)
    for x, y, side in squares:
        photo[y : y + side, x : x + side] = 250
    return photo


def write_photo(path: Path, photo: Photo) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photo).save(path)
    return path


def write_folder(folder: Path, count: int) -> Path:
    """So many photos with a square each, at different places."""
    for n in range(count):
        write_photo(folder / f"{n:04d}.png", photo_of((n % 40, n % 30, 20)))
    return folder
