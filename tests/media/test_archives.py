"""Archives that state something else than they hold, or hold much in little: what they cost is bounded, and is said."""

import bz2
import gzip
import io
import os
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.errors import MienError
from mien.media.file_limits import FILE_LIMITS, NO_LIMITS, FileLimits
from mien.media.find_source_files import find_source_files
from mien.media.photos import read_photo
from mien.media.source_files import SourceFile, open_source_file

WAYS = {"stored": 0, "deflate": 8, "bzip2": 12, "lzma": 14}


def photo(tone: int = 7) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((40, 60, 3), tone, np.uint8)).save(file, "BMP")
    return file.getvalue()


def zipped(path: Path, members: dict[str, bytes], way: int) -> Path:
    with zipfile.ZipFile(path, "w", way) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def faults(path: Path, limits: FileLimits = FILE_LIMITS) -> dict[str, str]:
    """What of an archive cannot be read, and why."""
    found = dict[str, str]()
    for one in find_source_files([path], limits=limits):
        try:
            read_photo(one, limits)
        except MienError as error:
            found[one.name] = error.found
    return found


def changed(path: Path, at: int, form: str, value: int) -> Path:
    """A number exchanged in the directory of a zip of one member, whose place is `at` there."""
    made = bytearray(path.read_bytes())
    struct.pack_into(form, made, made.find(b"PK\x01\x02") + at, value)
    path.write_bytes(made)
    return path


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_way_to_pack_is_unpacked(tmp_path: Path, way: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 3_000_000, np.uint8).tobytes() + bytes(2_000_000)
    path = zipped(tmp_path / "a.zip", {"0.bmp": photo(3), "1.mp4": noise, "2.bmp": photo(9)}, way)
    first, second, third = find_source_files([path])
    assert (read_photo(first)[0, 0, 0], read_photo(third)[0, 0, 0]) == (3, 9)
    with open_source_file(second) as file:
        assert file.read() == noise
        for at, size in ((2_999_990, 20), (5, 70_000), (len(noise) - 3, 9), (len(noise) + 9, 9)):
            file.seek(at)
            assert file.read(size) == noise[at : at + size]
        assert file.seek(0, os.SEEK_END) == len(noise)
        assert file.seek(-4, os.SEEK_CUR) == len(noise) - 4
        assert file.read() == noise[-4:]


@pytest.mark.parametrize("way", [8, 12, 14], ids=["deflate", "bzip2", "lzma"])
def test_much_in_little_is_unpacked_a_little_at_a_time(tmp_path: Path, way: int) -> None:
    path = zipped(tmp_path / "a.zip", {"0.bmp": bytes(96 << 20)}, way)
    assert path.stat().st_size < 200_000
    limits = replace(FILE_LIMITS, bytes=4 << 20)
    tracemalloc.start()
    try:
        assert faults(path, limits) == {"0.bmp": "more than 4,194,304 bytes"}
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_member_is_what_its_zip_states(tmp_path: Path, way: int) -> None:
    content = photo()
    size, crc = len(content), zlib.crc32(content)

    def made() -> Path:
        return zipped(tmp_path / "a.zip", {"0.bmp": content}, way)

    assert faults(made()) == {}
    assert "checksum is another" in faults(changed(made(), 16, "<I", crc ^ 1))["0.bmp"]
    assert faults(changed(made(), 24, "<I", size - 1))["0.bmp"]
    assert "truncated" in faults(changed(made(), 24, "<I", size + 5000))["0.bmp"]
    assert "truncated" in faults(changed(made(), 20, "<I", 10))["0.bmp"]
    assert "method 93, which is not read" in faults(changed(made(), 10, "<H", 93))["0.bmp"]


def test_a_dictionary_of_lzma_is_no_larger_than_what_is_packed(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"0.bmp": photo()}, zipfile.ZIP_LZMA)
    made = bytearray(path.read_bytes())
    at = 30 + struct.unpack_from("<H", made, 26)[0] + 5
    struct.pack_into("<I", made, at, 2**32 - 1)
    path.write_bytes(made)
    tracemalloc.start()
    try:
        assert faults(path) == {}, "4 GiB are stated, and 7 kB are there"
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    (large,) = find_source_files([changed(path, 24, "<I", 2**28)], limits=NO_LIMITS)
    with pytest.raises(MienError, match="a dictionary of 268,435,456 bytes, more than 134,217,728"):
        read_photo(large)


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"0.bmp": photo(), "1.bmp": photo()}, 0)
    made = bytearray(path.read_bytes())
    second = made.rfind(b"PK\x01\x02")
    struct.pack_into("<I", made, second + 42, 0)
    struct.pack_into("<I", made, second + 20, len(made))
    path.write_bytes(made)
    assert faults(path) == {"a.zip": "members that share their bytes"}


def test_an_archive_is_unpacked_to_so_many_times_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.media.archives.SOME", 1 << 20)
    zip_ = zipped(tmp_path / "a.zip", {f"{n}.bmp": bytes(1 << 20) for n in range(3)}, 8)
    assert f"3,145,728 bytes packed into {zip_.stat().st_size:,}, more than 100 times" in faults(zip_)["a.zip"]
    tgz = tmp_path / "a.tgz"
    with tarfile.open(tgz, "w:gz") as archive:
        info = tarfile.TarInfo("0.txt")
        info.size = 3 << 20
        archive.addfile(info, io.BytesIO(bytes(3 << 20)))
    assert "more than 100 times as many" in faults(tgz)["a.tgz"]
    assert set(faults(zip_, NO_LIMITS)) == {"0.bmp", "1.bmp", "2.bmp"}
    assert faults(tgz, NO_LIMITS) == {}
    real = zipped(tmp_path / "b.zip", {"0.bmp": np.random.default_rng(0).bytes(3 << 20)}, 8)
    assert set(faults(real)) == {"0.bmp"}


def test_directories_and_members_are_counted(tmp_path: Path) -> None:
    many = zipped(tmp_path / "a.zip", {f"{n}.bmp": photo() for n in range(6)}, 8)
    assert faults(many, replace(FILE_LIMITS, members=5)) == {"a.zip": "6 members, more than 5"}
    assert faults(many, replace(FILE_LIMITS, members=6)) == {}
    assert "a directory of 306 bytes, more than 100" in faults(many, replace(FILE_LIMITS, directory=100))["a.zip"]
    tar = tmp_path / "a.tar"
    with tarfile.open(tar, "w") as archive:
        for n in range(6):
            info = tarfile.TarInfo(f"{n}.bmp")
            info.size = len(photo())
            archive.addfile(info, io.BytesIO(photo()))
    assert faults(tar, replace(FILE_LIMITS, members=5)) == {"a.tar": "more than 5 members"}
    assert faults(tar, replace(FILE_LIMITS, members=7)) == {}


def headed(kind: bytes, body: bytes) -> bytes:
    """A tar with a header of headers."""
    info = tarfile.TarInfo("said")
    info.type, info.size = kind, len(body)
    return info.tobuf(tarfile.GNU_FORMAT) + body.ljust(-(-len(body) // 512) * 512, b"\0")


def test_headers_of_a_tar_that_take_long(tmp_path: Path) -> None:
    plain, end = tarfile.TarInfo("0.txt").tobuf(), bytes(1024)
    path = tmp_path / "a.tar"
    path.write_bytes(headed(tarfile.XHDTYPE, b"1" * 100_000) + plain + end)
    assert faults(path) == {"a.tar": "a header of digits"}
    path.write_bytes(headed(tarfile.XHDTYPE, b"1" * 200_000) + plain + end)
    assert "a header of 200,192 bytes, more than 131,072" in faults(path)["a.tar"]
    said = b"".join(b"%d k%05d=v\n" % (len(b"12 k00000=v\n"), n) for n in range(1001))
    path.write_bytes(headed(tarfile.XGLTYPE, said) + plain + end)
    assert faults(path) == {"a.tar": "1,001 headers for all members"}


def test_a_name_without_an_end_in_a_gzip(tmp_path: Path) -> None:
    path = tmp_path / "a.tgz"
    path.write_bytes(b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 100_000)
    assert faults(path) == {"a.tgz": "a name of more than 65,536 bytes in a gzip's header"}
    path.write_bytes(gzip.compress(tarfile.TarInfo("0.txt").tobuf() + bytes(1024)) + bz2.compress(b"rest"))
    assert faults(path) != {"a.tgz": "a name of more than 65,536 bytes in a gzip's header"}


def test_content_of_a_tar_gz_has_the_limit_of_bytes(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        info = tarfile.TarInfo("0.bmp")
        info.size = len(photo())
        archive.addfile(info, io.BytesIO(photo()))
    (one,) = find_source_files([tmp_path / "a.tgz"], limits=replace(FILE_LIMITS, bytes=1000))
    assert (one.content, one.fault) == (None, f"{len(photo()):,} bytes, more than 1,000")
    with pytest.raises(MienError, match="more than 1,000 bytes"):
        read_photo(SourceFile("0.bmp", Path(), content=photo()), replace(FILE_LIMITS, bytes=1000))
