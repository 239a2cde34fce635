"""Who is who through a video: by place, by look where frames are far apart, and across cuts that spare a face."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from test_video import seen, write_video

from conftest import Command
from mien.faces.face import Face
from mien.media.photos import Photo
from mien.media.video_cuts import CutDetector
from mien.recognize import face_embeddings as looks_module
from mien.recognize.face_embeddings import FAR, ColorEmbedder, NetworkEmbedder, best_embedder, tracking_caution
from mien.recognize.prediction import Prediction
from mien.recognize.tracking_and_smoothing import FaceEmbeddings, FaceTracker, TrackingSettings
from mien.recognize.video_tracker import VideoTracker
from photographs import photo_of

BOTH = {"red": (250, 40, 30), "yellow": (250, 230, 40)}
"""People, and the color of their heads; the detector of bright spots sees both."""


def described(*looks: float) -> FaceEmbeddings:
    """One number each: up to 1 apart is the same, more than 3 another."""
    return FaceEmbeddings(np.array(looks)[:, None], 1.0, 3.0)


def tracks(found: Sequence[Prediction]) -> list[int | None]:
    return [one.track for one in found]


def test_one_who_moved_far_is_known_by_the_look() -> None:
    tracker = FaceTracker(TrackingSettings())
    assert tracks(tracker.follow(0.0, [seen(0, 0), seen(50, 0)], described(0, 10))) == [1, 2]
    assert tracks(tracker.follow(1.0, [seen(90, 0), seen(20, 0)], described(10.5, 0.5))) == [2, 1]
    assert tracks(tracker.follow(2.0, [seen(20, 0), seen(90, 0)], described(10, 0))) == [2, 1]


def test_another_at_the_same_place_is_a_new_one() -> None:
    tracker = FaceTracker(TrackingSettings())
    tracker.follow(0.0, [seen(0, 0)], described(0))
    assert tracks(tracker.follow(1.0, [seen(0, 0)], described(9))) == [2]


def test_who_looks_a_little_different_is_the_same_at_one_place_alone() -> None:
    tracker = FaceTracker(TrackingSettings())
    tracker.follow(0.0, [seen(0, 0), seen(50, 0)], described(0, 10))
    assert tracks(tracker.follow(1.0, [seen(1, 0), seen(90, 0)], described(2, 12))) == [1, 3]


def test_those_who_look_alike_are_told_apart_by_their_places() -> None:
    tracker = FaceTracker(TrackingSettings())
    tracker.follow(0.0, [seen(0, 0), seen(50, 0)], described(0, 0))
    assert tracks(tracker.follow(1.0, [seen(52, 0), seen(2, 0)], described(0, 0))) == [2, 1]


def test_a_face_may_be_missed_once_where_frames_are_a_minute_apart() -> None:
    tracker = FaceTracker(TrackingSettings())
    tracker.follow(0.0, [seen(0, 0)], described(0))
    assert tracker.follow(60.0, [], described()) == ()
    assert tracks(tracker.follow(120.0, [seen(70, 0)], described(0))) == [1]


def test_a_look_is_remembered_as_a_mean() -> None:
    tracker = FaceTracker(TrackingSettings())
    tracker.follow(0.0, [seen(0, 0)], described(0))
    for step, look in enumerate((2.0, 2.0, 2.0, 2.0), 1):
        tracker.follow(step, [seen(0, 0)], described(look))
    assert tracks(tracker.follow(5.0, [seen(80, 0)], described(2.5))) == [1]


@dataclass(frozen=True)
class Colors:
    """The mean color of a box, and how often it was asked."""

    asked: list[float]
    same: float = 40.0
    other: float = 60.0

    def __call__(self, photo: Photo, faces: Sequence[Face]) -> npt.NDArray[np.float64]:
        self.asked.append(len(faces))
        boxes = [[max(0, round(value)) for value in face.box] for face in faces]
        return np.array([photo[y0:y1, x0:x1].mean(axis=(0, 1)) for x0, y0, x1, y1 in boxes])


def people(*placed: tuple[str, int, int]) -> Photo:
    """Dark gray, and a head of 16 pixels for each, at x and y."""
    photo = np.full((64, 96, 3), 40, np.uint8)
    for name, x, y in placed:
        photo[y : y + 16, x : x + 16] = BOTH[name]
    return photo


def follow(
    times: Sequence[float], frames: Sequence[Sequence[tuple[str, int, int]]], asked: list[float]
) -> list[dict[str, int | None]]:
    """The number of each in each frame."""
    following, cuts, found = (
        VideoTracker(TrackingSettings(), lambda: Colors(asked)),
        CutDetector(),
        list[dict[str, int | None]](),
    )
    for time, placed in zip(times, frames, strict=True):
        photo = people(*placed)
        followed = following.follow(time, photo, [seen(x, y, side=16) for _, x, y in placed], cuts.at(photo))
        found.append({name: one.track for (name, _, _), one in zip(placed, followed, strict=True)})
    return found


@pytest.mark.parametrize("every", [0.2, 0.5, 1.0, 5.0])
def test_two_people_stay_two_at_any_distance_of_frames(every: float) -> None:
    chance = np.random.default_rng(0)
    frames = [[("red", int(chance.integers(0, 30)), 10), ("yellow", int(chance.integers(50, 80)), 40)] for _ in range(20)]
    asked = list[float]()
    found = follow([every * n for n in range(20)], frames, asked)
    assert all(one == {"red": 1, "yellow": 2} for one in found)
    assert len(asked) == 20


def test_people_who_change_seats_keep_their_numbers() -> None:
    frames = [[("red", 10, 20), ("yellow", 70, 20)], [("yellow", 10, 20), ("red", 70, 20)]] * 4
    assert all(one == {"red": 1, "yellow": 2} for one in follow([float(n) for n in range(8)], frames, []))


def test_looks_cost_nothing_where_frames_are_near() -> None:
    asked = list[float]()
    follow([n * 0.04 for n in range(30)], [[("red", 10 + n, 20)] for n in range(30)], asked)
    assert asked == []


def test_after_a_gap_the_look_tells_who_goes_on() -> None:
    asked, times = list[float](), [*(n / 25 for n in range(10)), *(2 + n / 25 for n in range(10))]
    frames = [[("red", 10, 20), ("yellow", 70, 40)]] * 10 + [[("yellow", 14, 20), ("red", 60, 40)]] * 10
    found = follow(times, frames, asked)
    assert all(one == {"red": 1, "yellow": 2} for one in found)
    assert asked == [2, 2]
    assert FAR < 2


@pytest.mark.parametrize("every", [0.04, 1.0])
def test_one_stays_the_same_while_the_other_s_camera_goes_dark(every: float) -> None:
    generator = np.random.default_rng(1)
    room = np.repeat(np.repeat(generator.integers(60, 180, (8, 16, 3), np.uint8), 10, axis=0), 10, axis=1)
    following, cuts, numbers = VideoTracker(TrackingSettings(), lambda: Colors([])), CutDetector(), list[list[int | None]]()
    for n in range(40):
        photo = room.copy()
        photo[30:60, 20:50], photo[30:60, 110:140] = BOTH["red"], BOTH["yellow"]
        found = [seen(20 + n % 2, 30, side=30), seen(110, 30, side=30)]
        if n >= 20:
            photo[:, 80:] = 0
            found = found[:1]
        numbers.append(tracks(following.follow(every * n, photo, found, cuts.at(photo))))
    assert numbers == [[1, 2]] * 20 + [[1]] * 20


def test_one_at_the_edge_of_the_picture_stays_the_same_too() -> None:
    generator = np.random.default_rng(2)
    room = np.repeat(np.repeat(generator.integers(60, 180, (8, 16, 3), np.uint8), 10, axis=0), 10, axis=1)
    following, cuts, numbers = VideoTracker(TrackingSettings(), lambda: Colors([])), CutDetector(), list[list[int | None]]()
    for n in range(20):
        photo = room.copy()
        photo[30:60, :20] = BOTH["red"]
        photo[:, 80:] = 0 if n >= 10 else photo[:, 80:]
        numbers.append(tracks(following.follow(0.04 * n, photo, [seen(-10, 30, side=30)], cuts.at(photo))))
    assert numbers == [[1]] * 20


def test_colors_tell_people_apart_whatever_the_light() -> None:
    looks, generator = ColorEmbedder(), np.random.default_rng(3)
    heads = generator.integers(0, 200, (2, 12, 12, 3)).astype(np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    faces = [seen(20, 20, side=56).face]
    one, other = (looks(head, faces)[0] for head in heads)
    lit = (heads[0] * 1.2 + 5).clip(0, 255).astype(np.uint8)
    assert one.shape == (24 * 24 * 3 + 6 * 6 * 4,)
    assert np.linalg.norm(one - looks(lit, faces)[0]) < looks.same
    assert np.linalg.norm(one - other) > looks.other


@pytest.mark.parametrize("photo", [photo_of(), np.zeros((9, 9, 3), np.uint8), np.full((30, 40, 3), 255, np.uint8)])
def test_colors_are_numbers_of_any_face(photo: Photo) -> None:
    faces = [seen(-30, -30).face, seen(0, 0, side=0).face, seen(5, 5, side=400).face]
    found = ColorEmbedder()(photo, faces)
    assert np.isfinite(found).all()
    assert len(found) == 3


def test_the_face_network_is_taken_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("face_recognition_models", reason="the extra `facenet` is not installed")
    best_embedder.cache_clear()
    looks = best_embedder()
    assert isinstance(looks, NetworkEmbedder)
    found = looks(photo_of((10, 10, 30)), [seen(10, 10, side=30).face, seen(0, 0, side=20).face])
    assert found.shape == (2, 128)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=0.6)
    assert tracking_caution(5.0) == ""


@pytest.fixture
def without_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(looks_module, "package_folder", lambda package: None)
    best_embedder.cache_clear()
    yield
    best_embedder.cache_clear()


@pytest.mark.usefixtures("without_network")
def test_without_it_colors_are_taken_and_what_they_cannot_is_said(mien: Command, tmp_path: Path) -> None:
    assert isinstance(best_embedder(), ColorEmbedder)
    assert [bool(tracking_caution(every)) for every in (0.04, 0.5, 1.0, 30.0)] == [False, False, True, True]
    clip = write_video(tmp_path / "clip.mp4", [people(("red", 10 + n % 9, 20), ("yellow", 60, 20)) for n in range(31)])
    bright = ("--align", "box", "--detector", "photographs:Bright", "--json")
    done = mien("predict", clip, *bright, "--every", 1)
    assert done.err.count("frames 1 s apart: faces are followed by their places and colors alone") == 1
    assert "pip install 'mien[facenet]'" in done.err
    assert done.out.count('"track": 1,') == done.out.count('"track": 2,') == 4
    assert "places and colors" not in mien("predict", clip, *bright).err


def test_following_near_frames_loads_no_torch() -> None:
    program = (
        "import sys, numpy as np\n"
        "from mien.recognize.video_tracker import VideoTracker\n"
        "from mien.recognize.tracking_and_smoothing import TrackingSettings\n"
        "following = VideoTracker(TrackingSettings())\n"
        "for n in range(9): following.follow(n / 25, np.zeros((40, 40, 3), np.uint8), [], None)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
