"""What the settings of rounds come to: recipes, strategies, the split to test on, and the folder in which the rounds are."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from dataclasses import dataclass as plain
from pathlib import Path
from typing import Any

import torch
from pydantic.dataclasses import dataclass

from mien.active.acquire import Acquire
from mien.active.human_annotators import address_without_password
from mien.active.rounds_settings import AUTO, RoundsSettings
from mien.data.faceset import FaceSet
from mien.data.splits import split_rows, test_split
from mien.errors import MienError
from mien.folders import claim
from mien.json_toml import read_settings
from mien.progress import Progress, Silent
from mien.protocols import require_subclass
from mien.recipes.overrides import recipe_with_changes
from mien.recipes.recipe import Recipe
from mien.registry import component_from_text
from mien.settings import Threads

FILE = "rounds.json"
BY_CONTENT = ("recipe", "tune", "start", "epochs", "settings", "pool")
"""Settings that name something else: what they name is compared when rounds go on, not the name."""
FREE, FREE_WITH_ORACLE = ("rounds",), ("rounds", "acquire", "seed", "seeds")
"""Settings that may change when rounds go on: they decide how many chains there are and how long, not what is in them."""


@plain(frozen=True)
class Recipes:
    """The recipes of rounds."""

    whole: Recipe
    """How the first model is trained."""
    tuning: Recipe
    """How training goes on from the last model."""

    @staticmethod
    def of(settings: RoundsSettings, progress: Progress | None = None) -> "Recipes":
        """The recipes that settings ask for. Raises MienError for an unknown one, and for recipes of different networks."""
        say = (progress or Silent()).say
        whole = recipe_with_changes(settings.recipe, say, None, settings.epochs, settings.start, settings.settings)
        if settings.tune is None:
            last = whole.stages[-1]
            gentle = last if len(whole.stages) > 1 else replace(last, lr=last.lr / 10)
            return Recipes(whole, replace(whole, stages=(gentle,)))
        tuning = Recipe.load(settings.tune)
        if settings.start is not None:
            tuning = tuning.with_settings({"model": whole.model, "normalize": whole.normalize})
        for key, mine, theirs in (
            ("network", whole.model["network"], tuning.model["network"]),
            ("normalize", whole.normalize, tuning.normalize),
        ):
            if mine != theirs:
                raise MienError(
                    f"a recipe to go on with whose {key} is {mine}", f"{theirs} in {settings.tune}", "change that file"
                )
        return Recipes(whole, tuning)

    def going_on(self, model: Path) -> Recipe:
        """The tuning recipe, which begins with the model in this folder."""
        return replace(self.tuning, start={"technique": "weights", "path": str(model)})


def resolve_split_to_test(settings: RoundsSettings, out: Path, faces: FaceSet) -> RoundsSettings:
    """The settings with a split to test on, or None: the one that rounds began with in `out`, else the set's own with labels."""
    if settings.split_to_test != AUTO:
        return settings
    if (out / FILE).is_file():
        before = read_settings(_Begun, out / FILE, "choose another --out").decides.get("split_to_test")
        return replace(settings, split_to_test=before if isinstance(before, str) else None)
    try:
        own = test_split(faces)
    except MienError:
        return replace(settings, split_to_test=None)
    labeled = bool((faces.labels[split_rows(faces, own)] >= 0).any())
    return replace(settings, split_to_test=own if labeled else None)


def named_classes(faces: FaceSet, classes: tuple[str, ...]) -> FaceSet:
    """The face set, under these classes where it has none of its own.

    Raises MienError where neither names any, or the set has others.
    """
    if classes and faces.classes not in ((), classes):
        found = ", ".join(faces.classes)
        raise MienError("a face set without classes, to name them", found, "leave `classes` out: the set's own are taken")
    if not (classes or faces.classes):
        raise MienError("classes to choose from", "none in the face set", "name them: `classes` happiness,sadness")
    return replace(faces, info=replace(faces.info, classes=classes or faces.classes))


def build_strategy(text: str) -> Acquire:
    """The strategy of a text `NAME KEY=VALUE ...`.

    Raises MienError for an unknown name, key or value, and for one of somebody's own that does not subclass Acquire.
    """
    made: Acquire = component_from_text("mien.active.acquire", text, "strategy")
    require_subclass(made, Acquire, "mien.active.acquire", "strategy")
    return made


@dataclass(frozen=True)
class _Begun:
    """What rounds.json says that rounds were begun with."""

    decides: dict[str, Any]
    threads: Threads | None = None


def claim_folder(out: Path, settings: RoundsSettings, recipes: Recipes, faces: FaceSet, pool: FaceSet | None) -> int:
    """Take the folder, which is there, for rounds of these settings: an empty one, or one in which they were begun.

    Returns the threads to use. Raises MienError where something that decides what rounds give was other then.
    """
    file, store = out / FILE, None if settings.store is None else address_without_password(settings.store)
    values = asdict(settings) | {"store": store}
    checksums = {"face set": faces.info.checksum, "pool": "" if pool is None else pool.info.checksum}
    tables = {f"recipe.{key}": value for key, value in recipes.whole.table().items() if key != "title"}
    tables |= {f"tuning.{key}": value for key, value in recipes.tuning.table().items() if key != "title"}
    # Rounds that were begun when there were no classes to name have no such key.
    left_out = BY_CONTENT if settings.classes else (*BY_CONTENT, "classes")
    now = {key: value for key, value in values.items() if key not in left_out} | checksums | tables
    free = FREE_WITH_ORACLE if settings.oracle is not None else FREE
    threads = read_settings(_Begun, file, "choose another --out").threads if file.is_file() else None
    threads = threads or settings.threads or torch.get_num_threads()

    def decides(written: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in written["decides"].items() if key not in free}

    claim(file, {"asked": values, "decides": now, "threads": threads}, decides, "these rounds")
    return int(threads)
