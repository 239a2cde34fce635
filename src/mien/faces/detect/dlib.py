"""dlib's detector of frontal faces: histograms of oriented gradients (Dalal and Triggs 2005) under a max-margin detector (King
2015, arXiv 1502.00046), and landmarks by regression trees (Kazemi and Sullivan 2014)."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import get_ident
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic.dataclasses import dataclass

from mien.errors import MienError
from mien.faces.detect import check_photos, surest_first
from mien.faces.face import Face, Photo
from mien.faces.installed import folder_of
from mien.registry import STRICT, CountOrZero

PACKAGE, FILE = "face_recognition_models", "shape_predictor_68_face_landmarks.dat"
PARTS = (range(36, 42), range(42, 48), range(30, 31), range(48, 49), range(54, 55))
"""Of the 68 points: the left eye's outline, the right eye's, the tip of the nose, the corners of the mouth."""


@dataclass(frozen=True, config=STRICT)
class Dlib:
    """Boxes of faces from the front of 80 pixels and more; the score is the distance from the detector's margin.

    Landmarks come from dlib's 68 points, in the package of the extra `facenet`; without it there are none. These points were
    learned from iBUG 300-W, whose authors allow no commercial use.
    """

    doublings: CountOrZero = 1
    """How often a photo is doubled in size: each halves the least size of faces and takes four times as long."""
    landmarks: bool = True
    """Whether to look for landmarks."""

    def __call__(self, photos: Sequence[Photo]) -> list[tuple[Face, ...]]:
        """The faces of each photo, the surest first. Raises MienError for what is no photo, or without dlib."""
        check_photos(photos)
        detector = _detector(get_ident())
        folder = folder_of(PACKAGE) if self.landmarks else None
        points = _predictor(folder / "models" / FILE) if folder else None
        return [self._find(detector, points, np.ascontiguousarray(photo)) for photo in photos]

    def _find(self, detector: Any, points: Any, photo: Photo) -> tuple[Face, ...]:
        boxes, scores, _ = detector.run(photo, self.doublings, 0.0)
        faces = []
        for box, score in zip(boxes, scores, strict=True):
            corners = (float(box.left()), float(box.top()), float(box.right() + 1), float(box.bottom() + 1))
            faces.append(Face(corners, five_of(points(photo, box)) if points else None, float(score)))
        return surest_first(faces)


def five_of(shape: Any) -> npt.NDArray[np.float32]:
    """(5, 2) of dlib's 68 points: a point is the pixel's number, whose center is half a pixel further."""
    points = np.array([(point.x, point.y) for point in shape.parts()], np.float32) + 0.5
    return np.stack([points[list(part)].mean(axis=0) for part in PARTS])


def _library() -> Any:
    try:
        import dlib
    except ImportError as error:
        raise MienError("dlib for the detector dlib", str(error), "pip install dlib-bin, or take mtcnn") from error
    return dlib


@cache
def _detector(thread: int) -> Any:
    """Half a second's work, done once in each thread: while one uses a detector, another may not."""
    return _library().get_frontal_face_detector()


@cache
def _predictor(file: Path) -> Any:
    """Read once in a process. Raises MienError where dlib cannot read it."""
    try:
        return _library().shape_predictor(str(file))
    except RuntimeError as error:
        raise MienError(
            f"dlib's 68 points in {file}", str(error), "pip install 'mien[facenet]' again, or landmarks=False"
        ) from error
