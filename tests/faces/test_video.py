"""Faces are followed through videos, scores averaged over time, and shown as lines and pictures."""

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photographs import photo_of
from PIL import Image

from conftest import Command
from mien import MienError
from mien.data.faceset import Info
from mien.faces.face import Face, Photo
from mien.recognize.camera import camera_frames
from mien.recognize.files import Card, build_network, write_model
from mien.recognize.reading import Reading, reading
from mien.recognize.timeline import BINS, LINES, WIDTH, Timeline
from mien.recognize.tracking import Tracker, Tracking, overlaps

CLASSES = ("anger", "happiness", "$x$")


def seen(x: float, y: float, *scores: float, side: float = 10) -> Reading:
    """A face of that corner and side."""
    face = Face((x, y, x + side, y + side), None, 1.0)
    return reading(face, dict(zip(CLASSES, scores or (0.2, 0.7, 0.1), strict=True)), 0.5)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    info = Info(CLASSES, side=16, alignment="box margin=0; photographs:Bright; largest")
    network = {"network": "mien_s", "width": 8, "depths": [1, 1, 1]}
    write_model(tmp_path / "model", dict(build_network(network, 3, info).state_dict()), Card(network, CLASSES, info))
    return tmp_path / "model"


def write_video(path: Path, photos: Sequence[Photo]) -> Path:
    """Ten frames a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = photos[0].shape[1], photos[0].shape[0], "yuv420p"
        for photo in photos:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(photo, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_faces_keep_their_numbers_as_they_move_and_cross() -> None:
    tracker, first = Tracker(Tracking(), 0.5), dict[float, int | None]()
    for step in range(20):
        left, right = seen(step, 0), seen(40 - step, 4)
        order = [left, right] if step % 2 else [right, left]
        found = tracker.follow(step * 0.04, order)
        numbers = {one.face.box[1]: one.track for one in found}
        first = first or numbers
        assert numbers == first, step
    assert set(first.values()) == {1, 2}


def test_a_face_that_is_away_for_long_is_a_new_one() -> None:
    tracker = Tracker(Tracking(away=0.5), 0.5)
    assert [one.track for one in tracker.follow(0.0, [seen(0, 0)])] == [1]
    assert tracker.follow(0.3, []) == ()
    assert [one.track for one in tracker.follow(0.5, [seen(1, 0)])] == [1]
    assert [one.track for one in tracker.follow(1.1, [seen(1, 0)])] == [2]
    assert [one.track for one in tracker.follow(1.2, [seen(30, 0), seen(1, 0)])] == [3, 2]


def test_scores_are_averaged_over_time() -> None:
    tracker = Tracker(Tracking(smooth=0.3), 0.5)
    assert tracker.follow(0.0, [seen(0, 0, 1.0, 0.0, 0.0)])[0].scores["anger"] == 1
    second = tracker.follow(0.3, [seen(0, 0, 0.0, 1.0, 0.0)])[0]
    assert second.scores["anger"] == pytest.approx(1 / math.e)
    assert (second.top, second.possible) == ("happiness", ("happiness",))
    third = tracker.follow(0.6, [seen(0, 0, 0.0, 1.0, 0.0)])[0]
    assert third.scores["anger"] == pytest.approx(1 / math.e**2)
    at_once = Tracker(Tracking(smooth=0), 0.5)
    at_once.follow(0.0, [seen(0, 0, 1.0, 0.0, 0.0)])
    assert at_once.follow(0.04, [seen(0, 0, 0.0, 1.0, 0.0)])[0].scores["anger"] == 0


BOXES = st.lists(st.tuples(*[st.integers(0, 9)] * 4), min_size=1, max_size=5)


@settings(deadline=None, derandomize=True)
@given(BOXES, BOXES)
def test_overlaps_are_shares_of_pixels(one: list[tuple[int, ...]], other: list[tuple[int, ...]]) -> None:
    def cells(box: tuple[int, ...]) -> set[tuple[int, int]]:
        return {(x, y) for x in range(box[0], box[0] + box[2]) for y in range(box[1], box[1] + box[3])}

    boxes, others = ([[x, y, x + w, y + h] for x, y, w, h in given] for given in (one, other))
    found = overlaps(np.array(boxes, float), np.array(others, float))
    for row, first in enumerate(one):
        for column, second in enumerate(other):
            both, whole = cells(first) & cells(second), cells(first) | cells(second)
            assert found[row, column] == pytest.approx(len(both) / len(whole) if whole else 0)


def test_a_timeline_of_any_length_has_the_same_size() -> None:
    line, times = Timeline(CLASSES), np.arange(0, 10 * BINS * WIDTH, 0.25)
    for time in times:
        line.add(float(time), [Reading(seen(0, 0).face, dict(zip(CLASSES, (0.5, 0.3, 0.2), strict=True)), (), 1)])
    (only,) = line.lines
    assert only.frames == len(times)
    assert only.sums.shape == (BINS, 3)
    assert line.width == 16 * WIDTH
    np.testing.assert_allclose(only.means, [0.5, 0.3, 0.2])
    assert (only.begin, only.end) == (0, times[-1])
    counted = np.bincount((times / line.width).astype(int), minlength=BINS)
    np.testing.assert_array_equal(only.counts, counted)


def test_of_many_faces_those_seen_longest_are_remembered() -> None:
    line = Timeline(CLASSES)
    for track in range(1, 3 * LINES):
        for frame in range(20 if track % 10 == 0 else 1):
            line.add(track + frame / 30, [Reading(seen(0, 0).face, dict.fromkeys(CLASSES, 0.1), (), track)])
    assert len(line.lines) == LINES
    long = [line.track for line in line.lines[:9]]
    assert long == [10, 20, 30, 40, 50, 60, 70, 80, 90]


def test_the_picture_shows_what_is_likely_when() -> None:
    line = Timeline(("anger", "happiness"))
    for number in range(200):
        scores = {"anger": float(number < 100), "happiness": float(number >= 100)}
        line.add(number / 10, [Reading(seen(0, 0).face, scores, (), 1)] if number < 150 else [])
    with Image.open(io.BytesIO(line.picture())) as picture:
        row = np.asarray(picture.convert("RGB"))[picture.height // 2]
    anger = (np.abs(row - np.array([0xD5, 0x5E, 0x00])).sum(axis=1) < 9).nonzero()[0]
    happiness = (np.abs(row - np.array([0xE6, 0x9F, 0x00])).sum(axis=1) < 9).nonzero()[0]
    assert anger.max() < happiness.min()
    assert len(happiness) == pytest.approx(len(anger) / 2, rel=0.05)
    with Image.open(io.BytesIO(Timeline(CLASSES).picture())) as empty:
        assert empty.width > 100


def test_the_command_follows_the_faces_of_a_video(mien: Command, model: Path, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", [photo_of((n, 8, 16), (50 - n, 40, 16), size=(64, 80)) for n in range(20)])
    done = mien("predict", clip, "--model", model, "--draw", tmp_path / "drawn", "--device", "cpu")
    assert done.code == 0, done.err
    first, *faces = done.out.splitlines()
    assert first == "clip.mp4: 1.9 s, 2 faces"
    assert [line.split(":")[0] for line in faces] == ["  face 1, 0.0 to 1.9 s", "  face 2, 0.0 to 1.9 s"]
    assert [path.name for path in (tmp_path / "drawn").iterdir()] == ["000001-clip.mp4.png"]
    lines = [json.loads(line) for line in mien("predict", clip, "--model", model, "--json").out.splitlines()]
    assert [line["frame"] for line in lines] == list(range(20))
    assert [line["time"] for line in lines] == pytest.approx(np.arange(20) / 10)
    for line in lines:
        assert {one["box"][1] < 30: one["track"] for one in line["faces"]} == {True: 1, False: 2}


class FakeCamera:
    """Two squares; it is unplugged after 30 frames."""

    count = 0

    def __init__(self, number: int) -> None:
        self.number = number

    def isOpened(self) -> bool:
        return self.number == 0

    def set(self, what: int, value: float) -> bool:
        return True

    def read(self) -> tuple[bool, Photo | None]:
        self.count += 1
        return (False, None) if self.count > 30 else (True, photo_of((5, 8, 16), (50, 40, 16), size=(64, 80)))

    def release(self) -> None:
        self.number = -1


def test_a_camera_is_watched(mien: Command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
    done = mien("watch", 0, "--model", model, "--json")
    assert (done.code, "found none any more" in done.err) == (1, True)
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert len(lines) == 30
    assert {tuple(one["track"] for one in line["faces"]) for line in lines} == {(1, 2)}
    done = mien("watch", 1, "--model", model)
    assert (done.code, "a camera of number 1" in done.err) == (1, True)
    done = mien("watch", 0, "--model", model, "--seconds", 0.05, "--draw", tmp_path / "drawn")
    assert done.code == 0, done.err
    assert "2 faces" in done.out
    assert [path.name for path in (tmp_path / "drawn").iterdir()] == ["000001-camera_0.png"]


def test_a_camera_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
    frames = camera_frames(0)
    first = next(frames)
    assert first.pixels.shape == (64, 80, 3)
    frames.close()  # type: ignore[attr-defined]
    with pytest.raises(MienError, match="none any more"):
        list(camera_frames(0))
