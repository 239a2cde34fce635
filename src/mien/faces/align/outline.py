"""The square around 68 landmarks of dlib (as ALT's faces are cut)."""

from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic.dataclasses import dataclass

from mien.errors import MienError
from mien.faces.align import Map, square
from mien.faces.face import Face, Photo
from mien.registry import STRICT, NotNegative

FILE = "models/shape_predictor_68_face_landmarks.dat"


@dataclass(frozen=True, config=STRICT)
class Outline:
    """dlib's shape predictor finds jaw, brows, eyes, nose and mouth in the detector's box; the square holds all of them.

    ALT says that faces are cropped on dlib's landmarks, and not how: a square around them, with a margin, is our reading. The
    predictor's own authors trained it on the 300-W faces, which are for research alone.
    """

    margin: NotNegative = 0.1
    """On each side, as a share of the longer side of the landmarks' box."""

    def __call__(self, photo: Photo, face: Face) -> Map | None:
        """Always there. Raises MienError where dlib or its predictor is not installed."""
        points = _landmarks(photo, face)
        low, high = points.min(axis=0), points.max(axis=0)
        return square((low + high) / 2, float((high - low).max()) * (1 + 2 * self.margin))


def _landmarks(photo: Photo, face: Face) -> npt.NDArray[np.float64]:
    """(68, 2) in pixels."""
    import dlib

    predict = _predictor()
    found = predict(np.ascontiguousarray(photo), dlib.rectangle(*(round(value) for value in face.box)))
    return np.array([(point.x, point.y) for point in found.parts()], np.float64)


@cache
def _predictor() -> Any:
    try:
        import dlib

        file = resources.files("face_recognition_models") / FILE
    except ImportError as error:
        raise MienError("dlib and its landmarks", str(error), "pip install dlib-bin 'mien[facenet]'") from error
    with resources.as_file(file) as path:
        return dlib.shape_predictor(str(path))
