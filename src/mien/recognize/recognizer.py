"""A trained network with its card: faces or photos in, named probabilities out."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from mien.data.faceset import FaceSet
from mien.errors import MienError
from mien.faces.crop import NO_LANDMARKS, CropSpec, crop_faces
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.media.photos import PhotoLike, as_photo
from mien.recognize.bundled import find_model
from mien.recognize.model_card import CARD, ModelCard, model_folder, read_card, read_graph, require_alike
from mien.recognize.onnx_backend import OnnxBackend
from mien.recognize.reading import Reading, reading

if TYPE_CHECKING:
    import torch

    from mien.models import Network
    from mien.recognize.torch_backend import TorchBackend


class Backend(Protocol):
    """What computes a network."""

    def logits(self, card: ModelCard, faces: FaceSet, flip: bool) -> npt.NDArray[np.float32]:
        """(N, K) of at least one face of the card's kind; `flip` averages with the mirror images'."""
        ...

    def machine(self) -> str:
        """What figures were measured on."""
        ...


@dataclass(frozen=True)
class Recognizer:
    """Made by `train`, or read with `Recognizer.load`."""

    runs: Backend
    card: ModelCard
    folder: Path | None = None
    """Where it was read from."""

    @staticmethod
    def load(model: Path | str = "mien-s", device: str = "auto") -> "Recognizer":
        """The model `mien-s`, which comes with mien, or that of a run or a model folder.

        On the CPU an exported model is run by onnxruntime, and others by torch; on a GPU torch runs all. Reads model.json,
        model.safetensors and model.onnx, and nothing else but a file that the network of a run names (`onnx_facenet`). Nothing
        is imported because a card says so: whoever wrote a network, a way to cut out faces or a detector of their own, or trusts
        it, imports its module before. Raises MienError where files are missing or changed, or such a module is not imported.
        """
        folder = find_model(model)
        card = read_card(folder)
        if device == "cpu" or (device == "auto" and not _gpu_at_hand()):
            graph = read_graph(folder, card)
            if graph:
                return Recognizer(OnnxBackend.load(folder, card, graph), card, folder)
        from mien.recognize.torch_backend import load_torch_backend

        return Recognizer(load_torch_backend(folder, device), card, folder)

    @staticmethod
    def of(network: "Network", card: ModelCard, device: "torch.device") -> "Recognizer":
        """Of a network in memory, on `device`."""
        from mien.recognize.torch_backend import TorchBackend

        return Recognizer(TorchBackend(network, device), card)

    @property
    def network(self) -> "Network":
        """In torch, for what looks into it."""
        return self._in_torch.network

    @property
    def device(self) -> "torch.device":
        """Where `network` is."""
        return self._in_torch.device

    @cached_property
    def _in_torch(self) -> "TorchBackend":
        from mien.recognize.torch_backend import TorchBackend, load_torch_backend

        if isinstance(self.runs, TorchBackend):
            return self.runs
        if self.folder is None:
            raise MienError("a recognizer with a network in torch", "one without", "read it with Recognizer.load")
        return load_torch_backend(self.folder, "cpu")

    def __call__(self, photo: PhotoLike, turn: bool = False) -> tuple[Reading, ...]:
        """The faces in one photo, the surest first; none where none is found. See `read`."""
        return self.read([photo], turn=turn)[0]

    def read(
        self, photos: Sequence[PhotoLike], geometry: CropSpec | None = None, limits: FileLimits = FILE_LIMITS, turn: bool = False
    ) -> list[tuple[Reading, ...]]:
        """The faces in each of some photos: where they are, and what they show.

        A photo is a path, a file's bytes, a picture of Pillow, or an array, uint8 (H, W, 3) RGB or (H, W) gray. Faces are found
        and cut out as those were that the model learned from, but all of a photo's, unless `geometry` says otherwise. With `turn`
        they are found in photos that lie on their side or upside down, too, which takes four times as long. Raises
        MienError for what is no photo or beyond the `limits`, where the card does not say how faces are cut out, and where faces
        come without the landmarks to cut them out by.
        """
        if isinstance(photos, str | bytes) or not isinstance(photos, Sequence):
            raise MienError("a list of photos", f"one {type(photos).__name__}", "put it in a list, or call the recognizer itself")
        how, faces = geometry or self.geometry, self.card.faces
        if faces.kind != "faces":
            raise MienError("a recognizer of faces, to read photos", f"one of {faces.kind}", "train one on a set of faces")
        how.require_workable()
        given = [as_photo(photo, limits) for photo in photos]
        cut = crop_faces(given, how, faces.side, faces.channels == 3, turn)
        if NO_LANDMARKS in cut.empty.values():
            todo = "take a detector that gives landmarks, such as mtcnn, or cut out by box"
            raise MienError(f"faces that can be cut out by {how}", f"one with {NO_LANDMARKS}", todo)
        found: list[tuple[Reading, ...]] = [()] * len(photos)
        for number, face, row in zip(cut.photo.tolist(), cut.lying(given), self.probabilities(cut.faces).tolist(), strict=True):
            found[number] += (reading(face, dict(zip(self.classes, row, strict=True)), self.card.least, self.card.sure),)
        return found

    @property
    def geometry(self) -> CropSpec:
        """How all faces of a photo are cut out, by the card.

        Raises MienError where it does not say, and for a way or a detector whose module is not imported.
        """
        said = CropSpec.from_text(self.card.faces.alignment)
        said.require_loaded("" if self.folder is None else model_folder(self.folder) / CARD)
        return replace(said, which="all")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the columns of `probabilities`."""
        return self.card.classes

    def logits(self, faces: FaceSet | npt.NDArray[np.uint8], flip: bool = False) -> npt.NDArray[np.float32]:
        """Unscaled scores (N, K) of a face set or of faces, uint8 (N, S, S) or (N, S, S, 3).

        `flip` averages with the mirror images'. Raises MienError for faces of another kind, side or color.
        """
        if not isinstance(faces, FaceSet | np.ndarray):
            raise MienError("a face set or an array of faces", f"a {type(faces).__name__}", "open a set by FaceSet.open")
        given = faces if isinstance(faces, FaceSet) else FaceSet.from_arrays(faces)
        require_alike(self.card, given.info)
        if not len(given):
            return np.zeros((0, len(self.classes)), np.float32)
        made = self.runs.logits(self.card, given, flip)
        if made.shape != (len(given), len(self.classes)) or not np.isfinite(made).all():
            expected = f"logits ({len(given)}, {len(self.classes)}) that are numbers"
            raise MienError(expected, f"{made.shape}, or nan", "take another model, or train it again with a lower learning rate")
        return made

    def probabilities(self, faces: FaceSet | npt.NDArray[np.uint8], flip: bool = False) -> npt.NDArray[np.float32]:
        """Calibrated probabilities (N, K) of the classes: the softmax of logits over the card's temperature."""
        logits = self.logits(faces, flip).astype(np.float64)  # where no difference of them is too large
        odds = np.exp((logits - logits.max(axis=1, keepdims=True)) / self.card.temperature)
        probabilities: npt.NDArray[np.float32] = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
        return probabilities


def _gpu_at_hand() -> bool:
    """Whether it is worth asking torch, which takes a second to load."""
    return shutil.which("nvidia-smi") is not None
