"""Losses that are no number: the run stops, says where, and what was good is kept."""

import math
from pathlib import Path
from typing import Any

import pytest
from pydantic.dataclasses import dataclass
from torch import Tensor

from conftest import bright_faces, small_recipe
from mien import MienError, Recipe, Recognizer, TrainingSettings, train
from mien.recognize.run_records import read_history
from mien.settings import STRICT
from mien.techniques import Unlabeled
from mien.training.checkpoint import read_state
from mien.training.face_loader import Batch
from mien.training.losses import Perturb, UnlabeledLoss
from mien.training.run import Run

pytestmark = pytest.mark.usefixtures("checkpoint_each_batch")


def stopped(tmp_path: Path, recipe: Recipe) -> str:
    with pytest.raises(MienError) as caught:
        train(bright_faces(), recipe, tmp_path / "run", TrainingSettings(labels=60, threads=1))
    return str(caught.value)


def finite(path: Path) -> bool:
    """Whether all weights of a checkpoint are numbers."""
    return all(value.isfinite().all() for value in read_state(path)["network"].values())


@pytest.mark.parametrize("unlabeled", ["nothing", "pseudo_label"])
def test_a_run_that_diverges_stops_and_keeps_its_last_good_checkpoint(tmp_path: Path, unlabeled: str) -> None:
    good, bad = {"epochs": 2, "lr": 0.01}, {"epochs": 3, "lr": 1e30}
    words = stopped(tmp_path, small_recipe(stages=[good, bad], unlabeled=unlabeled))
    assert "in epoch 1 of stage 2" in words
    assert "nan" in words
    assert "stages.1.lr" in words
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    assert str(checkpoint) in words
    assert finite(checkpoint)
    state = read_state(checkpoint)
    assert (state["stage"], state["epoch"], len(state["history"])) == (0, 2, 2)
    assert Recognizer.load(tmp_path / "run" / "stages" / "1").logits(bright_faces()).shape == (120, 3)
    assert not (tmp_path / "run" / "model").exists()


def test_one_that_diverges_at_once_leaves_nothing(tmp_path: Path) -> None:
    words = stopped(tmp_path, small_recipe(stages=[{"epochs": 3, "lr": 1e30}]))
    assert "in epoch 1 of stage 1" in words
    assert "checkpoint" not in words
    assert not (tmp_path / "run").exists()


@dataclass(frozen=True, config=STRICT)
class Exploding(Unlabeled):
    """An unlabeled technique for tests, whose gradient no network survives."""

    def __call__(self, run: Run, batch: Batch) -> UnlabeledLoss | None:
        """1e38 times the sum of the squared logits, which is infinite."""
        inputs = run.view(batch, "weak")

        def evaluate(perturb: Perturb | None = None) -> Tensor:
            return 1e38 * (1 + run.heads(inputs).square().sum()) * 1e38

        return evaluate


def exploding_recipe(**changes: Any) -> Recipe:
    """One batch an epoch: its labeled loss is a number; after the only step of the second stage no weight is."""
    good, bad = {"epochs": 1, "lr": 0.01}, {"epochs": 2, "lr": 0.01, "answers": {"unlabeled": f"{__name__}:Exploding"}}
    return small_recipe(**{"stages": [good, bad], "batch": 60, "average": 0.0, **changes})


def test_a_validation_loss_that_is_no_number_stops_the_run_too(tmp_path: Path) -> None:
    words = stopped(tmp_path, exploding_recipe())
    assert "in epoch 1 of stage 2" in words
    assert finite(tmp_path / "run" / "checkpoint.safetensors")


def test_without_validation_the_checkpoint_is_a_good_one_too(tmp_path: Path) -> None:
    stopped(tmp_path, exploding_recipe(validation=0.0))
    assert finite(tmp_path / "run" / "checkpoint.safetensors")


def test_without_validation_a_model_is_one_of_numbers(tmp_path: Path) -> None:
    stopped(tmp_path, exploding_recipe(validation=0.0).with_epochs(2))


def test_alt_goes_on_where_only_the_trial_diverges(tmp_path: Path) -> None:
    """A trial step whose validation loss is no number is not kept: the run ends well."""
    train(bright_faces(), exploding_recipe(step="annealed"), tmp_path / "run", TrainingSettings(labels=60, threads=1))
    history = read_history(tmp_path / "run")
    assert [epoch["acceptance"] for epoch in history[1:]] == [0, 0]
    assert all(math.isfinite(epoch["validation_loss"]) for epoch in history)
