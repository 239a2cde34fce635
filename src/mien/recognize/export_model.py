"""Exports a model into a folder to give away: half the size, and ready to run without torch."""

import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path, PureWindowsPath
from typing import Any, get_args

from safetensors.torch import save
from torch import Tensor

from mien.errors import MienError
from mien.faces.align import ROOM as WAYS
from mien.faces.crop import CropSpec
from mien.faces.detect import ROOM as DETECTORS
from mien.faces.which_faces import WhichFaces
from mien.folders import require_new
from mien.models import Network
from mien.recognize.bundled import find_model
from mien.recognize.model_card import ModelCard, read_card
from mien.recognize.onnx_export import write_graph
from mien.recognize.saved_networks import read_network, write_model
from mien.registry import component_names
from mien.settings import settings_from

ABSOLUTE = re.compile(r"(?<![\w:/\\.~-])(?:/[^\s/;,'\"]+/|[A-Za-z]:[/\\]|\\\\)[^\s;,'\"]+")
"""Finds absolute paths within a text."""


def export(model: Path | str, out: Path | str, align: str | None = None) -> ModelCard:
    """Write the model or run at `model` into the folder `out`: weights in half precision, the network as ONNX, and the card.

    The card names no folder of this computer: absolute paths in the recipe, such as a teacher's, are cut to their last part.

    `align`: how faces are cut out of photos for this model, in a crop's words, where its set does not say. Raises MienError for
    layers that ONNX export does not know, for weights beyond half precision, for a way of cutting that its detector cannot
    serve, and where `out` holds something else.
    """
    model, out = find_model(model), Path(out)
    require_new(out)
    card, network = read_card(model), read_network(model)
    if align is not None:
        spec = _chosen_crop(align)
        spec.require_workable()
        card = replace(card, faces=replace(card.faces, alignment=str(spec)))
    write_exported(network, card, out)
    return read_card(out)


def _chosen_crop(align: str) -> CropSpec:
    """The crop spec that a user wrote. Raises MienError for words of another form."""
    try:
        return CropSpec.from_text(align)
    except MienError as error:
        ways, detectors = ", ".join(component_names(WAYS)), ", ".join(component_names(DETECTORS))
        todo = f"choose a way of {ways}, a detector of {detectors}, and faces of {', '.join(get_args(WhichFaces))}"
        raise MienError("WAY; DETECTOR; WHICH, such as 'eyes; mtcnn; largest', or whole alone", repr(align), todo) from error


def write_exported(network: Network, card: ModelCard, out: Path) -> None:
    """Write a network in memory as an exported model into `out`; its weights become half precision.

    Raises MienError as `export`.
    """
    if card.faces.kind != "faces":
        raise MienError("a model of faces, to export it", f"one of {card.faces.kind}", "train one on a set of faces")
    card = settings_from(ModelCard, without_folders(asdict(card)))
    weights = {name: _half(name, tensor) for name, tensor in network.state_dict().items()}
    network.load_state_dict(weights)
    graph = write_graph(network, card.faces, card.normalize, save(weights))
    write_model(out, weights, card, graph)


def _half(name: str, weights: Tensor) -> Tensor:
    if not weights.is_floating_point():
        return weights.contiguous()
    made = weights.half()
    if not made.isfinite().all():
        largest = float(weights.abs().max())
        raise MienError(f"weights up to 65,504, for half precision, in {name}", f"{largest:g}", "use the run as it is")
    return made.contiguous()


def without_folders(value: Any) -> Any:
    """Nested values in which every absolute path is cut to its last part, so that no folder of this computer is named."""
    if isinstance(value, Mapping):
        return {without_folders(key): without_folders(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(without_folders(entry) for entry in value)
    if isinstance(value, Path):
        value = str(value)
    if not isinstance(value, str):
        return value
    if value.startswith("/") or PureWindowsPath(value).is_absolute():
        return _last(value)
    return ABSOLUTE.sub(lambda found: _last(found[0]), value)


def _last(path: str) -> str:
    return PureWindowsPath(path).name
