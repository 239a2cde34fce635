"""S of every face: how far the prediction moves where the face moves a little (SNA, Eq. 1 and 10), and where neighbors lie.

Where no autoencoder makes neighbors they are drawn among the features of the network's last block. Their noise is measured by
the deviation of these features over all faces that are scored (in training: over the batch), so that a face's score does not
depend on the others of its batch.
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
from mien.recognize.device import autocast, channels_last, choose_precision, wide
from mien.recognize.divergence import divergence, moved
from mien.recognize.model_card import require_alike
from mien.recognize.recognizer import Recognizer
from mien.recognize.semantic_neighbors import SemanticNeighbors

BATCH = 256
"""Faces that go through the network at a time."""


class Space(Protocol):
    """Where neighbors lie, and what a recognizer says of them."""

    @property
    def kind(self) -> Literal["autoencoder", "features"]: ...

    def begin(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, K) of stored faces, uint8 (B, S, S[, 3]) or float16 (B, V, D), and their codes (B, ...)."""
        ...

    def moved(self, codes: Tensor, generator: Generator) -> Tensor:
        """Codes of neighbors, one of each."""
        ...

    def logits(self, codes: Tensor) -> Tensor:
        """(B, K) of codes."""
        ...

    def pictures(self, codes: Tensor) -> npt.NDArray[np.uint8] | None:
        """What codes look like, (B, S, S) or (B, S, S, 3), where they are those of faces."""
        ...


@dataclass(frozen=True)
class Sight:
    """How a recognizer sees stored faces."""

    recognizer: Recognizer
    views: Views

    @staticmethod
    def of(recognizer: Recognizer, info: Info) -> "Sight":
        """For faces like those of `info`, in eval mode. Raises MienError where the recognizer was trained on others."""
        require_alike(recognizer.card, info)
        recognizer.network.eval()
        return Sight(recognizer, Views(info, recognizer.card.normalize))

    def inputs(self, pixels: Tensor) -> Tensor:
        """The network's inputs, (B, C, S, S) or (B, D)."""
        return channels_last(self.views.clean(pixels))

    def precision(self) -> AbstractContextManager[object]:
        """The context of a forward pass, in the precision in which this recognizer predicts."""
        asked = "float32" if self.recognizer.card.recipe.get("precision") == "float32" else "auto"
        return autocast(self.recognizer.device, choose_precision(asked, self.recognizer.device))


@dataclass(frozen=True)
class InPixels:
    """Neighbors are faces that an autoencoder makes."""

    sight: Sight
    neighbors: SemanticNeighbors
    sigma: float
    kind: Literal["autoencoder"] = "autoencoder"

    def begin(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        return self._see(self.sight.inputs(pixels)), self.neighbors.codes(pixels)

    def moved(self, codes: Tensor, generator: Generator) -> Tensor:
        return self.neighbors.moved(codes, self.sigma, generator)

    def logits(self, codes: Tensor) -> Tensor:
        return self._see(self.neighbors.inputs(codes, self.sight.views.normalization))

    def pictures(self, codes: Tensor) -> npt.NDArray[np.uint8] | None:
        made = self.neighbors.faces(codes).mul(255).round().to(torch.uint8).cpu()
        found: npt.NDArray[np.uint8] = (made[:, 0] if made.shape[1] == 1 else made.permute(0, 2, 3, 1)).numpy()
        return found

    def _see(self, inputs: Tensor) -> Tensor:
        with self.sight.precision():
            logits: Tensor = self.sight.recognizer.network(inputs).float()
        return logits


@dataclass(frozen=True)
class InFeatures:
    """Neighbors are features that the last block might have given."""

    sight: Sight
    deviation: Tensor
    """Of each number of the features, over the faces."""
    sigma: float
    kind: Literal["features"] = "features"

    @staticmethod
    @torch.inference_mode()
    def of(sight: Sight, faces: FaceSet, sigma: float, progress: Progress) -> "InFeatures":
        """With the deviation over these faces. Raises MienError for fewer than two."""
        if len(faces) < 2:
            raise MienError("two faces or more, to know how features vary", f"{len(faces)}", "take another split, or --neighbors")
        progress.begin("features", len(faces))
        total = squares = torch.zeros((), dtype=wide(sight.recognizer.device), device=sight.recognizer.device)
        for pixels in batches(faces, sight.recognizer.device):
            found = _features(sight, pixels).to(total.dtype)
            total, squares = total + found.sum(dim=0), squares + found.square().sum(dim=0)
            progress.advance(len(pixels))
        variance = squares / len(faces) - (total / len(faces)).square()
        return InFeatures(sight, variance.clamp(min=0).sqrt().float(), sigma)

    def begin(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        found = _features(self.sight, pixels)
        return self.logits(found), found

    def moved(self, codes: Tensor, generator: Generator) -> Tensor:
        return moved(codes, self.deviation, self.sigma, generator)

    def logits(self, codes: Tensor) -> Tensor:
        with self.sight.precision():
            return self.sight.recognizer.network.decide(codes)

    def pictures(self, codes: Tensor) -> npt.NDArray[np.uint8] | None:
        return None


def _features(sight: Sight, pixels: Tensor) -> Tensor:
    """What the last block gives of stored faces, (B, C', S', S') or (B, D')."""
    with sight.precision():
        return sight.recognizer.network.last_features(sight.inputs(pixels))


def find_space(
    recognizer: Recognizer, faces: FaceSet, neighbors: Path | str | None, sigma: float, progress: Progress | None = None
) -> tuple[Space, str]:
    """Where neighbors of these faces lie, and where they come from in words.

    By the autoencoder in the folder `neighbors`, else by the one in the run's parts, else, where there is neither, in features.
    Raises MienError for an autoencoder or recognizer that was made for another side, color or alignment.
    """
    sight, own = Sight.of(recognizer, faces.info), (recognizer.folder or Path()) / "parts" / "neighbors"
    if neighbors is None and not (recognizer.folder and (own / "model" / "model.json").is_file()):
        block = list(recognizer.network.blocks)[-1]
        told = f"features of the network's last block, {block} (no autoencoder was named, and the run has none of its own)"
        return InFeatures.of(sight, faces, sigma, progress or Silent()), told
    folder = own if neighbors is None else Path(neighbors)
    made = SemanticNeighbors.load(folder, recognizer.device)
    made.require(faces.info)
    error = made.card.metrics.get("pixel_error")
    quality = "" if error is None else f" (a pixel is {error:.1f} of 255 from what it was)"
    return InPixels(sight, made, sigma), f"the autoencoder {'of the run, ' if neighbors is None else ''}{folder}{quality}"


@dataclass(frozen=True, eq=False)
class Moves:
    """What neighbors do to the predictions of N faces."""

    predicted: npt.NDArray[np.int64]
    """(N,) class of the face itself."""
    scores: npt.NDArray[np.float64]
    """(N,) S: the mean of Eq. 13 over its neighbors, in nats."""
    kept: npt.NDArray[np.float64]
    """(N,) share of its neighbors that are predicted as the face is."""


@torch.inference_mode()
def score_faces(
    space: Space, faces: FaceSet, draws: int, seed: int, device: torch.device, progress: Progress | None = None
) -> Moves:
    """Compare every face with `draws` neighbors, which `seed` draws."""
    generator, progress = Generator(device).manual_seed(seed), progress or Silent()
    progress.begin("neighbors", len(faces))
    found = []
    for pixels in batches(faces, device):
        own, codes = space.begin(pixels)
        scores = kept = torch.zeros(len(own), dtype=wide(device), device=device)
        for _ in range(draws):
            beside = space.logits(space.moved(codes, generator))
            scores = scores + divergence(own, beside)
            kept = kept + (beside.argmax(dim=1) == own.argmax(dim=1))
        found.append((own.argmax(dim=1).cpu(), (scores / draws).cpu(), (kept / draws).cpu()))
        progress.advance(len(pixels))
    return Moves(*(torch.cat(parts).numpy() for parts in zip(*found, strict=True)))


def batches(faces: FaceSet, device: torch.device) -> Iterator[Tensor]:
    """The stored faces, BATCH at a time."""
    for start in range(0, len(faces), BATCH):
        yield torch.from_numpy(faces.faces(np.arange(start, min(len(faces), start + BATCH)))).to(device)
