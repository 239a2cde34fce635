"""Exports a network with numbers of eight bits, calibrated and measured on a face set; one that reads worse is refused."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from mien.data.faceset import FaceSet
from mien.disk import write_atomically
from mien.errors import MienError
from mien.folders import require_absent
from mien.onnx_file import open_session, serialize
from mien.recognize.bundled import find_model
from mien.recognize.model_card import ModelCard, read_card, require_alike
from mien.recognize.model_folder import FACES
from mien.recognize.one_file import one_file
from mien.telemetry import import_quantization
from mien.wording import percent

CALIBRATING = 512
"""Most faces on which the ranges of values are fitted."""
LEAST_MEASURED = 100
"""Fewest labeled faces on which the accuracy is measured."""
MOST_LOST = 0.005
"""The share of faces by which the accuracy may be lower than before."""
TIMED, BATCH = 5, 64
"""How often it is timed, of which the best counts; and faces at a time."""
QUANTIZED = ("Conv", "Gemm", "MatMul", "Relu", "MaxPool", "GlobalAveragePool", "Add", "Flatten")
"""Operators that compute with eight bits."""


@dataclass(frozen=True)
class Int8Figures:
    """What a network of eight bits is worth, beside the one it was made from."""

    calibrated: int
    """Faces on which ranges were fitted."""
    measured: int
    """Other faces, with labels, on which both were measured."""
    before: float
    """The share of them that the network reads right."""
    after: float
    """The share that the network of eight bits reads right."""
    seconds_before: float
    """Seconds for a face, on one thread, at 64 faces at a time."""
    seconds_after: float
    """The same with eight bits."""
    bytes: int
    """The file's size."""

    def to_json(self) -> dict[str, float]:
        """The figures by name."""
        return asdict(self)

    def __str__(self) -> str:
        speed = f"{self.seconds_before / self.seconds_after:.2f} times as fast"
        right = f"{percent(self.before)} right before, {percent(self.after)} after, of {self.measured} faces"
        return f"{right}; {self.seconds_after * 1e3:.2f} ms a face on one thread, {speed}; {self.bytes / 1e6:.1f} MB"


def export_int8(model: Path | str, out: Path | str, faces: FaceSet | Path | str, batch: int | None = None) -> Int8Figures:
    """Write the model or run at `model` as one ONNX file of eight bits, `out`, calibrated on `faces`, and measure it on others.

    Of the training faces (else of all) so many as `CALIBRATING` are taken for the ranges, at even distances. Measured are the
    labeled faces of the split test or PublicTest, else all others. Weights have a scale for each channel. `batch` as in
    `export_one_file`. Raises MienError where the accuracy is lower by more than half a point, for faces of another kind or
    classes than the model's, for fewer than `LEAST_MEASURED` labeled faces to measure it on, and where `out` is there.
    """
    out, folder = Path(out), find_model(model)
    require_absent(out)
    card, given = read_card(folder), FaceSet.of(faces)
    require_alike(card, given.info)
    fitted, tested = _parts(given, card)
    whole = one_file(folder, card)
    content = _quantized(whole, _planes(given.faces(fitted)), out)
    seen, labels = _planes(given.faces(tested)), given.labels[tested]
    (before, slow), (after, fast) = (_measured(each, seen, labels) for each in (serialize(whole, out), content))
    figures = Int8Figures(len(fitted), len(tested), before, after, slow, fast, len(content))
    if before - after > MOST_LOST:
        found = f"{percent(before)} before and {percent(after)} after, of {len(tested)}"
        raise MienError("at most half a point fewer faces that are right", found, "share it without --int8, or with other faces")
    if batch is not None:
        content = _with_batch(content, batch)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, content)
    return figures


def _parts(given: FaceSet, card: ModelCard) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows to fit ranges on, and other labeled rows to measure on."""
    if given.classes != card.classes:
        raise MienError(f"faces of the classes {', '.join(card.classes)}", ", ".join(given.classes), "give faces of the model's")
    splits = np.array(given.values("split") if "split" in given.column_names else [""] * len(given), dtype=object)
    test = np.isin(splits, ["test", "PublicTest"])
    own = np.flatnonzero(~test)
    if not test.any():
        own = own[::2]
    fitted = own[np.unique(np.linspace(0, len(own) - 1, min(CALIBRATING, len(own))).astype(np.int64))] if len(own) else own
    tested = np.flatnonzero((test if test.any() else ~np.isin(np.arange(len(given)), own)) & (given.labels >= 0))
    if not len(fitted) or len(tested) < LEAST_MEASURED:
        expected = f"faces to fit ranges on, and {LEAST_MEASURED} others with labels to measure on"
        raise MienError(expected, f"{len(fitted)} and {len(tested)}", "give a larger face set")
    return fitted, tested


def _planes(faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Faces as the file takes them: float32 (N, C, S, S)."""
    channels = faces[:, None] if faces.ndim == 3 else faces.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(channels, np.float32)


class _Faces:
    """Gives onnxruntime's calibration some faces at a time."""

    def __init__(self, faces: npt.NDArray[np.float32]) -> None:
        self._parts = iter(np.array_split(faces, -(-len(faces) // BATCH)))

    def get_next(self) -> dict[str, Any] | None:
        """The next faces; None at the end."""
        part = next(self._parts, None)
        return None if part is None else {FACES: part}


def _quantized(model: ModelProto, faces: npt.NDArray[np.float32], out: Path) -> bytes:
    """The network with eight bits, as a file's content. onnxruntime hands it from step to step by files."""
    tool = import_quantization()

    class Reader(_Faces, tool.CalibrationDataReader):  # type: ignore[name-defined, misc]
        """What onnxruntime asks for."""

    with tempfile.TemporaryDirectory(prefix="mien-int8-") as place:
        given, folded, made = (Path(place, f"{name}.onnx") for name in ("given", "folded", "made"))
        given.write_bytes(serialize(model, out))
        tool.shape_inference.quant_pre_process(str(given), str(folded), skip_symbolic_shape=True)
        kept = _before_convolutions(ModelProto.FromString(folded.read_bytes()))
        tool.quantize_static(
            str(folded), str(made), Reader(faces), per_channel=True, nodes_to_exclude=list(kept),
            op_types_to_quantize=list(QUANTIZED), weight_type=tool.QuantType.QInt8, activation_type=tool.QuantType.QUInt8,
        )  # fmt: skip
        result = ModelProto.FromString(made.read_bytes())
    del result.metadata_props[:]
    result.metadata_props.extend(model.metadata_props)
    return serialize(result, out)


def _before_convolutions(model: ModelProto) -> Sequence[str]:
    """Names of the nodes that scale pixels: the first ones, up to a convolution."""
    names = list[str]()
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            break
        names.append(node.name)
    return names


def _with_batch(content: bytes, batch: int) -> bytes:
    model = ModelProto.FromString(content)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    result: bytes = model.SerializeToString()
    return result


def _measured(content: bytes, faces: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> tuple[float, float]:
    """The share of faces that a network reads right, and the seconds for a face on one thread."""
    session = open_session(content, 1)
    parts = np.array_split(faces, -(-len(faces) // BATCH))
    logits = np.concatenate([session.run(None, {FACES: part})[0] for part in parts])
    times = list[float]()
    for _ in range(TIMED):
        began = time.perf_counter()
        session.run(None, {FACES: parts[0]})
        times.append((time.perf_counter() - began) / len(parts[0]))
    return float((logits.argmax(axis=1) == labels).mean()), min(times)
