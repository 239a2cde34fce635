"""Names and numbers of settings: what a name may reach, and where numbers end."""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import refused, small_recipe
from mien import MienError, Recipe, TrainingSettings
from mien.active.rounds_settings import RoundsSettings
from mien.data.format import Info
from mien.data.importing import source_from
from mien.experiments.settings import Axis, Grid
from mien.number_bounds import MOST_SEED
from mien.pretraining.autoencoder.settings import AutoencoderSettings
from mien.recipes.recipe import Stage
from mien.registry import find_component, import_named
from mien.settings import Count, NotNegative, Positive, Seconds, Seed, Share, Threads, require_fitting, settings_from
from mien.wording import brief_repr

LOSS = "mien.techniques.loss"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("mien.cli:main", "a part of mien in techniques/loss"),
        ("mien.disk:os", "a part of mien in techniques/loss"),
        ("mien.recipes.recipe:Recipe", "a part of mien in techniques/loss"),
        ("mien.techniques.draw.shuffled:Shuffled", "a part of mien in techniques/loss"),
        ("os:system", "a class at"),
        ("subprocess:Popen", "a dataclass of settings"),
        ("pathlib:Path", "a dataclass of settings"),
        ("builtins:dict", "a dataclass of settings"),
        ("dataclasses:Field", "a dataclass of settings"),
        ("json:nothing", "importable"),
        ("not_imported_yet:Loss", "imported already"),
        (":", "imported already"),
        ("conftest:Done", "which has __call__"),
    ],
)
def test_a_name_reaches_components_of_its_room_alone(name: str, found: str) -> None:
    with pytest.raises(MienError, match=found):
        find_component(LOSS, name)
    with pytest.raises(MienError, match=found):
        small_recipe(loss=name)
    assert "not_imported_yet" not in sys.modules


def test_ones_own_components_are_found() -> None:
    assert find_component("mien.techniques.unlabeled", "conftest:Agree").__name__ == "Agree"
    assert find_component(LOSS, "mien.techniques.loss.focal:Focal").__name__ == "Focal"


def test_a_room_says_what_its_components_have() -> None:
    with pytest.raises(MienError, match="models, which has build"):
        find_component("mien.models", "conftest:Agree")
    with pytest.raises(MienError, match="data/sources, which has blocks"):
        source_from("conftest:Agree", {})


def test_trust_imports_what_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trusted_here.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    import_named({"title": "not:This", "stages": [{"answers": {"loss": "a:b:c", "at": "C:/x"}}], "weigh": ["equal"]})
    assert "trusted_here" not in sys.modules
    with pytest.raises(MienError, match="importable"):
        import_named([{"loss": "trusted_here:Loss"}])
    assert "trusted_here" in sys.modules


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Count, (1, 10**9, None, np.int64(3)), (0, -1, 10**20, 1.5, math.nan, "3", "x", [])),
        (Seed, (0, MOST_SEED), (-1, MOST_SEED + 1, 1e20)),
        (Threads, (1, 1024), (0, 10**6)),
        (Share, (0, 1, 0.5), (-0.1, 1.1, math.nan, math.inf, "0.5")),
        (NotNegative, (0, 1e30), (-1, 1e308, math.nan, math.inf)),
        (Positive, (1e-30, 1e30), (0, 1e-308, 1e308, -math.inf)),
        (Seconds, (0.001, 3600), (1e-300, 0, 1e308, math.nan)),
    ],
)
def test_every_kind_of_number_ends_somewhere(kind: Any, good: tuple[Any, ...], bad: tuple[Any, ...]) -> None:
    for value in good:
        require_fitting(kind, value=value)
    for value in bad:
        with pytest.raises(MienError, match="value that fits"):
            require_fitting(kind, value=value)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda: TrainingSettings(seed=-1), "seed = -1"),
        (lambda: TrainingSettings(seed=10**20), "seed = 1000"),
        (lambda: TrainingSettings(labels_per_class=10**20), "labels_per_class"),
        (lambda: TrainingSettings(noise=math.nan), "noise = nan"),
        (lambda: TrainingSettings(threads=10**6), "threads"),
        (lambda: TrainingSettings("many"), "seed = 'many'"),  # type: ignore[arg-type]
        (lambda: Stage(epochs=1, lr=1e308), r"less than or equal to 1e\+30\); found lr = 1e\+308"),
        (lambda: Stage(epochs=10**20, lr=1), "epochs"),
        (lambda: Info(("a",), side=10**9), "side"),
        (lambda: Info(("a",), channels=-1), "channels"),
        (lambda: Info(tuple(map(str, range(40_000)))), "classes"),
        (lambda: Info(("a",), kind="sounds"), "kind"),  # type: ignore[arg-type]
        (lambda: Grid(()), "recipes"),
        (lambda: Grid(("supervised",), seeds=0), "seeds = 0"),
        (lambda: Axis("draw", ()), "values"),
        (lambda: RoundsSettings("supervised", ("random",), 10**20, 1, oracle=0.0), "per_round"),
        (lambda: AutoencoderSettings(batch=10**12), "batch"),
        (lambda: small_recipe(batch=10**12), "batch"),
        (lambda: small_recipe(weigh=[]), "weigh"),
        (lambda: small_recipe(stages=5), "stages"),
        (lambda: small_recipe(draw=["shuffled"]), "draw"),
        (lambda: small_recipe(stages=[{"epochs": 1, "lr": 1, "answers": {"draw": ["shuffled"]}}]), "draw|technique"),
        (lambda: small_recipe(augment={"weak": {"rotation": math.inf}}), "rotation"),
        (lambda: small_recipe(model={"network": "mien_s", "width": 10**12}), "width"),
        (lambda: small_recipe(model={"network": "mien_s", "depths": [10**9, 1, 1]}), "depths"),
        (lambda: small_recipe(loss={"technique": "focal", "gamma": 1e308}), "gamma"),
        (lambda: small_recipe().with_epochs(10**20), "epochs"),
        (lambda: small_recipe().set("stages.²", 1), "'²'"),
        (lambda: small_recipe().set(f"stages.{'9' * 5000}", 1), "'99999"),
        (lambda: Recipe.parse([]), "a table"),  # type: ignore[arg-type]
    ],
)
def test_whoever_calls_in_python_gets_the_same_words(make: Any, found: str) -> None:
    with pytest.raises(MienError, match=found):
        make()


def test_nested_values_are_refused_before_they_are_looked_through() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(MienError, match="nested"):
        small_recipe(loss={"technique": "focal", "gamma": deep})


def test_a_value_is_told_briefly() -> None:
    assert brief_repr("short") == "'short'"
    assert len(brief_repr("x" * 10**6)) < 200
    assert len(brief_repr(list(range(10**5)))) < 200
    assert brief_repr(10**5000) == "a int that is too long to write" or len(brief_repr(10**5000)) < 200
    with refused(most=400):
        settings_from(Stage, {"epochs": "x" * 10**6, "lr": 1})
