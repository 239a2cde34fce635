"""A recognizer reads photos: faces are cut out as those it learned from were, and named."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conftest import Command
from mien import MienError, Recognizer
from mien.data.format import Info
from mien.faces.crop import CropSpec
from mien.faces.which_faces import Turns
from mien.media import photos_and_frames
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.media.find_source_files import find_source_files
from mien.media.photos import PhotoLike
from mien.preparation.preparation_settings import PreparationSettings
from mien.preparation.prepare import prepare_faces
from mien.recognize import prediction_writer
from mien.recognize.drawing import Box, draw_predictions, place_labels
from mien.recognize.model_card import ModelCard
from mien.recognize.predict_files import PredictedPhoto, UnreadableFile, drawing_name, file_fields, predict, write_drawing
from mien.recognize.prediction import Prediction, make_prediction, sentence
from mien.recognize.saved_networks import build_network, write_model
from photographs import photo_of, write_photo

GEOMETRY = "box margin=0; photographs:Bright; largest"
CLASSES = ("anger", "happiness", "sadness")
PHOTO = photo_of((10, 20, 16), (40, 12, 30))


def encoded(form: str) -> bytes:
    """A photo of noise as a file."""
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)).save(content, form)
    return content.getvalue()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder of random weights, for faces that a detector of bright spots finds."""
    info = Info(CLASSES, side=16, alignment=GEOMETRY)
    network = {"network": "mien_s", "width": 8, "depths": [1, 1, 1]}
    card = ModelCard(network, CLASSES, info, temperature=0.2, conformal_threshold=0.4)
    write_model(tmp_path / "model", dict(build_network(network, 3, info).state_dict()), card)
    return tmp_path / "model"


@pytest.fixture
def recognizer(model: Path) -> Iterator[Recognizer]:
    threads = torch.get_num_threads()
    yield Recognizer.load(model, "cpu")
    torch.set_num_threads(threads)


def test_a_photo_is_read_as_its_faces_in_a_set_are(recognizer: Recognizer, tmp_path: Path) -> None:
    write_photo(tmp_path / "in" / "a.png", PHOTO)
    preparing = PreparationSettings((str(tmp_path / "in"),), "box margin=0", "photographs:Bright", "all", side=16)
    faces = prepare_faces(preparing, tmp_path / "out").faces
    readings = recognizer(tmp_path / "in" / "a.png")
    assert [one.face.box for one in readings] == [tuple(box) for box in faces.column("box").to_pylist()]
    scores = np.array([list(one.scores.values()) for one in readings])
    np.testing.assert_allclose(scores, recognizer.probabilities(faces), atol=1e-6)
    for one in readings:
        assert tuple(one.scores) == CLASSES
        assert one.top == max(one.scores, key=lambda name: one.scores[name])
        assert one.confidence == max(one.scores.values())
        assert one.unsure == (sum(score >= 0.4 for score in one.scores.values()) != 1 or one.confidence < 0.8)


def test_a_photo_may_be_given_in_any_form(recognizer: Recognizer, tmp_path: Path) -> None:
    path = write_photo(tmp_path / "a.png", PHOTO)
    forms: list[PhotoLike] = [path, str(path), path.read_bytes(), Image.open(path), PHOTO, PHOTO[:, :, 0]]
    expected = [one.to_json() for one in recognizer(PHOTO)]
    assert len(expected) == 2
    assert [[one.to_json() for one in readings] for readings in recognizer.read(forms)] == [expected] * len(forms)


def test_photos_of_a_phone_are_turned(recognizer: Recognizer) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned to the left
    content = io.BytesIO()
    Image.fromarray(np.rot90(PHOTO)).save(content, "PNG", exif=exif)
    expected = [one.face.box for one in recognizer(PHOTO)]
    assert [one.face.box for one in recognizer(content.getvalue())] == expected
    assert [one.face.box for one in recognizer(Image.open(content))] == expected


def test_no_face_and_no_photos(recognizer: Recognizer) -> None:
    normalized = replace(recognizer, card=replace(recognizer.card, normalize="face"))
    assert normalized(photo_of()) == ()
    assert recognizer(photo_of()) == ()
    assert recognizer(np.zeros((1, 1, 3), np.uint8)) == ()
    assert recognizer.read([]) == []
    for one in (np.zeros((40, 40, 3), np.uint8), "photo.jpg", b"", Path("photo.jpg")):
        with pytest.raises(MienError, match="a list of photos"):
            recognizer.read(one)  # type: ignore[arg-type]
    with pytest.raises(MienError, match=r"FaceSet\.open"):
        recognizer.probabilities("faces")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (b"", "an empty file"),
        (b"no photo", "no picture of a known format"),
        (encoded("JPEG")[:-300], "found a truncated file, which ends too early; replace"),
        (encoded("PNG")[:-300], "found a truncated file, which ends too early; replace"),
        (encoded("BMP")[:20], "found a truncated file, which ends too early; replace"),
        ("https://somewhere/a.jpg", "found an address, https://somewhere/a.jpg; mien reads files only: download it first"),
        ("missing.png", "No such file"),
        (np.zeros((4, 4), np.float32), "float32"),
        (np.zeros((4, 4, 4), np.uint8), "expected three channels, RGB; found 4"),
        (np.zeros((0, 4, 3), np.uint8), r"shape \(0, 4, 3\)"),
        (7, "found int"),
    ],
)
def test_what_is_no_photo_is_said(recognizer: Recognizer, given: PhotoLike, found: str) -> None:
    with pytest.raises(MienError, match=found):
        recognizer(given)


def test_a_model_must_know_how_faces_are_cut_out(recognizer: Recognizer) -> None:
    unknown = replace(recognizer, card=replace(recognizer.card, faces=replace(recognizer.card.faces, alignment="unknown")))
    with pytest.raises(MienError, match="predict --align"):
        unknown(PHOTO)
    given = CropSpec("box margin=0", "photographs:Bright", "largest")
    assert [one.face.box for one in unknown.read([PHOTO], given)[0]] == [(40, 12, 70, 42)]
    features = replace(recognizer, card=replace(recognizer.card, faces=replace(recognizer.card.faces, kind="features")))
    with pytest.raises(MienError, match="found one of features"):
        features(PHOTO)


def test_what_is_possible_is_named(recognizer: Recognizer) -> None:
    face = recognizer(PHOTO)[0].face
    sure = make_prediction(face, {"a": 0.2, "b": 0.7, "c": 0.1}, 0.3)
    assert (sure.top, sure.possible, sure.unsure) == ("b", ("b",), False)
    either = make_prediction(face, {"a": 0.42, "b": 0.48, "c": 0.1}, 0.3)
    assert (either.top, either.possible, either.unsure) == ("b", ("b", "a"), True)
    none = make_prediction(face, {"a": 0.42, "b": 0.48, "c": 0.1}, 0.5)
    assert (none.top, none.possible, none.unsure) == ("b", (), True)


def test_limits_are_on_unless_said(
    recognizer: Recognizer, mien: Command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = replace(FILE_LIMITS, pixels=10)
    with pytest.raises(MienError, match="pixels, more than 10"):
        recognizer.read([PHOTO], limits=few)
    monkeypatch.setattr("mien.media.file_limits.FILE_LIMITS", few)
    write_photo(tmp_path / "in" / "a.png", PHOTO)
    for word in (
        ("predict", tmp_path / "in", "--model", model, "--device", "cpu"),
        ("prepare", tmp_path / "in", tmp_path / "out"),
    ):
        more = ("--align", "box", "--detector", "photographs:Bright") if word[0] == "prepare" else ()
        done = mien(*word, *more)
        assert done.code, done.out
        assert "pixels, more than 10" in done.err
        done = mien(*word, *more, "--limits", "off")
        assert done.code == 0, done.err
        done = mien(*word, *more, "--limits", "some")
        assert done.code == 2
        assert "--limits" in done.err


def test_sure_takes_a_probability_of_its_own(recognizer: Recognizer) -> None:
    """One expression alone was possible from 27 % on, and so anger at 47 % was sure."""
    face, scores = recognizer(PHOTO)[0].face, {"anger": 0.47, "fear": 0.23, "surprise": 0.22, "neutral": 0.08}
    doubtful = make_prediction(face, scores, 0.27, 0.77)
    assert (doubtful.possible, doubtful.unsure) == (("anger",), True)
    assert (sentence(doubtful), doubtful.to_json()["unsure"]) == ("unsure (anger 47%, fear 23%)", True)
    certain = make_prediction(face, scores, 0.27, 0.47)
    assert (sentence(certain), certain.unsure) == ("anger 47%", False)
    assert make_prediction(face, {"a": 1.0, "b": 0.0}, 0.27, 1.0).unsure, "at 1 none is"


def test_a_models_card_says_from_where_on_answers_are_sure(model: Path, recognizer: Recognizer) -> None:
    card = json.loads((model / "model.json").read_text())
    assert card.pop("sure") == 0.8
    (model / "model.json").write_text(json.dumps(card))
    older = Recognizer.load(model, "cpu")
    assert older.card.confidence_threshold == 0.8, "a card from before it was stated"
    for sure in (0.0, 0.999999):
        (model / "model.json").write_text(json.dumps(card | {"sure": sure, "least": 0.34}))
        found = Recognizer.load(model, "cpu")(PHOTO)
        assert [one.unsure for one in found] == [len(one.possible) != 1 or one.confidence < sure for one in found]
        assert any(one.unsure for one in found) == (sure > 0)


def test_the_command_prints_every_face(mien: Command, model: Path, tmp_path: Path) -> None:
    write_photo(tmp_path / "in" / "a.png", PHOTO)
    write_photo(tmp_path / "in" / "b.png", photo_of())
    (tmp_path / "in" / "c.png").write_bytes(b"broken")
    words = ["predict", tmp_path / "in", "--model", model, "--device", "cpu"]
    done = mien(*words)
    assert done.code == 0, done.err
    first, second = done.out.splitlines()
    assert first.startswith("a.png: ")
    assert first.count("%") >= 2
    assert second == "b.png: no face"
    assert "c.png: no picture of a known format" in done.err
    lines = [json.loads(line) for line in mien(*words, "--json").out.splitlines()]
    assert [line["photo"] for line in lines] == ["a.png", "b.png", "c.png"]
    assert [line["path"] for line in lines] == [str(tmp_path / "in" / name) for name in ("a.png", "b.png", "c.png")]
    assert [len(line.get("faces", [])) for line in lines] == [2, 0, 0]
    assert lines[2]["fault"] == "no picture of a known format"
    rows = list(csv.DictReader(io.StringIO(mien(*words, "--csv").out)))
    assert [row["photo"] for row in rows] == ["a.png", "a.png"]
    assert {(row["path"], row["member"]) for row in rows} == {(str(tmp_path / "in" / "a.png"), "")}
    for row, one in zip(rows, lines[0]["faces"], strict=True):
        assert row["top"] == one["top"]
        assert {name: float(row[name]) for name in CLASSES} == one["scores"]
        assert [float(row[edge]) for edge in ("x0", "y0", "x1", "y1")] == one["box"]


def test_a_path_is_the_same_whatever_else_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = write_photo(tmp_path / "a" / "1.png", PHOTO), write_photo(tmp_path / "b" / "2.png", PHOTO)
    monkeypatch.chdir(tmp_path / "a")
    given: list[list[str | Path]] = [["1.png"], ["."], [one, other], [tmp_path / "a", "../b"], [tmp_path], ["../?"]]
    for inputs in given:
        first, *_ = find_source_files(inputs)
        assert file_fields(first) == {"photo": first.name, "path": str(one)}, inputs


def test_a_member_is_named_beside_its_archive(mien: Command, model: Path, tmp_path: Path) -> None:
    write_photo(tmp_path / "in" / "a.png", PHOTO)
    archive = tmp_path / "in" / "more.zip"
    with zipfile.ZipFile(archive, "w") as zipping:
        for name in ("b.png", "more/c.png"):
            zipping.write(tmp_path / "in" / "a.png", name)
        zipping.writestr("d.png", b"broken")
    members = [str(archive)] * 3, ["b.png", "more/c.png", "d.png"]
    for inputs in ([archive], [tmp_path / "in"], [archive, tmp_path / "in" / "a.png"]):
        done = mien("predict", *inputs, "--model", model, "--json", "--device", "cpu")
        lines = [line for line in map(json.loads, done.out.splitlines()) if "member" in line]
        assert ([line["path"] for line in lines], [line["member"] for line in lines]) == members
        assert lines[2]["fault"] == "no picture of a known format"
    rows = list(csv.DictReader(io.StringIO(mien("predict", archive, "--model", model, "--csv").out)))
    assert [(row["path"], row["member"]) for row in rows[::2]] == list(zip(*members, strict=True))[:2]


def test_a_path_that_is_no_text_is_told(recognizer: Recognizer, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.png")
    write_photo(tmp_path / "a.png", PHOTO).rename(path)
    (one,) = find_source_files([path])
    read = PredictedPhoto(photos_and_frames.PhotoOrFrame(one, PHOTO), recognizer(PHOTO))
    for form in ("json", "csv"):
        file = io.TextIOWrapper(io.BytesIO(), "utf-8")
        prediction_writer.PredictionWriter("json" if form == "json" else "csv", CLASSES, file).write(read)
        file.seek(0)
        if form == "json":
            assert json.loads(file.read())["path"] == str(path)
        else:
            assert [row["path"] for row in csv.DictReader(file)] == [f"{tmp_path}/\\udcff.png"] * 2


def test_the_command_draws_into_a_new_folder(mien: Command, model: Path, tmp_path: Path) -> None:
    write_photo(tmp_path / "in" / "a.png", PHOTO)
    words = ["predict", tmp_path / "in", "--model", model, "--device", "cpu", "--draw", tmp_path / "drawn"]
    done = mien(*words)
    assert (done.code, done.err) == (0, f"1 photo in {tmp_path / 'drawn'}\n")
    assert [path.name for path in (tmp_path / "drawn").iterdir()] == ["000001-a.jpg"]
    again = mien(*words)
    assert (again.code, "a new or an empty folder" in again.err) == (1, True)


def test_who_stops_has_what_was_read_and_whole(
    mien: Command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcd":
        write_photo(tmp_path / "in" / f"{name}.png", PHOTO)
    monkeypatch.setattr(photos_and_frames, "TOGETHER", 1)

    def write_and_stop(read: PredictedPhoto, folder: Path, number: int) -> Path:
        if number == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return write_drawing(read, folder, number)

    monkeypatch.setattr(prediction_writer, "write_drawing", write_and_stop)
    for form, lines in (("--json", 2), ("--csv", 5)):
        folder = tmp_path / form
        done = mien("predict", tmp_path / "in", "--model", model, "--device", "cpu", "--draw", folder, form)
        assert done.code == 130
        assert "resume" not in done.err
        assert f"2 photos in {folder}" in done.err
        assert sorted(path.name for path in folder.iterdir()) == ["000001-a.jpg", "000002-b.jpg"]
        assert len(done.out.splitlines()) == lines
        assert done.out.endswith("\n")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_who_stops_while_photos_are_read_is_told_of_those_before(
    mien: Command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        write_photo(tmp_path / "in" / f"{name}.png", photo_of((10, 20, 16)) if name < "c" else photo_of())
    monkeypatch.setattr(photos_and_frames, "TOGETHER", 1)
    as_ever = Recognizer.read

    def stopped(
        self: Recognizer,
        photos: Sequence[PhotoLike],
        geometry: CropSpec | None = None,
        limits: FileLimits = FILE_LIMITS,
        turn: Turns = "off",
        searched_whole: Sequence[int] | None = None,
    ) -> list[tuple[Prediction, ...]]:
        if not np.any(np.asarray(photos[0]) > 200):
            raise KeyboardInterrupt
        return as_ever(self, photos, geometry, limits, turn, searched_whole)

    monkeypatch.setattr(Recognizer, "read", stopped)
    done = mien("predict", tmp_path / "in", "--model", model, "--device", "cpu")
    assert (done.code, len(done.out.splitlines())) == (130, 2)
    assert "resume" not in done.err


def test_another_way_to_cut_out_than_the_cards_is_said(mien: Command, model: Path, tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png", PHOTO)
    words = ["predict", tmp_path / "a.png", "--model", model, "--device", "cpu", "--detector", "photographs:Bright"]
    done = mien(*words, "--align", "box margin=0.5")
    said = "mien: faces are cut out by 'box margin=0.5', not by 'box margin=0.0' as the model's card says\n"
    assert (done.code, done.err) == (0, said)
    assert "by 'whole', not by 'box margin=0.0; photographs:Bright; all' as" in mien(*words, "--align", "whole").err
    same = mien(*words, "--align", "box margin=0")
    assert (same.code, same.err) == (0, "")
    assert mien(*words[:-2]).err == ""


def test_an_address_is_no_input(mien: Command, model: Path) -> None:
    done = mien("predict", "http://somewhere/a.jpg", "--model", model)
    assert (done.code, "mien reads files only: download it first" in done.err) == (1, True)


def test_a_photo_needs_neither_torch_nor_what_videos_need(tmp_path: Path) -> None:
    code = """
import sys
import numpy as np
from mien.faces.face import Face
from mien.media.source_files import SourceFile
from mien.media.photos_and_frames import PhotoOrFrame
from mien.recognize.predict_files import PredictedPhoto
from mien.recognize.prediction import make_prediction
from mien.recognize.prediction_writer import PredictionWriter
from pathlib import Path

photo = PhotoOrFrame(SourceFile("a.png", Path("a.png")), np.zeros((60, 80, 3), np.uint8))
face = make_prediction(Face((5, 5, 20, 20), None, 1.0), {"a": 1.0}, 0.5)
PredictionWriter("json", ("a",), sys.stderr, Path(sys.argv[1])).write(PredictedPhoto(photo, (face,)))
print(sorted({"torch", "scipy", "matplotlib", "av"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert (tmp_path / "000001-a.jpg").is_file()


def test_a_command_that_reads_nothing_fails(mien: Command, model: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "c.png").write_bytes(b"broken")
    assert mien("predict", tmp_path / "in", "--model", model).code == 1
    assert mien("predict", tmp_path / "in", "--model", model, "--json", "--csv").code == 2
    assert mien("predict", tmp_path / "in", "--model", model, "--every", 0).code == 2
    refused = mien("predict", tmp_path / "in", "--model", model, "--detector", "haar")
    assert (refused.code, "--align" in refused.err) == (2, True)
    (tmp_path / "empty").mkdir()
    done = mien("predict", tmp_path / "empty", "--model", model)
    assert (done.code, f"at least one photo or video; found none in {tmp_path / 'empty'}" in done.err) == (1, True)
    Image.new("RGB", (16, 16)).save(tmp_path / "photo.png")
    done = mien("predict", tmp_path / "photo.png", tmp_path / "empty", "--model", model, "--align", "whole")
    assert (done.code, f"mien: {tmp_path / 'empty'}: no photo or video there\n" in done.err) == (0, True), done.err


def test_frames_are_blue_or_vermilion_around_faces(recognizer: Recognizer) -> None:
    face = recognizer(PHOTO)[1].face
    for scores, color in (({"a": 0.9, "b": 0.1}, (0, 114, 178)), ({"a": 0.6, "b": 0.4}, (213, 94, 0))):
        drawn = np.asarray(draw_predictions(PHOTO, [make_prediction(face, scores, 0.3)]))
        assert drawn.shape == (360, 480, 3)  # six times as large
        assert tuple(drawn[215, 108]) == tuple(drawn[168, 155]) == color
        assert tuple(drawn[168, 108]) == (250, 250, 250)


def test_large_photos_and_narrow_ones_are_drawn_as_they_are(recognizer: Recognizer) -> None:
    (one, _) = recognizer(PHOTO)
    for size in ((320, 500), (5000, 30), (1, 4096)):
        assert draw_predictions(np.zeros((*size, 3), np.uint8), [one]).size == size[::-1]


def box(x: int, y: int, wide: int, high: int) -> Box:
    return x, y, x + wide, y + high


BOXES = st.builds(box, st.integers(0, 500), st.integers(0, 400), st.integers(0, 300), st.integers(0, 300))


def apart(one: Box, other: Box) -> bool:
    return one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.tuples(st.integers(120, 700), st.integers(120, 600)), st.lists(BOXES, max_size=6), st.text("ab (%", max_size=50))
def test_labels_never_leave_the_picture(size: tuple[int, int], faces: list[Box], text: str) -> None:
    faces = [(min(x0, size[0]), min(y0, size[1]), min(x1, size[0]), min(y1, size[1])) for x0, y0, x1, y1 in faces]
    labels = place_labels(size, faces, [f"a {text}"] * len(faces))
    assert len(labels) == len(faces)
    for label in labels:
        assert label is not None
        x0, y0, x1, y1 = label.box
        assert 0 <= x0 < x1 <= size[0]
        assert 0 <= y0 < y1 <= size[1]


def test_labels_avoid_each_other_and_other_faces() -> None:
    text = "unsure (happiness 48%, surprise 41%)"
    rows = [box(60 + 95 * n, 180 + 15 * (n % 2), 85, 85) for n in range(6)]
    crowd = [box(20 + 160 * column, 40 + 120 * row, 60, 60) for row in range(5) for column in range(6)]
    for size, faces in (((640, 480), rows), ((1000, 650), crowd), ((400, 400), [box(0, 0, 400, 400)])):
        labels = place_labels(size, faces, [text] * len(faces))
        boxes = [label.box for label in labels if label]
        assert len(boxes) == len(faces)
        for number, one in enumerate(boxes):
            assert all(apart(one, other) for other in boxes[:number])
            assert all(apart(one, face) for place, face in enumerate(faces) if place != number)
        assert all(" ".join(label.lines) == text for label in labels if label)


def test_what_fits_nowhere_is_not_written() -> None:
    assert place_labels((4, 900), [(0, 0, 4, 50)], ["happiness 97%"]) == [None]
    (long,) = place_labels((90, 900), [(0, 0, 50, 50)], ["a" * 60])
    assert long is not None
    assert ("".join(long.lines), len(long.lines) > 1) == ("a" * 60, True)


def test_names_from_archives_lead_nowhere(recognizer: Recognizer, tmp_path: Path) -> None:
    from mien.media.source_files import SourceFile

    photo = photos_and_frames.PhotoOrFrame(SourceFile("../../up/a b.png", tmp_path), PHOTO)
    path = write_drawing(PredictedPhoto(photo, recognizer(PHOTO)), tmp_path, 3)
    assert path.resolve().parent == tmp_path.resolve()
    assert path.name == "000003-.._.._up_a_b.jpg"
    with Image.open(path) as drawn:
        assert drawn.size == (480, 360)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", "7-a.png"),
        ("b/a.JPEG", "7-b_a.png"),
        ("a.mp4", "7-a.png"),
        ("v1.2", "7-v1.2.png"),
        ("camera 0", "7-camera_0.png"),
    ],
)
def test_endings_are_not_doubled(name: str, expected: str) -> None:
    assert drawing_name(name, 7, ".png") == f"00000{expected}"
    assert len(drawing_name("x" * 300, 7, ".png")) < 120


def test_photos_are_read_from_python(tmp_path: Path) -> None:
    for name in ("a.png", "drawn/b.png", "c/d.png"):
        write_photo(tmp_path / "photos" / name, photo_of((3, 3, 20)))
    (tmp_path / "photos" / "e.png").write_bytes(b"no photo")
    faults, crop_spec = list[UnreadableFile](), CropSpec("box", "photographs:Bright", "all")
    how: dict[str, Any] = {"faults": faults, "crop_spec": crop_spec, "device": "cpu", "without": tmp_path / "photos" / "drawn"}
    found = {read.photo.name: len(read.faces) for read in predict([tmp_path / "photos"], **how)}
    assert found == {"a.png": 1, "c/d.png": 1}
    assert [fault.input.name for fault in faults] == ["e.png"]
