"""Reading photos of any size that anybody may have made, as upright RGB; every fault of a file becomes one sentence.

Color profiles (ICC) are not applied: values count as sRGB.
"""

from pathlib import Path
from time import thread_time

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from mien.errors import MienError
from mien.media.decoding.bit_depth import is_deep
from mien.media.decoding.decode import OpenedPicture, open_picture, read_content, require_size
from mien.media.decoding.exif import exif_stretch, orientation, stretch_by
from mien.media.file_limits import FILE_LIMITS, Clock, FileLimits
from mien.media.rejections import reason_of
from mien.media.source_files import SourceFile, open_source_file, require_local, unreadable

Array = npt.NDArray[np.uint8]

Photo = Array
"""A photo: uint8 (H, W, 3), RGB, upright."""

READ_AS_FILES = ("JPEG", "MPO", "PNG", "TIFF", "JPEG2000", "PPM")
"""Pillow's names of formats that hold what a decoded picture does not tell: more than 8 bits, or pixels that are not square."""

PhotoLike = str | Path | bytes | Image.Image | Array
"""What a photo may be given as: a path, the bytes of a file, a picture of Pillow, or an array."""


def read_photo(
    input: SourceFile, limits: FileLimits = FILE_LIMITS, clock: Clock = thread_time, notes: list[str] | None = None
) -> Array:
    """The photo of a source file: uint8 (H, W, 3), upright by its EXIF orientation.

    Values of more than 8 bits are scaled to 8, transparent parts become white; gray, palettes and CMYK become RGB; of an
    animation the first frame counts. Formats are known by content, not by name. Sentences about how it was read are added to
    `notes`. Raises MienError for what is no photo, damaged, beyond the limits or unreadable.
    """
    try:
        with open_source_file(input) as file:
            content = input.content or read_content(file, limits)
        opened = open_picture(content, limits, clock)
        pixels = opened.pixels("RGB")
    except Exception as error:  # Decoders meet a broken file with exceptions of many kinds; none of them is hidden.
        raise unreadable(input, reason_of(error)) from error
    if notes is not None:
        notes.extend(opened.notes)
    return pixels


def as_photo(given: PhotoLike, limits: FileLimits = FILE_LIMITS) -> Array:
    """A photo, uint8 (H, W, 3), upright, from a path, a file's bytes, a picture of Pillow, or an array (H, W, 3) or (H, W).

    Raises MienError for anything else, and for a file that cannot be read.
    """
    if isinstance(given, bytes):
        return read_photo(SourceFile("the bytes that were given", Path(), content=given), limits)
    if isinstance(given, str | Path):
        require_local(given)
        return read_photo(SourceFile(str(given), Path(given)), limits)
    if isinstance(given, Image.Image):
        return _of_picture(given, limits)
    if not isinstance(given, np.ndarray) or given.dtype != np.uint8 or given.ndim not in (2, 3) or not given.size:
        found = f"{given.dtype} of shape {given.shape}" if isinstance(given, np.ndarray) else type(given).__name__
        raise MienError("a path, bytes, a picture of Pillow or uint8 (H, W, 3) or (H, W)", found, "give one of these")
    if given.ndim == 3 and given.shape[2] != 3:
        raise MienError("three channels, RGB", f"{given.shape[2]}", "give an array of RGB")
    try:
        require_size(given.shape[1], given.shape[0], limits.pixels)
    except ValueError as error:
        raise unreadable(SourceFile("the array that was given", Path()), reason_of(error)) from error
    return np.ascontiguousarray(given if given.ndim == 3 else np.repeat(given[:, :, None], 3, axis=2))


def _of_picture(given: Image.Image, limits: FileLimits) -> Array:
    source = SourceFile("the picture that was given", Path())
    try:
        require_size(given.width, given.height, limits.pixels)
        content = _content_of(given, limits)
        if content:
            opened = open_picture(content, limits)
            if opened.image.size == given.size and (opened.stretch != 1 or is_deep(opened.image, opened.largest)):
                given.load()  # which closes its file, as decoding does
                return opened.pixels("RGB")
        exif = given.info.get("exif", b"")
        turn = orientation(exif) if isinstance(exif, bytes) else 1
        return OpenedPicture(given, turn, stretch=_stretch(given)).pixels("RGB")
    except Exception as error:  # It may be a file that is not decoded yet.
        raise unreadable(source, reason_of(error)) from error


def _stretch(given: Image.Image) -> float:
    """How many times as wide as high the pixels of a decoded file are; 1 of other pictures, which may have been resized."""
    if not isinstance(given, ImageFile.ImageFile):
        return 1.0
    exif, density = given.info.get("exif", b""), given.info.get("jfif_density", given.info.get("dpi", (1, 1)))
    stretch = stretch_by(*map(float, density)) if isinstance(density, tuple) and len(density) == 2 else 1.0
    return exif_stretch(exif) if stretch == 1 and isinstance(exif, bytes) else stretch


def _content_of(given: Image.Image, limits: FileLimits) -> bytes:
    """The file of a picture that is opened but not decoded, so that it is read as other files are; b"" where there is none."""
    if not isinstance(given, ImageFile.ImageFile) or given.format not in READ_AS_FILES or not given.tile or given.tell():
        return b""
    file = given.fp
    if file is None:
        return b""
    place = file.tell()
    file.seek(0)
    content = read_content(file, limits)
    file.seek(place)
    return content
