"""Photos that lie on their side or upside down without saying so: faces are looked for in all four directions."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mien.faces.detect import Detector
from mien.faces.face import Face
from mien.media.photos import Photo

QUARTERS = 4
CLEARLY = 0.001
"""By how much of a detector's score another direction must be better than the one in which a photo lies."""


def turned(photo: Photo, quarters: int) -> Photo:
    """A photo turned to the left by `quarters` times 90 degrees."""
    return np.ascontiguousarray(np.rot90(photo, quarters)) if quarters else photo


def in_all_directions(photos: Sequence[Photo], detector: Detector, lost: bool = False) -> list[tuple[int, tuple[Face, ...]]]:
    """For each photo, how many times it is turned by 90 degrees to the left so that its surest face is upright; and its
    faces. `lost`: only photos are turned in which no face is upright for certain as they lie (`Detector.upright_score`).
    """
    best = [(0, tuple(faces)) for faces in detector(photos)]
    certain = -np.inf if detector.upright_score is None else detector.upright_score
    places = [place for place, (_, faces) in enumerate(best) if not (lost and faces and _score(faces) >= certain)]
    for quarters in range(1, QUARTERS) if places else ():
        for place, faces in zip(places, detector([turned(photos[place], quarters) for place in places]), strict=True):
            before = _score(best[place][1]) + (CLEARLY if not best[place][0] else 0)
            if _score(faces) > before:
                best[place] = (quarters, tuple(faces))
    return best


def as_it_lies(face: Face, quarters: int, photo: Photo) -> Face:
    """Where a face, found in the photo after `quarters` turns to the left, is in the photo as it was given."""
    high, wide = photo.shape[:2]
    if not quarters:
        return face

    def back(points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        x, y = np.asarray(points, np.float64).reshape(-1, 2).T
        return np.stack([[wide - y, x], [wide - x, high - y], [y, high - x]][quarters - 1], axis=1)

    corners = back(face.box)
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    landmarks = None if face.landmarks is None else back(face.landmarks)
    return replace(face, box=(left, top, right, bottom), landmarks=landmarks)


def _score(faces: Sequence[Face]) -> float:
    return max((face.score for face in faces), default=-np.inf)
