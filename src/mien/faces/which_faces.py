"""The choice among the faces of a photo. Commands offer it as an option, so that this module loads nothing heavy."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mien.faces.face import Face

WhichFaces = Literal["all", "largest", "central"]
"""Which faces of a photo count: all, the one with the largest box, or the one nearest to the photo's center."""
Turns = Literal["off", "auto", "all"]
"""In which photos faces are looked for in all four directions: in none, in those without a clearly upright face, or in all."""


def choose_faces(faces: "Sequence[Face]", which: WhichFaces, size: tuple[int, int]) -> "tuple[Face, ...]":
    """The faces that count, in a photo of `size` (width, height); of equal ones the first. Empty where there are none."""
    if which == "all" or not faces:
        return tuple(faces)
    if which == "largest":
        return (max(faces, key=lambda face: face.area),)
    middle = (size[0] / 2, size[1] / 2)
    return (min(faces, key=lambda face: math.dist(face.center, middle)),)
