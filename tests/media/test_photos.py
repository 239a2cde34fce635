"""Reading photos: every kind of pixel comes out as upright RGB of 8 bits, every fault as one sentence, and nothing else."""

import io
import os
import random
import struct
import tempfile
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from memory import peak
from mien.errors import MienError
from mien.media.decoding.av1_header import coded_pixels
from mien.media.decoding.decode import OpenedPicture, open_picture
from mien.media.face_pictures import PixelBox, read_picture_blocks
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.media.photos import as_photo, read_photo
from mien.media.source_files import SourceFile

Array = npt.NDArray[Any]

GRAY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
RGB = np.stack([GRAY, GRAY[::-1], GRAY[:, ::-1]], axis=2)
NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
LOSSLESS = ("PNG", "TIFF", "WEBP", "BMP", "PPM")


def encoded(picture: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    lossless = {"lossless": True} if form == "WEBP" else {"quality": 100, "subsampling": 0} if form == "JPEG" else {}
    picture.save(file, form, **lossless, **options)
    return file.getvalue()


def read(content: bytes, max_pixels: int = FileLimits.pixels) -> Array:
    """The photo of a file with this content, whatever its name says."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jpg"
        path.write_bytes(content)
        return read_photo(SourceFile("a.jpg", path), FileLimits(pixels=max_pixels))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def claim_png(width: int, height: int, *more: bytes) -> bytes:
    """A small file that states a size and holds no pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def tiff(pixels: bytes, width: int, height: int, bits: int, extra: tuple[tuple[int, int, int, int], ...] = ()) -> bytes:
    """An uncompressed gray TIFF; entries are tag, type, count, value."""
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
    entries += [(277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, len(pixels)), *extra]
    directory = b"".join(struct.pack("<HHLL", *entry) for entry in sorted(entries))
    padded = pixels + b"\0" * (len(pixels) % 2)
    return b"II*\0" + struct.pack("<L", 8 + len(padded)) + padded + struct.pack("<H", len(entries)) + directory + bytes(4)


@pytest.mark.parametrize("form", LOSSLESS)
def test_color_is_kept_whatever_the_name(form: str) -> None:
    found = read(encoded(Image.fromarray(RGB), form))
    assert found.dtype == np.uint8
    assert found.flags["C_CONTIGUOUS"]
    assert (found == RGB).all()


def test_jpeg_is_close() -> None:
    smooth = np.indices((24, 32)).sum(axis=0).astype(np.uint8)[..., None] * np.array([1, 2, 3], np.uint8)
    assert np.abs(read(encoded(Image.fromarray(smooth), "JPEG")).astype(int) - smooth).max() <= 3
    progressive = read(encoded(Image.fromarray(smooth), "JPEG", progressive=True, restart_marker_blocks=1, comment=b"c" * 70))
    assert np.abs(progressive.astype(int) - smooth).max() <= 3


@pytest.mark.parametrize("form", [*LOSSLESS, "GIF"])
def test_gray_and_1_bit_become_rgb(form: str) -> None:
    picture = Image.fromarray(GRAY)
    assert (read(encoded(picture, form)) == GRAY[..., None]).all()
    bits = picture.convert("1", dither=Image.Dither.NONE)
    expected = np.where(GRAY[..., None] > 127, 255, 0)
    assert (read(encoded(bits.convert("L") if form == "WEBP" else bits, form)) == expected).all()


def test_plain_and_packed_bitmaps() -> None:
    # 1 is black (PBM specification of Netpbm).
    assert read(b"P1\n3 1\n0 1 0\n")[0, :, 0].tolist() == [255, 0, 255]
    assert read(b"P4\n3 1\n" + bytes([0b01000000]))[0, :, 0].tolist() == [255, 0, 255]


def test_comments_in_pictures_of_text_cost_nothing() -> None:
    assert read(b"P1 # a\n3 #b\r1\n0# 1 1\n 1 #\n#\n0#").tolist() == [[[255] * 3, [0] * 3, [255] * 3]]
    with pytest.raises(MienError, match="not enough image data"):
        read(b"P3 2000 2000 255\n" + b"#\n" * 1_900_000)


def test_of_several_pictures_in_one_jpeg_the_first_counts() -> None:
    first, second = (Image.fromarray(np.full((8, 8, 3), tone, np.uint8)) for tone in (50, 200))
    assert (read(encoded(first, "MPO", save_all=True, append_images=[second])) == 50).all()


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_16_bits_are_scaled_by_their_largest_value(form: str) -> None:
    deep = GRAY.astype(np.uint16) * 257
    deep[0, :3] = 0, 65535, 128
    expected = GRAY.copy()
    expected[0, :3] = 0, 255, 0
    assert (read(encoded(Image.fromarray(deep), form)) == expected[..., None]).all()


def test_deep_pgm_is_scaled_by_its_own_largest_value() -> None:
    values = np.array([[0, 500, 1000]], ">u2")
    assert read(b"P5 3 1 1000\n" + values.tobytes())[0, :, 0].tolist() == [0, 128, 255]
    assert read(b"P2 3 1 1000\n0 500 1000\n")[0, :, 0].tolist() == [0, 128, 255]


def test_deep_tiffs() -> None:
    # Two values of 12 bits in three bytes.
    assert read(tiff(bytes([0xFF, 0xF8, 0x00]), 2, 1, 12))[0, :, 0].tolist() == [255, 128]
    assert read(tiff(struct.pack("<2H", 65535, 32896), 2, 1, 16))[0, :, 0].tolist() == [255, 128]
    signed = tiff(struct.pack("<2h", 5, -5), 2, 1, 16, ((339, 3, 1, 2),))
    with pytest.raises(MienError, match="pixel values from -5 to 5, beyond 0 to 65535"):
        read(signed)
    floats = encoded(Image.fromarray(np.zeros((2, 2), np.float32)), "TIFF")
    with pytest.raises(MienError, match="floating-point pixels"):
        read(floats)


def test_deep_pixels_are_scaled_strip_by_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (37, 11), np.uint16)
    monkeypatch.setattr("mien.media.decoding.decode._STRIP", 50)
    assert (read(encoded(Image.fromarray(deep), "PNG"))[..., 0] == np.round(deep / 257)).all()


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_alpha_is_laid_on_white(form: str) -> None:
    alpha = np.where(np.eye(6, 8, dtype=bool), 0, 255).astype(np.uint8)
    alpha[0, 1] = 51
    share = alpha[..., None] / 255
    expected = np.round(RGB * share + 255 * (1 - share))
    assert np.abs(read(encoded(Image.fromarray(np.dstack([RGB, alpha])), form, **exact(form))) - expected).max() <= 1
    gray = np.round(GRAY[..., None] * share + 255 * (1 - share))
    layered = Image.merge("LA", [Image.fromarray(GRAY), Image.fromarray(alpha)])
    assert np.abs(read(encoded(layered, form, **exact(form))) - gray).max() <= 1


def exact(form: str) -> dict[str, Any]:
    return {"exact": True} if form == "WEBP" else {}


def test_transparent_colors_become_white() -> None:
    content = encoded(Image.fromarray(GRAY), "PNG", transparency=int(GRAY[2, 3]))
    assert (read(content) == np.where(np.equal(GRAY, GRAY[2, 3]), 255, GRAY)[..., None]).all()
    deep = GRAY.astype(np.uint16) * 257
    content = encoded(Image.fromarray(deep), "PNG", transparency=int(deep[2, 3]))
    assert (read(content) == np.where(np.equal(GRAY, GRAY[2, 3]), 255, GRAY)[..., None]).all()
    content = encoded(Image.fromarray(RGB), "PNG", transparency=tuple(RGB[2, 3].tolist()))
    hidden = np.equal(RGB, RGB[2, 3]).all(axis=2, keepdims=True)
    assert (read(content) == np.where(hidden, 255, RGB)).all()


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_palettes(form: str) -> None:
    halves = np.zeros((8, 8, 3), np.uint8)
    halves[:, :4] = 250, 10, 10
    halves[:, 4:] = 10, 10, 250
    palette = Image.fromarray(halves).quantize(4)
    assert (read(encoded(palette, form)) == halves).all()
    clear = palette.getpixel((0, 0))
    assert isinstance(clear, int)
    expected = halves.copy()
    expected[:, :4] = 255
    assert (read(encoded(palette, form, transparency=clear)) == expected).all()
    if form == "PNG":  # a transparency for each color, as bytes
        several = bytes(0 if color == clear else 255 for color in range(4))
        assert (read(encoded(palette, form, transparency=several)) == expected).all()


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk(form: str) -> None:
    flat = np.zeros((8, 8, 3), np.uint8)
    flat[:] = 200, 30, 90
    found = read(encoded(Image.fromarray(flat).convert("CMYK"), form))
    assert np.abs(found.astype(int) - flat).max() <= 3


def test_the_first_frame_counts() -> None:
    frames = [Image.fromarray(GRAY), Image.fromarray(255 - GRAY)]
    for form in ("GIF", "PNG", "WEBP", "TIFF"):
        content = encoded(frames[0], form, save_all=True, append_images=frames[1:])
        assert (read(content) == GRAY[..., None]).all()


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(form: str, orientation: int) -> None:
    # What a viewer has to do to the stored picture, after the EXIF 2.3 standard's row and column descriptions.
    upright = [GRAY, np.fliplr(GRAY), np.rot90(GRAY, 2), np.flipud(GRAY), GRAY.T]
    upright += [np.rot90(GRAY, -1), np.rot90(GRAY, 2).T, np.rot90(GRAY)]
    exif = Image.Exif()
    exif[0x010E] = "a description"
    exif[0x0112] = orientation
    found = read(encoded(Image.fromarray(GRAY), form, exif=exif.tobytes() if form != "TIFF" else exif))
    assert found.shape == (*upright[orientation - 1].shape, 3)
    assert np.abs(found.astype(int) - upright[orientation - 1][..., None].astype(int)).max() <= (8 if form == "JPEG" else 0)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "JPEG"])
@pytest.mark.parametrize("exif", [b"", b"II*\0", b"MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0II*\0\xff\xff\xff\xff", b"junk" * 9])
def test_damaged_exif_costs_no_photo(form: str, exif: bytes) -> None:
    found = read(encoded(Image.fromarray(GRAY), form, exif=exif))
    assert np.abs(found.astype(int) - GRAY[..., None]).max() <= (8 if form == "JPEG" else 0)


def test_other_damaged_metadata_costs_no_photo() -> None:
    plain = encoded(Image.fromarray(GRAY), "JPEG")
    multi = plain[:2] + b"\xff\xe2\0\x0cMPF\0\xff\xff\xff\xff\xff\xff" + b"\xff\xed\0\x13Photoshop 3.0\0\xff8B" + plain[2:]
    assert (read(multi) == read(plain)).all()
    png = encoded(Image.fromarray(GRAY), "PNG")
    animated = png[:33] + chunk(b"acTL", bytes(8)) + chunk(b"zTXt", b"x\0\0junk") + chunk(b"iCCP", b"p\0\0junk") + png[33:]
    assert (read(animated) == GRAY[..., None]).all()
    camera = tiff(GRAY.tobytes(), 8, 6, 8, ((34665, 4, 1, 0xFFFFFFF0), (700, 1, 1 << 30, 12), (305, 2, 999, 1 << 20)))
    assert (read(camera) == GRAY[..., None]).all()


def test_color_profiles_are_not_applied() -> None:
    assert (read(encoded(Image.fromarray(RGB), "PNG", icc_profile=b"no profile at all")) == RGB).all()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty file"),
        (b"a text that somebody called .jpg", "no picture of a known format"),
        (b"<!doctype html><title>404</title>", "no picture of a known format"),
        (b"\xff\xd8\xff", ""),
        (b"\xff\xd8" + b"\xff" * 3_000_000, ""),
        (encoded(Image.fromarray(NOISE), "JPEG")[:-300], "truncated"),
        (encoded(Image.fromarray(NOISE), "PNG")[:-300], "truncated"),
        (encoded(Image.fromarray(NOISE), "GIF")[:-300], ""),
        (encoded(Image.fromarray(NOISE), "TIFF")[:-100], "truncated"),
        (encoded(Image.fromarray(NOISE), "WEBP")[:-300], ""),
        (encoded(Image.fromarray(NOISE), "BMP")[:-300], "truncated"),
        (encoded(Image.fromarray(NOISE), "PPM")[:-300], "truncated|not enough"),
        (b"II+\0\x08\0\0\0" + bytes(8), "BigTIFF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture of a known format"),
        (b"P5 0 4 255\n", "cannot be decoded"),
        (tiff(b"", 2, 2, 8)[:60], "truncated TIFF directory"),
        (tiff(bytes(4), 2, 2, 8, ((266, 3, 2, 1),)), "tag 266 has 2 values, not 1"),
        (tiff(bytes(4), 2, 2, 8, ((320, 3, 1 << 30, 8),)), "tag 320 has"),
    ],
)
def test_a_broken_photo_is_named_with_its_fault(content: bytes, reason: str) -> None:
    with pytest.raises(MienError, match=rf"expected a photo at a.jpg; found .*({reason}).*; replace or remove it"):
        read(content)


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    bombs = [claim_png(10_001, 10_000), claim_png(2**31 - 1, 2**31 - 1), tiff(b"", 10_001, 10_000, 8)]
    bmp = encoded(Image.fromarray(NOISE), "BMP")
    bombs += [b"P5 50000 50000 255\n", bmp[:18] + struct.pack("<ii", 40_000, 40_000) + bmp[26:]]
    webp = encoded(Image.new("RGBA", (8, 8)), "WEBP", save_all=True, append_images=[Image.new("RGBA", (8, 8), "red")])
    at = webp.find(b"VP8X") + 12
    bombs.append(webp[:at] + b"\xff\x3f\0\xff\x3f\0" + webp[at + 6 :])

    def refused() -> None:
        for content in bombs:
            with pytest.raises(MienError, match=r"pixels|WebP|bomb"):
                read(content)

    assert peak(refused) < 4 << 20
    with pytest.raises(MienError, match="6 x 5 pixels, more than 29"):
        read(claim_png(6, 5), max_pixels=29)


def test_large_photos_do_not_warn() -> None:
    # Within the limit, but more than Pillow warns of; there are no pixels in it.
    with pytest.raises(MienError, match=r"truncated|cannot be decoded"):
        read(claim_png(9_990, 10_000))


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(MienError, match="a pipe, a socket or a device"):
        read_photo(SourceFile("pipe.jpg", tmp_path / "pipe.jpg"))
    with pytest.raises(MienError, match="a folder, no file"):
        read_photo(SourceFile("a", tmp_path))
    with pytest.raises(MienError, match="No such file or directory"):
        read_photo(SourceFile("gone.jpg", tmp_path / "gone.jpg"))
    with pytest.raises(MienError, match="File name too long"):
        read_photo(SourceFile("long", tmp_path / ("a" * 300)))
    with pytest.raises(MienError, match=r"null (byte|character)"):  # the latter from Python 3.13 on
        read_photo(SourceFile("nul", tmp_path / "a\0"))
    with pytest.raises(MienError, match="a pipe, a socket or a device"):
        read_photo(SourceFile("zero", Path("/dev/zero")))


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(encoded(Image.fromarray(GRAY), "PNG"))
    (tmp_path / "a.png").chmod(0)
    if os.access(tmp_path / "a.png", os.R_OK):  # the system's administrator may read everything

        def refused(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(MienError, match="found Permission denied; replace"):
        read_photo(SourceFile("a.png", tmp_path / "a.png"))


SEEDS = [encoded(Image.fromarray(NOISE), form) for form in ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "PPM")]
SEEDS += [encoded(Image.fromarray(NOISE), form) for form in ("AVIF", "JPEG2000")]
SEEDS += [encoded(Image.fromarray(NOISE).quantize(9), form, transparency=1) for form in ("PNG", "GIF")]
SEEDS += [encoded(Image.fromarray(NOISE), "TIFF", compression=form) for form in ("tiff_lzw", "tiff_adobe_deflate", "jpeg")]
SEEDS += [encoded(Image.fromarray(NOISE[..., 0].astype(np.uint16)), form) for form in ("PNG", "TIFF", "PPM")]
SEEDS += [encoded(Image.fromarray(NOISE), form, exif=b"Exif\0\0II*\0" + bytes(range(60))) for form in ("JPEG", "PNG", "WEBP")]


def harmed(content: bytes, seed: int, harm: str) -> bytes:
    """A file with bits turned, its end missing, or noise after its beginning."""
    chance = random.Random(seed)
    made = bytearray(content)
    for _ in range({"bit": 1, "bits": 12}.get(harm, 0)):
        made[chance.randrange(min(len(made), 200 if seed % 2 else len(made)))] ^= 1 << chance.randrange(8)
    if harm == "tail":
        made[-120:] = chance.randbytes(120)
    if harm == "noise":
        made[8 if seed % 2 else 30 :] = chance.randbytes(200)
    return bytes(made[: chance.randrange(len(made))] if harm == "cut" else made)


@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.sampled_from(SEEDS), st.integers(0, 2**32 - 1), st.sampled_from(["bit", "bits", "tail", "noise", "cut"]))
def test_any_file_gives_a_photo_or_a_reason_and_no_warning(content: bytes, seed: int, harm: str) -> None:
    made = harmed(content, seed, harm)
    tracemalloc.start()
    # Not as errors, which would come out as reasons: there are none, whatever a process does with warnings.
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with suppress(MienError):
            found = read(made, max_pixels=4_000_000)
            assert found.dtype == np.uint8
            assert found.ndim == 3
            assert found.shape[2] == 3
            assert found.size
    assert not said
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.binary(max_size=300))
def test_noise_is_refused(content: bytes) -> None:
    with pytest.raises(MienError):
        read(content)


def test_threads_read_side_by_side() -> None:
    made = [harmed(content, seed, "bits") for content in SEEDS for seed in range(4)] + SEEDS

    def outcome(content: bytes) -> str:
        try:
            return read(content, 4_000_000).tobytes().hex()
        except MienError as error:
            return error.found.split("(")[0]

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(outcome, made)) == [outcome(content) for content in made]


@pytest.mark.parametrize("color", [(), (3,)])
def test_an_array_of_too_many_pixels_is_refused(color: tuple[int, ...]) -> None:
    small = as_photo(np.broadcast_to(np.uint8(7), (10, 20, *color)))
    assert (small.shape, small.flags["C_CONTIGUOUS"], set(small.ravel().tolist())) == ((10, 20, 3), True, {7})
    large = np.broadcast_to(np.uint8(7), (10_000, 10_001, *color))

    def refused() -> None:
        with pytest.raises(MienError, match="found 10001 x 10000 pixels, more than 100,000,000"):
            as_photo(large)

    assert peak(refused) < 1 << 20


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        large = Image.open(io.BytesIO(claim_png(10_000, 10_001)))
    with pytest.raises(MienError, match="found 10000 x 10001 pixels, more than 100,000,000"):
        as_photo(large)


def test_a_picture_that_cannot_be_decoded_is_refused() -> None:
    with pytest.raises(MienError, match="a photo at the picture that was given"):
        as_photo(Image.open(io.BytesIO(encoded(Image.fromarray(NOISE), "PNG")[:-60])))
    with pytest.raises(MienError, match="floating-point pixels"):
        as_photo(Image.new("F", (4, 4)))
    assert (as_photo(Image.fromarray(NOISE)) == NOISE).all()


DEEP = np.linspace(0, 1023, 48 * 64).reshape(48, 64).astype(np.uint16)
BY_TEN = (DEEP.astype(np.int64) * 255 + 511) // 1023


def opened(content: bytes) -> OpenedPicture:
    return open_picture(content, FILE_LIMITS)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
@pytest.mark.parametrize("most", [200, 1023, 4095, 16383])
def test_values_of_fewer_bits_than_16_are_scaled_by_theirs(form: str, most: int) -> None:
    values = (DEEP.astype(np.int64) * most // 1023).astype(np.uint16)
    photo = opened(encoded(Image.fromarray(values), form))
    bits = most.bit_length()
    expected = (values.astype(np.int64) * 255 + ((1 << bits) - 1) // 2) // ((1 << bits) - 1)
    assert (photo.pixels("L") == expected).all()
    assert photo.notes == [f"values of 16 bits of which the largest is {most:,}: read as {bits} bits"]


@pytest.mark.parametrize("ending", [".png", ".tiff", ".ppm"])
@pytest.mark.parametrize("channels", [3, 4])
def test_deep_colors_are_scaled_by_the_bits_they_have(ending: str, channels: int) -> None:
    if ending == ".ppm" and channels == 4:
        pytest.skip("pixel maps have no transparency")
    values = np.stack([DEEP, DEEP[::-1], DEEP[:, ::-1], np.full_like(DEEP, 1023)], axis=2)[..., :channels]
    content = cv2.imencode(ending, values[..., [2, 1, 0, 3][:channels]])[1].tobytes()
    photo = opened(content)
    expected = np.stack([BY_TEN, BY_TEN[::-1], BY_TEN[:, ::-1]], axis=2)
    assert (photo.pixels("RGB") == expected).all()
    assert photo.notes == ["values of 16 bits of which the largest is 1,023: read as 10 bits"]
    full = cv2.imencode(ending, values * 64)[1].tobytes()  # of all 16 bits nothing is said
    photo = opened(full)
    assert photo.pixels("RGB").max() == 255
    assert not photo.notes


def test_values_of_fewer_bits_in_jpeg_2000_and_beside_transparency_are_read() -> None:
    photo = opened(encoded(Image.fromarray(DEEP), "JPEG2000"))
    assert (photo.pixels("L") == BY_TEN).all()
    assert photo.notes == ["values of 16 bits of which the largest is 1,023: read as 10 bits"]
    assert (opened(encoded(Image.fromarray(GRAY), "JPEG2000")).pixels("L") == GRAY).all()
    rows = b"".join(b"\0" + np.stack([row, np.full_like(row, 65535)], 1).astype(">u2").tobytes() for row in DEEP)
    plain = encoded(Image.new("L", (64, 48)), "PNG")
    header = struct.pack(">IIBBBBB", 64, 48, 16, 4, 0, 0, 0)
    dark = opened(plain[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + plain[-12:])
    assert dark.pixels("L").shape == (48, 64)


@pytest.mark.parametrize("moving", [False, True])
def test_a_frame_that_is_larger_than_its_picture_is_refused(moving: bool) -> None:
    picture = Image.new("L", (2500, 2000))
    more: dict[str, Any] = {"save_all": True, "append_images": [picture]} if moving else {}
    content = encoded(picture, "AVIF", **more)
    assert opened(content).pixels("L").shape == (2000, 2500)
    if moving:
        assert content.count(struct.pack(">HHHH", 2500, 0, 2000, 0)), "as the track has it"
        content = content.replace(struct.pack(">HHHH", 2500, 0, 2000, 0), struct.pack(">HHHH", 64, 0, 64, 0))
        content = content.replace(struct.pack(">HH", 2500, 2000), struct.pack(">HH", 64, 64))
    lying = content.replace(struct.pack(">II", 2500, 2000), struct.pack(">II", 64, 64))
    with pytest.raises(ValueError, match="a picture of 64 x 64 pixels whose frame has 5,000,000"):
        opened(lying).pixels("L")


def test_a_header_of_av1_is_read_whole_and_halved_without_an_end() -> None:
    content = encoded(Image.new("RGB", (99, 77)), "AVIF")
    at = content.index(b"iloc") + 4
    places = content[at : at + int.from_bytes(content[at - 8 : at - 4]) - 8]
    assert coded_pixels(content, places) == 99 * 77
    for size in range(len(places)):
        assert coded_pixels(content, places[:size]) >= 0
    draw = random.Random(0)
    for _ in range(300):
        assert coded_pixels(draw.randbytes(400), draw.randbytes(60)) >= 0


def test_what_a_file_says_of_its_depth_counts() -> None:
    dark = Image.fromarray(DEEP // 2)  # up to 511
    stated = png_with(encoded(dark, "PNG"), b"sBIT", b"\x0c")
    photo = opened(stated)
    assert (photo.pixels("L").max(), photo.notes) == (32, [])
    photo = opened(png_with(encoded(Image.fromarray(DEEP * 64), "PNG"), b"sBIT", b"\x0a"))  # scaled up, as the standard wants
    assert (photo.pixels("L").max(), photo.notes) == (255, [])
    photo = opened(encoded(dark, "TIFF", tiffinfo={281: 4095}))
    assert (photo.pixels("L").max(), photo.notes) == (32, [])
    photo = opened(b"P5 64 48 4095\n" + (DEEP // 2).astype(">u2").tobytes())
    assert (photo.pixels("L").max(), photo.notes) == (32, [])
    photo = opened(b"P6 64 16 4095\n" + (DEEP // 2).astype(">u2").tobytes())
    assert (photo.pixels("RGB").max(), photo.notes) == (32, [])


def png_with(content: bytes, kind: bytes, body: bytes) -> bytes:
    """A PNG with a further chunk behind its header."""
    return content[:33] + chunk(kind, body) + content[33:]


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "AVIF", "TIFF", "MPO"])
def test_it_is_said_where_there_are_more_pictures_in_a_file(form: str) -> None:
    first, second = Image.fromarray(RGB), Image.fromarray(RGB[::-1].copy())
    photo = opened(encoded(first, form, save_all=True, append_images=[second]))
    known = {"TIFF": "several pages, of which the first is read"}
    known["MPO"] = "several pictures in one file, of which the first is read"
    assert photo.notes == [known.get(form, "an animation, of which the first frame is read")]
    assert not opened(encoded(first, "JPEG" if form == "MPO" else form)).notes


@pytest.mark.parametrize(
    ("form", "options"), [("AVIF", {"quality": 100, "subsampling": "4:4:4"}), ("JPEG2000", {}), ("JPEG2000", {"no_jp2": True})]
)
def test_avif_and_jpeg_2000(form: str, options: dict[str, Any]) -> None:
    pixels = np.asarray(Image.fromarray(NOISE).resize((96, 72), Image.Resampling.BICUBIC))
    content = encoded(Image.fromarray(pixels), form, **options)
    found = opened(content).pixels("RGB").astype(int)
    assert np.abs(found - pixels).mean() < (3 if form == "AVIF" else 0.1)
    with pytest.raises(ValueError, match="96 x 72 pixels, more than 10"):
        open_picture(content, replace(FILE_LIMITS, pixels=10))
    with pytest.raises(ValueError, match="bytes, more than 1,000"):
        open_picture(content, replace(FILE_LIMITS, memory=1000))


def test_an_avif_is_turned_by_what_it_says_beside_exif_which_is_not_read() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a maker" * 9
    content = encoded(Image.fromarray(NOISE), "AVIF", exif=exif, xmp=b"<x:xmpmeta/>")
    photo = opened(content)
    assert photo.pixels("RGB").shape == (NOISE.shape[1], NOISE.shape[0], 3)
    assert "xmp" not in photo.image.info
    assert b"a maker" not in photo.image.info["exif"]


def test_comments_and_boxes_of_a_jpeg_2000_are_not_read() -> None:
    content = encoded(Image.fromarray(NOISE), "JPEG2000", comment="a comment")
    head, stream = content[: content.index(b"jp2c") - 4], content[content.index(b"jp2c") - 4 :]
    photo = opened(head + struct.pack(">I", 2008) + b"uuid" + bytes(2000) + stream)
    assert (photo.pixels("RGB") == opened(content).pixels("RGB")).all()
    assert "comment" not in photo.image.info


def test_a_jpeg_2000_of_many_small_parts_is_refused() -> None:
    big = Image.fromarray(np.zeros((600, 600), np.uint8))
    with pytest.raises(ValueError, match="22,500 tiles"):
        opened(encoded(big, "JPEG2000", tile_size=(4, 4)))
    content = encoded(big, "JPEG2000", precinct_size=(8, 8), codeblock_size=(4, 4))
    with pytest.raises(ValueError, match="small code-blocks"):
        opened(content)
    blocks = content.index(b"\xff\x52") + 10
    with pytest.raises(ValueError, match="small precincts"):
        opened(content[:blocks] + b"\2\2" + content[blocks + 2 :])


def test_heic_says_what_to_do_whatever_it_is_called() -> None:
    with pytest.raises(ValueError, match=r"HEIC, which is not read: save it as JPEG"):
        opened(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))


@pytest.mark.filterwarnings("error")
def test_a_gif_with_a_frame_larger_than_its_screen_is_refused_before_anything_warns() -> None:
    content = b"GIF89a\x10\0\x10\0\x80\0\0" + bytes(6) + b",\0\0\0\0\xff\xff\xff\xff\0\x08\2\0\1\0;"
    with pytest.raises(ValueError, match="65535 x 65535 pixels, more than"):
        opened(content)


@pytest.mark.parametrize(("across", "down", "size"), [(1, 1, (32, 24)), (2, 1, (16, 24)), (72, 96, (32, 18)), (1, 9, (32, 24))])
def test_pixels_that_are_not_square_are_shown_as_they_are_meant(across: int, down: int, size: tuple[int, int]) -> None:
    content = bytearray(encoded(Image.fromarray(NOISE), "JPEG"))
    assert content[6:11] == b"JFIF\0"
    content[13:18] = bytes([0, 0, across, 0, down])
    notes = list[str]()
    assert read_photo(SourceFile("a.jpg", Path(), content=bytes(content)), notes=notes).shape[1::-1] == size
    assert notes == ([] if size == (32, 24) else [f"pixels that are not square, shown as {size[0]} x {size[1]}"])


def stretched(form: str, across: int, down: int) -> bytes:
    """A picture of 32 x 24 pixels, of which there are so many on a length."""
    picture, exif = Image.fromarray(NOISE), Image.Exif()
    if form == "PNG":
        return encoded(picture, form, dpi=(across, down))
    if form == "TIFF":
        return encoded(picture, form, x_resolution=across, y_resolution=down, resolution_unit=2)
    exif[0x011A], exif[0x011B] = float(across), float(down)
    return encoded(picture, form, exif=exif)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_every_reader_shows_pixels_that_are_not_square_as_they_are_meant(form: str, tmp_path: Path) -> None:
    content = stretched(form, 72, 36)
    assert read(content).shape == (24, 16, 3)
    decoded = Image.open(io.BytesIO(content))
    assert as_photo(decoded).shape == (24, 16, 3)
    decoded.load()
    assert as_photo(decoded).shape == (24, 16, 3)
    assert as_photo(decoded.convert("RGB")).shape == (24, 32, 3), "what was made of a file may have been resized"
    assert read(stretched(form, 72, 72)).shape == read(stretched(form, 900, 72)).shape == (24, 32, 3)
    path = tmp_path / "a"
    path.write_bytes(content)
    (block,) = read_picture_blocks([path], 8, True)
    assert [note.reason for note in block.notes] == ["pixels that are not square, shown as 16 x 24"]
    (boxed,) = read_picture_blocks([path], 8, True, boxes=[PixelBox(8, 0, 16, 8)])
    shown = Image.fromarray(read(content)).crop((4, 0, 12, 8))
    assert (boxed.faces[0] == np.asarray(shown)).all(), "boxes are those of the pixels that are stored"


@pytest.mark.parametrize("ending", [".png", ".tiff", ".jp2"])
def test_deep_colors_are_read_of_pictures_of_pillow_too(ending: str) -> None:
    smooth = cv2.resize(np.random.default_rng(0).random((6, 8, 3)), (80, 60), interpolation=cv2.INTER_LINEAR)
    content = cv2.imencode(ending, (smooth * 1023).astype(np.uint16))[1].tobytes()
    photo, notes = as_photo(Image.open(io.BytesIO(content))), list[str]()
    assert (read_photo(SourceFile("a", Path(), content=content), notes=notes) == photo).all()
    assert len(notes) == 1
    assert notes[0].endswith("read as 10 bits")
    assert np.abs(photo[..., ::-1] - smooth * 255).mean() < 3
    full = cv2.imencode(ending, (smooth * 65535).astype(np.uint16))[1].tobytes()
    assert np.abs(as_photo(Image.open(io.BytesIO(full)))[..., ::-1] - smooth * 255).mean() < 3


def test_a_picture_of_pillow_stays_as_it_was() -> None:
    content = encoded(Image.fromarray(NOISE), "PNG")
    given = Image.open(io.BytesIO(content))
    assert (as_photo(given) == NOISE).all()
    assert (np.asarray(given) == NOISE).all()
    assert (as_photo(given) == NOISE).all()
