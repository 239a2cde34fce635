"""What is given away names no folder of whoever exported it."""

import json
from pathlib import Path

import pytest

from conftest import bright_faces, small_recipe
from mien import FaceSet, Recognizer, TrainingSettings, export, train
from mien.recognize.export_model import without_folders


def test_no_byte_of_an_export_names_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "secret place"
    place.mkdir()
    bright_faces().save(place / "faces")
    monkeypatch.setenv("HOME", str(place))
    faces = FaceSet.open(place / "faces")
    train(faces, small_recipe(), place / "before", TrainingSettings(threads=1, device="cpu"))
    recipe = small_recipe(
        start={"technique": "transfer", "source": str(place / "before")}, title=f"from {tmp_path}/x/teacher.toml"
    )
    train(faces, recipe, place / "run", TrainingSettings(threads=1, device="cpu"), unlabeled=None)
    assert str(place) in (place / "run" / "model" / "model.json").read_text("utf-8")
    export(place / "run", tmp_path / "model")
    files = [file for file in (tmp_path / "model").rglob("*") if file.is_file()]
    assert {file.name for file in files} == {"model.json", "model.onnx", "model.safetensors"}
    for file in files:
        content = file.read_bytes()
        for folder in (str(place), str(tmp_path), "secret place", str(Path(__file__).parents[2])):
            for coding in ("utf-8", "utf-16-le"):
                assert folder.encode(coding) not in content, file
    card = json.loads((tmp_path / "model" / "model.json").read_text("utf-8"))
    assert card["recipe"]["start"]["source"] == "before"
    assert card["recipe"]["title"] == "from teacher.toml"
    assert Recognizer.load(tmp_path / "model", "cpu").probabilities(faces).shape == (len(faces), len(faces.classes))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/home/me/run", "run"),
        ("/home/me/my runs/run 1", "run 1"),
        ("C:\\Users\\me\\run", "run"),
        ("\\\\server\\share\\faces\\run", "run"),
        ("mine path=/home/me/net.onnx; mtcnn", "mine path=net.onnx; mtcnn"),
        ("runs/before", "runs/before"),
        ("all but fold 1/5", "all but fold 1/5"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("and/or", "and/or"),
        ("eyes distance=0.4; mtcnn; all", "eyes distance=0.4; mtcnn; all"),
        (3, 3),
        ({"a": ["/x/y", None, Path("/x/z")]}, {"a": ["y", None, "z"]}),
    ],
)
def test_of_a_path_the_last_part_is_left(text: object, left: object) -> None:
    assert without_folders(text) == left
