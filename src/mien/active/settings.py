"""What `mien rounds` is asked to do: which faces are asked about, by whom they are labeled, and how their labels are learned."""

import json
from dataclasses import asdict, field, replace
from dataclasses import dataclass as plain
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass

from mien.active.acquire import Acquire
from mien.active.human_annotators import shown
from mien.data.faceset import FaceSet
from mien.data.splits import split_rows, test_split
from mien.disk import LOCK, read_as, write_aside
from mien.errors import MienError
from mien.plain import to_json
from mien.progress import Progress, Silent
from mien.recipes.overrides import recipe_with_changes
from mien.recipes.recipe import Recipe
from mien.registry import STRICT, Count, Finite, Seed, Share, Threads, build_from_text, worded

RANDOM = "random"
"""What the other strategies are compared with, where it is among them; else the first is."""

FILE = "rounds.json"
AUTO = "auto"
BY_CONTENT = ("recipe", "tune", "start", "epochs", "settings", "pool")
"""What of a plan is compared by what it names, not by its name."""
FREE, FREE_WITH_ORACLE = ("rounds",), ("rounds", "acquire", "seed", "seeds")
"""What may be other when a plan is asked again: it decides which chains there are and how long, not what is in them."""


@worded
@dataclass(frozen=True, config=STRICT)
class RoundsSettings:
    """Rounds of asking and learning; every strategy with every seed is a chain of them."""

    recipe: str
    """How the first model is trained: a name or a TOML file."""
    acquire: Annotated[tuple[str, ...], Field(min_length=1)]
    """Strategies: `worthiness`, or with settings, `worthiness extension=1 normalize=literal`."""
    per_round: Count
    """Faces asked about in a round."""
    rounds: Count
    """How many rounds."""
    start_labels_per_class: Count | None = None
    """Labels of the face set that the first model is trained with, validation included; None for all."""
    pool: Path | None = None
    """Face set whose faces are asked about; None for the rest of the training split, its labels hidden."""
    oracle: Share | None = None
    """Instead of people the labels that are known answer, this share of them flipped to another class."""
    store: str | None = None
    """File or address of the label store that people answer into."""
    per_face: Count = 1
    """Answers of different people that a face wants."""
    split_to_test: str | None = AUTO
    """Split that the curve is drawn on; nothing is chosen by it. auto: the set's own, such as test, where it has labels. None,
    and auto where there is none: the curve shows figures on validation."""
    learn: Literal["new", "all", "afresh"] = "new"
    """`new`: from the last model, with the new labels and those that it misses (DAL, Algorithm 1); `all`: from the last model,
    with all labels; `afresh`: as the first model, with all labels."""
    tune: str | None = None
    """Recipe by which `new` and `all` go on from the last model; None for the last stage of `recipe`, or, where that is the only
    one, for the same at a tenth of its learning rate, as in DAL's second stage."""
    min_gain: Finite | None = None
    """A chain ends where validation accuracy gained less in a round, from 0 to 1."""
    seed: Seed = 0
    """Draws start labels, weights, batches, views, what strategies draw, and flips: that of the first chain."""
    seeds: Count = 1
    """Each strategy is followed with seeds from `seed` on."""
    start: str | None = None
    """Model whose weights the first model starts from, on its network: mien-s, a run or a model folder."""
    epochs: Count | None = None
    """Epochs in all, of `recipe`; what goes on by its last stage has that stage's share of them."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Values changed in `recipe`, by key."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:1 (the second GPU)."""
    threads: Threads | None = None
    """Processor threads; None takes torch's own number, which is then written down and kept."""

    def __post_init__(self) -> None:
        folders = [folder_name(text) for text in self.acquire]
        if len(set(folders)) < len(folders):
            raise MienError("different strategies", ", ".join(self.acquire), "leave one out")
        if (self.oracle is None) == (self.store is None):
            found = "neither" if self.store is None else "both"
            raise MienError("either an oracle or a store that people answer into", found, "give --oracle labels, or --store FILE")
        if self.store is not None and (len(self.acquire) > 1 or self.seeds > 1):
            found = f"{len(self.acquire)} strategies and {self.seeds} seeds"
            raise MienError("one strategy and one seed, where people are asked", found, "compare strategies with an oracle")

    @property
    def reference(self) -> str:
        """The strategy that the others are compared with."""
        return RANDOM if RANDOM in self.acquire else self.acquire[0]


@plain(frozen=True)
class Recipes:
    """The recipe of the first model, and that of going on from a last one."""

    whole: Recipe
    tuning: Recipe

    @staticmethod
    def of(asked: RoundsSettings, progress: Progress | None = None) -> "Recipes":
        """Raises MienError where one is unknown, or they are not for the same network."""
        whole = recipe_with_changes(asked.recipe, (progress or Silent()).say, None, asked.epochs, asked.start, asked.settings)
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


def folder_name(text: str) -> str:
    """The strategy's text as a part of a path."""
    return "".join(letter if letter.isalnum() or letter in "_.=-" else "_" for letter in text)


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
