"""A recognizer reads photos: faces are cut out as those it learned from were, and named."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from photographs import photo_of, write_photo
from PIL import Image

from conftest import Command
from mien import MienError, Recognizer
from mien.data.faceset import Info
from mien.faces.cut import Geometry
from mien.faces.photos import Picture
from mien.faces.prepare import Preparing, prepare
from mien.recognize.files import Card, build_network, write_model
from mien.recognize.predict import Read, draw, write_drawn
from mien.recognize.reading import reading

GEOMETRY = "box margin=0; photographs:Bright; largest"
CLASSES = ("anger", "happiness", "sadness")
PHOTO = photo_of((10, 20, 16), (40, 12, 30))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder of random weights, for faces that a detector of bright spots finds."""
    info = Info(CLASSES, side=16, alignment=GEOMETRY)
    network = {"network": "mien_s", "width": 8, "depths": [1, 1, 1]}
    card = Card(network, CLASSES, info, temperature=0.2, least=0.4)
    write_model(tmp_path / "model", dict(build_network(network, 3, info).state_dict()), card)
    return tmp_path / "model"


@pytest.fixture
def recognizer(model: Path) -> Iterator[Recognizer]:
    threads = torch.get_num_threads()
    yield Recognizer.load(model, "cpu")
    torch.set_num_threads(threads)


def test_a_photo_is_read_as_its_faces_in_a_set_are(recognizer: Recognizer, tmp_path: Path) -> None:
    write_photo(tmp_path / "in" / "a.png", PHOTO)
    preparing = Preparing((str(tmp_path / "in"),), "box margin=0", "photographs:Bright", "all", side=16)
    faces = prepare(preparing, tmp_path / "out").faces
    readings = recognizer(tmp_path / "in" / "a.png")
    assert [one.face.box for one in readings] == [tuple(box) for box in faces.column("box").to_pylist()]
    scores = np.array([list(one.scores.values()) for one in readings])
    np.testing.assert_allclose(scores, recognizer.probabilities(faces), atol=1e-6)
    for one in readings:
        assert tuple(one.scores) == CLASSES
        assert one.top == max(one.scores, key=lambda name: one.scores[name])
        assert one.confidence == max(one.scores.values())
        assert one.unsure == (sum(score >= 0.4 for score in one.scores.values()) != 1)


def test_a_photo_may_be_given_in_any_form(recognizer: Recognizer, tmp_path: Path) -> None:
    path = write_photo(tmp_path / "a.png", PHOTO)
    forms: list[Picture] = [path, str(path), path.read_bytes(), Image.open(path), PHOTO, PHOTO[:, :, 0]]
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


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (b"", "an empty file"),
        (b"no photo", "no photo of a known format"),
        ("missing.png", "No such file"),
        (np.zeros((4, 4), np.float32), "float32"),
        (np.zeros((4, 4, 4), np.uint8), "expected three channels, RGB; found 4"),
        (np.zeros((0, 4, 3), np.uint8), r"shape \(0, 4, 3\)"),
        (7, "found int"),
    ],
)
def test_what_is_no_photo_is_said(recognizer: Recognizer, given: Picture, found: str) -> None:
    with pytest.raises(MienError, match=found):
        recognizer(given)


def test_a_model_must_know_how_faces_are_cut_out(recognizer: Recognizer) -> None:
    unknown = replace(recognizer, card=replace(recognizer.card, faces=replace(recognizer.card.faces, alignment="unknown")))
    with pytest.raises(MienError, match="predict --align"):
        unknown(PHOTO)
    given = Geometry("box margin=0", "photographs:Bright", "largest")
    assert [one.face.box for one in unknown.read([PHOTO], given)[0]] == [(40, 12, 70, 42)]
    features = replace(recognizer, card=replace(recognizer.card, faces=replace(recognizer.card.faces, kind="features")))
    with pytest.raises(MienError, match="found one of features"):
        features(PHOTO)


def test_what_is_possible_is_named(recognizer: Recognizer) -> None:
    face = recognizer(PHOTO)[0].face
    sure = reading(face, {"a": 0.2, "b": 0.7, "c": 0.1}, 0.3)
    assert (sure.top, sure.possible, sure.unsure) == ("b", ("b",), False)
    either = reading(face, {"a": 0.42, "b": 0.48, "c": 0.1}, 0.3)
    assert (either.top, either.possible, either.unsure) == ("b", ("b", "a"), True)
    none = reading(face, {"a": 0.42, "b": 0.48, "c": 0.1}, 0.5)
    assert (none.top, none.possible, none.unsure) == ("b", (), True)


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
    assert "c.png: no photo of a known format" in done.err
    lines = [json.loads(line) for line in mien(*words, "--json").out.splitlines()]
    assert [line["photo"] for line in lines] == ["a.png", "b.png", "c.png"]
    assert [len(line.get("faces", [])) for line in lines] == [2, 0, 0]
    assert lines[2]["fault"] == "no photo of a known format"
    rows = list(csv.DictReader(io.StringIO(mien(*words, "--csv").out)))
    assert [row["photo"] for row in rows] == ["a.png", "a.png"]
    for row, one in zip(rows, lines[0]["faces"], strict=True):
        assert row["top"] == one["top"]
        assert {name: float(row[name]) for name in CLASSES} == one["scores"]
        assert [float(row[edge]) for edge in ("x0", "y0", "x1", "y1")] == one["box"]


def test_the_command_draws_into_a_new_folder(mien: Command, model: Path, tmp_path: Path) -> None:
    write_photo(tmp_path / "in" / "a.png", PHOTO)
    words = ["predict", tmp_path / "in", "--model", model, "--device", "cpu", "--draw", tmp_path / "drawn"]
    assert mien(*words).code == 0
    assert [path.name for path in (tmp_path / "drawn").iterdir()] == ["000001-a.png.jpg"]
    again = mien(*words)
    assert (again.code, "a new or an empty folder" in again.err) == (1, True)


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
    assert (done.code, "at least one photo or video; found none" in done.err) == (1, True)


def test_frames_are_blue_or_vermilion_around_faces(recognizer: Recognizer) -> None:
    face = recognizer(PHOTO)[1].face
    for scores, color in (({"a": 0.9, "b": 0.1}, (0, 114, 178)), ({"a": 0.6, "b": 0.4}, (213, 94, 0))):
        drawn = np.asarray(draw(PHOTO, [reading(face, scores, 0.3)]))
        assert tuple(drawn[36, 18]) == color
        assert tuple(drawn[28, 18]) == (250, 250, 250)


def test_names_from_archives_lead_nowhere(recognizer: Recognizer, tmp_path: Path) -> None:
    from mien.faces.places import Input
    from mien.faces.shots import Shot

    shot = Shot(Input("../../up/a b.png", tmp_path), PHOTO)
    path = write_drawn(Read(shot, recognizer(PHOTO)), tmp_path, 3)
    assert path.resolve().parent == tmp_path.resolve()
    assert path.name == "000003-.._.._up_a_b.png.jpg"
    with Image.open(path) as drawn:
        assert drawn.size == (80, 60)
