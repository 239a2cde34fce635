"""A face that was found in a photo."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.errors import MienError


@dataclass(frozen=True, eq=False)
class Face:
    """Where a face is, in pixels of the upright photo: x to the right, y down, the corner of the first pixel being (0, 0).

    Raises MienError for what is no box, or no landmarks.
    """

    box: tuple[float, float, float, float]
    """x0, y0, x1, y1: left, top, right, bottom. A box may reach beyond the photo."""
    landmarks: npt.NDArray[np.floating[Any]] | None
    """(5, 2), x and y of the left eye, the right eye, the nose, the left and the right corner of the mouth, left and right
    as the image has them; None where the detector finds none."""
    score: float
    """How sure the detector is: larger is surer, on a scale of its own."""

    def __post_init__(self) -> None:
        x0, y0, x1, y1 = self.box
        if not all(math.isfinite(value) for value in self.box) or x0 > x1 or y0 > y1:
            raise MienError("a box x0 <= x1, y0 <= y1", f"{self.box}", "give left, top, right, bottom")
        if self.landmarks is not None and (self.landmarks.shape != (5, 2) or not np.isfinite(self.landmarks).all()):
            found = f"{self.landmarks.dtype} of shape {self.landmarks.shape}"
            raise MienError("finite landmarks (5, 2)", found, "give x and y of eyes, nose and corners of the mouth")

    @property
    def area(self) -> float:
        """The area of the box in square pixels."""
        x0, y0, x1, y1 = self.box
        return (x1 - x0) * (y1 - y0)

    @property
    def center(self) -> tuple[float, float]:
        """The center of the box, x and y."""
        x0, y0, x1, y1 = self.box
        return (x0 + x1) / 2, (y0 + y1) / 2

    @property
    def eye_distance(self) -> float:
        """The distance between the eyes in pixels. Raises MienError where there are no landmarks."""
        if self.landmarks is None:
            raise MienError("a face with landmarks", "one without", "take a detector that finds them, such as mtcnn")
        return float(np.linalg.norm(self.landmarks[1] - self.landmarks[0]))
