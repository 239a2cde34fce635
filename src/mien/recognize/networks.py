"""Networks in torch, to and from model folders."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from mien.data.faceset import Info
from mien.disk import write_aside
from mien.errors import MienError
from mien.models import Copies, Network, architecture, head_copies
from mien.recognize.files import CARD, GRAPH, WEIGHTS, Card, model_folder, read_card, read_weights_file


def write_model(folder: Path, weights: dict[str, Tensor], card: Card, graph: bytes = b"") -> None:
    """Write weights, card and, if any, the graph into `folder`; the card, which names the others' hashes, comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    content = save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})
    hashes = {"weights": hashlib.sha256(content).hexdigest(), "graph": hashlib.sha256(graph).hexdigest() if graph else ""}
    write_aside(folder / WEIGHTS, content)
    if graph:
        write_aside(folder / GRAPH, graph)
    write_aside(folder / CARD, json.dumps(asdict(card) | hashes, indent=1, ensure_ascii=False, default=str).encode())


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights of the model or run at `path`. Raises MienError where they are not those the card names."""
    content = read_weights_file(path)
    try:
        return load_tensors(content)
    except SafetensorError as error:
        raise MienError(f"safetensors in {model_folder(path) / WEIGHTS}", str(error), "train the model again") from error


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
