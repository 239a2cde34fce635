"""Eyes level, at a fixed place and distance in every crop (as ST+SW's faces are)."""

from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.errors import MienError
from mien.faces.align import Align, CropMap
from mien.faces.face import Face
from mien.media.photos import Photo
from mien.settings import STRICT, Share


@dataclass(frozen=True, config=STRICT)
class Eyes(Align):
    """Turns and scales the photo, without shearing, so that the eyes are at the same place in every crop."""

    distance: Annotated[float, Field(ge=0.01, le=1, allow_inf_nan=False)] = 0.4
    """Distance between the eyes, as a share of the crop's side."""
    height: Share = 0.38
    """Height of the eyes below the crop's upper edge, as a share of its side."""

    @override
    def require_workable(self, landmarks: bool) -> None:
        """Raises MienError where the detector gives no landmarks."""
        if not landmarks:
            todo = "take mtcnn, or dlib with its 68 points (pip install 'mien[dlib,facenet]'), or cut out by box"
            raise MienError("a detector that gives landmarks, for eyes", "one that gives none", todo)

    @override
    def __call__(self, photo: Photo, face: Face) -> CropMap | None:
        """The crop map by the eyes; None without landmarks, or with both eyes in one place."""
        if face.landmarks is None:
            return None
        left, right = np.asarray(face.landmarks[:2], np.float64)
        x, y = right - left
        if not np.hypot(x, y) > 0:
            return None
        # (x, y) is turned to (1, 0), and scaled to the distance.
        turn = self.distance / (x * x + y * y) * np.array([[x, y], [-y, x]])
        middle = np.array([0.5, self.height]) - turn @ ((left + right) / 2)
        return np.column_stack([turn, middle])
