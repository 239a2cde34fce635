"""PNG files without metadata, and bitmaps written in text without comments."""

import re
import struct

from mien.media.decoding.exif import exif_stretch, orientation, stretch_by
from mien.media.decoding.stripped import ANIMATION, StrippedPicture

CHUNKS = 200_000
"""The most chunks of a PNG."""

_COMMENT = re.compile(rb"#[^\r\n]*")

_PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IEND")


def strip_text(content: bytes) -> StrippedPicture:
    """A bitmap, gray map or pixel map written in text, without comments.

    Each comment would take a decoder as long as all that follows it.
    """
    return StrippedPicture([_COMMENT.sub(b"", content)])


def strip_png(content: bytes) -> StrippedPicture:
    """A PNG without texts, color profiles and animation, with its pixels in one chunk."""
    view, head, last, exif, at = memoryview(content), bytearray(content[:8]), bytearray(), b"", 8
    note, bits, stretch = "", 0, 1.0
    packed = list[tuple[int, int]]()
    for _ in range(CHUNKS):
        if at + 8 > len(content):
            break
        end = at + 12 + int.from_bytes(content[at : at + 4])
        kind = content[at + 4 : at + 8]
        if kind == b"IDAT":
            packed.append((at + 8, min(end - 4, len(content))))
        elif kind in _PNG_CHUNKS:
            (last if packed else head).extend(view[at:end])
        elif kind == b"eXIf":
            exif = content[at + 8 : end - 4]
        elif kind == b"acTL" and int.from_bytes(content[at + 8 : at + 12]) > 1:
            note = ANIMATION
        elif kind == b"pHYs" and not packed and end - at == 21:
            stretch = stretch_by(int.from_bytes(content[at + 8 : at + 12]), int.from_bytes(content[at + 12 : at + 16]))
        elif kind == b"sBIT" and not packed:
            bits = max(content[at + 8 : min(at + 11, end - 4)], default=0)
        at = end
    else:
        raise ValueError(f"more than {CHUNKS:,} chunks of a PNG")
    size = sum(stop - start for start, stop in packed)
    if size >= 1 << 31:
        raise ValueError(f"{size:,} bytes of packed pixels in a PNG")
    if packed:
        head += struct.pack(">I", size) + b"IDAT"
    pixels = (view[start:stop] for start, stop in packed)
    pieces: list[bytes | memoryview] = [bytes(head), *pixels, bytes(4 if packed else 0) + bytes(last)]
    stretch = exif_stretch(exif) if stretch == 1 else stretch
    return StrippedPicture(pieces, orientation(exif), 0, note, (1 << min(bits, 16)) - 1, stretch)
