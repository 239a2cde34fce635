"""Reading many pictures of faces of one size, from files that anybody may have made.

Every fault of a file becomes one sentence, and no file costs much memory. For whole photos of any size, see photos.py.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import RLock

import numpy as np
import numpy.typing as npt
from PIL import Image

from mien.errors import MienError
from mien.media.decoding.decode import open_picture, read_content
from mien.media.file_limits import FILE_LIMITS, NO_LIMITS, FileLimits, LimitSwitch
from mien.media.rejections import Rejected, reason_of

SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif"),
    *(".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc", ".pbm", ".pgm", ".ppm", ".pnm"),
)
"""How the names of picture files end, in lower case."""

MAX_PIXELS = 50_000_000
"""The most pixels of a picture; larger ones are refused before they are decoded."""

PICTURES = replace(FILE_LIMITS, pixels=MAX_PIXELS)
"""What a picture's file may cost, unless the user says otherwise."""

BLOCK_BYTES = 32 << 20
"""About so many bytes of faces are read in a block."""

BLOCK_FACES = 1024
"""The most faces in a block."""

FARTHEST = 1e9
"""Numbers of a box lie below it, in pixels."""

LARGEST_BOX = 4
"""A square around a box may have this many times the longer side of its picture."""

LARGE = 1 << 22
"""The pixels, or bytes of a file, from which pictures are decoded one at a time, whatever the number of threads."""


@dataclass(frozen=True)
class PixelBox:
    """A rectangle of a picture, in pixels; it may reach beyond the picture, which is black there."""

    left: float
    top: float
    width: float
    height: float

    def scaled(self, across: float, down: float) -> "PixelBox":
        """The same part of the picture made so many times as wide and as high."""
        if across == down == 1:
            return self
        return PixelBox(self.left * across, self.top * down, self.width * across, self.height * down)

    def square(self) -> tuple[int, int, int, int]:
        """The square around it in whole pixels: left, top, right, bottom."""
        side = max(self.width, self.height)
        left, top = round(self.left + (self.width - side) / 2), round(self.top + (self.height - side) / 2)
        return left, top, left + round(side), top + round(side)

    def fits(self, width: int, height: int) -> bool:
        """Whether it is made of numbers, meets a picture of this size, and its square is not far larger than that, or huge."""
        if not all(abs(one) < FARTHEST for one in (self.left, self.top, self.width, self.height)):
            return False  # nan as well
        if min(self.width, self.height) <= 0:
            return False
        left, top, right, bottom = self.square()
        meets = left < min(right, width) and top < min(bottom, height) and min(right, bottom) > 0
        return meets and right - left <= LARGEST_BOX * max(width, height) and (right - left) ** 2 <= MAX_PIXELS


@dataclass(frozen=True)
class PictureBlock:
    """A block of n pictures: `faces`, uint8 (n, S, S) or (n, S, S, 3), and `index`, (n,), each picture's place among the
    paths.
    """

    faces: npt.NDArray[np.uint8]
    index: npt.NDArray[np.int64]
    rejected: tuple[Rejected, ...]
    notes: tuple[Rejected, ...] = ()
    """Sentences about how pictures were read that gave faces."""


def read_picture(
    path: Path, side: int | None = None, color: bool = False, limits: FileLimits = PICTURES
) -> npt.NDArray[np.uint8]:
    """The picture at `path`, upright: uint8 (S, S) gray or (S, S, 3) color.

    With a `side`, the central square is resized to it by averaging; without, the picture must be square. Values of 16 bits are
    scaled to 8, transparent parts become white, of an animation the first frame counts. Raises MienError for a file that is
    empty, damaged, no picture, beyond the limits or (without a side) not square.
    """
    return _fit(_decode(path, color, limits, nullcontext())[0], path, side)


def picture_file_limits(switch: LimitSwitch) -> FileLimits:
    """The limits for pictures' files; no limits where a command's option says off."""
    return NO_LIMITS if switch == "off" else PICTURES


def read_picture_blocks(
    paths: Sequence[Path],
    side: int | None,
    color: bool,
    limits: FileLimits = PICTURES,
    boxes: Sequence[PixelBox | None] | None = None,
) -> Iterator[PictureBlock]:
    """The pictures at `paths` in order, in blocks of bounded memory; files that cannot be read are `rejected`.

    Without a `side`, all must be squares of one size. `boxes`: the part of each picture that is taken, as a square around it; its
    whole, where there is None. Raises MienError for the first picture of another size.
    """
    if not paths:
        return
    expected = side or common_side(paths, limits)
    count = max(1, min(BLOCK_FACES, BLOCK_BYTES // (expected * expected * (3 if color else 1))))
    read = partial(_read_one, side=side, expected=expected, color=color, limits=limits, one_at_a_time=RLock())
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as threads:
        for first in range(0, len(paths), count):
            said = list[Rejected]()
            some = paths[first : first + count]
            cut = [None] * len(some) if boxes is None else boxes[first : first + count]
            results = list(threads.map(partial(read, notes=said), some, cut))
            faces = [face for face in results if not isinstance(face, Rejected)]
            good = [place for place, face in enumerate(results) if not isinstance(face, Rejected)]
            empty = np.zeros((0, expected, expected, 3) if color else (0, expected, expected), np.uint8)
            rejected = tuple(face for face in results if isinstance(face, Rejected))
            yield PictureBlock(np.stack(faces) if faces else empty, first + np.array(good, np.int64), rejected, _in_order(said))


def common_side(paths: Sequence[Path], limits: FileLimits = PICTURES) -> int:
    """The side of the first picture that can be read. Raises MienError where it is not square, or none can be read."""
    reason = "no pictures"
    for path in paths:
        try:
            image, *_ = _decode(path, False, limits, nullcontext())
        except MienError as error:
            reason = f"{path}: {error.found}" if reason == "no pictures" else reason
            continue
        return len(_fit(image, path, None))
    raise MienError(f"a readable picture among {len(paths)}", f"none ({reason})", "check the files")


def picture_path(folder: Path, name: str) -> Path:
    """The file that a table calls `name`, in `folder` or at an absolute path.

    Raises MienError for a relative name that leaves `folder`.
    """
    if os.path.normpath(name).split(os.sep)[0] == os.pardir:
        raise MienError(f"a file within {folder}", repr(name), "write an absolute path, or give the folder above")
    return folder / name


def listed_picture(folder: Path, name: str) -> Path:
    """The file in `folder` that a database's own list calls `name`. Raises MienError for one that leads elsewhere."""
    if Path(name).is_absolute():
        raise MienError(f"names of files within {folder}", repr(name), "take the list as it was published")
    return picture_path(folder, name)


def hint_of_other_system(path: Path) -> str:
    """A hint for a missing file whose path may come from another system or encoding; "" where it does not look so."""
    hint = ""
    if "\\" in path.name:
        hint = ", by a path with backslashes as Windows has them: write slashes, from the list's folder"
    elif any("\ud800" <= letter <= "\udfff" for letter in str(path)):
        hint = ", by letters of another encoding: save the list as UTF-8"
    return hint if hint and not os.path.lexists(path) else ""


def by_slashes(folder: Path, name: str) -> str:
    """A path from a list, without quotes or blanks around it. Backslashes of Windows become slashes where such a file is
    there.
    """
    bare = name.strip()
    bare = bare[1:-1] if len(bare) > 1 and bare[0] == bare[-1] == '"' else bare
    others = [other for other in (bare, bare.replace("\\", "/")) if other and other != name]
    if not others or os.path.lexists(folder / name):
        return name
    return next((other for other in others if os.path.lexists(folder / other)), name)


def _read_one(
    path: Path,
    box: PixelBox | None,
    side: int | None,
    expected: int,
    color: bool,
    limits: FileLimits,
    one_at_a_time: AbstractContextManager[object],
    notes: list[Rejected],
) -> npt.NDArray[np.uint8] | Rejected:
    try:
        image, said, stored = _decode(path, color, limits, one_at_a_time)
    except MienError as error:
        return Rejected(str(path), error.found)
    notes.extend(Rejected(str(path), note) for note in said)
    if box is not None:
        box = box.scaled(image.width / stored[0], image.height / stored[1])
        if not box.fits(*image.size):
            return Rejected(str(path), f"a box that does not fit the picture of {image.width} x {image.height} pixels")
        square = box.square()
        with one_at_a_time if (square[2] - square[0]) ** 2 > LARGE else nullcontext():
            image = image.crop(square)
    face = _fit(image, path, side)
    if len(face) != expected:
        raise _size_error(path, f"{expected} x {expected} pixels like the first", image)
    return face


def _in_order(notes: list[Rejected]) -> tuple[Rejected, ...]:
    """Rejected inputs by path: threads finish in any order."""
    return tuple(sorted(notes, key=lambda note: (note.path, note.reason)))


def _decode(
    path: Path, color: bool, limits: FileLimits, one_at_a_time: AbstractContextManager[object]
) -> tuple[Image.Image, list[str], tuple[int, int]]:
    """A picture as mode L or RGB, upright, its pixels square; the notes about it; and its width and height, upright, as stored.

    Large ones are decoded `one_at_a_time`.
    """
    try:
        if not path.is_file():
            raise ValueError(f"no file there{hint_of_other_system(path)}")
        size = path.stat().st_size
        with one_at_a_time if size > LARGE else nullcontext():
            with path.open("rb") as file:
                opened = open_picture(read_content(file, limits), limits)
            with one_at_a_time if opened.image.width * opened.image.height > LARGE else nullcontext():
                wide, high = opened.image.size
                stored = (wide, high) if opened.turn <= 4 else (high, wide)
                return Image.fromarray(opened.pixels("RGB" if color else "L")), opened.notes, stored
    except Exception as error:  # Decoders meet a broken file with exceptions of many kinds; none of them is hidden.
        raise _refusal(path, reason_of(error)) from error


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
    return MienError(expected, found, "give `side` to crop and resize all to one size")


def _refusal(path: Path, found: str) -> MienError:
    return MienError(f"a picture at {path}", found, "replace or remove it, or leave it out with `skip`")
