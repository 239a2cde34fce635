"""The network of a model as the page runs it: the graph of ONNX and the weights beside it, in memory."""

from pathlib import Path

from mien.errors import MienError
from mien.recognize.model_card import ModelCard
from mien.recognize.model_folder import read_graph, read_weights_file


def network_files(folder: Path, card: ModelCard) -> tuple[bytes, bytes]:
    """The graph and the weights of the model or run at `folder`: those of an exported model, or new ones in single precision.

    Raises MienError for a model of features, and where a run has layers that ONNX export does not know.
    """
    if card.faces.kind != "faces":
        raise MienError("a model of faces, for the page", f"one of {card.faces.kind}", "train one on a set of faces")
    graph = read_graph(folder, card.graph)
    if graph is not None:
        return graph, read_weights_file(folder, card.weights).content
    from safetensors.torch import save

    from mien.recognize.onnx_export import write_graph
    from mien.recognize.saved_networks import read_network

    network = read_network(folder)
    weights = save({name: tensor.contiguous() for name, tensor in network.state_dict().items()})
    return write_graph(network, card.faces, card.normalize, weights), weights
