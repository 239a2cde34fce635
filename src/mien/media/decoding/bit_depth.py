"""Pictures of more than 8 bits a value: how many of the bits are used, and how values become 8 bits.

Of colors of 16 bits Pillow keeps the upper 8; here the lower ones are read, too, where the upper ones tell little: by Pillow in
another order of bytes, and of JPEG 2000 by OpenCV.
"""

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

Array = npt.NDArray[np.uint8]
Deep = npt.NDArray[np.uint16] | npt.NDArray[np.int32]

FULL = 65535
OVERSHOOT = 1.125
"""How many times the largest possible value JPEG 2000 may give where it does not store pixels exactly."""
BITS = (8, 10, 12, 14)
"""Depths of cameras that store their values in 16 bits without scaling them."""

_SWAPPED = {"B": "L", "L": "B", "N": "B" if np.little_endian else "L"}
"""The order of bytes in which Pillow takes the lower byte of a value for the upper one."""


def largest_possible(most: int, stated: int, beyond: float = 1.0) -> tuple[int, str]:
    """The largest value that pixels can have, where the largest found is `most`; and a sentence about it, or "".

    `stated`: the largest possible value that the file states, 0 for none; it is ignored where pixels are larger. `beyond`: how
    many times the largest possible value is found where pixels are not exact.
    """
    if most <= stated < FULL:
        return stated, ""
    bits = next((bits for bits in BITS if 0 < most < beyond * (1 << bits)), 16)
    return (1 << bits) - 1, f"values of 16 bits of which the largest is {most:,}: read as {bits} bits" if bits < 16 else ""


def to_eight_bits(values: Deep, largest: int) -> Array:
    """Values from 0 to `largest` scaled to 0 to 255, as uint8."""
    return ((values.astype(np.uint32) * 255 + largest // 2) // largest).clip(0, 255).astype(np.uint8)


UPPER = "colors of 16 bits, of which the upper 8 are read"
"""The note for a dark picture whose lower bits cannot be read."""


def is_deep(image: Image.Image, stated: int) -> bool:
    """Whether a picture's colors have 16 bits, of which Pillow takes the upper 8.

    `stated`: the largest possible value that the file states, 0 for none. Of fewer than 16 bits JPEG 2000 states 65,535.
    """
    if isinstance(image, Jpeg2KImageFile):
        return image.mode in ("RGB", "RGBA") and stated != FULL
    bands, deep, _ = _raw(image).rpartition(";16")
    return image.mode in ("RGB", "RGBA") and bool(deep) and bands.startswith("RGB")


def deep_colors(image: Image.Image, again: Callable[[], ImageFile.ImageFile], stated: int) -> tuple[Image.Image, str]:
    """A loaded picture that `is_deep`, by all its 16 bits where the upper 8 tell little; and a sentence about it, or "".

    `again` opens the file once more; `stated`: the largest possible value that the file states.
    """
    upper = np.asarray(image)
    if upper[..., :3].max(initial=0) >= 1 << max(BITS) - 8:
        return image, ""
    values = _of_jpeg2000(again()) if isinstance(image, Jpeg2KImageFile) else _with_lower(upper, again())
    if values.shape != upper.shape or np.abs((values >> 8).astype(np.int16) - upper).max(initial=0) > 1:
        return image, UPPER
    beyond = OVERSHOOT if isinstance(image, Jpeg2KImageFile) else 1.0
    largest, said = largest_possible(int(values[..., :3].max()), stated, beyond)
    made = to_eight_bits(values, largest)
    if image.mode == "RGBA":
        made[..., 3] = to_eight_bits(values[..., 3], largest_possible(int(values[..., 3].max()), stated, beyond)[0])
    return Image.fromarray(made), said


def _with_lower(upper: Array, lower: ImageFile.ImageFile) -> npt.NDArray[np.uint16]:
    """The values (H, W, C) of a picture by their upper bytes, and by its file once more; (0,) where that is of another size."""
    lower.tile = [_swapped(tile) for tile in lower.tile]
    if _raw(lower) == "" or upper.shape[1::-1] != lower.size:
        return np.zeros(0, np.uint16)
    return np.asarray(upper.astype(np.uint16) << 8 | np.asarray(lower), np.uint16)


def _of_jpeg2000(picture: ImageFile.ImageFile) -> npt.NDArray[np.uint16]:
    """The values (H, W, C) of a JPEG 2000 of 16 bits; (0,) where OpenCV does not read it so."""
    file = picture.fp
    if file is None:
        return np.zeros(0, np.uint16)
    file.seek(0)
    try:
        found = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return np.zeros(0, np.uint16)
    if found is None or found.dtype != np.uint16 or found.ndim != 3:
        return np.zeros(0, np.uint16)
    return np.asarray(found[..., [2, 1, 0, 3][: found.shape[2]]], np.uint16)


def _raw(image: Image.Image) -> str:
    """How the pixels of a picture's first tile are stored; "" where that is not stated."""
    tiles = getattr(image, "tile", None) or []
    args = tiles[0].args if tiles else ""
    text = args[0] if isinstance(args, tuple) and args else args
    return text if isinstance(text, str) else ""


def _swapped(tile: ImageFile._Tile) -> ImageFile._Tile:
    def other(text: object) -> object:
        head, deep, order = str(text).rpartition(";16")
        return f"{head}{deep}{_SWAPPED[order]}" if deep and order in _SWAPPED else text

    args = tuple(map(other, tile.args)) if isinstance(tile.args, tuple) else other(tile.args)
    return tile._replace(args=args)  # type: ignore[arg-type]
