"""The pixels of a picture's file, upright, within limits: nothing is decoded before it is known what that takes."""

from collections.abc import Callable
from dataclasses import dataclass
from time import thread_time
from typing import IO, Literal, cast

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

from mien.files.bare import Bare, bare_jpeg, bare_png, bare_text, bare_tiff, orientation
from mien.files.limits import Clock, Deadline, FileLimits
from mien.files.pieces import Pieces

Array = npt.NDArray[np.uint8]
Mode = Literal["L", "RGB"]

_PILLOW_WARNS = 89_478_485
"""Pixels from which Pillow itself warns where a format checks again; there the limit is no higher."""

_BLOCK = 1 << 20
"""Bytes that are read at once."""

_STRIP = 1 << 22
"""Pixels are converted in strips of about so many."""

WHITE = 255
"""What is transparent is laid on it, whichever command reads it."""

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
"""What makes a picture upright, by its EXIF orientation; each of them is a view."""

_BACK = {6: 8, 8: 6}
"""The orientation whose turn undoes that of another; others undo themselves."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A picture that is not decoded yet."""

    image: Image.Image
    turn: int
    """Its EXIF orientation."""

    def pixels(self, mode: Mode) -> Array:
        """Upright, (H, W) of mode L or (H, W, 3) of mode RGB, 8 bits; what is transparent is laid on white.

        Values of more than 8 bits are scaled by the largest that the format has; palettes and CMYK become RGB. Raises ValueError
        for floating-point pixels, and what decoders do for a damaged file.
        """
        self.image.load()
        wide, high, channels = self.image.width, self.image.height, (3,) if mode == "RGB" else ()
        turned = UPRIGHT.get(self.turn)
        if wide * high <= _STRIP:
            whole = np.array(_plain(self.image, mode, _largest(self.image)))
            return np.ascontiguousarray(turned(whole)) if turned else whole
        made = np.empty((wide, high, *channels) if turned and self.turn > 4 else (high, wide, *channels), np.uint8)
        lying = UPRIGHT[_BACK.get(self.turn, self.turn)](made) if turned else made
        columns = min(wide, _STRIP)
        rows = max(1, _STRIP // columns)
        for top in range(0, high, rows):
            for left in range(0, wide, columns):
                box = (left, top, min(left + columns, wide), min(top + rows, high))
                strip = _plain(self.image.crop(box), mode, _largest(self.image))
                lying[box[1] : box[3], box[0] : box[2]] = np.asarray(strip)
        return made


def read_content(file: IO[bytes], limits: FileLimits) -> bytes:
    """All bytes of a file, which are not taken to be as many as it says. Raises ValueError for none, or too many."""
    parts, size = [], 0
    while part := file.read(_BLOCK):
        parts.append(part)
        size += len(part)
        if size > limits.bytes:
            raise ValueError(f"more than {limits.bytes:,} bytes")
    if not size:
        raise ValueError("an empty file")
    return b"".join(parts)


def open_picture(content: bytes, limits: FileLimits, clock: Clock = thread_time) -> Opened:
    """A picture, known by its content; of moving ones the first frame.

    Raises ValueError for what is no picture of a known format or beyond the limits, and what decoders do for a damaged file.
    """
    if len(content) > limits.bytes:
        raise ValueError(f"more than {limits.bytes:,} bytes")
    # Not by Image.open, which warns of large pictures and looks at metadata before anything can be said about it.
    made, bare = _known(content, limits)
    image = made(cast(IO[bytes], Pieces(bare.pieces, Deadline(limits.seconds, clock))))
    again = isinstance(image, TiffImageFile | GifImageFile)
    require_size(image.width, image.height, min(limits.pixels, _PILLOW_WARNS) if again else limits.pixels)
    if max(image.size) > limits.side:
        raise ValueError(f"{image.width} x {image.height} pixels, a side of more than {limits.side:,}")
    needed = len(content) + _memory(image, bare.extra, len(content))
    if needed > limits.memory:
        raise ValueError(f"{image.width} x {image.height} pixels that take {needed:,} bytes, more than {limits.memory:,}")
    turn = orientation(image.info.get("exif", b"")) if isinstance(image, WebPImageFile) else bare.turn
    return Opened(image, turn)


def require_size(width: int, height: int, max_pixels: int) -> None:
    """Raises ValueError for a picture of no pixels or too many."""
    if not 0 < width * height <= max_pixels:
        raise ValueError(f"{width} x {height} pixels" + (f", more than {max_pixels:,}" if width * height else ""))


def _known(content: bytes, limits: FileLimits) -> tuple[Callable[[IO[bytes]], ImageFile.ImageFile], Bare]:
    """What reads a file, and what of it."""
    if content.startswith(b"\xff\xd8\xff"):
        return JpegImageFile, bare_jpeg(content, limits)
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImageFile, bare_png(content)
    if content.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return TiffImageFile, bare_tiff(content, limits)
    if content.startswith((b"GIF87a", b"GIF89a")):
        return GifImageFile, Bare([content])
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return WebPImageFile, Bare([content])
    if content.startswith((b"P1", b"P2", b"P3")):
        return PpmImageFile, bare_text(content)
    if content.startswith((b"P4", b"P5", b"P6")):
        return PpmImageFile, Bare([content])
    if content.startswith(b"BM"):
        return BmpImageFile, Bare([content])
    raise ValueError("no picture of a known format")


def _memory(image: ImageFile.ImageFile, extra: int, size: int) -> int:
    """The most bytes that decoding takes beside the file, which has `size`; they were measured."""
    many = image.width * image.height
    own = many * (1 if image.mode in ("1", "L", "P") else 2 if image.mode.startswith("I;16") else 4)
    decoding, always = own + extra, 0
    if isinstance(image, WebPImageFile):
        decoding, always = decoding + 5 * many + size, 8 * many
    elif isinstance(image, TiffImageFile) and extra:
        decoding += size
    elif isinstance(image, PpmImageFile | BmpImageFile) and image.tile and image.tile[0].codec_name != "raw":
        decoding += own * 5 // 2
    return max(decoding, own + 3 * many) + always


def _largest(image: Image.Image) -> int:
    """The largest value of a deep picture."""
    return 4095 if isinstance(image, TiffImageFile) and image.tag_v2.get(_BITS_PER_SAMPLE) == (12,) else 65535


def _plain(image: Image.Image, mode: Mode, largest: int) -> Image.Image:
    if image.mode == "F":
        raise ValueError("floating-point pixels, whose range is not known")
    if image.mode.startswith("I"):
        return Image.fromarray(_eight_bits(image, largest)).convert(mode)
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        image = Image.new("RGB", seen.size, (WHITE,) * 3)
        image.paste(seen, mask=seen.getchannel("A"))
    elif image.mode not in ("1", "L"):
        image = image.convert("RGB")
    return image.convert(mode)


def _eight_bits(image: Image.Image, largest: int) -> Array:
    """Gray of 12 or 16 bits, (H, W), scaled to 8; a transparent value becomes white."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > largest:
        raise ValueError(f"pixel values from {values.min()} to {values.max()}, beyond 0 to {largest}")
    scaled = ((values.astype(np.uint32) * 255 + largest // 2) // largest).astype(np.uint8)
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        scaled[values == clear] = WHITE
    return scaled
