"""MTCNN's three networks (Zhang et al. 2016, "Joint face detection and alignment using multitask cascaded convolutional
networks", Fig. 2), in onnxruntime or in torch. Their files were made by benchmarks/mtcnn_weights.py, which says from what.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from mien.errors import MienError
from mien.onnx_file import open_session, thread_count

if TYPE_CHECKING:
    from torch import Tensor

Runtime = Literal["onnx", "torch"]
Array = npt.NDArray[np.float32]
Arrays = Sequence[Array]
Net = Callable[[Array], Array]
"""A network: pictures (B, H, W, 3), 0 to 255, to the logit of being a face, 4 offsets of the box and, in O-Net, 5 x and 5 y.

Returns (B, 5 or 15); P-Net gives a map (B, 5, H', W') of windows of 12 pixels with stride 2.
"""

FOLDER = Path(__file__).parent / "weights"
"""Where the files of the networks are."""
NETWORKS = ("pnet", "rnet", "onet")


@dataclass(frozen=True, eq=False)
class MtcnnLayer:
    """One layer of a network."""

    kind: Literal["conv", "prelu", "pool", "linear"]
    """What the layer computes; `linear` takes a map as one vector, in the order (C, H, W)."""
    arrays: Arrays = ()
    """The kernel (out, in, h, w) or (out, in) and the bias; or slopes (C, 1, 1) or (C,)."""
    side: int = 0
    """The side of the windows of `pool`, which are 2 pixels apart and may go beyond the map."""


@dataclass(frozen=True, eq=False)
class MtcnnNets:
    """The networks of the cascade: P-Net proposes, R-Net refines, O-Net decides."""

    propose: Net
    """P-Net."""
    refine: Net
    """R-Net."""
    output: Net
    """O-Net."""


@cache
def mtcnn_networks(runtime: Runtime) -> MtcnnNets:
    """The three networks, made once in a process.

    Raises MienError where a file is missing, or onnxruntime cannot run it.
    """
    run = _in_torch if runtime == "torch" else _in_onnx
    propose, refine, output = (run(_content(name)) for name in NETWORKS)
    return MtcnnNets(propose, refine, output)


def _content(name: str) -> bytes:
    """The file of a network."""
    file = FOLDER / f"{name}.onnx"
    if not file.is_file():
        raise MienError(f"a network of MTCNN at {file}", "no such file", "install mien again")
    return file.read_bytes()


def mtcnn_layers(content: bytes) -> list[MtcnnLayer]:
    """The layers of a network, from the content of its file."""
    from onnx import load_from_string, numpy_helper

    graph = load_from_string(content).graph
    arrays = {value.name: np.array(numpy_helper.to_array(value), np.float32) for value in graph.initializer}
    made: list[MtcnnLayer] = []
    for node in graph.node:
        own = [arrays[name] for name in node.input if name in arrays and name != "zero"]
        if node.op_type == "Conv":
            made.append(MtcnnLayer("conv", own))
        elif node.op_type == "Mul":  # x + (slope - 1) min(x, 0)
            made.append(MtcnnLayer("prelu", [array + 1 for array in own]))
        elif node.op_type == "MaxPool":
            made.append(MtcnnLayer("pool", side=next(one.ints[0] for one in node.attribute if one.name == "kernel_shape")))
        elif node.op_type == "Gemm":
            made.append(MtcnnLayer("linear", own))
    return made


def _in_onnx(content: bytes) -> Net:
    session = open_session(content, thread_count())

    def run(pictures: Array) -> Array:
        try:
            made: Array = session.run(None, {"pictures": pictures})[0]
        except Exception as error:  # of kinds of its own: where memory runs out, for one
            raise RuntimeError(str(error)) from error
        return made

    return run


def _in_torch(content: bytes) -> Net:
    import torch
    from torch.nn import functional as F

    def put(array: Array) -> "Tensor":
        tensor = torch.from_numpy(array)
        return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor

    steps = [(layer, [put(array) for array in layer.arrays]) for layer in mtcnn_layers(content)]

    @torch.inference_mode()
    def run(pictures: Array) -> Array:
        made = torch.from_numpy(pictures).permute(0, 3, 1, 2)  # what has channels last in memory stays so
        for layer, arrays in steps:
            if layer.kind == "conv":
                made = F.conv2d(made, arrays[0], arrays[1])
            elif layer.kind == "prelu":
                made = F.prelu(made, arrays[0].flatten())
            elif layer.kind == "pool":
                made = F.max_pool2d(made, layer.side, 2, ceil_mode=True)
            else:
                made = F.linear(made.flatten(1), arrays[0], arrays[1])
        return made.numpy()

    return run
