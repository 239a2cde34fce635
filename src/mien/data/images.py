"""Reading pictures that anybody may have made: every fault of a file becomes one sentence, and no file costs much memory."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError
from pydantic import Field

from mien.data.source import Rejected
from mien.errors import MienError
from mien.limits import MOST_SIDE

Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]
"""A side in pixels, as a setting."""

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""What is read (JPEG covers MPO). Pillow knows more, some by starting other programs."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".pnm")
"""How the names of such files end, in lower case."""

MAX_PIXELS = 50_000_000
"""A picture that states more is refused before it is decoded."""

BLOCK_BYTES = 32 << 20
"""Faces are read in blocks of about this size."""

BLOCK_FACES = 1024
"""The most faces in a block."""

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by its EXIF orientation."""


@dataclass(frozen=True)
class Pictures:
    """A block of pictures: `faces` uint8 (n, S, S) or (n, S, S, 3), and for each its place among the paths, `index` (n,)."""

    faces: npt.NDArray[np.uint8]
    index: npt.NDArray[np.int64]
    rejected: tuple[Rejected, ...]


def read_picture(path: Path, side: int | None = None, color: bool = False) -> npt.NDArray[np.uint8]:
    """One picture, uint8 (S, S) gray or (S, S, 3) color, upright by its EXIF orientation.

    With a `side` the central square is resized to it, averaging areas; without, the picture has to be square. 16-bit
    values are scaled to 8, transparent parts become black, of moving pictures the first frame counts.
    Raises MienError for a file that is empty, truncated, broken, no picture, too large or (without a side) not square.
    """
    return _fit(_decode(path, color), path, side)


def read_blocks(paths: Sequence[Path], side: int | None, color: bool) -> Iterator[Pictures]:
    """All `paths` in order, in bounded blocks, by a few threads; files that cannot be read are `rejected`.

    Without a `side` all must be squares of one size: raises MienError for the first that is not.
    """
    if not paths:
        return
    expected = side or common_side(paths)
    count = max(1, min(BLOCK_FACES, BLOCK_BYTES // (expected * expected * (3 if color else 1))))
    read = partial(_read_one, side=side, expected=expected, color=color)
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as threads:
        for first in range(0, len(paths), count):
            results = list(threads.map(read, paths[first : first + count]))
            faces = [face for face in results if not isinstance(face, Rejected)]
            good = [place for place, face in enumerate(results) if not isinstance(face, Rejected)]
            empty = np.zeros((0, expected, expected, 3) if color else (0, expected, expected), np.uint8)
            rejected = tuple(face for face in results if isinstance(face, Rejected))
            yield Pictures(np.stack(faces) if faces else empty, first + np.array(good, np.int64), rejected)


def common_side(paths: Sequence[Path]) -> int:
    """The side of the first readable picture. Raises MienError where it is not square, or none is readable."""
    reason = "no pictures"
    for path in paths:
        try:
            image = _decode(path, color=False)
        except MienError as error:
            reason = f"{path}: {error.found}" if reason == "no pictures" else reason
            continue
        return len(_fit(image, path, None))
    raise MienError(f"a readable picture among {len(paths)}", f"none ({reason})", "check the files")


def picture_path(folder: Path, name: str) -> Path:
    """The file that a table calls `name`: below `folder`, or anywhere by an absolute path.

    Raises MienError for a relative name that leaves `folder`.
    """
    if os.path.normpath(name).split(os.sep)[0] == os.pardir:
        raise MienError(f"a file within {folder}", repr(name), "write an absolute path, or give the folder above")
    return folder / name


def _read_one(path: Path, side: int | None, expected: int, color: bool) -> npt.NDArray[np.uint8] | Rejected:
    try:
        image = _decode(path, color)
    except MienError as error:
        return Rejected(str(path), error.found)
    face = _fit(image, path, side)
    if len(face) != expected:
        raise _size_error(path, f"{expected} x {expected} pixels like the first", image)
    return face


def _decode(path: Path, color: bool) -> Image.Image:
    """The picture as mode L or RGB, upright."""
    try:
        if not path.is_file():
            raise _refusal(path, "no file there")
        if not path.stat().st_size:
            raise _refusal(path, "an empty file")
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise _refusal(path, f"{width} x {height} pixels, more than {MAX_PIXELS:,}")
            plain = _to_plain(image, "RGB" if color else "L")
            # Once it is decoded: Pillow has then turned a TIFF itself, and forgotten how.
            orientation = image.getexif().get(_ORIENTATION)
    except MienError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _refusal(path, f"more than {MAX_PIXELS:,} pixels") from error
    except Exception as error:  # Decoders meet a broken file with exceptions of many kinds; none of them is hidden.
        unknown = isinstance(error, UnidentifiedImageError)
        known = "no picture of a known format" if unknown else f"a file that cannot be decoded ({error!r})"
        raise _refusal(path, known) from error
    return plain.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else plain


def _to_plain(image: Image.Image, mode: str) -> Image.Image:
    """L or RGB, decoded: deep, palette, transparent and CMYK pictures included."""
    if image.mode == "F":
        raise ValueError("floating-point pixels, whose range is not known")
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(f"pixel values from {values.min()} to {values.max()}, beyond 16 bits")
        return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8)).convert(mode)
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        image = Image.new("RGBA", seen.size, (0, 0, 0, 255))
        image.alpha_composite(seen)
    if image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")
    return image.convert(mode)


def _fit(image: Image.Image, path: Path, side: int | None) -> npt.NDArray[np.uint8]:
    width, height = image.size
    if side is None and width != height:
        raise _size_error(path, "a square picture", image)
    if side is not None and (width, height) != (side, side):
        square = min(width, height)
        left, top = (width - square) // 2, (height - square) // 2
        # The box filter averages areas when it shrinks, but repeats pixels when it enlarges.
        how = Image.Resampling.BOX if square > side else Image.Resampling.BILINEAR
        image = image.resize((side, side), how, box=(left, top, left + square, top + square))
    return np.array(image, np.uint8)


def _size_error(path: Path, expected: str, image: Image.Image) -> MienError:
    found = f"{image.width} x {image.height} pixels in {path}"
    return MienError(expected, found, "give --side to crop and resize all to one size")


def _refusal(path: Path, found: str) -> MienError:
    return MienError(f"a picture at {path}", found, "replace or remove it, or leave it out with --skip")
