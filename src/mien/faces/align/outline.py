"""The square around 68 landmarks of dlib (as ALT's faces are cut)."""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.faces.align import Align, CropMap, square_map
from mien.faces.dlib_points import find_points, library, points_file
from mien.faces.face import Face
from mien.installed import missing_extra
from mien.media.photos import Photo
from mien.settings import STRICT


@dataclass(frozen=True, config=STRICT)
class Outline(Align):
    """Cuts out the square around dlib's 68 landmarks of jaw, brows, eyes, nose and mouth, found in the detector's box.

    ALT says that faces are cropped on dlib's landmarks, but not how: a square around them, with a margin, is our reading. The
    terms of these landmarks stand in `dlib_points`.
    """

    margin: Annotated[float, Field(ge=0, le=10)] = 0.1
    """The margin on each side, as a share of the longer side of the landmarks' box."""

    @override
    def require_workable(self, landmarks: bool) -> None:
        """Raises MienError where dlib or its landmarks are not installed; any detector will do."""
        _file()
        library()

    @override
    def __call__(self, photo: Photo, face: Face) -> CropMap | None:
        """The crop map of the square; None for a box of no size. Raises MienError where dlib or its landmarks are missing."""
        x0, y0, x1, y1 = face.box
        if x1 <= x0 or y1 <= y0:
            return None
        file = _file()
        box = library().rectangle(*(round(value) for value in face.box))
        points = find_points(file, np.ascontiguousarray(photo), box).astype(np.float64)
        low, high = points.min(axis=0), points.max(axis=0)
        return square_map((low + high) / 2, float((high - low).max()) * (1 + 2 * self.margin))


def _file() -> Path:
    file = points_file()
    if file is None:
        raise missing_extra("facenet", "dlib's landmarks for outline", "no package that holds them")
    return file
