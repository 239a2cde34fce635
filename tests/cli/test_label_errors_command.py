"""`mien label-errors` as people type it."""

import csv
import json
from pathlib import Path

import pytest

from conftest import Command, bright_faces, small_recipe
from mien import FaceSet, train


@pytest.fixture
def run(tmp_path: Path, stored: Path) -> Path:
    train(stored, small_recipe(stages=[{"epochs": 1, "lr": 0.05}]), tmp_path / "run")
    return tmp_path / "run"


def test_from_a_run_to_a_list(mien: Command, stored: Path, run: Path) -> None:
    done = mien("label-errors", stored, "--model", run, "--folds", 4, "--first", 15, "--json")
    assert done.code == 0, done.err
    found, folder = json.loads(done.out), run / "doubts-train"
    assert found["out"] == str(folder)
    assert found["files"] == ["doubts.csv", "doubts.png", "doubts.json"]
    assert (found["by"], found["faces"], found["known"], found["split"]) == ("confident", 96, None, "train")
    assert "warning: 96 of these 96 labels taught the run" in done.err
    assert found["warnings"]
    written = json.loads((folder / "doubts.json").read_text("utf-8"))
    assert {name: written[name] for name in written if name != "made_by"} == {
        name: found[name] for name in found if name not in ("out", "files")
    }
    with (folder / "doubts.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sum(row["flagged"] == "true" for row in rows) == found["flagged"]
    assert {row["id"] for row in rows} == set(FaceSet.open(stored).where(split="train").values("id"))
    done = mien("label-errors", stored, "--model", run)
    assert done.code == 0, done.err
    for told in ("96 labels by cleanlab's confident learning: 5 folds of people", "cleanlab takes", "faces (estimate)"):
        assert told in done.out
    assert str(folder / "doubts.png") in done.out


def test_an_experiment_and_other_methods_have_folders_of_their_own(mien: Command, stored: Path, run: Path) -> None:
    done = mien("label-errors", stored, "--model", run, "--noise", 0.25)
    assert done.code == 0, done.err
    assert "of the first" in done.out
    assert "the list finds them with an AUROC of" in done.out
    assert "the run was taught 24 of them otherwise" in done.err
    done = mien("label-errors", stored, "--model", run, "--by", "weights")
    assert done.code == 0, done.err
    assert "weighed all faces the same" in done.err
    done = mien("label-errors", stored, "--model", run, "--by", "neighborhood", "--split", "test")
    assert done.code == 0, done.err
    assert "minus log p of the label at 8 neighbors, by small moves" in done.out
    words = ["--by", "neighborhood", "--score", "divergence", "--neighbors", "mirror", "--split", "test"]
    assert "S of a neighbor, by mirror images" in mien("label-errors", stored, "--model", run, *words).out
    made = {path.name for path in run.glob("doubts-*")}
    assert made == {"doubts-train-noise", "doubts-train-weights", "doubts-test-neighborhood"}


def test_labels_that_are_all_right_are_said_to_be(mien: Command, run: Path, tmp_path: Path) -> None:
    faces = bright_faces()
    faces.with_column("true_label", faces.labels).save(tmp_path / "known")
    done = mien("label-errors", tmp_path / "known", "--model", run)
    assert done.code == 0, done.err
    assert "none of these labels is known to be wrong" in done.out


def test_what_cannot_be_is_one_sentence(mien: Command, stored: Path, run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for words, told in (
        (["--out", tmp_path / "mine"], "found notes.txt"),
        (["--by", "chance"], "a method among confident, weights, neighborhood"),
        (["--folds", 1], "folds from 2 to 20"),
        (["--split", "dev"], "a split among test, train"),
        (["--by", "weights", "--noise", 0.1], "train a run with --noise"),
        (["--score", "label"], "--by neighborhood with --score; found --by confident"),
        (["--by", "weights", "--neighbors", "views"], "--by neighborhood with --neighbors; found --by weights"),
        (["--by", "neighborhood", "--neighbors", "viewz"], "'viewz' (did you mean views?)"),
        (["--by", "neighborhood", "--score", "luck"], "a score among label, divergence; found 'luck'"),
        (["--by", "neighborhood", "--neighbors", "frames"], "no column sequence"),
    ):
        done = mien("label-errors", stored, "--model", run, *words)
        assert (done.code, done.out) == (1, "")
        assert told in done.err
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"
    assert not list(run.glob("doubts-*"))
    bright_faces(side=24).save(tmp_path / "larger")
    assert "faces of side 16" in mien("label-errors", tmp_path / "larger", "--model", run, "--by", "neighborhood").err
    assert mien("label-errors", stored).code == 2


def test_the_model_in_the_box_needs_no_run(mien: Command, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = mien("label-errors", stored, "--model", "mien-s")
    assert done.code == 0, done.err
    assert "faces are converted for the model: 16 pixels, gray to 48 pixels, gray" in done.err
    assert (tmp_path / "mien-s-doubts-train" / "doubts.csv").is_file()


def test_a_set_of_cached_features_needs_no_model(
    mien: Command, stored: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert mien("features", run, stored, tmp_path / "features").code == 0
    done = mien("label-errors", tmp_path / "features")
    assert done.code == 0, done.err
    assert "heads on 32 features of the set" in done.out
    assert (tmp_path / "doubts-train" / "doubts.csv").is_file()
    done = mien("label-errors", tmp_path / "features", "--by", "weights")
    assert (done.code, "expected a model, such as mien-s or a run" in done.err) == (2, True)
