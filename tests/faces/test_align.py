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
from mien.faces import align
from mien.faces.align import ROOM, CropMap, align_from_text, crop, outline, square_map
from mien.faces.crop import CropSpec, crop_faces
from mien.faces.detect import dlib
from mien.faces.face import Face
from mien.faces.quality import MEASURES, QualityLimits, measure_quality
from mien.registry import component_names, component_to_text

LANDMARKS = np.array([[40, 50], [80, 50], [60, 72], [46, 90], [74, 90]], np.float32)


def face(landmarks: npt.NDArray[Any] | None = LANDMARKS, box: Sequence[float] = (30, 30, 90, 110)) -> Face:
    x0, y0, x1, y1 = map(float, box)
    return Face(box=(x0, y0, x1, y1), landmarks=None if landmarks is None else landmarks.astype(np.float32), score=0.9)


def scale_of(map_: CropMap) -> float:
    """The side of the crop in pixels of the photo."""
    return float(1 / np.sqrt(abs(np.linalg.det(map_[:, :2]))))


def turned(center: Sequence[float], side: float, angle: float) -> CropMap:
    """The map of a square of the photo by its center, side and angle."""
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / side
    return np.column_stack([turn, [0.5, 0.5] - turn @ center])


def white_photo(height: int, width: int) -> npt.NDArray[np.uint8]:
    return np.full((height, width, 3), 255, np.uint8)


def gray_photo(height: int = 160, width: int = 120) -> npt.NDArray[np.uint8]:
    return np.full((height, width, 3), 90, np.uint8)


@pytest.mark.parametrize("name", sorted(set(component_names(ROOM)) - {"outline"}))
def test_a_way_is_read_back_from_its_text_and_maps_the_face_into_the_square(name: str) -> None:
    way = align_from_text(name)
    assert align_from_text(component_to_text(way)) == way
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


SIDES = st.sampled_from([1, 2, 7, 16, 48, 112])
LENGTHS = st.one_of(st.integers(1, 60), st.integers(1, 1100))


@given(LENGTHS, LENGTHS, SIDES)
@settings(deadline=None, derandomize=True, max_examples=150)
def test_a_white_photo_whole_is_white(height: int, width: int, side: int) -> None:
    photo = white_photo(height, width)
    found = align_from_text("whole")(photo, face())
    assert found is not None
    assert (crop(photo, found, side) == 255).all()


@given(LENGTHS, LENGTHS, SIDES, st.floats(0, 2 * np.pi), st.floats(0.02, 1), st.floats(0, 1), st.floats(0, 1))
@settings(deadline=None, derandomize=True, max_examples=150)
def test_a_square_within_a_white_photo_is_white(
    height: int, width: int, side: int, angle: float, share: float, right: float, lower: float
) -> None:
    """As large as `share` of what fits, and anywhere, the photo's edges included."""
    reach = abs(np.cos(angle)) + abs(np.sin(angle))
    scale = share * min(height, width) / reach
    room = np.array([width, height]) - scale * reach
    found = turned(scale * reach / 2 + room * [right, lower], scale, angle)
    assert (crop(white_photo(height, width), found, side) == 255).all()


@given(LENGTHS, LENGTHS, SIDES, st.floats(0, 2 * np.pi), st.floats(1, 3000), st.floats(-1, 2), st.floats(-1, 2))
@settings(deadline=None, derandomize=True, max_examples=150)
def test_half_a_pixel_beyond_the_photo_it_is_black(
    height: int, width: int, side: int, angle: float, scale: float, right: float, lower: float
) -> None:
    """Pixel by pixel: black where the center is beyond by more, white where it is within by more."""
    found = turned([width * right, height * lower], scale, angle)
    made = crop(white_photo(height, width), found, side)
    assert (made == made[:, :, :1]).all()
    centers = (np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1) + 0.5) / side
    places = (centers - found[:, 2]) @ np.linalg.inv(found[:, :2]).T
    within = np.minimum(places, [width, height] - places).min(axis=-1)
    half = scale / side / 2 + 1e-6
    assert (made[within > half] == 255).all()
    assert (made[within < -half] == 0).all()


@pytest.mark.parametrize("size", [(64, 1019), (1019, 64), (1019, 1019), (97, 97), (200, 215)])
def test_the_photos_edges_are_seen(size: tuple[int, int]) -> None:
    """A line at the edge, where a pixel of the crop is many of the photo, brightens it."""
    shorter = min(size)
    for edge in ((0, slice(None)), (-1, slice(None)), (slice(None), 0), (slice(None), -1)):
        photo = np.zeros((shorter, shorter, 3), np.uint8)
        photo[edge] = 255
        made = crop(photo, square_map(np.array([shorter / 2, shorter / 2]), shorter), 16)
        assert (made[edge] > 0).all()
        assert made.sum() == made[edge].sum()


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_shrunk_by_whole_numbers_pixels_are_means_over_areas(side: int, wide: int, high: int, seed: int) -> None:
    photo = np.random.default_rng(seed).integers(0, 256, (side * high, side * wide, 3), dtype=np.uint8)
    found = np.array([[1 / (side * wide), 0, 0], [0, 1 / (side * high), 0]])
    expected = photo.reshape(side, high, side, wide, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(crop(photo, found, side), expected, atol=0.51)


@pytest.mark.parametrize("size", [(64, 33000), (33000, 64), (1, 70000), (70000, 1), (32767, 3)])
def test_the_longest_photos_are_cut_out_whole(size: tuple[int, int]) -> None:
    photo = np.zeros((*size, 3), np.uint8)
    middle = tuple(slice(max(0, (length - min(size)) // 2 - 2), (length + min(size)) // 2 + 3) for length in size)
    photo[middle] = 200
    made = crop_faces([photo], CropSpec("whole"), 48, color=True)
    assert made.empty == {}
    assert (made.faces == 200).all()


def test_a_small_face_in_a_panorama_is_cut_out() -> None:
    photo = np.zeros((300, 40_000, 3), np.uint8)
    photo[100:160, 39_900:39_960] = 200
    found = align_from_text("box margin=0")(photo, face(box=(39_900, 100, 39_960, 160)))
    assert found is not None
    made = crop(photo, found, 48)
    assert (made[1:-1, 1:-1] == 200).all()
    assert made[:, [0, -1]].mean() > 150


@pytest.mark.parametrize("size", [(64, 33000), (33000, 64), (1, 9_000_000)])
def test_a_way_may_press_a_strip_into_the_square(size: tuple[int, int]) -> None:
    """One of somebody's own, whose map does not scale both axes alike."""
    photo = np.zeros((*size, 3), np.uint8)
    high, wide = size
    photo[high // 2 if high > wide else 0 :, wide // 2 if wide > high else 0 :] = 200
    made = crop(photo, np.array([[1 / wide, 0, 0], [0, 1 / high, 0]]), 48)
    made = made if wide > high else made.swapaxes(0, 1)
    assert (made[:, :23] == 0).all()
    assert (made[:, 25:] == 200).all()


def test_more_pixels_than_cv2_adds_up_are_averaged() -> None:
    photo = white_photo(3000, 3000)
    assert (crop(photo, square_map(np.array([1500, 1500]), 3000), 1) == 255).all()


def test_averaging_one_axis_after_the_other_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (331, 420, 3), dtype=np.uint8)
    found = square_map(np.array([200, 170]), 310)
    expected = crop(photo, found, 24).astype(int)
    monkeypatch.setattr(align, "AREA", 100)
    assert np.abs(crop(photo, found, 24) - expected).max() <= 1


@pytest.mark.parametrize("name", component_names(ROOM))
def test_a_way_refuses_a_detector_without_landmarks_where_it_needs_them(name: str) -> None:
    if name == "outline":
        pytest.importorskip("dlib")
        pytest.importorskip("face_recognition_models")
    way = align_from_text(name)
    CropSpec(name, "mtcnn").require_workable()
    if way(gray_photo(), face(None)) is not None:
        CropSpec(name, "haar").require_workable()
    else:
        with pytest.raises(
            MienError, match=f"a detector that gives landmarks, for {name}; found one that gives none; take mtcnn"
        ):
            CropSpec(name, "haar").require_workable()


def test_what_cannot_work_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    CropSpec("eyes", "photographs:Bright").require_workable()  # one of somebody's own, which does not say
    with pytest.raises(MienError, match="a detector that gives landmarks, for eyes"):
        CropSpec("eyes", "dlib landmarks=False").require_workable()
    monkeypatch.setattr(dlib, "points_file", lambda: None)
    with pytest.raises(MienError, match=r"pip install 'mien\[dlib,facenet\]'"):
        CropSpec("eyes", "dlib").require_workable()
    monkeypatch.setattr(outline, "points_file", lambda: None)
    with pytest.raises(MienError, match="dlib's landmarks for outline; found no package"):
        CropSpec("outline", "mtcnn").require_workable()
    monkeypatch.setattr(outline, "points_file", lambda: Path("points.dat"))
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(MienError, match="expected dlib; found"):
        CropSpec("outline", "haar").require_workable()
    for wrong in (CropSpec("ears"), CropSpec("eyes", "retina")):
        with pytest.raises(MienError, match="expected one of"):
            wrong.require_workable()


@pytest.mark.parametrize(("detector", "align", "gives"), [
    ("mtcnn", "box", True), ("haar", "box", False), ("dlib landmarks=False", "box", False), ("photographs:Bright", "box", True),
    ("mtcnn", "whole", False),
])  # fmt: skip
def test_whether_faces_have_landmarks_is_known_before(detector: str, align: str, gives: bool) -> None:
    assert CropSpec(align, detector).gives_landmarks is gives


def test_a_detector_is_no_way_to_cut_out_faces() -> None:
    with pytest.raises(MienError, match=r"a subclass of mien\.faces\.align\.Align for alignment = photographs:Bright"):
        align_from_text("photographs:Bright")


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
    found = measure_quality(np.stack([noise, smooth, bright]), [face(), face(tilted), face(beside)])
    assert list(found) == list(MEASURES)
    assert found["sharpness"][0] > 1000
    np.testing.assert_allclose(found["sharpness"][1:], 0)
    np.testing.assert_allclose(found["overexposed"], [0, 0, 1])
    np.testing.assert_allclose(found["roll"], [0, 45, 0], atol=1e-5)
    np.testing.assert_allclose(found["turn"], [0, 0, 1], atol=1e-5)
    np.testing.assert_allclose(found["size"], 80)
    color = measure_quality(np.repeat(noise[None, :, :, None], 3, axis=3), [face(None)])
    np.testing.assert_allclose(color["sharpness"], found["sharpness"][:1], rtol=1e-4)
    assert np.isnan(color["roll"]).all()


def test_limits_name_what_is_beyond_them() -> None:
    limits = QualityLimits.parse(["size>=40", "turn<=0.5"])
    assert limits.broken({"size": 50, "turn": -0.4}) == ""
    assert limits.broken({"size": 30, "turn": 0}) == "size 30, less than 40"
    assert limits.broken({"size": 50, "turn": -0.6}) == "turn -0.6, more than 0.5"
    assert limits.broken({"size": 50, "turn": float("nan")}) == ""
    for text in ("size", "size>40", "weight>=3", "size>=big", "size>=nan"):
        with pytest.raises(MienError, match="a limit such as size>=40"):
            QualityLimits.parse([text])


@pytest.mark.parametrize("name", MEASURES)
def test_a_limit_on_what_cannot_be_measured_is_refused(name: str) -> None:
    known = not np.isnan(measure_quality(np.zeros((1, 8, 8), np.uint8), [face(None)])[name][0])
    for text in (f"{name}>=0.1", f"{name}<=0.5"):
        limits = QualityLimits.parse(["size>=40", text])
        limits.require_measurable(landmarks=True)
        if known:
            limits.require_measurable(landmarks=False)
        else:
            with pytest.raises(MienError, match=f"to measure {name}; found faces that come without; .*the limit on {name}"):
                limits.require_measurable(landmarks=False)
