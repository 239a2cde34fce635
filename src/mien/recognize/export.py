"""A model folder to give away: half the size, and ready to run without torch."""

from dataclasses import replace
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from mien.disk import require_new
from mien.errors import MienError
from mien.faces.cut import Geometry
from mien.models import Network
from mien.recognize.box import find_model
from mien.recognize.files import Card, read_card
from mien.recognize.graph import write_graph
from mien.recognize.networks import read_network, write_model


def export(model: Path | str, out: Path | str, align: str | None = None) -> Card:
    """Write the model or run at `model` into the folder `out`: weights in half precision, the network's graph, and the card.

    `align`: how faces are cut out of photos for it, in a geometry's words, where its set does not say. Raises MienError for a
    network whose layers `graph` does not know, for weights beyond half precision, for a way that cannot work with the faces of
    its detector, and where `out` holds something else.
    """
    model, out = find_model(model), Path(out)
    require_new(out)
    card, network = read_card(model), read_network(model)
    if align is not None:
        geometry = Geometry.from_text(align)
        geometry.require_workable()
        card = replace(card, faces=replace(card.faces, alignment=str(geometry)))
    write_exported(network, card, out)
    return read_card(out)


def write_exported(network: Network, card: Card, out: Path) -> None:
    """Write a network in memory, which becomes one of half precision. Raises MienError as `export` does."""
    if card.faces.kind != "faces":
        raise MienError("a model of faces, to export it", f"one of {card.faces.kind}", "train one on a set of faces")
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
