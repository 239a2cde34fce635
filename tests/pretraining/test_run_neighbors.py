"""Neighbors of a run's faces: strangers among them, what each mask remembers, and what is refused first."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import runs
from conftest import TINY_AUTOENCODER, Interrupted, StopAfter, bright_faces, small_recipe
from mien import FaceSet, MienError, TrainingSettings, resume, train
from mien.neighbors.choose import kind_from
from mien.neighbors.found_faces import FoundFaces
from mien.pretraining.mask_memory import mask_number, memory_of
from mien.pretraining.run_neighbors import fit_neighbors
from mien.progress import Silent
from mien.techniques.weigh.neighborhood import Neighborhood
from mien.training.checkpoint import read_state, write_state
from mien.training.prepare_run import prepare_run
from mien.training.run import Run
from moving import CLASSES, moving_faces
from runs import begun

CPU = torch.device("cpu")
ORDER = TrainingSettings(labels=60, seed=2, threads=1)
LOST = {"kind": "autoencoder", "source": "/nowhere"}


def numbered(seed: int) -> FaceSet:
    """Faces of a set that numbers them, as many do; each comes twice."""
    pixels = np.random.default_rng(seed).integers(0, 255, (18, 8, 8)).repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8)
    return FaceSet.from_arrays(np.concatenate([pixels, pixels]), np.arange(36) % 3, CLASSES)


@pytest.mark.parametrize("name", ["frames", "twins"])
def test_strangers_with_the_ids_of_the_sets_faces_are_their_own_neighbors(name: str, tmp_path: Path) -> None:
    faces, others = (moving_faces(), moving_faces()) if name == "frames" else (numbered(0), numbered(1))
    assert set(others.values("id")) <= set(faces.values("id"))
    recipe = small_recipe(unlabeled={"technique": "neighbor_consistency", "neighbors": name})
    data = prepare_run(faces, others, recipe, TrainingSettings(labels=20), Silent()).data
    fitted = fit_neighbors(Run(recipe, data, 0, CPU, tmp_path / "run"), kind_from(name))
    assert isinstance(fitted, FoundFaces)
    names = data.faces.column("id").to_pylist()
    own = next(row for row in range(1, len(names)) if names[row] in names[:row])
    assert int((fitted.each[:own] > 0).sum()) > own / 2
    assert fitted.each[own:].tolist() == [0] * (len(names) - own)


# Masks of one run.


def views(**changed: Any) -> dict[str, Any]:
    return {"technique": "neighborhood", "neighbors": "views"} | changed


def stages(*masks: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"epochs": 2, "lr": 0.05, "answers": {"weigh": mask}} for mask in masks]


LABEL, DIVERGENCE = (views(score=score, threshold="calibrated") for score in ("label", "divergence"))


def mask_of(run: Run, place: int = 0) -> Neighborhood:
    found = runs.techniques(run).weigh[place]
    assert isinstance(found, Neighborhood)
    return found


def test_a_stages_mask_calibrates_its_own_threshold(tmp_path: Path) -> None:
    """The label's loss is no threshold of S: at 1 nat S would leave out nobody."""
    recipe = small_recipe(stages=stages(LABEL, DIVERGENCE))
    run, _ = begun(tmp_path / "run", bright_faces(), recipe)
    found = []
    for stage in range(2):
        run.stage = stage
        batch = run.pool.fetch(torch.arange(40))
        for epoch in (2 * stage, 2 * stage + 1):
            run.history = [{}] * epoch
            mask_of(run).of_batch(run, batch)()
        found.append(memory_of(run, mask_of(run)).values["calibrated"])
    assert found[0] > 0.5
    assert 0 < found[1] < 0.3
    assert [mask_number(run, mask_of(run)), mask_number(run, Neighborhood())] == [2, 3]


def test_masks_of_a_list_share_nothing(tmp_path: Path) -> None:
    masks = [LABEL, DIVERGENCE | {"after_accuracy": 0.9}]
    run, _ = begun(tmp_path / "run", bright_faces(), small_recipe(weigh=masks))
    batch = run.pool.fetch(torch.arange(20))
    for place in range(2):
        mask_of(run, place).of_batch(run, batch)()
    first, second = (memory_of(run, mask_of(run, place)).values for place in range(2))
    assert int(first["mask_counts"][0, 0].sum()) == 20
    assert first.keys() & second.keys() == set(), "the second has not begun"
    second["has_learned"] = 1
    mask_of(run, 1).of_batch(run, batch)()
    assert int(first["mask_counts"][0, 0].sum()) == int(second["mask_counts"][0, 0].sum()) == 20
    assert not torch.equal(first["first_scores"], second["first_scores"])


def test_the_same_mask_in_all_stages_goes_on_with_what_it_remembers(tmp_path: Path) -> None:
    run, _ = begun(tmp_path / "run", bright_faces(), small_recipe(stages=stages(LABEL, LABEL)))
    memory_of(run, mask_of(run)).put("calibrated", 0.5)
    run.stage = 1
    assert memory_of(run, mask_of(run)).values == {"calibrated": 0.5}


def test_each_mask_has_a_table_of_its_own(tmp_path: Path, stored: Path) -> None:
    train(stored, small_recipe(stages=stages(LABEL, DIVERGENCE)), tmp_path / "run", ORDER)
    made = {path.name for path in (tmp_path / "run").glob("masked*")}
    assert made == {"masked.parquet", "masked.png", "masked-2.parquet", "masked-2.png"}
    epochs = [pq.read_table(tmp_path / "run" / name).column("epochs") for name in ("masked.parquet", "masked-2.parquet")]
    assert [sorted({one for row in column.to_pylist() for one in row}) for column in epochs] == [[2], [4]]


def test_the_same_mask_twice_is_refused_before_anything_is_trained(tmp_path: Path, stored: Path) -> None:
    recipe = small_recipe(stages=[{"epochs": 2, "lr": 0.05}, {"epochs": 2, "lr": 0.05, "answers": {"weigh": [LABEL, LABEL]}}])
    with pytest.raises(MienError, match="masks of different settings in a stage; found two that are alike"):
        train(stored, recipe, tmp_path / "run", ORDER)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("checkpoint_each_batch")
def test_several_masks_go_on_with_what_each_remembers(tmp_path: Path, stored: Path) -> None:
    recipe = small_recipe(weigh=[LABEL, DIVERGENCE], stages=[{"epochs": 3, "lr": 0.05}])
    whole = train(stored, recipe, tmp_path / "whole", ORDER)
    with pytest.raises(Interrupted):
        train(stored, recipe, tmp_path / "killed", ORDER, progress=StopAfter(5))
    again = resume(tmp_path / "killed")
    assert runs.changed(whole.network.state_dict(), again.network.state_dict()) == set()


def as_before(checkpoint: Path) -> None:
    """Write a checkpoint anew as earlier versions did, in which all masks shared their memory."""
    state = read_state(checkpoint)
    memories = state["state"].pop("weigh")
    state["state"]["weigh"] = {name: value for values in memories.values() for name, value in values.items()}
    write_state(checkpoint, state)


@pytest.mark.usefixtures("checkpoint_each_batch")
def test_a_checkpoint_of_before_goes_on_where_one_mask_alone_wrote_it(tmp_path: Path, stored: Path) -> None:
    for masks, refused in ((LABEL, False), ([LABEL, DIVERGENCE], True)):
        name = "two" if refused else "one"
        recipe = small_recipe(weigh=masks, stages=[{"epochs": 3, "lr": 0.05}])
        with pytest.raises(Interrupted):
            train(stored, recipe, tmp_path / name, ORDER, progress=StopAfter(5))
        as_before(tmp_path / name / "checkpoint.safetensors")
        if refused:
            with pytest.raises(
                MienError, match="each mask has a memory of its own; found one of an earlier version; train again"
            ):
                resume(tmp_path / name)
            continue
        whole, again = train(stored, recipe, tmp_path / "whole", ORDER), resume(tmp_path / name)
        assert runs.changed(whole.network.state_dict(), again.network.state_dict()) == set()


# What cannot be is refused before anything is trained.


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (
            {"stages": [{"epochs": 1, "lr": 0.05}, {"epochs": 1, "lr": 0.05, "answers": {"weigh": views(neighbors="frames")}}]},
            "sequence",
        ),
        ({"unlabeled": {"technique": "neighbor_consistency", "neighbors": "frames"}}, "sequence"),
        ({"unlabeled": {"technique": "neighbor_consistency", "neighbors": "frames"}, "control": True}, "sequence"),
        (
            {
                "weigh": {"technique": "neighborhood", "autoencoder": TINY_AUTOENCODER},
                "unlabeled": {"technique": "neighbor_consistency", "neighbors": "autoencoder"},
            },
            "one autoencoder for all masks of a run",
        ),
        (
            {"stages": [{"epochs": 1, "lr": 0.05}, {"epochs": 1, "lr": 0.05, "answers": {"weigh": views(neighbors=LOST)}}]},
            "nowhere",
        ),
    ],
)
def test_what_a_later_stage_cannot_have_is_refused_first(
    changed: dict[str, Any], reason: str, tmp_path: Path, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.training.loop.refresh", refuse_to_train)
    monkeypatch.setattr("mien.pretraining.autoencoder.of_run.pretrain_autoencoder", refuse_to_train)
    with pytest.raises(MienError, match=reason):
        train(stored, small_recipe(**changed), tmp_path / "run", TrainingSettings(labels=30, threads=1))
    assert not (tmp_path / "run").exists()


def refuse_to_train(*given: object) -> None:
    raise AssertionError("something is trained")
