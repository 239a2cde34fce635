"""A trained network with its card: faces or photos in, named probabilities out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mien.data.faceset import FaceSet
from mien.data.views import Views
from mien.errors import MienError
from mien.faces.cut import Geometry, cut_out
from mien.faces.photos import Picture, as_photo
from mien.models import Network
from mien.recognize.device import choose_device, choose_precision, place, predict
from mien.recognize.files import Card, read_card, read_network, require_alike
from mien.recognize.reading import Reading, reading

BATCH = 512


@dataclass(frozen=True)
class Recognizer:
    """Made by `train`, or read from a run or model folder with `Recognizer.load`."""

    network: Network
    card: Card
    device: torch.device
    folder: Path | None = None
    """Where it was read from."""

    @staticmethod
    def load(folder: Path | str, device: str = "auto") -> "Recognizer":
        """Reads model.json and model.safetensors and nothing else. Raises MienError where they are missing or changed."""
        chosen = choose_device(device)
        network = place(read_network(Path(folder)), chosen)
        return Recognizer(network, read_card(Path(folder)), chosen, Path(folder))

    def __call__(self, photo: Picture) -> tuple[Reading, ...]:
        """The faces in one photo, the surest first; none where none is found. See `read`."""
        return self.read([photo])[0]

    def read(self, photos: Sequence[Picture], geometry: Geometry | None = None) -> list[tuple[Reading, ...]]:
        """The faces in each of some photos: where they are, and what they show.

        A photo is a path, a file's bytes, a picture of Pillow, or an array, uint8 (H, W, 3) RGB or (H, W) gray. Faces are found
        and cut out as those were that the model learned from, but all of a photo's, unless `geometry` says otherwise. Raises
        MienError for what is no photo, and where the card does not say how faces are cut out.
        """
        faces = self.card.faces
        if faces.kind != "faces":
            raise MienError("a recognizer of faces, to read photos", f"one of {faces.kind}", "train one on a set of faces")
        how = geometry or replace(Geometry.from_text(faces.alignment), which="all")
        cut = cut_out([as_photo(photo) for photo in photos], how, faces.side, faces.channels == 3)
        found: list[tuple[Reading, ...]] = [()] * len(photos)
        for number, face, row in zip(cut.photo.tolist(), cut.found, self.probabilities(cut.faces).tolist(), strict=True):
            found[number] += (reading(face, dict(zip(self.classes, row, strict=True)), self.card.least),)
        return found

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the columns of `probabilities`."""
        return self.card.classes

    def logits(self, faces: FaceSet | npt.NDArray[np.uint8], flip: bool = False) -> npt.NDArray[np.float32]:
        """Unscaled scores (N, K) of a face set or of faces, uint8 (N, S, S) or (N, S, S, 3).

        `flip` averages with the mirror images'. Raises MienError for faces of another kind, side or color.
        """
        given = faces if isinstance(faces, FaceSet) else FaceSet.from_arrays(faces)
        require_alike(self.card, given.info)
        if not len(given):
            return np.zeros((0, len(self.classes)), np.float32)
        views = Views(given.info, self.card.normalize)
        # A model that was trained in float32 on purpose stays so; others take what this device does best.
        asked = self.card.recipe.get("precision")
        precision = choose_precision("float32" if asked == "float32" else "auto", self.device)
        batches = (
            _to_device(given, rows, self.device) for rows in np.array_split(np.arange(len(given)), -(-len(given) // BATCH))
        )
        logits: npt.NDArray[np.float32] = predict(self.network, batches, views, precision, flip).numpy()
        return logits

    def probabilities(self, faces: FaceSet | npt.NDArray[np.uint8], flip: bool = False) -> npt.NDArray[np.float32]:
        """Calibrated probabilities (N, K) of the classes: the softmax of logits over the card's temperature."""
        scaled = torch.from_numpy(self.logits(faces, flip)) / self.card.temperature
        probabilities: npt.NDArray[np.float32] = torch.softmax(scaled, dim=1).numpy()
        return probabilities


def _to_device(faces: FaceSet, rows: npt.NDArray[np.int64], device: torch.device) -> Tensor:
    return torch.from_numpy(faces.faces(rows)).to(device)
