"""JPEG files up to their end, without metadata."""

import re
import struct

from mien.media.decoding.exif import BYTE_ORDERS, byte_order, exif_stretch, orientation, stretch_by, tiff_entries
from mien.media.decoding.stripped import StrippedPicture
from mien.media.file_limits import FileLimits

SEGMENTS = 10_000
"""The most segments of a JPEG, apart from those within scans."""

SEVERAL_PICTURES = "several pictures in one file, of which the first is read"
"""The note for a file of several pictures."""

_PICTURE_COUNT = 0xB001
"""The tag of the number of pictures, in the index of a file of several (MPF)."""

_MARKER = re.compile(rb"\xff([^\x00\xff])")
"""The next marker of a JPEG, behind bytes that are no marker."""

_BETWEEN = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
"""The next marker behind a scan, apart from restart markers, which lie within scans."""

SCAN = b"\xff\xda"


def strip_jpeg(content: bytes, limits: FileLimits) -> StrippedPicture:
    """A JPEG up to its end, without metadata; segments of JFIF and Adobe stay, since they tell what the colors mean.

    Raises ValueError where it has more scans than the limits allow.
    """
    kept, exif, frame, note, at, stretch = bytearray(content[:2]), b"", b"", "", 2, 1.0
    for _ in range(SEGMENTS):
        found = _MARKER.search(content, at)
        if found is None:
            return StrippedPicture([bytes(kept)], orientation(exif), note=note)
        marker, at = found[1][0], found.end()
        if marker == 0xDA:  # a scan begins
            end = _end_of_scans(content, at)
            kept += SCAN
            # As often as they stand in what is decoded: no reading of it finds more.
            scans = kept.count(SCAN) + content.count(SCAN, at, end)
            extra = _require_scans(frame, scans, content[at + 2], limits) if at + 2 < end else 0
            stretch = exif_stretch(exif) if stretch == 1 else stretch
            return StrippedPicture([bytes(kept), memoryview(content)[at:end]], orientation(exif), extra, note, stretch=stretch)
        if marker == 0x01 or 0xD0 <= marker <= 0xD9:  # these stand alone
            kept += bytes([0xFF, marker])
            continue
        segment = content[at : at + max(2, int.from_bytes(content[at : at + 2]))]
        at += len(segment)
        if marker == 0xE1 and not exif and segment[2:8] == b"Exif\0\0":
            exif = segment[8:]
        if marker == 0xE0 and stretch == 1:
            stretch = _stretch(segment)
        if marker == 0xE2 and segment[2:6] == b"MPF\0" and _pictures(segment[6:]) > 1:
            note = SEVERAL_PICTURES
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame = max(frame, bytes([marker]) + segment, key=_pixels)
        if marker in (0xE0, 0xEE) or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept += bytes([0xFF, marker]) + segment
    raise ValueError(f"more than {SEGMENTS:,} segments of a JPEG")


def _stretch(jfif: bytes) -> float:
    """How many times as wide as high pixels are by JFIF's segment, given with its length; 1 where it says nothing likely."""
    if jfif[2:7] != b"JFIF\0" or len(jfif) < 14:
        return 1.0
    return stretch_by(int.from_bytes(jfif[10:12]), int.from_bytes(jfif[12:14]))


def _end_of_scans(content: bytes, at: int) -> int:
    """The position where a JPEG ends, given where its first scan's header begins. What follows belongs to other pictures."""
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
    """The number of pictures that the index of a file of several states; 1 where it is damaged."""
    try:
        order = byte_order(index)
        return next(
            (int.from_bytes(value, BYTE_ORDERS[order]) for tag, *_, value in tiff_entries(index, order) if tag == 0xB001), 1
        )
    except (ValueError, struct.error):
        return 1


def _pixels(frame: bytes) -> int:
    """The number of pixels by a frame's header: its marker and segment."""
    return int.from_bytes(frame[4:6]) * int.from_bytes(frame[6:8])


def _require_scans(frame: bytes, scans: int, first: int, limits: FileLimits) -> int:
    """The bytes that a decoder holds until the last scan. `first`: the number of components of the first scan."""
    if scans > limits.scans or scans * _pixels(frame) > limits.scanned:
        raise ValueError(f"{scans:,} scans of {_pixels(frame):,} pixels, more than a photo has")
    if scans == 1 and frame[:1] in (b"\xc0", b"\xc1") and first == frame[8]:
        return 0
    factors = [(frame[at] >> 4, frame[at] & 15) for at in range(10, len(frame) - 1, 3)]
    if not factors or min(map(min, factors)) < 1:
        return 0  # no decoder begins
    shares = sum(wide * high for wide, high in factors) / max(wide for wide, _ in factors) / max(high for _, high in factors)
    return int(2 * _pixels(frame) * shares)  # numbers of 16 bits
