"""The control of every technique: all goes on as ever, and nothing is learned from unlabeled faces."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from test_contract import recipe_with
from torch import Tensor
from typing_extensions import override

from conftest import bright_faces, refused, small_recipe
from mien import FaceSet, Recipe, TrainingSettings, train
from mien.recipes.recipe import QUESTIONS
from mien.recognize.run_records import read_history
from mien.registry import component_names
from mien.techniques import Draw
from mien.techniques.draw.replace import Replace
from mien.techniques.step.descend import Descend
from mien.training import loop
from mien.training.components import Components, looks_at_unlabeled
from mien.training.losses import LabeledLoss, UnlabeledLoss
from mien.training.questions import Weightless
from mien.training.run import Run

TECHNIQUES = [(question, name) for question in QUESTIONS for name in component_names(f"mien.techniques.{question}")]
APART = {"neighborhood"}
"""SNA's autoencoder learns from all faces of the split in a place of its own, whatever faces the run holds."""
ORDER = TrainingSettings(labels=30, seed=1, threads=1)
Weights = dict[str, Tensor]


class Draws(Draw):
    """Draws unlabeled faces, and has no control."""

    draws_unlabeled: ClassVar[bool] = True

    @override
    def __call__(self, run: Run) -> list[Tensor]:
        """All rows in one batch."""
        return [torch.arange(len(run.labels))]


def trained(recipe: Recipe, faces: FaceSet, folder: Path) -> Weights:
    """Weights and buffers after two epochs of three steps; the last ones are kept."""
    changed = {"choose": "last", "draw.at_least": 3, "stages.0.epochs": 2, "batch": 8, "unlabeled_batch": 16}
    made = train(faces, recipe.with_settings(changed), folder, ORDER)
    return made.network.state_dict()


def other(one: Weights, two: Weights) -> set[str]:
    """Names of those that are not the same, bit for bit."""
    assert one.keys() == two.keys()
    return {name for name in one if not torch.equal(one[name], two[name])}


def of_parameters(names: set[str]) -> set[str]:
    """Without what batch normalization counts."""
    return {name for name in names if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))}


def teaching(question: str, name: str, tmp_path: Path) -> Recipe:
    """A recipe with this technique, set so that unlabeled faces teach something in a few steps."""
    sure: dict[str, dict[str, Any]] = {
        "replace": {"draw.threshold": 0.0, "draw.share": 0.5},
        "fixmatch": {"unlabeled.threshold": 0.0},
        "annealed": {"step.slope": 0.0},
    }
    return recipe_with(question, name, tmp_path).with_settings(sure.get(name, {}))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> tuple[FaceSet, FaceSet]:
    """Two sets that differ in what their unlabeled faces show."""
    faces, run = bright_faces(), tmp_path_factory.mktemp("which") / "run"
    train(faces, small_recipe(stages=[{"epochs": 1, "lr": 0.01}]), run, ORDER)
    used = pq.read_table(run / "budget.parquet").column("id").to_pylist()
    pixels = faces.faces().copy()
    hidden = ~np.isin(faces.values("id").astype(str), used)
    pixels[hidden] = np.random.default_rng(5).integers(0, 256, pixels[hidden].shape, np.uint8)
    columns = {name: faces.column(name) for name in ("id", "split", "subject", "votes")}
    return faces, FaceSet.from_arrays(pixels, faces.labels, faces.classes, columns)


@pytest.mark.parametrize(("question", "name"), [one for one in TECHNIQUES if one[1] not in APART])
def test_a_control_does_not_see_what_unlabeled_faces_show(
    question: str, name: str, tmp_path: Path, strangers: tuple[FaceSet, FaceSet]
) -> None:
    """Its weights are the same whatever is on them; those of what it controls are not."""
    recipe = teaching(question, name, tmp_path)
    for teaches in (False, *([True] if looks_at_unlabeled(recipe) else [])):
        made = recipe.set("control", not teaches)
        one, two = (trained(made, faces, tmp_path / f"{teaches}{n}") for n, faces in enumerate(strangers))
        assert bool(of_parameters(other(one, two))) == teaches


@pytest.mark.parametrize("name", [name for name in component_names("mien.techniques.unlabeled") if name != "nothing"])
def test_a_control_is_its_recipe_with_unlabeled_gradients_zeroed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit, buffers included: the same batches, views, pseudo-labels and dropout."""

    def without_gradient(self: Descend, run: Run, labeled: LabeledLoss, unlabeled: UnlabeledLoss | None) -> None:
        run.descend(labeled() + (0 if unlabeled is None else unlabeled().detach()))

    recipe = teaching("unlabeled", name, tmp_path).with_settings({"control": True, "model.dropout": 0.5})
    control = trained(recipe, bright_faces(), tmp_path / "control")
    monkeypatch.setattr(Weightless, "__call__", lambda self, run, batch: self.of(run, batch))
    assert of_parameters(other(control, trained(recipe, bright_faces(), tmp_path / "taught")))
    monkeypatch.setattr(Descend, "__call__", without_gradient)
    assert other(control, trained(recipe, bright_faces(), tmp_path / "zeroed")) == set()


@pytest.mark.parametrize("start", [0, 1])
def test_pseudo_labels_of_a_control_begin_when_they_begin(start: int, tmp_path: Path) -> None:
    recipe = small_recipe(unlabeled={"technique": "pseudo_label", "start": start}, control=True)
    trained(recipe, bright_faces(), tmp_path / "run")
    assert [epoch["pseudo_label_share"] > 0 for epoch in read_history(tmp_path / "run")] == [start == 0, True]


@pytest.mark.parametrize("step", [{}, {"noise": "additive"}, {"noise": "labels"}, {"accept": "metropolis"}])
def test_a_control_of_alt_ends_where_trials_that_teach_nothing_end(step: dict[str, Any], tmp_path: Path) -> None:
    """The same views, dropout and average: a loss of next to nothing, whose trials are all kept, moves no weight."""
    recipe = small_recipe().with_settings(
        {
            "unlabeled": {"technique": "pseudo_label", "weight": 1e-12},
            "step": {"technique": "annealed", "slope": 0.0, **step},
            "model.dropout": 0.5,
        }
    )
    weightless = trained(recipe, bright_faces(), tmp_path / "weightless")
    control = trained(recipe.set("control", True), bright_faces(), tmp_path / "control")
    for name, value in weightless.items():
        assert torch.allclose(value, control[name], rtol=1e-5, atol=1e-7), name
    assert of_parameters(other(trained(recipe.set("unlabeled.weight", 1.0), bright_faces(), tmp_path / "taught"), control))


def test_a_control_takes_as_many_steps_and_as_many_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = small_recipe(draw={"technique": "replace", "share": 0.5, "threshold": 0.0}, control=True)
    counted = list[int]()
    refresh = loop.refresh

    def counting(run: Run, techniques: Components) -> list[Tensor]:
        batches = refresh(run, techniques)
        counted.append(len(batches))
        assert all((run.labels[rows] >= 0).all() for rows in batches)
        return batches

    monkeypatch.setattr(loop, "refresh", counting)
    trained(recipe, bright_faces(), tmp_path / "run")
    assert counted == [3, 3]
    assert [epoch["replaced"] for epoch in read_history(tmp_path / "run")] == [0, 0]


def test_a_draw_of_ones_own_says_what_it_does_without_unlabeled_faces() -> None:
    assert isinstance(Replace().without_unlabeled(), Replace)
    with refused("a control of test_control:Draws, which draws unlabeled faces; found none; write its method without_unlabeled"):
        Draws().without_unlabeled()


def test_a_technique_of_ones_own_has_a_control() -> None:
    recipe = small_recipe(unlabeled="conftest:Agree")
    assert not isinstance(Components.of(recipe, recipe.stages[0]).unlabeled, Weightless)
    assert isinstance(Components.of(recipe.set("control", True), recipe.stages[0]).unlabeled, Weightless)
    assert looks_at_unlabeled(recipe.set("control", True))
