"""The entries of TIFF directories, which EXIF consists of, a picture's orientation, and the shape of its pixels."""

import struct
from typing import Literal

BYTES_OF_TYPE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a value, by its TIFF type."""

ORIENTATION = 0x0112

RESOLUTIONS = (0x011A, 0x011B)
"""The tags of how many pixels there are on a length, across and down."""

MOST_STRETCH = 2.0
"""Pixels that are more than so many times as wide as high, or as high as wide, are taken for a mistake of the file."""
ROUNDED = 1.01
"""How far a stretch may be off: a PNG counts whole pixels in a meter."""

SHORT, RATIONAL = 3, 5

BYTE_ORDERS: dict[str, Literal["little", "big"]] = {"<": "little", ">": "big"}

TiffEntry = tuple[int, int, int, bytes]
"""An entry of a TIFF directory: tag, type, count, and the value or its offset."""


def orientation(exif: bytes) -> int:
    """The orientation of a picture by its EXIF block, 1 to 8; 1, upright, where the block does not tell."""
    exif = exif.removeprefix(b"Exif\0\0")
    try:
        order = byte_order(exif)
        for tag, kind, _, value in tiff_entries(exif, order):
            if tag == ORIENTATION and kind == SHORT:
                return short_value(order, value)
    except (ValueError, struct.error):
        pass
    return 1


def stretch_by(across: float, down: float) -> float:
    """How many times as wide as high a pixel is, with so many of them on a length, across and down; 1 where that is unlikely."""
    stretch = down / across if across > 0 and down > 0 else 1.0
    return stretch if stretch * ROUNDED >= 1 / MOST_STRETCH and stretch <= MOST_STRETCH * ROUNDED else 1.0


def exif_stretch(exif: bytes) -> float:
    """How many times as wide as high pixels are by an EXIF block, or by a TIFF; 1 where it does not tell."""
    exif, found = exif.removeprefix(b"Exif\0\0"), dict[int, float]()
    try:
        order = byte_order(exif)
        for tag, kind, count, value in tiff_entries(exif, order):
            if tag in RESOLUTIONS and (kind, count) == (RATIONAL, 1):
                (at,) = struct.unpack(order + "L", value)
                above, below = struct.unpack_from(order + "LL", exif, at)
                found[tag] = above / below if below else 0.0
    except (ValueError, struct.error):
        pass
    across, down = (found.get(tag, 0.0) for tag in RESOLUTIONS)
    return stretch_by(across, down)


def short_value(order: str, value: bytes) -> int:
    """The first 16-bit number of an entry's value."""
    return int(struct.unpack(order + "H", value[:2])[0])


def byte_order(content: bytes) -> str:
    """The byte order of a TIFF or an EXIF block, as the module struct writes it. Raises ValueError for other content."""
    if content[:4] not in (b"II*\0", b"MM\0*"):
        raise ValueError("a TIFF of a kind that is not read here (BigTIFF, perhaps)")
    return "<" if content[:2] == b"II" else ">"


def tiff_entries(content: bytes, order: str, at: int | None = None) -> list[TiffEntry]:
    """The entries of the directory at the offset `at`, or of the first directory."""
    at = int(struct.unpack_from(order + "L", content, 4)[0]) if at is None else at
    (count,) = struct.unpack_from(order + "H", content, at)
    return [struct.unpack_from(order + "HHL4s", content, at + 2 + 12 * place) for place in range(count)]
