"""A model on disk: model.safetensors (weights), model.json (the card) and, where it was exported, model.onnx (the network, whose
weights stay where they are). No pickle is ever read."""

import hashlib
import math
from dataclasses import field
from pathlib import Path
from typing import (
    Annotated,
    Any,  # pydantic takes no others before Python 3.12
)

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from mien.data.faceset import Normalization
from mien.data.format import Info
from mien.disk import read_bytes, require_regular, require_utf8_path, write_atomically
from mien.errors import MienError
from mien.json_text import to_json
from mien.json_toml import parse_json, read_json, read_settings, settings_of_file
from mien.recognize.bundled import BOX
from mien.recognize.weights_file import WeightsFile, check_weights
from mien.settings import STRICT, CountOrZero, NotNegative, Share, settings_from
from mien.tabular.parquet_files import LABEL_COLUMNS, read_table
from mien.wording import plain_text, short_name, suggestion

WEIGHTS, CARD, GRAPH = "model.safetensors", "model.json", "model.onnx"
"""Files of a model folder."""
RUN = "run.json"
"""In the folder of a run."""
VERSION = 1
"""Of a card."""
MOST_CARD, MOST_WEIGHTS, MOST_GRAPH = 1 << 24, 1 << 32, 1 << 21
"""Bytes of the files, at most; weights in a graph lie beside it."""
MOST_SIDE = 2048
"""Pixels of a face's side."""
Temperature = Annotated[float, Field(ge=1e-3, le=1e3, allow_inf_nan=False)]
"""What is fitted lies between 0.05 and 20."""
Figure = Annotated[float, Field(allow_inf_nan=True), BeforeValidator(lambda value: math.nan if value is None else value)]
"""null stands for nan; old cards have that."""
LARGE = 256 << 20
"""Bytes of a file that is looked through before it is read."""
FACES, LOGITS = "faces", "logits"
"""Input and output of the graph."""


@dataclass(frozen=True, config=STRICT)
class ModelCard:
    """What has to be known to use a model, and what ought to be known before: the content of model.json."""

    network: dict[str, Any]
    """Its file in models/ and its settings."""
    classes: tuple[str, ...]
    """Names of the outputs, in order."""
    faces: Info
    """What the faces were that it was trained on: kind, side, channels, source, license, checksum. `alignment` is how faces are
    cut out of photos for it: as those were, unless it was exported with another way."""
    normalize: Normalization = "fixed"
    """How gray values are scaled."""
    temperature: Temperature = 1.0
    """Logits are divided by this before the softmax; fitted on validation."""
    least: Share = 0.5
    """A class is possible from this probability on; fitted on validation so that the true class is possible for about 90 %
    of faces."""
    sure: Share = 0.8
    """An answer is sure where one class alone is possible and has at least this probability; fitted on validation so that sure
    answers are right for about 95 % of faces. 1: none is. Cards that do not say have the default."""
    recipe: dict[str, Any] = field(default_factory=dict)
    """The recipe, every default written out."""
    budget: dict[str, Any] = field(default_factory=dict)
    """Labels used, validation included, and how they were drawn."""
    sources: tuple[dict[str, Any], ...] = ()
    """Models that it began with, directly or not: network, weights' hash, checksum of their faces, their label budget."""
    metrics: dict[str, Figure] = field(default_factory=dict)
    """Figures on validation."""
    seed: int = 0
    """Seed of the run."""
    weights: str = ""
    """sha256 of model.safetensors."""
    graph: str = ""
    """sha256 of model.onnx; none where the model was not exported."""
    version: int = VERSION
    """Version of this format."""


@dataclass(frozen=True)
class _History:
    """The content of history.json."""

    epochs: list[dict[str, int | Figure]]


_TOLD = ConfigDict(extra="ignore", allow_inf_nan=False)


@dataclass(frozen=True, config=_TOLD)
class _Budget:
    """What is read of a label budget; others of its keys are told alone."""

    train: CountOrZero = 0
    validation: CountOrZero = 0
    unlabeled: CountOrZero = 0
    split: str = ""
    noise: Share = 0.0
    classes: dict[str, NotNegative] = field(default_factory=dict)
    frequencies: dict[str, NotNegative] = field(default_factory=dict)


@dataclass(frozen=True, config=_TOLD)
class _Source:
    """What is read of a model that another began with."""

    network: dict[str, Any]
    weights: str
    budget: _Budget = _Budget()
    faces: str = ""
    used: list[str] = field(default_factory=list)


def _require_told(card: ModelCard) -> None:
    """Raises MienError where what is told of labels and of earlier models is of other kinds than mien writes."""
    settings_from(_Budget, card.budget)
    for source in card.sources:
        settings_from(_Source, source)


def model_folder(path: Path) -> Path:
    """The model folder at `path`, which may be a run. Raises MienError where there is none."""
    require_utf8_path(path)
    for folder in (path / "model", path):
        if (folder / CARD).is_file():
            return folder
    if (path / RUN).is_file():
        raise MienError(f"a finished run at {path}", "one that was interrupted", f"go on with it: mien resume {path}")
    raise MienError(
        f"a run or a model at {path}", f"no model.json{suggestion(path, BOX)}", "train one with mien train, or check the path"
    )


def read_card(path: Path) -> ModelCard:
    """The card of the model or run at `path`. Raises MienError for one of another version, and for values that make no sense."""
    file = model_folder(path) / CARD
    _require_size(file, MOST_CARD)
    values = read_json(file, "train the model again")
    if values.get("version", VERSION) != VERSION:
        raise MienError(
            f"a model of version {VERSION}", f"version {short_name(values['version'])}", "read it with the mien that wrote it"
        )
    card = settings_from(ModelCard, values)
    if not isinstance(card.network.get("network"), str):
        raise MienError(f"the name of a network in {file}", "none", "train the model again")
    side, channels = card.faces.side, card.faces.channels
    if not (0 <= side <= MOST_SIDE and channels >= 1) or (card.faces.kind == "faces" and channels not in (1, 3)):
        expected = f"faces of at most {MOST_SIDE} pixels and 1 or 3 channels in {file}"
        raise MienError(expected, f"{side} pixels, {channels} channels", "train the model again")
    _require_told(card)
    if len(set(card.classes)) != len(card.classes):
        raise MienError(f"classes that differ in {file}", _listed(card.classes), "train the model again")
    if card.classes != card.faces.classes:
        found = f"{_listed(card.classes)} and {_listed(card.faces.classes)}"
        raise MienError(f"the same classes of the model and of its faces in {file}", found, "train the model again")
    return card


def _listed(classes: tuple[str, ...]) -> str:
    return plain_text(", ".join(map(short_name, classes)), 400) or "none"


def is_of_run(path: Path) -> bool:
    """Whether the model at `path` lies in a run, or is the model of one of its stages."""
    folder = model_folder(path).absolute()
    return any((place / RUN).is_file() for place in (folder, *folder.parents[:2]))


def read_weights_file(path: Path, card: ModelCard) -> WeightsFile:
    """The weights of the model or run at `path`. Raises MienError where they are not those that its card names, or no numbers."""
    file = model_folder(path) / WEIGHTS
    return check_weights(_read_file(file, card.weights, MOST_WEIGHTS), file)


def read_graph(path: Path, card: ModelCard) -> bytes | None:
    """The network as a file of ONNX, whose weights lie in the file beside it; None where the model was not exported.

    Raises MienError where it is not the one that its card names.
    """
    return _read_file(model_folder(path) / GRAPH, card.graph, MOST_GRAPH) if card.graph else None


def _require_size(file: Path, most: int) -> None:
    if file.stat().st_size > most:
        raise MienError(f"a file of at most {most:,} bytes at {file}", f"{file.stat().st_size:,}", "take another model")


def _read_file(file: Path, sha256: str, most: int) -> bytes:
    if not file.is_file():
        raise MienError(f"a file of the model at {file}", "no such file", "train the model again, or copy its folder whole")
    _require_size(file, most)
    if require_regular(file, "copy the model again") > LARGE:
        # A file of nothing but zeros takes no room on disk, and all of it in memory.
        with file.open("rb") as opened:
            _require_hash(file, hashlib.file_digest(opened, "sha256").hexdigest(), sha256)
    content = file.read_bytes()
    _require_hash(file, hashlib.sha256(content).hexdigest(), sha256)
    return content


def _require_hash(file: Path, found: str, sha256: str) -> None:
    if found != sha256:
        raise MienError(f"sha256 {sha256[:12]}… of {file}", f"{found[:12]}…", "it was changed: copy it again, or train it")


def require_alike(card: ModelCard, info: Info) -> None:
    """Raises MienError where faces like those of `info` are not of the kind that the model was trained on."""
    for key in ("kind", "side", "channels"):
        wanted, found = getattr(card.faces, key), getattr(info, key)
        if wanted != found:
            raise MienError(f"faces of {key} {wanted}, as the model was trained on", f"{found}", "import them with that")


def read_used(path: Path) -> set[str]:
    """Ids of the faces whose labels a run trained on or validated with; empty for a model folder that has no list."""
    file = path / "budget.parquet"
    return set(read_table(file, {"id": LABEL_COLUMNS["id"]}, "train again").column(0).to_pylist()) if file.is_file() else set()


def note_source(folder: Path, source: Path, checksum: str = "") -> None:
    """Note in a run's folder that it began with the model at `source`, whose labels so count for the run as well.

    `checksum`: of the set that these labels are of, where the card says another.
    """
    card = read_card(source)
    faces = checksum or card.faces.checksum
    entry = {"network": card.network, "weights": card.weights, "faces": faces, "budget": card.budget}
    known = [entry | {"used": sorted(read_used(source))}, *read_sources(source)]
    write_atomically(folder / "sources.json", to_json(known).encode())


def read_sources(path: Path) -> list[dict[str, Any]]:
    """The models that a run began with, and those that they began with: network, weights, faces, budget, used ids."""
    files = [path / "sources.json", *sorted(path.glob("parts/*/sources.json"))]
    return [entry for file in files if file.is_file() for entry in _read_list(file)]


def _read_list(file: Path) -> list[dict[str, Any]]:
    values = parse_json(read_bytes(file, "train again"), str(file), "train again")
    if not isinstance(values, list):
        raise MienError(f"a list of models in {file}", type(values).__name__, "train again")
    for entry in values:
        settings_of_file(_Source, entry, file, "train again")
    return values


def read_history(path: Path) -> list[dict[str, float]]:
    """Figures of every epoch of a run; empty for a model folder that has none."""
    file = path / "history.json"
    return read_settings(_History, file, "remove it").epochs if file.is_file() else []


def write_history(path: Path, epochs: list[dict[str, float]]) -> None:
    """Write the figures of every epoch of a run."""
    write_atomically(path / "history.json", to_json({"epochs": epochs}).encode())
