"""The size of the frames in an AVIF by their own headers, which may differ from what the file states elsewhere."""

import re
from collections.abc import Iterator
from itertools import islice

SEQUENCE_HEADER = 1
"""The type of the unit (OBU) that states the size of frames."""
MOST = 1000
"""The most items of a file that are looked at."""
LONGEST = 1 << 16
"""The most bytes of the box of item locations that are read."""


class BitReader:
    """Reads numbers of any count of bits, one after the other; past the end they are 0."""

    def __init__(self, content: bytes) -> None:
        self._value, self._left = int.from_bytes(content), 8 * len(content)

    def take(self, count: int) -> int:
        """The next number, of `count` bits."""
        self._left -= count
        return self._value >> self._left & (1 << count) - 1 if self._left >= 0 else 0


def coded_pixels(content: bytes, places: bytes) -> int:
    """The most pixels of any frame in an AVIF; 0 where no header is found. `places`: the box that tells where items lie
    (iloc).
    """
    moving = (int.from_bytes(content[one.end() + 8 : one.end() + 12]) for one in islice(re.finditer(b"stco", content), MOST))
    return max((_frame_pixels(content[at : at + 4096]) for at in (*_items(places), *moving)), default=0)


def _items(places: bytes) -> Iterator[int]:
    """Where each item that lies in the file itself begins (ISO/IEC 14496-12, 8.11.3)."""
    version, bits = places[0] if places else 0, BitReader(places[4:LONGEST])
    offset, length, base, index = (8 * bits.take(4) for _ in range(4))
    wide = 32 if version == 2 else 16
    for _ in range(min(bits.take(wide), MOST)):
        bits.take(wide)
        method = bits.take(16) & 15 if version else 0
        bits.take(16)
        first = bits.take(base)
        for number in range(min(bits.take(16), MOST)):
            if version and index:
                bits.take(index)
            start = first + bits.take(offset)
            bits.take(length)
            if method == 0 and number == 0:
                yield start


def _frame_pixels(units: bytes) -> int:
    """Pixels of the largest frame, by the first sequence header among units (AV1, 5.3)."""
    at = 0
    while at + 2 <= len(units):
        head, at = units[at], at + 1
        at += head >> 2 & 1
        size, shift = len(units) - at, 0
        if head & 2:
            size = 0
            while at < len(units) and shift < 56:
                part, at = units[at], at + 1
                size, shift = size | (part & 127) << shift, shift + 7
                if part < 128:
                    break
        if head >> 3 & 15 == SEQUENCE_HEADER:
            return _sequence_pixels(BitReader(units[at : at + size]))
        at += size
    return 0


def _sequence_pixels(bits: BitReader) -> int:
    """Pixels of the largest frame, by a sequence header (AV1, 5.5)."""
    bits.take(4)
    if bits.take(1):  # of a still picture, and short
        bits.take(5)
    else:
        model = 0
        if bits.take(1):
            bits.take(64)
            if bits.take(1):
                _skip_code(bits)
            if bits.take(1):
                model = bits.take(5) + 1
                bits.take(42)
        delays = bits.take(1)
        for _ in range(bits.take(5) + 1):
            bits.take(12)
            if bits.take(5) > 7:
                bits.take(1)
            if model and bits.take(1):
                bits.take(2 * model + 1)
            if delays and bits.take(1):
                bits.take(4)
    wide, high = bits.take(4) + 1, bits.take(4) + 1
    return (bits.take(wide) + 1) * (bits.take(high) + 1)


def _skip_code(bits: BitReader) -> None:
    """Skip a number that states its own length."""
    zeros = 0
    while not bits.take(1) and zeros < 32:
        zeros += 1
    bits.take(zeros)
