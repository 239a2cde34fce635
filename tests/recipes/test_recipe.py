"""Recipes: what is written is what is built, and what is unknown is an error that lists what exists."""

from pathlib import Path

import pytest

from conftest import refused, small_recipe
from mien import MienError, Recipe
from mien.recipes.recipe import known_components
from mien.recipes.recipe_files import recipe_names
from mien.training.components import Components


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_and_survives_being_written(name: str) -> None:
    recipe = Recipe.load(name)
    assert Recipe.parse(recipe.table()) == recipe
    assert recipe.title


def test_a_file_is_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('draw = { technique = "balanced", at_least = 7 }\nstages = [ { epochs = 2, lr = 0.5 } ]\n')
    recipe = Recipe.load(path)
    assert recipe.draw == {"technique": "balanced", "at_least": 7}
    assert recipe.stages[0].lr == 0.5
    assert recipe.loss == {"technique": "cross_entropy"}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"drow": "balanced"}, ["'drow'", "draw"]),
        ({"draw": {"at_least": 5}}, ["technique = one of balanced"]),
        ({"model": {"width": 8}}, ["network = one of"]),
        ({"batch": 0}, ["batch = 0"]),
        ({"average": 1.5}, ["average = 1.5"]),
        ({"stages": [{"epochs": 0, "lr": 0.1}]}, ["epochs = 0"]),
        ({"stages": [{"epochs": 1, "lr": -1}]}, ["lr = -1"]),
        ({"stages": [{"epochs": 1, "lr": 1, "shedule": "cosine"}]}, ["'shedule'", "schedule"]),
        ({"stages": [{"epochs": 1, "lr": 0.1, "answers": {"start": "scratch"}}]}, ["start"]),
        ({"draw": "ballanced"}, ["'ballanced'", "balanced, replace, shuffled"]),
        ({"draw": {"technique": "balanced", "power": 2}}, ["'power'", "at_least"]),
        ({"model": "mien_xl"}, ["'mien_xl'", "mien_s"]),
        ({"loss": {"technique": "focal", "gamma": "much"}}, ["gamma = 'much'"]),
        ({"stages": []}, ["stages"]),
        ({"stages": [{"epochs": 1, "lr": 0.1, "answers": {"lose": "focal"}}]}, ["lose"]),
        ({"stages": [{"epochs": 1, "lr": 0.1, "answers": {"loss": "foccal"}}]}, ["'foccal'"]),
        ({"draw": "no.such.module:Draw"}, ["no.such.module:Draw"]),
    ],
)
def test_mistakes_are_named_with_what_exists(table: dict[str, object], words: list[str]) -> None:
    with refused(*words):
        small_recipe(**table)


def test_unknown_recipe_lists_the_known() -> None:
    with pytest.raises(MienError, match="supervised"):
        Recipe.load("superwised")
    with pytest.raises(MienError, match="nothing at"):
        Recipe.load("nowhere.toml")


def test_set_changes_one_value() -> None:
    recipe = small_recipe()
    assert recipe.set("draw.at_least", "9").draw["at_least"] == 9
    assert recipe.set("stages.0.lr", "0.3").stages[0].lr == 0.3
    assert recipe.set("augment.weak.flip", "0").augment.weak.flip == 0
    assert recipe.set("loss", "focal").loss == {"technique": "focal"}
    weighed = recipe.set("weigh", '["equal", {"technique": "by_class", "power": 0.5}]')
    assert len(Components.of(weighed, weighed.stages[0]).weigh) == 2
    assert recipe.set("weigh", "by_class").set("weigh.power", "0.25").weigh[0]["power"] == 0.25
    for key in ("nothing.here", "stages.7.lr", "batch.size", "stages.7", "weigh.1"):
        with pytest.raises(MienError, match=r"expected a (key|number)"):
            recipe.set(key, "1")
    assert recipe.with_settings({"stages.0.lr": 0.25}).stages[0].lr == 0.25
    named = recipe.with_settings({"draw": "balanced", "draw.at_least": "5", "model": "mien_s", "model.width": "4"})
    assert named.draw == {"technique": "balanced", "at_least": 5}
    assert named.model == {"network": "mien_s", "width": 4}


def test_several_stages_or_weights_have_to_be_told_apart() -> None:
    recipe = small_recipe(stages=[{"epochs": 1, "lr": 0.1}] * 3, weigh=["equal", "by_class"])
    for key in ("stages.lr", "weigh.power"):
        with pytest.raises(MienError, match="say which one"):
            recipe.set(key, "9")
    assert small_recipe().set("stages.lr", "9").stages[0].lr == 9


def test_a_stage_may_weigh_by_a_product() -> None:
    recipe = small_recipe(stages=[{"epochs": 1, "lr": 0.1, "answers": {"weigh": ["equal", "by_class"]}}])
    assert len(Components.of(recipe, recipe.stages[0]).weigh) == 2


def test_an_unknown_key_is_not_set() -> None:
    recipe = small_recipe()
    with pytest.raises(MienError):
        recipe.set("batsch", "1")


def test_epochs_are_shared_among_stages() -> None:
    recipe = small_recipe(stages=[{"epochs": 50, "lr": 0.1}, {"epochs": 50, "lr": 0.01}, {"epochs": 10, "lr": 0.001}])
    for epochs in (3, 4, 11, 110, 7):
        shared = [stage.epochs for stage in recipe.with_epochs(epochs).stages]
        assert sum(shared) == epochs
        assert min(shared) >= 1
    with pytest.raises(MienError, match="at least 3"):
        recipe.with_epochs(2)


def test_a_stage_may_answer_anew() -> None:
    recipe = small_recipe(stages=[{"epochs": 1, "lr": 0.1}, {"epochs": 1, "lr": 0.1, "answers": {"loss": "focal"}}])
    kinds = [type(Components.of(recipe, stage).loss).__name__ for stage in recipe.stages]
    assert kinds == ["CrossEntropy", "Focal"]


def test_known_components_are_the_files() -> None:
    known = known_components()
    assert known["draw"] == ["balanced", "replace", "shuffled"]
    assert "network" not in known["model"]
