"""How each layer of torch stands in a graph of ONNX.

Operators whose outputs could be of any size (Resize, Pad, Expand) are not among those that a model from elsewhere may have.
Resizing and pooling to a grid are products with a matrix instead, and zeros are added by convolutions.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

from mien.errors import MienError
from mien.models import FacePixels
from mien.models.facenet_dlib import ZeroPaddedSum

Shapes = Sequence[tuple[int, ...]]
"""The shapes of a layer's inputs, for one face."""
OWN_LAYERS = (FacePixels, ZeroPaddedSum)
"""Layers of mien's networks that are written whole; of others their parts are."""


class GraphParts:
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


def unknown_layer(found: str) -> MienError:
    """The error about a layer that is not known here."""
    known = "convolutions, batch normalization, ReLU, PReLU, sums, pooling, resizing and linear layers"
    return MienError(f"a network of {known}, to export it", found, "use the run as it is, or take another network")


def add_layer(graph: GraphParts, module: nn.Module, name: str, values: Sequence[str], shapes: Shapes) -> str:
    """Add one layer, whose weights begin with `name`, and give its output.

    Raises MienError for a layer that is not known.
    """
    match module:
        case nn.Dropout() | nn.Identity():
            return values[0]
        case nn.ReLU():
            return graph.add("Relu", values)
        case nn.PReLU():
            return _prelu(graph, module, name, values[0], len(shapes[0]))
        case nn.Flatten(start_dim=1, end_dim=-1):
            return graph.add("Flatten", values)
        case nn.AdaptiveAvgPool2d(output_size=1):
            return graph.add("GlobalAveragePool", values)
        case nn.AdaptiveAvgPool2d(output_size=int(grid)):
            return _times(graph, values[0], F.adaptive_avg_pool2d(_lines(shapes[0]), (shapes[0][-1], grid)))
        case nn.AvgPool2d() | nn.MaxPool2d():
            return _pool(graph, module, values)
        case nn.BatchNorm1d() | nn.BatchNorm2d() if module.track_running_stats:
            return _normalization(graph, module, name, values[0])
        case nn.Linear():
            return graph.add("Gemm", [*values, *_arrays(module, name)], transB=1)
        case nn.Conv2d(padding_mode="zeros") if isinstance(module.padding, tuple):
            settings = {"kernel_shape": module.kernel_size, "strides": module.stride, "dilations": module.dilation}
            return graph.add(
                "Conv", [*values, *_arrays(module, name)], pads=[*module.padding] * 2, group=module.groups, **settings
            )
        case FacePixels():
            return _face_pixels(graph, module, values[0], shapes[0])
        case ZeroPaddedSum():
            return _padded_sum(graph, values, shapes)
    raise unknown_layer(type(module).__name__)


def _pool(graph: GraphParts, module: nn.AvgPool2d | nn.MaxPool2d, values: Sequence[str]) -> str:
    most, padding = isinstance(module, nn.MaxPool2d), _pair(module.padding)
    if any(step != 1 for step in _pair(getattr(module, "dilation", 1))) or (any(padding) and module.ceil_mode):
        raise unknown_layer("pooling with dilation, or with padding and sizes rounded up")
    own = {} if most else {"count_include_pad": int(bool(getattr(module, "count_include_pad", True)) and any(padding))}
    shape = {"kernel_shape": _pair(module.kernel_size), "strides": _pair(module.stride), "pads": padding * 2}
    return graph.add("MaxPool" if most else "AveragePool", values, ceil_mode=int(module.ceil_mode), **shape, **own)


def _normalization(graph: GraphParts, module: nn.BatchNorm1d | nn.BatchNorm2d, name: str, value: str) -> str:
    width = module.num_features
    affine = [f"{name}.weight", f"{name}.bias"] if module.affine else [graph.constant(f(width)) for f in (np.ones, np.zeros)]
    arrays = [*affine, f"{name}.running_mean", f"{name}.running_var"]
    return graph.add("BatchNormalization", [value, *arrays], epsilon=module.eps)


def _prelu(graph: GraphParts, module: nn.PReLU, name: str, value: str, dimensions: int) -> str:
    """PReLU: ONNX compares the last dimensions of slopes and values, torch the channels."""
    slopes = f"{name}.weight"
    if module.num_parameters > 1 and dimensions > 2:
        slopes = graph.add("Unsqueeze", [slopes, graph.constant(range(1, dimensions - 1), np.int64)])
    return graph.add("PRelu", [value, slopes])


def _face_pixels(graph: GraphParts, module: FacePixels, value: str, shape: tuple[int, ...]) -> str:
    """Resize before gray values become as many channels as there are means: that is less to compute."""
    side = shape[-1]
    if module.side and side != module.side:
        made = F.interpolate(_lines(shape), (side, module.side), mode="bilinear", antialias=side > module.side)
        value = _times(graph, value, made)
    scaled = graph.add("Mul", [value, graph.constant(module.scale)])
    return graph.add("Add", [scaled, graph.constant(module.shift.cpu().numpy())])


def _lines(shape: tuple[int, ...]) -> Tensor:
    """(1, 1, S, S): a map whose line n is 1 at place n and 0 elsewhere. What becomes of it shows what becomes of any line."""
    return torch.eye(shape[-1])[None, None]


def _times(graph: GraphParts, value: str, lines: Tensor) -> str:
    """Maps (B, C, S, S) of which every line and then every column is multiplied by `lines` (1, 1, S, T): (B, C, T, T)."""
    matrix = graph.constant(lines[0, 0].numpy())
    return graph.add("MatMul", [graph.add("Transpose", [matrix], perm=[1, 0]), graph.add("MatMul", [value, matrix])])


def _padded_sum(graph: GraphParts, values: Sequence[str], shapes: Shapes) -> str:
    """`ZeroPaddedSum`: convolutions of one pixel, whose weights are 1 and 0, add the rows, columns and channels of zeros."""
    (made, short), ((_, wide, side, _), (_, narrow, wanted, _)) = values, shapes
    if missing := wanted - side:
        ones = graph.constant(np.ones((wide, 1, 1, 1)))
        made = graph.add("Conv", [made, ones], kernel_shape=[1, 1], pads=[0, 0, missing, missing], group=wide)
    if wide > narrow:
        short = graph.add("Conv", [short, graph.constant(np.eye(wide, narrow)[..., None, None])], kernel_shape=[1, 1])
    return graph.add("Add", [made, short])


def _pair(value: int | tuple[int, ...]) -> list[int]:
    return [value] * 2 if isinstance(value, int) else list(value)


def _arrays(module: nn.Module, name: str) -> list[str]:
    bias: Tensor | None = getattr(module, "bias", None)
    return [f"{name}.weight"] if bias is None else [f"{name}.weight", f"{name}.bias"]
