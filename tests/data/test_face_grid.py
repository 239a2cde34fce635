"""A sheet of faces: every face where it belongs, notes under it, names before it."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageColor

from mien import MienError
from mien.data.face_grid import BLUE, RED, GridNote, GridRow, GridTile, draw_face_grid, evenly_spaced, write_face_grid


def gray(value: int, side: int = 8) -> npt.NDArray[np.uint8]:
    return np.full((side, side), value, np.uint8)


def boxes(sheet: Image.Image, color: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """(H, W) where the sheet has this color."""
    found: npt.NDArray[np.bool_] = (np.asarray(sheet) == color).all(axis=2)
    return found


def test_faces_stand_in_rows() -> None:
    sheet = draw_face_grid(
        [GridRow("one", (GridTile(gray(40)), GridTile(gray(60)))), GridRow("two", (GridTile(gray(80)),))], side=16
    )
    corners = {}
    for value in (40, 60, 80):
        there = boxes(sheet, (value,) * 3)
        assert there.sum() == 16 * 16
        corners[value] = tuple(np.argwhere(there)[0])
    assert corners[40][0] == corners[60][0] < corners[80][0]
    assert corners[40][1] == corners[80][1] < corners[60][1]


def test_colors_are_kept_and_framed() -> None:
    face = np.zeros((8, 8, 3), np.uint8)
    face[:] = (10, 200, 30)
    sheet = draw_face_grid([GridRow("one", (GridTile(face, frame=RED),))], side=32)
    assert boxes(sheet, ImageColor.getrgb(RED)).sum() == 32 * 32 - 28 * 28
    assert boxes(sheet, (10, 200, 30)).sum() == 28 * 28


def test_a_bar_is_as_long_as_its_share() -> None:
    lengths = []
    for share in (0.0, 0.5, 1.0, 7.0):
        sheet = draw_face_grid([GridRow("one", (GridTile(gray(40), (GridNote("", share),)),))], side=101)
        lengths.append(int(boxes(sheet, ImageColor.getrgb(BLUE)).any(axis=0).sum()))
    assert lengths == [0, 51, 101, 101]


def test_long_names_are_cut_and_no_names_are_fine() -> None:
    long = draw_face_grid(
        [GridRow("supercalifragilistic " * 9, (GridTile(gray(40), (GridNote("a note far too long for its face"),)),))], side=32
    )
    assert long.width < 300
    assert draw_face_grid([]).width > 0


def test_places_are_even() -> None:
    assert evenly_spaced(3, 10).tolist() == [0, 1, 2]
    assert evenly_spaced(9, 3).tolist() == [0, 4, 8]
    assert evenly_spaced(1, 4).tolist() == [0]
    assert evenly_spaced(0, 4).tolist() == []


def test_a_sheet_is_a_png(tmp_path: Path) -> None:
    sheet = draw_face_grid([GridRow("one", (GridTile(gray(40)),))])
    write_face_grid(sheet, tmp_path / "deep" / "sheet.png")
    with Image.open(tmp_path / "deep" / "sheet.png") as picture:
        assert picture.size == sheet.size
    with pytest.raises(MienError, match=r"\.png"):
        write_face_grid(sheet, tmp_path / "sheet.jpg")
