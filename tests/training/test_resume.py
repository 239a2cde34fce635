"""Killed for real, with SIGKILL, at random moments, and resumed: the same weights, bit for bit."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import Interrupted, StopAfter, bright_faces, small_recipe
from mien import FaceSet, MienError, Order, evaluate, resume, train
from mien.recipe import Recipe
from mien.training import loop

CODE = """
import sys
from mien.training import loop
from mien.cli import main
loop.CHECKPOINT_SECONDS = 0.0
main()
"""
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def command(*words: object) -> list[str]:
    return [sys.executable, "-c", CODE, *map(str, words)]


def weights_hash(run: Path) -> str:
    return hashlib.sha256((run / "model" / "model.safetensors").read_bytes()).hexdigest()


def wait_for(condition: Path, process: "subprocess.Popen[bytes]") -> None:
    while not condition.exists() and process.poll() is None:
        time.sleep(0.01)


def test_killed_three_times(tmp_path: Path) -> None:
    """The dropout of mien_s, the average, momentum, the draws and the views all have to be restored."""
    bright_faces(600, side=24).save(tmp_path / "set")
    settings = ["--set", "model.width=8", "--set", "stages.0.lr=0.05", "--set", "batch=16", "--epochs", "24", "--threads", "1"]
    words = ["train", tmp_path / "set", *settings, "--seed", "5", "--out"]
    subprocess.run(command(*words, tmp_path / "whole"), check=True, env=ENVIRONMENT, capture_output=True)

    moments, killed = random.Random(0), 0
    process = subprocess.Popen(command(*words, tmp_path / "killed"), env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    wait_for(tmp_path / "killed" / "checkpoint.safetensors", process)
    for _ in range(3):
        time.sleep(moments.uniform(0.05, 0.4))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        process = subprocess.Popen(command("resume", tmp_path / "killed"), env=ENVIRONMENT, stderr=subprocess.DEVNULL)
        before = (tmp_path / "killed" / "checkpoint.safetensors").stat().st_mtime_ns
        while process.poll() is None and (tmp_path / "killed" / "checkpoint.safetensors").stat().st_mtime_ns == before:
            time.sleep(0.01)
    assert process.wait() == 0
    assert killed == 3, "the run was over before it could be killed"
    assert weights_hash(tmp_path / "killed") == weights_hash(tmp_path / "whole")


@pytest.mark.parametrize("batches", [3, 18, 26])
def test_interrupted_in_any_stage(tmp_path: Path, stored: Path, monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    """Adam, frozen blocks and another answer in the second stage; four or five batches an epoch."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    second = {"epochs": 3, "lr": 0.01, "optimizer": "adam", "frozen": ["stem"], "answers": {"draw": "balanced", "loss": "focal"}}
    recipe = small_recipe(stages=[{"epochs": 3, "lr": 0.05}, second])
    train(stored, recipe, tmp_path / "whole", Order(threads=1))
    with pytest.raises(Interrupted):
        train(stored, recipe, tmp_path / "killed", Order(threads=1), progress=StopAfter(batches))
    with pytest.raises(MienError, match="mien resume"):
        evaluate(tmp_path / "killed", stored)
    (tmp_path / "killed" / ".checkpoint.safetensors.1").write_bytes(b"half a checkpoi")
    resume(tmp_path / "killed")
    assert not list((tmp_path / "killed").glob(".*"))
    assert weights_hash(tmp_path / "killed") == weights_hash(tmp_path / "whole")


def test_resume_of_a_finished_run_is_its_recognizer(tmp_path: Path, stored: Path) -> None:
    made = train(stored, small_recipe(), tmp_path / "run", Order(seed=1))
    before = weights_hash(tmp_path / "run")
    assert (resume(tmp_path / "run").logits(FaceSet.open(stored)) == made.logits(FaceSet.open(stored))).all()
    assert weights_hash(tmp_path / "run") == before


def test_resume_refuses_what_changed(tmp_path: Path, stored: Path) -> None:
    with pytest.raises(MienError, match="a run at"):
        resume(tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    recipe = Recipe.load("supervised").table()
    order = {"faces": str(stored), "checksums": ["0" * 64, ""]}
    (run / "run.json").write_text(json.dumps({"order": order, "recipe": recipe}))
    with pytest.raises(MienError, match="changed since"):
        resume(run)
    (run / "run.json").write_text(json.dumps({"order": {"faces": None}, "recipe": recipe}))
    with pytest.raises(MienError, match="faces in memory"):
        resume(run)
