"""Checks the ONNX graph of a model from elsewhere: only what `onnx_export` writes is run, and only in sizes that faces need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from google.protobuf.message import DecodeError
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from mien.errors import MienError
from mien.onnx_check import (
    MOST_WORK,
    Refusal,
    element_count,
    infer_sizes,
    multiplications_each,
    require_operators,
    tensors,
    values_of,
)  # fmt: skip
from mien.recognize.model_card import ModelCard
from mien.recognize.model_folder import FACES, FEATURES, GRAPH, LOGITS, WEIGHTS
from mien.recognize.weights_file import WeightsFile
from mien.wording import short_name

OPSET, VERSION = 17, 8
"""Versions of ONNX's operators and of its format: old enough for every onnxruntime that mien takes."""
_WINDOW = ("kernel_shape", "strides", "pads")
OPERATORS: Mapping[str, tuple[str, ...]] = {
    "Add": (),
    "AveragePool": (*_WINDOW, "ceil_mode", "count_include_pad"),
    "BatchNormalization": ("epsilon",),
    "Cast": ("to",),
    "Conv": (*_WINDOW, "dilations", "group"),
    "Div": (),
    "Flatten": (),
    "Gemm": ("transB",),
    "GlobalAveragePool": (),
    "Identity": (),
    "MatMul": (),
    "MaxPool": (*_WINDOW, "ceil_mode"),
    "Mul": (),
    "PRelu": (),
    "ReduceMean": ("axes",),
    "Relu": (),
    "Sqrt": (),
    "Sub": (),
    "Transpose": ("perm",),
    "Unsqueeze": (),
}
"""The operators that mien writes, and the settings of each."""
IN_ONE_FILE = {*OPERATORS, "Constant", "DequantizeLinear", "QuantizeLinear"}
"""The operators of one file, as ONNX's tools make it of these: of another version, or of eight bits."""
MOST_NODES, MOST_SETTING = 8192, 1 << 16
"""Most nodes in a graph, and the largest number in a node's settings."""
MOST_LIVE = 1 << 26
"""Most elements that may be in memory at one time for a face: a quarter of a gigabyte."""
BATCH = 64
"""Most faces in a batch: with more, their maps leave the processor's cache."""
WORK_AT_ONCE = 2 * 10**10
"""Most multiplications in a batch: a process that is told to end does so after a batch."""
TRIED = 2
"""Faces for which the sizes of all values are inferred."""
KINDS = {"F16": TensorProto.FLOAT16, "F32": TensorProto.FLOAT}
"""ONNX's kinds of numbers, by their names in a safetensors file."""


@dataclass(frozen=True)
class CheckedGraph:
    """A graph that was checked and may be run."""

    content: bytes
    """The graph as a file's content."""
    batch: int
    """Most faces in a batch."""


def check_graph(content: bytes, card: ModelCard, weights: WeightsFile, file: object = GRAPH) -> CheckedGraph:
    """Check the graph in a file's content. Raises MienError where mien would not write it for this card and these weights."""
    refuse = Refusal(file, "take a model that mien exported, or read it in torch: leave `graph` in its card empty")
    model = ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise MienError(f"an ONNX file at {file}", "something else", "copy the model's folder whole") from error
    # What this reader does not know, another might.
    model.DiscardUnknownFields()
    del model.graph.value_info[:]
    versions = [(entry.domain, entry.version) for entry in model.opset_import[:9]]
    if model.ir_version != VERSION or versions != [("", OPSET)]:
        raise refuse(f"ONNX of version {VERSION}, operators of version {OPSET}", short_name(f"{model.ir_version} and {versions}"))
    require_operators(model, OPERATORS, refuse, MOST_NODES)
    for node in model.graph.node:
        _require_settings(node, refuse)
    _require_arrays(model, weights, refuse)
    _require_order(model, refuse)
    side, color = card.faces.side, [3] if card.faces.channels == 3 else []
    _require_one(model.graph.input, FACES, TensorProto.UINT8, [side, side, *color], refuse)
    _require_one(model.graph.output[:1], LOGITS, TensorProto.FLOAT, [len(card.classes)], refuse)
    if others := model.graph.output[1:]:  # exports from before features were given have none
        width = int(others[0].type.tensor_type.shape.dim[-1].dim_value) if others[0].type.tensor_type.shape.dim else 0
        _require_one(others, FEATURES, TensorProto.FLOAT, [width], refuse)
    return _bounded(model, card, [side, side, *color], refuse)


def _bounded(model: ModelProto, card: ModelCard, shape: list[int], refuse: Refusal) -> CheckedGraph:
    """The graph, and how many faces of this `shape` it may read at once. Raises MienError for too much to compute."""
    live, work = _costs(model, card, [TRIED, *shape], refuse)
    batch = max(1, min(BATCH, MOST_LIVE // max(1, live), WORK_AT_ONCE // max(1, work)))
    if batch > TRIED:
        # Products of faces with faces would grow by powers of their number.
        live_together, work_together = _costs(model, card, [batch, *shape], refuse)
        if live_together > live or work_together * batch > 2 * WORK_AT_ONCE:
            raise refuse("as much to compute for a face among many as alone", "more")
    return CheckedGraph(model.SerializeToString(), batch)


def check_one_file(model: ModelProto, card: ModelCard, refuse: Refusal) -> CheckedGraph:
    """Check a graph that holds its weights, of one ONNX file. Raises MienError where it is none for this card's faces.

    It may hold numbers of eight bits. Any number of faces may be given from now on, and `features` too, where there are some.
    """
    # What this reader does not know, another might.
    model.DiscardUnknownFields()
    del model.graph.value_info[:]
    require_operators(model, IN_ONE_FILE, refuse, MOST_NODES)
    for tensor in tensors(model.graph):
        if not np.isfinite(values_of(tensor, refuse)).all():
            raise refuse("finite numbers", short_name(f"infinite ones at {tensor.name}"))
    _require_order(model, refuse)
    for value in (*model.graph.input, *model.graph.output):
        for entry in value.type.tensor_type.shape.dim[:1]:
            entry.dim_param = "batch"  # which an export with --batch fixed, for others
    shape = [card.faces.channels, card.faces.side, card.faces.side]
    _require_one(model.graph.input, FACES, TensorProto.FLOAT, shape, refuse)
    _require_one(model.graph.output, LOGITS, TensorProto.FLOAT, [len(card.classes)], refuse)
    if name := _before_last_layer(model):
        model.graph.node.append(helper.make_node("Identity", [name], [FEATURES]))
        model.graph.output.append(helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, None))
    return _bounded(model, card, shape, refuse)


def _before_last_layer(model: ModelProto) -> str:
    """The name of the inputs of the linear layer that ends a network; "" where it ends in another layer."""
    makers = {name: node for node in model.graph.node for name in node.output}
    node = makers.get(LOGITS)
    while node is not None and node.op_type in ("Identity", "QuantizeLinear", "DequantizeLinear") and node.input:
        node = makers.get(node.input[0])
    return str(node.input[0]) if node is not None and node.op_type == "Gemm" and node.input else ""


def _require_settings(node: NodeProto, refuse: Refusal) -> None:
    names = [one.name for one in node.attribute]
    numbers = [number for one in node.attribute for number in (one.i, *one.ints)]
    others = any(one.HasField("s") or one.HasField("t") or one.floats or one.strings for one in node.attribute)
    known = set(names) <= set(OPERATORS[node.op_type]) and len(set(names)) == len(names)
    if not known or others or any(abs(number) > MOST_SETTING for number in numbers):
        raise refuse(f"settings of {node.op_type} as mien writes them", short_name(", ".join(names)))
    if not all(0 <= one.f < 1 for one in node.attribute):
        raise refuse(f"settings of {node.op_type} from 0 to 1", short_name(", ".join(names)))
    if node.op_type == "Cast" and numbers[:1] != [TensorProto.FLOAT]:
        raise refuse("casts to float32", "others")


def _require_order(model: ModelProto, refuse: Refusal) -> None:
    """Raises MienError unless every operator makes one new value, of values that were made before."""
    made = {FACES, *(entry.name for entry in model.graph.initializer)}
    for node in model.graph.node:
        if not made.issuperset(node.input) or len(node.output) != 1 or node.output[0] in made or not node.output[0]:
            raise refuse("operators after those whose values they take", short_name(f"{node.op_type} {', '.join(node.output)}"))
        made.add(node.output[0])


def _require_one(given: Sequence[ValueInfoProto], name: str, kind: int, shape: list[int], refuse: Refusal) -> None:
    """Raises MienError unless the graph has this one input or output: any number of faces, each of this shape."""
    expected = f"one value {name} of shape (N, {', '.join(map(str, shape))})"
    if [entry.name for entry in given] != [name]:
        raise refuse(expected, short_name(", ".join(entry.name for entry in given) or "none"))
    tensor = given[0].type.tensor_type
    sizes = [entry.dim_value if entry.HasField("dim_value") else None for entry in tensor.shape.dim]
    if tensor.elem_type != kind or sizes != [None, *shape]:
        raise refuse(expected, short_name(f"{name} of kind {tensor.elem_type} and {sizes}"))


def _require_arrays(model: ModelProto, weights: WeightsFile, refuse: Refusal) -> None:
    """Raises MienError unless every array lies in the graph, finite, or in the file of weights, at the place that it states."""
    seen = set[str]()
    for tensor in model.graph.initializer:
        name = tensor.name
        if name in seen or tensor.HasField("segment"):
            raise refuse("arrays of different names", short_name(name))
        seen.add(name)
        if tensor.data_location != TensorProto.EXTERNAL:
            if not np.isfinite(values_of(tensor, refuse)).all():
                raise refuse("finite numbers", short_name(f"infinite ones at {name}"))
            continue
        entry = weights.entries.get(name)
        said = sorted((one.key, one.value) for one in tensor.external_data)
        length = 0 if entry is None else entry.end - entry.begin
        place = [] if entry is None else [("length", str(length)), ("location", WEIGHTS), ("offset", str(entry.begin))]
        if entry is None or said != place or (KINDS.get(entry.kind), entry.shape) != (tensor.data_type, tuple(tensor.dims)):
            raise refuse(f"weights as they lie in {WEIGHTS}", short_name(f"{name} of {tuple(tensor.dims)}, {said}"))


def _costs(model: ModelProto, card: ModelCard, shape: list[int], refuse: Refusal) -> tuple[int, int]:
    """The most elements in memory at one time, and the multiplications, for each of the faces of this `shape` read at once.

    Raises MienError for too many of either, and where sizes cannot be known or the logits are not one row a face.
    """
    count, shapes = shape[0], dict[str, tuple[int, ...]]()
    for name, found in infer_sizes(model, {FACES: shape}, refuse).items():
        if found is None:
            raise refuse("values whose sizes can be known beforehand", short_name(f"{name} without"))
        shapes[name] = found
    if shapes[LOGITS] != (count, len(card.classes)):
        raise refuse(f"logits of shape ({count}, {len(card.classes)}) for {count} faces", f"{shapes[LOGITS]}")
    if len(model.graph.output) > 1 and (len(shapes[FEATURES]) != 2 or shapes[FEATURES][0] != count):
        raise refuse(f"features of shape ({count}, D) for {count} faces", f"{shapes[FEATURES]}")
    most, work = _sums(model, shapes, count, refuse)
    return -(-most // count), -(-work // count)


def _sums(model: ModelProto, shapes: Mapping[str, tuple[int, ...]], count: int, refuse: Refusal) -> tuple[int, int]:
    """The most elements in memory at one time, and all multiplications, of `count` faces. Raises MienError for too many."""
    last = {name: number for number, node in enumerate(model.graph.node) for name in node.input}
    last |= {entry.name: len(model.graph.node) for entry in model.graph.output}
    fixed = {entry.name for entry in model.graph.initializer}
    room = sum(element_count(shapes[name]) for name in fixed) + MOST_SETTING
    alive = most = element_count(shapes[FACES])
    work = 0
    for number, node in enumerate(model.graph.node):
        size = sum(element_count(shapes[name]) for name in node.output)
        if fixed.issuperset(node.input):
            # Computed once, and kept: weights of half precision in single precision.
            fixed.update(node.output)
            room -= size
            continue
        alive += size
        most = max(most, alive)
        work += size * multiplications_each(node, shapes)
        given = {name for name in node.input if name not in fixed}
        work += sum(element_count(shapes[name]) for name in given)
        over = [name for name in {*given, *node.output} if last.get(name, number) == number]
        alive -= sum(element_count(shapes[name]) for name in over)
        if room < 0 or most > count * MOST_LIVE or work > count * MOST_WORK:
            limits = f"at most {MOST_LIVE:,} numbers in memory and {MOST_WORK:,} multiplications for a face"
            raise refuse(limits, short_name(f"more at {node.output[0]}"))
    return most, work
