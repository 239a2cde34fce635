"""Reading photos that anybody may have made, as upright RGB: every fault of a file becomes one sentence.

Color profiles (ICC) are not applied: values count as sRGB.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from mien.errors import MienError
from mien.faces.bare import bare_jpeg, bare_png, bare_tiff, orientation
from mien.faces.places import MAX_BYTES, Input, fault, open_input, refusal, require_local

Array = npt.NDArray[np.uint8]

Picture = str | Path | bytes | Image.Image | Array
"""What a photo may be given as."""

MAX_PIXELS = 100_000_000
"""A photo of more is refused, and a file that states more before it is decoded."""

_PILLOW_WARNS = 89_478_485
"""Pixels from which Pillow itself warns where a format checks again; there the limit is no higher."""

_BLOCK = 1 << 20
"""Bytes that are read at once."""

_STRIP = 1 << 22
"""Deep pixels are scaled in strips of about so many."""

_BITS_PER_SAMPLE = 258

UPRIGHT: dict[int, Callable[[Array], Array]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: np.swapaxes(pixels, 0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.swapaxes(np.rot90(pixels, 2), 0, 1),
    8: np.rot90,
}
"""What makes a picture upright, by its EXIF orientation."""


def read_photo(input: Input, max_pixels: int = MAX_PIXELS) -> Array:
    """One photo, uint8 (H, W, 3), upright by its EXIF orientation.

    Values of more than 8 bits are scaled by the largest that the format has; transparent parts become white; gray,
    palettes and CMYK become RGB; of moving pictures the first frame counts. Files are known by their content, not by
    their name. Raises MienError for what is empty, truncated, damaged, no photo, too large, unreadable or no file.
    """
    try:
        with open_input(input) as file:
            content = _content(file)
        return _decoded(content, max_pixels)
    except Exception as error:  # Decoders meet a broken file with exceptions of many kinds; none of them is hidden.
        raise refusal(input, fault(error)) from error


def as_photo(given: Picture) -> Array:
    """A photo, uint8 (H, W, 3), upright: of a path, a file's bytes, a picture of Pillow, or an array (H, W, 3) or (H, W).

    Raises MienError for what is none of them, and as `read_photo` does.
    """
    if isinstance(given, bytes):
        return read_photo(Input("the bytes that were given", Path(), content=given))
    if isinstance(given, str | Path):
        require_local(given)
        return read_photo(Input(str(given), Path(given)))
    if isinstance(given, Image.Image):
        return _of_picture(given)
    if not isinstance(given, np.ndarray) or given.dtype != np.uint8 or given.ndim not in (2, 3) or not given.size:
        found = f"{given.dtype} of shape {given.shape}" if isinstance(given, np.ndarray) else type(given).__name__
        raise MienError("a path, bytes, a picture of Pillow or uint8 (H, W, 3) or (H, W)", found, "give one of these")
    if given.ndim == 3 and given.shape[2] != 3:
        raise MienError("three channels, RGB", f"{given.shape[2]}", "give an array of RGB")
    try:
        require_size(given.shape[1], given.shape[0], MAX_PIXELS)
    except ValueError as error:
        raise refusal(Input("the array that was given", Path()), fault(error)) from error
    return np.ascontiguousarray(given if given.ndim == 3 else np.repeat(given[:, :, None], 3, axis=2))


def _of_picture(given: Image.Image) -> Array:
    try:
        require_size(given.width, given.height, MAX_PIXELS)
        turned = UPRIGHT.get(orientation(given.info.get("exif", b"")))
        pixels = np.array(_to_rgb(given), np.uint8)
    except Exception as error:  # It may be a file that is not decoded yet.
        raise refusal(Input("the picture that was given", Path()), fault(error)) from error
    return np.ascontiguousarray(turned(pixels)) if turned else pixels


def require_size(width: int, height: int, max_pixels: int) -> None:
    """Raises ValueError for a picture of no pixels or too many."""
    if not 0 < width * height <= max_pixels:
        raise ValueError(f"{width} x {height} pixels" + (f", more than {max_pixels:,}" if width * height else ""))


def _content(file: IO[bytes]) -> bytes:
    """All bytes of a file, which are not taken to be as many as it says."""
    parts, size = [], 0
    while part := file.read(_BLOCK):
        parts.append(part)
        size += len(part)
        if size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES:,} bytes")
    if not size:
        raise ValueError("an empty file")
    return b"".join(parts)


def _decoded(content: bytes, max_pixels: int) -> Array:
    # Not by Image.open, which warns of large pictures and looks at metadata before anything can be said about it.
    opened, exif = _opened(content)
    with opened as image:
        again = isinstance(image, TiffImageFile | GifImageFile)
        require_size(image.width, image.height, min(max_pixels, _PILLOW_WARNS) if again else max_pixels)
        image.load()  # which turns a TIFF upright
        pixels = np.array(_to_rgb(image), np.uint8)
        turned = UPRIGHT.get(orientation(exif or image.info.get("exif", b"")))
    return np.ascontiguousarray(turned(pixels)) if turned and not isinstance(image, TiffImageFile) else pixels


def _opened(content: bytes) -> tuple[ImageFile.ImageFile, bytes]:
    """The picture, not yet decoded, and its EXIF block where that had to be taken out."""
    if content.startswith(b"\xff\xd8\xff"):
        bare, exif = bare_jpeg(content)
        return JpegImageFile(io.BytesIO(bare)), exif
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        bare, exif = bare_png(content)
        return PngImageFile(io.BytesIO(bare)), exif
    if content.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return TiffImageFile(io.BytesIO(bare_tiff(content))), b""
    if content.startswith((b"GIF87a", b"GIF89a")):
        return GifImageFile(io.BytesIO(content)), b""
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return WebPImageFile(io.BytesIO(content)), b""
    if content.startswith((b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")):
        return PpmImageFile(io.BytesIO(content)), b""
    if content.startswith(b"BM"):
        return BmpImageFile(io.BytesIO(content)), b""
    raise ValueError("no photo of a known format")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("floating-point pixels, whose range is not known")
    if image.mode.startswith("I"):
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    seen = image.convert("RGBA")
    plain = Image.new("RGB", seen.size, (255, 255, 255))
    plain.paste(seen, mask=seen.getchannel("A"))
    return plain


def _eight_bits(image: Image.Image) -> Array:
    """Gray of 12 or 16 bits, (H, W), scaled to 8; a transparent value becomes white."""
    largest = 4095 if isinstance(image, TiffImageFile) and image.tag_v2.get(_BITS_PER_SAMPLE) == (12,) else 65535
    values = np.asarray(image)
    if values.min() < 0 or values.max() > largest:
        raise ValueError(f"pixel values from {values.min()} to {values.max()}, beyond 0 to {largest}")
    scaled = np.empty(values.shape, np.uint8)
    rows = max(1, _STRIP // image.width)
    for first in range(0, len(values), rows):
        strip = values[first : first + rows].astype(np.uint32)
        scaled[first : first + rows] = (strip * 255 + largest // 2) // largest
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        scaled[values == clear] = 255
    return scaled
