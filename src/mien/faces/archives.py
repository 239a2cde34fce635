"""What lies in an archive, listed without unpacking: names in an archive are names, and nothing is ever written by them."""

import gzip
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from mien.errors import MienError
from mien.faces.places import MAX_BYTES, Member, fault, require_regular

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
"""How the names of archives end, in lower case."""

HEADER_BYTES = 1 << 20
"""The longest header of a tar's member."""

_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Entry:
    """A member by the name it has in the archive; `content` for a photo of a tar.gz, `fault` where it cannot be read."""

    name: str
    member: Member
    content: bytes | None = None
    fault: str = ""


def entries(path: Path, wanted: Callable[[str], bool], streamed: Callable[[str], bool]) -> Iterator[Entry]:
    """The members that are `wanted` by name, in the archive's order.

    Of a tar.gz, members that are `streamed` bring their bytes: reading them later would mean unpacking all before them.
    A zip's directory is held while it is listed; of a tar one member at a time is. Raises MienError where the archive is
    damaged, after the members before.
    """
    try:
        require_regular(path)
        found = _zipped(path, wanted) if path.name.lower().endswith(".zip") else _taped(path, wanted, streamed)
        yield from found
    except Exception as error:  # zipfile, tarfile and zlib meet damage with exceptions of many kinds; none is hidden.
        raise MienError(f"an archive at {path}", fault(error), "make or download it again, or remove it") from error


def _zipped(path: Path, wanted: Callable[[str], bool]) -> Iterator[Entry]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.is_dir() or not wanted(info.filename):
                continue
            stored, method = info.compress_size, info.compress_type
            member = Member("zip", info.header_offset, info.file_size, stored, method, info.CRC)
            found = "a link, which is not followed" if stat.S_ISLNK(info.external_attr >> 16) else ""
            found = "encrypted in the zip" if info.flag_bits & _ENCRYPTED else found
            yield Entry(info.filename, member, fault=found)


def _taped(path: Path, wanted: Callable[[str], bool], streamed: Callable[[str], bool]) -> Iterator[Entry]:
    packed = not path.name.lower().endswith(".tar")
    opened = cast(IO[bytes], gzip.GzipFile(path) if packed else path.open("rb"))
    with opened as file, tarfile.open(fileobj=cast(IO[bytes], _Sparing(file)), mode="r:") as archive:
        while (info := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # tarfile would keep them all
            if not info.isdir() and wanted(info.name):
                yield _entry(info, file, packed, streamed(info.name))
        file.seek(archive.offset)
        # tarfile takes a header that it cannot read, or the file's end, for that of the archive.
        end = file.read(tarfile.BLOCKSIZE)
        if end != bytes(tarfile.BLOCKSIZE):
            what = "a damaged header" if end else "no mark of the end, but nothing more,"
            raise ValueError(f"{what} at byte {archive.offset:,}")


def _entry(info: tarfile.TarInfo, file: IO[bytes], packed: bool, streamed: bool) -> Entry:
    member = Member("tar.gz" if packed else "tar", info.offset_data, info.size)
    if info.issym() or info.islnk():
        return Entry(info.name, member, fault="a link, which is not followed")
    if not info.isreg() or info.issparse():
        return Entry(info.name, member, fault="a sparse file or a device in the tar, no plain file")
    if not (packed and streamed):
        return Entry(info.name, member)
    if info.size > MAX_BYTES:
        return Entry(info.name, member, fault=f"{info.size:,} bytes, more than {MAX_BYTES:,}")
    file.seek(info.offset_data)
    return Entry(info.name, member, file.read(info.size))


class _Sparing:
    """The file that tarfile reads headers from; a header may claim any size, and a packed one may well have it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.seek, self.tell, self._file = file.seek, file.tell, file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= HEADER_BYTES:
            raise ValueError(f"a header of {size:,} bytes")
        return self._file.read(size)
