"""Where the bytes of a photo or video lie, in a folder or an archive, and how they are read there."""

import gzip
import io
import os
import re
import stat
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal, cast

from mien.errors import MienError
from mien.media.unzip import Unzipped

VIDEOS = (".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".avi", ".mkv", ".webm")
"""How the names of videos end, in lower case."""

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
"""How an address on a network begins; a Path keeps only one of its slashes."""

_LOCAL_HEADER = 30
"""Bytes of a zip entry's header before its name."""


@dataclass(frozen=True)
class ArchiveMember:
    """Where a member lies in its archive: enough to read it without reading the archive's directory again."""

    form: Literal["zip", "tar", "tar.gz"]
    """The kind of the archive."""
    offset: int
    """Where a zip entry's header begins; in a tar, where the member's first byte is (in a tar.gz, once unpacked)."""
    size: int
    """Bytes of the member, unpacked."""
    stored: int = 0
    """Bytes of the member within a zip, packed."""
    method: int = 0
    """The number of the way in which a zip packs it."""
    crc: int = 0
    """The checksum that a zip states."""


@dataclass(frozen=True)
class SourceFile:
    """A photo or a video that was found, to be read here or in another process."""

    name: str
    """A printable name, unique among the files found together and the same every time: the path from the input."""
    path: Path
    """The file, or the archive that holds it."""
    member: ArchiveMember | None = None
    """Where it lies in an archive; None for a file of its own."""
    content: bytes | None = field(default=None, repr=False)
    """The bytes of a photo of a tar.gz, in which one cannot jump to a member."""
    video: bool = False
    """Whether it is a video by its name; else it is a photo."""
    label: str = ""
    """The name of its class folder; "" for none."""
    split: str = ""
    """train, validation or test; "" where there are no splits."""
    subject: str = ""
    """Who is seen; "" where unknown."""
    more: tuple[tuple[str, str], ...] = ()
    """Other columns of the list that names it, with their values."""
    fault: str = ""
    """Why it cannot be read, where that is known already; else ""."""


def open_source_file(input: SourceFile) -> IO[bytes]:
    """The bytes of a photo or video, as a file that can be read and sought.

    Raises OSError or ValueError where there is no such file or member; reading a damaged member raises what zipfile, gzip
    and zlib do.
    """
    if input.fault:
        raise ValueError(input.fault)
    if input.content is not None:
        return io.BytesIO(input.content)
    reject_special_file(input.path)
    member = input.member
    if member is None:
        return input.path.open("rb")
    if member.form == "zip":
        return _open_zipped(input.path, member)
    file = gzip.GzipFile(input.path) if member.form == "tar.gz" else input.path.open("rb")
    return cast(IO[bytes], io.BufferedReader(_Slice(cast(IO[bytes], file), member)))


def reject_special_file(path: Path) -> None:
    """Raises ValueError for a folder, a pipe, a socket or a device, which may never end."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        raise ValueError("a folder, no file" if stat.S_ISDIR(mode) else "a pipe, a socket or a device, no file")


def require_local(named: str | Path) -> None:
    """Raises MienError for an address on a network, unless there is a file of that name."""
    if _ADDRESS.match(str(named)) and not os.path.lexists(named):
        address = re.sub("^([a-z]+:)/(?!/)", r"\1//", str(named))  # a path has no two slashes
        raise MienError("a file or folder", f"an address, {address}", "mien reads files only: download it first")


def unreadable(input: SourceFile, found: str) -> MienError:
    """The error to raise for a photo or video that cannot be read. `found`: why."""
    kind = "video" if input.video else "photo"
    return MienError(f"a {kind} at {input.name}", found, "replace or remove it")


def _open_zipped(path: Path, member: ArchiveMember) -> IO[bytes]:
    """A zip's entry by its place: to read the directory of a large zip for every photo would take longer than the photos."""
    file = path.open("rb")
    try:
        file.seek(member.offset)
        header = file.read(_LOCAL_HEADER)
        if len(header) < _LOCAL_HEADER or header[:4] != b"PK\x03\x04":
            raise ValueError("no entry of the zip where its directory says")
        file.seek(sum(struct.unpack_from("<HH", header, 26)), os.SEEK_CUR)  # the name and the extra field
        unpacked = Unzipped(file, member.stored, member.size, member.method, member.crc)
        return cast(IO[bytes], io.BufferedReader(unpacked))
    except BaseException:
        file.close()
        raise


class _Slice(io.RawIOBase):
    """A part of a file as a file of its own; it closes the file."""

    def __init__(self, file: IO[bytes], member: ArchiveMember) -> None:
        self._file = file
        self._first = member.offset
        self._size = member.size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # any writable buffer
        self._file.seek(self._first + self._at)
        content = self._file.read(max(0, min(len(buffer), self._size - self._at)))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()
