"""What is said of a stage that did not do what its recipe asked for."""

from pathlib import Path
from typing import Any

import pytest

from conftest import bright_faces, small_recipe
from mien import Recipe, TrainingSettings, train
from mien.training.stage_warnings import stage_warnings
from runs import Heard, alt_recipe, dim_faces

FALLING = [{"validation_loss": loss} for loss in (1.0, 0.8, 0.7)]


def told(history: list[dict[str, float]], kept: int = 0, unlabeled: bool = True) -> str:
    return " | ".join(stage_warnings(history, kept, unlabeled))


def with_figure(name: str, values: list[float]) -> list[dict[str, float]]:
    return [{**epoch, name: value} for epoch, value in zip(FALLING, values, strict=True)]


def test_a_stage_that_did_what_it_should_is_not_spoken_of() -> None:
    assert told([]) == told(FALLING) == told([{"loss": 1.0}]) == ""
    assert told(with_figure("replaced", [0, 0, 8]), kept=2) == ""
    assert told(with_figure("acceptance", [0, 0.1, 0])) == ""
    assert told(with_figure("pseudo_label_share", [0, 0.1, 0]), kept=1) == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [("replaced", "0 faces were replaced"), ("acceptance", "0 updates from"), ("pseudo_label_share", "0 pseudo-labels taught")],
)
def test_what_never_happened_is_said_where_there_were_unlabeled_faces(name: str, words: str) -> None:
    assert words in told(with_figure(name, [0, 0, 0]))
    assert told(with_figure(name, [0, 0, 0]), unlabeled=False) == ""


def test_a_validation_loss_that_rises_is_said_with_its_lowest_value() -> None:
    def of(*losses: float) -> str:
        return told([{"validation_loss": loss} for loss in losses])

    assert "from 0.500 after epoch 2 to 0.900" in of(1.0, 0.5, 0.7, 0.9)
    assert of(1.0, 0.5, 0.9, 0.52) == of(1.0, 0.5, 0.4) == of(0.5) == ""


def test_a_kept_epoch_before_the_first_unlabeled_face_is_said() -> None:
    shown = with_figure("pseudo_label_share", [0, 0.1, 0.2])
    assert "the kept epoch (1) precedes the first unlabeled face (epoch 2)" in told(shown, kept=0)
    assert told(shown, kept=1) == ""
    tried = [{**epoch, "acceptance": kept} for epoch, kept in zip(shown, (0, 0, 0.5), strict=True)]
    assert "(epoch 3)" in told(tried, kept=1), "an update that was taken back taught nothing"
    assert "(epoch 3)" in told(with_figure("replaced", [0, 0, 4]), kept=1)


NEVER_SURE = small_recipe(draw={"technique": "replace", "threshold": 1.0})
NEVER_KEPT = alt_recipe(2, slope=1e12, temperature=1e6).set("draw.at_least", 3)
NEVER_BEGUN = small_recipe(unlabeled={"technique": "pseudo_label", "start": 3})
NEVER_SURE_ENOUGH = small_recipe(unlabeled={"technique": "fixmatch", "threshold": 1.0})


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (NEVER_SURE, "0 faces were replaced"),
        (NEVER_KEPT, "0 updates from"),
        (NEVER_BEGUN, "0 pseudo-labels taught"),
        (NEVER_SURE_ENOUGH, "0 pseudo-labels taught"),
    ],
)
def test_in_a_run_it_is_said_once(tmp_path: Path, recipe: Recipe, words: str) -> None:
    heard = Heard()
    train(dim_faces(), recipe, tmp_path / "run", TrainingSettings(labels=60, threads=1), progress=heard)
    assert sum(words in line for line in heard.lines) == 1


def test_what_is_said_names_the_stage(tmp_path: Path) -> None:
    stages: list[dict[str, Any]] = [{"epochs": 1, "lr": 0.01}, {"epochs": 2, "lr": 0.01, "answers": {"draw": NEVER_SURE.draw}}]
    heard = Heard()
    train(bright_faces(), small_recipe(stages=stages), tmp_path / "run", TrainingSettings(labels=60, threads=1), progress=heard)
    (line,) = [line for line in heard.lines if "replaced" in line]
    assert line.startswith("stage 2 of 2, warning: 0 faces were replaced")
