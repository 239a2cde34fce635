"""Who and what synthetic faces show: the muscles of each expression, and how people and pictures differ."""

from collections.abc import Mapping

from mien.data.synthetic_faces.scenes import NOISE_VALUES

PROTOTYPES: Mapping[str, Mapping[str, float]] = {
    "anger": {"frown": 1.1, "upper_lid": 0.4, "cheek": 0.35, "press": 1, "chin": 0.35, "nose": 0.15},
    "disgust": {"nose": 1, "upper_lip": 0.9, "frown": 0.5, "cheek": 0.5, "corners": 0.35, "part": 0.25, "chin": 0.3},
    "fear": {"inner_brow": 1, "outer_brow": 0.45, "frown": 0.35, "upper_lid": 1, "stretch": 1, "part": 0.7, "jaw": 0.2},
    "happiness": {"cheek": 0.8, "smile": 1, "part": 0.6},
    "neutral": {},
    "sadness": {"inner_brow": 0.9, "frown": 0.3, "corners": 1, "chin": 0.5, "droop": 0.6},
    "surprise": {"inner_brow": 0.9, "outer_brow": 1, "upper_lid": 0.9, "jaw": 1, "part": 0.8},
}
"""Muscles of each expression at full intensity, after the prototypes of the Facial Action Coding System."""

PEOPLE: Mapping[str, tuple[float, float]] = {
    "head_width": (0.69, 0.026), "head_height": (0.9, 0.03), "jaw_narrow": (0.26, 0.06), "skin": (0.6, 0.075),
    "hair": (0.26, 0.08), "hair_volume": (0.1, 0.026), "hairline": (-0.6, 0.052), "hair_curve": (0.5, 0.14),
    "hair_part": (0, 0.08), "hair_length": (0.2, 0.3), "eye_x": (0.3, 0.015), "eye_y": (-0.13, 0.019),
    "eye_width": (0.145, 0.009), "eye_open": (0.065, 0.006), "eye_slant": (0, 0.045), "iris": (0.14, 0.038),
    "socket": (0.12, 0.068), "brow_y": (-0.33, 0.017), "brow_width": (0.17, 0.011), "brow_thick": (0.032, 0.006),
    "brow_arch": (0.03, 0.011), "brow_slope": (0, 0.013), "brow_dark": (0.75, 0.09), "nose_width": (0.125, 0.012),
    "nose_length": (0.22, 0.022), "nose_dark": (0.2, 0.053), "mouth_y": (0.5, 0.019), "mouth_width": (0.23, 0.017),
    "upper_thick": (0.035, 0.0067), "lower_thick": (0.05, 0.009), "lip_dark": (0.7, 0.06), "mouth_curve": (0, 0.009),
    "age": (0.6, 0.5), "beard": (-0.4, 0.6), "mustache": (-0.6, 0.7), "glasses": (0, 0.5),
}  # fmt: skip
"""Mean and deviation of every trait over people, in domain a."""

PEOPLE_B: Mapping[str, tuple[float, float]] = {
    "head_width": (0.74, 0.024), "skin": (0.48, 0.085), "hair": (0.4, 0.11), "eye_open": (0.075, 0.007),
    "socket": (0.2, 0.068), "mouth_width": (0.21, 0.016), "lip_dark": (0.6, 0.06), "nose_length": (0.19, 0.022),
    "hairline": (-0.52, 0.052), "age": (0.9, 0.6), "brow_thick": (0.026, 0.005),
}  # fmt: skip
"""The traits whose statistics differ in domain b."""

PICTURES: Mapping[str, tuple[float, float]] = {
    "roll": (-9, 9), "yaw": (-20, 20), "pitch": (-12, 12), "scale": (0.93, 1.07), "shift_x": (-0.05, 0.05),
    "shift_y": (-0.05, 0.05), "gaze": (-0.04, 0.04), "mouth_tilt": (-0.04, 0.04), "brow_tilt": (-0.035, 0.035),
    "light_x": (-0.4, 0.4), "light_y": (-0.25, 0.25), "exposure": (0.85, 1.15), "contrast": (0.75, 1.15),
    "curve": (-0.2, 0.2), "blur": (0, 0.5), "noise": (0.005, 0.025), "grain": (0, NOISE_VALUES - 128 * 128),
    "stroke": (0.85, 1.15), "outline": (0, 0.25), "backdrop": (0.05, 0.95), "slope_x": (-0.3, 0.3),
    "slope_y": (-0.3, 0.3), "clothes": (0.05, 0.95), "blob_x": (-1, 1), "blob_y": (-1, 0.6), "blob_size": (0.2, 0.9),
    "blob_tone": (0, 1), "cover": (0, 0), "cover_x": (-0.6, 0.6), "cover_y": (-0.2, 0.75), "cover_angle": (-60, 60),
    "cover_size": (0.07, 0.15), "cover_tone": (0.1, 0.9), "thing": (0, 0), "thing_angle": (-75, 75),
    "thing_size": (0.15, 0.4), "thing_tone": (0, 1),
}  # fmt: skip
"""Bounds of every condition over pictures, in domain a."""

PICTURES_B: Mapping[str, tuple[float, float]] = {
    "stroke": (1.3, 1.7), "outline": (0.35, 0.7), "contrast": (0.5, 0.85), "curve": (-0.6, -0.2), "blur": (0.35, 0.8),
    "noise": (0.012, 0.035), "exposure": (0.95, 1.3), "light_y": (-0.5, 0),
}  # fmt: skip
"""The conditions whose bounds differ in domain b."""

TRAIT_LIMITS: Mapping[str, tuple[float, float]] = {
    "skin": (0.25, 0.9), "hair": (0.04, 0.9), "age": (0, 2), "beard": (0, 0.85), "mustache": (0, 1), "socket": (0, 1),
    "brow_dark": (0.3, 1), "iris": (0.03, 0.5),
}  # fmt: skip
"""The bounds of every trait."""

LOWEST = 0.5
"""The least intensity of an expression in a single picture."""

MANNER, OCCASION = 0.25, 0.2
"""How far a muscle's part in an expression varies between persons, and between one person's pictures."""

MISSING = 0.08
"""How often a muscle stays almost at rest in an expression."""

IDLE = 0.04
"""Standard deviation of small moves of muscles that mean nothing."""

COVERED = 0.12
"""The share of faces that something hides in part."""

DRIFT = 0.15
"""How far the pose and the light of a sequence move toward another random one."""
