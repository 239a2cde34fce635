"""`mien rounds` as people type it."""

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import Command, bright_faces

RECIPE = """
model = { network = "mien_s", width = 8, depths = [1, 1, 1] }
draw = "shuffled"
batch = 16
average = 0.0
precision = "float32"
stages = [{ epochs = 1, lr = 0.02 }]
"""


@pytest.fixture
def words(tmp_path: Path, stored: Path) -> list[Any]:
    (tmp_path / "tiny.toml").write_text(RECIPE)
    found = ["rounds", stored, "--recipe", tmp_path / "tiny.toml", "--per-round", 6, "--start-labels-per-class", 4]
    return [*found, "--split-to-test", "test", "--threads", 1]


def test_strategies_are_compared(mien: Command, words: list[Any], tmp_path: Path) -> None:
    """On pixels, nine patches a face; then the same again, as a table."""
    out = tmp_path / "out"
    words += ["--acquire", "random, worthiness extension=1", "--oracle", "labels", "--rounds", 1, "--seeds", 2, "--out", out]
    done = mien(*words, "--set", "batch=8", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["strategies"], found["reference"]) == (["random", "worthiness extension=1"], "random")
    assert (len(found["points"]), len(found["table"]), found["out"]) == (8, 4, str(out))
    assert {point["tested"] for point in found["points"]} == {24}
    assert found["caution"] == "only 24 test faces: with fewer than 30, figures say little"
    assert all(row["difference_low"] is row["difference_p"] is None for row in found["table"]), (
        "of two seeds there is no interval"
    )
    assert json.loads((out / "rounds.json").read_text())["asked"]["settings"] == {"batch": "8"}
    done = mien(*words, "--set", "batch=8")
    assert done.code == 0, done.err
    assert "figures on test; difference to random" in done.out
    assert "worthiness extension=1" in done.out
    assert f"warning: {found['caution']}" in done.err
    for name in ("curve.csv", "table.csv", "curve.png"):
        assert str(out / name) in done.out.replace("\n", "")
    done = mien(*words)
    assert done.code == 1
    assert "give the same again, or choose another --out" in done.err


def test_a_noisy_oracle_and_one_strategy(mien: Command, words: list[Any], tmp_path: Path) -> None:
    done = mien(*words, "--oracle", 0.5, "--learn", "all", "--min-gain", -1, "--out", tmp_path / "out")
    assert done.code == 0, done.err
    assert "difference" not in done.out
    rows = [line for line in done.out.splitlines() if line.strip().startswith("worthiness")]
    assert [row.split()[1] for row in rows] == ["12", "18", "24"]
    assert "round 2 of 2: 24 labels, validation accuracy" in done.err
    asked = json.loads((tmp_path / "out" / "rounds.json").read_text())["asked"]
    assert (asked["oracle"], asked["learn"], asked["min_gain"]) == (0.5, "all", -1)


def test_people_are_told_where_to_answer(mien: Command, words: list[Any], tmp_path: Path) -> None:
    bright_faces(30, seed=4).save(tmp_path / "pool")
    words += ["--pool", tmp_path / "pool", "--store", tmp_path / "labels.db", "--out", tmp_path / "out", "--go-on"]
    done = mien(*words)
    assert done.code == 1
    run = tmp_path / "out" / "start-seed0" / "run"
    told = f"open the page: mien annotate {tmp_path / 'pool'} --model {run} --store {tmp_path / 'labels.db'}"
    assert f"expected an answer to go on with; found none to the 6 faces of round 1; {told}" in done.err
    assert (tmp_path / "labels.db").is_file()


def test_what_cannot_be_asked(mien: Command, words: list[Any], tmp_path: Path) -> None:
    words += ["--out", tmp_path / "out"]
    for more, code, message in (
        ([], 1, "either an oracle or a store"),
        (["--oracle", "truth"], 2, "Invalid value for '--oracle'"),
        (["--oracle", "labels", "--learn", "some"], 2, "Invalid value for '--learn'"),
        (
            ["--oracle", "labels", "--acquire", "best"],
            1,
            "one of diverse, entropy, margin, random, typical, worthiness in active",
        ),
        (["--oracle", "labels", "--recipe", "best"], 1, "a recipe among"),
    ):
        done = mien(*words, *more)
        assert done.code == code
        assert message in done.err
    assert not (tmp_path / "out").exists()
    assert mien(*words, "--oracle", "labels", "--set", "batch").code == 2
