"""Viola and Jones 2001, "Rapid object detection using a boosted cascade of simple features", with OpenCV's frontal faces."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar

import cv2
import cv2.data
import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.errors import MienError
from mien.faces.detect import Detector, check_photos, surest_first
from mien.faces.face import Face
from mien.media.photos import Photo
from mien.settings import STRICT, Count, CountOrZero

FILE = "haarcascade_frontalface_default.xml"


@dataclass(frozen=True, config=STRICT)
class Haar(Detector):
    """Boxes of upright faces from the front, without landmarks; the score is the sum of the last stage's votes."""

    least_face: Count = 30
    """Side in pixels of the smallest faces that are looked for."""
    step: Annotated[float, Field(ge=1.01, le=100, allow_inf_nan=False)] = 1.1
    """Ratio from one size of faces that is looked for to the next."""
    neighbors: CountOrZero = 5
    """How many boxes close by a face needs beside its own."""

    gives_landmarks: ClassVar[bool] = False

    @override
    def __call__(self, photos: Sequence[Photo]) -> list[tuple[Face, ...]]:
        """The faces of each photo, the surest first. Raises MienError for what is no photo, or an OpenCV without its file."""
        check_photos(photos)
        # Made anew for each call: while one thread uses a classifier, another may not.
        cascade = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / FILE))
        if cascade.empty():
            raise MienError(f"{FILE} in OpenCV", f"cv2 {cv2.__version__} without it", "pip install 'opencv-python-headless<5'")
        return [self._find(cascade, cv2.cvtColor(np.ascontiguousarray(photo), cv2.COLOR_RGB2GRAY)) for photo in photos]

    def _find(self, cascade: cv2.CascadeClassifier, gray: "cv2.typing.MatLike") -> tuple[Face, ...]:
        least = (self.least_face, self.least_face)
        boxes, _, votes = cascade.detectMultiScale3(gray, self.step, self.neighbors, 0, least, outputRejectLevels=True)
        corners = np.reshape(boxes, (-1, 4)).astype(float).tolist()
        scores = np.reshape(votes, -1).astype(float).tolist()
        return surest_first([Face((x, y, x + w, y + h), None, vote) for (x, y, w, h), vote in zip(corners, scores, strict=True)])
