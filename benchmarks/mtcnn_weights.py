"""Writes MTCNN's three networks as ONNX files, from the weights that the package `mtcnn` 1.0.0 brings (MIT license).

    python benchmarks/mtcnn_weights.py [FOLDER]

mien comes with these files, so that it needs neither that package nor the pickles in it. Departures from the package: gray
values enter as they are, since (x - 127.5) / 128 is folded into the first convolution; of the two logits of face or not only the
difference is computed; all outputs of a network are one layer.
"""

import hashlib
import io
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import joblib
import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

from mien.errors import MienError
from mien.faces.mtcnn.networks import FOLDER, MtcnnLayer
from mien.installed import package_folder

Array = npt.NDArray[np.float32]
Arrays = Sequence[Array]

SHA256 = {
    "pnet": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}
MEAN, DIVISOR = 127.5, 128.0
POOLS = {"pnet": (2, 0, 0), "rnet": (3, 3, 0), "onet": (3, 3, 2, 0)}
"""The side of the max-pooling windows after each convolution; 0 for none."""


def read_mtcnn_weights(name: str) -> Arrays:
    """The arrays of `pnet`, `rnet` or `onet` in Keras' layout. Raises MienError where the file is missing or unknown."""
    folder = package_folder("mtcnn")
    if folder is None:
        raise MienError("the weights of MTCNN", "no package that holds them", "pip install mtcnn==1.0.0")
    file = folder / "assets" / "weights" / f"{name}.lz4"
    content = file.read_bytes() if file.is_file() else b""
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[name]:
        raise MienError(f"sha256 {SHA256[name][:12]}… of {file}", f"{found[:12]}…", "pip install mtcnn==1.0.0 again")
    arrays: Arrays = joblib.load(io.BytesIO(content))  # unpickled only after its hash was found right
    return arrays


def mtcnn_layers(name: str, arrays: Arrays) -> list[MtcnnLayer]:
    """The layers of a network from Keras' arrays: kernels (h, w, in, out), biases, slopes, and the outputs at the end."""
    given = iter(arrays)
    made: list[MtcnnLayer] = []
    for pool in POOLS[name]:
        kernel, bias, slopes = next(given).transpose(3, 2, 0, 1), next(given), next(given)
        if not made:
            kernel, bias = kernel / DIVISOR, bias - kernel.sum((1, 2, 3)) * MEAN / DIVISOR
        made += [_layer("conv", kernel, bias), _layer("prelu", slopes.reshape(-1, 1, 1))]
        made += [MtcnnLayer("pool", side=pool)] if pool else []
    if name != "pnet":
        kernel, maps = next(given), len(bias)
        side = math.isqrt(len(kernel) // maps)
        # Keras' arrays go with maps flattened as (W, H, C).
        kernel = kernel.reshape(side, side, maps, -1).transpose(3, 2, 1, 0)
        made += [_layer("linear", kernel.reshape(len(kernel), -1), next(given)), _layer("prelu", next(given))]
    *others, kernel, bias = given
    kernel = np.concatenate([np.diff(kernel), *others[0::2]], axis=-1)  # (1, 1, 32, 5), (128, 5) or (256, 15)
    bias = np.concatenate([np.diff(bias), *others[1::2]])
    last = _layer("conv", kernel.transpose(3, 2, 0, 1), bias) if kernel.ndim == 4 else _layer("linear", kernel.T, bias)
    return [*made, last]


def _layer(kind: Literal["conv", "prelu", "linear"], *arrays: Array) -> MtcnnLayer:
    return MtcnnLayer(kind, [np.ascontiguousarray(array, np.float32) for array in arrays])


def onnx_bytes(net: Sequence[MtcnnLayer]) -> bytes:
    """The network as the content of an ONNX file."""
    nodes = [helper.make_node("Transpose", ["pictures"], ["0"], perm=[0, 3, 1, 2])]
    values = [numpy_helper.from_array(np.zeros((), np.float32), "zero")]

    def add(kind: str, *inputs: str, **settings: Any) -> str:
        made = str(len(nodes))
        nodes.append(helper.make_node(kind, inputs, [made], **settings))
        return made

    last = "0"
    for number, layer in enumerate(net):
        # x + (slope - 1) min(x, 0): onnxruntime's own PRelu looks at one value at a time.
        arrays = [array - 1 for array in layer.arrays] if layer.kind == "prelu" else layer.arrays
        names = [f"{number}.{place}" for place in range(len(arrays))]
        values += [numpy_helper.from_array(array, name) for array, name in zip(arrays, names, strict=True)]
        if layer.kind == "conv":
            last = add("Conv", last, *names)
        elif layer.kind == "prelu":
            last = add("Add", last, add("Mul", add("Min", last, "zero"), *names))
        elif layer.kind == "pool":
            last = add("MaxPool", last, kernel_shape=[layer.side] * 2, strides=[2, 2], ceil_mode=1)
        else:
            last = add("Gemm", add("Flatten", last), *names, transB=1)
    pictures = helper.make_tensor_value_info("pictures", TensorProto.FLOAT, ["batch", "height", "width", 3])
    output = helper.make_tensor_value_info(last, TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "mtcnn", [pictures], [output], values)
    content: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    return content


def main(folder: Path = FOLDER) -> None:
    """Write a file for each network."""
    for name in SHA256:
        (folder / f"{name}.onnx").write_bytes(onnx_bytes(mtcnn_layers(name, read_mtcnn_weights(name))))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
