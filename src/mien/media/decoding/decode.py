"""Decoding a picture's file to upright pixels within limits: nothing is decoded before its cost is known."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import thread_time
from typing import IO, Literal, cast

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from mien.media.decoding.bit_depth import FULL, deep_colors, is_deep, largest_possible, to_eight_bits
from mien.media.decoding.exif import exif_stretch, orientation
from mien.media.decoding.joined_bytes import JoinedBytes
from mien.media.decoding.strip_jpeg import strip_jpeg
from mien.media.decoding.strip_other_formats import is_heif, strip_avif, strip_gif, strip_jpeg2000, strip_webp
from mien.media.decoding.strip_png import strip_png, strip_text
from mien.media.decoding.strip_tiff import strip_tiff
from mien.media.decoding.stripped import StrippedPicture
from mien.media.file_limits import Clock, Deadline, FileLimits

Array = npt.NDArray[np.uint8]
Mode = Literal["L", "RGB"]

_PILLOW_WARNS = 89_478_485
"""The pixels from which Pillow itself warns where a format checks its size again; the limit is no higher there."""

_BLOCK = 1 << 20
"""Bytes read at a time."""

_STRIP = 1 << 22
"""About so many pixels are converted at a time."""

WHITE = 255
"""The gray value that shows through transparent pixels, in every command."""

_BITS_PER_SAMPLE = 258

_SCALED, _SAID = "mien scaled", "mien said"
"""A key of Pillow's: a gray or pixel map was scaled by its largest value; and the sentence about it."""

UPRIGHT: dict[int, Callable[[Array], Array]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: np.swapaxes(pixels, 0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.swapaxes(np.rot90(pixels, 2), 0, 1),
    8: np.rot90,
}
"""For each EXIF orientation, the function that turns a picture upright; its result is a view."""

_BACK = {6: 8, 8: 6}
"""The orientation whose turn undoes another's, where that is not the same one."""


@dataclass(frozen=True, eq=False)
class OpenedPicture:
    """A picture whose header is read, but whose pixels are not decoded yet."""

    image: Image.Image
    turn: int
    """The EXIF orientation of the picture, 1 to 8."""
    largest: int = 0
    """The largest possible value that the file states; 0 where it does not state any."""
    again: Callable[[], ImageFile.ImageFile] | None = None
    """Opens the file once more."""
    stretch: float = 1.0
    """How many times as wide as high a stored pixel is to be shown, before the picture is turned."""
    notes: list[str] = field(default_factory=list)
    """Sentences about how the picture is read; complete once the pixels are decoded."""

    def pixels(self, mode: Mode) -> Array:
        """The upright pixels, 8 bits: (H, W) of mode L or (H, W, 3) of mode RGB, transparent parts laid on white. They are as
        wide as high: others are made so by making one side smaller, so that memory is enough.

        Values of more than 8 bits are scaled by the largest possible value: the one that the file states, else that of the
        fewest bits (8, 10, 12, 14 or 16) that hold all values. Palettes and CMYK become RGB. Raises ValueError for
        floating-point pixels; decoders raise exceptions of many kinds for a damaged file.
        """
        upright = self._upright(mode)
        across = self.stretch if self.turn <= 4 else 1 / self.stretch
        if across == 1:
            return upright
        high, wide = upright.shape[:2]
        size = (wide, max(1, round(high / across))) if across > 1 else (max(1, round(wide * across)), high)
        if size == (wide, high):
            return upright
        self.notes.append(f"pixels that are not square, shown as {size[0]} x {size[1]}")
        return np.asarray(cv2.resize(upright, size, interpolation=cv2.INTER_AREA), np.uint8)

    def _upright(self, mode: Mode) -> Array:
        """The upright pixels as they are stored, 8 bits."""
        deep = is_deep(self.image, self.largest)  # which is not to be told once it is loaded
        self.image.load()
        image, largest = self.image, FULL
        if deep and self.again:
            image, said = deep_colors(image, self.again, self.largest)
        elif image.mode.startswith("I"):
            largest, said = _largest(image, self.largest)
        else:
            said = str(image.info.get(_SAID, ""))
        self.notes.extend([said] if said else [])
        wide, high, channels = image.width, image.height, (3,) if mode == "RGB" else ()
        turned = UPRIGHT.get(self.turn)
        if wide * high <= _STRIP:
            whole = np.array(_plain(image, mode, largest))
            return np.ascontiguousarray(turned(whole)) if turned else whole
        made = np.empty((wide, high, *channels) if turned and self.turn > 4 else (high, wide, *channels), np.uint8)
        lying = UPRIGHT[_BACK.get(self.turn, self.turn)](made) if turned else made
        for box in _strips(wide, high):
            lying[box[1] : box[3], box[0] : box[2]] = np.asarray(_plain(image.crop(box), mode, largest))
        return made


def _strips(wide: int, high: int) -> Iterator[tuple[int, int, int, int]]:
    """Boxes (left, top, right, bottom) that together cover a picture."""
    columns = min(wide, _STRIP)
    rows = max(1, _STRIP // columns)
    for top in range(0, high, rows):
        for left in range(0, wide, columns):
            yield left, top, min(left + columns, wide), min(top + rows, high)


def read_content(file: IO[bytes], limits: FileLimits) -> bytes:
    """All bytes of a file, whatever size it states. Raises ValueError for an empty file, or one beyond the limits."""
    parts, size = [], 0
    while part := file.read(_BLOCK):
        parts.append(part)
        size += len(part)
        if size > limits.bytes:
            raise ValueError(f"more than {limits.bytes:,} bytes")
    if not size:
        raise ValueError("an empty file")
    return b"".join(parts)


def open_picture(content: bytes, limits: FileLimits, clock: Clock = thread_time) -> OpenedPicture:
    """A picture from the bytes of a file, whose format is known by its content; of an animation the first frame.

    Raises ValueError for an unknown format or a picture beyond the limits; decoders raise exceptions of many kinds for a
    damaged file.
    """
    if len(content) > limits.bytes:
        raise ValueError(f"more than {limits.bytes:,} bytes")
    # Not by Image.open, which warns of large pictures and looks at metadata before anything can be said about it.
    made, bare = _known(content, limits)
    deadline = Deadline(limits.seconds, clock)

    def opened() -> ImageFile.ImageFile:
        return made(cast(IO[bytes], JoinedBytes(bare.pieces, deadline)))

    image = opened()
    again = isinstance(image, TiffImageFile | GifImageFile)
    require_size(image.width, image.height, min(limits.pixels, _PILLOW_WARNS) if again else limits.pixels)
    if max(image.size) > limits.side:
        raise ValueError(f"{image.width} x {image.height} pixels, a side of more than {limits.side:,}")
    if bare.coded > 2 * image.width * image.height + _STRIP:
        raise ValueError(f"a picture of {image.width} x {image.height} pixels whose frame has {bare.coded:,}")
    needed = len(content) + _memory(image, bare, len(content))
    if needed > limits.memory:
        raise ValueError(f"{image.width} x {image.height} pixels that take {needed:,} bytes, more than {limits.memory:,}")
    inside = isinstance(image, WebPImageFile | AvifImageFile)
    exif = image.info.get("exif", b"") if inside else b""
    turn, stretch = (orientation(exif), exif_stretch(exif)) if inside else (bare.turn, bare.stretch)
    if isinstance(image, PpmImageFile):
        _use_depth(image, content)
    return OpenedPicture(image, turn, bare.largest, opened, stretch, [bare.note] if bare.note else [])


def require_size(width: int, height: int, max_pixels: int) -> None:
    """Raises ValueError for a picture of no pixels, or of more than `max_pixels`."""
    if not 0 < width * height <= max_pixels:
        raise ValueError(f"{width} x {height} pixels" + (f", more than {max_pixels:,}" if width * height else ""))


def _known(content: bytes, limits: FileLimits) -> tuple[Callable[[IO[bytes]], ImageFile.ImageFile], StrippedPicture]:
    """The decoder of a file, and the parts of the file that it needs."""
    if content.startswith(b"\xff\xd8\xff"):
        return JpegImageFile, strip_jpeg(content, limits)
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImageFile, strip_png(content)
    if content.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return TiffImageFile, strip_tiff(content, limits)
    if content.startswith((b"GIF87a", b"GIF89a")):
        bare, wide, high = strip_gif(content)
        require_size(wide, high, min(limits.pixels, _PILLOW_WARNS))  # before Pillow, which warns first
        return GifImageFile, bare
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return WebPImageFile, strip_webp(content)
    if is_heif(content):
        return AvifImageFile, strip_avif(content)
    if content.startswith((b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n")):
        return Jpeg2KImageFile, strip_jpeg2000(content, limits)
    if content.startswith((b"P1", b"P2", b"P3")):
        return PpmImageFile, strip_text(content)
    if content.startswith((b"P4", b"P5", b"P6")):
        return PpmImageFile, StrippedPicture([content])
    if content.startswith(b"BM"):
        return BmpImageFile, StrippedPicture([content])
    raise ValueError("no picture of a known format")


def _memory(image: ImageFile.ImageFile, bare: StrippedPicture, size: int) -> int:
    """The most bytes that decoding takes beside the file of `size` bytes, by measurement."""
    many = image.width * image.height
    own = many * (1 if image.mode in ("1", "L", "P") else 2 if image.mode.startswith("I;16") else 4)
    decoding, always = own + bare.extra, 0
    if isinstance(image, WebPImageFile):
        decoding, always = decoding + 5 * many + size, 8 * many
    elif isinstance(image, AvifImageFile):
        decoding, always = decoding + 12 * many + size, 4 * many
    elif isinstance(image, Jpeg2KImageFile):
        deep = 7 if is_deep(image, bare.largest) else 0  # it may be read twice
        decoding += (7 + deep) * many * len(image.getbands()) + size
    elif is_deep(image, bare.largest):
        decoding += 24 * many
    elif isinstance(image, TiffImageFile) and bare.extra:
        decoding += size
    elif isinstance(image, PpmImageFile | BmpImageFile) and image.tile and image.tile[0].codec_name != "raw":
        decoding += own * 5 // 2
    return max(decoding, own + 3 * many) + always


def _largest(image: Image.Image, stated: int) -> tuple[int, str]:
    """The largest possible value in a gray picture of more than 8 bits, and a sentence about it, or ""."""
    if isinstance(image, TiffImageFile) and image.tag_v2.get(_BITS_PER_SAMPLE) == (12,):
        return 4095, ""
    if (isinstance(image, Jpeg2KImageFile) and stated == FULL) or image.info.get(_SCALED):  # by their decoders
        return FULL, ""
    extremes = [(values.min(), values.max()) for box in _strips(*image.size) for values in [np.asarray(image.crop(box))]]
    least, most = int(min(low for low, _ in extremes)), int(max(high for _, high in extremes))
    return largest_possible(most, stated) if least >= 0 else (FULL, "")


def _use_depth(image: PpmImageFile, content: bytes) -> None:
    """Take the largest value that a gray or pixel map states; where that is 65,535, look at the values themselves."""
    tile = image.tile[0]
    if tile.codec_name == "raw" or not isinstance(tile.args, tuple):
        return
    if tile.args[1] != FULL:
        image.info[_SCALED] = True
    elif tile.codec_name == "ppm" and image.mode == "RGB":
        values = np.frombuffer(
            content, ">u2", min((len(content) - tile.offset) // 2, 3 * image.width * image.height), tile.offset
        )
        largest, said = largest_possible(int(values.max(initial=0)), 0)
        image.tile = [tile._replace(args=(tile.args[0], largest))]
        image.info[_SAID] = said


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
    """Gray of more than 8 bits, (H, W), scaled to 8; a transparent value becomes white."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > largest:
        raise ValueError(f"pixel values from {values.min()} to {values.max()}, beyond 0 to {largest}")
    made = to_eight_bits(values, largest)
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        made[values == clear] = WHITE
    return made
