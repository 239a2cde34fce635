"""Small files like those that hold other people's face-recognition networks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

WEIGHTS = np.random.default_rng(0).normal(0, 0.3, (5, 3, 3, 3)).astype(np.float32)
"""The convolution of the tiny network: (outputs, inputs, 3, 3)."""


def tiny_onnx(
    path: Path, batch: str | int = "batch", side: int | str = 16, last: bool = False, beside: Sequence[str] = ()
) -> Path:
    """A network of one 3x3 convolution with stride 2 (`inner`), ReLU (`map`) and an average over the map (`vector`).

    With `last` the channels come last, in the input and in `map`. `beside`: further inputs, of which `noise` is read by a node
    on the way to `loss`, which is an output then, and others by none; `weights` is listed as an input as well.
    """
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    before = [node("Transpose", ["picture"], ["first"], perm=[0, 3, 1, 2])] if last else []
    after = node("Transpose", ["high"], ["map"], perm=[0, 2, 3, 1]) if last else node("Identity", ["high"], ["map"])
    nodes = [
        *before,
        node("Conv", ["first" if last else "picture", "weights"], ["inner"], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", ["inner"], ["high"]),
        after,
        node("ReduceMean", ["high"], ["vector"], axes=[2, 3], keepdims=0),
    ]
    shape = [batch, side, side, 3] if last else [batch, 3, side, side]
    outputs = [value(name, onnx.TensorProto.FLOAT, None) for name in ("map", "vector")]
    shapes = {"weights": list(WEIGHTS.shape), "noise": [5]}
    further = [value(name, onnx.TensorProto.FLOAT, shapes.get(name, [1])) for name in beside]
    if "noise" in beside:
        nodes.append(node("Add", ["vector", "noise"], ["loss"]))
        outputs.append(value("loss", onnx.TensorProto.FLOAT, None))
    graph = onnx.helper.make_graph(
        nodes,
        "tiny",
        [*further, value("picture", onnx.TensorProto.FLOAT, shape)],
        outputs,
        [onnx.numpy_helper.from_array(WEIGHTS, "weights")],
    )
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), path)
    return path


FEW = ((4, 4), (6, 6), (8, 8, 8), (10, 10, 10), (10, 10, 10))
"""Channels of a small VGG-16."""


def vgg_face(people: int, hidden: int) -> dict[str, tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
    """Random kernels in MatConvNet's order, (H, W, C, N), and biases (N,), of VGG-Face with few units."""
    random, inputs = np.random.default_rng(0), 3
    layers: dict[str, tuple[int, ...]] = {}
    for stage, widths in enumerate(FEW, 1):
        for number, outputs in enumerate(widths, 1):
            layers[f"conv{stage}_{number}"] = (3, 3, inputs, outputs)
            inputs = outputs
    layers |= {"fc6": (7, 7, inputs, hidden), "fc7": (1, 1, hidden, hidden), "fc8": (1, 1, hidden, people)}
    return {
        name: (random.normal(0, 0.2, shape).astype(np.float32), random.normal(0, 0.1, shape[-1:]).astype(np.float32))
        for name, shape in layers.items()
    }
