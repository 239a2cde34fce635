"""The detector's box with a margin, as a square (as SNA's faces are, with 15 %)."""

from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.faces.align import Align, CropMap, square_map
from mien.faces.face import Face
from mien.media.photos import Photo
from mien.settings import STRICT


@dataclass(frozen=True, config=STRICT)
class Box(Align):
    """Cuts out the square around the center of the detector's box: its longer side, and a margin on each side."""

    margin: Annotated[float, Field(ge=0, le=10)] = 0.15
    """The margin on each side, as a share of the box's longer side."""

    @override
    def __call__(self, photo: Photo, face: Face) -> CropMap | None:
        """The crop map of the square; None for a box of no size."""
        x0, y0, x1, y1 = face.box
        longer = max(x1 - x0, y1 - y0)
        if not longer:
            return None
        return square_map(np.array(face.center), longer * (1 + 2 * self.margin))
