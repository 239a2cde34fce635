"""Runs an exported network by onnxruntime on the CPU; torch is not loaded."""

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.data.info import Faces
from mien.errors import MienError
from mien.installed import require_package
from mien.onnx_file import first_line, open_session, thread_count
from mien.recognize.bundled import BUNDLED, find_model
from mien.recognize.model_card import ModelCard, read_card
from mien.recognize.model_folder import FACES, FEATURES, LOGITS, WEIGHTS, read_graph, read_weights_file
from mien.recognize.one_file_reading import OneFile, read_one_file
from mien.telemetry import import_onnxruntime
from mien.wording import quantity

Array = npt.NDArray[np.float32]
BATCH = 64
"""Most faces in a batch: with more, their maps leave the processor's cache."""


@dataclass(frozen=True)
class OnnxBackend:
    """Computes logits by a session of onnxruntime, which takes faces as they are stored."""

    session: Any
    batch: int
    """Faces in a batch."""
    folder: Path
    """The model's folder or file, from which another process reads it again."""
    hashes: tuple[str, str]
    """sha256 of the model's weights and of its graph."""
    planes: bool = False
    """Whether the graph takes faces as float32 (N, C, S, S), as one file does, and not as they are stored."""

    @staticmethod
    def load(path: Path, card: ModelCard, graph: bytes) -> "OnnxBackend":
        """The backend of the model at `path` with this card and graph.

        Raises MienError where its weights are missing, changed or no numbers, where the card is another model's, and for a
        graph that mien would not write.
        """
        weights, batch = read_weights_file(path, card.weights), BATCH
        # What comes with mien is known; without it `onnx` need not be loaded, which takes a tenth of a second.
        if all((card.graph, card.weights) != (own.graph, own.weights) for own in map(read_card, BUNDLED.values())):
            require_package("onnx")
            from mien.recognize.onnx_graph_check import check_graph

            checked = check_graph(graph, card, weights, path)
            graph, batch = checked.content, checked.batch
        session = open_session(graph, thread_count(), {WEIGHTS: weights.content})
        side, color = card.faces.side, [3] if card.faces.channels == 3 else []
        _require_fitting(session, card, [side, side, *color], path)
        return OnnxBackend(session, batch, path, (card.weights, card.graph))

    @staticmethod
    def of_file(file: Path, model: OneFile) -> "OnnxBackend":
        """The backend of a model that was read from one ONNX file, `file`. Raises MienError where its card is another model's."""
        session, card = open_session(model.graph, thread_count()), model.card
        _require_fitting(session, card, [card.faces.channels, card.faces.side, card.faces.side], file)
        return OnnxBackend(session, model.batch, file, (card.weights, card.graph), planes=True)

    def __reduce__(self) -> tuple[Callable[[str, tuple[str, str]], "OnnxBackend"], tuple[str, tuple[str, str]]]:
        """A session cannot be sent to another process, nor copied: the model is read again there, from its folder."""
        bundled = next((name for name, folder in BUNDLED.items() if folder == self.folder), "")
        return _again, (bundled or os.path.abspath(self.folder), self.hashes)

    def logits(self, card: ModelCard, faces: Faces, flip: bool) -> Array:
        """Logits (N, K) of at least one face of the card's kind; `flip` averages with the mirror images'."""
        return self._outputs(faces, flip, [LOGITS])[0]

    def logits_and_features(self, card: ModelCard, faces: Faces, flip: bool) -> tuple[Array, Array]:
        """Logits (N, K) and features (N, D) of at least one face. Raises MienError for a graph that gives no features."""
        if len(self.session.get_outputs()) < 2:
            todo = "export the model again"
            raise MienError("a graph that gives features", "an export from before they were given", todo)
        logits, features = self._outputs(faces, flip, [LOGITS, FEATURES])
        return logits, features

    def _outputs(self, faces: Faces, flip: bool, names: list[str]) -> list[Array]:
        """Outputs of the graph, by `names`, for all faces: (N, ...) each."""
        made = list[list[Array]]()
        for rows in np.array_split(np.arange(len(faces)), -(-len(faces) // self.batch)):
            shown = faces.faces(rows)
            own = self._run(shown, names)
            if flip:
                mirrored = self._run(np.ascontiguousarray(shown[:, :, ::-1]), names)
                own = [np.asarray((one + other) / 2, np.float32) for one, other in zip(own, mirrored, strict=True)]
            made.append(own)
        return [np.concatenate(parts) for parts in zip(*made, strict=True)]

    def machine(self) -> str:
        """The machine that measures, in words: processor, threads, precision, version of onnxruntime."""
        where = f"{platform.machine()} CPU, {quantity(thread_count(), 'thread')}"
        return f"{where}, float32, onnxruntime {import_onnxruntime().__version__}"

    def _run(self, faces: npt.NDArray[Any], names: list[str]) -> list[Array]:
        given = as_planes(faces) if self.planes else faces
        try:
            made: list[Array] = self.session.run(names, {FACES: given})
        except Exception as error:  # onnxruntime's own kinds are not public
            raise MienError("a model that onnxruntime can run", first_line(error), "take another model") from error
        if any(len(one) != len(faces) for one in made):
            raise MienError(f"logits of {len(faces)} faces", f"{len(made[0])}", "take another model")
        return made


def _again(model: str, hashes: tuple[str, str]) -> OnnxBackend:
    """The backend that was sent to this process. Raises MienError where its model is gone, or another one is there."""
    folder = find_model(model)
    if folder.is_file():
        read = read_one_file(folder)
        if (read.card.weights, read.card.graph) != hashes:
            raise _changed(folder)
        return OnnxBackend.of_file(folder, read)
    card = read_card(folder)
    graph = read_graph(folder, card.graph)
    if graph is None or (card.weights, card.graph) != hashes:
        raise _changed(folder)
    return OnnxBackend.load(folder, card, graph)


def _changed(path: Path) -> MienError:
    return MienError(f"the model at {path} as it was when it was sent here", "another one", "load it in this process")


def _require_fitting(session: Any, card: ModelCard, shape: list[int], path: Path) -> None:
    """Raises MienError unless a network takes faces of this shape and gives what the card says."""
    (faces,), (logits, *more) = session.get_inputs(), session.get_outputs()
    if logits.shape[1:] != [len(card.classes)] or faces.shape[1:] != shape:
        classes = quantity(len(card.classes), "class", "classes")
        expected = f"a graph of {classes} and faces of {card.faces.side} pixels at {path}"
        raise MienError(expected, f"one from {faces.shape} to {logits.shape}", "copy the model's folder whole")
    if card.unlike is not None and [one.shape[1:] for one in more] != [[card.unlike.width]]:
        expected = f"a graph that gives features of {card.unlike.width} numbers at {path}, as its card has it"
        found = f"features of shape {more[0].shape[1:]}" if more else "one without"
        raise MienError(expected, found, "copy the model's folder whole, or export the model again")


def as_planes(faces: npt.NDArray[np.uint8]) -> Array:
    """Faces as one ONNX file takes them: float32 (N, C, S, S), of stored ones (N, S, S) or (N, S, S, 3)."""
    channels = faces[:, None] if faces.ndim == 3 else faces.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(channels, np.float32)
