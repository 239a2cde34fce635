"""A run whose recipe is chosen: what is looked at, what is said, what the run keeps, how long it would take."""

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from conftest import Command, Interrupted, StopAfter, bright_faces
from mien import FaceSet, Recipe, TrainingSettings, resume, train
from mien.data.format import Info
from mien.models import facenet_dlib
from mien.recipes.automatic import RunFacts
from mien.recipes.overrides import recipes_that_take
from mien.training import choose_recipe as choosing
from mien.training import run_time
from mien.training.choose_recipe import candidate_names, choose_recipe, face_net_is_installed, run_facts
from mien.training.run_time import estimate_seconds
from runs import Heard, features

QUICK = ["--epochs", "1", "--set", "draw.at_least=1", "--threads", "1"]


@pytest.fixture
def face_net(monkeypatch: pytest.MonkeyPatch) -> None:
    """A face net is installed, whatever there is; and no time is taken."""
    monkeypatch.setattr(choosing, "face_net_is_installed", lambda: True)
    monkeypatch.setattr(choosing, "estimate_seconds", lambda *given: 754.0)


def large_faces() -> FaceSet:
    """Faces that are large enough for a face net."""
    return bright_faces(120, side=32)


@pytest.mark.usefixtures("face_net")
def test_what_is_looked_at() -> None:
    faces, others = bright_faces(120), bright_faces(60, seed=1)
    facts = run_facts(faces, None, TrainingSettings())
    assert facts == RunFacts(labels=96, classes=3, unlabeled=0, side=16, votes=True, face_net=True)
    few = TrainingSettings(labels_per_class=5)
    facts = run_facts(faces, None, few)
    assert (facts.labels, facts.classes, facts.further) == (15, 3, False)
    assert 0 < facts.unlabeled <= 96 - 15
    with_others = run_facts(faces, others, few)
    assert (with_others.unlabeled - facts.unlabeled, with_others.further) == (48, True), "without its test faces"
    alone = TrainingSettings(labels_per_class=5, own_unlabeled=False)
    assert run_facts(faces, others, alone).unlabeled == 48
    assert run_facts(faces, others, TrainingSettings(labels_per_class=5, unlabeled_faces=7)).unlabeled == 7
    assert run_facts(faces.where(split="train"), None, TrainingSettings(fold="1/4")).labels < 96
    assert run_facts(features(), None, TrainingSettings()) == RunFacts(labels=90, classes=3, side=0, face_net=True)


def test_whether_a_face_net_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facenet_dlib, "package_folder", lambda package: None)
    assert not face_net_is_installed()
    monkeypatch.setattr(facenet_dlib, "package_folder", lambda package: tmp_path)
    assert not face_net_is_installed()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / facenet_dlib.FILE).write_bytes(b"weights")
    assert face_net_is_installed()


@pytest.mark.usefixtures("face_net")
def test_the_choice_is_said() -> None:
    heard = Heard()
    chosen = choose_recipe(large_faces(), TrainingSettings(labels_per_class=5), progress=heard)
    assert chosen.choice is not None
    assert (chosen.choice.name, chosen.recipe, chosen.seconds) == ("few", Recipe.load("few"), 754.0)
    assert heard.lines[0].startswith("recipe few: labels are few")
    assert heard.lines[-1 - len(chosen.choice.offers)] == "training takes about 13 min here"
    assert heard.lines[len(heard.lines) - len(chosen.choice.offers) :] == list(chosen.choice.offers)


@pytest.mark.usefixtures("face_net")
def test_a_smaller_network_is_offered() -> None:
    """To somebody who named no recipe, whatever is changed of it."""
    wanted = "--recipe few_small hands what few learns to a smaller and faster network"
    for recipes in (None, recipes_that_take(candidate_names(), 2, {})):
        chosen = choose_recipe(large_faces(), TrainingSettings(labels_per_class=5), recipes=recipes)
        assert chosen.choice is not None
        assert wanted in chosen.choice.offers


def test_labels_that_join_take_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(run_time, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    monkeypatch.setattr(choosing, "face_net_is_installed", lambda: False)

    def seconds(also: FaceSet | None, limit: int | None = None) -> float:
        recipes = {"supervised": Recipe.load("supervised").with_settings({"batch": 1, "draw.at_least": 1})}
        found = choose_recipe(bright_faces(120), TrainingSettings(also_labels=limit), recipes=recipes, also=also)
        assert found.seconds is not None
        return found.seconds

    alone, with_all, with_some = seconds(None), seconds(bright_faces(60, seed=1)), seconds(bright_faces(60, seed=1), 12)
    epochs = Recipe.load("supervised").stages[0].epochs
    assert with_all - alone == pytest.approx(epochs * 48 / run_time.SAMPLE), "without its test faces"
    assert with_some - alone == pytest.approx(epochs * 12 / run_time.SAMPLE)


@pytest.mark.usefixtures("face_net")
def test_a_recipe_that_does_not_take_the_changes_is_passed_over() -> None:
    taking = recipes_that_take(candidate_names(), 1, {"model.width": 8})
    assert "few" not in taking, "a face net has one width"
    chosen = choose_recipe(large_faces(), recipes=taking)
    assert chosen.choice is not None
    assert (chosen.choice.name, chosen.recipe.stages[0].epochs, chosen.recipe.model["width"]) == ("supervised", 1, 8)
    assert chosen.choice.reasons[-1] == "few would fit, but not with the settings that are changed"


def test_a_run_keeps_the_recipe_and_goes_on_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features().save(tmp_path / "set")
    quick = Recipe.load("linear_head").with_epochs(3).set("draw.at_least", 2)
    monkeypatch.setattr(Recipe, "load", staticmethod(lambda name: quick if name == "linear_head" else Recipe.parse({})))
    settings = TrainingSettings(threads=1)
    whole = train(tmp_path / "set", "auto", tmp_path / "whole", settings)
    with pytest.raises(Interrupted):
        train(tmp_path / "set", "auto", tmp_path / "run", settings, progress=StopAfter(5))
    monkeypatch.undo()
    monkeypatch.setattr(choosing, "choose_recipe", None)
    again = resume(tmp_path / "run")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["recipe"] == quick.table() == again.card.recipe
    assert whole.card.weights == again.card.weights


def test_without_a_recipe_on_the_command_line(mien: Command, stored: Path, tmp_path: Path) -> None:
    done = mien("train", stored, "--out", tmp_path / "run", *QUICK, "--set", "batch=16", "--json")
    assert done.code == 0, done.err
    choice = json.loads(done.out)["choice"]
    assert (choice["recipe"], choice["offers"], choice["seconds"] > 0) == ("supervised", [], True)
    assert "a face-recognition network wants faces of 32 pixels or more" in choice["reasons"]
    recipe = json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]
    assert recipe == Recipe.load("supervised").with_epochs(1).with_settings({"draw.at_least": 1, "batch": 16}).table()
    done = mien("train", stored, "--out", tmp_path / "named", "--recipe", "supervised", *QUICK, "--json")
    assert json.loads(done.out)["choice"] is None
    done = mien("train", stored, "--out", tmp_path / "other", *QUICK, "--set", "model.width=8")
    assert "recipe supervised: --set model.width without --recipe changes this one" in done.err
    done = mien("train", stored, "--out", tmp_path / "no", "--set", "unlabeled.shares=2")
    assert (done.code, "shares" in done.err) == (1, True)


def test_features_need_no_model_named(mien: Command, tmp_path: Path) -> None:
    features().save(tmp_path / "set")
    done = mien("train", tmp_path / "set", "--out", tmp_path / "run", *QUICK)
    assert done.code == 0, done.err
    assert "recipe linear_head: these are cached features" in done.err


def test_the_time_is_that_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that says a second for whatever is timed, for all faces of a sample together."""
    ticks = itertools.count()
    monkeypatch.setattr(run_time, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    info, recipe = Info(classes=("a", "b"), side=16), Recipe.load("supervised").with_epochs(2).set("model.width", 4)
    labels_alone = 2 * (20 * 80 + 20) / run_time.SAMPLE
    assert estimate_seconds(recipe, info, 100, 500) == pytest.approx(labels_alone), "20 batches of all, and validation"
    with_unlabeled = recipe.with_settings({"unlabeled": "fixmatch", "unlabeled_batch": 32})
    more = 2 * 20 * 2 * 32 / run_time.SAMPLE
    assert estimate_seconds(with_unlabeled, info, 100, 500) == pytest.approx(labels_alone + more)
    assert estimate_seconds(with_unlabeled, info, 100, 0) == pytest.approx(labels_alone)
    assert estimate_seconds(recipe, info, 10_000, 0) == pytest.approx(2 * (62 * 128 + 2000) / run_time.SAMPLE)
    assert estimate_seconds(Recipe.load("self_supervised_small"), info, 100, 500) is None


def test_estimating_draws_nothing_from_torch() -> None:
    info, before = Info(classes=("a", "b"), kind="features", channels=4, views=("clean",)), torch.get_rng_state()
    assert (estimate_seconds(Recipe.load("linear_head"), info, 20, 0) or 0) > 0
    assert torch.equal(torch.get_rng_state(), before)
