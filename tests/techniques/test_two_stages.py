"""Two-stage transfer: what a stage freezes stays bit for bit, batch statistics included, and moves in the next one."""

from pathlib import Path
from typing import Any

import pytest

from conftest import bright_faces, small_recipe
from mien import FaceSet, MienError, Recipe, TrainingSettings, train
from mien.models import Network
from mien.recognize.saved_networks import build_network, read_weights
from runs import changed

FROZEN = ("stem", "stage1_1")


def recipe(*stages: dict[str, Any], average: float = 0.0, **answers: Any) -> Recipe:
    """Two epochs a stage, with a weight decay that would be seen."""
    made = [{"epochs": 2, "lr": 0.1, "weight_decay": 0.1, **stage} for stage in stages]
    return small_recipe(stages=made, average=average, choose="last", **answers)


def blocks(names: set[str]) -> set[str]:
    return {name.split(".")[1] if name.startswith("blocks.") else "head" for name in names}


def begins(faces: FaceSet, seed: int) -> Network:
    return build_network(small_recipe().model, 3, faces.info, seed)


@pytest.mark.parametrize("average", [0.0, 0.7])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_frozen_block_does_not_move(average: float, optimizer: str, tmp_path: Path) -> None:
    """Weight decay and the average of the weights leave it alone too."""
    faces = bright_faces()
    train(
        faces,
        recipe({"frozen": FROZEN, "optimizer": optimizer}, average=average),
        tmp_path / "run",
        TrainingSettings(seed=2, threads=1),
    )
    before, after = begins(faces, 2).state_dict(), read_weights(tmp_path / "run")
    moved = changed(before, after)
    still = {name for name in before if name.startswith(tuple(f"blocks.{block}." for block in FROZEN))}
    assert any("running_mean" in name for name in still)
    assert not moved & still
    assert {"blocks.stage2_1.first.1.running_mean", "blocks.stage2_1.first.0.weight", "head.3.bias"} <= moved
    assert blocks(moved) == {"stage2_1", "stage3_1", "head"}


def test_the_second_stage_moves_them(tmp_path: Path) -> None:
    faces = bright_faces()
    train(faces, recipe({"frozen": FROZEN}, {}, average=0.7), tmp_path / "run", TrainingSettings(seed=2, threads=1))
    moved = changed(begins(faces, 2).state_dict(), read_weights(tmp_path / "run"))
    assert blocks(moved) == {*FROZEN, "stage2_1", "stage3_1", "head"}
    assert {"blocks.stem.1.running_mean", "blocks.stem.0.weight"} <= moved


def test_a_frozen_block_still_passes_gradients(tmp_path: Path) -> None:
    """One in the middle is frozen; the one below it learns."""
    faces = bright_faces()
    train(faces, recipe({"frozen": ("stage2_1",)}), tmp_path / "run", TrainingSettings(seed=2, threads=1))
    moved = changed(begins(faces, 2).state_dict(), read_weights(tmp_path / "run"))
    assert blocks(moved) == {"stem", "stage1_1", "stage3_1", "head"}


def test_transferred_and_frozen(tmp_path: Path) -> None:
    """DAL's two stages from another run: after the first, the lowest blocks are still the source's."""
    train(bright_faces(seed=9), small_recipe(), tmp_path / "source", TrainingSettings(threads=1))
    start = {"technique": "transfer", "source": str(tmp_path / "source")}
    train(
        bright_faces(),
        recipe({"frozen": FROZEN}, average=0.7, start=start),
        tmp_path / "run",
        TrainingSettings(seed=2, threads=1),
    )
    moved = changed(read_weights(tmp_path / "source"), read_weights(tmp_path / "run"))
    assert blocks(moved) == {"stage2_1", "stage3_1", "head"}


def test_a_block_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"frozen blocks among stem, .*; found conv1"):
        train(bright_faces(), recipe({"frozen": ("conv1",)}), tmp_path / "run", TrainingSettings(threads=1))
