"""Pictures of more than 8 bits a value: how many of the bits are used, and how values become 8 bits.

Of colors of 16 bits Pillow keeps the upper 8; here the lower ones are read, too, where the upper ones tell little.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

Array = npt.NDArray[np.uint8]
Deep = npt.NDArray[np.uint16] | npt.NDArray[np.int32]

FULL = 65535
BITS = (8, 10, 12, 14)
"""Depths of cameras that store their values in 16 bits without scaling them."""

_SWAPPED = {"B": "L", "L": "B", "N": "B" if np.little_endian else "L"}
"""The order of bytes in which Pillow takes the lower byte of a value for the upper one."""


def largest_possible(most: int, stated: int) -> tuple[int, str]:
    """The largest value that pixels can have, where the largest found is `most`; and a sentence about it, or "".

    `stated`: the largest possible value that the file states, 0 for none; it is ignored where pixels are larger.
    """
    if most <= stated < FULL:
        return stated, ""
    bits = next((bits for bits in BITS if 0 < most < 1 << bits), 16)
    return (1 << bits) - 1, f"values of 16 bits of which the largest is {most:,}: read as {bits} bits" if bits < 16 else ""


def to_eight_bits(values: Deep, largest: int) -> Array:
    """Values from 0 to `largest` scaled to 0 to 255, as uint8."""
    return ((values.astype(np.uint32) * 255 + largest // 2) // largest).clip(0, 255).astype(np.uint8)


def is_deep(image: Image.Image) -> bool:
    """Whether a picture's colors have 16 bits, of which Pillow takes the upper 8."""
    bands, deep, _ = _raw(image).rpartition(";16")
    return image.mode in ("RGB", "RGBA") and bool(deep) and bands.startswith("RGB")


def deep_colors(image: Image.Image, again: Callable[[], ImageFile.ImageFile], stated: int) -> tuple[Image.Image, str]:
    """A loaded picture that `is_deep`, by all its 16 bits where the upper 8 tell little; and a sentence about it, or "".

    `again` opens the file once more; `stated`: the largest possible value that the file states.
    """
    upper = np.asarray(image)
    if upper[..., :3].max(initial=0) >= 1 << max(BITS) - 8:
        return image, ""
    lower = again()
    lower.tile = [_swapped(tile) for tile in lower.tile]
    if _raw(lower) == "" or image.size != lower.size:
        return image, ""
    values = upper.astype(np.uint16) << 8 | np.asarray(lower)
    largest, said = largest_possible(int(values[..., :3].max()), stated)
    made = to_eight_bits(values, largest)
    if image.mode == "RGBA":
        made[..., 3] = to_eight_bits(values[..., 3], largest_possible(int(values[..., 3].max()), stated)[0])
    return Image.fromarray(made), said


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
