"""Pieces of bytes in memory that are read as one file, without copying them."""

import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from mien.media.file_limits import Deadline

Piece = bytes | memoryview


class JoinedBytes:
    """Pieces of bytes, read as one file until a deadline.

    Decoders read a little at a time: after the deadline the next read raises ValueError, which ends them.
    """

    def __init__(self, pieces: Sequence[Piece], deadline: Deadline) -> None:
        self._pieces = [piece for piece in pieces if len(piece)]
        self._starts = [0, *accumulate(map(len, self._pieces))]
        self._at, self._deadline = 0, deadline
        self._near: Piece = b""
        self._low = 0
        """The piece that was read last, and where it begins."""

    def read(self, size: int | None = -1) -> bytes:
        """The next `size` bytes; for a negative size, all that are left."""
        self._deadline.check()
        begin = self._at - self._low
        if size is not None and 0 <= begin <= begin + size <= len(self._near):  # most reading is of a few bytes
            self._at += size
            return bytes(self._near[begin : begin + size])
        left = max(0, self._starts[-1] - self._at)
        size = left if size is None or size < 0 else min(size, left)
        if size == self._starts[-1] and len(self._pieces) == 1 and isinstance(self._pieces[0], bytes):
            self._at = size
            return self._pieces[0]
        parts, place = list[Piece](), bisect_right(self._starts, self._at) - 1
        while size:
            self._near, self._low = self._pieces[place], self._starts[place]
            begin = self._at - self._low
            part = self._near[begin : begin + size]
            parts.append(part)
            size, self._at, place = size - len(part), self._at + len(part), place + 1
        return b"".join(parts)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, which may lie beyond the end."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._starts[-1]}[whence]
        if start + offset < 0:
            raise ValueError("a place before the file")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        """The position of the next byte."""
        return self._at

    def close(self) -> None:
        """Does nothing: the bytes belong to the caller."""
