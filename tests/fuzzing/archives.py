"""Archives: zip, tar and tar.gz with directories that lie, bombs, odd names, links, sparse members, and bytes exchanged."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mien.errors import MienError
from mien.media.file_limits import FileLimits
from mien.media.find_source_files import find_source_files
from mien.media.photos_and_frames import read_photos_and_frames

Generator = np.random.Generator

WAYS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
MUCH = 400 << 20
"""Bytes that a bomb is unpacked to."""


def make(generator: Generator, folder: Path) -> None:
    """One archive."""
    how: list[Callable[[Generator], tuple[str, bytes]]] = [_harmed, _harmed, _harmed, _zip_bomb, _tar_bomb, _lying, _crafted]
    ending, content = how[generator.integers(len(how))](generator)
    (folder / f"a{ending}").write_bytes(content)


def read(folder: Path) -> None:
    """As `predict` and `prepare` do."""
    faults, photos = list[Any](), 0
    for _ in read_photos_and_frames(find_source_files([folder]), 1.0, faults, FileLimits()):
        photos += 1
    if faults and not photos:
        raise MienError("an archive", faults[0].reason, "give another")


@cache
def _photo() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def _name(generator: Generator) -> str:
    names: tuple[str, ...] = (
        "1.png",
        "../../up.png",
        "/root.png",
        "a\\b.jpg",
        "\0.png",
        "deep/" * 300 + "1.png",
        "é\udc80.png".encode("utf-8", "replace").decode(),
    )
    names += ("n" * 60_000 + ".png", ".hidden.png", "[/]\x1b[31m.png", "b.zip", "c.mp4", "d.heic", "con.jpg", "e.png/")
    return names[generator.integers(len(names))]


def _zip(generator: Generator) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", WAYS[generator.integers(len(WAYS))]) as archive:
        warnings.simplefilter("ignore")  # of a name that is there already
        for _ in range(generator.integers(1, 6)):
            archive.writestr(_name(generator).replace("\0", "x"), _photo())
    return file.getvalue()


def _tar(generator: Generator) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=int(generator.choice([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))) as archive:
        for _ in range(generator.integers(1, 6)):
            info = tarfile.TarInfo(_name(generator))
            info.type = (tarfile.REGTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)[
                generator.integers(6)
            ]
            info.linkname = "../../../etc/passwd"
            info.size = len(_photo()) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(_photo()))
    return file.getvalue()


def _harmed(generator: Generator) -> tuple[str, bytes]:
    """Bytes exchanged, an end cut off, a part doubled."""
    kind = generator.integers(3)
    made = bytearray(_zip(generator) if kind == 0 else _tar(generator))
    if kind == 2 and generator.random() < 0.7:
        made = bytearray(gzip.compress(bytes(made), 1))
    for _ in range(generator.integers(0, 12)):
        made[generator.integers(len(made))] = generator.choice([0, 1, 255, int(generator.integers(256))])
    if generator.random() < 0.3:
        made = made[: generator.integers(1, len(made))]
    if generator.random() < 0.2:
        at = int(generator.integers(len(made)))
        made[at:at] = made[max(0, at - 600) : at] * int(generator.choice([1, 5, 500]))
    if kind == 2 and made[:2] != b"\x1f\x8b":
        made = bytearray(gzip.compress(bytes(made), 1))
    return (".zip", ".tar", ".tar.gz")[kind], bytes(made)


@cache
def _bomb(way: int, size: int) -> tuple[bytes, int]:
    """A zip's member of zeros, packed, and its checksum."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", way) as archive, archive.open("a.jpg", "w", force_zip64=True) as member:
        for _ in range(size >> 20):
            member.write(bytes(1 << 20))
    (info,) = zipfile.ZipFile(file).infolist()
    start = 30 + sum(struct.unpack_from("<HH", file.getvalue(), 26))
    return file.getvalue()[start : start + info.compress_size], info.CRC


def zipped(members: list[tuple[str, bytes, int, int, int]], shared: bool = False, count: int | None = None) -> bytes:
    """A zip of members: name, packed bytes, stated size, method, checksum; `shared`: all lie at the same place."""
    made, directory = bytearray(), bytearray()
    for name, packed, size, method, crc in members:
        text, at = name.encode("utf-8", "surrogateescape"), 0 if shared else len(made)
        head = struct.pack("<HHHHHIIIHH", 20, 0, method, 0, 0, crc, len(packed), size % 2**32, len(text), 0)
        if not shared or not made:
            made += b"PK\x03\x04" + head + text + packed
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + head + struct.pack("<HHHII", 0, 0, 0, 0, at) + text
    many = min(65535, len(members)) if count is None else count
    return bytes(made + directory) + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, many, many, len(directory), len(made), 0)


def _zip_bomb(generator: Generator) -> tuple[str, bytes]:
    way = int(WAYS[1 + generator.integers(3)])
    packed, crc = _bomb(way, MUCH)
    size = int(generator.choice([MUCH, 100_000, 2**32 - 1, 200 << 20, 0]))
    times = int(generator.choice([1, 2, 300]))
    shared = bool(generator.random() < 0.5) or times > 2
    return ".zip", zipped([(f"{n}.jpg", packed, size, way, crc) for n in range(times)], shared)


def _tar_bomb(generator: Generator) -> tuple[str, bytes]:
    info = tarfile.TarInfo("a.jpg")
    info.size = int(generator.choice([MUCH, 200 << 20, 8 << 30, 100]))
    info.type = (tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE, tarfile.GNUTYPE_SPARSE)[
        generator.integers(5)
    ]
    packer = zlib.compressobj(6, wbits=31)
    parts = [packer.compress(info.tobuf(tarfile.GNU_FORMAT))]
    parts += [packer.compress(bytes(1 << 20)) for _ in range(int(generator.choice([1, 200, MUCH >> 20])))]
    return ".tgz", b"".join(parts) + packer.flush()


def _lying(generator: Generator) -> tuple[str, bytes]:
    """A zip whose sizes, methods, places or counts are others than it states; packed by LZMA with a huge dictionary."""
    photo, crc = _photo(), zlib.crc32(_photo())
    deflated = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflated.compress(photo) + deflated.flush()
    settings = b"\x09\x04\x05\0" + bytes([93]) + struct.pack("<I", int(generator.choice([2**32 - 1, 1 << 31, 4096, 0])))
    raw = lzma.compress(photo, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 4096, "lc": 3, "lp": 0, "pb": 2}])
    bodies = (
        (photo, 0),
        (packed, 8),
        (packed, 9),
        (bz2.compress(photo), 12),
        (settings + raw, 14),
        (packed, 93),
        (packed, 0),
        (b"", 8),
        (photo, 14),
    )
    members = list[tuple[str, bytes, int, int, int]]()
    for _ in range(generator.integers(1, 5)):
        body, way = bodies[generator.integers(len(bodies))]
        size = int(generator.choice([len(photo), len(photo) - 1, len(photo) + 1, 0, 2**31, 2**32 - 1]))
        members.append((_name(generator), body, size, way, crc if generator.random() < 0.8 else 1))
    count = None if generator.random() < 0.5 else int(generator.choice([0, 1, 65535]))
    made = zipped(members, bool(generator.random() < 0.3), count)
    return ".zip", made + generator.bytes(int(generator.choice([0, 0, 100, 70_000])))


def _crafted(generator: Generator) -> tuple[str, bytes]:
    """Many members, headers of digits, names without an end, and what is no archive."""
    many = int(generator.choice([100, 10_000, 300_000]))
    header = tarfile.TarInfo("a.txt").tobuf()
    pax = tarfile.TarInfo("pax")
    pax.type, pax.size = (tarfile.XHDTYPE, tarfile.XGLTYPE)[generator.integers(2)], min(many, 100_000)
    body = (
        b"1" * pax.size,
        b"30 mtime=" + b"9" * pax.size,
        b"9 a=bcde\n" * (pax.size // 9),
        b"22 GNU.sparse.major=1\n" * (pax.size // 22),
    )
    said = body[generator.integers(4)][: pax.size].ljust(-(-pax.size // 512) * 512, b"\0")
    made: list[Callable[[], tuple[str, bytes]]] = [
        lambda: (".tgz", gzip.compress(header * many + bytes(1024), 1)),
        lambda: (".tar", pax.tobuf(tarfile.GNU_FORMAT) + said + header + bytes(1024)),
        lambda: (".tar", (pax.tobuf(tarfile.GNU_FORMAT) + said) * 30 + header + bytes(1024)),
        lambda: (".tgz", b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * many * 10),
        lambda: (".tgz", gzip.compress(b"", 1) * min(many, 100_000)),
        lambda: (".zip", zipped([(f"{n}.txt", b"", 0, 0, 0) for n in range(min(many, 60_000))])),
        lambda: (".zip", zipped([(f"{n}.png", b"", 0, 0, 0) for n in range(min(many, 30_000))], shared=True)),
        lambda: (".zip", generator.bytes(many)),
        lambda: (".zip", b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, 2**32 - 1, 0, 0)),
    ]
    return made[generator.integers(len(made))]()
