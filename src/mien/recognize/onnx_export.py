"""Writes a network as an ONNX graph that takes faces as they are stored: uint8, unscaled.

The graph holds no weights: it names them by their offset in the model.safetensors beside it. torch's own exporter asks for
another package (onnxscript) and puts the weights into the graph, so that a model would be stored twice.
"""

import json
import operator
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from onnx import ModelProto, TensorProto, helper
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from typing_extensions import override

from mien.data.faceset import Normalization
from mien.data.format import Info
from mien.models import Network
from mien.models.facenet_dlib import ZeroPaddedSum
from mien.recognize.last_layer import last_layer
from mien.recognize.model_folder import FACES, FEATURES, LOGITS, WEIGHTS
from mien.recognize.onnx_graph_check import KINDS, OPSET, VERSION
from mien.recognize.onnx_layers import OWN_LAYERS, GraphParts, add_layer, unknown_layer


def write_graph(network: Network, info: Info, normalization: Normalization, weights: bytes, planes: bool = False) -> bytes:
    """The ONNX graph of `network`, as a file's content. `weights`: the content of the safetensors file that the graph refers to.

    The graph takes `faces`, uint8 (N, S, S) or (N, S, S, 3), and gives `logits`, float32 (N, K), and, where
    the network ends in a linear layer, `features`, float32 (N, D): that layer's inputs. With `planes` it takes float32
    (N, C, S, S) from 0 to 255 and gives logits alone, as other readers of ONNX have them. Raises MienError for a network with
    layers that are not known here.
    """
    graph = GraphParts()
    last = _layers(graph, network, _normalized(graph, info, normalization, planes))
    before = next(node for node in graph.nodes if last in node.output)
    _refer(graph, weights)
    side, color = info.side, [3] if info.channels == 3 else []
    shape = [info.channels, side, side] if planes else [side, side, *color]
    kind = TensorProto.FLOAT if planes else TensorProto.UINT8
    faces = helper.make_tensor_value_info(FACES, kind, ["batch", *shape])
    logits = helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["batch", len(info.classes)])
    outputs = [logits]
    end = last_layer(network)
    if end is not None and before.op_type == "Gemm" and not planes:
        outputs.append(helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["batch", end.in_features]))
        graph.nodes.append(helper.make_node("Identity", [before.input[0]], [FEATURES]))
    graph.nodes.append(helper.make_node("Identity", [last], [LOGITS]))
    made = helper.make_graph(graph.nodes, "mien", [faces], outputs, graph.values)
    model: ModelProto = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=VERSION)
    content: bytes = model.SerializeToString()
    return content


def _normalized(graph: GraphParts, info: Info, normalization: Normalization, planes: bool) -> str:
    """Add what `data.augment.normalize` does to stored faces; the output is (N, C, S, S)."""
    unit = graph.add("Div", [FACES if planes else graph.add("Cast", [FACES], to=TensorProto.FLOAT), graph.constant(255)])
    if planes:
        pass
    elif info.channels == 3:
        unit = graph.add("Transpose", [unit], perm=[0, 3, 1, 2])
    else:
        unit = graph.add("Unsqueeze", [unit, graph.constant([1], np.int64)])
    if normalization == "fixed":
        return graph.add("Mul", [graph.add("Sub", [unit, graph.constant(0.5)]), graph.constant(4)])
    centered = graph.add("Sub", [unit, graph.add("ReduceMean", [unit], axes=[1, 2, 3])])
    squares = graph.add("ReduceMean", [graph.add("Mul", [centered, centered])], axes=[1, 2, 3])
    count = info.channels * info.side**2
    deviation = graph.add("Sqrt", [graph.add("Mul", [squares, graph.constant(count / (count - 1))])])
    return graph.add("Div", [centered, graph.add("Add", [deviation, graph.constant(0.02)])])


class _Tracer(fx.Tracer):
    """Follows a network into its own layers, up to those that are written whole."""

    @override
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether the layer `m` is written whole."""
        return isinstance(m, OWN_LAYERS) or super().is_leaf_module(m, module_qualified_name)


def _layers(graph: GraphParts, network: Network, inputs: str) -> str:
    """Add the network's layers in order, as torch.fx traces them, and give the last one's output."""
    modules = nn.Sequential(*network.blocks.values(), network.head).eval()
    prefixes = [*(f"blocks.{name}" for name in network.blocks), "head"]
    try:
        traced = fx.GraphModule(modules, _Tracer().trace(modules))
    except Exception as error:  # torch.fx raises what the network's own code raises
        raise unknown_layer(str(error).splitlines()[0]) from error
    with torch.no_grad():
        ShapeProp(traced).propagate(torch.zeros(1, *network.shape, device=next(network.parameters()).device))
    found: dict[fx.Node, str] = {}
    for node in traced.graph.nodes:
        values = [found[value] for value in node.all_input_nodes]
        if node.op == "placeholder":
            found[node] = inputs
        elif node.op == "output":
            return values[0]
        elif node.op == "call_module":
            number, _, rest = str(node.target).partition(".")
            name = ".".join([prefixes[int(number)], *filter(None, [rest])])
            shapes = [tuple(value.meta["tensor_meta"].shape) for value in node.all_input_nodes]
            found[node] = add_layer(graph, traced.get_submodule(str(node.target)), name, values, shapes)
        elif node.target in _FUNCTIONS and len(values) == len(node.args) and not node.kwargs:
            found[node] = graph.add(_FUNCTIONS[node.target], values)
        else:
            raise unknown_layer(str(node.target))
        _require_unchanged(node, traced)
    raise unknown_layer("no output")


def _require_unchanged(node: fx.Node, traced: fx.GraphModule) -> None:
    """Raises MienError where a layer changes its input in place, and another one reads it too: in ONNX nothing changes."""
    module = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
    in_place = getattr(module, "inplace", isinstance(module, ZeroPaddedSum)) or node.target in _IN_PLACE
    if in_place and len(node.all_input_nodes[0].users) > 1:
        raise unknown_layer(f"values that {node.name} changes, and that are read again")


_IN_PLACE = {torch.relu_, "add_"}
_FUNCTIONS: dict[Callable[..., Any] | str, str] = {
    operator.add: "Add", torch.add: "Add", "add_": "Add", torch.relu: "Relu", torch.relu_: "Relu",
}  # fmt: skip


def _refer(graph: GraphParts, weights: bytes) -> None:
    """Add references to the weights that nodes name: arrays of the safetensors file, which lie behind its header."""
    (length,) = struct.unpack("<Q", weights[:8])
    arrays = json.loads(weights[8 : 8 + length])
    made = {FACES, *(value.name for value in graph.values), *(output for node in graph.nodes for output in node.output)}
    halves, casts = dict[str, str](), []
    for name in dict.fromkeys(given for node in graph.nodes for given in node.input if given not in made):
        entry = arrays[name]
        begin, end = entry["data_offsets"]
        value = TensorProto(name=name, data_type=KINDS[entry["dtype"]], dims=entry["shape"])
        value.data_location = TensorProto.EXTERNAL
        for key, said in (("location", WEIGHTS), ("offset", 8 + length + begin), ("length", end - begin)):
            value.external_data.add(key=key, value=str(said))
        graph.values.append(value)
        if entry["dtype"] == "F16":
            halves[name] = f"{name}.float"
            casts.append(helper.make_node("Cast", [name], [halves[name]], to=TensorProto.FLOAT))
    for node in graph.nodes:
        node.input[:] = [halves.get(given, given) for given in node.input]
    graph.nodes[:0] = casts
