"""Unpacks a member of a zip a little at a time, so that memory is bounded however much is packed into how little."""

import bz2
import io
import lzma
import os
import struct
import zlib
from typing import IO, Protocol

STORED, DEFLATED, BZIP2, LZMA = 0, 8, 12, 14
"""The ways in which a zip packs; others are not read."""

DICTIONARY = 1 << 27
"""The most bytes that LZMA may look back, of up to 4 GiB that a file may state."""

_PACKED = 1 << 16
"""Packed bytes read at a time."""
_UNPACKED = 1 << 20
"""The most bytes unpacked at a time."""


class Unzipper(Protocol):
    """An unpacker with the interface of bz2's and lzma's."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Unzipped(io.RawIOBase):
    """A member of a zip as a file. It closes the zip's file; going back unpacks the member again.

    Reading raises ValueError where the content is not what the zip states, and EOFError where it ends too early.
    """

    def __init__(self, file: IO[bytes], stored: int, size: int, method: int, crc: int) -> None:
        self._file, self._start = file, file.tell()
        self._stored = stored
        self._size = size
        self._method = method
        self._crc = crc
        self._at = self._left = self._sum = self._wanted = 0
        self._restart()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._wanted, os.SEEK_END: self._size}[whence]
        self._wanted = max(0, start + offset)
        return self._wanted

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # any writable buffer
        if self._wanted < self._at:
            self._restart()
        while self._at < self._wanted and self._next(min(self._wanted - self._at, _UNPACKED)):
            pass
        if self._wanted > self._at:  # beyond the end
            return 0
        content = self._next(min(len(buffer), _UNPACKED))
        buffer[: len(content)] = content
        self._wanted = self._at
        return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _restart(self) -> None:
        self._at = 0
        self._left = self._stored
        self._sum = 0
        self._file.seek(self._start)
        self._unpacker = self._unpacking()

    def _unpacking(self) -> Unzipper:
        if self._method == STORED:
            return _Stored()
        if self._method == DEFLATED:
            return _Inflating()
        if self._method == BZIP2:
            return bz2.BZ2Decompressor()
        if self._method == LZMA:
            return _lzma(self._packed(9), self._size)
        raise ValueError(f"packed by the zip's method {self._method}, which is not read")

    def _packed(self, most: int = _PACKED) -> bytes:
        content = self._file.read(min(most, self._left))
        self._left -= len(content)
        return content

    def _next(self, most: int) -> bytes:
        """The next bytes, at least one before the end."""
        most = min(most, self._size - self._at)
        while most > 0:
            content = b"" if self._unpacker.eof else self._more(most)
            if content:
                self._at += len(content)
                self._sum = zlib.crc32(content, self._sum)
                if self._at == self._size and self._sum != self._crc:
                    raise ValueError("a damaged member of a zip, whose checksum is another")
                return content
            if self._unpacker.eof or (self._unpacker.needs_input and not self._left):
                raise EOFError(f"a member of {self._at:,} bytes where the zip states {self._size:,}")
        return b""

    def _more(self, most: int) -> bytes:
        packed = b""
        if self._unpacker.needs_input:
            packed = self._packed()
            if not packed:
                self._left = 0
                return b""
        return self._unpacker.decompress(packed, most)


class _Stored:
    """The unpacker for members that are not packed."""

    eof = False

    def __init__(self) -> None:
        self._kept = b""

    @property
    def needs_input(self) -> bool:
        return not self._kept

    def decompress(self, data: bytes, max_length: int) -> bytes:
        content = data or self._kept
        self._kept = content[max_length:]
        return content[:max_length]


class _Inflating:
    """The unpacker for Deflate."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._kept = b""
        self._more = False

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def needs_input(self) -> bool:
        return not self._kept and not self._more

    def decompress(self, data: bytes, max_length: int) -> bytes:
        content = self._inflater.decompress(self._kept + data, max_length)
        self._kept = self._inflater.unconsumed_tail
        self._more = len(content) == max_length  # there may be some in it yet
        return content


def _lzma(head: bytes, size: int) -> Unzipper:
    """The unpacker for LZMA, by the settings before the packed bytes (APPNOTE.TXT, 5.8)."""
    if len(head) < 9 or head[2:4] != b"\x05\0" or head[4] >= 225:
        raise ValueError("a damaged member of a zip: LZMA without its settings")
    (stated,) = struct.unpack("<I", head[5:])
    dictionary = max(4096, min(stated, size))  # there is nothing else to look back at
    if dictionary > DICTIONARY:
        raise ValueError(f"packed by LZMA with a dictionary of {dictionary:,} bytes, more than {DICTIONARY:,}")
    rest, lc = divmod(head[4], 9)
    pb, lp = divmod(rest, 5)
    settings = {"id": lzma.FILTER_LZMA1, "dict_size": dictionary, "lc": lc, "lp": lp, "pb": pb}
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[settings])
