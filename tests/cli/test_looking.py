"""`mien neurons` and `mien explain` as people type them."""

import json
from pathlib import Path

import pytest
from PIL import Image

from conftest import Command, bright_faces, small_recipe
from mien import FaceSet, TrainingSettings, train


@pytest.fixture
def run_folder(stored: Path, tmp_path: Path) -> Path:
    train(FaceSet.open(stored), small_recipe(), tmp_path / "run", TrainingSettings(threads=1))
    return tmp_path / "run"


def test_neurons(mien: Command, run_folder: Path, stored: Path, tmp_path: Path) -> None:
    words = ["neurons", run_folder, stored, "--layers", "stage1_1,stage3_1", "--before", run_folder, "--top", 10, "--drawn", 1]
    done = mien(*words, "--out", tmp_path / "looked", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found == json.loads((tmp_path / "looked" / "summary.json").read_text()) | {
        "out": str(tmp_path / "looked"),
        "files": found["files"],
    }
    assert list(found["after"]["layers"]) == ["stage1_1", "stage3_1"]
    assert {path.name for path in (tmp_path / "looked").iterdir()} == set(found["files"])
    done = mien(*words, "--out", tmp_path / "looked")
    assert done.code == 1
    assert "nothing at" in done.err
    done = mien("neurons", run_folder, stored, "--layers", "stem", "--split", "test", "--out", tmp_path / "few")
    assert done.code == 0, done.err
    assert "warning: 24 labeled faces" in done.err
    assert "stem" in done.out
    assert str(tmp_path / "few" / "report.html") in done.out.replace("\n", "")
    done = mien("neurons", run_folder, stored, "--layers", "fc7", "--out", tmp_path / "other")
    assert done.code == 1
    assert "a layer among stem" in done.err
    assert not (tmp_path / "other").exists()


def test_explain(mien: Command, run_folder: Path, tmp_path: Path) -> None:
    photo = tmp_path / "face.png"
    Image.fromarray(bright_faces().faces([0])[0]).save(photo)
    done = mien("explain", run_folder, photo)
    assert done.code == 0, done.err
    assert all(f"class{n}" in done.out for n in range(3))
    assert done.out.splitlines()[-1] == str(tmp_path / "face_explained.png")
    done = mien("explain", run_folder, photo)
    assert done.code == 1
    assert "nothing at" in done.err
    done = mien("explain", run_folder, photo, "--class", "class2", "--block", "stem", "--out", photo.with_name("b.png"), "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["explained"], found["block"], found["out"]) == ("class2", "stem", str(photo.with_name("b.png")))
    assert sum(found["probabilities"].values()) == pytest.approx(1, abs=1e-5)
