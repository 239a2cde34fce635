"""Files of pictures without what is not needed for pixels.

Metadata may be damaged, huge or hostile, and decoders warn of it by process-wide means; what is dropped here cannot do harm. Of
EXIF the orientation is used, and read by itself.
"""

import re
import struct

from PIL import TiffTags

_MARKER = re.compile(rb"\xff([^\x00\xff])")
"""The next marker of a JPEG, after whatever is none."""

_PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")

_TIFF_TAGS = {
    *(256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325),
    *(332, 338, 339, 347, 512, 513, 514, 515, 519, 520, 521, 529, 530, 531, 532),
}
"""Sizes, layout, compression, colors, transparency and orientation."""

_UNITS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a value, by the TIFF type."""

_ORIENTATION = 0x0112
_SHORT = 3


def bare_jpeg(content: bytes) -> tuple[bytes, bytes]:
    """A JPEG with JFIF and Adobe segments alone (they say what the colors mean), and its first EXIF block."""
    kept, exif, at = [content[:2]], b"", 2
    while (found := _MARKER.search(content, at)) is not None:
        marker, at = found[1][0], found.end()
        if marker == 0xDA:  # a scan begins
            return b"".join([*kept, b"\xff\xda", memoryview(content)[at:]]), exif
        if marker == 0x01 or 0xD0 <= marker <= 0xD9:  # these stand alone
            kept.append(bytes([0xFF, marker]))
            continue
        segment = content[at : at + max(2, int.from_bytes(content[at : at + 2]))]
        at += len(segment)
        if marker == 0xE1 and not exif and segment[2:8] == b"Exif\0\0":
            exif = segment[8:]
        if marker in (0xE0, 0xEE) or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(bytes([0xFF, marker]) + segment)
    return b"".join(kept), exif


def bare_png(content: bytes) -> tuple[bytes, bytes]:
    """A PNG without texts, profiles and animation, and its EXIF block."""
    kept, exif, at = [content[:8]], b"", 8
    while at + 8 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4])
        kind = content[at + 4 : at + 8]
        if kind in _PNG_CHUNKS:
            kept.append(content[at:end])
        elif kind == b"eXIf":
            exif = content[at + 8 : end - 4]
        at = end
    return b"".join(kept), exif


def bare_tiff(content: bytes) -> bytes:
    """A TIFF with the directory of its first picture alone. Raises ValueError where that is damaged."""
    order = _order(content)
    try:
        entries = _entries(content, order)
    except struct.error as error:
        raise ValueError("a truncated TIFF directory") from error
    kept, outside = [], 0
    for tag, kind, count, value in entries:
        if tag not in _TIFF_TAGS or kind not in _UNITS:
            continue
        size = count * _UNITS[kind]
        (start,) = struct.unpack(order + "L", value) if size > 4 else (0,)
        outside += size if size > 4 else 0
        if not count or start + size > len(content) or outside > len(content):
            raise ValueError(f"a damaged TIFF directory: tag {tag} has {count} values")
        if count > 1 and TiffTags.lookup(tag).length == 1:
            raise ValueError(f"a damaged TIFF directory: tag {tag} has {count} values, not 1")
        kept.append(struct.pack(order + "HHL4s", tag, kind, count, value))
    directory = struct.pack(order + "H", len(kept)) + b"".join(kept) + bytes(4)
    (at,) = struct.unpack_from(order + "L", content, 4)
    return b"".join([memoryview(content)[:at], directory, memoryview(content)[at + len(directory) :]])


def orientation(exif: bytes) -> int:
    """How the picture of an EXIF block lies, 1 to 8; 1, upright, where it does not say so."""
    exif = exif.removeprefix(b"Exif\0\0")
    try:
        order = _order(exif)
        for tag, kind, _, value in _entries(exif, order):
            if tag == _ORIENTATION and kind == _SHORT:
                return int(struct.unpack(order + "H", value[:2])[0])
    except (ValueError, struct.error):
        pass
    return 1


def _order(content: bytes) -> str:
    """The byte order of a TIFF, or of EXIF, which is one, as struct writes it."""
    if content[:4] not in (b"II*\0", b"MM\0*"):
        raise ValueError("a TIFF of a kind that is not read here (BigTIFF, perhaps)")
    return "<" if content[:2] == b"II" else ">"


def _entries(content: bytes, order: str) -> list[tuple[int, int, int, bytes]]:
    """Tag, type, count, and value or offset, of the first directory."""
    (at,) = struct.unpack_from(order + "L", content, 4)
    (count,) = struct.unpack_from(order + "H", content, at)
    return [struct.unpack_from(order + "HHL4s", content, at + 2 + 12 * place) for place in range(count)]
