"""Reading pictures: every kind of pixel comes out as gray or color of 8 bits, every broken file as one sentence."""

import io
import struct
import tempfile
import warnings
import zlib
from dataclasses import replace
from pathlib import Path
from threading import RLock, local
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conftest import Command
from mien.errors import MienError
from mien.media import face_pictures
from mien.media.decoding.decode import OpenedPicture
from mien.media.face_pictures import MAX_PIXELS, common_side, picture_path, read_picture, read_picture_blocks
from mien.media.file_limits import FILE_LIMITS, NO_LIMITS
from mien.media.photos import read_photo
from mien.media.source_files import SourceFile

Array = npt.NDArray[Any]

GRAY = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
NOISE = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)


def save(path: Path, pixels: Array, exif: bytes = b"") -> Path:
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def encoded(form: str, pixels: Array = GRAY) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


def read_bytes(content: bytes, side: int | None) -> Array:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        path.write_bytes(content)
        return read_picture(path, side)


def claim_png(path: Path, width: int, height: int) -> Path:
    """A small file that states a size and holds no pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))
    return path


def test_gray_and_color_of_a_gray_picture(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", GRAY)
    assert (read_picture(path) == GRAY).all()
    color = read_picture(path, color=True)
    assert color.shape == (8, 8, 3)
    assert (color == GRAY[..., None]).all()


def test_color_becomes_luma(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    path = save(tmp_path / "a.png", pixels)
    assert (read_picture(path, color=True) == pixels).all()
    assert np.abs(read_picture(path) - pixels @ np.array([0.299, 0.587, 0.114])).max() <= 1


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_16_bits_are_scaled_to_8(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a{suffix}", GRAY.astype(np.uint16) * 257)
    assert (read_picture(path) == GRAY).all()
    assert read_picture(path, color=True).shape == (8, 8, 3)


def test_palette_transparency_and_cmyk(tmp_path: Path) -> None:
    rgb = np.zeros((8, 8, 3), np.uint8)
    rgb[:, :4] = 250, 10, 10
    rgb[:, 4:] = 10, 10, 250
    picture = Image.fromarray(rgb)
    picture.quantize(4).save(tmp_path / "palette.png")
    picture.quantize(4).save(tmp_path / "palette.gif", transparency=0)
    picture.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100, subsampling=0)
    assert (read_picture(tmp_path / "palette.png", color=True) == rgb).all()
    assert np.abs(read_picture(tmp_path / "cmyk.jpg", color=True).astype(int) - rgb).max() < 12
    see_through = read_picture(tmp_path / "palette.gif", color=True)
    hidden = (see_through == 255).all(axis=2)
    assert hidden.sum() == 32
    assert (see_through[~hidden] == rgb[~hidden]).all()


def test_alpha_is_laid_on_white_as_in_prepare(tmp_path: Path) -> None:
    pixels = np.dstack([GRAY, np.where(np.eye(8, dtype=bool), 0, 255).astype(np.uint8)])
    path = save(tmp_path / "a.png", pixels)
    assert (read_picture(path) == np.where(np.eye(8, dtype=bool), 255, GRAY)).all()
    assert (read_picture(path, color=True) == read_photo(SourceFile(path.name, path))).all()


@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honored(tmp_path: Path, orientation: int, suffix: str) -> None:
    # What a viewer has to do to the stored picture, after the EXIF 2.3 standard's row and column descriptions.
    upright = [GRAY, np.fliplr(GRAY), np.rot90(GRAY, 2), np.flipud(GRAY), GRAY.T]
    upright += [np.rot90(GRAY, -1), np.rot90(GRAY, 2).T, np.rot90(GRAY)]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    # WEBP would not keep the pixels otherwise; it keeps colors alone.
    Image.fromarray(GRAY).save(path, exif=exif.tobytes(), lossless=suffix == "webp")
    assert (read_picture(path) == upright[orientation - 1]).all()


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 9))
def test_shrinking_averages_areas_of_the_central_square(side: int, factor: int, extra: int) -> None:
    big = np.random.default_rng(extra).integers(0, 256, (side * factor, side * factor + extra), np.uint8)
    left = extra // 2
    square = big[:, left : left + side * factor].astype(float)
    expected = square.reshape(side, factor, side, factor).mean(axis=(1, 3))
    file = io.BytesIO()
    Image.fromarray(big).save(file, "PNG")
    assert np.abs(read_bytes(file.getvalue(), side) - expected).max() <= 1


def test_enlarging_interpolates(tmp_path: Path) -> None:
    face = read_picture(save(tmp_path / "a.png", GRAY), side=32)
    assert face.shape == (32, 32)
    assert len(np.unique(face)) > 64


def test_a_picture_that_is_not_square_needs_a_side(tmp_path: Path) -> None:
    path = save(tmp_path / "wide.png", GRAY[:6])
    with pytest.raises(MienError, match=r"square picture.*8 x 6.*wide\.png.*`side`"):
        read_picture(path)
    assert read_picture(path, side=4).shape == (4, 4)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("zero.png", b"", "empty file"),
        ("text.png", b"not a picture at all", "no picture of a known format"),
        ("half.jpg", encoded("JPEG", NOISE)[:-200], "truncated"),
        ("half.png", encoded("PNG", NOISE)[:600], "truncated"),
        ("flipped.png", encoded("PNG").replace(b"IDAT", b"IDAT\xff"), ""),
        ("script.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture of a known format"),
    ],
)
def test_a_broken_file_is_named_with_its_fault(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MienError, match=f"picture at .*{name}.*{reason}"):
        read_picture(path, side=8)


def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.png", tmp_path / ("x" * 300 + ".png"), tmp_path / "a\0b.png"):
        with pytest.raises(MienError, match="picture at"):
            read_picture(path)


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="floating-point"):
        read_picture(save(tmp_path / "a.tif", GRAY / np.float32(255)))


@pytest.mark.parametrize(("width", "height"), [(8000, 8000), (10_000, 10_000), (60_000, 60_000)])
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path, width: int, height: int) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    path = claim_png(tmp_path / "bomb.png", width, height)
    assert width * height > MAX_PIXELS
    with pytest.raises(MienError, match=r"bomb\.png.*more than 50,000,000"):
        read_picture(path, side=8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(MienError, match=r"bomb\.png.*more than 50,000,000"):
            read_picture(path, side=8)
    assert limit == Image.MAX_IMAGE_PIXELS


FORMS = {form: encoded(form) for form in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")}


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(FORMS)), st.data())
def test_a_damaged_file_is_read_or_refused(form: str, data: st.DataObject) -> None:
    content = bytearray(FORMS[form])
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(1, len(content)))]
    try:
        face = read_bytes(bytes(content), 8)
    except MienError:
        return
    assert face.shape == (8, 8)
    assert face.dtype == np.uint8


def test_blocks_keep_order_and_report_what_cannot_be_read(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{n:04d}.png", np.full((4, 4), n % 256, np.uint8)) for n in range(1100)]
    paths[3].write_bytes(b"")
    paths[1050].unlink()
    blocks = list(read_picture_blocks(paths, None, color=False))
    index = np.concatenate([block.index for block in blocks])
    faces = np.concatenate([block.faces for block in blocks])
    assert len(blocks) == 2
    assert index.tolist() == [n for n in range(1100) if n not in (3, 1050)]
    assert (faces[:, 0, 0] == index % 256).all()
    assert [(Path(one.path).name, one.reason) for block in blocks for one in block.rejected] == [
        ("0003.png", "an empty file"),
        ("1050.png", "no file there"),
    ]


def test_a_block_of_broken_files_has_no_faces(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    (block,) = read_picture_blocks([tmp_path / "a.png"], 8, color=True)
    assert block.faces.shape == (0, 8, 8, 3)
    assert len(block.index) == 0
    with pytest.raises(MienError, match=r"readable picture among 1.*a\.png: an empty file"):
        common_side([tmp_path / "a.png"])


def test_pictures_of_several_sizes_need_a_side(tmp_path: Path) -> None:
    paths = [save(tmp_path / "a.png", GRAY), save(tmp_path / "b.png", GRAY[:4, :4])]
    with pytest.raises(MienError, match=r"8 x 8 pixels like the first.*4 x 4 pixels in .*b\.png.*`side`"):
        list(read_picture_blocks(paths, None, color=False))
    (block,) = read_picture_blocks(paths, 6, color=False)
    assert block.faces.shape == (2, 6, 6)


@pytest.mark.parametrize("name", ["../a.png", "sub/../../a.png", ".."])
def test_a_relative_path_stays_within_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(MienError, match="a file within"):
        picture_path(tmp_path, name)
    assert picture_path(tmp_path, "sub/..a.png") == tmp_path / "sub/..a.png"
    assert picture_path(tmp_path, "/faces/a.png") == Path("/faces/a.png")


def test_a_picture_has_the_limits_of_photos(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", np.repeat(np.repeat(NOISE, 4, 0), 4, 1))
    Image.open(path).save(path, progressive=True)
    content = path.read_bytes()
    last = content[content.rfind(b"\xff\xda") : -2]
    path.write_bytes(content[:-2] + last * 300 + content[-2:])
    with pytest.raises(MienError, match=r"a picture at .*a\.jpg; found 30\d scans of 16,384 pixels"):
        read_picture(path, side=8)
    assert read_picture(path, side=8, limits=NO_LIMITS).shape == (8, 8)
    with pytest.raises(MienError, match="more than 10 bytes"):
        read_picture(path, side=8, limits=replace(FILE_LIMITS, bytes=10))


def test_large_pictures_are_decoded_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many threads read, what each takes adds up: whoever decodes holds a lock that all share, whenever others come."""
    paths = [save(tmp_path / f"{n}.png", NOISE) for n in range(12)]
    locks, holding, decode = list[OwnedLock](), list[bool](), OpenedPicture.pixels

    def new_lock() -> OwnedLock:
        locks.append(OwnedLock())
        return locks[-1]

    def watched(self: OpenedPicture, mode: Any) -> Array:
        holding.append(locks[0].held)
        return decode(self, mode)

    monkeypatch.setattr(face_pictures, "RLock", new_lock)
    monkeypatch.setattr(OpenedPicture, "pixels", watched)
    for large, held in ((1000, True), (1 << 22, False)):
        monkeypatch.setattr(face_pictures, "LARGE", large)
        locks.clear()
        holding.clear()
        (block,) = read_picture_blocks(paths, 8, False)
        assert (len(block.faces), len(locks)) == (12, 1)
        assert holding == [held] * 12


class OwnedLock:
    """A lock that knows whether the thread that asks holds it."""

    def __init__(self) -> None:
        self._lock, self._own = RLock(), local()

    @property
    def held(self) -> bool:
        return getattr(self._own, "count", 0) > 0

    def __enter__(self) -> None:
        self._lock.acquire()
        self._own.count = getattr(self._own, "count", 0) + 1

    def __exit__(self, *error: object) -> None:
        self._own.count -= 1
        self._lock.release()


@pytest.mark.parametrize("words", [("folder",), ("table", "--columns", "path=path,label=label")])
def test_limits_of_an_import_are_on_unless_said(
    mien: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(face_pictures, "PICTURES", replace(FILE_LIMITS, pixels=10))
    (tmp_path / "in" / "happy").mkdir(parents=True)
    save(tmp_path / "in" / "happy" / "a.png", GRAY)
    (tmp_path / "in" / "a.csv").write_text("path,label\nhappy/a.png,happy\n")
    source, *more = words
    given = tmp_path / "in" / ("a.csv" if source == "table" else "")
    done = mien("import", source, given, tmp_path / "out", "--side", 8, *more)
    assert done.code == 1
    assert "8 x 8 pixels, more than 10" in done.err
    done = mien("import", source, given, tmp_path / "out", "--side", 8, *more, "--limits", "off")
    assert done.code == 0, done.err
