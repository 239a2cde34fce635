"""Files of GIF, WebP, AVIF and JPEG 2000 without what pixels do not need."""

import struct
from collections.abc import Iterator

from mien.media.decoding.av1_header import coded_pixels
from mien.media.decoding.bit_depth import FULL
from mien.media.decoding.stripped import ANIMATION, StrippedPicture
from mien.media.file_limits import FileLimits

HEIC = "HEIC, which is not read: save it as JPEG (an iPhone does so by Settings, Camera, Formats, Most Compatible)"
"""What to tell about photos whose codec is not free."""

BLOCKS = 2_000_000
"""The most blocks of a GIF that are searched for a second frame."""
BOXES = 10_000
"""The most boxes of a file."""
HEADER = 1 << 20
"""The most bytes of a box that describes the picture."""

_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF = (b"avif", b"avis")
_KEPT = (b"jP  ", b"ftyp", b"jp2h", b"jp2c")
"""The boxes that a JPEG 2000 decoder needs."""
_SMALL, _LARGE = 4, 15
"""Sides of code-blocks and precincts, as powers of two: smaller ones cost a decoder much memory each."""


def strip_gif(content: bytes) -> tuple[StrippedPicture, int, int]:
    """A GIF, and the width and height that its screen and its first frame need."""
    if len(content) < 13:
        raise EOFError
    wide, high, flags = struct.unpack_from("<HHB", content, 6)
    at, frames = 13 + (3 << (flags & 7) + 1 if flags & 128 else 0), 0
    for _ in range(BLOCKS):
        kind = content[at : at + 1]
        if kind == b"," and at + 10 <= len(content):
            frames += 1
            if frames > 1:
                break
            left, top, across, down, local = struct.unpack_from("<HHHHB", content, at + 1)
            wide, high = max(wide, left + across), max(high, top + down)
            at = _after_blocks(content, at + 11 + (3 << (local & 7) + 1 if local & 128 else 0))
        elif kind == b"!":
            at = _after_blocks(content, at + 2)
        elif kind in (b"", b";"):
            break
        else:
            at += 1  # as Pillow does
    return StrippedPicture([content], note=ANIMATION if frames > 1 else ""), wide, high


def _after_blocks(content: bytes, at: int) -> int:
    """The position behind a GIF's data that begins at `at`."""
    for _ in range(BLOCKS):
        size = content[at] if at < len(content) else 0
        at += 1 + size
        if not size:
            return at
    return len(content)


def strip_webp(content: bytes) -> StrippedPicture:
    """A WebP as it is: its decoder looks at nothing but pixels."""
    moving = content[12:16] == b"VP8X" and len(content) > 20 and content[20] & 2
    return StrippedPicture([content], note=ANIMATION if moving else "")


def is_heif(content: bytes) -> bool:
    """Whether a file is a HEIC or an AVIF."""
    return content[4:8] == b"ftyp" and content[8:12] in (*_HEIC, *_AVIF)


def strip_avif(content: bytes) -> StrippedPicture:
    """An AVIF whose decoder finds neither EXIF nor XMP. Raises ValueError for a HEIC."""
    size = min(int.from_bytes(content[:4]), 1000)
    brands = [content[at : at + 4] for at in range(8, size, 4)]
    if not set(brands) & set(_AVIF):
        raise ValueError(HEIC)
    made, coded = bytearray(content), 0
    for meta, end in _boxes(content, 0, len(content), b"meta"):
        for places, last in _boxes(content, meta + 4, end, b"iloc"):
            coded = max(coded, coded_pixels(content, content[places:last]))
        for items, last in _boxes(content, meta + 4, end, b"iinf"):
            version = content[items]
            for entry, _ in _boxes(content, items + (8 if version else 6), last, b"infe"):
                at = entry + 4 + (4 if content[entry] >= 3 else 2) + 2
                if content[at : at + 4] in (b"Exif", b"mime"):
                    made[at : at + 4] = b"none"
    return StrippedPicture([bytes(made)], note=ANIMATION if content[8:12] == b"avis" else "", coded=coded)


def strip_jpeg2000(content: bytes, limits: FileLimits) -> StrippedPicture:
    """A JPEG 2000 file, or a bare stream, without texts.

    Raises ValueError for many small parts, which cost a decoder more than pixels do.
    """
    if content.startswith(b"\xff\x4f"):
        return StrippedPicture([_bare_stream(content, 0, limits)], largest=_largest(content, 0))
    pieces, largest = list[bytes | memoryview](), 0
    for start, end in _boxes(content, 0, len(content), *_KEPT):
        kind = content[start - 4 : start]
        if kind == b"jp2c":
            pieces += [bytes(4) + kind, _bare_stream(content, start, limits)]
            largest = _largest(content, start)
            break
        if end - start > HEADER:
            raise ValueError(f"a header of {end - start:,} bytes in a JPEG 2000")
        pieces.append(struct.pack(">I", end - start + 8) + kind + content[start:end])
    return StrippedPicture(pieces, largest=largest)


def _largest(content: bytes, at: int) -> int:
    """The largest possible value of a JPEG 2000 stream: 65,535 for values of fewer than 16 bits, which are scaled; else 0,
    unknown.
    """
    bits = (content[at + 42] & 127) + 1 if content[at + 2 : at + 4] == b"\xff\x51" and len(content) > at + 42 else 16
    return FULL if bits < 16 else 0


def _bare_stream(content: bytes, at: int, limits: FileLimits) -> bytes:
    """A JPEG 2000 stream that begins at `at`, without its comments."""
    made, first = bytearray(content[at : at + 2]), at
    at += 2
    for _ in range(BOXES):
        marker, size = content[at : at + 2], int.from_bytes(content[at + 2 : at + 4])
        if marker in (b"\xff\x90", b"") or len(marker) < 2 or size < 2:
            break
        segment = content[at : at + 2 + size]
        if marker == b"\xff\x51":
            _require_tiles(segment)
        if marker in (b"\xff\x52", b"\xff\x53"):
            _require_blocks(segment, marker == b"\xff\x52")
        if marker != b"\xff\x64":
            made += segment
        at += 2 + size
    if at == first + 2:
        raise ValueError("a JPEG 2000 without a header")
    return bytes(made) + content[at:]


def _require_tiles(segment: bytes) -> None:
    """Raises ValueError for more tiles than a photo has."""
    wide, high, left, top, across, down, right, below = struct.unpack_from(">8I", segment, 6)
    if not across or not down:
        raise ValueError("a JPEG 2000 with tiles of no pixels")
    tiles = -(-(wide - right) // across) * -(-(high - below) // down)
    if not 0 < tiles <= 1 << 12 or left >= wide or top >= high:
        raise ValueError(f"{tiles:,} tiles of a JPEG 2000, more than a photo has")


def _require_blocks(segment: bytes, all_components: bool) -> None:
    """Raises ValueError for code-blocks or precincts so small that a decoder holds many."""
    own = segment[4] & 1 if all_components else segment[5] & 1
    style = segment[9:] if all_components else segment[6:]
    if len(style) < 5 or min(style[1:3]) + 2 < _SMALL:
        raise ValueError("a JPEG 2000 of very small code-blocks")
    sizes = [power for each in style[5 : 6 + style[0]] for power in (each & 15, each >> 4)] if own else [_LARGE]
    if min(sizes, default=0) < _SMALL:
        raise ValueError("a JPEG 2000 of very small precincts")


def _boxes(content: bytes, at: int, end: int, *kinds: bytes) -> Iterator[tuple[int, int]]:
    """Where the content of each box of these kinds begins and ends."""
    for _ in range(BOXES):
        if at + 8 > end:
            return
        size, kind, start = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8], at + 8
        if size == 1:
            size, start = int.from_bytes(content[at + 8 : at + 16]), at + 16
            if kind in kinds:
                raise ValueError("a box of a size that is not read")
        stop = end if size == 0 else min(end, at + size)
        if kind in kinds:
            yield start, max(start, stop)
        if stop < start:
            return
        at = stop
