"""The members of zip and tar archives, listed without unpacking: names in an archive never become paths that are written to."""

import gzip
import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from mien.errors import MienError
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.media.rejections import reason_of
from mien.media.source_files import ArchiveMember, reject_special_file

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
"""How the names of archives end, in lower case."""

HEADER_BYTES = 1 << 17
"""The most bytes of the header of a member of a tar."""

END_BYTES = 1 << 17
"""Bytes at a zip's end that are read to find its directory: more than may stand behind it."""

NAME_BYTES = 1 << 16
"""The most bytes of a name in a gzip's header."""

HEADERS = 1000
"""The most headers that a tar has for all its members together."""

SOME = 1 << 27
"""Bytes that the members of any archive may have, however small the archive is."""

_DIGITS = re.compile(rb"\d{100}")
"""A row of digits that no true header has: tarfile would look at it again from each of its digits."""

_ENCRYPTED = 0x1


@dataclass(frozen=True)
class ArchiveEntry:
    """A file in an archive."""

    name: str
    """The file's name in the archive."""
    member: ArchiveMember
    """Where the file lies in the archive."""
    content: bytes | None = None
    """The bytes of a photo of a tar.gz; None for other files."""
    fault: str = ""
    """Why the file cannot be read; "" where it can."""


def archive_entries(
    path: Path, wanted: Callable[[str], bool], streamed: Callable[[str], bool], limits: FileLimits = FILE_LIMITS
) -> Iterator[ArchiveEntry]:
    """The members of an archive whose names are `wanted`, in the archive's order.

    Members of a tar.gz whose names are `streamed` come with their bytes: to read them later, all before them would be unpacked.
    In memory are a zip's directory, or one member of a tar. Raises MienError, after the members before, where the archive is
    damaged or beyond the limits.
    """
    try:
        reject_special_file(path)
        found = _zipped(path, wanted, limits) if path.name.lower().endswith(".zip") else _taped(path, wanted, streamed, limits)
        yield from found
    except Exception as error:  # zipfile, tarfile and zlib meet damage with exceptions of many kinds; none is hidden.
        raise MienError(f"an archive at {path}", reason_of(error), "make or download it again, or remove it") from error


def _zipped(path: Path, wanted: Callable[[str], bool], limits: FileLimits) -> Iterator[ArchiveEntry]:
    with path.open("rb") as file, zipfile.ZipFile(cast(IO[bytes], _Sparing(file, limits.directory, "directory"))) as archive:
        listed, there = archive.infolist(), os.fstat(file.fileno()).st_size
        if len(listed) > limits.members:
            raise ValueError(f"{len(listed):,} members, more than {limits.members:,}")
        if sum(info.compress_size for info in listed) > there:
            raise ValueError("members that share their bytes")
        _require_packed(sum(info.file_size for info in listed), there, limits)
        for info in listed:
            if info.is_dir() or not wanted(info.filename):
                continue
            stored, method = info.compress_size, info.compress_type
            member = ArchiveMember("zip", info.header_offset, info.file_size, stored, method, info.CRC)
            found = "a link, which is not followed" if stat.S_ISLNK(info.external_attr >> 16) else ""
            found = "encrypted in the zip" if info.flag_bits & _ENCRYPTED else found
            yield ArchiveEntry(info.filename, member, fault=found)


def _taped(
    path: Path, wanted: Callable[[str], bool], streamed: Callable[[str], bool], limits: FileLimits
) -> Iterator[ArchiveEntry]:
    packed, there = not path.name.lower().endswith(".tar"), path.stat().st_size
    with path.open("rb") as raw:
        opened = cast(IO[bytes], gzip.GzipFile(fileobj=cast(IO[bytes], _Letters(raw))) if packed else raw)
        sparing = cast(IO[bytes], _Sparing(opened, HEADER_BYTES, "header"))
        with opened as file, tarfile.open(fileobj=sparing, mode="r:") as archive:
            for _ in range(limits.members):
                info = archive.next()
                if info is None:
                    break
                archive.members.clear()  # type: ignore[attr-defined]  # tarfile would keep them all
                if len(archive.pax_headers) > HEADERS:
                    raise ValueError(f"{len(archive.pax_headers):,} headers for all members")
                if packed:
                    _require_packed(info.offset_data + info.size, there, limits)
                if not info.isdir() and wanted(info.name):
                    yield _entry(info, file, packed, streamed(info.name), limits)
            else:
                raise ValueError(f"more than {limits.members:,} members")
            file.seek(archive.offset)
            # tarfile takes a header that it cannot read, or the file's end, for that of the archive.
            end = file.read(tarfile.BLOCKSIZE)
            if end != bytes(tarfile.BLOCKSIZE):
                what = "a damaged header" if end else "no mark of the end, but nothing more,"
                raise ValueError(f"{what} at byte {archive.offset:,}")


def _require_packed(unpacked: int, there: int, limits: FileLimits) -> None:
    """Raises ValueError where `unpacked` bytes in an archive of `there` bytes are more than real files pack so small."""
    if unpacked > max(SOME, limits.packed * there):
        raise ValueError(f"{unpacked:,} bytes packed into {there:,}, more than {limits.packed} times as many")


def _entry(info: tarfile.TarInfo, file: IO[bytes], packed: bool, streamed: bool, limits: FileLimits) -> ArchiveEntry:
    member = ArchiveMember("tar.gz" if packed else "tar", info.offset_data, info.size)
    if info.issym() or info.islnk():
        return ArchiveEntry(info.name, member, fault="a link, which is not followed")
    if not info.isreg() or info.issparse():
        return ArchiveEntry(info.name, member, fault="a sparse file or a device in the tar, no plain file")
    if not (packed and streamed):
        return ArchiveEntry(info.name, member)
    if info.size > limits.bytes:
        return ArchiveEntry(info.name, member, fault=f"{info.size:,} bytes, more than {limits.bytes:,}")
    file.seek(info.offset_data)
    return ArchiveEntry(info.name, member, file.read(info.size))


class _Sparing:
    """A file for zipfile or tarfile that refuses to read large headers: a header may claim any size, and a packed one may
    have it.
    """

    def __init__(self, file: IO[bytes], most: int, what: str) -> None:
        self.seek = file.seek
        self.tell = file.tell
        self._file = file
        self._most = most
        self._what = what

    def read(self, size: int = -1) -> bytes:
        if size > self._most:
            raise ValueError(f"a {self._what} of {size:,} bytes, more than {self._most:,}")
        content = self._file.read(END_BYTES if size < 0 else size)
        if len(content) > tarfile.BLOCKSIZE and self._what == "header" and _DIGITS.search(content):
            raise ValueError("a header of digits")
        return content


class _Letters:
    """A file for gzip that refuses long names: gzip reads a name letter by letter, and it may be as long as the file."""

    def __init__(self, file: IO[bytes]) -> None:
        self.seek = file.seek
        self.tell = file.tell
        self.close = file.close
        self._file = file
        self._letters = 0

    def read(self, size: int = -1) -> bytes:
        self._letters = self._letters + 1 if size == 1 else 0
        if self._letters > NAME_BYTES:
            raise ValueError(f"a name of more than {NAME_BYTES:,} bytes in a gzip's header")
        return self._file.read(size)
