"""Detectors of faces in photos, one a file, found by its name; all are called in the same way.

A detector is a frozen dataclass of its own settings. What it needs it loads when it is first called.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from mien.errors import MienError
from mien.faces.face import Face
from mien.media.photos import Photo
from mien.protocols import require_subclass
from mien.registry import component_from_text

ROOM = "mien.faces.detect"
"""The package whose files are the detectors."""


class Detector(Protocol):
    """Finds the faces of photos; the faces of a photo do not depend on the photos beside it.

    A detector of one's own subclasses it.
    """

    @property
    def gives_landmarks(self) -> bool:
        """Whether faces come with landmarks."""
        return True

    @property
    def least_face(self) -> float | None:
        """Side in pixels of the smallest faces that are looked for; None where the detector has no such setting."""
        return None

    @property
    def upright_score(self) -> float | None:
        """The least score of a face that is upright for certain. None where scores do not tell: any face is taken for upright."""
        return None

    def __call__(self, photos: Sequence[Photo]) -> list[tuple[Face, ...]]:
        """The faces of each upright photo, uint8 (H, W, 3), RGB, of any size, the surest face first.

        Raises MienError for what is no photo, or where something that the detector needs is not installed.
        """
        ...


def detector_from_text(text: str) -> Detector:
    """The detector that a text such as `mtcnn least_face=40` describes.

    Raises MienError for an unknown one, and for one of somebody's own that does not subclass Detector.
    """
    made: Detector = component_from_text(ROOM, text, "detector")
    require_subclass(made, Detector, ROOM, "detector")
    return made


def check_photos(photos: Sequence[Photo]) -> None:
    """Raises MienError where a photo is not uint8 (H, W, 3) with at least one pixel."""
    for photo in photos:
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
            found = f"{photo.dtype} of shape {photo.shape}"
            raise MienError("photos uint8 (H, W, 3), RGB", found, "read them with Pillow, convert('RGB'), as an array")


def surest_first(faces: Sequence[Face]) -> tuple[Face, ...]:
    """The faces by descending score; equal ones keep their order."""
    return tuple(sorted(faces, key=lambda face: -face.score))
