"""Models from elsewhere: the one in the box, damaged or made to lie, its hashes right again, and then read as a command does."""

import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper

from mien.faces.crop import CropSpec
from mien.json_text import to_json
from mien.models import architecture
from mien.recognize.bundled import BUNDLED
from mien.recognize.model_folder import CARD, GRAPH, WEIGHTS
from mien.recognize.prediction import sentence
from mien.recognize.recognizer import Recognizer

HOSTILE: list[Any] = [
    None, True, 0, -1, 1, 3, 49, 10**9, 10**30, 1e-300, 1e300, float("nan"), float("inf"), -0.5, "", "9" * 5000, "nan", "\ud800",
    "\x1b[2J\x07", "[/b]", "‮", "x" * 10**6, [], [[]], {}, {"network": "resnet18"}, ["a"] * 8, list(range(3000)), "a:b",
    "os:system", "../../etc/passwd", "mtcnn factor=0.999999; mtcnn; all", "box margin=1e300; haar least_face=1 step=1.0001; all",
    "eyes distance=1e-300; mtcnn least_face=1e300; all", "whole", [10**9] * 3, [64, 64, 64], "mien_s", "vgg16", "onnx_facenet",
]  # fmt: skip
"""Values that stand in cards instead of what was there."""
OPERATORS = [
    "Loop", "If", "Scan", "SequenceMap", "RandomNormal", "Expand", "Tile", "ConstantOfShape", "Resize", "Pad", "Reshape",
    "Conv", "MaxPool", "AveragePool", "Gemm", "Flatten", "Cast", "Transpose", "Unsqueeze", "ReduceMean",
    "BatchNormalization", "GlobalAveragePool", "Identity", "Add", "Mul", "Div", "Sqrt", "Concat", "MatMul", "NonZero",
]  # fmt: skip
NUMBERS = [-(10**9), -1, 0, 1, 2, 3, 7, 64, 1000, 65536, 10**6, 10**9, 2**31, 2**62]


def make(generator: np.random.Generator, folder: Path) -> None:
    """A copy of the model in the box, changed in one or two ways; one of three is read by torch."""
    for name in (CARD, WEIGHTS, GRAPH):
        shutil.copyfile(BUNDLED["mien-s"] / name, folder / name)
    for _ in range(1 if generator.random() < 0.7 else 2):
        change = _CHANGES[generator.integers(len(_CHANGES))]
        change(generator, folder)
    if generator.random() < 0.9:
        _mend(folder, graph=generator.random() < 0.67)


def begin() -> None:
    """Loads libraries and the networks that find faces."""
    recognizer = Recognizer.load("mien-s", "cpu")
    recognizer(_photo())
    assert recognizer.network.shape  # torch
    with torch.device("meta"):
        architecture({"network": "vgg16"}).build(8, 1, 48)  # what torch loads for that


def read(folder: Path) -> None:
    """What `mien predict` does with it: a photo of a drawn face, and the network on some faces in any case."""
    recognizer = Recognizer.load(folder, "cpu")
    side, channels = recognizer.card.faces.side, recognizer.card.faces.channels
    shape = (3, side, side, 3)[: 4 if channels == 3 else 3]
    faces = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    found = recognizer.probabilities(faces, flip=True)
    assert np.allclose(found.sum(axis=1), 1, atol=1e-3), found
    # As the card says, whether or not that finds the face, and the photo as it is.
    for reading in (*recognizer(_photo()), *recognizer.read([_photo()], CropSpec("whole"))[0]):
        assert sentence(reading).isprintable()
        json.loads(to_json(reading.to_json()), parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} in JSON")


def _photo() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A face of ovals, (96, 96, 3)."""
    y, x = np.mgrid[:96, :96]
    photo = np.full((96, 96, 3), 60, np.uint8)
    for cx, cy, wide, high, gray in ((48, 48, 32, 42, 200), (36, 38, 6, 4, 30), (60, 38, 6, 4, 30), (48, 70, 14, 4, 90)):
        photo[((x - cx) / wide) ** 2 + ((y - cy) / high) ** 2 < 1] = gray
    return photo


def _mend(folder: Path, graph: bool) -> None:
    """Write the hashes of the files into the card, if that can still be read."""
    try:
        card = json.loads((folder / CARD).read_bytes())
        card["weights"] = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
        card["graph"] = hashlib.sha256((folder / GRAPH).read_bytes()).hexdigest() if graph else ""
    except (ValueError, RecursionError, TypeError):
        return
    (folder / CARD).write_text(json.dumps(card), "utf-8")


def _flip_bytes(generator: np.random.Generator, folder: Path) -> None:
    """Some bytes of a file are others, or it ends earlier, or goes on."""
    file = folder / (CARD, WEIGHTS, GRAPH)[generator.integers(3)]
    content = bytearray(file.read_bytes())
    until = min(len(content), 4096) if generator.random() < 0.5 else len(content)
    for place in generator.integers(0, max(1, until), generator.integers(1, 9)):
        if content:
            content[place % len(content)] = generator.integers(256)
    if generator.random() < 0.2:
        content = content[: generator.integers(len(content) + 1)]
    elif generator.random() < 0.1:
        content += generator.bytes(100)
    file.write_bytes(content)


def _places(values: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Ways to all values in a card."""
    pairs = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    return [way for key, value in pairs for way in ((*before, key), *_places(value, (*before, key)))]


def _change_card(generator: np.random.Generator, folder: Path) -> None:
    """Some values are hostile; or all classes are, both times that they stand there; or it is nested without end."""
    try:
        card = json.loads((folder / CARD).read_bytes())
    except (ValueError, RecursionError):
        return
    kind = generator.random()
    if kind < 0.05:
        (folder / CARD).write_text("[" * 200_000, "utf-8")
        return
    if kind < 0.3 and isinstance(card.get("faces"), dict):
        names = [str(HOSTILE[n])[:5000] for n in generator.permutation(len(HOSTILE))[:8]]
        card["classes"] = card["faces"]["classes"] = names
    for _ in range(1 if generator.random() < 0.7 else 3):
        ways = _places(card)
        # What decides is changed more often than what is told.
        near = [way for way in ways if way[0] in ("network", "faces", "classes", "temperature", "least", "normalize", "version")]
        chosen = near if near and generator.random() < 0.8 else ways
        *way, last = chosen[generator.integers(len(chosen))]
        inner = card
        for key in way:
            inner = inner[key]
        inner[last] = HOSTILE[generator.integers(len(HOSTILE))]
    if generator.random() < 0.3 and isinstance(card.get("network"), dict):
        settings = ("width", "depths", "dropout", "copies", "hidden", "side", "path")
        card["network"][settings[generator.integers(len(settings))]] = HOSTILE[generator.integers(len(HOSTILE))]
    (folder / CARD).write_text(json.dumps(card), "utf-8")


def _change_weights(generator: np.random.Generator, folder: Path) -> None:
    """The header lies, or numbers are none."""
    content = (folder / WEIGHTS).read_bytes()
    length = int.from_bytes(content[:8], "little")
    kind = generator.integers(5)
    if kind == 0:  # a length of the header that is none
        lie = NUMBERS[generator.integers(len(NUMBERS))] % 2**64
        (folder / WEIGHTS).write_bytes(lie.to_bytes(8, "little") + content[8:])
        return
    try:
        header = json.loads(content[8 : 8 + length])
        names = [name for name in header if name != "__metadata__"]
        entry = header[names[generator.integers(len(names))]]
        if kind == 1:
            entry["dtype"] = ("F64", "I8", "F8_E4M3", "BF16", "F32", "BOOL", "C64", "x")[generator.integers(8)]
        elif kind == 2:
            entry["shape"] = [NUMBERS[n] for n in generator.integers(0, len(NUMBERS), generator.integers(0, 6))]
        elif kind == 3:
            entry["data_offsets"] = [NUMBERS[n] for n in generator.integers(0, len(NUMBERS), 2)]
        else:
            begin, end = (8 + length + place for place in entry["data_offsets"])
            values = np.frombuffer(content[begin:end], np.float16).copy()
            values[generator.integers(len(values))] = (np.nan, np.inf, -np.inf, 6e4, -6e4)[generator.integers(5)]
            (folder / WEIGHTS).write_bytes(content[:begin] + values.tobytes() + content[end:])
            return
    except (ValueError, KeyError, TypeError, RecursionError, IndexError):  # of a file that was changed before
        return
    made = json.dumps(header).encode()
    (folder / WEIGHTS).write_bytes(len(made).to_bytes(8, "little") + made + content[8 + length :])


def _change_graph(generator: np.random.Generator, folder: Path) -> None:
    """Operators, settings, shapes, arrays and places of weights are others."""
    model = ModelProto()
    try:
        model.ParseFromString((folder / GRAPH).read_bytes())
    except Exception:  # of a file that was changed before
        return
    for _ in range(generator.integers(1, 4)):
        if model.graph.node and model.graph.initializer and model.graph.input and model.graph.output:
            with suppress(UnicodeError):  # names whose bytes were changed before
                _EDITS[generator.integers(len(_EDITS))](generator, model)
    (folder / GRAPH).write_bytes(model.SerializeToString())


def _number(generator: np.random.Generator) -> int:
    return NUMBERS[generator.integers(len(NUMBERS))]


def _edit_operator(generator: np.random.Generator, model: ModelProto) -> None:
    node = model.graph.node[generator.integers(len(model.graph.node))]
    node.op_type = OPERATORS[generator.integers(len(OPERATORS))]
    if generator.random() < 0.2:
        node.domain = ("com.microsoft", "ai.onnx", "own")[generator.integers(3)]


def _edit_setting(generator: np.random.Generator, model: ModelProto) -> None:
    """Numbers of an operator that has some, most of which are of sense."""
    nodes = [node for node in model.graph.node if node.attribute]
    if not nodes:
        return
    one = nodes[generator.integers(len(nodes))].attribute
    chosen = one[generator.integers(len(one))]
    if chosen.ints:
        chosen.ints[generator.integers(len(chosen.ints))] = _number(generator)
    elif chosen.HasField("f"):
        chosen.f = (float("nan"), float("inf"), -1.0, 0.0, 1e30)[generator.integers(5)]
    else:
        chosen.i = _number(generator)


def _edit_wires(generator: np.random.Generator, model: ModelProto) -> None:
    """An operator takes another value, which may come from itself."""
    node = model.graph.node[generator.integers(len(model.graph.node))]
    names = [
        *(name for other in model.graph.node for name in other.output),
        *(one.name for one in model.graph.initializer),
        "faces",
        "",
    ]
    if node.input:
        node.input[generator.integers(len(node.input))] = names[generator.integers(len(names))]


def _edit_insert(generator: np.random.Generator, model: ModelProto) -> None:
    """Another operator, between one and who takes what it makes."""
    node = model.graph.node[generator.integers(len(model.graph.node))]
    name = f"new{len(model.graph.node)}"
    kind = OPERATORS[generator.integers(len(OPERATORS))]
    settings: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [_number(generator) % 4096] * 4} if kind.endswith("Pool") else {}
    made = helper.make_node(kind, [node.output[0]] * generator.integers(1, 3), [name], **settings)
    for other in model.graph.node:
        other.input[:] = [name if given == node.output[0] else given for given in other.input]
    model.graph.node.append(made)


def _edit_shape(generator: np.random.Generator, model: ModelProto) -> None:
    entry = (model.graph.input, model.graph.output)[generator.integers(2)][0]
    sizes = entry.type.tensor_type.shape.dim
    if sizes:
        sizes[generator.integers(len(sizes))].dim_value = _number(generator)
    if generator.random() < 0.2:
        entry.type.tensor_type.elem_type = int(generator.integers(0, 40))
    if generator.random() < 0.2:
        model.graph.output.append(helper.make_tensor_value_info("made3", 1, None))


def _edit_array(generator: np.random.Generator, model: ModelProto) -> None:
    """Another array in the graph: nan, huge, texts, none."""
    place = model.graph.initializer[generator.integers(len(model.graph.initializer))]
    kind = generator.integers(5)
    values = (np.float32(np.nan), np.full(5, np.inf, np.float32), np.zeros((0, 3), np.float32), np.int64(2**62), np.float64(1))[
        kind
    ]
    made = numpy_helper.from_array(np.asarray(values), place.name)
    if generator.random() < 0.3:
        made.dims[:] = [_number(generator) % 2**40, 3]
    if generator.random() < 0.2:
        made.data_type = TensorProto.STRING
    place.CopyFrom(made)


def _edit_place(generator: np.random.Generator, model: ModelProto) -> None:
    """Weights lie somewhere else."""
    there = [one for one in model.graph.initializer if one.external_data]
    if not there:
        return
    one = there[generator.integers(len(there))]
    said = one.external_data[generator.integers(len(one.external_data))]
    said.value = ("/etc/passwd", "../model.json", "0", "-1", str(10**18), "x", "")[generator.integers(7)]
    if generator.random() < 0.3:
        one.dims[:] = [_number(generator) % 2**40]


def _edit_model(generator: np.random.Generator, model: ModelProto) -> None:
    kind = generator.integers(4)
    if kind == 0:
        model.ir_version = _number(generator) % 2**60
    elif kind == 1:
        model.opset_import.add(domain="own", version=1)
    elif kind == 2:
        model.opset_import[0].version = _number(generator) % 2**60
    else:
        model.graph.node.extend([model.graph.node[0]] * 20_000)


_EDITS: list[Callable[[np.random.Generator, ModelProto], None]] = [
    _edit_operator, _edit_setting, _edit_setting, _edit_wires, _edit_insert, _edit_shape, _edit_array, _edit_place, _edit_model,
]  # fmt: skip
_CHANGES: list[Callable[[np.random.Generator, Path], None]] = [
    _flip_bytes, _change_card, _change_weights, _change_graph, _change_graph,
]  # fmt: skip
