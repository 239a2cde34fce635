"""MTCNN's three networks (Zhang et al. 2016, "Joint face detection and alignment using multitask cascaded convolutional
networks", Fig. 2), with the weights that the package `mtcnn` 1.0.0 brings, in torch or in onnxruntime.

Departures: gray values enter as they are, since (x - 127.5) / 128 is folded into the first convolution; of the two logits of
face or not only the difference is computed; all outputs of a network are one layer.
"""

import hashlib
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import joblib
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mien.errors import MienError
from mien.installed import folder_of
from mien.onnx_file import open_session

Runtime = Literal["torch", "onnx"]
Arrays = Sequence[npt.NDArray[np.float32]]
Net = Callable[[Tensor], Tensor]
"""Pictures (B, H, W, 3), 0 to 255, to a logit of being a face, 4 offsets of the box and, of the last network, 5 x and 5 y of
landmarks: (B, 5 or 15), or a map (B, 5, H', W') of the first network, whose windows are 12 pixels with stride 2."""

SHA256 = {
    "pnet": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}
MEAN, DIVISOR = 127.5, 128.0


@dataclass(frozen=True, eq=False)
class Nets:
    """The cascade: proposals, their refinement, and the output."""

    propose: Net
    refine: Net
    output: Net


@cache
def networks(runtime: Runtime) -> Nets:
    """Made once a process. Raises MienError where weights are missing or others, or onnxruntime is not installed."""
    run = _in_torch if runtime == "torch" else _in_onnx
    propose, refine, output = (filled(layers(name), weights(name)) for name in SHA256)
    return Nets(run(propose), run(refine), run(output))


def layers(name: str) -> nn.Sequential:
    """One of `pnet`, `rnet` and `onet`, untrained."""
    if name == "pnet":
        return nn.Sequential(*_block(3, 10, 3, 2), *_block(10, 16, 3), *_block(16, 32, 3), nn.Conv2d(32, 5, 1))
    if name == "rnet":
        blocks = (*_block(3, 28, 3, 3), *_block(28, 48, 3, 3), *_block(48, 64, 2))
        return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(576, 128), nn.PReLU(128), nn.Linear(128, 5))
    blocks = (*_block(3, 32, 3, 3), *_block(32, 64, 3, 3), *_block(64, 64, 3, 2), *_block(64, 128, 2))
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(1152, 256), nn.PReLU(256), nn.Linear(256, 15))


def _block(inputs: int, outputs: int, kernel: int, pool: int = 0) -> list[nn.Module]:
    made: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel), nn.PReLU(outputs)]
    return [*made, nn.MaxPool2d(pool, 2, ceil_mode=True)] if pool else made


def weights(name: str) -> Arrays:
    """A network's arrays in Keras' layout. Raises MienError where there is no file, or not the one that is known."""
    folder = folder_of("mtcnn")
    if folder is None:
        raise MienError("the weights of MTCNN", "no package that holds them", "pip install mtcnn==1.0.0")
    file = folder / "assets" / "weights" / f"{name}.lz4"
    content = file.read_bytes() if file.is_file() else b""
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[name]:
        raise MienError(f"sha256 {SHA256[name][:12]}… of {file}", f"{found[:12]}…", "pip install mtcnn==1.0.0 again")
    arrays: Arrays = joblib.load(io.BytesIO(content))  # unpickled only after its hash was found right
    return arrays


def filled(net: nn.Sequential, arrays: Arrays) -> nn.Sequential:
    """The network with Keras' arrays: kernels (h, w, in, out) and biases, slopes, and at the end offsets, landmarks, classes."""
    given = iter(torch.from_numpy(np.array(array)) for array in arrays)
    state: dict[str, Tensor] = {}
    maps = 0
    for name, layer in list(net.named_children())[:-1]:
        if isinstance(layer, nn.PReLU):
            state[f"{name}.weight"] = next(given).flatten()
        if isinstance(layer, nn.Conv2d):
            maps = layer.out_channels
            state |= {f"{name}.weight": next(given).permute(3, 2, 0, 1), f"{name}.bias": next(given)}
        if isinstance(layer, nn.Linear):
            side = math.isqrt(layer.in_features // maps)
            # Keras' arrays go with maps flattened as (W, H, C), torch flattens (C, H, W).
            kernel = next(given).view(side, side, maps, layer.out_features).permute(3, 2, 1, 0)
            state |= {f"{name}.weight": kernel.flatten(1), f"{name}.bias": next(given)}
    *others, kernel, bias = given
    kernel = torch.cat([kernel.diff(), *others[0::2]], dim=-1).movedim(-1, 0)  # (5, 1, 1, 32), (5, 128) or (15, 256)
    state[f"{len(net) - 1}.weight"] = kernel.flatten(1)[:, :, None, None] if kernel.ndim == 4 else kernel
    state[f"{len(net) - 1}.bias"] = torch.cat([bias.diff(), *others[1::2]])
    state["0.bias"] = state["0.bias"] - state["0.weight"].sum((1, 2, 3)) * MEAN / DIVISOR
    state["0.weight"] = state["0.weight"] / DIVISOR
    net.load_state_dict(state)
    return net.eval()


def _in_torch(net: nn.Sequential) -> Net:
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def run(pictures: Tensor) -> Tensor:
        made: Tensor = net(pictures.permute(0, 3, 1, 2))  # what has channels last in memory stays so
        return made

    return run


def _in_onnx(net: nn.Sequential) -> Net:
    session = open_session(onnx_bytes(net))

    def run(pictures: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"pictures": pictures.numpy()})[0])

    return run


def onnx_bytes(net: nn.Sequential) -> bytes:
    """The network as a file of ONNX. Raises MienError where onnx is not installed.

    Written layer by layer: torch's exporter asks for another package (onnxscript), and its older form is on its way out.
    """
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise MienError("onnx and onnxruntime for runtime = 'onnx'", str(error), "pip install 'mien[onnx]'") from error
    nodes, values, last = [helper.make_node("Transpose", ["pictures"], ["made"], perm=[0, 3, 1, 2])], [], "made"
    for number, layer in enumerate(net):
        operator, settings = _operator(layer)
        names = [f"{number}.{name}" for name, _ in layer.named_parameters()]
        arrays = [value.detach().contiguous().numpy() for value in layer.parameters()]
        if isinstance(layer, nn.PReLU):  # a slope for each channel, whatever follows it
            arrays = [arrays[0].reshape(-1) if net[number - 1].weight.ndim == 2 else arrays[0].reshape(-1, 1, 1)]
        values += [numpy_helper.from_array(array, name) for array, name in zip(arrays, names, strict=True)]
        nodes.append(helper.make_node(operator, [last, *names], [f"made{number}"], **settings))
        last = f"made{number}"
    pictures = helper.make_tensor_value_info("pictures", TensorProto.FLOAT, ["batch", "height", "width", 3])
    output = helper.make_tensor_value_info(last, TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "mtcnn", [pictures], [output], values)
    content: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    return content


def _operator(layer: nn.Module) -> tuple[str, dict[str, Any]]:
    """The name and the settings of a layer in ONNX."""
    if isinstance(layer, nn.MaxPool2d):
        return "MaxPool", {"kernel_shape": [layer.kernel_size] * 2, "strides": [layer.stride] * 2, "ceil_mode": 1}
    if isinstance(layer, nn.Linear):
        return "Gemm", {"transB": 1}
    return {nn.Conv2d: "Conv", nn.PReLU: "PRelu", nn.Flatten: "Flatten"}[type(layer)], {}
