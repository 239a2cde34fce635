"""Neighborhood stability S of every face: how far the prediction moves where the face moves a little (SNA, Eq. 1 and 10).

Neighbors lie among an autoencoder's codes, or without one among the features of the network's last block. There their noise is
scaled by the deviation of these features over all scored faces (in training: over the batch), so that a face's score does not
depend on the other faces of its batch.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor

from mien.data.faceset import FaceSet
from mien.data.format import Info
from mien.data.views import Views
from mien.errors import MienError
from mien.progress import Progress, Silent
from mien.recognize.device import autocast, channels_last, choose_precision, sum_dtype
from mien.recognize.divergence import divergence, moved
from mien.recognize.model_card import require_alike
from mien.recognize.recognizer import Recognizer
from mien.recognize.semantic_neighbors import SemanticNeighbors

BATCH = 256
"""Faces that go through the network at a time."""


class NeighborSpace(Protocol):
    """Where neighbors of faces lie, and what a recognizer predicts for them."""

    @property
    def kind(self) -> Literal["autoencoder", "features"]:
        """Whose codes neighbors are: an autoencoder's, or the network's features."""
        ...

    def begin(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, K) of stored faces, uint8 (B, S, S[, 3]) or float16 (B, V, D), and their codes (B, ...)."""
        ...

    def moved(self, codes: Tensor, generator: Generator) -> Tensor:
        """Codes of neighbors, one for each of these codes."""
        ...

    def logits(self, codes: Tensor) -> Tensor:
        """Logits (B, K) of codes (B, ...)."""
        ...

    def pictures(self, codes: Tensor) -> npt.NDArray[np.uint8] | None:
        """Pictures of codes, (B, S, S) or (B, S, S, 3); None where codes are no faces."""
        ...


@dataclass(frozen=True)
class RecognizerInputs:
    """Makes a recognizer's inputs of stored faces."""

    recognizer: Recognizer
    views: Views

    @staticmethod
    def of(recognizer: Recognizer, info: Info) -> "RecognizerInputs":
        """The inputs of faces like those of `info`; puts the network into eval mode.

        Raises MienError where the recognizer was trained on faces of another kind, side or color.
        """
        require_alike(recognizer.card, info)
        recognizer.network.eval()
        return RecognizerInputs(recognizer, Views(info, recognizer.card.normalize))

    def of_faces(self, pixels: Tensor) -> Tensor:
        """The network's inputs, (B, C, S, S) or (B, D), for stored faces."""
        return channels_last(self.views.clean(pixels))

    def precision(self) -> AbstractContextManager[object]:
        """The context of a forward pass, in the precision in which this recognizer predicts."""
        asked = "float32" if self.recognizer.card.recipe.get("precision") == "float32" else "auto"
        return autocast(self.recognizer.device, choose_precision(asked, self.recognizer.device))


@dataclass(frozen=True)
class AutoencoderSpace:
    """Neighbors are faces that an autoencoder makes."""

    inputs: RecognizerInputs
    neighbors: SemanticNeighbors
    sigma: float
    """Noise that makes neighbors, in deviations of each number of a code."""
    kind: Literal["autoencoder"] = "autoencoder"

    def begin(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        return self._see(self.inputs.of_faces(pixels)), self.neighbors.codes(pixels)

    def moved(self, codes: Tensor, generator: Generator) -> Tensor:
        return self.neighbors.moved(codes, self.sigma, generator)

    def logits(self, codes: Tensor) -> Tensor:
        return self._see(self.neighbors.inputs(codes, self.inputs.views.normalization))

    def pictures(self, codes: Tensor) -> npt.NDArray[np.uint8] | None:
        made = self.neighbors.faces(codes).mul(255).round().to(torch.uint8).cpu()
        found: npt.NDArray[np.uint8] = (made[:, 0] if made.shape[1] == 1 else made.permute(0, 2, 3, 1)).numpy()
        return found

    def _see(self, inputs: Tensor) -> Tensor:
        with self.inputs.precision():
            logits: Tensor = self.inputs.recognizer.network(inputs).float()
        return logits


@dataclass(frozen=True)
class FeatureSpace:
    """Neighbors are features near those that the network's last block gives."""

    inputs: RecognizerInputs
    deviation: Tensor
    """Deviation of each number of the features, over the faces."""
    sigma: float
    """Noise that makes neighbors, in deviations of each number."""
    kind: Literal["features"] = "features"

    @staticmethod
    @torch.inference_mode()
    def of(inputs: RecognizerInputs, faces: FaceSet, sigma: float, progress: Progress) -> "FeatureSpace":
        """The space of these faces' features, whose deviation is measured. Raises MienError for fewer than two faces."""
        if len(faces) < 2:
            raise MienError("two faces or more, to know how features vary", f"{len(faces)}", "take another split, or --neighbors")
        progress.begin("features", len(faces))
        total = squares = torch.zeros((), dtype=sum_dtype(inputs.recognizer.device), device=inputs.recognizer.device)
        for pixels in face_batches(faces, inputs.recognizer.device):
            found = _features(inputs, pixels).to(total.dtype)
            total, squares = total + found.sum(dim=0), squares + found.square().sum(dim=0)
            progress.advance(len(pixels))
        variance = squares / len(faces) - (total / len(faces)).square()
        return FeatureSpace(inputs, variance.clamp(min=0).sqrt().float(), sigma)

    def begin(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        found = _features(self.inputs, pixels)
        return self.logits(found), found

    def moved(self, codes: Tensor, generator: Generator) -> Tensor:
        return moved(codes, self.deviation, self.sigma, generator)

    def logits(self, codes: Tensor) -> Tensor:
        with self.inputs.precision():
            return self.inputs.recognizer.network.decide(codes)

    def pictures(self, codes: Tensor) -> npt.NDArray[np.uint8] | None:
        return None


def _features(inputs: RecognizerInputs, pixels: Tensor) -> Tensor:
    """The last block's output for stored faces, (B, C', S', S') or (B, D')."""
    with inputs.precision():
        return inputs.recognizer.network.last_features(inputs.of_faces(pixels))


def find_space(
    recognizer: Recognizer, faces: FaceSet, neighbors: Path | str | None, sigma: float, progress: Progress | None = None
) -> tuple[NeighborSpace, str]:
    """Where neighbors of these faces lie, and in words where they come from.

    They are made by the autoencoder in the folder `neighbors`, else by the run's own one, else they lie among features. Raises
    MienError for an autoencoder or recognizer that was made for another side, color or alignment.
    """
    inputs, own = RecognizerInputs.of(recognizer, faces.info), (recognizer.folder or Path()) / "parts" / "neighbors"
    if neighbors is None and not (recognizer.folder and (own / "model" / "model.json").is_file()):
        block = list(recognizer.network.blocks)[-1]
        told = f"features of the network's last block, {block} (no autoencoder was named, and the run has none of its own)"
        return FeatureSpace.of(inputs, faces, sigma, progress or Silent()), told
    folder = own if neighbors is None else Path(neighbors)
    made = SemanticNeighbors.load(folder, recognizer.device)
    made.require(faces.info)
    error = made.card.metrics.get("pixel_error")
    quality = "" if error is None else f" (a pixel is {error:.1f} of 255 from what it was)"
    return AutoencoderSpace(
        inputs, made, sigma
    ), f"the autoencoder {'of the run, ' if neighbors is None else ''}{folder}{quality}"


@dataclass(frozen=True, eq=False)
class StabilityScores:
    """Predictions for N faces, and how they move among the faces' neighbors."""

    predicted: npt.NDArray[np.int64]
    """(N,) predicted class of each face."""
    scores: npt.NDArray[np.float64]
    """(N,) S of each face: the mean divergence (Eq. 13) over its neighbors, in nats."""
    kept: npt.NDArray[np.float64]
    """(N,) share of each face's neighbors that are predicted as the face is."""


@torch.inference_mode()
def score_faces(
    space: NeighborSpace, faces: FaceSet, draws: int, seed: int, device: torch.device, progress: Progress | None = None
) -> StabilityScores:
    """S of every face, by comparing its prediction with those of `draws` neighbors; `seed` draws the neighbors."""
    generator, progress = Generator(device).manual_seed(seed), progress or Silent()
    progress.begin("neighbors", len(faces))
    found = []
    for pixels in face_batches(faces, device):
        own, codes = space.begin(pixels)
        scores = kept = torch.zeros(len(own), dtype=sum_dtype(device), device=device)
        for _ in range(draws):
            beside = space.logits(space.moved(codes, generator))
            scores = scores + divergence(own, beside)
            kept = kept + (beside.argmax(dim=1) == own.argmax(dim=1))
        found.append((own.argmax(dim=1).cpu(), (scores / draws).cpu(), (kept / draws).cpu()))
        progress.advance(len(pixels))
    return StabilityScores(*(torch.cat(parts).numpy() for parts in zip(*found, strict=True)))


def face_batches(faces: FaceSet, device: torch.device) -> Iterator[Tensor]:
    """The stored faces on `device`, BATCH at a time."""
    for start in range(0, len(faces), BATCH):
        yield torch.from_numpy(faces.faces(np.arange(start, min(len(faces), start + BATCH)))).to(device)
