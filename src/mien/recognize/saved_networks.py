"""Writes torch networks into model folders, and reads them from there."""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from mien.data.format import Info
from mien.disk import write_atomically
from mien.errors import MienError
from mien.json_text import to_json
from mien.models import Architecture, Network, architecture, head_copies
from mien.recognize.model_card import ModelCard, read_card
from mien.recognize.model_folder import CARD, GRAPH, WEIGHTS, is_of_run, model_folder, read_weights_file
from mien.registry import require_loaded
from mien.settings import setting_docs
from mien.wording import plain_text

MOST_PARAMETERS = 10**9
"""Most parameters of a network: 4 GB of weights."""


def write_model(folder: Path, weights: dict[str, Tensor], card: ModelCard, graph: bytes = b"") -> None:
    """Write the weights, the graph if there is one, and the card, which names their hashes, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    content = save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})
    hashes = {"weights": hashlib.sha256(content).hexdigest(), "graph": hashlib.sha256(graph).hexdigest() if graph else ""}
    write_atomically(folder / WEIGHTS, content)
    if graph:
        write_atomically(folder / GRAPH, graph)
    write_atomically(folder / CARD, to_json(card.to_json() | hashes).encode())


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights of the model or run at `path`, by name. Raises MienError where they are not the card's, or not finite."""
    return load_tensors(read_weights_file(path, read_card(path).weights).content)


def build_network(network: dict[str, Any], classes: int, info: Info, seed: int = 0) -> Network:
    """A network of these settings for faces or features like those of `info`, with random weights drawn by `seed`.

    torch's random state is left as it was. Raises MienError for settings that do not fit, and for too many parameters.
    """
    settings, copies = architecture(network), head_copies(network)
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        _require_size(settings, classes, info)
        made = settings.build(classes, info.channels, info.side)
        if copies > 1:
            made.copy_head(copies)
        return made


def _require_size(settings: Architecture, classes: int, info: Info) -> None:
    """Raises MienError for one of mien's networks that has too many parameters, before memory is taken."""
    if not type(settings).__module__.startswith("mien.") or _own_files(settings):
        return  # What computes while it is built cannot be built without memory.
    frozen: Any = settings  # which mypy does not know of a protocol
    count = _parameters(frozen, classes, info.channels, info.side)
    if count > MOST_PARAMETERS:
        found = f"{count:,} of {type(settings).__name__}"
        raise MienError(f"a network of at most {MOST_PARAMETERS:,} parameters", found, "take smaller settings, or smaller faces")


@lru_cache
def _parameters(settings: Architecture, classes: int, channels: int, side: int) -> int:
    """How many parameters such a network has; it is built without memory."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in settings.build(classes, channels, side).parameters())


def read_network(path: Path) -> Network:
    """The network of the model or run at `path` with its weights, in eval mode. Nothing is imported because the card says so.

    Raises MienError for a network without classes, for one whose module is not imported, for one outside a run that names files
    of its own, and where the weights do not have its shapes.
    """
    card = read_card(path)
    if not card.classes:
        found = "an autoencoder, or a face net, which knows no classes"
        raise MienError(f"a recognizer at {path}", found, "name the run of a recognizer")
    name, weights = str(card.network.get("network")), read_weights(path)
    require_loaded(name, place=model_folder(path) / CARD)
    files = _files(card.network)
    if files and not is_of_run(path):
        raise MienError(f"a model that reads no file beyond its folder at {path}", f"one that reads {files[0]}", "name its run")
    # What computes while it is built cannot be built without memory.
    ours = ":" not in name and not files
    return build_with_weights(lambda: build_network(card.network, len(card.classes), card.faces), weights, path, ours)


def read_blocks(path: Path) -> Network:
    """The network of the model or run at `path`, in eval mode; that of a face net without classes has a last layer at random.

    Raises MienError where `read_network` does, but for such a face net.
    """
    card, weights = read_card(path), read_weights(path)
    if card.classes or any(name.startswith("head.") for name in weights):  # an autoencoder has a head, too
        return read_network(path)
    require_loaded(str(card.network.get("network")), place=model_folder(path) / CARD)
    head = _built(lambda: build_network(card.network, 2, card.faces), path).head.state_dict()
    whole = weights | {f"head.{name}": value for name, value in head.items()}
    return build_with_weights(lambda: build_network(card.network, 2, card.faces), whole, path)


def build_with_weights(build: Callable[[], Network], weights: dict[str, Tensor], path: Path, check_first: bool = True) -> Network:
    """The network that `build` makes, with the weights of the model at `path`, in eval mode.

    With `check_first` it is first built without memory, since a card may ask for more than there is. Raises MienError where its
    settings make no sense, or the weights do not have its shapes.
    """
    if check_first:
        with torch.device("meta"):
            _require_shapes(_built(build, path), weights, path)
    network = _built(build, path)
    _require_shapes(network, weights, path)
    network.load_state_dict(weights)
    return network.eval()


def _files(network: dict[str, Any]) -> list[Path]:
    """The files that a network's settings name."""
    return _own_files(architecture(network))


def _own_files(settings: Architecture) -> list[Path]:
    values = (getattr(settings, name) for name in setting_docs(type(settings)))
    return [value for value in values if isinstance(value, Path)]


def _built(build: Callable[[], Network], path: Path) -> Network:
    try:
        return build()
    except MienError:
        raise
    except Exception as error:  # torch meets sizes that make no sense with exceptions of many kinds
        where = f"settings that a network can be built from in {model_folder(path) / CARD}"
        raise MienError(where, plain_text(error, 400), "train the model again") from error


def _require_shapes(network: Network, weights: dict[str, Tensor], path: Path) -> None:
    wanted, found = ({name: tuple(value.shape) for name, value in each.items()} for each in (network.state_dict(), weights))
    for name in (*wanted, *found):
        if wanted.get(name) != found.get(name):
            expected = f"{name} of shape {wanted[name]}" if name in wanted else f"no {name}"
            where = f"by its card in {model_folder(path) / WEIGHTS}"
            todo = "train the model again, or copy its folder whole"
            raise MienError(f"{expected} {where}", str(found.get(name, "none")), todo)
