"""Crops hold what they are said to hold, where it is said to be; quality says what it is named for."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien import MienError
from mien.faces.align import ROOM, align_from_text, crop, outline, scale_of
from mien.faces.face import Face
from mien.faces.quality import MEASURES, Limits, measure
from mien.registry import names, to_text

LANDMARKS = np.array([[40, 50], [80, 50], [60, 72], [46, 90], [74, 90]], np.float32)


def face(landmarks: npt.NDArray[Any] | None = LANDMARKS, box: Sequence[float] = (30, 30, 90, 110)) -> Face:
    x0, y0, x1, y1 = map(float, box)
    return Face(box=(x0, y0, x1, y1), landmarks=None if landmarks is None else landmarks.astype(np.float32), score=0.9)


def gray_photo(height: int = 160, width: int = 120) -> npt.NDArray[np.uint8]:
    return np.full((height, width, 3), 90, np.uint8)


@pytest.mark.parametrize("name", sorted(set(names(ROOM)) - {"outline"}))
def test_a_way_is_read_back_from_its_text_and_maps_the_face_into_the_square(name: str) -> None:
    way = align_from_text(name)
    assert align_from_text(to_text(way)) == way
    found = way(gray_photo(), face())
    assert found is not None
    center = found @ [60, 70, 1]
    assert (center > 0.2).all()
    assert (center < 0.8).all()
    assert crop(gray_photo(), found, 48).shape == (48, 48, 3)


@given(st.floats(0, 2 * np.pi), st.floats(0.2, 5), st.floats(-200, 200), st.floats(0.1, 1), st.floats(0, 1))
@settings(deadline=None, derandomize=True)
def test_eyes_lie_where_they_are_said_to(angle: float, scale: float, shift: float, distance: float, height: float) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = LANDMARKS @ turn.T + shift
    found = align_from_text(f"eyes distance={distance} height={height}")(gray_photo(), face(moved))
    assert found is not None
    eyes = moved[:2] @ found[:, :2].T + found[:, 2]
    np.testing.assert_allclose(eyes, [[0.5 - distance / 2, height], [0.5 + distance / 2, height]], atol=1e-4)
    assert scale_of(found) == pytest.approx(40 * scale / distance, rel=1e-4)


def test_without_landmarks_eyes_cannot_be_aligned() -> None:
    assert align_from_text("eyes")(gray_photo(), face(None)) is None
    assert align_from_text("eyes")(gray_photo(), face(np.zeros((5, 2)))) is None


def test_a_box_without_size_cannot_be_cut_out() -> None:
    assert align_from_text("box")(gray_photo(), face(box=(5, 5, 5, 5))) is None


def test_the_box_is_a_square_with_its_margin() -> None:
    found = align_from_text("box margin=0.15")(gray_photo(), face())
    assert found is not None
    assert scale_of(found) == pytest.approx(80 * 1.3)
    np.testing.assert_allclose(found @ [60, 70, 1], [0.5, 0.5])


@pytest.mark.parametrize("side", [16, 40, 80, 200])
def test_a_crop_shows_the_pixels_of_the_photo(side: int) -> None:
    """A linear ramp stays one under any similarity: each pixel has the value of its center."""
    rows, columns = np.mgrid[:160, :120]
    photo = np.repeat((rows + columns).astype(np.uint8)[:, :, None], 3, axis=2)
    found = align_from_text("box margin=0")(photo, face(box=(20, 40, 100, 120)))
    assert found is not None
    centers = (np.arange(side) + 0.5) / side * 80
    expected = (20 + centers)[None, :] + (40 + centers)[:, None] - 1
    inner = slice(2, -2)
    got = crop(photo, found, side)[inner, inner, 0].astype(float)
    np.testing.assert_allclose(got, expected[inner, inner], atol=1.01)


def test_beyond_the_photo_it_is_black() -> None:
    found = align_from_text("box margin=0")(gray_photo(), face(box=(-60, -60, 60, 60)))
    assert found is not None
    made = crop(gray_photo(), found, 24)
    assert (made[:11, :11] == 0).all()
    assert (made[13:, 13:] == 90).all()
    found = align_from_text("box margin=0")(gray_photo(), face(box=(-600, -600, -500, -500)))
    assert found is not None
    assert not crop(gray_photo(), found, 24).any()


def test_unknown_ways_are_refused() -> None:
    for text, told in (("ears", "one of box, eyes, outline, whole"), ("eyes far", "NAME KEY=VALUE"), ("eyes distance=2", "fit")):
        with pytest.raises(MienError, match=told):
            align_from_text(text)


def test_the_outline_holds_dlibs_landmarks() -> None:
    pytest.importorskip("dlib")
    pytest.importorskip("face_recognition_models")
    found = align_from_text("outline margin=0")(gray_photo(), face())
    assert found is not None
    assert 20 < scale_of(found) < 160


def test_without_dlib_or_its_landmarks_the_outline_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outline, "points_file", lambda: None)
    with pytest.raises(MienError, match="dlib's landmarks for outline; found no package"):
        align_from_text("outline")(gray_photo(), face())
    monkeypatch.setattr(outline, "points_file", lambda: Path("points.dat"))
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(MienError, match="expected dlib; found"):
        align_from_text("outline")(gray_photo(), face())


def test_measures_say_what_they_are_named_for() -> None:
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 200, (48, 48)).astype(np.uint8)
    smooth = np.full((48, 48), 100, np.uint8)
    bright = np.full((48, 48), 255, np.uint8)
    tilted = LANDMARKS @ (np.array([[1, 1], [-1, 1]]) / np.sqrt(2))
    beside = LANDMARKS + np.array([[0, 0], [0, 0], [20, 0], [0, 0], [0, 0]])
    found = measure(np.stack([noise, smooth, bright]), [face(), face(tilted), face(beside)])
    assert list(found) == list(MEASURES)
    assert found["sharpness"][0] > 1000
    np.testing.assert_allclose(found["sharpness"][1:], 0)
    np.testing.assert_allclose(found["overexposed"], [0, 0, 1])
    np.testing.assert_allclose(found["roll"], [0, 45, 0], atol=1e-5)
    np.testing.assert_allclose(found["turn"], [0, 0, 1], atol=1e-5)
    np.testing.assert_allclose(found["size"], 80)
    color = measure(np.repeat(noise[None, :, :, None], 3, axis=3), [face(None)])
    np.testing.assert_allclose(color["sharpness"], found["sharpness"][:1], rtol=1e-4)
    assert np.isnan(color["roll"]).all()


def test_limits_name_what_is_beyond_them() -> None:
    limits = Limits.parse(["size>=40", "turn<=0.5"])
    assert limits.broken({"size": 50, "turn": -0.4}) == ""
    assert limits.broken({"size": 30, "turn": 0}) == "size 30, less than 40"
    assert limits.broken({"size": 50, "turn": -0.6}) == "turn -0.6, more than 0.5"
    assert limits.broken({"size": 50, "turn": float("nan")}) == ""
    for text in ("size", "size>40", "weight>=3", "size>=big", "size>=nan"):
        with pytest.raises(MienError, match="a limit such as size>=40"):
            Limits.parse([text])
