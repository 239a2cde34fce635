"""No alignment: the photo is the face."""

import numpy as np
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.faces.align import Align, CropMap, square_map
from mien.faces.face import Face
from mien.media.photos import Photo
from mien.settings import STRICT


@dataclass(frozen=True, config=STRICT)
class Whole(Align):
    """Cuts out the central square of the photo, wherever in it the face is."""

    @override
    def __call__(self, photo: Photo, face: Face) -> CropMap | None:
        """The crop map of the central square; there always is one."""
        height, width = photo.shape[:2]
        return square_map(np.array([width / 2, height / 2]), min(height, width))
