"""dlib's detector of frontal faces: histograms of oriented gradients (Dalal and Triggs 2005) under a max-margin detector (King
2015, arXiv 1502.00046), and five of its 68 landmarks."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import get_ident
from typing import Annotated, Any

import cv2
import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.faces.detect import Detector, check_photos, surest_first
from mien.faces.dlib_points import Points, find_points, library, points_file
from mien.faces.face import Face
from mien.media.photos import Photo
from mien.settings import STRICT

WIDEST = 1 << 16
"""The most columns of a doubled photo for dlib, which writes beyond the end of photos from 77,779 columns on."""
PARTS = (range(36, 42), range(42, 48), range(30, 31), range(48, 49), range(54, 55))
"""Which of the 68 points make each landmark: the left eye, the right eye, the tip of the nose, the corners of the mouth."""


@dataclass(frozen=True, config=STRICT)
class Dlib(Detector):
    """Boxes of faces from the front of 80 pixels and more; the score is the distance from the detector's margin.

    Landmarks come from dlib's 68 points (see `dlib_points` for their terms); without their file there are none. A photo that is
    wider, doubled, than 65,536 pixels is made smaller first.
    """

    doublings: Annotated[int, Field(ge=0, le=4)] = 1
    """How often a photo is doubled in size: each halves the least size of faces and takes four times as long."""
    landmarks: bool = True
    """Whether to look for landmarks."""

    @property
    @override
    def gives_landmarks(self) -> bool:
        """Whether landmarks are looked for, and their file is installed."""
        return self.landmarks and points_file() is not None

    @override
    def __call__(self, photos: Sequence[Photo]) -> list[tuple[Face, ...]]:
        """The faces of each photo, the surest first. Raises MienError for what is no photo, or without dlib."""
        check_photos(photos)
        detector = _detector(get_ident())
        file = points_file() if self.landmarks else None
        return [self._find(detector, file, np.ascontiguousarray(photo)) for photo in photos]

    def _find(self, detector: Any, file: Path | None, photo: Photo) -> tuple[Face, ...]:
        height, width = photo.shape[:2]
        less = -(-(width << self.doublings) // WIDEST)
        if less > 1:
            size = (max(1, width // less), max(1, height // less))
            photo = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)
        unit = np.array([width / photo.shape[1], height / photo.shape[0]], np.float32)
        boxes, scores, _ = detector.run(photo, self.doublings, 0.0)
        faces = []
        for box, score in zip(boxes, scores, strict=True):
            x0, y0, x1, y1 = (np.tile(unit, 2) * [box.left(), box.top(), box.right() + 1, box.bottom() + 1]).tolist()
            five = five_of(find_points(file, photo, box)) * unit if file else None
            faces.append(Face((x0, y0, x1, y1), five, float(score)))
        return surest_first(faces)


def five_of(points: Points) -> Points:
    """The five landmarks (5, 2) from dlib's 68 points (68, 2)."""
    return np.stack([points[list(part)].mean(axis=0) for part in PARTS])


@cache
def _detector(thread: int) -> Any:
    """dlib's detector, made once in each thread in half a second: two threads must not share one."""
    return library().get_frontal_face_detector()
