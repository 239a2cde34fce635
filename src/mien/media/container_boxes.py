"""How long a video's file says that it is: the outermost boxes of MP4, AVI and Matroska."""

import os
from typing import IO

_HEAD = 4096
"""Bytes in which a video tells its format."""


def missing_bytes(file: IO[bytes]) -> str:
    """How many bytes are missing of what the file states, in words; "" where none are. Raises ValueError for an empty file."""
    there = file.seek(0, os.SEEK_END)
    if not there:
        raise ValueError("an empty file")
    file.seek(0)
    head = file.read(_HEAD)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"):
        stated = _boxes(file, there)
    elif head.startswith(b"RIFF"):
        stated = 8 + int.from_bytes(head[4:8], "little")
    else:
        stated = _segment(head)
    file.seek(0)
    return f"a truncated file of {there:,} bytes where {stated:,} are stated" if stated > there else ""


def _boxes(file: IO[bytes], there: int) -> int:
    """Where the last box of an MP4 ends (ISO/IEC 14496-12, 4.2); the file has `there` bytes."""
    at = 0
    while at + 8 <= there:
        file.seek(at)
        head = file.read(16)
        size = int.from_bytes(head[:4])
        size = int.from_bytes(head[8:]) if size == 1 else size
        if size < 8:  # 0: to the end of the file
            return there
        at += size
    return at


def _segment(head: bytes) -> int:
    """Where the segment of a Matroska file ends (RFC 8794, 4 and 5); 0 where it does not say."""
    at = head.find(b"\x18\x53\x80\x67") + 4
    if not head.startswith(b"\x1a\x45\xdf\xa3") or at < 4 or at >= len(head) or not head[at]:
        return 0
    width = 9 - head[at].bit_length()
    size = int.from_bytes(head[at : at + width]) & ((1 << 7 * width) - 1)
    return 0 if size == (1 << 7 * width) - 1 else at + width + size
