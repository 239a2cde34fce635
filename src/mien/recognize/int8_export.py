"""Exports a network with numbers of eight bits, calibrated and measured on a face set; one that reads worse is refused."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from mien.class_words import split_name
from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.errors import MienError
from mien.folders import require_absent, write_new
from mien.onnx_file import open_session, serialize
from mien.recognize.bundled import find_model
from mien.recognize.model_card import ModelCard, read_card, require_alike
from mien.recognize.model_folder import FACES
from mien.recognize.one_file import one_file, with_batch
from mien.recognize.onnx_backend import as_planes
from mien.telemetry import import_quantization
from mien.wording import percent

CALIBRATING = 512
"""Most faces on which the ranges of values are fitted."""
LEAST_MEASURED, ENOUGH = 200, 1000
"""Fewest labeled faces on which the accuracy is measured, so that no single one decides; and how many say something."""
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
    lost: int
    """Faces that the network alone reads right."""
    gained: int
    """Faces that the network of eight bits alone reads right."""
    seconds_before: float
    """Seconds for a face, on one thread, at 64 faces at a time."""
    seconds_after: float
    """Seconds for a face with eight bits, on one thread, at 64 faces at a time."""
    bytes: int
    """The file's size."""

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of `after - before`, paired by face (Agresti and Min)."""
        total = self.measured + 2  # half a face is added to each of the four cells
        mean, spread = (self.gained - self.lost) / total, (self.gained + self.lost + 1) / total
        half = 1.96 * sqrt((spread - mean**2) / total)
        return mean - half, mean + half

    def to_json(self) -> dict[str, Any]:
        """The figures by name, and the `interval` of the difference."""
        return asdict(self) | {"interval": list(self.interval)}

    def __str__(self) -> str:
        speed = f"{self.seconds_before / self.seconds_after:.2f} times as fast"
        right = f"{percent(self.before)} right before, {percent(self.after)} after, of {self.measured} faces"
        low, high = (100 * end for end in self.interval)
        change = f"{self.lost} lost, {self.gained} gained: {low:+.2f} to {high:+.2f} points"
        few = f" (measured on {self.measured} faces only; {ENOUGH} say more)" if self.measured < ENOUGH else ""
        return (
            f"{right}; {change}{few}; {self.seconds_after * 1e3:.2f} ms a face on one thread, {speed}; {self.bytes / 1e6:.1f} MB"
        )


def export_int8(model: Path | str, out: Path | str, faces: FaceSet | Path | str, batch: int | None = None) -> Int8Figures:
    """Write the model or run at `model` as one ONNX file of eight bits, `out`, calibrated on `faces`, and measure it on others.

    Of the training faces so many as `CALIBRATING` are taken for the ranges, at even distances. Measured are the labeled faces of
    the split test or PublicTest, else all that are not of the training split. Without a training split, every second face may be
    taken for the ranges, and the others are measured. Weights have a scale for each channel. `batch` as in `export_one_file`.

    Classes of the set may be fewer than the model's, and in another order.

    Raises MienError where the accuracy is lower by more than half a point, for faces of another kind than the model's, or with
    a class that it does not know, for fewer than `LEAST_MEASURED` labeled faces or less than two classes to measure it on, and
    where `out` is there.
    """
    out, folder = Path(out), find_model(model)
    require_absent(out)
    card, given = read_card(folder), FaceSet.of(faces)
    require_alike(card, given.info)
    labels = _labels(given, card)
    fitted, tested = _parts(given, labels)
    whole = one_file(folder, card)
    content = _quantized(whole, given, fitted, out)
    (old, slow), (new, fast) = (_measured(each, given, tested, labels[tested]) for each in (serialize(whole, out), content))
    lost, gained = int((old & ~new).sum()), int((new & ~old).sum())
    measured = len(tested)
    figures = Int8Figures(len(fitted), measured, float(old.mean()), float(new.mean()), lost, gained, slow, fast, len(content))
    if lost - gained > MOST_LOST * measured:
        found = f"{percent(figures.before)} before and {percent(figures.after)} after, of {measured}"
        raise MienError("at most half a point fewer faces that are right", found, "share it without --int8, or with other faces")
    write_new(out, content if batch is None else serialize(with_batch(ModelProto.FromString(content), batch), out))
    return figures


def _labels(given: FaceSet, card: ModelCard) -> Rows:
    """Labels (N,) as places among the model's classes, whose order may be another; -1 for none."""
    if unknown := [name for name in given.classes if name not in card.classes]:
        todo = "name classes as the model does, or leave the others out"
        raise MienError(f"faces of the model's classes, {', '.join(card.classes)}", ", ".join(unknown), todo)
    return np.array([*(card.classes.index(name) for name in given.classes), -1], np.int64)[given.labels]


def _parts(given: FaceSet, labels: Rows) -> tuple[Rows, Rows]:
    """Rows to fit ranges on, and other labeled rows to measure on."""
    names = given.values("split") if "split" in given.column_names else [""] * len(given)
    splits = np.array([split_name(name) for name in names], dtype=object)
    train, test = (np.isin(splits, own) for own in (["train", "Training"], ["test", "PublicTest"]))
    if not train.any():
        train = np.arange(len(given)) % 2 == 0
        test = ~train
    own = np.flatnonzero(train)
    fitted = own[np.unique(np.linspace(0, len(own) - 1, min(CALIBRATING, len(own))).astype(np.int64))] if len(own) else own
    tested = np.flatnonzero((test if test.any() else ~train) & (labels >= 0))
    if not len(fitted) or len(tested) < LEAST_MEASURED:
        expected = f"faces to fit ranges on, and {LEAST_MEASURED} others with labels to measure on"
        raise MienError(expected, f"{len(fitted)} and {len(tested)}", "give a larger face set")
    if len(np.unique(labels[tested])) < 2:
        raise MienError("faces of two classes or more to measure on", "one class", "give a face set with more classes")
    return fitted, tested


def _in_parts(faces: FaceSet, rows: Rows) -> Iterator[npt.NDArray[np.float32]]:
    """Some faces of the set at a time, as the file takes them."""
    return (as_planes(faces.faces(rows[first : first + BATCH])) for first in range(0, len(rows), BATCH))


class _Faces:
    """Gives onnxruntime's calibration some faces at a time."""

    def __init__(self, faces: FaceSet, rows: Rows) -> None:
        self._parts = _in_parts(faces, rows)

    def get_next(self) -> dict[str, Any] | None:
        """The next faces; None at the end."""
        part = next(self._parts, None)
        return None if part is None else {FACES: part}


def _quantized(model: ModelProto, faces: FaceSet, rows: Rows, out: Path) -> bytes:
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
            str(folded), str(made), Reader(faces, rows), per_channel=True, nodes_to_exclude=list(kept),
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


def _measured(content: bytes, faces: FaceSet, rows: Rows, labels: Rows) -> tuple[npt.NDArray[np.bool_], float]:
    """Which of these rows a network reads right by their labels, (N,) each, and the seconds for a face on one thread."""
    session = open_session(content, 1)
    found = np.concatenate([session.run(None, {FACES: part})[0].argmax(axis=1) for part in _in_parts(faces, rows)])
    part, times = next(_in_parts(faces, rows)), list[float]()
    for _ in range(TIMED):
        began = time.perf_counter()
        session.run(None, {FACES: part})
        times.append((time.perf_counter() - began) / len(part))
    return found == labels, min(times)
