"""dlib's 68 landmarks by regression trees (Kazemi and Sullivan 2014), for a detector and for an alignment.

They were learned from iBUG 300-W, whose authors allow no commercial use. The file is in the package of the extra `facenet`.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.errors import MienError
from mien.installed import missing_extra, package_folder
from mien.media.photos import Photo

PACKAGE, FILE = "face_recognition_models", "shape_predictor_68_face_landmarks.dat"

Points = npt.NDArray[np.float32]


def library() -> Any:
    """The module dlib. Raises MienError where it is not installed."""
    try:
        import dlib
    except ImportError as error:
        raise missing_extra("dlib", "dlib", str(error)) from error
    return dlib


def points_file() -> Path | None:
    """The file of dlib's landmarks; None where its package is not installed."""
    folder = package_folder(PACKAGE)
    return None if folder is None else folder / "models" / FILE


def find_points(file: Path, photo: Photo, box: Any) -> Points:
    """The 68 landmarks (68, 2), x and y in pixels, of the face in dlib's `box`. Raises MienError where dlib cannot read the
    file.
    """
    shape = _predictor(file)(photo, box)
    # dlib counts pixels, whose centers are half a pixel further.
    return np.array([(point.x, point.y) for point in shape.parts()], np.float32) + 0.5


@cache
def _predictor(file: Path) -> Any:
    """dlib's predictor of landmarks, read once in a process."""
    try:
        return library().shape_predictor(str(file))
    except RuntimeError as error:
        raise MienError(f"dlib's 68 points in {file}", str(error), "pip install 'mien[facenet]' again") from error
