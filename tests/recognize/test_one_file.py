"""A network in one file: read alike by onnxruntime and OpenCV, with float32 and with eight bits; and a folder for the Hub."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from PIL import Image

from conftest import Command
from mien import FaceSet, MienError, Recognizer
from mien.data.format import Info
from mien.data.info import Normalization
from mien.onnx_file import open_session
from mien.recognize import int8_export
from mien.recognize.hugging_face import README, readme
from mien.recognize.int8_export import export_int8
from mien.recognize.model_card import ModelCard
from mien.recognize.one_file import export_one_file
from mien.recognize.saved_networks import build_network, write_model

CLASSES = ("anger", "happiness", "sadness")


@pytest.fixture(scope="module", params=[1, 3])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network of gray or of color faces, with random weights."""
    info = Info(CLASSES, side=16, channels=request.param, alignment="whole")
    settings = {"network": "mien_s", "width": 8, "depths": [1, 1, 1]}
    weights = dict(build_network(settings, 3, info, 0).state_dict())
    normalize: Normalization = "face" if request.param == 1 else "fixed"
    folder = tmp_path_factory.mktemp("models") / "model"
    write_model(folder, weights, ModelCard(settings, CLASSES, info, normalize, temperature=1.5))
    return folder


def shown(model: Path, count: int = 5) -> np.ndarray:
    """Random faces as they are stored."""
    info = Recognizer.load(model, "cpu").card.faces
    shape = (count, 4, 4, 3)[: 4 if info.channels == 3 else 3]
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8).repeat(4, axis=1).repeat(4, axis=2)


def planes(faces: np.ndarray) -> np.ndarray:
    """The same as float32 (N, C, S, S)."""
    return (faces[:, None] if faces.ndim == 3 else np.moveaxis(faces, 3, 1)).astype(np.float32)


@pytest.mark.parametrize(("opset", "batch"), [(13, None), (17, None), (17, 2), (22, None)])
def test_onnxruntime_and_opencv_read_it_alike(model: Path, tmp_path: Path, opset: int, batch: int | None) -> None:
    file = tmp_path / "model.onnx"
    card = export_one_file(model, file, opset, batch)
    assert [one.name for one in tmp_path.iterdir()] == ["model.onnx"]
    faces = shown(model)[:batch]
    expected = Recognizer.load(model, "cpu").logits(faces)
    (made,) = open_session(file.read_bytes(), 1).run(None, {"faces": planes(faces)})
    np.testing.assert_allclose(made, expected, atol=1e-4)
    network = cv2.dnn.readNetFromONNX(str(file))
    network.setInput(planes(faces))
    np.testing.assert_allclose(network.forward(), expected, atol=1e-3)
    read = onnx.load(file)
    assert read.opset_import[0].version == opset
    assert read.graph.input[0].type.tensor_type.shape.dim[0].dim_value == (batch or 0)
    notes = {entry.key: entry.value for entry in read.metadata_props}
    assert json.loads(notes["classes"]) == list(card.classes)
    assert float(notes["temperature"]) == 1.5
    with pytest.raises(MienError, match=r"model\.onnx"):
        export_one_file(model, file)


def labeled(model: Path, right: float, count: int = 600) -> FaceSet:
    """Faces of which this share has the label that the model gives; the others have another."""
    faces = shown(model, count)
    labels = Recognizer.load(model, "cpu").logits(faces).argmax(axis=1)
    wrong = np.arange(count) >= right * count
    splits = ["train", "test"] * (count // 2)
    return FaceSet.from_arrays(faces, np.where(wrong, (labels + 1) % 3, labels), CLASSES, {"split": splits})


def test_eight_bits_read_nearly_alike_and_are_measured(model: Path, tmp_path: Path) -> None:
    file, faces = tmp_path / "small.onnx", labeled(model, 0.8)
    figures = export_int8(model, file, faces)
    assert (figures.calibrated, figures.measured, figures.bytes > 0) == (300, 300, True)
    assert figures.before == pytest.approx(0.8)
    assert figures.after >= figures.before - 0.005
    assert min(figures.seconds_before, figures.seconds_after) > 0
    kinds = {node.op_type for node in onnx.load(file).graph.node}
    assert "QuantizeLinear" in kinds
    expected = Recognizer.load(model, "cpu").logits(shown(model, 2))
    (made,) = open_session(file.read_bytes(), 1).run(None, {"faces": planes(shown(model, 2))})
    assert np.abs(made - expected).max() < 0.1 * np.abs(expected).max() + 0.05
    network = cv2.dnn.readNetFromONNX(str(file))
    network.setInput(planes(shown(model, 1)))  # of several faces OpenCV reads only the first right
    assert np.abs(network.forward() - made[:1]).max() < 0.1 * np.abs(expected).max() + 0.05


def test_mien_reads_the_file_as_it_reads_the_folder(tmp_path: Path) -> None:
    faces = np.random.default_rng(0).integers(0, 256, (12, 48, 48), np.uint8)
    faces[6:] = np.linspace(0, 255, 48).astype(np.uint8)
    expected = Recognizer.load("mien-s", "cpu")
    for opset, batch in ((17, None), (13, 5), (22, 5)):
        export_one_file("mien-s", tmp_path / f"{opset}.onnx", opset, batch)
        found = Recognizer.load(tmp_path / f"{opset}.onnx")
        for mine, wanted in zip(found.logits_and_unlike(faces, True), expected.logits_and_unlike(faces, True), strict=True):
            np.testing.assert_allclose(np.asarray(mine, float), np.asarray(wanted, float), atol=1e-4)
        assert replace(found.card, weights="", graph="") == replace(expected.card, weights="", graph="")
        sent = pickle.loads(pickle.dumps(found))
        np.testing.assert_array_equal(sent.logits(faces), found.logits(faces))


def test_a_photo_is_read_by_eight_bits_with_the_cards_temperature(mien: Command, model: Path, tmp_path: Path) -> None:
    file = tmp_path / "small.onnx"
    labeled(model, 0.8).save(tmp_path / "faces")
    assert mien("export", model, file, "--int8", tmp_path / "faces", "--batch", 2).code == 0
    color = Recognizer.load(model, "cpu").card.faces.channels == 3
    shown_face = shown(model, 1)
    Image.fromarray(shown_face[0]).save(tmp_path / "photo.png")
    done = mien("predict", tmp_path / "photo.png", "--model", file, "--json")
    assert done.code == 0, done
    stored = onnx.load(file)
    stored.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    stored.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    (logits,) = open_session(stored.SerializeToString(), 1).run(None, {"faces": planes(shown_face)})
    odds = np.exp(logits[0].astype(float) / 1.5)
    scores = json.loads(done.out)["faces"][0]["scores"]
    assert [scores[name] for name in CLASSES] == pytest.approx((odds / odds.sum()).tolist(), abs=1e-4)
    assert color == (shown_face.ndim == 4)
    assert mien("evaluate", file, tmp_path / "faces").code == 2
    done = mien("evaluate", file, tmp_path / "faces", "--out", tmp_path / "report", "--json")
    assert 0.7 < json.loads(done.out)["accuracy"] <= 0.8


def test_files_that_cannot_be_read_are_refused(mien: Command, model: Path, tmp_path: Path) -> None:
    file = tmp_path / "one.onnx"
    export_one_file(model, file)
    made = onnx.load(file)

    def refused(pattern: str) -> None:
        onnx.save(made, tmp_path / "other.onnx")
        with pytest.raises(MienError, match=pattern):
            Recognizer.load(tmp_path / "other.onnx", "cpu")

    notes = list(made.metadata_props)
    del made.metadata_props[:]
    made.metadata_props.extend(entry for entry in notes if entry.key != "card")
    refused(r"other\.onnx; found one without; export the model again")
    made.metadata_props.extend(entry for entry in notes if entry.key == "card")
    made.graph.node[2].op_type = "Loop"
    refused("found Loop")
    (tmp_path / "text.onnx").write_text("a text\n" * 9)
    for asked, device in (("text.onnx", "cpu"), ("one.onnx", "cuda")):
        with pytest.raises(MienError, match=r"ONNX file"):
            Recognizer.load(tmp_path / asked, device)
    done = mien("export", file, tmp_path / "out")
    assert "name the folder" in done.err, done
    with pytest.raises(MienError, match="an ONNX file alone has none"):
        Recognizer.load(file).network  # noqa: B018


def test_classes_of_the_faces_may_be_fewer_and_in_another_order(model: Path, tmp_path: Path) -> None:
    faces = labeled(model, 0.8)
    turned = FaceSet.from_arrays(faces.faces(), 2 - faces.labels, CLASSES[::-1], {"split": faces.values("split")})
    assert export_int8(model, tmp_path / "a.onnx", turned).before == pytest.approx(0.8)
    kept = np.sort(np.argsort(np.bincount(faces.labels, minlength=3))[1:])  # two labels that there are
    rows = np.flatnonzero(np.isin(faces.labels, kept))
    labels, names = np.searchsorted(kept, faces.labels[rows]), tuple(CLASSES[label] for label in kept)
    some = FaceSet.from_arrays(faces.faces(rows), labels, names, {"split": faces.values("split")[rows]})
    assert export_int8(model, tmp_path / "b.onnx", some).measured == (faces.values("split")[rows] == "test").sum()
    other = FaceSet.from_arrays(faces.faces(), faces.labels, (*CLASSES[:2], "bored"), {"split": faces.values("split")})
    with pytest.raises(MienError, match="found bored; name classes as the model does"):
        export_int8(model, tmp_path / "c.onnx", other)


def test_what_reads_worse_is_refused_and_not_written(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = np.arange(300) < 270
    measured = iter([(right, 1.0), (np.arange(300) < 268, 0.5)])
    monkeypatch.setattr(int8_export, "_measured", lambda *given: next(measured))
    with pytest.raises(MienError, match=r"90.0% before and 89.3% after, of 300"):
        export_int8(model, tmp_path / "small.onnx", labeled(model, 0.9))
    assert not list(tmp_path.iterdir())
    with pytest.raises(MienError, match="200 others with labels"):
        export_int8(model, tmp_path / "small.onnx", labeled(model, 0.9, 200))
    same = labeled(model, 0.9)
    one = FaceSet.from_arrays(shown(model, 600), np.ones(600, int), CLASSES, {"split": same.values("split")})
    with pytest.raises(MienError, match="two classes"):
        export_int8(model, tmp_path / "small.onnx", one)
    assert not list(tmp_path.iterdir())


def test_the_command_writes_files_and_a_folder_for_the_hub(mien: Command, tmp_path: Path, model: Path) -> None:
    faces = labeled(model, 0.9)
    faces.save(tmp_path / "faces")
    done = mien("export", model, tmp_path / "one.onnx", "--one-file", "--json")
    assert json.loads(done.out)["bytes"] == (tmp_path / "one.onnx").stat().st_size
    done = mien("export", model, tmp_path / "small.onnx", "--int8", tmp_path / "faces")
    assert "times as fast" in done.out, done
    assert "measured on 300 faces only" in done.out
    assert " points" in done.out
    for words in (("--opset", 13), ("--batch", 3), ("--int8", tmp_path / "faces", "--opset", 13)):
        assert mien("export", model, tmp_path / "dropped", *words).code == 2
    assert mien("export", model, tmp_path / "x", "--one-file", "--hugging-face").code == 2
    assert mien("export", model, tmp_path / "hub", "--hugging-face").code == 0
    text = (tmp_path / "hub" / README).read_text()
    head = dict(line.split(": ", 1) for line in text.split("---\n")[1].splitlines())
    assert json.loads(head["pipeline_tag"]) == "image-classification"
    assert json.loads(head["license_name"]) == "unknown"
    assert str(tmp_path) not in text
    np.testing.assert_allclose(
        Recognizer.load(tmp_path / "hub", "cpu").logits(shown(model)),
        Recognizer.load(model, "cpu").logits(shown(model)),
        atol=0.05,
    )


def test_ranges_are_fitted_on_training_faces_and_single_faces_count_as_they_are(model: Path) -> None:
    splits = ["Training"] * 300 + ["validation"] * 250 + ["PublicTest"] * 250
    for names, last, first in ((splits, 299, 550), (splits[:550] + ["val"] * 250, 299, 300), (["test"] * 800, 798, 1)):
        given = FaceSet.from_arrays(shown(model, 800), np.arange(800) % 3, CLASSES, {"split": names})
        fitted, tested = int8_export._parts(given, given.labels)
        assert (fitted.max(), tested.min(), set(fitted) & set(tested)) == (last, first, set())
    figures = int8_export.Int8Figures(512, 1000, 0.9, 0.897, 5, 2, 1.0, 0.5, 10)
    low, high = figures.interval
    assert (low, high) == pytest.approx((-0.0085, 0.0025), abs=3e-4)
    assert figures.to_json()["interval"] == [low, high]


def test_a_table_for_the_hub_has_figures_of_validation_alone() -> None:
    info = Info(CLASSES, side=16, channels=1, alignment="whole")
    metrics = {
        "epoch": 3.0,
        "lr": 0.1,
        "loss": 0.5,
        "seconds": 2.0,
        "stage": 0.0,
        "validation_accuracy": 0.75,
        "validation_loss": 1.0,
    }
    text = readme(ModelCard({"network": "mien_s"}, CLASSES, info, "face", metrics=metrics), "mine")
    assert [line for line in text.splitlines() if line.startswith("| ")] == ["| on validation faces | |", "| accuracy | 0.75 |"]
