"""TIFF files with their first picture alone, without metadata."""

import struct
from dataclasses import dataclass

from PIL import TiffTags

from mien.media.decoding.exif import (
    BYTES_OF_TYPE,
    ORIENTATION,
    SHORT,
    TiffEntry,
    byte_order,
    exif_stretch,
    short_value,
    tiff_entries,
)
from mien.media.decoding.strip_jpeg import SCAN
from mien.media.decoding.stripped import StrippedPicture
from mien.media.file_limits import FileLimits

STRIPS = 100_000
"""The most strips or tiles of a TIFF."""

PAGES = "several pages, of which the first is read"
"""The note for a file of several pages."""

_TIFF_TAGS = {
    *(256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325),
    *(281, 332, 338, 339, 347, 529, 530, 531, 532),
}
"""The tags that stay: sizes, layout, compression, largest values, colors and transparency."""

_PLAIN, _JPEG = 1, 7

_PACKED = (_PLAIN, 2, 3, 4, 5, _JPEG, 8, 32773, 32946)

_PACKED_OTHERWISE = {6: "old JPEG", 34676: "SGILog", 34677: "SGILog", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP"}
"""Ways to pack pixels that are not read. Read are plain pixels, those of faxes, LZW, JPEG, Deflate and PackBits."""

_LARGEST = 281

_JPEG_TABLES = 347

_SUBFILE, _REDUCED = 254, 1
"""The tag for what a picture in a TIFF is, and its bit for a small copy of another picture."""


def strip_tiff(content: bytes, limits: FileLimits) -> StrippedPicture:
    """A TIFF with the directory of its first picture alone.

    Raises ValueError where that is damaged, or its pixels are packed in a way that is not read.
    """
    order = byte_order(content)
    try:
        entries = tiff_entries(content, order)
    except struct.error as error:
        raise ValueError("a truncated TIFF directory") from error
    kept, outside, turn = [], 0, 1
    for tag, kind, count, value in entries:
        if tag == ORIENTATION and kind == SHORT and count == 1:
            turn = short_value(order, value)
        if tag not in _TIFF_TAGS or kind not in BYTES_OF_TYPE:
            continue
        size = count * BYTES_OF_TYPE[kind]
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
    return StrippedPicture([view[:at], directory, view[at + len(directory) :]], turn, extra, note, largest, exif_stretch(content))


def _has_page(content: bytes, order: str, at: int) -> bool:
    """Whether another picture follows in a TIFF; its place stands at `at`. A small copy of the first does not count."""
    try:
        (place,) = struct.unpack_from(order + "L", content, at)
        entries = tiff_entries(content, order, place) if place else []
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
        """Bytes that libtiff takes beside the pixels, since it holds one strip at a time."""
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
            scans = sum(content.count(SCAN, start, start + size) for start, size in zip(starts, sizes, strict=True))
            more = scans - len(starts)  # beside one for each strip
            if more > limits.scans or max(1, more) * pixels > limits.scanned:
                raise ValueError(f"{scans:,} scans in {len(starts):,} strips of a TIFF, more than a photo has")
            return pixels * (10 if more > 0 else 4)
        bits = max(self.tags.get(258, (1,))) * self._one(277, 1)
        return pixels * bits // 8

    def _one(self, tag: int, otherwise: int) -> int:
        return next(iter(self.tags.get(tag, ())), otherwise)


def _values(content: bytes, order: str, entry: TiffEntry) -> tuple[int, ...]:
    """The whole numbers of an entry; none for an entry of another type."""
    _, kind, count, value = entry
    letter = {1: "B", 3: "H", 4: "L"}.get(kind)
    if letter is None:
        return ()
    size = count * BYTES_OF_TYPE[kind]
    (start,) = struct.unpack(order + "L", value) if size > 4 else (0,)
    return struct.unpack_from(f"{order}{count}{letter}", content if size > 4 else value, start)
