"""A model on disk: model.safetensors (weights), model.json (the card) and, where it was exported, model.onnx (the network, whose
weights stay where they are). No pickle is ever read."""

import hashlib
import json
from dataclasses import field
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from mien.data.faceset import Info, Normalization
from mien.disk import read_json, write_aside
from mien.errors import MienError
from mien.registry import STRICT, Positive, Share, validate

WEIGHTS, CARD, GRAPH = "model.safetensors", "model.json", "model.onnx"
"""Files of a model folder."""
RUN = "run.json"
"""In the folder of a run."""
VERSION = 1
"""Of a card."""
FACES, LOGITS = "faces", "logits"
"""Input and output of the graph."""


@dataclass(frozen=True, config=STRICT)
class Card:
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
    temperature: Positive = 1.0
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
    metrics: dict[str, float] = field(default_factory=dict)
    """Figures on validation."""
    seed: int = 0
    """Seed of the run."""
    weights: str = ""
    """sha256 of model.safetensors."""
    graph: str = ""
    """sha256 of model.onnx; none where the model was not exported."""
    version: int = VERSION
    """Version of this format."""


def model_folder(path: Path) -> Path:
    """The model folder at `path`, which may be a run. Raises MienError where there is none."""
    for folder in (path / "model", path):
        if (folder / CARD).is_file():
            return folder
    if (path / RUN).is_file():
        raise MienError(f"a finished run at {path}", "one that was interrupted", f"go on with it: mien resume {path}")
    raise MienError(f"a run or a model at {path}", "no model.json", "train one with mien train, or check the path")


def read_card(path: Path) -> Card:
    """The card of the model or run at `path`. Raises MienError for one of another version, and for values that make no sense."""
    file = model_folder(path) / CARD
    values = read_json(file, "train the model again")
    if values.get("version", VERSION) != VERSION:
        raise MienError(f"a model of version {VERSION}", f"version {values['version']}", "read it with the mien that wrote it")
    card = validate(Card, values)
    if len(set(card.classes)) != len(card.classes):
        raise MienError(f"classes that differ in {file}", ", ".join(card.classes), "train the model again")
    if card.classes != card.faces.classes:
        found = f"{', '.join(card.classes) or 'none'} and {', '.join(card.faces.classes) or 'none'}"
        raise MienError(f"the same classes of the model and of its faces in {file}", found, "train the model again")
    return card


def is_of_run(path: Path) -> bool:
    """Whether the model at `path` lies in a run, or is the model of one of its stages."""
    folder = model_folder(path).absolute()
    return any((place / RUN).is_file() for place in (folder, *folder.parents[:2]))


def read_weights_file(path: Path) -> bytes:
    """The file of the weights of the model or run at `path`. Raises MienError where it is not the one that the card names."""
    return _read_file(model_folder(path) / WEIGHTS, read_card(path).weights)


def read_graph(path: Path) -> bytes | None:
    """The network as a file of ONNX, whose weights lie in the file beside it; None where the model was not exported.

    Raises MienError where it is not the one that the card names.
    """
    graph = read_card(path).graph
    return _read_file(model_folder(path) / GRAPH, graph) if graph else None


def _read_file(file: Path, sha256: str) -> bytes:
    if not file.is_file():
        raise MienError(f"a file of the model at {file}", "no such file", "train the model again, or copy its folder whole")
    content = file.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise MienError(
            f"sha256 {sha256[:12]}… of {file}",
            f"{found[:12]}…",
            "it was changed: copy it again, or train it",
        )
    return content


def require_alike(card: Card, info: Info) -> None:
    """Raises MienError where faces like those of `info` are not of the kind that the model was trained on."""
    for key in ("kind", "side", "channels"):
        wanted, found = getattr(card.faces, key), getattr(info, key)
        if wanted != found:
            raise MienError(f"faces of {key} {wanted}, as the model was trained on", f"{found}", "import them with that")


def read_used(path: Path) -> set[str]:
    """Ids of the faces whose labels a run trained on or validated with; empty for a model folder that has no list."""
    import pyarrow.parquet as pq

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
