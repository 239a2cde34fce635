"""What a synthetic picture shows, as numbers: who it is, what the muscles do, and the light, pose and noise."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float32]

ACTIONS = (
    "inner_brow",  # AU 1: inner brows up
    "outer_brow",  # AU 2: outer brows up
    "frown",  # AU 4: brows down and together
    "upper_lid",  # AU 5: eyes wide
    "cheek",  # AU 6 and 7: cheeks up, eyes narrow
    "nose",  # AU 9: nose wrinkled
    "upper_lip",  # AU 10: upper lip up
    "smile",  # AU 12: mouth corners up and out
    "corners",  # AU 15: mouth corners down
    "chin",  # AU 17: chin and lower lip up
    "stretch",  # AU 20: mouth wide
    "press",  # AU 23 and 24: lips thin
    "part",  # AU 25: lips apart
    "jaw",  # AU 26 and 27: jaw down
    "droop",  # AU 43: upper lids down
)
"""What a face's muscles do, each from 0 (rest) to about 1 (as far as it goes)."""

TRAITS = (
    *("head_width", "head_height", "jaw_narrow", "skin", "hair", "hair_volume", "hairline", "hair_curve", "hair_part"),
    *("hair_length", "eye_x", "eye_y", "eye_width", "eye_open", "eye_slant", "iris", "socket", "brow_y", "brow_width"),
    *("brow_thick", "brow_arch", "brow_slope", "brow_dark", "nose_width", "nose_length", "nose_dark", "mouth_y"),
    *("mouth_width", "upper_thick", "lower_thick", "lip_dark", "mouth_curve", "age", "beard", "mustache", "glasses"),
)
"""What stays with a person; lengths in face coordinates, tones between black 0 and white 1."""

CONDITIONS = (
    *("roll", "yaw", "pitch", "scale", "shift_x", "shift_y", "gaze", "mouth_tilt", "brow_tilt"),
    *("light_x", "light_y", "exposure", "contrast", "curve", "blur", "noise", "grain", "stroke", "outline"),
    *("backdrop", "slope_x", "slope_y", "clothes", "blob_x", "blob_y", "blob_size", "blob_tone"),
    *("cover", "cover_x", "cover_y", "cover_angle", "cover_size", "cover_tone"),
    *("thing", "thing_angle", "thing_size", "thing_tone"),
)
"""What changes from picture to picture. `cover`: 0 nothing, 1 dark glasses, 2 a hand, 3 a bar in front of
the face; `thing`: 0 a face, 1 stripes, 2 boxes, 3 a head from behind; `roll`, `yaw` and `pitch` in degrees; `noise` as a
deviation of tone; `grain` where in the bank of noise the picture's begins."""

SCENE_COLUMNS = TRAITS + CONDITIONS + ACTIONS

NOISE_VALUES = 1 << 18
"""The number of values in the bank of noise; `grain` is below NOISE_VALUES - 128 * 128."""


@dataclass(frozen=True)
class Scenes:
    """What to draw: `values`, float32 (N, P), a row for each picture and a column for each of SCENE_COLUMNS."""

    values: Values

    def __len__(self) -> int:
        return len(self.values)

    def of(self, name: str) -> Values:
        """The values of one column, (N,)."""
        column: Values = self.values[:, SCENE_COLUMNS.index(name)]
        return column

    def having(self, **given: float | Values) -> "Scenes":
        """A copy in which these columns have these values, one for all or (N,)."""
        values = self.values.copy()
        for name, value in given.items():
            values[:, SCENE_COLUMNS.index(name)] = value
        return Scenes(values)
