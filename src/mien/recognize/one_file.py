"""Exports a network as one ONNX file with its weights inside, for OpenCV's DNN, TensorRT and other readers."""

from pathlib import Path

import onnx
from onnx import ModelProto, TensorProto, helper, version_converter
from safetensors.torch import save

from mien.errors import MienError
from mien.folders import require_absent, write_new
from mien.json_text import to_json
from mien.onnx_file import first_line, serialize
from mien.recognize.bundled import find_model
from mien.recognize.export_model import without_folders
from mien.recognize.model_card import ModelCard, read_card
from mien.recognize.model_folder import NOTED
from mien.recognize.onnx_export import write_graph
from mien.recognize.onnx_graph_check import OPSET
from mien.recognize.saved_networks import read_network

LEAST_OPSET, MOST_OPSET = 13, 22
"""Versions of ONNX's operators that may be asked for."""


def export_one_file(model: Path | str, out: Path | str, opset: int = OPSET, batch: int | None = None) -> ModelCard:
    """Write the model or run at `model` as one ONNX file, `out`, and give its card.

    It takes `faces`, float32 (N, C, S, S) from 0 to 255, and gives `logits`, float32 (N, K). The weights are float32. `batch`:
    the number N for readers that want a fixed one; any unless given. What one has to know of the card is noted in the file:
    classes, temperature, thresholds, alignment; and the card itself, by which mien reads the file. Raises MienError for another
    version of operators, for layers that ONNX export does not know, and where `out` is there.
    """
    out = Path(out)
    require_absent(out)
    card = read_card(find_model(model))
    content = one_file(find_model(model), card, opset, batch)
    write_new(out, serialize(content, out))
    return card


def one_file(folder: Path, card: ModelCard, opset: int = OPSET, batch: int | None = None) -> ModelProto:
    """The network of a model folder as an ONNX model that holds its weights. Raises MienError as `export_one_file` does."""
    if not LEAST_OPSET <= opset <= MOST_OPSET:
        raise MienError(f"operators of version {LEAST_OPSET} to {MOST_OPSET}", f"{opset}", "choose one by `opset`")
    if card.faces.kind != "faces":
        raise MienError("a model of faces, to export it", f"one of {card.faces.kind}", "train one on a set of faces")
    network = read_network(folder)
    state = network.state_dict().items()
    weights = save({name: each.float().contiguous() if each.is_floating_point() else each for name, each in state})
    model: ModelProto = ModelProto.FromString(write_graph(network, card.faces, card.normalize, weights, planes=True))
    _put_in(model, weights)
    if batch is not None:
        with_batch(model, batch)
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{number}"
    if opset < OPSET:  # in which the operators of mien mean the same; it is checked below
        model.opset_import[0].version = opset
    elif opset > OPSET:
        try:
            model = version_converter.convert_version(model, opset)
        except Exception as error:  # of the converter, in C++
            raise MienError(f"a network that operators of version {opset} can say", first_line(error), f"take {OPSET}") from error
    helper.set_model_props(model, notes_of(card))
    onnx.checker.check_model(model, full_check=True)
    return model


def with_batch(model: ModelProto, batch: int) -> ModelProto:
    """The model itself, which from now on takes so many faces at a time."""
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    return model


def notes_of(card: ModelCard) -> dict[str, str]:
    """What one has to know to use a model, as texts for an ONNX file."""
    told = without_folders({"source": card.faces.name, "license": card.faces.license})
    by_class = {"class_thresholds": to_json(card.class_thresholds, None)} if card.class_thresholds else {}
    whole = without_folders(card.to_json())  # for mien; the others are for people and other programs
    return (
        {
            NOTED: to_json(whole, None),
            "classes": to_json(card.classes, None),
            "temperature": str(card.temperature),
            "conformal_threshold": str(card.conformal_threshold),
            "confidence_threshold": str(card.confidence_threshold),
            "alignment": card.faces.alignment,
        }
        | by_class
        | {name: str(value) for name, value in told.items() if value}
    )


def _put_in(model: ModelProto, weights: bytes) -> None:
    """Replace the references to the file of weights by the weights."""
    for value in model.graph.initializer:
        if value.data_location == TensorProto.EXTERNAL:
            said = {entry.key: entry.value for entry in value.external_data}
            begin = int(said["offset"])
            value.raw_data = weights[begin : begin + int(said["length"])]
            value.ClearField("external_data")
            value.ClearField("data_location")
