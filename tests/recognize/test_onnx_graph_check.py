"""Graphs from elsewhere: what mien writes is taken, anything else is a sentence, before onnxruntime sees it."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from conftest import Command
from mien import MienError, Recognizer
from mien.data.format import Info
from mien.onnx_check import MOST_WORK
from mien.recognize import onnx_graph_check
from mien.recognize.bundled import BUNDLED
from mien.recognize.export_model import export
from mien.recognize.model_card import ModelCard, read_card
from mien.recognize.model_folder import CARD, GRAPH, LOGITS, MOST_GRAPH, WEIGHTS, read_graph, read_weights_file
from mien.recognize.onnx_graph_check import BATCH, OPERATORS, check_graph
from mien.recognize.saved_networks import build_network, write_model
from processes import WAIT

FOLDER = BUNDLED["mien-s"]
CLASSES = ("anger", "happiness", "sadness")
Change = Callable[[ModelProto], Any]


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return read_card(FOLDER)


def changed(change: Change) -> ModelProto:
    model = ModelProto()
    model.ParseFromString((FOLDER / GRAPH).read_bytes())
    change(model)
    return model


def checked(change: Change, card: ModelCard) -> int:
    return check_graph(changed(change).SerializeToString(), card, read_weights_file(FOLDER, card.weights)).batch


def first(model: ModelProto, kind: str) -> NodeProto:
    found: NodeProto = next(node for node in model.graph.node if node.op_type == kind)
    return found


def setting(model: ModelProto, kind: str, name: str) -> AttributeProto:
    found: AttributeProto = next(one for one in first(model, kind).attribute if one.name == name)
    return found


def operator(kind: str, *names: str, **settings: Any) -> Change:
    """An operator between the last one and the logits."""

    def change(model: ModelProto) -> None:
        last = model.graph.node[-1]
        model.graph.node.insert(len(model.graph.node) - 1, helper.make_node(kind, [last.input[0], *names], ["new"], **settings))
        model.graph.node[-1].input[0] = "new"

    return change


def array(name: str, values: Any, dtype: type[np.generic] = np.int64) -> Change:
    return lambda model: model.graph.initializer.append(numpy_helper.from_array(np.asarray(values, dtype), name))


def both(*changes: Change) -> Change:
    return lambda model: [change(model) for change in changes]


def body(kind: int = TensorProto.FLOAT) -> Any:
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Identity", ["ci"], ["co"]), helper.make_node("Identity", ["x"], ["y"])]
    inputs = [value("i", TensorProto.INT64, []), value("ci", TensorProto.BOOL, []), value("x", kind, None)]
    return helper.make_graph(nodes, "body", inputs, [value("co", TensorProto.BOOL, []), value("y", kind, None)])


def function(model: ModelProto) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    model.functions.append(helper.make_function("own", "Relu", ["x"], ["y"], nodes, [helper.make_opsetid("", 17)]))


def place(name: str, value: str) -> Change:
    def change(model: ModelProto) -> None:
        there = next(one for one in model.graph.initializer if one.external_data)
        next(one for one in there.external_data if one.key == name).value = value

    return change


def known_array(values: Any, dtype: type[np.generic] = np.float32) -> Change:
    """Instead of the first small array."""
    return lambda model: (next(one for one in model.graph.initializer if not one.external_data)).CopyFrom(
        numpy_helper.from_array(np.asarray(values, dtype), "constant0")
    )


def doubled(model: ModelProto) -> None:
    """Weights that are made single a thousand times would all be kept."""
    cast = max(
        (node for node in model.graph.node if node.op_type == "Cast" and node.input[0] != "faces"),
        key=lambda node: sum(np.prod(one.dims) for one in model.graph.initializer if one.name == node.input[0]),
    )
    for number in range(1000):
        model.graph.node.insert(0, helper.make_node("Cast", list(cast.input), [f"again{number}"], to=1))


def powers(model: ModelProto) -> None:
    """A value for each six faces: 64 for two of them, but 69 billion for 64."""
    last, at = model.graph.node[-1].input[0], len(model.graph.node) - 1
    for kind, names, made, settings in (
        ("Gemm", [last, last], "pairs", {"transB": 1}),
        ("Unsqueeze", ["pairs", "two"], "first", {}),
        ("Transpose", ["first"], "second", {"perm": [2, 3, 0, 1]}),
        ("Add", ["first", "second"], "fours", {}),
        ("Unsqueeze", ["fours", "four"], "third", {}),
        ("Add", ["third", "pairs"], "sixes", {}),
        ("ReduceMean", ["sixes"], "mean", {"axes": [1, 2, 3, 4, 5]}),
        ("Flatten", ["mean"], "flat", {}),
        ("Add", [last, "flat"], "new", {}),
    ):
        model.graph.node.insert(at, helper.make_node(kind, names, [made], **settings))
        at += 1
    model.graph.node[-1].input[0] = "new"


def _is_beside(tensor: TensorProto) -> bool:
    return bool(tensor.external_data)


FAULTS: dict[str, tuple[Change, str]] = {
    "loop": (both(array("t", True, np.bool_), operator("Loop", "", "t", body=body())), "operators that a network"),
    "if": (operator("If", then_branch=body(), else_branch=body()), "operators that a network"),
    "scan": (operator("Scan", body=body(), num_scan_inputs=1), "operators that a network"),
    "random": (operator("RandomNormalLike"), "found RandomNormalLike"),
    "text": (operator("StringNormalizer"), "found StringNormalizer"),
    "reshape": (operator("Reshape", "shape"), "found Reshape"),
    "of any size": (operator("ConstantOfShape"), "found ConstantOfShape"),
    "own domain": (operator("Relu", domain="own"), "found own Relu"),
    "Microsoft's": (operator("FusedConv", domain="com.microsoft"), "found com.microsoft FusedConv"),
    "function": (function, "found functions"),
    "training": (lambda model: model.training_info.add(), "found training"),
    "sparse": (lambda model: model.graph.sparse_initializer.add(), "found sparse weights"),
    "graph in a setting": (operator("Relu", body=body()), "settings of operators that are numbers"),
    "unknown setting": (operator("Relu", alpha=0.5), "settings of Relu"),
    "text setting": (operator("Flatten", mode="x"), "settings of Flatten"),
    "huge setting": (lambda m: setting(m, "Conv", "pads").ints.__setitem__(0, 10**9), "settings of Conv"),
    "nan setting": (lambda m: setattr(setting(m, "BatchNormalization", "epsilon"), "f", float("nan")), "from 0 to 1"),
    "negative setting": (lambda m: setattr(setting(m, "BatchNormalization", "epsilon"), "f", -1.0), "from 0 to 1"),
    "cast to double": (lambda m: setattr(setting(m, "Cast", "to"), "i", TensorProto.DOUBLE), "casts to float32"),
    "large": (lambda m: setting(m, "Conv", "pads").ints.__setitem__(slice(None), [4000] * 4), "in memory|that fit"),
    "window": (operator("AveragePool", kernel_shape=[9, 9], pads=[4000] * 4), "operators that fit each other"),
    "other shape": (lambda m: setattr(setting(m, "Gemm", "transB"), "i", 0), "operators that fit each other"),
    "operators": (lambda m: m.graph.node.extend([m.graph.node[0]] * 9000), "at most 8,192 operators"),
    "casts": (doubled, "numbers in memory"),
    "faces by faces": (both(array("two", [2, 3]), array("four", [4, 5]), powers), "numbers in memory"),
    "two outputs": (lambda m: m.graph.output.add().CopyFrom(m.graph.output[0]), "one value features"),
    "no output": (lambda m: m.graph.ClearField("output"), "one value logits.*found none"),
    "other name": (lambda m: setattr(m.graph.output[0], "name", "made3"), "one value logits"),
    "other classes": (lambda m: setattr(m.graph.output[0].type.tensor_type.shape.dim[1], "dim_value", 9), "one value logits"),
    "fixed batch": (lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[0], "dim_value", 1), "one value faces"),
    "other side": (lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[1], "dim_value", 49), "one value faces"),
    "other kind": (lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 999), "one value faces"),
    "two inputs": (lambda m: m.graph.input.add(name="x").type.CopyFrom(m.graph.input[0].type), "one value faces"),
    "a batch of three": (
        both(
            array("three", np.zeros((3, 8)), np.float32),
            lambda m: m.graph.node.append(helper.make_node("Identity", ["three"], [LOGITS])),
            lambda m: m.graph.node.remove(next(node for node in m.graph.node if LOGITS in node.output)),
        ),
        r"logits of shape \(2, 8\) for 2 faces in .*; found \(3, 8\)",
    ),
    "a cycle": (lambda m: m.graph.node[20].input.__setitem__(0, m.graph.node[60].output[0]), "operators after those whose"),
    "made by nobody": (lambda m: m.graph.node[20].input.__setitem__(0, "nobody"), "operators after those whose"),
    "made twice": (lambda m: m.graph.node.append(m.graph.node[20]), "operators after those whose"),
    "no input": (lambda m: m.graph.node[20].input.__setitem__(0, ""), "operators after those whose"),
    "more outputs": (lambda m: m.graph.node[20].output.append("more"), "operators after those whose"),
    "other versions": (lambda m: setattr(m, "ir_version", 99), "ONNX of version 8"),
    "other operators": (lambda m: setattr(m.opset_import[0], "version", 18), "operators of version 17"),
    "another domain": (lambda m: m.opset_import.add(domain="own", version=1), "operators of version 17"),
    "nan": (known_array(np.nan), "nan at constant0"),
    "infinite": (known_array(np.inf), "infinite ones at constant0"),
    "texts": (lambda m: m.graph.initializer.add(name="t", data_type=8, dims=[1], string_data=[b"x"]), "others at t"),
    "empty": (lambda m: m.graph.initializer.add(name="e", data_type=1, dims=[10**9]), "whole arrays"),
    "twice": (lambda m: m.graph.initializer.add().CopyFrom(m.graph.initializer[0]), "arrays of different names"),
    "another file": (place("location", "/etc/passwd"), "weights as they lie in model.safetensors"),
    "a file above": (place("location", "../model.safetensors"), "weights as they lie"),
    "beyond the end": (place("offset", str(10**12)), "weights as they lie"),
    "negative": (place("offset", "-8"), "weights as they lie"),
    "another place": (place("offset", "8"), "weights as they lie"),
    "longer": (place("length", "1000000"), "weights as they lie"),
    "no number": (place("offset", "x"), "weights as they lie"),
    "unknown weights": (lambda m: setattr(next(filter(_is_beside, m.graph.initializer)), "name", "x"), "weights as they lie"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_graph_that_mien_does_not_write_is_refused(fault: str, card: ModelCard) -> None:
    change, said = FAULTS[fault]
    with pytest.raises(MienError, match=said):
        checked(change, card)


def test_what_is_no_graph_is_refused(card: ModelCard) -> None:
    weights = read_weights_file(FOLDER, card.weights)
    for content in (b"", b"\xff" * 100, b"no graph", (FOLDER / GRAPH).read_bytes()[:5000], b"\x3a" * 1000):
        with pytest.raises(MienError, match=r"an ONNX file|ONNX of version|one value|fit|weights"):
            check_graph(content, card, weights)
    # Names that are no UTF-8.
    raw = (FOLDER / GRAPH).read_bytes().replace(b"constant0", b"constant\xff")
    with pytest.raises(MienError, match=r"names that are texts|an ONNX file"):
        check_graph(raw, card, weights)


def wrapped(field: int, content: bytes) -> bytes:
    """A message of Protobuf within another."""
    length, left = b"", len(content)
    while left > 127:
        length, left = length + bytes([left & 127 | 128]), left >> 7
    return bytes([field << 3 | 2]) + length + bytes([left]) + content


def deep() -> bytes:
    """Graphs within settings of operators of graphs."""
    made = b""
    for _ in range(2000):
        made = wrapped(1, wrapped(5, wrapped(6, made)))
    return made


BOMBS = {
    "operators": wrapped(7, b"\x0a\x00" * 300_000),
    "weights": wrapped(7, b"\x2a\x00" * 300_000),
    "settings": wrapped(7, wrapped(1, b"\x2a\x00" * 300_000)),
    "places": wrapped(7, wrapped(5, b"\x6a\x00" * 300_000)),
    "inputs": wrapped(7, b"\x5a\x00" * 300_000),
    "domains": b"\x42\x00" * 300_000,
    "depth": wrapped(7, deep()),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_small_file_of_many_parts_is_refused(bomb: str, card: ModelCard) -> None:
    head = b"\x08\x08" + wrapped(8, b"\x10\x11")
    with pytest.raises(MienError, match=r"at most 8,192|an ONNX file|operators of version 17") as caught:
        check_graph(head + BOMBS[bomb], card, read_weights_file(FOLDER, card.weights))
    assert len(str(caught.value)) < 400


def test_names_in_a_sentence_are_plain(card: ModelCard) -> None:
    for name in ("\x1b[2J", "x" * 10**5):
        with pytest.raises(MienError) as caught:
            checked(operator(name), card)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 400


def test_what_is_run_is_what_was_checked(card: ModelCard) -> None:
    weights = read_weights_file(FOLDER, card.weights)
    own = (FOLDER / GRAPH).read_bytes()
    assert check_graph(own, card, weights).content == own
    with_more = changed(lambda m: m.graph.value_info.append(helper.make_tensor_value_info("made3", 1, [7])))
    unknown = with_more.SerializeToString() + b"\xaa\x7d\x01x"  # a field that nobody knows
    assert check_graph(unknown, card, weights).content == own


def test_a_network_that_computes_much_is_shown_few_faces_at_once(tmp_path: Path) -> None:
    batches = []
    for network, side in (({"network": "mien_s"}, 48), ({"network": "resnet18"}, 112), ({"network": "exprnet"}, 224)):
        info = Info(CLASSES, side=side)
        folder = tmp_path / f"{network['network']}"
        write_model(folder / "run", dict(build_network(network, 3, info).state_dict()), ModelCard(network, CLASSES, info))
        card = export(folder / "run", folder / "model")
        graph = read_graph(folder / "model", card.graph)
        assert graph is not None
        batches.append(check_graph(graph, card, read_weights_file(folder / "model", card.weights)).batch)
    assert batches[0] == BATCH
    assert BATCH > batches[1] > batches[2] >= 1


def test_sizes_that_no_face_needs_are_refused(card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is lowered: a network beyond it would take its time to be written."""
    graph, weights = (FOLDER / GRAPH).read_bytes(), read_weights_file(FOLDER, card.weights)
    monkeypatch.setattr(onnx_graph_check, "MOST_WORK", 10**6)
    with pytest.raises(MienError, match="1,000,000 multiplications for a face"):
        check_graph(graph, card, weights)
    assert MOST_WORK < 10**11, "seconds for a face, not minutes"


def lying(folder: Path, change: Change, **values: Any) -> Path:
    """The model in the box with another graph, all hashes right."""
    folder.mkdir()
    graph = changed(change).SerializeToString()
    card = json.loads((FOLDER / CARD).read_text()) | {"graph": hashlib.sha256(graph).hexdigest()} | values
    (folder / WEIGHTS).write_bytes((FOLDER / WEIGHTS).read_bytes())
    (folder / GRAPH).write_bytes(graph)
    (folder / CARD).write_text(json.dumps(card))
    return folder


def test_a_model_folder_is_checked_when_it_is_read(tmp_path: Path, mien: Command) -> None:
    from PIL import Image

    Image.fromarray(np.zeros((64, 64), np.uint8)).save(tmp_path / "a.png")
    done = mien("predict", tmp_path / "a.png", "--model", lying(tmp_path / "m", FAULTS["loop"][0]))
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("mien: expected operators that a network of this kind needs")
    (tmp_path / "m" / GRAPH).write_bytes(bytes(MOST_GRAPH + 1))
    with pytest.raises(MienError, match="a file of at most"):
        Recognizer.load(tmp_path / "m", "cpu")


def test_what_onnxruntime_meets_while_it_runs_is_a_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What inference of shapes does not see: groups that do not fit the channels."""
    folder = lying(tmp_path / "m", lambda m: setattr(setting(m, "Conv", "group"), "i", 5))
    faces = np.zeros((3, 48, 48), np.uint8)
    with pytest.raises(MienError, match=r"a model that onnxruntime can run|an ONNX file that onnxruntime can run"):
        Recognizer.load(folder, "cpu").logits(faces)
    assert capfd.readouterr().err == ""


def test_logits_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    """Finite weights may still give others: here a division by 0."""
    folder = lying(tmp_path / "m", both(array("zero", 0.0, np.float32), operator("Div", "zero")))
    recognizer = Recognizer.load(folder, "cpu")
    faces = np.random.default_rng(0).integers(0, 256, (3, 48, 48), np.uint8)
    for ask in (recognizer.logits, recognizer.probabilities):
        with pytest.raises(MienError, match=r"logits \(3, 8\) that are numbers"):
            ask(faces)


def test_other_numbers_of_logits_are_refused(card: ModelCard) -> None:
    class Runs:
        def logits(self, card: ModelCard, faces: Any, flip: bool) -> Any:
            return np.zeros((2, 8), np.float32)

        def machine(self) -> str:
            return ""

    with pytest.raises(MienError, match=r"logits \(3, 8\)"):
        Recognizer(Runs(), card).logits(np.zeros((3, 48, 48), np.uint8))


def test_probabilities_are_numbers_at_all_temperatures(card: ModelCard) -> None:
    class Runs:
        def logits(self, card: ModelCard, faces: Any, flip: bool) -> Any:
            return np.array([[3e38, -3e38, *[0.0] * 6], [1.0] * 8], np.float32)

        def machine(self) -> str:
            return ""

    for temperature in (1e-3, 1.0, 1e3):
        recognizer = Recognizer(Runs(), replace(card, temperature=temperature))
        found = recognizer.probabilities(np.zeros((2, 48, 48), np.uint8))
        np.testing.assert_allclose(found, [[1.0, *[0.0] * 7], [0.125] * 8])


def test_operators_are_those_that_networks_need() -> None:
    assert not {"Loop", "If", "Scan", "Reshape", "Expand", "Tile", "ConstantOfShape", "Resize", "Pad"} & set(OPERATORS)


def test_onnx_is_not_loaded_for_the_model_in_the_box() -> None:
    code = "import sys; from mien import Recognizer; Recognizer.load('mien-s', 'cpu'); print('onnx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.skipif(not hasattr(signal, "SIGTERM") or os.name == "nt", reason="no signals")
def test_a_process_that_computes_ends_when_it_is_told(tmp_path: Path) -> None:
    """However many faces it was given: no call of onnxruntime is long."""
    network, info = {"network": "resnet18"}, Info(CLASSES, side=112)
    write_model(tmp_path / "run", dict(build_network(network, 3, info).state_dict()), ModelCard(network, CLASSES, info))
    export(tmp_path / "run", tmp_path / "model")
    code = f"""
import signal, sys, numpy as np
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
from mien import Recognizer
recognizer = Recognizer.load({str(tmp_path / "model")!r}, "cpu")
faces = np.zeros((100_000, 112, 112), np.uint8)
print("begun", flush=True)
recognizer.logits(faces)
"""
    words = [sys.executable, "-c", code]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.terminate()
        try:
            assert process.wait(WAIT) == 128 + signal.SIGTERM
        finally:
            process.kill()


def test_torch_reads_the_model_without_its_graph(tmp_path: Path) -> None:
    folder = lying(tmp_path / "m", FAULTS["loop"][0], graph="")
    faces = np.random.default_rng(0).integers(0, 256, (3, 48, 48), np.uint8)
    expected = Recognizer.load("mien-s", "cpu").logits(faces)
    np.testing.assert_allclose(Recognizer.load(folder, "cpu").logits(faces), expected, atol=1e-3)
    assert torch.is_tensor(next(Recognizer.load(folder, "cpu").network.parameters()))
