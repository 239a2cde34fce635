"""The command line as people type it: what it prints, what it leaves, how it fails."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from conftest import Command, bright_faces, require_one_sentence, write_faces
from mien import FaceSet, Recognizer
from mien.cli import app
from processes import WAIT

SMALL = ["--set", "model.width=8", "--set", "batch=16", "--epochs", "2", "--set", "precision=float32", "--threads", "1"]


@pytest.fixture
def run_folder(mien: Command, stored: Path, tmp_path: Path) -> Path:
    done = mien("train", stored, "--out", tmp_path / "run", *SMALL)
    assert done.code == 0, done.err
    return tmp_path / "run"


def test_from_database_to_report(mien: Command, tmp_path: Path) -> None:
    done = mien("import", "synthetic", tmp_path / "faces", "--set", "faces=280", "--set", "people=20", "--side", "32", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["faces"] == 280
    done = mien("describe", tmp_path / "faces", "--picture", tmp_path / "faces.png")
    assert done.code == 0
    assert "surprise" in done.out
    with Image.open(tmp_path / "faces.png") as picture:
        assert picture.width > 100
    done = mien("train", tmp_path / "faces", "--out", tmp_path / "run", "--labels-per-class", 10, *SMALL, "--json")
    assert done.code == 0, done.err
    budget = json.loads(done.out)["budget"]
    assert (budget["train"] + budget["validation"], budget["labels_per_class"], budget["noise"]) == (70, 10, 0)
    assert 10 <= budget["validation"] <= 18, "whole people, about a fifth"
    assert set(budget["classes"].values()) == {10}
    done = mien(
        "evaluate", tmp_path / "run", tmp_path / "faces", "--by", "subject", "--flip", "--out", tmp_path / "report", "--json"
    )
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["notes"]["label budget"] == f"{budget['train']} train + {budget['validation']} validation = 70 labels"
    assert found["flip"] is True
    assert sum(group["count"] for group in found["groups"]) == found["count"]
    page = (tmp_path / "report" / "report.html").read_text()
    assert f"{100 * found['accuracy']:.1f}" in page
    assert json.loads((tmp_path / "report" / "metrics.json").read_text())["accuracy"] == found["accuracy"]


def test_the_python_way_is_the_same(mien: Command, run_folder: Path, stored: Path, tmp_path: Path) -> None:
    from mien import Recipe, TrainingSettings, evaluate, train

    recipe = Recipe.load("supervised").set("model.width", "8").set("batch", "16").set("precision", "float32").with_epochs(2)
    recognizer = train(FaceSet.open(stored), recipe, tmp_path / "python", TrainingSettings(threads=1))
    weights = [(folder / "model" / "model.safetensors").read_bytes() for folder in (run_folder, tmp_path / "python")]
    assert weights[0] == weights[1]
    assert evaluate(recognizer, stored).accuracy == json.loads(mien("evaluate", run_folder, stored, "--json").out)["accuracy"]


def test_a_folder_of_classes_gets_a_test_split(mien: Command, tmp_path: Path) -> None:
    for name, gray in (("happy", 200), ("sad", 60)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(40):
            Image.new("L", (30, 24), gray + number % 7).save(tmp_path / "photos" / name / f"{number}.png")
    words = ["import", "folder", tmp_path / "photos", tmp_path / "faces", "--side", 16, "--test", 0.25]
    done = mien(*words)
    assert (done.code, "warning: " in done.err, "figures say little" in done.err) == (0, True, True)
    counts = json.loads(mien("describe", tmp_path / "faces", "--json").out)["counts"]
    assert sum(map(sum, (split.values() for split in counts.values()))) == 80
    assert 8 <= sum(counts["test"].values()) <= 32
    assert mien("train", tmp_path / "faces", "--out", tmp_path / "run", *SMALL).code == 0
    assert json.loads(mien("evaluate", tmp_path / "run", tmp_path / "faces", "--json").out)["classes"] == ["happiness", "sadness"]
    done = mien("evaluate", tmp_path / "run", tmp_path / "faces")
    assert re.search(r"^sure answers: (none of|\d+\.\d% of) the faces", done.out, re.MULTILINE)
    assert "warning: " in done.err
    assert "figures say little" in done.err


def test_features_train_the_embedding(mien: Command, run_folder: Path, stored: Path, tmp_path: Path) -> None:
    done = mien("features", f"{run_folder}:stage2_1", stored, tmp_path / "features", "--views", 4, "--grid", 2, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out) == {
        "faces": 120, "views": ["clean", "mirror", "weak", "strong"], "dimension": 64, "out": str(tmp_path / "features"),
    }  # fmt: skip
    words = ["--model", "embedding", "--epochs", 3, "--set", "batch=16"]
    done = mien("train", tmp_path / "features", "--out", tmp_path / "head", *words)
    assert done.code == 0, done.err
    assert mien("evaluate", tmp_path / "head", tmp_path / "features", "--flip").code == 0
    assert mien("features", "mien_s", stored, tmp_path / "random", "--views", 1).code == 0
    done = mien("features", f"{run_folder}:stage9", stored, tmp_path / "none")
    assert done.code == 1
    assert "a block among stem" in done.err
    assert not (tmp_path / "none").exists()


def test_the_features_are_those_of_the_network(mien: Command, run_folder: Path, stored: Path, tmp_path: Path) -> None:
    import torch

    assert mien("features", f"{run_folder}:stem", stored, tmp_path / "features").code == 0
    recognizer, faces = Recognizer.load(run_folder), FaceSet.open(stored)
    inputs = (torch.from_numpy(faces.faces()).float().unsqueeze(1) / 255 - 0.5) * 4
    for view, shown in enumerate((inputs, inputs.flip(3))):
        with torch.no_grad():
            expected = recognizer.network.features(shown, "stem").mean((2, 3)).numpy()
        found = FaceSet.open(tmp_path / "features").faces()[:, view].astype(np.float32)
        assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()


def test_unlabeled_faces_may_come_from_another_set(mien: Command, stored: Path, tmp_path: Path) -> None:
    bright_faces(seed=3, classes=2).save(tmp_path / "other")
    words = ["train", stored, "--unlabeled", tmp_path / "other", "--out", tmp_path / "run", *SMALL]
    assert "learns from unlabeled" in mien(*words).err
    assert mien(*words, "--set", "unlabeled=conftest:Agree").code == 0
    order = json.loads((tmp_path / "run" / "run.json").read_text())["order"]
    assert order["unlabeled"] == str(tmp_path / "other")


def test_recipes_are_listed_and_shown(mien: Command) -> None:
    assert "supervised" in mien("recipes").out
    listed = json.loads(mien("recipes", "--json").out)
    assert "focal" in listed["answers"]["loss"]
    assert json.loads(mien("recipes", "supervised").out)["model"]["network"] == "mien_s"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "{set}", "--recipe", "magic", "--out", "{new}"], "a recipe among"),
        (["compare", "{set}", "--recipes", "auto", "--out", "{new}"], "name a .toml file; auto is for mien train"),
        (["train", "{set}", "--set", "steps.technique=x", "--out", "{new}"], "a key among"),
        (["train", "{set}", "--model", "transformer", "--out", "{new}"], "mien_s"),
        (["train", "{set}", "--split", "trian", "--out", "{new}"], "a split among test, train"),
        (["train", "{set}", "--device", "tpu", "--out", "{new}"], "a device among"),
        (["train", "{set}", "--out", "{set}"], "nothing at"),
        (["train", "{new}", "--out", "{new}2"], "a face set at"),
        (["train", "{set}", "--model", "vgg16_bn", "--out", "{new}"], "at least 32 pixels for vgg16_bn"),
        (["describe", "{set}", "--picture", "{new}.gif"], "*.png"),
        (["evaluate", "{set}", "{set}"], "a run or a model"),
        (["resume", "{set}"], "a run at"),
        (["import", "casme", "{new}"], "fer2013, ferplus"),
        (["import", "synthetic", "{new}", "--set", "colour=3"], "'colour'"),
        (["import", "folder", "{empty}", "{new}"], "folder"),
        (["import", "fer2013", "{new}"], "name INPUT before OUT"),
        (["train", "{set}", "--fold", "2", "--out", "{new}"], "a fold such as"),
        (["import", "synthetic", "{set}"], "nothing at"),
    ],
)
def test_mistakes_get_one_sentence(mien: Command, stored: Path, tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "empty").mkdir()
    before = {path: path.read_bytes() for path in stored.iterdir()}
    places = {"set": stored, "new": tmp_path / "new", "empty": tmp_path / "empty"}
    done = mien(*(word.format(**places) for word in words))
    require_one_sentence(done, said)
    assert before == {path: path.read_bytes() for path in stored.iterdir()}
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("words", [["train"], ["no-such-command"], ["train", "x", "--set", "novalue", "--out", "y"]])
def test_wrong_usage_is_exit_code_2(mien: Command, words: list[str]) -> None:
    assert mien(*words).code == 2


def test_faces_of_another_shape_are_converted_to_be_measured_and_refused_elsewhere(
    mien: Command, run_folder: Path, tmp_path: Path
) -> None:
    bright_faces(side=20).save(tmp_path / "larger")
    done = mien("evaluate", run_folder, tmp_path / "larger", "--json")
    assert done.code == 0
    assert json.loads(done.out)["notes"]["converted"] == "20 pixels, gray to 16 pixels, gray"
    done = mien("features", run_folder, tmp_path / "larger", tmp_path / "features")
    assert "faces of side 16" in done.err
    done = mien(
        "train",
        tmp_path / "larger",
        "--set",
        "start.technique=weights",
        "--set",
        f"start.path={run_folder}",
        "--out",
        tmp_path / "r",
    )
    assert done.code == 1, "weights of another width do not fit"
    assert "for every block" in done.err


def test_a_changed_set_or_model_is_refused(mien: Command, run_folder: Path, stored: Path) -> None:
    weights = run_folder / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"abcd")
    done = mien("evaluate", run_folder, stored)
    assert done.code == 1
    assert "it was changed" in done.err
    table = stored / "faces.npy"
    table.write_bytes(table.read_bytes()[:-4] + b"abcd")
    done = mien("describe", stored)
    assert done.code == 1
    assert "checksum" in done.err


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands for it: writing fails as on a full disk."""
    photos, place = tmp_path / "photos", tmp_path / "place"
    place.mkdir()
    write_faces(photos / "calm", 10, 200)
    write_faces(photos / "glad", 10, 200)
    words = ["import", "folder", str(photos), str(place / "faces"), "--side", "200"]
    code = f"import resource, sys; sys.argv = ['mien', *{words!r}]; from mien.cli import main; "
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "make room" in done.stderr
    assert list(place.iterdir()) == []


STAYING = """
import sys
from threading import Event
from mien.cli import main
from mien.data.writer import FaceSetWriter

def add(*given):
    real(*given)
    print("a block is written", flush=True)
    Event().wait(600)

real, FaceSetWriter.add = FaceSetWriter.add, add
main()
"""
"""mien, which goes no further than the first block of a set."""


def test_a_polite_end_of_an_import_leaves_nothing(tmp_path: Path) -> None:
    photos, place = tmp_path / "photos", tmp_path / "place"
    place.mkdir()
    write_faces(photos / "calm", 1)
    write_faces(photos / "glad", 1)
    words = ["import", "folder", str(photos), str(place / "faces"), "--side", "8"]
    with subprocess.Popen([sys.executable, "-c", STAYING, *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "a block is written\n"
        assert list(place.glob(".faces.*/table.parquet"))
        process.terminate()
        assert process.wait(timeout=WAIT) == 128 + signal.SIGTERM
    assert list(place.iterdir()) == []


def test_every_command_is_in_the_readme_or_a_guide() -> None:
    root = Path(__file__).parents[2]
    text = "\n".join(path.read_text() for path in [root / "README.md", *(root / "docs").rglob("*.md")])
    commands = typer.main.get_group(app).commands
    missing = [command for command in commands if f"mien {command}" not in text]
    assert not missing
