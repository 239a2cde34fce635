"""A recipe of training: an answer to each of its questions, one component each, and the stages in which it happens."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, field_validator
from pydantic.dataclasses import dataclass

from mien.data.augment import Augmentation
from mien.data.faceset import Normalization
from mien.errors import MienError
from mien.json_toml import require_simple
from mien.recipes.base import BASE, with_bases
from mien.recipes.changed_values import with_values
from mien.recipes.recipe_files import files_of, own_recipe_text, read_recipe, read_recipe_alone, trust_recipe
from mien.registry import build_component, component_names, import_named, naming_file, require_loaded
from mien.settings import STRICT, Count, NotNegative, Share, plain_errors, require_fitting, settings_from
from mien.wording import brief_repr, with_suggestion

MOST_STAGES = 1000
"""Most stages of a recipe."""

QUESTIONS = ("start", "draw", "targets", "weigh", "loss", "unlabeled", "step")
"""The questions that techniques/ answers, one folder each."""

Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
"""A share from 0 to below 1."""

Answer = dict[str, Any]
"""An answer as it stands in a recipe: the component's file name under `technique` (or `network`), and its settings."""


def _answer(value: Any, key: str = "technique") -> Any:
    return {key: value} if isinstance(value, str) else value


def _answers(value: Any) -> Any:
    return [_answer(entry) for entry in value] if isinstance(value, list | tuple) else _answer(value)


@plain_errors
@dataclass(frozen=True, config=STRICT)
class Stage:
    """A stage of training: epochs under one optimizer and schedule; it may answer any question in its own way."""

    epochs: Count
    """Number of passes over the labeled faces."""
    lr: NotNegative
    """Learning rate at the schedule's highest point."""
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] = "sgd"
    """The optimizer; `sgd` has Nesterov momentum .9."""
    weight_decay: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = 5e-4
    """Decay of weight matrices; biases and normalization are left alone."""
    schedule: Literal["constant", "cosine", "step", "one_cycle"] = "constant"
    """Course of the learning rate: `one_cycle` rises over `warmup` and anneals to 0; `step` multiplies by 0.1 at `drops`."""
    warmup: Fraction = 0.15
    """Share of the stage in which the learning rate of `one_cycle` rises."""
    drops: tuple[Share, ...] = (0.5, 0.75)
    """Shares of the stage after which the learning rate of `step` drops."""
    frozen: tuple[str, ...] = ()
    """Names of the network's blocks whose weights stay as they are."""
    answers: dict[str, Answer | tuple[Answer, ...]] | None = None
    """Questions that this stage answers in another way than the recipe, with their answers."""

    @field_validator("answers", mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        return {key: _answers(entry) for key, entry in value.items()} if isinstance(value, dict) else value


@plain_errors
@dataclass(frozen=True, config=STRICT)
class Recipe:
    """How a recognizer is trained. Read one by name or from a TOML file with `Recipe.load`."""

    stages: Annotated[tuple[Stage, ...], Field(max_length=MOST_STAGES)]
    """The stages, one after the other; the best model and the figures of each are kept."""
    model: Answer
    """The network (a file in models/) and its settings."""
    start: Answer
    """Where do the weights come from?"""
    draw: Answer
    """Which faces make a batch?"""
    targets: Answer
    """What should each face be taught?"""
    weigh: Annotated[tuple[Answer, ...], Field(min_length=1)]
    """How much does each face count? Weights of several answers are multiplied."""
    loss: Answer
    """How is a miss charged?"""
    unlabeled: Answer
    """What do faces without labels teach?"""
    step: Answer
    """When is an update kept?"""
    augment: Augmentation = Augmentation()
    """How far augmentation distorts views."""
    normalize: Normalization = "fixed"
    """How gray values are scaled: on a `fixed` scale, or to zero mean and unit variance of every `face`."""
    batch: Count = 128
    """Number of labeled faces in a batch."""
    unlabeled_batch: Count = 128
    """Number of faces without labels in a batch."""
    validation: Fraction = 0.2
    """Share of the given labels that choose the model and the temperature; they are part of the label budget."""
    choose: Literal["accuracy", "average_accuracy", "loss", "last"] = "accuracy"
    """The figure on validation by which the best model is kept; `last` keeps the last one."""
    average: Fraction = 0.0
    """Decay of the moving average of the weights that is validated and kept; 0 for none."""
    prior: Share = 0.0
    """How far the kept model follows the classes' frequencies that it finds among unlabeled faces: 0 not at all, 1 wholly."""
    statistics: Literal["labeled", "all", "unlabeled"] = "labeled"
    """Whose statistics batch normalization keeps: of `labeled` batches, of `all`, or in the end of `unlabeled` faces: AdaBN."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision of training; `auto` takes bfloat16 where the processor multiplies such numbers, else float32."""
    compile: bool = False
    """Whether torch.compile fuses the network; needs a C++ compiler on a CPU."""
    transductive: bool = False
    """Whether faces of the test split may be trained on without their labels."""
    control: bool = False
    """Whether unlabeled faces are drawn and looked at as ever but teach nothing: the control of a comparison."""
    title: str = ""
    """What the recipe is, in a line, and where it was published."""

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
            build_techniques(self, stage)
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
            return Recipe.parse(read_recipe(name))

    @staticmethod
    def parse(table: Mapping[str, Any], trusted: bool = False) -> "Recipe":
        """The recipe of this table; a question without an answer gets that of `base`, or else that of `supervised`.

        `trusted`: modules beyond mien that the table names are imported, and so run. Raises MienError where the table is wrong.
        """
        if not isinstance(table, Mapping):
            raise MienError("a recipe's keys and values", brief_repr(table), "give a table")
        require_simple(dict(table), "a recipe", "give simpler values")
        table = with_bases(table, None, read_recipe_alone)
        if trusted:
            import_named(table)
            for file in files_of(table):
                trust_recipe(file)
        plain = tomllib.loads(own_recipe_text("supervised"))
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
        """A copy of the recipe with the value at `key` changed; see `with_settings`."""
        return self.with_settings({key: value})

    def with_settings(self, settings: Mapping[str, Any]) -> "Recipe":
        """A copy of the recipe with values changed by key: `draw`, `step.temperature`, `stages.0.lr`, `augment.weak.flip`.

        A text that is JSON is read as such. Raises MienError for an unknown key.
        """
        if BASE in settings:
            raise MienError("a value of the recipe to change", BASE, "name that recipe itself, or write a TOML file with a base")
        return Recipe.parse(with_values(self.table(), settings))

    def with_network(self, name: str) -> "Recipe":
        """A copy of the recipe with another network, which has as many copies of its last layer.

        For a network that takes gray values as they are (`vgg16`, a face net), `normalize` becomes `fixed`.
        """
        from mien.models import architecture

        copies = {key: value for key, value in self.model.items() if key == "copies"}
        made = self.set("model", {"network": name, **copies})
        return made.set("normalize", "fixed") if architecture(made.model).takes_gray_values else made

    def with_start(self, model: Path | str) -> "Recipe":
        """A copy of the recipe that starts from the weights of `model`: mien-s, a run or a model folder.

        It takes over the model's network and scale of gray values. Raises MienError where there is no such model, or its
        network's module is not imported.
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
        """A copy of the recipe with `epochs` epochs in all, shared among its stages in proportion; each has at least one.

        Raises MienError for fewer epochs than stages.
        """
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


def build_techniques(recipe: Recipe, stage: Stage) -> dict[str, tuple[Any, ...]]:
    """The techniques by question, those of the recipe and those by which the stage answers otherwise; one each, but for weigh.

    Raises MienError for a technique that is unknown, and for settings that do not fit it.
    """
    answers = {question: getattr(recipe, question) for question in QUESTIONS} | (stage.answers or {})
    listed = isinstance(answers["weigh"], tuple)
    if listed and not answers["weigh"]:
        raise MienError("an answer to weigh", "an empty list", "name one, such as equal")
    several = {q: answers[q] if q == "weigh" and listed else (answers[q],) for q in QUESTIONS}
    return {q: tuple(build_component(f"mien.techniques.{q}", entry, "technique") for entry in several[q]) for q in QUESTIONS}


def known_components() -> dict[str, list[str]]:
    """For each question, and `model`, the names of the answers that mien brings."""
    return {q: component_names(f"mien.techniques.{q}") for q in QUESTIONS} | {"model": component_names("mien.models")}
