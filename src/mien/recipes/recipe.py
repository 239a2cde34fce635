"""A recipe: one component for each of the questions that training answers, and the stages in which it happens."""

import itertools
import os.path
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, field_validator
from pydantic.dataclasses import dataclass

from mien.data.augment import Augmentation
from mien.data.faceset import Normalization
from mien.disk import read_bytes
from mien.errors import MienError
from mien.json_toml import MOST_TOML, parse_word, read_toml, require_simple
from mien.recipes.base import BASE, with_bases
from mien.registry import build_component, component_names, import_named, naming_file, require_loaded
from mien.settings import STRICT, Count, NotNegative, Share, plain_errors, require_fitting, settings_from
from mien.wording import brief_repr, with_suggestion

MOST_STAGES = 1000

QUESTIONS = ("start", "draw", "targets", "weigh", "loss", "unlabeled", "step")
"""The questions that techniques/ answers, one folder each."""

Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]

Answer = dict[str, Any]
"""A component as it stands in a recipe: its file's name under `technique` (or `network`), and its settings."""


def _answer(value: Any, key: str = "technique") -> Any:
    return {key: value} if isinstance(value, str) else value


def _answers(value: Any) -> Any:
    return [_answer(entry) for entry in value] if isinstance(value, list | tuple) else _answer(value)


@plain_errors
@dataclass(frozen=True, config=STRICT)
class Stage:
    """Some epochs under one optimizer and schedule; any question may be answered anew for them."""

    epochs: Count
    """Passes over the labeled faces."""
    lr: NotNegative
    """Learning rate at the schedule's highest point."""
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] = "sgd"
    """`sgd` has Nesterov momentum .9."""
    weight_decay: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = 5e-4
    """Decay of weight matrices; biases and normalization are left alone."""
    schedule: Literal["constant", "cosine", "step", "one_cycle"] = "constant"
    """`one_cycle` warms up over `warmup` and anneals to 0; `step` multiplies by 0.1 at `drops`."""
    warmup: Fraction = 0.15
    """Share of the stage in which `one_cycle` rises."""
    drops: tuple[Share, ...] = (0.5, 0.75)
    """Shares of the stage after which `step` drops."""
    frozen: tuple[str, ...] = ()
    """Blocks of the network that stay as they are."""
    answers: dict[str, Answer | tuple[Answer, ...]] | None = None
    """Questions answered otherwise in this stage."""

    @field_validator("answers", mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        return {key: _answers(entry) for key, entry in value.items()} if isinstance(value, dict) else value


@plain_errors
@dataclass(frozen=True, config=STRICT)
class Recipe:
    """How a recognizer is trained. Read one by name or from a TOML file with `Recipe.load`."""

    stages: Annotated[tuple[Stage, ...], Field(max_length=MOST_STAGES)]
    """What happens one after the other; the best model and the metrics are kept for each."""
    model: Answer
    """The network (a file in models/) and its settings."""
    start: Answer
    """Where do the weights come from?"""
    draw: Answer
    """Which faces make a batch?"""
    targets: Answer
    """What should each face be taught?"""
    weigh: Annotated[tuple[Answer, ...], Field(min_length=1)]
    """How much does each face count? A list is a product."""
    loss: Answer
    """How is a miss charged?"""
    unlabeled: Answer
    """What do faces without labels teach?"""
    step: Answer
    """When is an update kept?"""
    augment: Augmentation = Augmentation()
    """How far views are distorted."""
    normalize: Normalization = "fixed"
    """`fixed` scale, or zero mean and unit variance of every `face`."""
    batch: Count = 128
    """Labeled faces in a batch."""
    unlabeled_batch: Count = 128
    """Faces without labels in a batch."""
    validation: Fraction = 0.2
    """Share of the given labels that choose the model and the temperature; they are part of the label budget."""
    choose: Literal["accuracy", "average_accuracy", "loss", "last"] = "accuracy"
    """What the kept model is best at on validation; `last` keeps the last one."""
    average: Fraction = 0.0
    """Decay of the moving average of the weights that is validated and kept; 0 for none."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """`auto` takes bfloat16 where the processor has matrix units for it, else float32."""
    compile: bool = False
    """Let torch.compile fuse the network; needs a C++ compiler on a CPU."""
    transductive: bool = False
    """Faces of the test split may be trained on without their labels."""
    title: str = ""
    """What it is, in a line, and where it was published."""

    @field_validator("start", "draw", "targets", "loss", "unlabeled", "step", mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        return _answer(value)

    @field_validator("model", mode="before")
    @classmethod
    def _expand_model(cls, value: Any) -> Any:
        return _answer(value, "network")

    @field_validator("weigh", mode="before")
    @classmethod
    def _expand_list(cls, value: Any) -> Any:
        return _answers(value if isinstance(value, list | tuple) else [value])

    def __post_init__(self) -> None:
        if not self.stages:
            raise MienError("a recipe with stages", "none", "add one, for example { epochs = 10, lr = 0.1 }")
        for stage in self.stages:
            known = [question for question in QUESTIONS if question != "start"]
            unknown = set(stage.answers or {}) - set(known)
            if unknown:
                raise MienError(
                    f"a stage's answers to {', '.join(known)}", with_suggestion(min(unknown), known), "rename that question"
                )
            Components.of(self, stage)
        from mien.models import architecture

        architecture(self.model)

    @staticmethod
    def load(name: Path | str, trusted: bool = False) -> "Recipe":
        """The recipe of this name in recipes/, or of this TOML file. Raises MienError where it is unknown or wrong.

        `trusted`: modules beyond mien that the file names are imported, and so run; else they have to be imported already.
        """
        if trusted:
            trust_recipe(name)
        with naming_file(name):
            return Recipe.parse(_read(name))

    @staticmethod
    def parse(table: Mapping[str, Any], trusted: bool = False) -> "Recipe":
        """The recipe of this table; questions without an answer get that of `base`, or else the plain one. `trusted`: as of
        `load`.
        """
        if not isinstance(table, Mapping):
            raise MienError("a recipe's keys and values", brief_repr(table), "give a table")
        require_simple(dict(table), "a recipe", "give simpler values")
        table = with_bases(table, None, _as_it_stands)
        if trusted:
            import_named(table)
            for file in files_of(table):
                trust_recipe(file)
        plain = tomllib.loads(_inside("supervised"))
        given = {**plain, "title": "", **table}
        if isinstance(given["stages"], list | tuple):
            # One by one, so that a mistake in one lists what a stage has.
            given["stages"] = [settings_from(Stage, one) if isinstance(one, Mapping) else one for one in given["stages"]]
        return settings_from(Recipe, given)

    def table(self) -> dict[str, Any]:
        """The recipe as plain values, every default written out; `Recipe.parse` reads it back."""
        table: dict[str, Any] = TypeAdapter(Recipe).dump_python(self, mode="json")
        return table

    def set(self, key: str, value: Any) -> "Recipe":
        """This recipe with one value changed; see `with_settings`."""
        return self.with_settings({key: value})

    def with_settings(self, settings: Mapping[str, Any]) -> "Recipe":
        """This recipe with values changed by key: `draw`, `step.temperature`, `stages.0.lr`, `augment.weak.flip`.

        A text is read as JSON where it is that. Raises MienError for an unknown key.
        """
        if BASE in settings:
            raise MienError("a value of the recipe to change", BASE, "name that recipe itself, or write a TOML file with a base")
        return Recipe.parse(with_values(self.table(), settings))

    def with_network(self, name: str) -> "Recipe":
        """This recipe on another network, with as many copies of its last layer."""
        copies = {key: value for key, value in self.model.items() if key == "copies"}
        return self.set("model", {"network": name, **copies})

    def with_start(self, model: Path | str) -> "Recipe":
        """This recipe from the weights of a model on: mien-s, a run or a model folder.

        The network, and how gray values are scaled, become the model's. Raises MienError where there is no such model, or its
        network is somebody's own and not imported.
        """
        from mien.recognize.bundled import find_model
        from mien.recognize.model_card import read_card

        card = read_card(find_model(model))
        name = str(card.network["network"])
        require_loaded(name, f"give --model {name} too if you trust it, or in Python import {name.partition(':')[0]} before")
        copies = {key: value for key, value in self.model.items() if key == "copies"}
        network = {key: value for key, value in card.network.items() if key != "copies"} | copies
        start = {"technique": "weights", "path": str(model)}
        return self.with_settings({"model": network, "normalize": card.normalize, "start": start})

    def with_epochs(self, epochs: int) -> "Recipe":
        """This recipe over `epochs` epochs in all, shared among its stages in proportion, each at least one."""
        require_fitting(Count, epochs=epochs)
        if epochs < len(self.stages):
            raise MienError(f"at least {len(self.stages)} epochs, one a stage", f"{epochs}", "give more epochs")
        table, total = self.table(), sum(stage.epochs for stage in self.stages)
        left = epochs
        for number, stage in enumerate(table["stages"]):
            after = len(self.stages) - number - 1
            stage["epochs"] = min(left - after, max(1, round(epochs * stage["epochs"] / total))) if after else left
            left -= stage["epochs"]
        return Recipe.parse(table)


def recipe_comment(name: Path | str) -> str:
    """What a recipe's file says before its first key: what it takes from its paper and what it changes."""
    path = _file(name)
    text = _inside(name) if path is None else read_bytes(path, "mend the file", MOST_TOML).decode("utf-8", "replace")
    lines = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    return "\n".join(line.removeprefix("#").strip() for line in lines)


def trust_recipe(name: Path | str) -> None:
    """Import the modules beyond mien that a recipe's file names, or its base, and those of the recipes that it names: what they
    hold is run.

    Raises MienError where the file is no recipe, or a module cannot be imported.
    """
    left, seen = [str(name)], set[str]()
    while left:
        file = left.pop()
        if file not in seen:
            seen.add(file)
            table = _read(file)
            import_named(table)
            left += files_of(table)


def files_of(values: Any) -> list[str]:
    """The recipes' files that nested settings name, such as that of a teacher."""
    if isinstance(values, Mapping):
        values = list(values.values())
    if isinstance(values, list | tuple):
        return [file for value in values for file in files_of(value)]
    return [values] if isinstance(values, str) and values.endswith(".toml") and os.path.isfile(values) else []


def _read(name: Path | str) -> dict[str, Any]:
    """What a recipe's file says, with all that it is based on."""
    return with_bases(_as_it_stands(name), name, _as_it_stands)


def _as_it_stands(name: Path | str) -> dict[str, Any]:
    path = _file(name)
    return tomllib.loads(_inside(name)) if path is None else read_toml(path, "mend the file")


def _file(name: Path | str) -> Path | None:
    """The file that a recipe is read from; None for one that mien brings. Raises MienError where there is neither."""
    path = Path(name)
    if path.suffix == ".toml" and not os.path.isfile(path):
        raise MienError("a recipe file", f"nothing at {path}", "check the path")
    if path.suffix != ".toml" and str(name) not in recipe_names():
        raise MienError(
            f"a recipe among {', '.join(recipe_names())}",
            with_suggestion(str(name), recipe_names()),
            "choose one, or name a .toml file",
        )
    return path if path.suffix == ".toml" else None


def _inside(name: Path | str) -> str:
    return (resources.files("mien.recipes") / f"{name}.toml").read_text("utf-8")


def recipe_names() -> list[str]:
    """The recipes that mien brings."""
    return sorted(Path(entry.name).stem for entry in resources.files("mien.recipes").iterdir() if entry.name.endswith(".toml"))


def with_values(table: dict[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The table with values changed by key, as `Recipe.with_settings` says."""
    for key, value in settings.items():
        _put(table, key, parse_word(value) if isinstance(value, str) else value)
    return table


def _is_place(text: str) -> bool:
    """Whether it is the number of a place in a list."""
    return text.isascii() and text.isdigit() and len(text) < 10


def _put(table: Any, key: str, value: Any) -> None:
    """Set `key`, names and numbers with dots between them, in nested tables."""
    first, _, rest = key.partition(".")
    if isinstance(table, list):
        if not _is_place(first) and len(table) == 1:
            # A list of one answer may be spoken of as that answer: weigh.power for weigh.0.power.
            _put(table[0], key, value)
            return
        if not _is_place(first) or int(first) >= len(table):
            raise MienError(
                f"a number from 0 to {len(table) - 1} before {rest or first!r}", repr(first), "say which one, as in stages.0.lr"
            )
    elif not isinstance(table, dict) or (rest and first not in table):
        known = ", ".join(table) if isinstance(table, dict) else "nothing"
        raise MienError(
            f"a key among {known}", with_suggestion(first, table if isinstance(table, dict) else ()), "choose one of those"
        )
    place: Any = int(first) if isinstance(table, list) else first
    if not rest:
        table[place] = value
        return
    if isinstance(table[place], str):
        table[place] = _answer(table[place], "network" if place == "model" else "technique")
    _put(table[place], rest, value)


@dataclass(frozen=True, config=STRICT)
class Components:
    """The techniques that answer the questions in one stage."""

    start: Any
    draw: Any
    targets: Any
    weigh: tuple[Any, ...]
    loss: Any
    unlabeled: Any
    step: Any

    def all(self) -> tuple[Any, ...]:
        """In the order of the questions."""
        return self.start, self.draw, self.targets, *self.weigh, self.loss, self.unlabeled, self.step

    @staticmethod
    def of(recipe: Recipe, stage: Stage) -> "Components":
        """Built from the recipe and what the stage answers otherwise; raises MienError for what is unknown."""
        answers = {question: getattr(recipe, question) for question in QUESTIONS} | (stage.answers or {})
        weigh = answers["weigh"] if isinstance(answers["weigh"], tuple) else (answers["weigh"],)
        if not weigh:
            raise MienError("an answer to weigh", "an empty list", "name one, such as equal")
        made = {q: build_component(f"mien.techniques.{q}", answers[q], "technique") for q in QUESTIONS if q != "weigh"}
        return Components(weigh=tuple(build_component("mien.techniques.weigh", entry, "technique") for entry in weigh), **made)


def known_components() -> dict[str, list[str]]:
    """For each question, and `model`, the names of the answers that mien brings."""
    return {q: component_names(f"mien.techniques.{q}") for q in QUESTIONS} | {"model": component_names("mien.models")}
