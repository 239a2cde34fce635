"""The recognizer: a trained network with its card, which takes photos or faces and gives probabilities by expression."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from mien.data.info import FaceArray, Faces
from mien.errors import MienError
from mien.faces.crop import NO_LANDMARKS, CropSpec, crop_faces
from mien.faces.which_faces import Turns
from mien.installed import require_package
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.media.photos import PhotoLike, as_photo
from mien.recognize.bundled import find_model
from mien.recognize.model_card import ModelCard, read_card, require_alike
from mien.recognize.model_folder import CARD, model_folder, read_graph
from mien.recognize.one_file_reading import read_one_file
from mien.recognize.onnx_backend import OnnxBackend
from mien.recognize.prediction import Prediction, make_prediction

if TYPE_CHECKING:
    import torch

    from mien.data.faceset import FaceSet
    from mien.models import Network
    from mien.recognize.torch_backend import TorchBackend


class Backend(Protocol):
    """What runs a network: torch or onnxruntime."""

    def logits(self, card: ModelCard, faces: Faces, flip: bool) -> npt.NDArray[np.float32]:
        """Logits (N, K) of at least one face of the card's kind; `flip` averages with the mirror images'."""
        ...

    def machine(self) -> str:
        """The machine that measures, in words."""
        ...


@runtime_checkable
class GivesFeatures(Protocol):
    """A backend that gives features beside logits; those of mien do."""

    def logits_and_features(
        self, card: ModelCard, faces: Faces, flip: bool
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Logits (N, K) of at least one face, and the inputs of the last layer (N, D).

        Raises MienError for a network that does not give them.
        """
        ...


@dataclass(frozen=True)
class Recognizer:
    """A trained model that predicts the expressions of faces. `train` makes one, `Recognizer.load` reads one from disk."""

    backend: Backend
    """What runs the network."""
    card: ModelCard
    folder: Path | None = None
    """The folder that the model was read from; None for one in memory, or of one ONNX file."""

    @staticmethod
    def load(model: Path | str = "mien-s", device: str = "auto") -> "Recognizer":
        """The model of this name (`mien-s` and `mien-xs` come with mien), or at the path of a run, a model folder, an ONNX file.

        On the CPU onnxruntime runs an exported model, and torch any other; on a GPU torch runs all. Reads model.json,
        model.safetensors and model.onnx, and beside them only a file that a run's network names (`onnx_facenet`). An ONNX file is
        one that `mien export` wrote with `--one-file` or `--int8`; it runs on the CPU. Nothing is imported because a card names
        it: import the module of your own network, detector or way of cutting before. Raises MienError where files are missing or
        changed, such a module is not imported, or an extra is missing.
        """
        folder = find_model(model)
        if folder.is_file():
            if device not in ("cpu", "auto"):
                raise MienError("the device cpu for an ONNX file", device, "leave the device out, or name the model's folder")
            read = read_one_file(folder)
            return Recognizer(OnnxBackend.of_file(folder, read), read.card)
        card = read_card(folder)
        if device == "cpu" or (device == "auto" and not _gpu_at_hand()):
            graph = read_graph(folder, card.graph)
            if graph:
                return Recognizer(OnnxBackend.load(folder, card, graph), card, folder)
        require_package("torch")
        from mien.recognize.torch_backend import load_torch_backend

        return Recognizer(load_torch_backend(folder, device), card, folder)

    @staticmethod
    def of(network: "Network", card: ModelCard, device: "torch.device") -> "Recognizer":
        """A recognizer by a network in memory, which is on `device`."""
        from mien.recognize.torch_backend import TorchBackend

        return Recognizer(TorchBackend(network, device), card)

    @property
    def network(self) -> "Network":
        """The network in torch, for what looks into it. Raises MienError where there is none to read."""
        return self._torch_backend.network

    @property
    def device(self) -> "torch.device":
        """The device that `network` is on."""
        return self._torch_backend.device

    @cached_property
    def _torch_backend(self) -> "TorchBackend":
        require_package("torch")
        from mien.recognize.torch_backend import TorchBackend, load_torch_backend

        if isinstance(self.backend, TorchBackend):
            return self.backend
        if self.folder is None:
            todo = "read the run or the model folder with Recognizer.load: an ONNX file alone has none"
            raise MienError("a recognizer with a network in torch", "one without", todo)
        return load_torch_backend(self.folder, "cpu")

    def __call__(self, photo: PhotoLike, turn: Turns = "off") -> tuple[Prediction, ...]:
        """Predictions for the faces in one photo, the detector's surest first; empty where no face is found. See `read`."""
        return self.read([photo], turn=turn)[0]

    def read(
        self,
        photos: Sequence[PhotoLike],
        crop_spec: CropSpec | None = None,
        limits: FileLimits = FILE_LIMITS,
        turn: Turns = "off",
        searched_whole: Sequence[int] | None = None,
    ) -> list[tuple[Prediction, ...]]:
        """Predictions for the faces in each of these photos, one tuple a photo.

        A photo is a path, a file's bytes, a picture of Pillow, or an array, uint8 (H, W, 3) RGB or (H, W) gray. All faces are
        found, and cut out as the model's training faces were, unless `crop_spec` says otherwise. `turn`: in which photos they are
        looked for in all four directions, too, which takes four times as long: `auto`, where no face is upright for certain, or
        `all`.
        `searched_whole`: for frames of a video, numbers of those that are searched whole, 0 among them; all unless given. Raises
        MienError for what is no photo or beyond the `limits`, where the card does not say how to cut out faces, and where the
        detector gives no landmarks but cutting needs them.
        """
        if isinstance(photos, str | bytes) or not isinstance(photos, Sequence):
            raise MienError("a list of photos", f"one {type(photos).__name__}", "put it in a list, or call the recognizer itself")
        how, faces = crop_spec or self.crop_spec, self.card.faces
        if faces.kind != "faces":
            raise MienError("a recognizer of faces, to read photos", f"one of {faces.kind}", "train one on a set of faces")
        how.require_workable()
        given = [as_photo(photo, limits) for photo in photos]
        cut = crop_faces(given, how, faces.side, faces.channels == 3, turn, searched_whole)
        if NO_LANDMARKS in cut.empty.values():
            todo = "take a detector that gives landmarks, such as mtcnn, or cut out by box"
            raise MienError(f"faces that can be cut out by {how}", f"one with {NO_LANDMARKS}", todo)
        found: list[tuple[Prediction, ...]] = [()] * len(photos)
        logits, strange = self.logits_and_unlike(cut.faces)
        rows, unlike = self._calibrated(logits).tolist(), [None] * len(logits) if strange is None else strange.tolist()
        for number, face, row, other in zip(cut.photo.tolist(), cut.lying(given), rows, unlike, strict=True):
            scores, least = dict(zip(self.classes, row, strict=True)), self.card.possible_where_unlike(other)
            found[number] += (make_prediction(face, scores, least, self.card.confidence_threshold, other),)
        return found

    @property
    def crop_spec(self) -> CropSpec:
        """How all faces of a photo are found and cut out, as the card says.

        Raises MienError where the card does not say, and for a way or a detector whose module is not imported.
        """
        said = CropSpec.from_text(self.card.faces.alignment)
        said.require_loaded("" if self.folder is None else model_folder(self.folder) / CARD)
        return replace(said, which="all")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the expressions, in the order of the columns of `probabilities`."""
        return self.card.classes

    def logits(self, faces: "FaceSet | npt.NDArray[np.uint8]", flip: bool = False) -> npt.NDArray[np.float32]:
        """Logits (N, K), before the temperature, of a face set or of faces, uint8 (N, S, S) or (N, S, S, 3).

        `flip` averages with the mirror images'. Raises MienError for faces of another kind, side or color than the model's.
        """
        given = self._checked(faces)
        if not len(given):
            return np.zeros((0, len(self.classes)), np.float32)
        return self._sound(self.backend.logits(self.card, given, flip), given)

    def logits_and_features(
        self, faces: "FaceSet | npt.NDArray[np.uint8]", flip: bool = False
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Logits (N, K) and features (N, D) of at least one face: the inputs of the network's last layer.

        Takes what `logits` takes. Raises MienError where the network does not give features.
        """
        given = self._checked(faces)
        if not isinstance(self.backend, GivesFeatures):
            raise MienError("a backend that gives features", "another", "read the model with Recognizer.load")
        logits, features = self.backend.logits_and_features(self.card, given, flip)
        return self._sound(logits, given), features

    def logits_and_unlike(
        self, faces: "FaceSet | npt.NDArray[np.uint8]", flip: bool = False
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_] | None]:
        """Logits (N, K), and whether each face is unlike those of training, (N,); None where the card cannot tell.

        Takes what `logits` takes.
        """
        if self.card.unlike is None or not len(faces):
            return self.logits(faces, flip), None
        logits, features = self.logits_and_features(faces, flip)
        return logits, self.card.unlike.are_unlike(features)

    def _checked(self, faces: "FaceSet | npt.NDArray[np.uint8]") -> Faces:
        given = FaceArray(faces) if isinstance(faces, np.ndarray) else _as_face_set(faces)
        require_alike(self.card, given.info)
        return given

    def _sound(self, made: npt.NDArray[np.float32], given: Faces) -> npt.NDArray[np.float32]:
        """The logits. Raises MienError where they are not (N, K), or not finite."""
        if made.shape != (len(given), len(self.classes)) or not np.isfinite(made).all():
            expected = f"logits ({len(given)}, {len(self.classes)}) that are numbers"
            raise MienError(expected, f"{made.shape}, or nan", "take another model, or train it again with a lower learning rate")
        return made

    def probabilities(self, faces: "FaceSet | npt.NDArray[np.uint8]", flip: bool = False) -> npt.NDArray[np.float32]:
        """Calibrated probabilities (N, K): the softmax of the logits, divided by the card's temperature.

        Takes what `logits` takes.
        """
        return self._calibrated(self.logits(faces, flip))

    def _calibrated(self, made: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The probabilities (N, K) of logits (N, K)."""
        logits = made.astype(np.float64)  # where no difference of them is too large
        odds = np.exp((logits - logits.max(axis=1, keepdims=True)) / self.card.temperature)
        probabilities: npt.NDArray[np.float32] = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
        return probabilities


def _as_face_set(faces: object) -> Faces:
    """A face set as it is. Raises MienError for anything else."""
    from mien.data.faceset import FaceSet  # which loads pyarrow

    if not isinstance(faces, FaceSet):
        raise MienError("a face set or an array of faces", f"a {type(faces).__name__}", "open a set by FaceSet.open")
    return faces


def _gpu_at_hand() -> bool:
    """Whether there may be a GPU, so that it is worth loading torch, which takes a second."""
    return shutil.which("nvidia-smi") is not None
