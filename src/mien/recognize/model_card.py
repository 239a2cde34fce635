"""A model's card, model.json: its network, classes and faces, its thresholds, and the labels that it learned from."""

import math
from collections.abc import Mapping
from dataclasses import asdict, field
from pathlib import Path
from typing import (
    Annotated,
    Any,  # pydantic takes no others before Python 3.12
)

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from mien.data.info import Info, Normalization
from mien.errors import MienError
from mien.json_toml import read_json
from mien.recognize.model_folder import CARD, MOST_CARD, model_folder, require_size
from mien.recognize.unlike_training import UnlikeTraining, read_centers
from mien.settings import STRICT, CountOrZero, Finite, NotNegative, Share, settings_from
from mien.wording import plain_text, short_name

VERSION = 1
"""Version of the card's format."""
MOST_SIDE = 2048
"""Most pixels on a side of a face."""
KEYS = {"conformal_threshold": "least", "class_thresholds": "least_by_class", "confidence_threshold": "sure"}
"""Keys in model.json that are not the field's name."""
Temperature = Annotated[float, Field(ge=1e-3, le=1e3, allow_inf_nan=False)]
"""A temperature in a card; those that mien fits lie between 0.05 and 20."""
Figure = Annotated[float, Field(allow_inf_nan=True), BeforeValidator(lambda value: math.nan if value is None else value)]
"""A measured number; null in the file stands for nan, which old cards have."""


@dataclass(frozen=True, config=STRICT)
class ModelCard:
    """What one has to know to use a model, and ought to know before: the content of model.json."""

    network: dict[str, Any]
    """The network's file in models/ under `network`, and its settings."""
    classes: tuple[str, ...]
    """Names of the network's outputs, in order."""
    faces: Info
    """The faces that the model was trained on: kind, side, channels, source, license, checksum.

    `alignment` says how faces are cut out of photos for the model: as its training faces were, unless it was exported with
    another way.
    """
    normalize: Normalization = "fixed"
    """How gray values are scaled."""
    temperature: Temperature = 1.0
    """Logits are divided by this before the softmax; fitted on validation."""
    conformal_threshold: Share = 0.5
    """A class is possible from this probability on; `least` in the file.

    Fitted on validation so that the true class is possible for about 90 % of faces.
    """
    class_thresholds: tuple[Share, ...] = ()
    """From which probability on each class is possible, where classes have thresholds of their own; `least_by_class` in the file.

    Fitted so that each class is possible for about 90 % of its own faces; classes of few faces have `conformal_threshold`. Empty
    where that one holds for all.
    """
    unlike: UnlikeTraining | None = None
    """Which faces are unlike those of training; None where the model cannot tell."""
    confidence_threshold: Share = 0.8
    """An answer is sure where a single class is possible and has at least this probability; `sure` in the file.

    Fitted on validation so that about 95 % of the sure answers are right. At 1 no answer is sure. Cards without it have the
    default.
    """
    resting: tuple[Finite, ...] = ()
    """What the model takes a usual neutral face for: the median over validation of each class's log-odds against neutral.

    In nats, by class; empty where it is not known. `mien predict --baseline` needs it.
    """
    recipe: dict[str, Any] = field(default_factory=dict)
    """The recipe with every default written out."""
    budget: dict[str, Any] = field(default_factory=dict)
    """The labels that were used, validation included, and how they were drawn."""
    sources: tuple[dict[str, Any], ...] = ()
    """The models that this one began with, directly or not.

    Of each the network, the hash of the weights, the label budget, and the set's checksum and name.
    """
    metrics: dict[str, Figure] = field(default_factory=dict)
    """Figures on validation, by name."""
    seed: int = 0
    """The run's seed."""
    weights: str = ""
    """sha256 of model.safetensors."""
    graph: str = ""
    """sha256 of model.onnx; empty where the model was not exported."""
    version: int = VERSION
    """Version of the card's format."""

    @property
    def possible_from(self) -> tuple[float, ...]:
        """From which probability on each class is possible, (K,)."""
        return self.class_thresholds or (self.conformal_threshold,) * len(self.classes)

    def possible_where_unlike(self, unlike: bool | None) -> tuple[float, ...]:
        """The least probability of each possible class, (K,), for a face: lower where it is `unlike` those of training."""
        if not unlike or self.unlike is None:
            return self.possible_from
        return tuple(min(one, self.unlike.least) for one in self.possible_from)

    def to_json(self) -> dict[str, Any]:
        """The card as it stands in model.json."""
        return {KEYS.get(name, name): value for name, value in asdict(self).items()}


_TOLD = ConfigDict(extra="ignore", allow_inf_nan=False)


@dataclass(frozen=True, config=_TOLD)
class CardBudget:
    """The keys of a card's label budget that mien reads; a budget may hold others, too."""

    train: CountOrZero = 0
    """Labels that were trained on."""
    validation: CountOrZero = 0
    """Labels that chose the model and fitted its thresholds."""
    unlabeled: CountOrZero = 0
    """Faces that were learned from without their labels."""
    also: str = ""
    """Name and checksum of a further set whose labels joined."""
    also_labels: CountOrZero = 0
    """How many of the labels that were trained on are of that set."""
    also_checksum: str = ""
    """The whole checksum of that set."""
    split: str = ""
    """The split that the labels were drawn from."""
    noise: Share = 0.0
    """Share of the labels that were flipped on purpose."""
    classes: dict[str, NotNegative] = field(default_factory=dict)
    """Labels of each class."""
    frequencies: dict[str, NotNegative] = field(default_factory=dict)
    """How frequent the model takes each class to be, as counts."""


@dataclass(frozen=True, config=_TOLD)
class SourceModel:
    """The keys that mien reads of a model that another one began with."""

    network: dict[str, Any]
    """The network's file in models/, and its settings."""
    weights: str
    """sha256 of the weights."""
    budget: CardBudget = CardBudget()
    """The labels that it learned from."""
    faces: str = ""
    """Checksum of the set that it learned from."""
    name: str = ""
    """Name of that set."""
    used: list[str] = field(default_factory=list)
    """Ids of the faces whose labels it used."""


def read_card(path: Path) -> ModelCard:
    """The card of the model or run at `path`.

    Raises MienError for a card of another version, or with values that make no sense.
    """
    file = model_folder(path) / CARD
    require_size(file, MOST_CARD)
    return card_from(read_json(file, "train the model again"), file)


def card_from(values: Mapping[str, Any], file: Path) -> ModelCard:
    """The card of these values, as they stand in model.json; `file`: where they were read. Raises MienError as `read_card`."""
    if values.get("version", VERSION) != VERSION:
        raise MienError(
            f"a model of version {VERSION}", f"version {short_name(values['version'])}", "read it with the mien that wrote it"
        )
    card = _from_json(values)
    if not isinstance(card.network.get("network"), str):
        raise MienError(f"the name of a network in {file}", "none", "train the model again")
    side, channels = card.faces.side, card.faces.channels
    if not (0 <= side <= MOST_SIDE and channels >= 1) or (card.faces.kind == "faces" and channels not in (1, 3)):
        expected = f"faces of at most {MOST_SIDE} pixels and 1 or 3 channels in {file}"
        raise MienError(expected, f"{side} pixels, {channels} channels", "train the model again")
    _require_told(card)
    for what, given in (("resting value", card.resting), ("value of `least_by_class`", card.class_thresholds)):
        if len(given) not in (0, len(card.classes)):
            expected = f"a {what} for each of {len(card.classes)} classes in {file}"
            raise MienError(expected, f"{len(given)}", "train the model again")
    if card.unlike is not None:
        read_centers(card.unlike.centers, card.unlike.width)
    if len(set(card.classes)) != len(card.classes):
        raise MienError(f"classes that differ in {file}", _class_list(card.classes), "train the model again")
    if card.classes != card.faces.classes:
        found = f"{_class_list(card.classes)} and {_class_list(card.faces.classes)}"
        raise MienError(f"the same classes of the model and of its faces in {file}", found, "train the model again")
    return card


def require_alike(card: ModelCard, info: Info) -> None:
    """Raises MienError where faces like those of `info` are not of the kind, side or channels that the model was trained on."""
    for key in ("kind", "side", "channels"):
        wanted, found = getattr(card.faces, key), getattr(info, key)
        if wanted != found:
            raise MienError(f"faces of {key} {wanted}, as the model was trained on", f"{found}", "import them with that")


def _from_json(values: Mapping[str, Any]) -> ModelCard:
    """The card of these values from model.json. Raises MienError, which names the file's keys, where they do not fit."""
    for key, value in values.items():
        if key in KEYS or key in KEYS.values():
            settings_from(_Thresholds, {key: value})  # a message then names the key that stands in the file
    names = {key: name for name, key in KEYS.items()}
    return settings_from(ModelCard, {names.get(key, key): value for key, value in values.items()})


@dataclass(frozen=True, config=STRICT)
class _Thresholds:
    """The thresholds under their keys in model.json."""

    least: Share = 0.5
    least_by_class: tuple[Share, ...] = ()
    sure: Share = 0.8


def _require_told(card: ModelCard) -> None:
    """Raises MienError where a card's label budget or source models are not as mien writes them."""
    settings_from(CardBudget, card.budget)
    for source in card.sources:
        settings_from(SourceModel, source)


def _class_list(classes: tuple[str, ...]) -> str:
    return plain_text(", ".join(map(short_name, classes)), 400) or "none"
