"""Writes a network as an ONNX graph that takes faces as they are stored: uint8, unscaled.

The graph holds no weights: it names them by their offset in the model.safetensors beside it. torch's own exporter asks for
another package (onnxscript) and puts the weights into the graph, so that a model would be stored twice.
"""

import json
import operator
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor, fx, nn

from mien.data.faceset import Normalization
from mien.data.format import Info
from mien.errors import MienError
from mien.models import Network
from mien.recognize.model_folder import FACES, LOGITS, WEIGHTS
from mien.recognize.onnx_graph_check import KINDS, OPSET, VERSION


class _Graph:
    """The graph's nodes and values so far; a value goes by the name of the output that makes it."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.values: list[TensorProto] = []

    def add(self, kind: str, inputs: Sequence[str], **settings: Any) -> str:
        """Add a node of this kind, and give the name of its output."""
        name = f"made{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **settings))
        return name

    def constant(self, value: Any, dtype: type[np.generic] = np.float32) -> str:
        """Add a constant number or array, and give its name."""
        name = f"constant{len(self.values)}"
        self.values.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name


def write_graph(network: Network, info: Info, normalization: Normalization, weights: bytes) -> bytes:
    """The ONNX graph of `network`, as a file's content. `weights`: the content of the safetensors file that the graph refers to.

    The graph takes `faces`, uint8 (N, S, S) or (N, S, S, 3), and gives `logits`, float32 (N, K). Raises MienError for a network
    with layers that are not known here.
    """
    graph = _Graph()
    last = _layers(graph, network, _normalized(graph, info, normalization))
    _refer(graph, weights)
    side, color = info.side, [3] if info.channels == 3 else []
    faces = helper.make_tensor_value_info(FACES, TensorProto.UINT8, ["batch", side, side, *color])
    logits = helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["batch", len(info.classes)])
    graph.nodes.append(helper.make_node("Identity", [last], [LOGITS]))
    made = helper.make_graph(graph.nodes, "mien", [faces], [logits], graph.values)
    model: ModelProto = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=VERSION)
    content: bytes = model.SerializeToString()
    return content


def _normalized(graph: _Graph, info: Info, normalization: Normalization) -> str:
    """Add what `data.augment.normalize` does to stored faces; the output is (N, C, S, S)."""
    unit = graph.add("Div", [graph.add("Cast", [FACES], to=TensorProto.FLOAT), graph.constant(255)])
    if info.channels == 3:
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


def _layers(graph: _Graph, network: Network, inputs: str) -> str:
    """Add the network's layers in order, as torch.fx traces them, and give the last one's output."""
    modules = nn.Sequential(*network.blocks.values(), network.head)
    prefixes = [*(f"blocks.{name}" for name in network.blocks), "head"]
    try:
        traced = fx.symbolic_trace(modules.eval())
    except Exception as error:  # torch.fx raises what the network's own code raises
        raise _unknown(str(error).splitlines()[0]) from error
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
            found[node] = _module(graph, traced.get_submodule(str(node.target)), name, values)
        elif node.target in _FUNCTIONS and len(values) == len(node.args) and not node.kwargs:
            found[node] = graph.add(_FUNCTIONS[node.target], values)
        else:
            raise _unknown(str(node.target))
    raise _unknown("no output")


_FUNCTIONS: dict[Callable[..., Any] | str, str] = {operator.add: "Add", torch.add: "Add", torch.relu: "Relu"}


def _module(graph: _Graph, module: nn.Module, name: str, values: list[str]) -> str:
    """Add one layer of torch, and give its output."""
    match module:
        case nn.Dropout() | nn.Identity():
            return values[0]
        case nn.ReLU():
            return graph.add("Relu", values)
        case nn.Flatten(start_dim=1, end_dim=-1):
            return graph.add("Flatten", values)
        case nn.AdaptiveAvgPool2d(output_size=1):
            return graph.add("GlobalAveragePool", values)
        case nn.AvgPool2d() | nn.MaxPool2d():
            return _pool(graph, module, values)
        case nn.BatchNorm2d(affine=True):
            arrays = [f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
            return graph.add("BatchNormalization", [*values, *arrays], epsilon=module.eps)
        case nn.Linear():
            return graph.add("Gemm", [*values, *_arrays(module, name)], transB=1)
        case nn.Conv2d(padding_mode="zeros") if isinstance(module.padding, tuple):
            settings = {"kernel_shape": module.kernel_size, "strides": module.stride, "dilations": module.dilation}
            return graph.add(
                "Conv", [*values, *_arrays(module, name)], pads=[*module.padding] * 2, group=module.groups, **settings
            )
    raise _unknown(type(module).__name__)


def _pool(graph: _Graph, module: nn.AvgPool2d | nn.MaxPool2d, values: list[str]) -> str:
    most, padding = isinstance(module, nn.MaxPool2d), _pair(module.padding)
    if any(step != 1 for step in _pair(getattr(module, "dilation", 1))) or (any(padding) and module.ceil_mode):
        raise _unknown("pooling with dilation, or with padding and sizes rounded up")
    own = {} if most else {"count_include_pad": int(bool(getattr(module, "count_include_pad", True)) and any(padding))}
    shape = {"kernel_shape": _pair(module.kernel_size), "strides": _pair(module.stride), "pads": padding * 2}
    return graph.add("MaxPool" if most else "AveragePool", values, ceil_mode=int(module.ceil_mode), **shape, **own)


def _pair(value: int | tuple[int, ...]) -> list[int]:
    return [value] * 2 if isinstance(value, int) else list(value)


def _arrays(module: nn.Module, name: str) -> list[str]:
    bias: Tensor | None = getattr(module, "bias", None)
    return [f"{name}.weight"] if bias is None else [f"{name}.weight", f"{name}.bias"]


def _refer(graph: _Graph, weights: bytes) -> None:
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


def _unknown(found: str) -> MienError:
    known = "convolutions, batch normalization, ReLU, sums, pooling and linear layers"
    return MienError(f"a network of {known}, to export it", found, "use the run as it is, or take another network")
