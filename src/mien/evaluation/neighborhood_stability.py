"""Neighborhood stability S of every face: how far the prediction moves where the face moves a little (SNA, Eq. 1 and 10).

Any kind of neighbor will do (`mien.neighbors.kinds`). Where labels are given, their loss at the neighbors is measured as well.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor

from mien.data.faceset import FaceSet
from mien.data.format import Info
from mien.data.views import Views
from mien.errors import MienError
from mien.neighbors.choose import kind_from, kind_from_text, names_kind, require_kind_or_folder, with_sigma
from mien.neighbors.kinds import Fitted, Ground
from mien.neighbors.look import Drawn, draw_neighbors, label_loss, look, stability
from mien.neighbors.mask import require_scores
from mien.neighbors.semantic_neighbors import SemanticNeighbors
from mien.progress import Progress, Silent
from mien.recognize.device import autocast, channels_last, choose_precision, sum_dtype
from mien.recognize.model_card import require_alike
from mien.recognize.recognizer import Recognizer
from mien.registry import component_name

BATCH = 256
"""Faces that go through the network at a time."""
ROOM = 1 << 28
"""Numbers of neighbors that are drawn at a time at most."""
ONCE = 8
"""Neighbors of each face that are drawn at a time at least."""
FEATURES = 1 << 10
"""Numbers of a near feature, as good as most networks have."""


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
class NeighborSpace:
    """Neighbors that were fitted to faces, and the recognizer that looks at them."""

    inputs: RecognizerInputs
    fitted: Fitted
    kind: str
    """The name of their kind."""
    sigma: float | None
    """Noise that makes them, in deviations of each number; None where they are made otherwise."""

    def draw(self, rows: Tensor, pixels: Tensor, draws: int, generator: Generator) -> Drawn:
        """Stored faces with `draws` neighbors each; `rows` (B,) of those that the neighbors were fitted to."""
        return draw_neighbors(self.fitted, self.inputs.views, rows, pixels, draws, generator)

    def look(self, drawn: Drawn) -> tuple[Tensor, Tensor]:
        """Logits (B, K) of faces, and (D, B, K) of their neighbors."""
        with self.inputs.precision():
            return look(self.inputs.recognizer.network, drawn, apart=True)

    def pictures(self, drawn: Drawn) -> npt.NDArray[np.uint8] | None:
        """Pictures of the first neighbors, (B, S, S) or (B, S, S, 3); None where neighbors are no faces."""
        if drawn.near is None or self.inputs.views.info.kind == "features":
            return None
        made = drawn.near[0].mul(255).round().to(torch.uint8).cpu()
        found: npt.NDArray[np.uint8] = (made[:, 0] if made.shape[1] == 1 else made.permute(0, 2, 3, 1)).numpy()
        return found


def find_space(
    recognizer: Recognizer,
    faces: FaceSet,
    neighbors: Path | str | None,
    sigma: float | None = None,
    progress: Progress | None = None,
    around: FaceSet | None = None,
) -> tuple[NeighborSpace, str]:
    """Neighbors of these faces, and in words where they come from.

    `neighbors`: a kind with its settings, such as `views shift=0.05`, or the folder of an autoencoder; None: by the run's own
    autoencoder, or else among features. `sigma`: noise that makes them; None: the kind's own. `around`: the faces among which
    they may be found; the faces themselves unless said. Raises MienError for an autoencoder or recognizer that was made for
    another side, color or alignment, and where such faces have no neighbors of this kind.
    """
    inputs, own = RecognizerInputs.of(recognizer, faces.info), _own_autoencoder(recognizer)
    given = "" if neighbors is None else str(neighbors)
    if neighbors is None:
        kind = kind_from("features" if own is None else "autoencoder")
    elif names_kind(given):
        kind = kind_from_text(given)
    else:
        require_kind_or_folder(given)
        kind = kind_from({"kind": "autoencoder", "source": given})
    kind = with_sigma(kind, sigma)

    def autoencoder(source: str | Mapping[str, Any]) -> SemanticNeighbors:
        ours = source == "small"  # The default of the kind: no folder was named.
        if ours and own is None:
            todo = "give its folder: --neighbors FOLDER, of mien autoencoder train"
            raise MienError("a run with an autoencoder of its own", str(recognizer.folder or "a recognizer in memory"), todo)
        made = SemanticNeighbors.load(own if ours and own is not None else Path(str(source)), recognizer.device)
        made.require(faces.info)
        return replace(made, told=f"of the run, {made.told}") if ours else made

    def features(pixels: Tensor) -> Tensor:
        with inputs.precision():
            return recognizer.network.last_features(inputs.of_faces(pixels))

    with torch.inference_mode():
        ground = Ground(faces, around or faces, inputs.views, recognizer.device, autoencoder, features, progress or Silent())
        fitted = kind.fit(ground)
    space = NeighborSpace(inputs, fitted, component_name(type(kind)), kind.noise)
    told = fitted.told
    if fitted.among == "features":
        told += f", {list(recognizer.network.blocks)[-1]}"
        told += " (no autoencoder was named, and the run has none of its own)" if neighbors is None else ""
    return space, told


def _own_autoencoder(recognizer: Recognizer) -> Path | None:
    """The folder of the autoencoder that a run was trained with."""
    own = (recognizer.folder or Path()) / "parts" / "neighbors"
    return own if recognizer.folder and (own / "model" / "model.json").is_file() else None


@dataclass(frozen=True, eq=False)
class StabilityScores:
    """Predictions for N faces, and how they move among the faces' neighbors."""

    predicted: npt.NDArray[np.int64]
    """(N,) predicted class of each face."""
    scores: npt.NDArray[np.float64]
    """(N,) S of each face: the mean divergence (Eq. 13) over its neighbors, in nats."""
    kept: npt.NDArray[np.float64]
    """(N,) share of each face's neighbors that are predicted as the face is."""
    confidence: npt.NDArray[np.float64]
    """(N,) calibrated probability of each face's predicted class."""
    label_losses: npt.NDArray[np.float64] | None = None
    """(N,) minus log p of each face's label, mean over its neighbors, in nats; None where no labels were given."""
    own_label_losses: npt.NDArray[np.float64] | None = None
    """(N,) the same of the face itself."""


@torch.inference_mode()
def score_faces(
    space: NeighborSpace,
    faces: FaceSet,
    draws: int,
    seed: int,
    device: torch.device,
    progress: Progress | None = None,
    labels: npt.NDArray[np.int64] | None = None,
) -> StabilityScores:
    """S of every face, by comparing its prediction with those of `draws` neighbors; `seed` draws the neighbors.

    `labels` (N,): classes whose loss is measured as well.
    """
    generator, progress = Generator(device).manual_seed(seed), progress or Silent()
    progress.begin("neighbors", len(faces))
    found: list[list[Tensor]] = []
    for start, pixels in zip(range(0, len(faces), BATCH), face_batches(faces, device), strict=True):
        rows = torch.arange(start, start + len(pixels), device=device)
        given = None if labels is None else torch.from_numpy(labels[start : start + len(pixels)]).to(device)
        looks = (space.look(space.draw(rows, pixels, count, generator)) for count in draw_parts(space, pixels, draws))
        found.append([part.cpu() for part in _judged(looks, space.inputs.recognizer.card.temperature, given)])
        progress.advance(len(pixels))
    first, *others = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
    return StabilityScores(first, *(values.astype(np.float64) for values in others))


def draw_parts(space: NeighborSpace, pixels: Tensor, draws: int) -> list[int]:
    """How many neighbors of stored faces (B, ...) are drawn at a time, `draws` in all: so many as ROOM numbers hold, or ONCE."""
    if not space.fitted.varies:
        return [1]
    numbers = FEATURES if space.fitted.among == "features" else math.prod(pixels.shape[1:])
    most = max(ONCE, ROOM // (len(pixels) * numbers))
    return [min(most, draws - start) for start in range(0, draws, most)]


def _judged(looks: Iterable[tuple[Tensor, Tensor]], temperature: float, given: Tensor | None) -> list[Tensor]:
    """Figures (B,) of faces, in the order of `StabilityScores`, by looks at all of their neighbors, part by part."""
    sums, count = list[Tensor](), 0
    for own, near in looks:
        exact = sum_dtype(own.device)
        kept = (near.argmax(dim=2) == own.argmax(dim=1)).to(exact).mean(dim=0)
        parts = [stability(own, near), kept, *([] if given is None else [label_loss(near, given)])]
        # A running mean, which leaves that of a single part as it is.
        count += len(near)
        sums = [one + (other - one) * (len(near) / count) for one, other in zip(sums, parts, strict=True)] if sums else parts
    scores, kept, *losses = sums
    sure = (own.to(exact) / temperature).softmax(dim=1).amax(dim=1)
    own_loss = [] if given is None else [label_loss(own.unsqueeze(0), given)]
    return [own.argmax(dim=1), require_scores(scores), kept, sure, *losses, *own_loss]


def face_batches(faces: FaceSet, device: torch.device) -> Iterator[Tensor]:
    """The stored faces on `device`, BATCH at a time."""
    for start in range(0, len(faces), BATCH):
        yield torch.from_numpy(faces.faces(np.arange(start, min(len(faces), start + BATCH)))).to(device)
