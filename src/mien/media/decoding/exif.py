"""The entries of TIFF directories, which EXIF consists of, and a picture's orientation."""

import struct
from typing import Literal

BYTES_OF_TYPE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a value, by its TIFF type."""

ORIENTATION = 0x0112

SHORT = 3

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
