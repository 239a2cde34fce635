"""Networks from ONNX files: what they make is what the file says, with no gradient, and wrong files are one sentence."""

import copy
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien import MienError
from mien.data.format import Info
from mien.models import Network
from mien.onnx_file import serialize
from mien.recognize.saved_networks import build_network
from teachers import WEIGHTS, tiny_onnx


def teacher(path: Path, channels: int = 3, face: int = 16, **settings: object) -> Network:
    info = Info(classes=("a", "b"), side=face, channels=channels)
    return build_network({"network": "onnx_facenet", "path": str(path), "divisor": 2.0, **settings}, 2, info).eval()


def reference(inputs: Tensor, bgr: bool = False) -> Tensor:
    """The tiny network's values before the ReLU, for faces of which black is -2 and white 2."""
    pixels = (inputs * 63.75 + 127.5 - 127.5) / 2
    return F.conv2d(pixels.flip(1) if bgr else pixels, torch.from_numpy(WEIGHTS), stride=2, padding=1)


@pytest.mark.parametrize("batch", ["batch", 1])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_the_map_is_that_of_the_file(tmp_path: Path, batch: str | int, last: bool, order: str) -> None:
    network, inputs = teacher(tiny_onnx(tmp_path / "net.onnx", batch, last=last), order=order), torch.randn(3, 3, 16, 16)
    expected = reference(inputs, order == "bgr").relu()
    assert torch.allclose(network.features(inputs, "map"), expected, atol=1e-3)
    assert network.shapes() == {"map": (5, 8, 8)}
    assert network(inputs).shape == (3, 2)


def test_values_inside_are_reached(tmp_path: Path) -> None:
    path, inputs = tiny_onnx(tmp_path / "net.onnx"), torch.randn(2, 3, 16, 16)
    assert torch.allclose(teacher(path, output="inner").features(inputs, "map"), reference(inputs), atol=1e-3)
    vector = teacher(path, output="vector").features(inputs, "map")
    assert torch.allclose(vector, reference(inputs).relu().mean((2, 3)), atol=1e-3)
    assert isinstance(teacher(path, output="vector").head, nn.Linear)


@pytest.mark.parametrize("beside", [("label",), ("weights", "label"), ("noise",), ("noise", "label", "weights")])
def test_inputs_that_the_output_does_not_read_are_no_inputs(tmp_path: Path, beside: tuple[str, ...]) -> None:
    """Files of other programs list weights, labels and noise of training among their inputs; SFace's is one."""
    path, inputs = tiny_onnx(tmp_path / "net.onnx", beside=beside), torch.randn(2, 3, 16, 16)
    for output in ("map", "vector"):
        expected = reference(inputs).relu()
        expected = expected if output == "map" else expected.mean((2, 3))
        assert torch.allclose(teacher(path, output=output).features(inputs, "map"), expected, atol=1e-3)
    if "noise" in beside:
        with pytest.raises(MienError, match=r"one input .*; found 2 inputs"):
            teacher(path, output="loss")


def test_weights_in_eight_bits_and_values_called_by_numbers(tmp_path: Path) -> None:
    """As SFace's int8 file has them: whole numbers, scales of parts of them, and the weights listed as inputs that none reads."""
    path, inputs = tiny_onnx(tmp_path / "net.onnx", beside=("weights",)), torch.randn(2, 3, 16, 16)
    model, flat = onnx.load(path), WEIGHTS.reshape(5, 27)
    scales = (np.abs(flat).reshape(5, 3, 9).max(2) / 127).astype(np.float32)
    whole = np.round(flat / scales.repeat(9, 1)).astype(np.int8)
    given = {"whole": whole, "scales": scales, "zeros": np.zeros((5, 3), np.int8), "shape": np.array(WEIGHTS.shape)}
    del model.graph.initializer[:]
    model.graph.initializer.extend(onnx.numpy_helper.from_array(values, name) for name, values in given.items())
    node = onnx.helper.make_node
    nodes = [
        node("DequantizeLinear", ["whole", "scales", "zeros"], ["flat"], axis=1, block_size=9),
        node("Reshape", ["flat", "shape"], ["kernel"]),
        node("Conv", ["picture", "kernel"], ["inner"], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", ["inner"], ["27"]),
        node("Identity", ["27"], ["map"]),
        node("GlobalAveragePool", ["27"], ["vector"]),
    ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.opset_import[0].version, model.ir_version = 21, 10
    onnx.save(model, path)
    kernel = torch.from_numpy((whole * scales.repeat(9, 1)).reshape(WEIGHTS.shape).astype(np.float32))
    expected = F.conv2d(inputs * 63.75 / 2, kernel, stride=2, padding=1).relu()
    assert torch.allclose(teacher(path, output=27).features(inputs, "map"), expected, atol=1e-3)
    assert not torch.allclose(expected, reference(inputs).relu(), atol=1e-3)  # the eight bits are what is tested


def test_gray_faces_of_another_size(tmp_path: Path) -> None:
    network, inputs = teacher(tiny_onnx(tmp_path / "net.onnx"), channels=1, face=24), torch.randn(2, 1, 24, 24)
    shown = F.interpolate(inputs, 16, mode="bilinear", antialias=True).expand(-1, 3, -1, -1)
    assert torch.allclose(network.features(inputs, "map"), reference(shown).relu(), atol=1e-3)


def test_only_the_head_learns_and_copies_work(tmp_path: Path) -> None:
    network, inputs = teacher(tiny_onnx(tmp_path / "net.onnx")), torch.randn(2, 3, 16, 16, requires_grad=True)
    assert not list(network.blocks.parameters())
    network(inputs).sum().backward()
    assert inputs.grad is None
    assert all(parameter.grad is not None for parameter in network.head.parameters())
    assert torch.equal(copy.deepcopy(network)(inputs), network(inputs))


def test_wrong_files_are_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny_onnx(tmp_path / "net.onnx")
    with pytest.raises(MienError, match=r"an output of .* \(map, vector\) or a value inside; found 'pool5'"):
        teacher(path, output="pool5")
    with pytest.raises(MienError, match="no such file"):
        teacher(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no network at all")
    with pytest.raises(MienError, match="an ONNX file at"):
        teacher(tmp_path / "text.onnx")
    with pytest.raises(MienError, match=r"set model\.side"):
        teacher(tiny_onnx(tmp_path / "free.onnx", side="side"))
    assert teacher(tiny_onnx(tmp_path / "free.onnx", side="side"), side=20).shapes() == {"map": (5, 10, 10)}
    with pytest.raises(MienError, match=r"model\.side 16, which"):
        teacher(path, side=32)
    with pytest.raises(MienError, match=r"one input \(B or 1, 3, S, S\)"):
        teacher(tiny_onnx(tmp_path / "four.onnx", batch=4))
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MienError, match=r"onnx.*pip install 'mien\[onnx\]'"):
        teacher(path)


def test_another_file_than_the_one_that_is_named_is_refused(tmp_path: Path) -> None:
    path = tiny_onnx(tmp_path / "net.onnx")
    known = hashlib.sha256(path.read_bytes()).hexdigest()
    assert teacher(path, sha256=known.upper()).shapes() == {"map": (5, 8, 8)}
    with pytest.raises(MienError, match=rf"sha256 {'0' * 64} of .*; found {known}"):
        teacher(path, sha256="0" * 64)


def test_networks_of_two_gigabytes_are_refused_in_a_sentence(tmp_path: Path) -> None:
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate(1 << 31)  # takes no room
    with pytest.raises(MienError, match="below 2 GB"):
        teacher(tmp_path / "large.onnx")

    class Large:
        def SerializeToString(self) -> bytes:
            raise ValueError("Message exceeds maximum protobuf size of 2GB")

    with pytest.raises(MienError, match="below 2 GB"):
        serialize(Large(), tmp_path / "beside.onnx")


Change = Callable[[onnx.ModelProto], object]


def edited(path: Path, *changes: Change) -> Path:
    """The tiny network, changed."""
    model = onnx.load(tiny_onnx(path))
    for change in changes:
        change(model)
    onnx.save(model, path)
    return path


def then(kind: str, *names: str, **settings: Any) -> Change:
    """An operator whose output is `end`, after the map."""
    return lambda model: model.graph.node.append(onnx.helper.make_node(kind, ["map", *names], ["end"], **settings))


def array(name: str, values: object, dtype: type[np.generic] = np.int64) -> Change:
    return lambda model: model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(values, dtype), name))


def filled(name: str) -> Change:
    """A constant of the shape `size`, which takes no room in the file."""
    return lambda model: model.graph.node.append(onnx.helper.make_node("ConstantOfShape", ["size"], [name]))


def multiplied(name: str) -> Change:
    return lambda model: model.graph.node.append(onnx.helper.make_node("MatMul", [name, name], [f"{name}{name}"]))


def inner() -> onnx.GraphProto:
    value = onnx.helper.make_tensor_value_info
    same = [onnx.helper.make_node("Identity", [name], [f"{name}2"]) for name in ("go", "x")]
    inputs = [value("i", 7, []), value("go", 9, []), value("x", 1, None)]
    return onnx.helper.make_graph(same, "inner", inputs, [value("go2", 9, []), value("x2", 1, None)])


def summed(*names: str) -> Change:
    """`end` is the map and the largest value of each of these, all of which have to be computed for it."""

    def change(model: onnx.ModelProto) -> None:
        made = [onnx.helper.make_node("ReduceMax", [name], [f"{name}-most"], keepdims=0) for name in names]
        model.graph.node.extend([*made, onnx.helper.make_node("Sum", ["map", *(f"{name}-most" for name in names)], ["end"])])

    return change


def looped(model: onnx.ModelProto) -> None:
    model.graph.node.append(onnx.helper.make_node("Loop", ["", "go", "map"], ["end"], body=inner()))


REFUSED: dict[str, tuple[list[Change], str]] = {
    "loop": ([array("go", True, np.bool_), looped], "found Loop"),
    "random": ([then("RandomNormalLike")], "found RandomNormalLike"),
    "own": ([then("Relu", domain="own")], "found own Relu"),
    "function": ([lambda model: model.functions.add(), then("Relu")], "found functions"),
    "tiles": ([array("times", [1, 1000, 1000, 1000]), then("Tile", "times")], "values of at most"),
    "expanded": ([array("to", [10**4, 10**4, 5, 8, 8]), then("Expand", "to")], "values of at most"),
    "too much together": ([array("size", [8192, 8192]), *(filled(name) for name in "abc"), summed(*"abc")],
                          "numbers in all values together"),
    "never done": ([array("size", [4096, 4096]), filled("a"), multiplied("a"), summed("aa")],
                   "at most 50,000,000,000 multiplications"),
    "size unknown": ([lambda m: m.graph.node.append(onnx.helper.make_node("Cast", ["vector"], ["to"], to=7)), then("Tile", "to")],
                     "a size of end|fit each other"),
    "nan": ([array("bad", [np.nan], np.float32), then("Add", "bad")], "nan at bad"),
    "texts": ([array("few", [0.5], np.float32), then("Add", "few", own="x")], "settings of operators that are numbers"),
    "does not fit": ([array("wide", np.zeros((3, 3)), np.float32), then("MatMul", "wide")], "operators that fit each other"),
}  # fmt: skip


@pytest.mark.parametrize("fault", REFUSED)
def test_a_file_that_is_no_network_of_layers_is_refused(tmp_path: Path, fault: str) -> None:
    changes, said = REFUSED[fault]
    with pytest.raises(MienError, match=said):
        teacher(edited(tmp_path / "net.onnx", *changes), output="end")


def test_what_the_output_does_not_need_is_never_made(tmp_path: Path) -> None:
    changes = [array("size", [4096, 4096]), filled("a"), multiplied("a"), *[filled(f"b{n}") for n in range(30_000)]]
    inputs = torch.randn(1, 3, 16, 16)
    found = teacher(edited(tmp_path / "net.onnx", *changes, then("Identity")), output="end").features(inputs, "map")
    assert torch.allclose(found, reference(inputs).relu(), atol=1e-3)


def test_layers_of_other_face_nets_are_taken(tmp_path: Path) -> None:
    """PReLU, and a flattening whose size is computed, as exporters write it."""
    node = onnx.helper.make_node
    nodes = [
        node("PRelu", ["map", "slope"], ["bent"]),
        node("Shape", ["bent"], ["shape"]),
        node("Gather", ["shape", "zero"], ["batch"], axis=0),
        node("Unsqueeze", ["batch", "first"], ["batches"]),
        node("Concat", ["batches", "rest"], ["flat"], axis=0),
        node("Reshape", ["bent", "flat"], ["end"]),
    ]
    arrays = [array("slope", np.full((5, 1, 1), 0.25), np.float32), array("zero", 0), array("first", [0]), array("rest", [-1])]
    path = edited(tmp_path / "net.onnx", *arrays, lambda model: model.graph.node.extend(nodes))
    inputs = torch.randn(3, 3, 16, 16)
    found = teacher(path, output="end").features(inputs, "map")
    assert torch.allclose(found, reference(inputs).relu().flatten(1), atol=1e-3)


def test_other_numbers_than_faces_and_no_numbers_are_refused(tmp_path: Path) -> None:
    fixed = edited(tmp_path / "a.onnx", array("to", [-1, 160]), then("Reshape", "to"))
    with pytest.raises(MienError, match="numbers for each of 1 faces"):
        teacher(fixed, output="end")
    divided = edited(tmp_path / "b.onnx", array("none", [0], np.float32), then("Div", "none"))
    with pytest.raises(MienError, match="numbers for each of 1 faces"):
        teacher(divided, output="end")
