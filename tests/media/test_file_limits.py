"""What a photo may cost: bytes, pixels, scans, seconds and memory, told before it is decoded or as soon as it is over."""

import io
import struct
import tracemalloc
import zlib
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from test_photos import chunk, encoded, tiff

from mien.errors import MienError
from mien.media.decoding import strip_png
from mien.media.decoding.decode import open_picture
from mien.media.file_limits import FILE_LIMITS, NO_LIMITS, FileLimits, file_limits
from mien.media.photos import as_photo, read_photo
from mien.media.source_files import SourceFile

SMOOTH = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)).resize((80, 60))
PROGRESSIVE = encoded(SMOOTH, "JPEG", progressive=True)
LAST = PROGRESSIVE[PROGRESSIVE.rfind(b"\xff\xda") : -2]


def found(content: bytes, limits: FileLimits = FILE_LIMITS, clock: Any = None) -> str:
    """Why it is refused; "" where it is read."""
    given = SourceFile("a.jpg", Path(), content=content)
    try:
        read_photo(given, limits) if clock is None else read_photo(given, limits, clock)
    except MienError as error:
        return error.found
    return ""


def repeated(times: int, between: bytes = b"") -> bytes:
    """A JPEG whose last scan comes so many times more."""
    return PROGRESSIVE[:-2] + (between + LAST) * times + PROGRESSIVE[-2:]


@pytest.mark.parametrize(
    "between",
    [
        b"",
        b"\xff",
        b"\xff\xfe\0\4\xff\xd9",  # an end in a comment is none
        b"\xff\xfe\0\6\xff\xd9ab",
        b"\xff\xdd\0\4\0\5",  # restarts
        b"\xff\x02\xff\xff",  # no marker for whom restarts are missing
        b"\xff\x01",
    ],
)
def test_scans_are_counted_whatever_lies_between(between: bytes) -> None:
    own = PROGRESSIVE.count(b"\xff\xda")
    assert 5 < own < 20
    assert f"{own + 300} scans of 4,800 pixels, more than a photo has" == found(repeated(300, between))
    few = replace(FILE_LIMITS, scanned=4800 * (own + 2))
    assert "scans of 4,800 pixels" in found(repeated(3, between), few)
    assert "scans of 4,800 pixels" not in found(repeated(2, between), few)
    assert found(repeated(300, between), NO_LIMITS) == "" or between not in (b"", b"\xff")


def test_what_follows_a_jpeg_is_not_decoded() -> None:
    assert found(PROGRESSIVE + b"\xff\xda" * 5000) == ""
    assert (as_photo(PROGRESSIVE + repeated(300)) == as_photo(PROGRESSIVE)).all()


def test_all_scans_of_a_progressive_jpeg_are_held() -> None:
    baseline = encoded(SMOOTH, "JPEG")
    whole = PROGRESSIVE
    # Pillow's pixels and then ours beside the file; until then three components of 16 bits.
    assert found(baseline, replace(FILE_LIMITS, memory=4800 * 7 + len(baseline))) == ""
    assert "80 x 60 pixels that take" in found(baseline, replace(FILE_LIMITS, memory=4800 * 7 + len(baseline) - 1))
    assert found(whole, replace(FILE_LIMITS, memory=4800 * 10 + len(whole))) == ""
    assert "80 x 60 pixels that take" in found(whole, replace(FILE_LIMITS, memory=4800 * 10 + len(whole) - 1))


def test_a_camera_s_photo_of_100_megapixels_is_within_the_limits() -> None:
    head = encoded(SMOOTH, "JPEG")
    at = head.find(b"\xff\xc0") + 5
    large = head[:at] + struct.pack(">HH", 8600, 11_600) + head[at + 4 :]
    assert open_picture(large, FILE_LIMITS).image.size == (11_600, 8600)
    assert open_picture(tiff(bytes(10), 9460, 9450, 8), FILE_LIMITS).image.size == (9460, 9450)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "TIFF", "BMP", "PPM"])
def test_a_photo_may_take_so_many_seconds(form: str) -> None:
    content = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)), form)
    assert found(content, replace(FILE_LIMITS, seconds=5), lambda: 7.0) == ""
    for begun in range(1, 4):  # it is over as soon as the file is read again
        ticks = (0.0 if tick < begun else 6.0 for tick in count())
        assert (
            found(content, replace(FILE_LIMITS, seconds=5), lambda ticks=ticks: next(ticks)) == "more than 5 seconds of decoding"
        )
    ticks = (1e6 * tick for tick in count())
    assert found(content, NO_LIMITS, lambda: next(ticks)) == ""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xd8\xff" + b"\xff\x01" * 3_000_000, "more than 10,000 segments of a JPEG"),
        (PROGRESSIVE[:-2] + b"\xff\xfe\0\2" * 3_000_000, "more than 10,000 segments of a JPEG"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", b"") * 30_000, "more than 20,000 chunks of a PNG"),
        (b"GIF89a\x10\0\x10\0\x80\0\0" + bytes(6) + b"!\x01\0" * 3, ""),
        (tiff(bytes(8), 1, 300_000, 8), "1 x 300000 pixels, a side of more than 250,000"),
        (b"P5 300000 1 255\n" + bytes(300_000), "300000 x 1 pixels, a side of more than 250,000"),
    ],
)
def test_what_is_long_to_look_through_is_not_looked_through(content: bytes, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strip_png, "CHUNKS", 20_000)  # a tenth, which takes a tenth of the time
    tracemalloc.start()
    try:
        assert reason in found(content)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def strips(how: int, parts: list[bytes], high: int = 4, shared: bool = False) -> bytes:
    """A TIFF of gray rows of 8 pixels, each its own strip."""
    body, places = b"".join(parts[:1] if shared else parts), list[int]()
    for place in range(high):
        places.append(8 if shared else 8 + sum(map(len, parts[:place])))
    sizes = [len(parts[0 if shared else place]) for place in range(high)]
    at = 8 + len(body)
    entries = [(256, 3, 1, 8), (257, 3, 1, high), (258, 3, 1, 8), (259, 3, 1, how), (262, 3, 1, 1), (273, 4, high, at)]
    entries += [(277, 3, 1, 1), (278, 3, 1, 1), (279, 4, high, at + 4 * high)]
    lists = struct.pack(f"<{2 * high}L", *places, *sizes)
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHLL", *entry) for entry in entries) + bytes(4)
    return b"II*\0" + struct.pack("<L", at + len(lists)) + body + lists + directory


def test_strips_of_a_tiff_do_not_share_their_bytes() -> None:
    rows = [zlib.compress(bytes([tone] * 8)) for tone in (1, 2, 3, 4)]
    content = strips(8, rows)
    assert as_photo(content)[:, 0, 0].tolist() == [1, 2, 3, 4]
    lying = strips(8, [zlib.compress(bytes(8)) + bytes(500)] * 4, shared=True)
    assert found(lying) == "a damaged TIFF directory: its strips do not say where they lie"


@pytest.mark.parametrize(
    ("how", "name"), [(34925, "LZMA"), (50000, "Zstandard"), (50001, "WebP"), (6, "old JPEG"), (99, "method 99")]
)
def test_ways_to_pack_a_tiff_that_are_not_read(how: int, name: str) -> None:
    assert found(strips(how, [bytes(9)] * 4)) == f"a TIFF packed by {name}, which is not read"


def test_a_tiff_of_jpegs() -> None:
    content = encoded(SMOOTH, "TIFF", compression="jpeg")
    assert np.abs(as_photo(content).astype(int) - np.asarray(SMOOTH)).mean() < 12
    gray = encoded(SMOOTH.convert("L").crop((0, 0, 8, 1)), "JPEG", progressive=True)
    last = gray[gray.rfind(b"\xff\xda") : -2]
    assert "scans in 4 strips of a TIFF" in found(strips(7, [gray[:-2] + last * 40 + gray[-2:]] * 4))


def test_pixels_of_a_png_may_lie_in_many_chunks() -> None:
    whole = encoded(SMOOTH, "PNG")
    at = whole.find(b"IDAT") - 4
    (size,) = struct.unpack(">I", whole[at : at + 4])
    body = whole[at + 8 : at + 8 + size]
    parted = b"".join(chunk(b"IDAT", body[first : first + 3]) + chunk(b"tEXt", b"a\0b") for first in range(0, size, 3))
    assert (as_photo(whole[:at] + parted + chunk(b"IEND", b"")) == np.asarray(SMOOTH)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["RGB", "RGBA", "L", "P", "I;16"])
def test_strips_and_turns_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    deep = Image.fromarray(np.arange(4800, dtype=np.uint16).reshape(60, 80) * 13)
    picture = deep if kind == "I;16" else SMOOTH.quantize(8) if kind == "P" else SMOOTH.convert(kind)
    if kind == "RGBA":
        picture.putalpha(SMOOTH.convert("L"))
    content = encoded(picture, "PNG", exif=exif.tobytes(), **({"transparency": 3} if kind == "P" else {}))
    whole = as_photo(content)
    for strip in (7, 170, 1000):
        monkeypatch.setattr("mien.media.decoding.decode._STRIP", strip)
        assert (as_photo(content) == whole).all()


def test_bytes_are_counted_as_they_are_read() -> None:
    content = encoded(SMOOTH, "BMP")
    assert found(content, replace(FILE_LIMITS, bytes=len(content) - 1)) == f"more than {len(content) - 1:,} bytes"
    assert found(content, replace(FILE_LIMITS, bytes=len(content))) == ""


def test_limits_off() -> None:
    assert file_limits("on") == FILE_LIMITS
    assert file_limits("off") == NO_LIMITS
    assert all(getattr(NO_LIMITS, name) > 1000 * getattr(FILE_LIMITS, name) for name in vars(FILE_LIMITS))


NO_PHOTOS: list[Any] = [None, 7, [1, 2], [[0, 0], [0, 0]], {}, object(), io.BytesIO(b"a"), b"", "", bytearray(b"a")]
NO_PHOTOS += [np.zeros(shape, np.uint8) for shape in ((0, 4, 3), (4, 4, 4), (4,), (4, 0), ())]
NO_PHOTOS += [np.zeros((4, 4, 3)), np.zeros((4, 4, 3), np.uint16), np.array("a"), np.array([None])]
NO_PHOTOS += [Image.new("F", (3, 3)), Image.new("RGB", (0, 3))]


@pytest.mark.parametrize("given", NO_PHOTOS, ids=lambda given: type(given).__name__)
def test_what_is_no_photo_of_any_kind(given: Any) -> None:
    with pytest.raises(MienError):
        as_photo(given)


def test_pictures_of_pillow_and_arrays_have_the_limits_of_files() -> None:
    few = replace(FILE_LIMITS, pixels=4799)
    array: npt.NDArray[np.uint8] = np.asarray(SMOOTH)
    for given in (SMOOTH, array, array[..., 0], encoded(SMOOTH, "PNG")):
        assert as_photo(given).shape == (60, 80, 3)
        with pytest.raises(MienError, match="80 x 60 pixels, more than 4,799"):
            as_photo(given, few)
