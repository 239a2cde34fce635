"""Measures of what may be wrong with a face: small, blurred, overexposed, turned away; faces can be filtered by them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.errors import MienError
from mien.faces.face import Face
from mien.wording import with_suggestion

Floats = npt.NDArray[np.float32]

MEASURES = {
    "size": "longer side of the box in pixels of the photo",
    "sharpness": "variance of the crop's Laplacian, gray values from 0 to 255: low where it is blurred",
    "overexposed": "share of the crop's pixels of 250 and more",
    "roll": "degrees by which the line through the eyes is turned, clockwise",
    "turn": "nose beside the middle of the eyes, in half eye distances: 0 from the front, about -1 or 1 from the side",
}
"""The measures, which are columns of a prepared set, and what they mean."""
POSE = ("roll", "turn")
"""The measures that need landmarks."""
BRIGHT = 250
"""The gray value from which a pixel counts as overexposed."""


@dataclass(frozen=True)
class QualityLimits:
    """The least and the most of each measure, by its name; a measure that is not known is within all limits."""

    least: Mapping[str, float]
    """The least value by the measure's name."""
    most: Mapping[str, float]
    """The largest value by the measure's name."""

    @staticmethod
    def parse(texts: Sequence[str]) -> "QualityLimits":
        """The limits of texts such as `size>=40` and `turn<=0.5`. Raises MienError for other texts.

        roll and turn are compared without their sign.
        """
        least, most = dict[str, float](), dict[str, float]()
        for text in texts:
            name, sign, number = next((text.partition(sign) for sign in (">=", "<=") if sign in text), (text, "", ""))
            try:
                bound = float(number)
            except ValueError:
                bound = np.nan
            if name.strip() not in MEASURES or np.isnan(bound):
                expected = f"a limit such as size>=40, of one of {', '.join(MEASURES)}"
                found = repr(text) if name.strip() in MEASURES else with_suggestion(name, MEASURES)
                raise MienError(expected, found, "write 'NAME>=NUMBER' or 'NAME<=NUMBER' in quotes: a shell takes > for a file")
            (least if sign == ">=" else most)[name.strip()] = bound
        return QualityLimits(least, most)

    def require_measurable(self, landmarks: bool) -> None:
        """Raises MienError for a limit on a measure that needs landmarks, where faces come without."""
        named = [name for name in POSE if name in self.least or name in self.most]
        if named and not landmarks:
            todo = f"find faces with mtcnn and cut them out by eyes or box, or leave out the limit on {named[0]}"
            raise MienError(f"faces with landmarks, to measure {named[0]}", "faces that come without", todo)

    def broken(self, measures: Mapping[str, float]) -> str:
        """The first limit that a face is beyond, in words; "" where it is within all limits."""
        for name, value in measures.items():
            amount = abs(value)
            if amount < self.least.get(name, -np.inf):
                return f"{name} {value:.3g}, less than {self.least[name]:g}"
            if amount > self.most.get(name, np.inf):
                return f"{name} {value:.3g}, more than {self.most[name]:g}"
        return ""


def measure_quality(faces: npt.NDArray[np.uint8], found: Sequence[Face]) -> dict[str, Floats]:
    """The MEASURES of n crops, (n, S, S) or (n, S, S, 3), and their faces, (n,) each; nan where landmarks are missing."""
    gray = faces.astype(np.float32)
    if gray.ndim == 4:
        gray = gray @ np.array([0.299, 0.587, 0.114], np.float32)
    poses = np.array([_pose(face) for face in found], np.float32).reshape(-1, 2)
    boxes = np.array([face.box for face in found], np.float32).reshape(-1, 4)
    return {
        "size": np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]),
        "sharpness": _sharpness(gray),
        "overexposed": (gray >= BRIGHT).mean(axis=(1, 2), dtype=np.float32),
        "roll": poses[:, 0],
        "turn": poses[:, 1],
    }


def _sharpness(gray: Floats) -> Floats:
    """The sharpness (n,) of crops (n, S, S): the variance of their Laplacian (Pech-Pacheco et al. 2000)."""
    if gray.shape[1] < 3:
        return np.zeros(len(gray), np.float32)
    inner = gray[:, 1:-1, 1:-1]
    laplacian = gray[:, :-2, 1:-1] + gray[:, 2:, 1:-1] + gray[:, 1:-1, :-2] + gray[:, 1:-1, 2:] - 4 * inner
    variance: Floats = laplacian.var(axis=(1, 2))
    return variance


def _pose(face: Face) -> tuple[float, float]:
    """The roll and the turn of a face; nan without landmarks."""
    if face.landmarks is None:
        return np.nan, np.nan
    left, right, nose = np.asarray(face.landmarks[:3], np.float64)
    across = right - left
    distance = float(np.hypot(*across))
    if not distance:
        return np.nan, np.nan
    beside = float((nose - (left + right) / 2) @ across) / distance
    return float(np.degrees(np.arctan2(across[1], across[0]))), 2 * beside / distance
