"""`mien neurons` and `mien explain` as people type them."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from conftest import bright_faces, small_recipe
from mien import FaceSet, Order, train
from mien.cli import main

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def mien(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command line in this process: exit code, output, errors."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def run_folder(stored: Path, tmp_path: Path) -> Path:
    train(FaceSet.open(stored), small_recipe(), tmp_path / "run", Order(threads=1))
    return tmp_path / "run"


def test_neurons(mien: Command, run_folder: Path, stored: Path, tmp_path: Path) -> None:
    words = ["neurons", run_folder, stored, "--layers", "stage1_1,stage3_1", "--before", run_folder, "--top", 10, "--drawn", 1]
    code, out, err = mien(*words, "--out", tmp_path / "looked", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found == json.loads((tmp_path / "looked" / "summary.json").read_text()) | {
        "out": str(tmp_path / "looked"),
        "files": found["files"],
    }
    assert list(found["after"]["layers"]) == ["stage1_1", "stage3_1"]
    assert {path.name for path in (tmp_path / "looked").iterdir()} == set(found["files"])
    code, out, err = mien(*words, "--out", tmp_path / "looked")
    assert code == 1
    assert "nothing at" in err
    code, out, err = mien("neurons", run_folder, stored, "--layers", "stem", "--split", "test", "--out", tmp_path / "few")
    assert code == 0, err
    assert "warning: 24 labeled faces" in err
    assert "stem" in out
    assert str(tmp_path / "few" / "report.html") in out.replace("\n", "")
    code, out, err = mien("neurons", run_folder, stored, "--layers", "fc7", "--out", tmp_path / "other")
    assert code == 1
    assert "a layer among stem" in err
    assert not (tmp_path / "other").exists()


def test_explain(mien: Command, run_folder: Path, tmp_path: Path) -> None:
    photo = tmp_path / "face.png"
    Image.fromarray(bright_faces().faces([0])[0]).save(photo)
    code, out, err = mien("explain", run_folder, photo)
    assert code == 0, err
    assert all(f"class{n}" in out for n in range(3))
    assert out.splitlines()[-1] == str(tmp_path / "face_explained.png")
    code, out, err = mien("explain", run_folder, photo)
    assert code == 1
    assert "nothing at" in err
    code, out, err = mien(
        "explain", run_folder, photo, "--class", "class2", "--block", "stem", "--out", photo.with_name("b.png"), "--json"
    )
    assert code == 0, err
    found = json.loads(out)
    assert (found["explained"], found["block"], found["out"]) == ("class2", "stem", str(photo.with_name("b.png")))
    assert sum(found["probabilities"].values()) == pytest.approx(1, abs=1e-5)
