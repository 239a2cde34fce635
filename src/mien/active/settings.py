"""What the settings of rounds come to: recipes, strategies, the split to test on, and the folder in which the rounds are."""

import json
from dataclasses import asdict, replace
from dataclasses import dataclass as plain
from pathlib import Path
from typing import Any

import torch
from pydantic.dataclasses import dataclass

from mien.active.acquire import Acquire
from mien.active.human_annotators import shown
from mien.active.rounds_settings import AUTO, RoundsSettings
from mien.data.faceset import FaceSet
from mien.data.splits import split_rows, test_split
from mien.disk import LOCK, read_as, write_aside
from mien.errors import MienError
from mien.plain import to_json
from mien.progress import Progress, Silent
from mien.recipes.overrides import asked_recipe
from mien.recipes.recipe import Recipe
from mien.registry import Threads, build_from_text

FILE = "rounds.json"
BY_CONTENT = ("recipe", "tune", "start", "epochs", "settings", "pool")
"""What of a plan is compared by what it names, not by its name."""
FREE, FREE_WITH_ORACLE = ("rounds",), ("rounds", "acquire", "seed", "seeds")
"""What may be other when a plan is asked again: it decides which chains there are and how long, not what is in them."""


@plain(frozen=True)
class Recipes:
    """The recipe of the first model, and that of going on from a last one."""

    whole: Recipe
    tuning: Recipe

    @staticmethod
    def of(asked: RoundsSettings, progress: Progress | None = None) -> "Recipes":
        """Raises MienError where one is unknown, or they are not for the same network."""
        whole = asked_recipe(asked.recipe, (progress or Silent()).say, None, asked.epochs, asked.start, asked.settings)
        if asked.tune is None:
            last = whole.stages[-1]
            gentle = last if len(whole.stages) > 1 else replace(last, lr=last.lr / 10)
            return Recipes(whole, replace(whole, stages=(gentle,)))
        tuning = Recipe.load(asked.tune)
        if asked.start is not None:
            tuning = tuning.with_settings({"model": whole.model, "normalize": whole.normalize})
        for key, mine, theirs in (
            ("network", whole.model["network"], tuning.model["network"]),
            ("normalize", whole.normalize, tuning.normalize),
        ):
            if mine != theirs:
                raise MienError(f"a recipe to go on with whose {key} is {mine}", f"{theirs} in {asked.tune}", "change that file")
        return Recipes(whole, tuning)

    def going_on(self, model: Path) -> Recipe:
        """The tuning recipe, from the model in this folder on."""
        return replace(self.tuning, start={"technique": "weights", "path": str(model)})


def settled(asked: RoundsSettings, out: Path, faces: FaceSet) -> RoundsSettings:
    """The plan with a split to test on, or None: as it was begun in `out`, else the set's own where that has labels."""
    if asked.split_to_test != AUTO:
        return asked
    if (out / FILE).is_file():
        before = read_as(_Begun, out / FILE, "choose another --out").decides.get("split_to_test")
        return replace(asked, split_to_test=before if isinstance(before, str) else None)
    try:
        own = test_split(faces)
    except MienError:
        return replace(asked, split_to_test=None)
    labeled = bool((faces.labels[split_rows(faces, own)] >= 0).any())
    return replace(asked, split_to_test=own if labeled else None)


def strategy(text: str) -> Acquire:
    """The strategy of `NAME KEY=VALUE ...`. Raises MienError where name, key or value are unknown."""
    made: Acquire = build_from_text("mien.active.acquire", text, "strategy")
    return made


@dataclass(frozen=True)
class _Begun:
    """What rounds.json says that rounds were begun with."""

    decides: dict[str, Any]
    threads: Threads | None = None


def claim(out: Path, asked: RoundsSettings, recipes: Recipes, faces: FaceSet, pool: FaceSet | None) -> int:
    """Take the folder, which is there, for this plan: an empty one, or one in which it was begun. Returns the threads to use.

    Raises MienError where something that decides what rounds give was other then.
    """
    file, values = out / FILE, asdict(asked) | {"store": None if asked.store is None else shown(asked.store)}
    checksums = {"face set": faces.info.checksum, "pool": "" if pool is None else pool.info.checksum}
    tables = {f"recipe.{key}": value for key, value in recipes.whole.table().items() if key != "title"}
    tables |= {f"tuning.{key}": value for key, value in recipes.tuning.table().items() if key != "title"}
    now = _plain({key: value for key, value in values.items() if key not in BY_CONTENT} | checksums | tables)
    threads = asked.threads or torch.get_num_threads()
    if file.is_file():
        begun = read_as(_Begun, file, "choose another --out")
        before, threads = begun.decides, begun.threads or threads
        free = FREE_WITH_ORACLE if asked.oracle is not None else FREE
        other = [key for key in now if key not in free and before.get(key) != now[key]]
        if other:
            wanted, found = (f"{other[0]} = {str(values.get(other[0]))[:80]}" for values in (before, now))
            more = f" (and {len(other) - 1} more)" if len(other) > 1 else ""
            raise MienError(f"what {out} was begun with, {wanted}", found + more, "give the same again, or choose another --out")
    elif any(one.name != LOCK for one in out.iterdir()):
        raise MienError(f"an empty folder, or one where these rounds were begun, at {out}", "other files", "choose another --out")
    written = {"asked": _plain(values), "decides": now, "threads": threads}
    write_aside(file, to_json(written).encode())
    return int(threads)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """As JSON gives it back."""
    made: dict[str, Any] = json.loads(to_json(values))
    return made
