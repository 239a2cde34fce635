"""A photo with its faces framed, and what each shows written beside it."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from mien.media.photos import Photo
from mien.recognize.reading import Reading, sentence

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Box = tuple[int, int, int, int]
"""x0, y0, x1, y1: left, top, right, bottom."""

SURE, UNSURE = (0, 114, 178), (213, 94, 0)
"""Blue and vermilion, which color-blind people tell apart (Okabe and Ito 2008)."""
SMALL, LARGE = 320, 4096
"""A photo whose shorter side has fewer pixels is enlarged, unless the longer one got more than the second."""
GAP = 2
"""Pixels between labels, at least, where there is room."""
SHARE = 5
"""A label goes onto its face before its letters get smaller where it hides one part of so many, or less."""


@dataclass(frozen=True)
class Label:
    """A text where it is drawn."""

    lines: tuple[str, ...]
    size: int
    """Of the letters, in pixels."""
    box: Box
    """Within the picture."""


def draw(photo: Photo, readings: Sequence[Reading]) -> Image.Image:
    """The photo with a frame around each face, blue where the model is sure, vermilion where not, and what it shows beside it.

    A small photo is enlarged by a whole number.
    """
    picture = Image.fromarray(photo)
    times = max(1, min(math.ceil(SMALL / min(picture.size)), LARGE // max(picture.size)))
    if times > 1:
        picture = picture.resize((picture.width * times, picture.height * times), Image.Resampling.BICUBIC)
    canvas, width = ImageDraw.Draw(picture), max(2, min(picture.size) // 200)
    colors = [UNSURE if one.unsure else SURE for one in readings]
    faces = [_clipped([times * value for value in one.face.box], picture.size) for one in readings]
    for face, color in zip(faces, colors, strict=True):
        x0, y0, x1, y1 = face
        canvas.rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), outline=color, width=width)
    for label, color in zip(place_labels(picture.size, faces, list(map(sentence, readings))), colors, strict=True):
        if label:
            x, y, x1, y1 = label.box
            canvas.rectangle((x, y, x1 - 1, y1 - 1), fill=color)
            for number, line in enumerate(label.lines):
                place = (x + _margin(label.size), y + number * _height(label.size))
                canvas.text(place, line, fill=(255, 255, 255), font=_font(label.size))
    return picture


def place_labels(size: tuple[int, int], faces: Sequence[Box], texts: Sequence[str]) -> list[Label | None]:
    """Labels of faces in a picture of `size` (width, height), one after the other, all of them within the picture.

    A label goes above its face, below it or beside it, or onto a large face; where other labels or faces are in the way, it gets
    more lines and smaller letters; then it goes onto its face; and where there is no room at all, where least is covered. None
    for a label that does not fit into the picture in the smallest letters.
    """
    placed = list[Label | None]()
    for number, (face, text) in enumerate(zip(faces, texts, strict=True)):
        others = [other for place, other in enumerate(faces) if place != number]
        taken = [_wider(label.box) for label in placed if label]
        best, least = None, math.inf
        for label in _candidates(size, face, text):
            covered = sum(4 * _common(label.box, box) for box in taken) + sum(_common(label.box, box) for box in others)
            if covered < least:
                best, least = label, covered
            if not covered:
                break
        placed.append(best)
    return placed


def _candidates(size: tuple[int, int], face: Box, text: str) -> Iterator[Label]:
    """Where a label could go, the best place first: large letters before small ones, and last onto a face that it hides."""
    onto = list[Label]()
    for lines, letters in _layouts(size, face, text):
        wide = math.ceil(max(_font(letters).getlength(line) for line in lines)) + 2 * _margin(letters)
        high = len(lines) * _height(letters)
        little = SHARE * wide * high <= (face[2] - face[0]) * (face[3] - face[1])
        if wide > size[0] or high > size[1]:
            continue
        for x, y in _outside(size, face, wide, high):
            box = (x, y, x + wide, y + high)
            if box == _clipped(box, size):
                yield Label(lines, letters, box)
        there = [Label(lines, letters, (x, y, x + wide, y + high)) for x, y in _onto(size, face, wide, high)]
        yield from there if little else ()
        onto += () if little else there
    yield from onto


def _layouts(size: tuple[int, int], face: Box, text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Lines of a text and sizes of their letters, the best first: large ones, but not for small faces; few lines."""
    largest, smallest = max(12, min(size) // 28), max(10, min(size) // 80)
    letters = min(largest, max((largest + smallest) // 2, (face[2] - face[0]) // 8))
    while letters >= smallest:
        font, room = _font(letters), size[0] - 2 * _margin(letters)
        whole, word = font.getlength(text), max(map(font.getlength, text.split(" ")))
        tried = (_wrapped(text, font, min(math.ceil(max(share * whole, word)), room)) for share in (1.0, 0.6, 0.4))
        yield from ((lines, letters) for lines in dict.fromkeys(tried))
        letters = max(smallest, letters * 5 // 6) if letters > smallest else 0


def _outside(size: tuple[int, int], face: Box, wide: int, high: int) -> Iterator[tuple[int, int]]:
    """Corners of labels above, below, to the right and to the left of a face."""
    x0, y0, x1, y1 = face
    along = [min(max(0, x), size[0] - wide) for x in (x0, x1 - wide, (x0 + x1 - wide) // 2)]
    yield from ((x, y) for y in (y0 - high, y1) for x in along)
    yield from ((x, min(y0, size[1] - high)) for x in (x1, x0 - wide))


def _onto(size: tuple[int, int], face: Box, wide: int, high: int) -> Iterator[tuple[int, int]]:
    """Corners of labels at the top and at the bottom of a face."""
    x0, y0, _, y1 = face
    yield from ((min(x0, size[0] - wide), min(max(0, y), size[1] - high)) for y in (y0, y1 - high))


def _wrapped(text: str, font: Font, room: int) -> tuple[str, ...]:
    """Lines that are no longer than `room` pixels, of whole words unless these are; a letter at least."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= room:
            lines[-1] = longer
            continue
        lines.append("")
        for letter in word:
            if lines[-1] and font.getlength(lines[-1] + letter) > room:
                lines.append("")
            lines[-1] += letter
    return tuple(line for line in lines if line)


@cache
def _font(size: int) -> Font:
    return ImageFont.load_default(size)


def _height(size: int) -> int:
    """Of a line."""
    return math.ceil(1.35 * size)


def _margin(size: int) -> int:
    return max(2, size // 6)


def _clipped(box: Iterable[float], size: tuple[int, int]) -> Box:
    """The part of a box that lies in the picture, in whole pixels."""
    x0, y0, x1, y1 = map(round, box)
    left, top = min(max(0, x0), size[0]), min(max(0, y0), size[1])
    return left, top, min(max(left, x1), size[0]), min(max(top, y1), size[1])


def _wider(box: Box) -> Box:
    return box[0] - GAP, box[1] - GAP, box[2] + GAP, box[3] + GAP


def _common(one: Box, other: Box) -> int:
    """Pixels that two boxes share."""
    wide, high = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    return max(0, wide) * max(0, high)
