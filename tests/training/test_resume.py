"""Killed for real, with SIGKILL, at many a place, and resumed: the same weights, bit for bit."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE

import pytest

from conftest import Interrupted, StopAfter, bright_faces, small_recipe
from mien import FaceSet, MienError, TrainingSettings, evaluate, resume, train
from mien.folders import LOCK
from mien.progress import Silent
from mien.recipes.recipe import Recipe
from mien.training.train import train_or_resume

CODE = """
import json, os, signal, sys
import torch._dynamo, mien.cli.train, mien.training.train
from mien.cli import main
from mien.terminal import ProgressBar
from mien.training import loop

loop.CHECKPOINT_SECONDS = 0.0
os.fsync = lambda number: None  # SIGKILL is no power cut

def dying(real):
    def call(*given):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given)
    return call

for line in sys.stdin:
    place, left, *words = json.loads(line)
    child = os.fork()
    if child == 0:
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        if place == "batch":
            ProgressBar.advance = dying(ProgressBar.advance)
        if place == "rename":
            os.replace = dying(os.replace)
        sys.argv = ["mien", *words]
        main()
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""mien, once for each line that comes, in a process of its own that finds torch loaded, and says its exit code.

It is killed by SIGKILL in its n-th batch, or before its n-th file that was written aside is renamed; 0: never.
"""
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


@pytest.fixture
def command() -> Iterator[Callable[..., int]]:
    """Runs mien as CODE does; its exit code."""
    with subprocess.Popen([sys.executable, "-c", CODE], env=ENVIRONMENT, stdin=PIPE, stdout=PIPE, text=True) as process:

        def run(*words: object, dies: tuple[str, int] = ("batch", 0)) -> int:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps([*dies, *map(str, words)]) + "\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield run


def weights_hash(run: Path) -> str:
    return hashlib.sha256((run / "model" / "model.safetensors").read_bytes()).hexdigest()


def test_killed_again_and_again(tmp_path: Path, command: Callable[..., int]) -> None:
    """The dropout of mien_s, the average, momentum, the draws and the views all have to be restored."""
    bright_faces(300, side=24).save(tmp_path / "set")
    settings = ["--set", "model.width=8", "--set", "stages.0.lr=0.05", "--set", "batch=16", "--set", "draw.at_least=12"]
    settings += ["--epochs", "6", "--threads", "1"]
    words = ["train", tmp_path / "set", *settings, "--seed", "5", "--out"]
    assert command(*words, tmp_path / "whole") == 0
    killed, checkpoint = tmp_path / "killed", tmp_path / "killed" / "checkpoint.safetensors"
    assert command(*words, killed, dies=("batch", 20)) == -signal.SIGKILL, "in the second epoch"
    for dies in (("rename", 1), ("batch", 9), ("batch", 31)):
        before = checkpoint.read_bytes()
        assert command("resume", killed, dies=dies) == -signal.SIGKILL, dies
        assert (checkpoint.read_bytes() != before) == (dies == ("batch", 31)), "12 batches an epoch"
        assert bool(list(killed.glob(".checkpoint.*"))) == (dies[0] == "rename")
    assert command("resume", killed) == 0
    assert not list(killed.glob(".*"))
    assert weights_hash(killed) == weights_hash(tmp_path / "whole")


@pytest.mark.parametrize("batches", [3, 18, 26])
@pytest.mark.usefixtures("checkpoint_each_batch")
def test_interrupted_in_any_stage(tmp_path: Path, stored: Path, batches: int) -> None:
    """Adam, frozen blocks and another answer in the second stage; four or five batches an epoch."""
    second = {"epochs": 3, "lr": 0.01, "optimizer": "adam", "frozen": ["stem"], "answers": {"draw": "balanced", "loss": "focal"}}
    recipe = small_recipe(stages=[{"epochs": 3, "lr": 0.05}, second])
    train(stored, recipe, tmp_path / "whole", TrainingSettings(threads=1))
    with pytest.raises(Interrupted):
        train(stored, recipe, tmp_path / "killed", TrainingSettings(threads=1), progress=StopAfter(batches))
    with pytest.raises(MienError, match="mien resume"):
        evaluate(tmp_path / "killed", stored)
    (tmp_path / "killed" / ".checkpoint.safetensors.1").write_bytes(b"half a checkpoi")
    resume(tmp_path / "killed")
    assert not list((tmp_path / "killed").glob(".*"))
    assert weights_hash(tmp_path / "killed") == weights_hash(tmp_path / "whole")


def test_resume_of_a_finished_run_is_its_recognizer(tmp_path: Path, stored: Path) -> None:
    made = train(stored, small_recipe(), tmp_path / "run", TrainingSettings(seed=1))
    before = weights_hash(tmp_path / "run")
    assert (resume(tmp_path / "run").logits(FaceSet.open(stored)) == made.logits(FaceSet.open(stored))).all()
    assert weights_hash(tmp_path / "run") == before


def test_train_or_resume_loads_a_model_without_its_run(tmp_path: Path, stored: Path) -> None:
    made = train(stored, small_recipe(), tmp_path / "run", TrainingSettings(seed=1))
    (tmp_path / "run" / "run.json").unlink()
    again = train_or_resume(stored, small_recipe(), tmp_path / "run", TrainingSettings(seed=1))
    assert again.card.weights == made.card.weights
    assert not (tmp_path / "run" / "run.json").exists(), "nothing was trained"


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


class _Second(Silent):
    """Asks for the same run a second time while it goes on."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.refusals: list[str] = []

    def begin(self, title: str, total: int) -> None:
        with pytest.raises(MienError) as refused:
            resume(self.run)
        self.refusals.append(str(refused.value))


def test_nobody_goes_on_with_a_run_that_is_trained(stored: Path, tmp_path: Path) -> None:
    second = _Second(tmp_path / "run")
    train(stored, small_recipe(), tmp_path / "run", TrainingSettings(threads=1), progress=second)
    assert second.refusals
    assert all(f"expected to work in {tmp_path / 'run'} alone" in said for said in second.refusals)
    for name in ("model", "checkpoint.safetensors"):
        (tmp_path / "run" / name).rename(tmp_path / name)
    again = _Second(tmp_path / "run")
    resume(tmp_path / "run", again)
    assert len(again.refusals) == len(second.refusals)
    assert not (tmp_path / "run" / LOCK).exists()
    assert weights_hash(tmp_path / "run") == weights_hash(tmp_path)
