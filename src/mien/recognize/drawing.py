"""Draws predictions into a photo: a frame around each face, and its expression beside it."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from mien.media.photos import Photo
from mien.recognize.prediction import Prediction, sentence

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Box = tuple[int, int, int, int]
"""A box in pixels: left, top, right, bottom."""

SURE, UNSURE = (0, 114, 178), (213, 94, 0)
"""Colors of the frames of sure and unsure predictions: blue and vermilion, which color-blind people tell apart (Okabe and Ito
2008)."""
SMALL, LARGE = 320, 4096
"""A photo whose shorter side has fewer pixels than the first is enlarged, as long as its longer side stays within the second."""
GAP = 2
"""Least pixels between two labels, where there is room."""
SHARE = 5
"""A label that covers at most one part in so many of its face is put onto the face rather than written smaller."""


@dataclass(frozen=True)
class PlacedLabel:
    """A label's text, the size of its letters, and where it is drawn."""

    lines: tuple[str, ...]
    """The text, line by line."""
    size: int
    """Size of the letters in pixels."""
    box: Box
    """The label's box, which lies within the picture."""


def draw_predictions(photo: Photo, predictions: Sequence[Prediction]) -> Image.Image:
    """The photo with a frame around each face, blue where the model is sure and vermilion where not, and the expression in words.

    `photo` (H, W, 3). A small photo is enlarged by a whole number.
    """
    picture = Image.fromarray(photo)
    times = max(1, min(math.ceil(SMALL / min(picture.size)), LARGE // max(picture.size)))
    if times > 1:
        picture = picture.resize((picture.width * times, picture.height * times), Image.Resampling.BICUBIC)
    canvas, width = ImageDraw.Draw(picture), max(2, min(picture.size) // 200)
    colors = [UNSURE if one.unsure else SURE for one in predictions]
    faces = [_clipped([times * value for value in one.face.box], picture.size) for one in predictions]
    for face, color in zip(faces, colors, strict=True):
        x0, y0, x1, y1 = face
        canvas.rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), outline=color, width=width)
    for label, color in zip(place_labels(picture.size, faces, list(map(sentence, predictions))), colors, strict=True):
        if label:
            x, y, x1, y1 = label.box
            canvas.rectangle((x, y, x1 - 1, y1 - 1), fill=color)
            for number, line in enumerate(label.lines):
                place = (x + _margin(label.size), y + number * _height(label.size))
                canvas.text(place, line, fill=(255, 255, 255), font=_font(label.size))
    return picture


def place_labels(size: tuple[int, int], faces: Sequence[Box], texts: Sequence[str]) -> list[PlacedLabel | None]:
    """A label for each of these faces in a picture of `size` (width, height); None for one that does not fit in.

    A label goes above its face, below or beside it, or onto a large face. Where others are in the way it gets more lines and
    smaller letters, and then goes onto its face. Without any room it goes where it covers least.
    """
    placed = list[PlacedLabel | None]()
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


def _candidates(size: tuple[int, int], face: Box, text: str) -> Iterator[PlacedLabel]:
    """Labels of a face in all layouts and places that fit in, the best first; those that hide the face come last."""
    onto = list[PlacedLabel]()
    for lines, letters in _layouts(size, face, text):
        wide = math.ceil(max(_font(letters).getlength(line) for line in lines)) + 2 * _margin(letters)
        high = len(lines) * _height(letters)
        little = SHARE * wide * high <= (face[2] - face[0]) * (face[3] - face[1])
        if wide > size[0] or high > size[1]:
            continue
        for x, y in _outside(size, face, wide, high):
            box = (x, y, x + wide, y + high)
            if box == _clipped(box, size):
                yield PlacedLabel(lines, letters, box)
        there = [PlacedLabel(lines, letters, (x, y, x + wide, y + high)) for x, y in _onto(size, face, wide, high)]
        yield from there if little else ()
        onto += () if little else there
    yield from onto


def _layouts(size: tuple[int, int], face: Box, text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Ways to break a text into lines, with the letters' size, the best first: few lines of large letters."""
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
    """The text in lines of at most `room` pixels; only words that are longer are broken."""
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
    """Height of a line of text in pixels, by the size of its letters."""
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
