"""`mien peaks` and `mien consistency` as people type them."""

import json
from pathlib import Path

import pytest

from conftest import Command, small_recipe
from mien import FaceSet, train
from moving import moving_faces, untrained_autoencoder


@pytest.fixture
def moving(tmp_path: Path) -> Path:
    moving_faces().save(tmp_path / "set")
    return tmp_path / "set"


def test_from_sequences_to_figures(mien: Command, moving: Path, tmp_path: Path) -> None:
    done = mien("peaks", moving, tmp_path / "peaks", "--json")
    assert done.code == 0, done.err
    values = json.loads(done.out)
    assert "36 faces held out for tests are left out (--split all takes them)" in done.err
    assert {key: values[key] for key in ("faces", "sequences", "short", "unlabeled", "left_out")} == {
        "faces": 60, "sequences": 12, "short": 0, "unlabeled": 0, "left_out": 36,
    }  # fmt: skip
    assert values["checksum"] == FaceSet.open(tmp_path / "peaks").info.checksum
    run = tmp_path / "run"
    train(tmp_path / "peaks", small_recipe(stages=[{"epochs": 1, "lr": 0.05}]), run)
    words = ["consistency", run, tmp_path / "peaks", "--split", "near", "--draws", 2]
    done = mien(*words, "--neighbors", untrained_autoencoder(tmp_path / "nb", FaceSet.open(moving).info), "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["space"], found["draws"], found["failures"]["sequences"]) == ("autoencoder", 2, 12)
    assert found["flips"] is None
    assert found["failures"]["peaks_used"] == 12
    assert found["out"] == str(run / "consistency-near")
    assert sorted(found["files"]) == sorted(path.name for path in (run / "consistency-near").iterdir())
    done = mien(*words, "--out", tmp_path / "other", "--nearest", 3, "--seed", 2)
    assert done.code == 0, done.err
    for told in (
        "of 12 sequences",
        "failure cases (FC)",
        "checked: the 3 frames before the last",
        "mean S",
        "AURC",
        "of 80%",
        "last block, stage3_1",
    ):
        assert told in done.out
    assert str(tmp_path / "other" / "failures.png") in done.out
    moves = mien(*words, "--neighbors", "views shift=0.1", "--out", tmp_path / "moves")
    assert "neighbors: small moves of geometry and light; 2 of each face, 2 passes of the network; " in moves.out
    untrained_autoencoder(run / "parts" / "neighbors", FaceSet.open(moving).info)
    assert "2 of each face, sigma 0.22, 4 passes of network and autoencoder" in " ".join(
        mien(*words, "--out", tmp_path / "own").out.split()
    )
    assert "the autoencoder of the run" in json.loads(mien(*words, "--json").out)["neighbors"]


def test_what_is_left_out_is_said(mien: Command, moving: Path, tmp_path: Path) -> None:
    faces = FaceSet.open(moving)
    rows = [row for row in range(len(faces)) if not (6 <= row < 10)]
    faces.select(rows).with_column("label", [-1 if row < 6 else faces.labels[row] for row in rows]).save(tmp_path / "some")
    done = mien("peaks", tmp_path / "some", tmp_path / "peaks", "--split", "all")
    assert done.code == 0, done.err
    assert "16 peaks and the 4 frames before each" in done.out
    assert "left out: 1 sequence of fewer than 5 frames, 1 sequence whose last frame has no known label" in done.err
    done = mien("peaks", tmp_path / "some", tmp_path / "peaks")
    assert done.code == 1
    assert "nothing at" in done.err


def test_sets_without_sequences_are_scored(mien: Command, stored: Path, tmp_path: Path) -> None:
    train(stored, small_recipe(stages=[{"epochs": 1, "lr": 0.05}]), tmp_path / "run")
    done = mien("consistency", tmp_path / "run", stored, "--draws", 1)
    assert done.code == 0, done.err
    assert "no sequences to check: no column sequence" in done.out
    assert "how often answers flip where faces move a little" in done.out
    assert "24" in done.out
    assert {path.name for path in (tmp_path / "run" / "consistency-test").iterdir()} == {
        "consistency.csv", "risk-coverage.svg", "unreliable.png",
    }  # fmt: skip
    notes = tmp_path / "run" / "consistency-test" / "notes.txt"
    notes.write_text("mine")
    done = mien("consistency", tmp_path / "run", stored, "--draws", 1)
    assert done.code == 1
    assert "what mien consistency left there and nothing else; found notes.txt" in done.err
    assert notes.read_text() == "mine"
    done = mien("peaks", stored, tmp_path / "peaks")
    assert done.code == 1
    assert "no column sequence and no column frame" in done.err
    done = mien("consistency", tmp_path / "run", stored, "--split", "near")
    assert (done.code, "a split among" in done.err) == (1, True)
