"""A picture of a grid of faces: rows with names, and notes under each face."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from mien.disk import write_atomically
from mien.errors import MienError
from mien.wording import plain_text, short_name

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

INK, SOFT, BLUE, GRAY, RED = "#1c2430", "#566072", "#bcdcf0", "#dfe3e9", "#b8440c"
"""Colors of names; of what is beside the point; of bars that fill by a share; of bars to compare with; of what stands out."""
EDGE, GAP, PAD = 12, 4, 3
"""Pixels around the grid, between faces, and from a bar's edge to its text."""
WIDEST = 200
"""The most pixels of a name's width."""


@dataclass(frozen=True)
class GridNote:
    """A line of text under a face."""

    text: str
    share: float | None = None
    """The share of the width that a bar behind the text fills, 0 to 1; None draws no bar."""
    bar: str = BLUE
    color: str = INK


@dataclass(frozen=True)
class GridTile:
    """A face of a grid, and the notes under it."""

    face: npt.NDArray[Any]
    """The face, uint8 (S, S) gray or (S, S, 3) color."""
    notes: tuple[GridNote, ...] = ()
    frame: str = ""
    """The color of a frame around the face; "" for none."""


@dataclass(frozen=True)
class GridRow:
    """A row of a grid: its name, perhaps a line about it, and its faces."""

    name: str
    tiles: tuple[GridTile, ...]
    about: str = ""


def draw_face_grid(rows: Sequence[GridRow], side: int = 64, title: str = "") -> Image.Image:
    """A picture of rows of faces, each face `side` x `side` pixels, all rows of one width; `title` is a line above them."""
    # Pillow measures no text of several lines, and takes long over one without end.
    rows, title = [replace(row, name=short_name(row.name), about=short_name(row.about)) for row in rows], plain_text(title, 400)
    large, small = ImageFont.load_default(max(12, side // 6)), ImageFont.load_default(max(11, side // 8))
    line = _height(small) + 2 * PAD
    notes = max((len(tile.notes) for row in rows for tile in row.tiles), default=0)
    names = [width for row in rows for width in (large.getlength(row.name), small.getlength(row.about))]
    left = EDGE + round(min(max(names, default=0), WIDEST)) + 3 * GAP
    top = EDGE + (_height(large) + EDGE if title else 0)
    step = side + notes * (line + 1) + (2 * GAP if notes else GAP)
    columns = max((len(row.tiles) for row in rows), default=0)
    right = max(left + columns * (side + GAP) - GAP, EDGE + round(large.getlength(title))) + EDGE
    sheet = Image.new("RGB", (right, top + len(rows) * step - GAP + EDGE), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((EDGE, EDGE), title, SOFT, large)
    for number, row in enumerate(rows):
        y = top + number * step
        _name(draw, row, (EDGE, y + side // 2), (large, small), left - EDGE - 2 * GAP)
        for place, tile in enumerate(row.tiles):
            x = left + place * (side + GAP)
            face = Image.fromarray(tile.face).convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
            sheet.paste(face, (x, y))
            if tile.frame:
                draw.rectangle((x, y, x + side - 1, y + side - 1), outline=tile.frame, width=max(2, side // 32))
            for under, note in enumerate(tile.notes):
                _note(
                    draw, note, (x, y + side + 1 + under * (line + 1), x + side - 1, y + side + (under + 1) * (line + 1)), small
                )
    return sheet


def write_face_grid(sheet: Image.Image, path: Path) -> None:
    """Write a picture as a PNG, safe from crashes. Raises MienError where `path` does not end in .png."""
    if path.suffix.lower() != ".png":
        raise MienError("a picture named *.png", str(path), "give it that ending")
    content = io.BytesIO()
    sheet.save(content, "PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content.getvalue())


def evenly_spaced(count: int, most: int) -> npt.NDArray[np.int64]:
    """Up to `most` of the numbers 0 to `count` - 1, ascending and evenly apart, first and last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _name(draw: ImageDraw.ImageDraw, row: GridRow, middle: tuple[int, int], fonts: tuple[Font, Font], width: int) -> None:
    """Draw a row's name and the line about it, centered at the height `middle`, cut to `width`."""
    (x, y), (large, small) = middle, fonts
    draw.text((x, y - (GAP if row.about else 0)), _cut(row.name, large, width), INK, large, anchor="ls" if row.about else "lm")
    draw.text((x, y + GAP), _cut(row.about, small, width), SOFT, small, anchor="lt")


def _note(draw: ImageDraw.ImageDraw, note: GridNote, box: tuple[int, int, int, int], font: Font) -> None:
    """Draw a note into its box (left, top, right, bottom), with its bar behind."""
    left, top, right, bottom = box
    if note.share is not None:
        draw.rectangle((left, top, right, bottom - 2), fill="#f5f7fa")
        end = left + round(min(max(note.share, 0.0), 1.0) * (right - left))
        if end > left:
            draw.rectangle((left, top, end, bottom - 2), fill=note.bar)
    draw.text(
        ((left + right) // 2, (top + bottom) // 2 - 1),
        _cut(short_name(note.text), font, right - left),
        note.color,
        font,
        anchor="mm",
    )


def _cut(text: str, font: Font, width: int) -> str:
    """As much of a text as fits into `width`, with an ellipsis where it is cut."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def _height(font: Font) -> int:
    _, top, _, bottom = font.getbbox("Äg")
    return round(bottom - top)
