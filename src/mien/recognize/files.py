"""A model on disk: model.safetensors (weights) and model.json (the card). No pickle is ever read."""

import hashlib
import json
from dataclasses import asdict, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from pydantic.dataclasses import dataclass
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from mien.data.augment import Normalization
from mien.data.faceset import Info
from mien.disk import read_json, write_aside
from mien.errors import MienError
from mien.models import Copies, Network, architecture, head_copies
from mien.registry import STRICT, validate


@dataclass(frozen=True, config=STRICT)
class Card:
    """What has to be known to use a model, and what ought to be known before: the content of model.json."""

    network: dict[str, Any]
    """Its file in models/ and its settings."""
    classes: tuple[str, ...]
    """Names of the outputs, in order."""
    faces: Info
    """What the faces were that it was trained on: kind, side, channels, alignment, source, license, checksum."""
    normalize: Normalization = "fixed"
    """How gray values are scaled."""
    temperature: float = 1.0
    """Logits are divided by this before the softmax; fitted on validation."""
    least: float = 0.5
    """A class is possible from this probability on; fitted on validation so that the true class is possible for 90 % of faces."""
    recipe: dict[str, Any] = field(default_factory=dict)
    """The recipe, every default written out."""
    budget: dict[str, Any] = field(default_factory=dict)
    """Labels used, validation included, and how they were drawn."""
    sources: tuple[dict[str, Any], ...] = ()
    """Models that it began with, directly or not: network, weights' hash, checksum of their faces, their label budget."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Figures on validation."""
    seed: int = 0
    """Seed of the run."""
    weights: str = ""
    """sha256 of model.safetensors."""
    version: int = 1
    """Version of this format."""


def write_model(folder: Path, weights: dict[str, Tensor], card: Card) -> None:
    """Write weights and card into `folder`; the card, which names the weights' hash, comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    content = save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})
    values = asdict(card) | {"weights": hashlib.sha256(content).hexdigest()}
    write_aside(folder / "model.safetensors", content)
    write_aside(folder / "model.json", json.dumps(values, indent=1, ensure_ascii=False, default=str).encode())


def model_folder(path: Path) -> Path:
    """The model folder at `path`, which may be a run. Raises MienError where there is none."""
    for folder in (path / "model", path):
        if (folder / "model.json").is_file():
            return folder
    if (path / "run.json").is_file():
        raise MienError(f"a finished run at {path}", "one that was interrupted", f"go on with it: mien resume {path}")
    raise MienError(f"a run or a model at {path}", "no model.json", "train one with mien train, or check the path")


def read_card(path: Path) -> Card:
    """The card of the model or run at `path`."""
    values = read_json(model_folder(path) / "model.json", "train the model again")
    return validate(Card, values)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights of the model or run at `path`. Raises MienError where they are not those the card names."""
    folder = model_folder(path)
    card, file = read_card(path), folder / "model.safetensors"
    if not file.is_file():
        raise MienError(f"weights at {file}", "no such file", "train the model again")
    content = file.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != card.weights:
        raise MienError(f"sha256 {card.weights[:12]}… of {file}", f"{found[:12]}…", "train the model again: it was changed")
    try:
        return load_tensors(content)
    except SafetensorError as error:
        raise MienError(f"safetensors in {file}", str(error), "train the model again") from error


def build_network(network: dict[str, Any], classes: int, info: Info, seed: int = 0) -> Network:
    """The network of these settings for faces (or features) like those of `info`, its weights random by `seed`.

    The caller's random state is left alone.
    """
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        made = architecture(network).build(classes, info.channels, info.side)
        copies = head_copies(network)
        if copies > 1:
            made.head = Copies(made.head, copies)
        return made


def read_network(path: Path) -> Network:
    """The network at `path` with its weights, in eval mode. Raises MienError where it is an autoencoder."""
    card = read_card(path)
    if not card.classes:
        raise MienError(f"a recognizer at {path}", "an autoencoder, which knows no classes", "name the run of a recognizer")
    network = build_network(card.network, len(card.classes), card.faces)
    network.load_state_dict(read_weights(path))
    return network.eval()


def require_alike(card: Card, info: Info) -> None:
    """Raises MienError where faces like those of `info` are not of the kind that the model was trained on."""
    for key in ("kind", "side", "channels"):
        wanted, found = getattr(card.faces, key), getattr(info, key)
        if wanted != found:
            raise MienError(f"faces of {key} {wanted}, as the model was trained on", f"{found}", "import them with that")


def read_used(path: Path) -> set[str]:
    """Ids of the faces whose labels a run trained on or validated with; empty for a model folder that has no list."""
    file = path / "budget.parquet"
    return set(pq.read_table(file, columns=["id"]).column(0).to_pylist()) if file.is_file() else set()


def note_source(folder: Path, source: Path, checksum: str = "") -> None:
    """Note in a run's folder that it began with the model at `source`, whose labels so count for the run as well.

    `checksum`: of the set that these labels are of, where the card says another.
    """
    card = read_card(source)
    faces = checksum or card.faces.checksum
    entry = {"network": card.network, "weights": card.weights, "faces": faces, "budget": card.budget}
    known = [entry | {"used": sorted(read_used(source))}, *read_sources(source)]
    write_aside(folder / "sources.json", json.dumps(known, indent=1, default=str).encode())


def read_sources(path: Path) -> list[dict[str, Any]]:
    """The models that a run began with, and those that they began with: network, weights, faces, budget, used ids."""
    files = [path / "sources.json", *sorted(path.glob("parts/*/sources.json"))]
    return [entry for file in files if file.is_file() for entry in json.loads(file.read_text("utf-8"))]


def read_history(path: Path) -> list[dict[str, float]]:
    """Figures of every epoch of a run; empty for a model folder that has none."""
    file = path / "history.json"
    epochs: list[dict[str, float]] = read_json(file, "remove it")["epochs"] if file.is_file() else []
    return epochs


def write_history(path: Path, epochs: list[dict[str, float]]) -> None:
    """Write the figures of every epoch of a run."""
    write_aside(path / "history.json", json.dumps({"epochs": epochs}, indent=1).encode())
