"""Files of pictures without what is not needed for pixels.

Metadata may be damaged, huge or hostile, and decoders warn of it by process-wide means; what is dropped here cannot do harm. Of
EXIF the orientation is used, and read by itself. What makes decoding long or large is counted before it begins.
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import TiffTags

from mien.media.decoding.joined_bytes import Piece
from mien.media.file_limits import FileLimits

SEGMENTS = 10_000
"""The most markers of a JPEG, beside those within scans."""
CHUNKS = 200_000
"""The most chunks of a PNG."""
STRIPS = 100_000
"""The most strips or tiles of a TIFF."""

PICTURES = "several pictures in one file, of which the first is read"
PAGES = "several pages, of which the first is read"
FRAMES = "an animation, of which the first frame is read"

_MARKER = re.compile(rb"\xff([^\x00\xff])")
"""The next marker of a JPEG, after whatever is none."""

_BETWEEN = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
"""The next marker among a JPEG's scans, but for those that lie within one."""

_COMMENT = re.compile(rb"#[^\r\n]*")

_SCAN = b"\xff\xda"

_PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IEND")

_TIFF_TAGS = {
    *(256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325),
    *(281, 332, 338, 339, 347, 529, 530, 531, 532),
}
"""Sizes, layout, compression, largest values, colors and transparency."""

_PLAIN, _JPEG = 1, 7
_PACKED = (_PLAIN, 2, 3, 4, 5, _JPEG, 8, 32773, 32946)
_PACKED_OTHERWISE = {6: "old JPEG", 34676: "SGILog", 34677: "SGILog", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP"}
"""How a TIFF's pixels may be packed: plainly, as faxes, by LZW, JPEG, Deflate or PackBits; and what is not read."""

_UNITS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a value, by the TIFF type."""

_ORIENTATION = 0x0112
_LARGEST = 281
_JPEG_TABLES = 347
_SHORT = 3
_SUBFILE, _REDUCED = 254, 1
"""What a picture in a TIFF is: perhaps a small copy of another."""
_BYTE_ORDERS: dict[str, Literal["little", "big"]] = {"<": "little", ">": "big"}

Entry = tuple[int, int, int, bytes]
"""Tag, type, count, and value or offset."""


@dataclass(frozen=True, eq=False)
class Stripped:
    """A file without what is not needed."""

    pieces: Sequence[Piece]
    """Of the file, in order."""
    turn: int = 1
    """How the picture lies, 1 to 8, as EXIF has it."""
    extra: int = 0
    """Bytes that its decoder takes beside the file and the pixels."""
    note: str = ""
    """What is to be said of it: that it holds other pictures, too."""
    largest: int = 0
    """The largest value that is possible in a picture of 16 bits; 0 where it does not say."""
    coded: int = 0
    """Pixels of the frame that is decoded, where its own header says so; what else the file says may be another number."""


def strip_jpeg(content: bytes, limits: FileLimits) -> Stripped:
    """A JPEG with JFIF and Adobe segments alone (they say what the colors mean), up to its end.

    Raises ValueError where it has more scans than the limits have.
    """
    kept, exif, frame, note, at = bytearray(content[:2]), b"", b"", "", 2
    for _ in range(SEGMENTS):
        found = _MARKER.search(content, at)
        if found is None:
            return Stripped([bytes(kept)], orientation(exif), note=note)
        marker, at = found[1][0], found.end()
        if marker == 0xDA:  # a scan begins
            end = _end_of_scans(content, at)
            kept += _SCAN
            # As often as they stand in what is decoded: no reading of it finds more.
            scans = kept.count(_SCAN) + content.count(_SCAN, at, end)
            extra = _require_scans(frame, scans, content[at + 2], limits) if at + 2 < end else 0
            return Stripped([bytes(kept), memoryview(content)[at:end]], orientation(exif), extra, note)
        if marker == 0x01 or 0xD0 <= marker <= 0xD9:  # these stand alone
            kept += bytes([0xFF, marker])
            continue
        segment = content[at : at + max(2, int.from_bytes(content[at : at + 2]))]
        at += len(segment)
        if marker == 0xE1 and not exif and segment[2:8] == b"Exif\0\0":
            exif = segment[8:]
        if marker == 0xE2 and segment[2:6] == b"MPF\0" and _pictures(segment[6:]) > 1:
            note = PICTURES
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame = max(frame, bytes([marker]) + segment, key=_pixels)
        if marker in (0xE0, 0xEE) or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept += bytes([0xFF, marker]) + segment
    raise ValueError(f"more than {SEGMENTS:,} segments of a JPEG")


def strip_text(content: bytes) -> Stripped:
    """A bitmap, gray map or pixel map written in text, without its comments, each of which takes its decoder as long as all
    that comes after it."""
    return Stripped([_COMMENT.sub(b"", content)])


def _end_of_scans(content: bytes, at: int) -> int:
    """Where the JPEG ends whose first scan's header begins at `at`; what follows are other pictures, or none."""
    for _ in range(SEGMENTS):
        at += max(2, int.from_bytes(content[at : at + 2]))  # a segment with its length
        while (found := _BETWEEN.search(content, at)) is not None:
            at = found.end()
            if found[1] == b"\xd9":
                return at
            if found[1] != b"\x01":
                break
        if found is None:
            return len(content)
    raise ValueError(f"more than {SEGMENTS:,} segments of a JPEG")


def _pictures(index: bytes) -> int:
    """How many pictures the index of a file of several has; 1 where it is damaged."""
    try:
        order = _order(index)
        return next((int.from_bytes(value, _BYTE_ORDERS[order]) for tag, *_, value in _entries(index, order) if tag == 0xB001), 1)
    except (ValueError, struct.error):
        return 1


def _pixels(frame: bytes) -> int:
    """Of a frame's header: its marker and segment."""
    return int.from_bytes(frame[4:6]) * int.from_bytes(frame[6:8])


def _require_scans(frame: bytes, scans: int, first: int, limits: FileLimits) -> int:
    """Bytes that the decoder holds until the last scan; `first` is how many components the first scan has."""
    if scans > limits.scans or scans * _pixels(frame) > limits.scanned:
        raise ValueError(f"{scans:,} scans of {_pixels(frame):,} pixels, more than a photo has")
    if scans == 1 and frame[:1] in (b"\xc0", b"\xc1") and first == frame[8]:
        return 0
    factors = [(frame[at] >> 4, frame[at] & 15) for at in range(10, len(frame) - 1, 3)]
    if not factors or min(map(min, factors)) < 1:
        return 0  # no decoder begins
    shares = sum(wide * high for wide, high in factors) / max(wide for wide, _ in factors) / max(high for _, high in factors)
    return int(2 * _pixels(frame) * shares)  # numbers of 16 bits


def strip_png(content: bytes) -> Stripped:
    """A PNG without texts, profiles and animation, its pixels as one chunk."""
    view, head, last, exif, at = memoryview(content), bytearray(content[:8]), bytearray(), b"", 8
    note, bits = "", 0
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
            note = FRAMES
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
    return Stripped(
        [bytes(head), *pixels, bytes(4 if packed else 0) + bytes(last)], orientation(exif), 0, note, (1 << min(bits, 16)) - 1
    )


def strip_tiff(content: bytes, limits: FileLimits) -> Stripped:
    """A TIFF with the directory of its first picture alone.

    Raises ValueError where that is damaged, or its pixels are packed in a way that is not read, or more often than once.
    """
    order = _order(content)
    try:
        entries = _entries(content, order)
    except struct.error as error:
        raise ValueError("a truncated TIFF directory") from error
    kept, outside, turn = [], 0, 1
    for tag, kind, count, value in entries:
        if tag == _ORIENTATION and kind == _SHORT and count == 1:
            turn = _short(order, value)
        if tag not in _TIFF_TAGS or kind not in _UNITS:
            continue
        size = count * _UNITS[kind]
        (start,) = struct.unpack(order + "L", value) if size > 4 else (0,)
        outside += size if size > 4 else 0
        if not count or start + size > len(content) or outside > len(content) or count > STRIPS:
            raise ValueError(f"a damaged TIFF directory: tag {tag} has {count} values")
        if count > 1 and TiffTags.lookup(tag).length == 1 and tag != _JPEG_TABLES:  # of which Pillow thinks so wrongly
            raise ValueError(f"a damaged TIFF directory: tag {tag} has {count} values, not 1")
        kept.append((tag, kind, count, value))
    tags = {tag: _values(content, order, entry) for entry in reversed(kept) if (tag := entry[0])}
    extra, largest = _Layout(tags).extra(content, limits), max(tags.get(_LARGEST, (0,)))
    packed = b"".join(struct.pack(order + "HHL4s", *entry) for entry in kept)
    directory = struct.pack(order + "H", len(kept)) + packed + bytes(4)
    (at,) = struct.unpack_from(order + "L", content, 4)
    view = memoryview(content)
    note = PAGES if _has_page(content, order, at + 2 + 12 * len(entries)) else ""
    return Stripped([view[:at], directory, view[at + len(directory) :]], turn, extra, note, largest)


def _has_page(content: bytes, order: str, at: int) -> bool:
    """Does another picture follow in a TIFF, whose place stands at `at`? A small copy of the first is none."""
    try:
        (place,) = struct.unpack_from(order + "L", content, at)
        entries = _entries(content, order, place) if place else []
    except struct.error:
        return False
    kinds = [struct.unpack(order + "L", value)[0] for tag, kind, _, value in entries if tag == _SUBFILE and kind == 4]
    return bool(entries) and not any(kind & _REDUCED for kind in kinds)


@dataclass(frozen=True)
class _Layout:
    """How a TIFF's pixels lie in the file."""

    tags: dict[int, tuple[int, ...]]
    """The whole numbers of each tag."""

    def extra(self, content: bytes, limits: FileLimits) -> int:
        """Bytes that libtiff takes beside the pixels, of which it holds one strip at a time."""
        form = self._one(259, _PLAIN)
        if form == _PLAIN:
            return 0
        if form not in _PACKED:
            raise ValueError(f"a TIFF packed by {_PACKED_OTHERWISE.get(form, f'method {form}')}, which is not read")
        tiled = 324 in self.tags
        starts, sizes = (self.tags.get(tag, ()) for tag in ((324, 325) if tiled else (273, 279)))
        if len(starts) != len(sizes) or sum(sizes) > len(content):
            raise ValueError("a damaged TIFF directory: its strips do not say where they lie")
        wide, high = self._one(256, 0), self._one(257, 0)
        pixels = self._one(322, 0) * self._one(323, 0) if tiled else wide * min(high, self._one(278, high))
        if form == _JPEG:
            scans = sum(content.count(_SCAN, start, start + size) for start, size in zip(starts, sizes, strict=True))
            more = scans - len(starts)  # beside one for each strip
            if more > limits.scans or max(1, more) * pixels > limits.scanned:
                raise ValueError(f"{scans:,} scans in {len(starts):,} strips of a TIFF, more than a photo has")
            return pixels * (10 if more > 0 else 4)
        bits = max(self.tags.get(258, (1,))) * self._one(277, 1)
        return pixels * bits // 8

    def _one(self, tag: int, otherwise: int) -> int:
        return next(iter(self.tags.get(tag, ())), otherwise)


def _values(content: bytes, order: str, entry: Entry) -> tuple[int, ...]:
    """The whole numbers of an entry; none of another kind."""
    _, kind, count, value = entry
    letter = {1: "B", 3: "H", 4: "L"}.get(kind)
    if letter is None:
        return ()
    size = count * _UNITS[kind]
    (start,) = struct.unpack(order + "L", value) if size > 4 else (0,)
    return struct.unpack_from(f"{order}{count}{letter}", content if size > 4 else value, start)


def orientation(exif: bytes) -> int:
    """How the picture of an EXIF block lies, 1 to 8; 1, upright, where it does not say so."""
    exif = exif.removeprefix(b"Exif\0\0")
    try:
        order = _order(exif)
        for tag, kind, _, value in _entries(exif, order):
            if tag == _ORIENTATION and kind == _SHORT:
                return _short(order, value)
    except (ValueError, struct.error):
        pass
    return 1


def _short(order: str, value: bytes) -> int:
    return int(struct.unpack(order + "H", value[:2])[0])


def _order(content: bytes) -> str:
    """The byte order of a TIFF, or of EXIF, which is one, as struct writes it."""
    if content[:4] not in (b"II*\0", b"MM\0*"):
        raise ValueError("a TIFF of a kind that is not read here (BigTIFF, perhaps)")
    return "<" if content[:2] == b"II" else ">"


def _entries(content: bytes, order: str, at: int | None = None) -> list[Entry]:
    """Those of the directory at a place, or of the first one."""
    at = int(struct.unpack_from(order + "L", content, 4)[0]) if at is None else at
    (count,) = struct.unpack_from(order + "H", content, at)
    return [struct.unpack_from(order + "HHL4s", content, at + 2 + 12 * place) for place in range(count)]
