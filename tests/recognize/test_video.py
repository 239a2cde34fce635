"""Faces are followed through videos, scores averaged over time, and shown as lines and pictures."""

import io
import json
import math
import weakref
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conftest import Command
from mien import MienError, Recognizer
from mien.data.format import Info
from mien.faces.crop import CropSpec
from mien.faces.face import Face
from mien.media.file_limits import FILE_LIMITS, NO_LIMITS, FileLimits
from mien.media.find_source_files import find_source_files
from mien.media.photos import Photo
from mien.media.photos_and_frames import TOGETHER, PhotoOrFrame
from mien.media.source_files import SourceFile
from mien.media.video_cuts import Cut, CutDetector
from mien.recognize import camera
from mien.recognize.camera import camera_frames
from mien.recognize.drawing import UNSURE
from mien.recognize.model_card import ModelCard
from mien.recognize.predict_files import PredictedPhoto, crop_in_frames, predict_files
from mien.recognize.prediction import Prediction, make_prediction
from mien.recognize.prediction_writer import PredictionWriter
from mien.recognize.saved_networks import build_network, write_model
from mien.recognize.timeline import BINS, KEPT, LINES, WIDTH, Timeline
from mien.recognize.tracking_and_smoothing import FaceTracker, TrackingSettings, overlaps
from photographs import photo_of

CLASSES = ("anger", "happiness", "$x$")


def seen(x: float, y: float, *scores: float, side: float = 10) -> Prediction:
    """A face of that corner and side."""
    face = Face((x, y, x + side, y + side), None, 1.0)
    return make_prediction(face, dict(zip(CLASSES, scores or (0.2, 0.7, 0.1), strict=True)), 0.5)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    info = Info(CLASSES, side=16, alignment="box margin=0; photographs:Bright; largest")
    network = {"network": "mien_s", "width": 8, "depths": [1, 1, 1]}
    write_model(tmp_path / "model", dict(build_network(network, 3, info).state_dict()), ModelCard(network, CLASSES, info))
    return tmp_path / "model"


def write_video(path: Path, photos: Sequence[Photo], rate: Fraction = Fraction(10)) -> Path:
    """Ten frames a second unless said; by one thread, as several write other pixels, and with bits enough for colors to stay."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.thread_count, stream.bit_rate = 1, 4_000_000
        stream.width, stream.height, stream.pix_fmt = photos[0].shape[1], photos[0].shape[0], "yuv420p"
        for photo in photos:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(photo, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_faces_keep_their_numbers_as_they_move_and_cross() -> None:
    tracker, first = FaceTracker(TrackingSettings()), dict[float, int | None]()
    for step in range(20):
        left, right = seen(step, 0), seen(40 - step, 4)
        order = [left, right] if step % 2 else [right, left]
        found = tracker.follow(step * 0.04, order)
        numbers = {one.face.box[1]: one.track for one in found}
        first = first or numbers
        assert numbers == first, step
    assert set(first.values()) == {1, 2}


def test_a_face_that_is_away_for_long_is_a_new_one() -> None:
    tracker = FaceTracker(TrackingSettings(away=0.5))
    assert [one.track for one in tracker.follow(0.0, [seen(0, 0)])] == [1]
    assert tracker.follow(0.3, []) == ()
    assert [one.track for one in tracker.follow(0.5, [seen(1, 0)])] == [1]
    assert [one.track for one in tracker.follow(1.1, [seen(1, 0)])] == [2]
    assert [one.track for one in tracker.follow(1.2, [seen(30, 0), seen(1, 0)])] == [3, 2]


@pytest.mark.parametrize("every", [0.5, 0.9])
def test_a_face_may_be_missed_once_however_far_apart_frames_are(every: float) -> None:
    tracker, found = FaceTracker(TrackingSettings().for_frames(every)), list[int | None]()
    for frame in range(8):
        faces = tracker.follow(every * frame, [seen(frame, 0)] if frame not in (2, 5, 6) else [])
        found += [one.track for one in faces]
    assert found == [1, 1, 1, 1, 2]  # one frame was missed, and then two


def test_how_long_a_face_may_be_lost_depends_on_the_frames() -> None:
    away = [TrackingSettings().for_frames(every).away for every in (0.001, 0.04, 0.2, 0.5, 0.8, 1.0, 60.0)]
    assert away == [0.5, 0.5, 0.5, 1.25, 2.0, 2.5, 150.0]
    assert TrackingSettings(away=3.0, overlap=0.4).for_frames(0.5) == TrackingSettings(away=3.0, overlap=0.4)


@pytest.mark.parametrize(("every", "tracks"), [(0.5, [1] * 8), (1.0, [1] * 4)])
def test_faces_are_followed_at_the_times_that_frames_have(model: Path, tmp_path: Path, every: float, tracks: list[int]) -> None:
    """Of 29.97 frames a second none comes each half second: some that are read are more than half a second apart."""
    photos = [photo_of((10 + n // 15, 8, 16), size=(64, 80)) for n in range(112)]
    clip = write_video(tmp_path / "clip.mp4", photos, Fraction(30000, 1001))
    read = list(predict_files(Recognizer.load(model, "cpu"), find_source_files([clip]), every, []))
    times = [one.photo.time for one in read if one.photo.time is not None]
    assert max(np.diff(times)) > every
    assert [one.track for each in read for one in each.faces] == tracks


def test_boxes_that_overlap_too_little_take_no_track_from_others() -> None:
    before, after = [seen(0, 0, side=100), seen(98, 0, side=100)], [seen(-55, 0, side=100), seen(34, 0, side=100)]
    boxes, others = (np.array([one.face.box for one in faces], float) for faces in (after, before))
    np.testing.assert_allclose(overlaps(boxes, others), [[0.29, 0], [0.49, 0.22]], atol=0.005)
    tracker = FaceTracker(TrackingSettings(overlap=0.3))
    assert [one.track for one in tracker.follow(0.0, before)] == [1, 2]
    assert [one.track for one in tracker.follow(0.04, after)] == [3, 1]


STEPS = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 10), st.integers(0, 10)), min_size=1, max_size=20)


@settings(deadline=None, derandomize=True)
@given(STEPS, st.sampled_from([0.1, 0.3, 2.0]))
def test_scores_are_averaged_over_time(steps: list[tuple[int, int, int]], smooth: float) -> None:
    tracker, time, times, rows = FaceTracker(TrackingSettings(smooth=smooth)), 0.0, list[float](), list[tuple[float, ...]]()
    for frames, anger, happiness in steps:
        time += 0.04 * frames
        times.append(time)
        rows.append((anger / 20, happiness / 20, 1 - (anger + happiness) / 20))
        (found,) = tracker.follow(time, [seen(0, 0, *rows[-1])])
        weights = [math.exp(-(time - each) / smooth) for each in times]
        expected = [sum(w * row[k] for w, row in zip(weights, rows, strict=True)) / sum(weights) for k in range(3)]
        assert list(found.scores.values()) == pytest.approx(expected)
        assert found.possible == make_prediction(found.face, found.scores, 0.5).possible


def test_an_average_is_as_sure_as_the_models_card_asks() -> None:
    tracker = FaceTracker(TrackingSettings(smooth=2.0))
    likely, other = (replace(seen(0, 0, *scores), confidence_threshold=0.7) for scores in ((0.9, 0.06, 0.04), (0.4, 0.4, 0.2)))
    (first,), (second,) = tracker.follow(0.0, [likely]), tracker.follow(0.1, [other])
    assert (first.possible, first.unsure) == (("anger",), False)
    assert 0.5 < second.confidence < 0.7
    assert (second.possible, second.unsure) == (("anger",), True)


def test_the_first_frame_counts_no_more_than_another() -> None:
    tracker = FaceTracker(TrackingSettings())
    assert tracker.follow(0.0, [seen(0, 0, 1.0, 0.0, 0.0)])[0].top == "anger"
    second = tracker.follow(0.04, [seen(0, 0, 0.0, 1.0, 0.0)])[0]
    old = math.exp(-0.04 / 0.3)
    assert second.scores == pytest.approx({"anger": old / (1 + old), "happiness": 1 / (1 + old), "$x$": 0})
    assert (second.top, second.possible) == ("happiness", ("happiness",))


def test_two_thirds_of_an_average_come_from_the_last_third_of_a_second() -> None:
    tracker = FaceTracker(TrackingSettings())
    for frame in range(200):
        tracker.follow(frame / 24, [seen(0, 0, 1.0, 0.0, 0.0)])
    for frame in range(200, 208):
        (last,) = tracker.follow(frame / 24, [seen(0, 0, 0.0, 1.0, 0.0)])
    assert last.scores["happiness"] == pytest.approx(2 / 3, abs=0.01)


def test_without_an_average_a_score_is_the_frames() -> None:
    at_once = FaceTracker(TrackingSettings(smooth=0))
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
        line.add(float(time), [Prediction(seen(0, 0).face, dict(zip(CLASSES, (0.5, 0.3, 0.2), strict=True)), (), 1)])
    (only,) = line.lines
    assert only.frames == len(times)
    assert only.sums.shape == (BINS, 3)
    assert line.width == 16 * WIDTH
    np.testing.assert_allclose(only.means, [0.5, 0.3, 0.2])
    assert (only.begin, only.end) == (0, times[-1])
    counted = np.bincount((times / line.width).astype(int), minlength=BINS)
    np.testing.assert_array_equal(only.counts, counted)


def test_label_changes_a_second() -> None:
    """Frames without the face are passed over; a face of one frame has none."""
    line = Timeline(CLASSES)
    for time, top in ((0.0, 0), (0.5, 1), (1.0, 1), (1.5, None), (2.0, 0), (4.0, 2)):
        scores = dict(zip(CLASSES, np.eye(3)[top or 0].tolist(), strict=True))
        line.add(time, [] if top is None else [Prediction(seen(0, 0).face, scores, (), 1)])
    line.add(4.5, [Prediction(seen(0, 0).face, dict.fromkeys(CLASSES, 0.1), (), 2)])
    first, second = line.lines
    assert (first.changes, first.changes_per_second) == (3, 0.75)
    assert (second.changes, second.changes_per_second) == (0, 0)


def test_of_many_faces_those_seen_longest_are_remembered() -> None:
    line = Timeline(CLASSES)
    for track in range(1, 3 * LINES):
        for frame in range(20 if track % 10 == 0 else 1):
            line.add(track + frame / 30, [Prediction(seen(0, 0).face, dict.fromkeys(CLASSES, 0.1), (), track)])
    assert len(line.lines) == LINES
    long = [line.track for line in line.lines[:9]]
    assert long == [10, 20, 30, 40, 50, 60, 70, 80, 90]


def told(frames: Sequence[Sequence[int]]) -> list[str]:
    """What is said of a video of 25 frames a second with these tracks in each."""
    out, scores = io.StringIO(), dict(zip(CLASSES, (0.2, 0.7, 0.1), strict=True))
    writer, clip = PredictionWriter("text", CLASSES, out), SourceFile("clip.mp4", Path("clip.mp4"))
    for number, tracks in enumerate(frames):
        photo = PhotoOrFrame(clip, photo_of(), number, number / 25, number)
        writer.write(PredictedPhoto(photo, tuple(Prediction(seen(0, 0).face, scores, (), track) for track in tracks)))
    writer.close()
    return out.getvalue().splitlines()


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([[]] * 6, "0.2 s, no face"),
        ([[1]] * 6, "0.2 s, 1 face"),
        ([[*range(1, LINES + 1)]] * 6, f"0.2 s, {LINES} faces"),
        ([[n] for n in range(1, 501)], f"20.0 s, 500 faces, of which {LINES} are told: those seen longest"),
    ],
)
def test_all_faces_of_a_video_are_counted(frames: list[list[int]], expected: str) -> None:
    first, *lines = told(frames)
    assert first == f"clip.mp4: {expected}"
    assert len(lines) == min(LINES, max(max(tracks, default=0) for tracks in frames))


@pytest.mark.parametrize("count", [40, KEPT + 20])
def test_faces_of_a_crowd_begin_when_they_came(count: int) -> None:
    first, *lines = told([[*range(1, count + 1)]] * 101)
    assert first == f"clip.mp4: 4.0 s, {count} faces, of which {LINES} are told: those seen longest"
    assert len(lines) == LINES
    assert {line.partition(", ")[2] for line in lines} == {
        "0.0 to 4.0 s: happiness 70%, anger 20%, $x$ 10%; 0.0 label changes a second"
    }


@pytest.mark.parametrize(("count", "gap"), [(KEPT, 100), (LINES, 0)])
def test_who_comes_late_and_stays_longest_is_told(count: int, gap: int) -> None:
    """Many were there for long, and leave or have left; two come at once, and one of them is missed now and then."""
    many = [*range(1, count + 1)]
    late = [[count + 1, count + 2] if n % 2 else [count + 1] for n in range(150)]
    staying = [many + some for some in late[:10]] if not gap else late[:10]
    first, *lines = told([many] * 25 + [[]] * gap + staying + late[10:])
    begin, end = (25 + gap) / 25, (25 + gap + 149) / 25
    assert first == f"clip.mp4: {end:.1f} s, {count + 2} faces, of which {LINES} are told: those seen longest"
    assert [line.split(":")[0] for line in lines[-2:]] == [
        f"  face {track}, {begin:.1f} to {end:.1f} s" for track in (count + 1, count + 2)
    ]


def test_who_was_forgotten_does_not_come_back_with_another_begin() -> None:
    """Of a larger crowd than is remembered the last stay longest."""
    crowd = [*range(1, KEPT + 21)]
    _, *lines = told([crowd] * 50 + [crowd[KEPT - 1 :]] * 200)
    assert {line.partition(", ")[2].partition(" to ")[0] for line in lines} == {"0.0"}


def test_no_more_than_so_many_faces_are_remembered() -> None:
    line = Timeline(CLASSES)
    for track in range(1, 5 * KEPT):
        line.add(track / 25, [Prediction(seen(0, 0).face, dict.fromkeys(CLASSES, 0.1), (), track)])
        assert len(line._lines) <= KEPT
    assert (line.faces, len(line.lines)) == (5 * KEPT - 1, LINES)


def test_the_picture_shows_what_is_likely_when() -> None:
    line = Timeline(("anger", "happiness"))
    for number in range(200):
        scores = {"anger": float(number < 100), "happiness": float(number >= 100)}
        line.add(number / 10, [Prediction(seen(0, 0).face, scores, (), 1)] if number < 150 else [])
    with Image.open(io.BytesIO(line.picture())) as picture:
        row = np.asarray(picture.convert("RGB"))[picture.height // 2]
    anger = (np.abs(row - np.array([0xD5, 0x5E, 0x00])).sum(axis=1) < 9).nonzero()[0]
    happiness = (np.abs(row - np.array([0xE6, 0x9F, 0x00])).sum(axis=1) < 9).nonzero()[0]
    assert anger.max() < happiness.min()
    assert len(happiness) == pytest.approx(len(anger) / 2, rel=0.05)
    with Image.open(io.BytesIO(Timeline(CLASSES).picture())) as empty:
        assert empty.width > 100


def colored(line: Timeline, *color: int) -> npt.NDArray[np.bool_]:
    """(H, W) where its picture has about this color."""
    with Image.open(io.BytesIO(line.picture())) as picture:
        near: npt.NDArray[np.bool_] = np.abs(np.asarray(picture.convert("RGB")).astype(int) - color).sum(axis=2) < 30
    return near


def test_the_picture_shows_where_a_face_is_unsure_and_the_face() -> None:
    line, photo = Timeline(("anger", "happiness")), np.full((60, 80, 3), 250, np.uint8)
    photo[10:40, 20:50] = 20, 200, 40
    for number in range(200):
        scores = dict(zip(line.classes, (0.5, 0.5) if 50 <= number < 100 else (0.0, 1.0), strict=True))
        line.add(number / 10, [replace(make_prediction(seen(20, 10, side=30).face, scores, 0.3), track=1)], photo)
    (only,) = line.lines
    assert only.picture is not None
    assert only.picture.shape == (64, 64, 3)
    assert (int(only.unsure.sum()), only.frames) == (50, 200)
    happy = colored(line, 0xE6, 0x9F, 0x00).nonzero()[1]
    green, dark = colored(line, 20, 200, 40).nonzero()[1], colored(line, 0x44, 0x44, 0x44)
    assert len(green) > 500
    assert green.max() < happy.min(), "the face is beside its band"
    rows = dark[dark.shape[0] // 4 :].sum(axis=1)
    strip = dark[dark.shape[0] // 4 + int(rows.argmax())].nonzero()[0]
    assert len(strip) == pytest.approx((happy.max() - happy.min()) / 4, rel=0.1), "a quarter of the time"


def test_of_a_face_the_picture_is_kept_where_it_is_seen_best() -> None:
    line, scores = Timeline(CLASSES), dict.fromkeys(CLASSES, 0.3)
    for number, side in enumerate((10, 30, 20)):
        photo = np.full((60, 80, 3), 50 * (number + 1), np.uint8)
        line.add(number / 10, [Prediction(seen(10, 10, side=side).face, scores, (), 1)], photo)
    assert line.lines[0].picture is not None
    assert line.lines[0].picture.max() == 100


def test_who_is_missed_once_is_not_forgotten_where_frames_are_far_apart() -> None:
    line, scores = Timeline(CLASSES), dict.fromkeys(CLASSES, 0.3)
    line.add(0.0, [Prediction(seen(0, 0).face, scores, (), 1)])
    line.add(10.0, [Prediction(seen(0, 0).face, scores, (), track) for track in range(2, KEPT + 2)])
    line.add(20.0, [Prediction(seen(0, 0).face, scores, (), 1)])
    assert line.lines[0].track == 1


def test_the_command_follows_the_faces_of_a_video(mien: Command, model: Path, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", [photo_of((n, 8, 16), (50 - n, 40, 16), size=(64, 80)) for n in range(20)])
    done = mien("predict", clip, "--model", model, "--draw", tmp_path / "drawn", "--device", "cpu")
    assert done.code == 0, done.err
    assert done.err == f"1 picture of a video over time in {tmp_path / 'drawn'}\n"
    first, *faces = done.out.splitlines()
    assert first == "clip.mp4: 1.9 s, 2 faces"
    assert [line.split(":")[0] for line in faces] == ["  face 1, 0.0 to 1.9 s", "  face 2, 0.0 to 1.9 s"]
    assert [path.name for path in (tmp_path / "drawn").iterdir()] == ["000001-clip.png"]
    lines = [json.loads(line) for line in mien("predict", clip, "--model", model, "--json").out.splitlines()]
    assert [line["frame"] for line in lines] == list(range(20))
    assert [line["time"] for line in lines] == pytest.approx(np.arange(20) / 10)
    assert {line["path"] for line in lines} == {str(clip)}
    for line in lines:
        assert {one["box"][1] < 30: one["track"] for one in line["faces"]} == {True: 1, False: 2}


def scene(seed: int) -> Photo:
    """A picture of soft patches."""
    patches = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    return np.asarray(cv2.resize(patches, (480, 360), interpolation=cv2.INTER_CUBIC), np.uint8)


def cuts_in(photos: Sequence[Photo]) -> list[int]:
    cuts = CutDetector()
    return [number for number, photo in enumerate(photos) if cuts.at(photo)]


def test_cuts_are_looked_for_once_in_a_frame(mien: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both the search between frames and who is who want them."""
    clip, look, asked = (
        write_video(tmp_path / "clip.mp4", [scene(n // 10)[:96, :128] for n in range(20)]),
        CutDetector.at,
        list[Photo](),
    )

    def at(self: CutDetector, photo: Photo) -> Cut | None:
        asked.append(photo)
        return look(self, photo)

    monkeypatch.setattr(CutDetector, "at", at)
    assert mien("predict", clip, "--align", "box", "--detector", "photographs:Bright", "--json").code == 0
    assert len(asked) == 20


def panned(photo: Photo, speeds: Sequence[int]) -> list[Photo]:
    """A window of 240 x 180 that goes so many pixels to the right from frame to frame."""
    return [photo[60:240, at : at + 240] for at in np.cumsum(speeds).tolist()]


@pytest.mark.parametrize("speed", [0, 2, 8])
def test_cuts_are_found_whatever_moves(speed: int) -> None:
    photos = [photo for seed in range(5) for photo in panned(scene(seed), [speed] * 12)]
    assert cuts_in(photos) == [12, 24, 36, 48]


def test_motion_is_no_cut() -> None:
    for seed in range(10):
        assert cuts_in(panned(scene(seed), [1, 3, 6, 10, 15, 20, 24, 24, 24, 24, 20, 15])) == []
    still, face = scene(0), scene(1)[:150, :150]
    moved = [still.copy() for _ in range(30)]
    for number, photo in enumerate(moved):
        photo[100:250, 10 * number : 10 * number + 150] = face
    assert cuts_in(moved) == []


@pytest.mark.parametrize(("step", "most"), [(20, 0), (30, 1), (60, 1), (120, 1)])
def test_steady_motion_on_a_flat_background_is_no_cut(step: int, most: int) -> None:
    """Where it begins all at once, that alone may look like one."""
    face, places = scene(1)[:160, :160], [abs((step * number + 480) % 960 - 480) for number in range(40)]
    photos = [np.full((360, 640, 3), 128, np.uint8) for _ in places]
    for photo, place in zip(photos, places, strict=True):
        photo[100:260, place : place + 160] = face
    assert len(cuts_in(photos)) <= most
    other = [scene(seed) for seed in (2, 2, 3, 3, 3)]
    assert cuts_in([photos[0]] * 5 + other) == [5, 7], "cuts may come soon after each other"
    assert cuts_in([scene(2), scene(3)]) == [1]


def test_flicker_noise_and_black_are_no_cuts() -> None:
    generator, photo = np.random.default_rng(0), scene(0)
    gains, lifts = generator.uniform(0.5, 1.5, 40), generator.uniform(-30, 30, 40)
    noise = (generator.normal(0, 6, photo.shape) for _ in gains)
    lit = [photo * gain + lift + grain for gain, lift, grain in zip(gains, lifts, noise, strict=True)]
    photos = [one.clip(0, 255).astype(np.uint8) for one in lit]
    assert cuts_in(photos) == []
    black = [scene(seed) // 50 for seed in range(2, 5)]
    assert cuts_in([*photos[:5], *black, *photos[5:10]]) == []
    assert cuts_in([*photos[:5], *black, scene(1)]) == [8]


def test_a_cut_ends_all_tracks(mien: Command, model: Path, tmp_path: Path) -> None:
    """Another face at the same place, before something else."""
    photos = []
    for side in (slice(0, 40), slice(40, 80)):
        photo = photo_of((30, 20, 20), size=(64, 80))
        photo[:, side] = np.maximum(photo[:, side], 150)
        photos += [photo] * 10
    clip = write_video(tmp_path / "clip.mp4", photos)
    lines = [json.loads(line) for line in mien("predict", clip, "--model", model, "--json").out.splitlines()]
    assert [[one["track"] for one in line["faces"]] for line in lines] == [[1]] * 10 + [[2]] * 10


def test_frames_have_their_numbers_in_the_video(mien: Command, model: Path, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", [photo_of((n, 8, 16), size=(64, 80)) for n in range(20)])
    done = mien("predict", clip, "--model", model, "--json", "--every", 0.5)
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [(line["frame"], line["time"]) for line in lines] == [(0, 0.0), (5, 0.5), (10, 1.0), (15, 1.5)]


def test_a_truncated_video_is_told_as_far_as_it_goes(mien: Command, model: Path, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.avi", [photo_of((n, 8, 16), size=(64, 80)) for n in range(40)])
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 8 // 10])
    done = mien("predict", clip, "--model", model, "--json")
    *lines, last = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0
    assert 0 < len(lines) < 40
    assert [line["frame"] for line in lines] == list(range(len(lines)))
    assert last["path"] == str(clip)
    assert last["fault"].startswith("a truncated file of")
    assert done.err == f"mien: clip.avi: {last['fault']}\n"


def test_frames_are_let_go(model: Path, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", [photo_of((n % 50, 8, 16), size=(64, 80)) for n in range(150)])
    alive = weakref.WeakSet[PhotoOrFrame]()
    most = count = 0
    for read in predict_files(Recognizer.load(model, "cpu"), find_source_files([clip]), 0.04, []):
        alive.add(read.photo)
        most, count = max(most, len(alive)), count + 1
    assert count == 150
    assert most <= 2 * TOGETHER


RED = np.array([250, 60, 30], np.uint8)


def in_color(*squares: tuple[int, int, int], blue: tuple[int, int, int] = (0, 0, 0)) -> Photo:
    """RGB, dark, with red squares and a blue one; the detector of bright spots sees red alone."""
    bright, other = photo_of(*squares, size=(64, 80)) > 200, photo_of(blue, size=(64, 80)) > 200
    return np.where(bright, RED, np.where(other, RED[::-1], np.array([10, 40, 90], np.uint8)))


def test_color_is_read_in_the_order_that_arrays_have(tmp_path: Path) -> None:
    info = Info(CLASSES, side=16, channels=3, alignment="box margin=0; photographs:Bright; largest")
    network = {"network": "mien_s", "width": 8, "depths": [1, 1, 1]}
    write_model(tmp_path / "model", dict(build_network(network, 3, info).state_dict()), ModelCard(network, CLASSES, info))
    recognizer, photo = Recognizer.load(tmp_path / "model", "cpu"), in_color((5, 8, 16), blue=(40, 30, 16))
    Image.fromarray(photo).save(tmp_path / "a.png")
    crop = photo[8:24, 5:21]
    expected, turned = recognizer.probabilities(np.stack([crop, crop[:, :, ::-1]]))
    assert np.abs(expected - turned).max() > 1e-3
    for (one,) in recognizer.read([photo, Image.fromarray(photo), tmp_path / "a.png"]):
        assert one.face.box == (5, 8, 21, 24)
        np.testing.assert_allclose(list(one.scores.values()), expected, atol=1e-6)


def test_videos_come_in_rgb(model: Path, tmp_path: Path) -> None:
    photo = in_color((10, 8, 16), blue=(50, 40, 16))
    clip = write_video(tmp_path / "clip.mp4", [photo] * 4)
    for read in predict_files(Recognizer.load(model, "cpu"), find_source_files([clip]), 0.1, []):
        (one,) = read.faces  # the red one
        assert one.face.box == pytest.approx((10, 8, 26, 24), abs=2)
        assert np.abs(read.photo.pixels[10:22, 12:24].mean(axis=(0, 1)) - RED).max() < 12


class FakeCamera:
    """Two red squares, in BGR as OpenCV gives them; it is unplugged after 30 frames."""

    count, now = 0, 0.0

    def __init__(self, number: int) -> None:
        self.number, type(self).now = number, 0.0

    @classmethod
    def monotonic(cls) -> float:
        """The clock, which a frame moves on: so long a frame takes, however quick or busy the machine is."""
        return cls.now

    def isOpened(self) -> bool:
        return self.number == 0

    def set(self, what: int, value: float) -> bool:
        return True

    def read(self) -> tuple[bool, Photo | None]:
        self.count += 1
        type(self).now += 1 / 32
        return (False, None) if self.count > 30 else (True, in_color((5, 8, 16), (50, 40, 16))[:, :, ::-1].copy())

    def release(self) -> None:
        self.number = -1


def test_a_camera_is_watched(mien: Command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
    monkeypatch.setattr(camera, "time", FakeCamera)
    done = mien("watch", 0, "--model", model, "--json", "--reconnect", 0)
    assert (done.code, "none any more" in done.err) == (1, True)
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert len(lines) == 30
    assert {tuple(one["track"] for one in line["faces"]) for line in lines} == {(1, 2)}
    assert {(line["photo"], line.get("path")) for line in lines} == {("camera 0", None)}
    assert [line["frame"] for line in lines] == list(range(30))
    done = mien("watch", 0, "--model", model, "--seconds", 0.05, "--json")
    assert done.code == 0, done.err
    assert [json.loads(line)["time"] for line in done.out.splitlines()] == [0.031, 0.062], "the next is late"
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
    np.testing.assert_array_equal(first.pixels, in_color((5, 8, 16), (50, 40, 16)))
    frames.close()  # type: ignore[attr-defined]
    with pytest.raises(MienError, match="none any more"):
        list(camera_frames(0))


def test_small_faces_are_not_looked_for_in_videos() -> None:
    mtcnn = CropSpec("eyes", "mtcnn", "all")
    assert crop_in_frames(mtcnn, (480, 640, 3)).least_face == 40
    assert crop_in_frames(mtcnn, (100, 640, 3)).least_face == 20  # as in photos
    assert crop_in_frames(mtcnn.looking_for(64), (480, 640, 3)).least_face == 64
    haar = crop_in_frames(CropSpec("box", "haar", "all"), (485, 640, 3))
    assert (haar.least_face, type(haar.least_face)) == (40, float)
    assert str(haar).startswith("box margin=0.15; haar least_face=40 step=1.1")
    for without in (CropSpec("whole"), CropSpec("box", "photographs:Bright", "all")):
        assert crop_in_frames(without, (480, 640, 3)) == without
    with pytest.raises(MienError, match="least_face"):
        mtcnn.looking_for(3)


def test_how_small_faces_may_be_can_be_said(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "clip.mp4", [photo_of((10, 20, 16))] * 2)
    Image.fromarray(photo_of((10, 20, 16))).save(tmp_path / "photo.png")
    recognizer, asked, held = Recognizer.load(model, "cpu"), list[float](), list[FileLimits]()
    geometry = CropSpec("box", "haar", "all")

    def read(
        self: Recognizer, photos: Sequence[Photo], how: CropSpec, limits: FileLimits, turn: str, whole: Sequence[int] | None
    ) -> list[tuple[Prediction, ...]]:
        held.append(limits)
        asked.extend([how.least_face] * len(photos))
        return [()] * len(photos)

    monkeypatch.setattr(Recognizer, "read", read)
    inputs = list(find_source_files([tmp_path / "photo.png", tmp_path / "clip.mp4"]))
    assert len(list(predict_files(recognizer, inputs, 0.04, [], geometry))) == 3
    assert len(list(predict_files(recognizer, inputs, 0.04, [], geometry, least_face=50))) == 3
    assert asked == [30, 30, 30, 50, 50, 50]  # of small frames nothing smaller than in photos
    assert set(held) == {FILE_LIMITS}
    held.clear()
    assert list(predict_files(recognizer, inputs, 0.04, [], geometry, limits=NO_LIMITS))
    assert set(held) == {NO_LIMITS}


def test_a_video_is_written_anew_with_its_faces(mien: Command, model: Path, tmp_path: Path) -> None:
    photos = [photo_of((5 + number, 8, 16), size=(65, 81)) for number in range(6)]
    film, out = write_video(tmp_path / "film.mp4", photos), tmp_path / "made" / "named.mkv"
    done = mien("predict", film, "--model", model, "--video", out, "--json")
    assert done.code == 0, done.err
    assert "6 frames without sound in" in done.err
    assert [one.name for one in out.parent.iterdir()] == ["named.mkv"]
    read = [json.loads(line) for line in done.out.splitlines()]
    with av.open(str(out)) as container:
        assert len(container.streams) == 1
        found = [(float(one.time or 0), one.to_ndarray(format="rgb24")) for one in container.decode(video=0)]
    assert [round(time, 2) for time, _ in found] == [line["time"] for line in read]
    for _, drawn in found:  # gray but for the frame and the label of an unsure face
        assert (np.abs(drawn.astype(int) - UNSURE).max(axis=2) < 40).mean() > 0.005
    again = mien("predict", film, "--model", model, "--video", out)
    assert (again.code, "named.mkv" in again.err) == (1, True)
    for words, told in (
        ((film, "--video", tmp_path / "named.txt"), "a name that ends in .mp4 or .mkv"),
        ((film, write_video(tmp_path / "other.mp4", photos), "--json", "--video", tmp_path / "both.mp4"), "one video"),
    ):
        refused = mien("predict", *words, "--model", model)
        assert (refused.code, refused.out) == (1, ""), "found before anything is read"
        assert told in refused.err
    (tmp_path / "file").touch()
    refused = mien("predict", film, "--model", model, "--video", tmp_path / "file" / "film.mp4")
    assert (refused.code, f"{tmp_path / 'file' / 'film.mp4'}" in refused.err) == (1, True)
    assert not [one for one in tmp_path.iterdir() if "both" in one.name or "named" in one.name]
