"""Checks of ONNX graphs from elsewhere, before anything runs them: an unrestricted graph is a program, which may never end."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

from mien.errors import MienError
from mien.wording import short_name

MOST_NODES = 20_000
"""The most operators of a graph."""
MOST_PARTS = 200_000
"""The most inputs, outputs and settings of all operators together."""
MOST_VALUE = 1 << 26
"""The most elements of any value for one face: a quarter of a gigabyte."""
MOST_MADE = 1 << 27
"""The most elements of all values together, as far as their sizes are known."""
MOST_WORK = 5 * 10**10
"""The most multiplications for one face: seconds of one core."""
_PLAIN = {
    AttributeProto.FLOAT, AttributeProto.INT, AttributeProto.STRING, AttributeProto.TENSOR, AttributeProto.FLOATS,
    AttributeProto.INTS,
}  # fmt: skip
_TEXTS = {
    "approximate", "auto_pad", "coordinate_transformation_mode", "equation", "keep_aspect_ratio_policy", "mode", "nearest_mode",
}  # fmt: skip
"""Attributes of operators that may be texts."""
_NUMBERS = {
    TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE, TensorProto.BOOL, TensorProto.UINT8,
    TensorProto.INT8, TensorProto.INT32, TensorProto.INT64,
}  # fmt: skip
GROWING = {
    "ConstantOfShape", "ConvTranspose", "Expand", "OneHot", "Pad", "Range", "Resize", "Tile", "Upsample",
}  # fmt: skip
"""Operators whose outputs may be of any size, whatever their inputs."""
FEED_FORWARD = GROWING | {
    "Abs", "Add", "And", "ArgMax", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat", "Constant",
    "Conv", "CumSum", "DepthToSpace", "DequantizeLinear", "Div", "Dropout", "Elu", "Equal", "Erf", "Exp", "Flatten", "Floor",
    "Gather", "GatherElements", "GatherND", "Gelu", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "Greater",
    "GreaterOrEqual", "GroupNormalization", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "LRN",
    "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax", "LpNormalization", "LpPool", "MatMul",
    "Max", "MaxPool", "Mean", "MeanVarianceNormalization", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Pow",
    "Reciprocal", "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Round", "Selu", "Shape", "Sigmoid", "Sign", "Size", "Slice",
    "Softmax", "Softplus", "Softsign", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Swish", "Tanh",
    "ThresholdedRelu", "TopK", "Transpose", "Unsqueeze", "Where", "Xor",
}  # fmt: skip
"""The operators that a network for pictures needs: none repeats, branches or draws at random; no texts, no lists."""


@dataclass(frozen=True)
class Refusal:
    """Makes the errors about one file's graph: `refusal(expected, found)` gives a MienError that names the file and ends
    with `todo`.
    """

    file: object
    todo: str

    def __call__(self, expected: str, found: str) -> MienError:
        return MienError(f"{expected} in {self.file}", found, self.todo)


def require_operators(model: ModelProto, known: Collection[str], refuse: Refusal, most: int = MOST_NODES) -> None:
    """Raises MienError for operators that are not `known`, and for graphs with inner graphs, functions or training."""
    graph = model.graph
    # Their numbers first: a small file holds a million that are empty.
    if len(graph.node) > most or len(graph.initializer) > most:
        raise refuse(f"at most {most:,} operators and as many weights", f"{len(graph.node):,} and {len(graph.initializer):,}")
    beside = (tensor.external_data for tensor in graph.initializer)
    inner = (part for node in graph.node for part in (node.input, node.output, node.attribute))
    parts = (model.opset_import, graph.input, graph.output, *beside, *inner)
    if any(len(part) > most for part in parts) or sum(map(len, parts)) > MOST_PARTS:
        raise refuse(f"at most {most:,} inputs, outputs and settings of operators", "more")
    if not all(isinstance(text, str) for text in _texts(model)):
        raise refuse("names that are texts", "bytes that are none")
    for name, given in (
        ("functions", model.functions),
        ("training", model.training_info),
        ("sparse weights", graph.sparse_initializer),
        ("quantized weights", graph.quantization_annotation),
    ):
        if given:
            raise refuse("a graph of operators and weights alone", name)
    for node in graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in known:
            raise refuse("operators that a network of this kind needs", short_name(f"{node.domain} {node.op_type}".strip()))
        for one in node.attribute:
            texts = one.type == AttributeProto.STRING and one.name not in _TEXTS
            if one.type not in _PLAIN or texts or one.ref_attr_name:
                raise refuse("settings of operators that are numbers", short_name(f"{one.name} of {node.op_type}"))


def _texts(model: ModelProto) -> Iterator[Any]:
    """All names in a model, as texts; names that are not UTF-8 come as bytes."""
    yield from (entry.domain for entry in model.opset_import)
    yield from (entry.name for entry in (*model.graph.input, *model.graph.output, *model.graph.initializer))
    for node in model.graph.node:
        yield from (node.domain, node.op_type, *node.input, *node.output, *(one.name for one in node.attribute))
    yield from (said for tensor in model.graph.initializer for one in tensor.external_data for said in (one.key, one.value))


def tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """All tensors that lie in a graph: its weights, and those in operators' attributes."""
    yield from graph.initializer
    yield from (one.t for node in graph.node for one in node.attribute if one.type == AttributeProto.TENSOR)


def values_of(tensor: TensorProto, refuse: Refusal) -> Any:
    """The array of a tensor in a graph. Raises MienError for a damaged tensor, for texts, and for nan."""
    if tensor.data_type not in _NUMBERS or tensor.data_location == TensorProto.EXTERNAL:
        raise refuse("numbers", short_name(f"others at {tensor.name}"))
    try:
        array = numpy_helper.to_array(tensor)
    except Exception as error:  # of many kinds: the library trusts what it reads
        raise refuse("whole arrays", short_name(f"{tensor.name}: {error}")) from error
    # nan differs from itself.
    if array.dtype.kind not in "biu" and not (array == array).all():
        raise refuse("numbers", short_name(f"nan at {tensor.name}"))
    return array


def infer_sizes(model: ModelProto, inputs: Mapping[str, Collection[int]], refuse: Refusal) -> dict[str, tuple[int, ...] | None]:
    """The shape of every value of a graph whose `inputs` have these shapes; None where a shape cannot be known.

    Shapes that the file states are not believed. Raises MienError where operators do not fit each other.
    """
    copied = ModelProto()
    copied.CopyFrom(model)
    graph = copied.graph
    del graph.value_info[:]
    for entry in graph.output:
        entry.type.tensor_type.ClearField("shape")
    for entry in graph.input:
        if entry.name in inputs:
            kind = entry.type.tensor_type.elem_type
            entry.CopyFrom(helper.make_tensor_value_info(entry.name, kind, list(inputs[entry.name])))
    try:
        made = shape_inference.infer_shapes(copied, check_type=True, strict_mode=True, data_prop=True).graph
    except Exception as error:  # of many kinds, as above
        raise refuse("operators that fit each other", short_name((str(error).splitlines() or ["others"])[0])) from error
    found: dict[str, tuple[int, ...] | None] = {entry.name: tuple(entry.dims) for entry in graph.initializer}
    for entry in (*made.input, *made.value_info, *made.output):
        found[entry.name] = _shape(entry)
    return {name: found.get(name) for name in (*found, *(name for node in graph.node for name in node.output if name))}


def _shape(entry: Any) -> tuple[int, ...] | None:
    kind = entry.type.tensor_type
    if not kind.HasField("shape") or not all(one.HasField("dim_value") and one.dim_value >= 0 for one in kind.shape.dim):
        return None
    return tuple(one.dim_value for one in kind.shape.dim)


def element_count(shape: Collection[int]) -> int:
    """The number of elements of a value of this shape."""
    return int(np.prod([int(size) for size in shape], dtype=object)) if shape else 1


def require_feed_forward(model: ModelProto, inputs: Mapping[str, Collection[int]], refuse: Refusal) -> None:
    """Raises MienError for a graph that is no plain feed-forward network for pictures of bounded size.

    `inputs`: the shapes of its inputs. Sizes are checked as far as they can be known beforehand.
    """
    require_operators(model, FEED_FORWARD, refuse)
    for tensor in tensors(model.graph):
        values_of(tensor, refuse)
    shapes = infer_sizes(model, inputs, refuse)
    for node in model.graph.node:
        _require_bounded(node, shapes, refuse)
    known = {name: shape for name, shape in shapes.items() if shape is not None}
    made = [(node, sum(element_count(known[name]) for name in node.output if name in known)) for node in model.graph.node]
    if sum(size for _, size in made) > MOST_MADE:
        raise refuse(f"at most {MOST_MADE:,} numbers in all values together", "more")
    if sum(size * multiplications_each(node, known) for node, size in made) > MOST_WORK:
        raise refuse(f"at most {MOST_WORK:,} multiplications", "more")


def multiplications_each(node: NodeProto, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Multiplications for one element of an operator's output, as far as the `shapes` of its inputs are known."""
    given = [shapes.get(name) for name in node.input[:2]]
    if node.op_type == "Conv" and len(given) > 1 and given[1]:
        return element_count(given[1][1:])
    if node.op_type == "ConvTranspose" and len(given) > 1 and given[1]:
        return given[1][0] * element_count(given[1][2:])
    if node.op_type in ("Gemm", "MatMul") and given[0]:
        return max(given[0])  # the side that is summed over, or a longer one
    window = [number for one in node.attribute if one.name == "kernel_shape" for number in one.ints]
    return max(1, element_count(window))


def _require_bounded(node: NodeProto, shapes: Mapping[str, tuple[int, ...] | None], refuse: Refusal) -> None:
    for name in filter(None, node.output):
        shape = shapes[name]
        if shape is None and node.op_type in GROWING:
            raise refuse(f"a size of {short_name(name)} ({node.op_type}) that can be known beforehand", "none")
        if shape is not None and element_count(shape) > MOST_VALUE:
            raise refuse(f"values of at most {MOST_VALUE:,} elements", f"{short_name(name)} of shape {shape}")
