"""The page computes what Python computes: crops, logits, answers, numbers of people, tables.

Pictures are handed over as PNG: browsers decode JPEG by other arithmetic than Pillow, so that some pixels differ by a gray value.
"""

import base64
import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from drawn import photos
from mien import Prediction, Recognizer
from mien.faces.align import crop, square_map
from mien.faces.crop import crop_faces
from mien.faces.detect.mtcnn import GRID, Mtcnn
from mien.faces.face import Face
from mien.faces.mtcnn.boxes import suppress
from mien.media.photos import Photo, as_photo
from mien.media.photos_and_frames import PhotoOrFrame
from mien.media.source_files import SourceFile
from mien.recognize.predict_files import PredictedPhoto
from mien.recognize.prediction import make_prediction, sentence
from mien.recognize.prediction_rows import PredictionRows
from mien.recognize.tracking_and_smoothing import FaceTracker, TrackingSettings
from mien.recognize.unlike_training import UnlikeTraining, write_centers

pytest_plugins = ("opened_page",)

LOOK = """async (text) => {
  const { Reader } = await import("./app/reader.js");
  self.reader ??= new Reader();
  const file = new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))]);
  const { faces, crops, logits } = await self.reader.ask("look", { file });
  return { faces, crops: crops.map((one) => [...one]), logits: logits.map((one) => [...one]) };
}"""
CROP = """async ({ photo, width, height, maps, side }) => {
  const { crop, gray } = await import("./app/crop.js");
  const data = Uint8ClampedArray.from(photo);
  return maps.map((map) => {
    const color = crop({ width, height, data }, map, side);
    return { color: [...color], gray: [...gray(color)] };
  });
}"""
SUPPRESS = """async ({ boxes, logits, over }) => {
  const { suppress } = await import("./app/boxes.js");
  const given = boxes.map((box, place) => ({ box, logit: logits[place], group: place % 3, offsets: [], place }));
  return suppress(given, 0.5, over).map(({ place }) => place);
}"""
ANSWER = """async ({ cases, classes }) => {
  const [{ answer }, { sentence }] = await Promise.all([import("./app/calibration.js"), import("./app/words.js")]);
  return cases.map(({ scores, least, sure, unlike }) => {
    const found = answer(scores, { classes, least, sure, unlike: { least: 0.1 } }, unlike);
    return { ...found, said: sentence(found, classes) };
  });
}"""
UNLIKE = """async ({ settings, rows }) => {
  const { TrainingFaces } = await import("./app/unlike.js");
  const training = new TrainingFaces(settings);
  return rows.map((row) => training.isUnlike(row));
}"""
REFUSED = """async (settings) => {
  const [{ probabilities }, { TrainingFaces }] = await Promise.all([import("./app/calibration.js"), import("./app/unlike.js")]);
  const training = new TrainingFaces(settings);
  const said = (task) => { try { return `no fault: ${task()}`; } catch (error) { return error.message; } };
  return [
    ...[NaN, Infinity].map((logit) => said(() => probabilities(Float32Array.of(0, logit, 1), 1))),
    ...[null, new Float32Array(3), new Float32Array(2).fill(NaN)].map((features) => said(() => training.isUnlike(features))),
  ];
}"""
TRACK = """async ({ settings, frames }) => {
  const { Tracker } = await import("./app/tracking.js");
  const tracker = new Tracker(settings);
  return frames.map(({ time, faces }) => tracker.follow(time, faces));
}"""
SEARCH = """async ({ settings, frames }) => {
  const { FrameSearch } = await import("./app/between.js");
  const asked = [];
  let found;
  const detector = { settings: { least_face: 20 }, find: async (frame, least, region) => {
    asked.push({ least, region: region ?? null });
    return found[region ? "near" : "whole"].map((box, place) => ({ box, score: 1 - place / 9 }));
  } };
  const search = new FrameSearch(detector, settings);
  for (const { time, ...each } of frames) {
    found = each;
    asked.push((await search.find({ width: 640, height: 480 }, time)).map(({ box }) => box));
  }
  return asked;
}"""
TABLE = """async ({ columns, classes, frames }) => {
  const { Table } = await import("./app/csv.js");
  const table = new Table({ columns, classes });
  frames.forEach(({ where, faces }) => table.add(where, faces));
  return await table.blob().text();
}"""


def png(photo: Photo) -> bytes:
    """A photo without loss."""
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "PNG")
    return file.getvalue()


def look(page: Page, content: bytes) -> dict[str, Any]:
    """Faces, crops and logits of a file."""
    found: dict[str, Any] = page.evaluate(LOOK, base64.b64encode(content).decode())
    return found


def test_crops_and_logits_are_those_of_python(page: Page, recognizer: Recognizer) -> None:
    """Networks round differently by about 1e-5 of a pixel: rarely, that moves a place to the next point of the grid."""
    side, alike = recognizer.card.faces.side, list[bool]()
    for photo in photos():
        found = look(page, png(photo))
        cut = crop_faces([photo], recognizer.crop_spec, side, False)
        assert len(found["faces"]) == len(cut.found) > 0
        crops = np.array(found["crops"], np.uint8).reshape(-1, side, side)
        np.testing.assert_allclose(found["logits"], recognizer.logits(crops), atol=1e-3)
        for face, same, crop_, ours in zip(found["faces"], cut.found, crops, cut.faces, strict=True):
            assert same.landmarks is not None
            theirs = np.array([*face["box"], *np.ravel(face["landmarks"])])
            python = np.array([*same.box, *same.landmarks.ravel()])
            np.testing.assert_allclose(theirs, python, atol=1.01 / GRID)
            assert face["score"] == pytest.approx(same.score, abs=1e-5)
            alike.append(bool((theirs == python).all()))
            assert (crop_ == ours).all() or not alike[-1]
        logits = np.array(found["logits"]) / recognizer.card.temperature
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        np.testing.assert_allclose(odds / odds.sum(axis=1, keepdims=True), recognizer.probabilities(cut.faces), atol=2e-3)
    assert np.mean(alike) > 0.5


def test_a_photo_turned_by_its_exif_and_one_in_a_frame_are_read_alike(page: Page, recognizer: Recognizer) -> None:
    lying, near = np.rot90(photos()[2]), photos()[3][20:, 16:]
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(lying)).save(file, "JPEG", exif=exif, quality=100, subsampling=0)
    found = look(page, file.getvalue())["faces"]
    (ours,) = Mtcnn()([as_photo(file.getvalue())])[0]
    assert found[0]["box"] == pytest.approx(ours.box, abs=2), "upright, and decoded by other arithmetic"
    found = look(page, png(np.ascontiguousarray(near)))["faces"]
    assert [one["box"] for one in found] == [pytest.approx(one.box, abs=1.01 / GRID) for one in Mtcnn()([near])[0]]


def test_crops_by_any_map_are_those_of_opencv(page: Page) -> None:
    generator = np.random.default_rng(0)
    photo = generator.integers(0, 256, (90, 130, 3), np.uint8)
    maps = [square_map(np.array(center), side) for center in ((65, 45), (3, 80), (-40, 45)) for side in (20.0, 48.0, 97.3, 200.0)]
    for turn, scale in zip(generator.uniform(-1, 1, 6), generator.uniform(0.004, 0.05, 6), strict=True):
        about = scale * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        maps.append(np.column_stack([about, 0.5 - about @ [60, 40]]))
    rgba = np.concatenate([photo, np.full((90, 130, 1), 255, np.uint8)], axis=2)
    given = {"photo": rgba.ravel().tolist(), "width": 130, "height": 90, "maps": [one.tolist() for one in maps], "side": 24}
    for map_, found in zip(maps, page.evaluate(CROP, given), strict=True):
        ours = crop(photo, map_, 24)
        np.testing.assert_array_equal(np.array(found["color"], np.uint8).reshape(24, 24, 3), ours)
        np.testing.assert_array_equal(np.array(found["gray"], np.uint8).reshape(24, 24), cv2.cvtColor(ours, cv2.COLOR_RGB2GRAY))


@pytest.mark.parametrize("over", ["union", "smaller"])
def test_boxes_that_overlap_are_suppressed_alike(page: Page, over: Any) -> None:
    generator = np.random.default_rng(1)
    corners = generator.integers(0, 60, (120, 2))
    boxes = np.concatenate([corners, corners + generator.integers(5, 40, (120, 2))], axis=1).astype(np.float32)
    logits = generator.integers(0, 40, 120).astype(np.float32)
    given = {"boxes": boxes.tolist(), "logits": logits.tolist(), "over": over}
    assert page.evaluate(SUPPRESS, given) == suppress(boxes, logits, np.arange(120) % 3, 0.5, over).tolist()


def test_answers_are_sure_and_unsure_as_in_python(page: Page) -> None:
    generator, classes = np.random.default_rng(2), ["10", "9", 'b, "c"', "__proto__", "e\u202e" + "x" * 90]
    rows = [*generator.dirichlet([0.4] * 5, 60), [0.5, 0.5, 0, 0, 0], [1, 0, 0, 0, 0], [0.2] * 5, [0.8, 0.2, 0, 0, 0]]
    limits = [(0.25, 0.7), (0.5, 0.8), (0.0, 0.5), (0.2, 1.0), (0.2, 0.8)]
    sent: list[dict[str, Any]] = []
    for number, row in enumerate(rows):
        least, sure = limits[number % len(limits)]
        each = [least, *generator.uniform(0.1, 0.9, 4).tolist()] if number % 2 else [least] * 5
        sent.append({"scores": list(map(float, row)), "least": each, "sure": sure, "unlike": number % 5 == 4})
    face, unsure = Face((0, 0, 1, 1), None, 1.0), 0
    for case, found in zip(sent, page.evaluate(ANSWER, {"cases": sent, "classes": classes}), strict=True):
        needed = [min(one, 0.1) for one in case["least"]] if case["unlike"] else case["least"]
        ours = make_prediction(face, dict(zip(classes, case["scores"], strict=True)), needed, case["sure"], case["unlike"])
        assert (found["top"], found["unsure"], tuple(found["possible"])) == (ours.top, ours.unsure, ours.possible)
        assert found["confidence"] == ours.confidence
        assert found["said"] == sentence(ours)
        unsure += ours.unsure
    assert 5 < unsure < len(sent) - 5


def test_the_same_faces_are_unlike_those_of_training(page: Page) -> None:
    generator, width = np.random.default_rng(4), 12
    centers = generator.normal(size=(7, width))
    features = np.concatenate(
        [centers * generator.uniform(0.1, 3, (7, 1)), generator.normal(size=(20, width)), np.zeros((1, width))]
    )
    unlike = UnlikeTraining(0.3, 0.1, width, write_centers(centers))
    given = {"settings": asdict(unlike), "rows": features.tolist()}
    found = page.evaluate(UNLIKE, given)
    assert found == unlike.are_unlike(features).tolist()
    assert not any(found[:7])
    assert any(found[7:])


def test_outputs_that_are_no_numbers_are_refused(page: Page) -> None:
    settings = asdict(UnlikeTraining(0.3, 0.1, 2, write_centers(np.eye(2))))
    missing, wrong = "its features are missing", "its features are not 2 finite numbers"
    assert page.evaluate(REFUSED, settings) == [*["its logits are not finite"] * 2, missing, wrong, wrong]


def test_faces_are_followed_and_smoothed_as_by_watch(page: Page) -> None:
    generator, settings = np.random.default_rng(3), TrackingSettings()
    tracker, frames, ours = FaceTracker(settings), [], []
    places = generator.uniform(0, 300, (3, 2))
    for time in np.cumsum(generator.choice([0.03, 0.05, 0.7], 30, p=[0.5, 0.4, 0.1])).tolist():
        places += generator.normal(0, 4, (3, 2))
        shown = [place for place in places if generator.random() < 0.8]
        boxes = [[x, y, x + 60, y + 70] for x, y in shown]
        scores = generator.dirichlet([1, 1, 1], len(boxes)).tolist()
        frames.append({"time": time, "faces": [{"box": box, "scores": each} for box, each in zip(boxes, scores, strict=True)]})
        named = [
            make_prediction(Face((box[0], box[1], box[2], box[3]), None, 1.0), dict(zip("abc", each, strict=True)), 0.3)
            for box, each in zip(boxes, scores, strict=True)
        ]
        ours.append(tracker.follow(time, named))
    given = {"settings": {"overlap": settings.overlap, "away": settings.away, "smooth": settings.smooth}, "frames": frames}
    for found, wanted in zip(page.evaluate(TRACK, given), ours, strict=True):
        assert [one["track"] for one in found] == [one.track for one in wanted]
        for one, other in zip(found, wanted, strict=True):
            assert one["scores"] == pytest.approx(list(other.scores.values()))


def test_frames_between_whole_searches_are_searched_near_the_last_faces(page: Page) -> None:
    box, two = [200, 100, 300, 200], [[200, 100, 300, 200], [280, 150, 360, 230]]
    told = page.evaluate("async () => (await fetch('app/model/settings.json')).json()")["frames"]
    close = [{"time": number / 30, "whole": [box], "near": [box]} for number in range(10)]
    asked = page.evaluate(SEARCH, {"settings": told, "frames": close})
    whole, near = {"least": 40, "region": None}, {"least": 60, "region": [150, 50, 350, 250]}
    assert asked[::2] == [whole, *[near] * 7, whole, near], "every eighth frame, and faces no smaller than 0.6 of what they were"
    slow = [{"time": number / 6, "whole": two, "near": [box]} for number in range(3)]
    assert page.evaluate(SEARCH, {"settings": told, "frames": slow})[::2] == [whole] * 3, "frames that are far apart"
    lost = [{"time": 0, "whole": two, "near": []}, {"time": 0.05, "whole": [box], "near": []}]
    joined = {"least": 48, "region": [150, 50, 400, 270]}
    assert page.evaluate(SEARCH, {"settings": told, "frames": lost}) == [whole, two, joined, whole, [box]]
    large = [{"time": number / 30, "whole": [[100, 50, 500, 450]], "near": [[100, 50, 500, 450]]} for number in range(2)]
    all_of_it = {"least": 240, "region": [0, 0, 640, 480]}
    assert page.evaluate(SEARCH, {"settings": told, "frames": large})[::2] == [whole, all_of_it], "large faces alone"


def table(classes: Sequence[str], read: Sequence[PredictedPhoto]) -> str:
    """The CSV that Python writes, without paths."""
    rows, file = PredictionRows("mien", classes), io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(rows.names)
    for one in read:
        writer.writerows(rows.cells(row) for row in rows.rows(one))
    return file.getvalue()


def test_the_table_is_that_of_predict(page: Page) -> None:
    classes, empty = ("joy", 'a "b", c'), np.zeros((2, 2, 3), np.uint8)
    rows = [((1.25, -2.0, 33.04, 40.96), 0.98765, 0.8), ((0.0, 0.05, 100.0, 1e3), 0.5, 1.0), ((-0.04, 7.35, 9.0, 10.0), 1.0, 0.3)]
    read, frames = [], []
    for number, (box, joy, sure) in enumerate(rows):
        name, time = ("a,\nb.png", None) if number == 0 else ("camera", number / 3)
        face = make_prediction(Face(box, None, 0.9), dict(zip(classes, (joy, 1 - joy), strict=True)), 0.3, sure)
        track = None if time is None else 4
        named = Prediction(face.face, face.scores, face.possible, track, face.confidence_threshold)
        read.append(PredictedPhoto(PhotoOrFrame(SourceFile(name, Path()), empty, number, time, number), (named,)))
        place = {"photo": name} if time is None else {"photo": name, "frame": number, "time": time}
        told = {"box": box, "track": track, "top": face.top, "confidence": face.confidence, "unsure": face.unsure}
        frames.append({"where": place, "faces": [told | {"scores": list(face.scores.values())}]})
    columns = list(PredictionRows("mien", ()).names)
    assert page.evaluate(TABLE, {"columns": columns, "classes": classes, "frames": frames}) == table(classes, read)


def test_settings_are_those_of_the_model(page: Page, recognizer: Recognizer) -> None:
    told = json.loads(page.evaluate("async () => (await fetch('app/model/settings.json')).text()"))
    card = recognizer.card
    assert (told["classes"], told["temperature"]) == (list(card.classes), card.temperature)
    assert (told["least"], told["sure"]) == (list(card.possible_from), card.confidence_threshold)
    assert card.unlike is not None
    assert told["unlike"] == asdict(card.unlike)
    assert told["align"] == {"way": "eyes", "distance": 0.37, "height": 0.39}
    assert told["detector"]["least_face"] == Mtcnn().least_face
