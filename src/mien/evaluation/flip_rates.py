"""Flip rates: how often a recognizer's answer becomes another where a face moves, turns or changes in light a little.

It needs neither sequences nor labels. A moved face is made of the stored one, as an 8-bit picture, and shows the same expression.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as checked
from torch import Generator, Tensor

from mien.data.augment import Distortion, distort, to_unit
from mien.data.faceset import FaceSet
from mien.data.splits import split_rows, test_split
from mien.errors import MienError
from mien.evaluation.metrics import RESAMPLES, Interval, percentiles
from mien.evaluation.stability_summary import known_labels
from mien.json_text import plain_values
from mien.progress import Progress, Silent
from mien.recognize.recognizer import Recognizer
from mien.settings import STRICT, Count, Seed, Share, plain_errors, require_fitting

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

BATCH = 256
"""Faces that are moved at a time; another number would draw other moves."""
STILL = Distortion(flip=0, rotation=0, shift=0, zoom=0, contrast=0, brightness=0)
ALL = "all"
"""The name of the mean over all kinds of moves."""


@plain_errors
@checked(frozen=True, config=STRICT)
class MoveSizes:
    """How far faces are moved; each draws its own move, uniformly up to these bounds, either way."""

    pixels: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] = 2.0
    """Most pixels of the stored face that it is shifted, across and down; parts of a pixel are interpolated."""
    degrees: Annotated[float, Field(ge=0, le=180, allow_inf_nan=False)] = 5.0
    """Most degrees that it is turned."""
    light: Share = 0.1
    """Largest change of brightness, where black is 0 and white 1, and largest relative change of contrast."""

    def distortions(self, side: int) -> dict[str, Distortion]:
        """The moves of faces of `side` pixels, by name."""
        given = asdict(STILL)
        return {
            "shift": Distortion(**given | {"shift": min(1.0, self.pixels / side)}),
            "turn": Distortion(**given | {"rotation": self.degrees}),
            "light": Distortion(**given | {"contrast": self.light, "brightness": self.light}),
        }


@dataclass(frozen=True)
class FlipRate:
    """How often answers flip; nan without faces. Intervals are of 95 %, by bootstrap over faces."""

    count: int
    """Number of faces."""
    share: float
    """Share of the moved faces whose predicted class is not that of the face itself."""
    interval: Interval


@dataclass(frozen=True, eq=False)
class FlipRates:
    """What `measure_flip_rates` found: for each kind of move, and for all together, how often the answers flip."""

    dataset: str
    split: str
    sizes: MoveSizes
    draws: int
    """Moves of each kind of each face."""
    seed: int
    overall: dict[str, FlipRate]
    """Over all faces, by the kind of move; `all` is the mean of the kinds."""
    classes: dict[str, dict[str, FlipRate]]
    """Flip rates over the faces that are labeled as each class, by the class's name and the kind of move."""
    ids: tuple[str, ...]
    """Ids of the faces."""
    flips: dict[str, Floats]
    """(N,) the share of each face's moves by which its answer flips, by the kind of move."""

    def to_json(self) -> dict[str, Any]:
        """The figures as plain values for JSON; nan is null."""
        names = ("dataset", "split", "sizes", "draws", "seed", "overall", "classes")
        return {name: plain_values(getattr(self, name)) for name in names}


@dataclass(frozen=True)
class FlipDifference:
    """How much more often one recognizer's answers flip than another's, on the same moves of the same faces."""

    count: int
    """Number of faces."""
    mean: float
    """Mean difference of the shares; below 0 where the first recognizer is the more stable."""
    interval: Interval


def measure_flip_rates(
    recognizer: Recognizer | Path | str,
    faces: FaceSet | Path | str,
    split: str | None = None,
    sizes: MoveSizes | None = None,
    draws: int = 4,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> FlipRates:
    """Move each face of a split `draws` times in each way, and count by how many of these moves its predicted class flips.

    The same seed moves the same faces in the same way, whatever the recognizer. `split`: the test split unless given. A network
    that sees every face at zero mean and unit variance can hardly flip by light. Raises MienError for a recognizer of features or
    of other faces, for a split that is not there, and for one without faces.
    """
    require_fitting(Seed, seed=seed)
    require_fitting(Count, draws=draws)
    recognizer = recognizer if isinstance(recognizer, Recognizer) else Recognizer.load(recognizer, device)
    faces, sizes, progress = FaceSet.of(faces), sizes or MoveSizes(), progress or Silent()
    if recognizer.card.faces.kind != "faces" or faces.info.kind != "faces":
        raise MienError("a recognizer of faces, and faces to move", "features", "take the run on the faces themselves")
    split = split or test_split(faces)
    view = faces.select(split_rows(faces, split))
    if not len(view):
        raise MienError(f"faces in {split}", "none", "choose another split")
    flips = _flips(recognizer, view, sizes.distortions(faces.info.side), draws, seed, progress)
    labels, classes = known_labels(recognizer.classes, view), recognizer.classes
    return FlipRates(
        faces.info.name or "unnamed",
        split,
        sizes,
        draws,
        seed,
        {kind: _rate(values, seed) for kind, values in flips.items()},
        {
            name: {kind: _rate(values[labels == label], seed) for kind, values in flips.items()}
            for label, name in enumerate(classes)
        },
        tuple(view.column("id").to_pylist()),
        flips,
    )


def flip_differences(first: FlipRates, second: FlipRates) -> dict[str, FlipDifference]:
    """The first's flip rates minus the second's, paired by face, by the kind of move, with bootstrap intervals over faces.

    Raises MienError where they are not of the same moves of the same faces.
    """
    asked = ("sizes", "draws", "seed", "ids")
    other = [name for name in asked if getattr(first, name) != getattr(second, name)]
    if other:
        raise MienError(
            "flip rates of the same moves of the same faces", f"other {other[0]}", "measure both on the same set and split"
        )
    found = {}
    for kind, values in first.flips.items():
        gaps = values - second.flips[kind]
        found[kind] = FlipDifference(len(gaps), float(gaps.mean()), mean_interval(gaps, first.seed))
    return found


def mean_interval(values: Floats, seed: int, resamples: int = RESAMPLES) -> Interval:
    """The 95 % percentile-bootstrap interval of the mean of values (N,), of which few are different; nan without values.

    To resample faces with replacement is to draw how often each value occurs from a multinomial distribution.
    """
    if not len(values):
        return Interval(float("nan"), float("nan"))
    different, counts = np.unique(values, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(values), counts / len(values), resamples)
    return percentiles(drawn @ different / len(values))


def _flips(
    recognizer: Recognizer, faces: FaceSet, moves: dict[str, Distortion], draws: int, seed: int, progress: Progress
) -> dict[str, Floats]:
    """(N,) the share of each face's moves by which its answer flips, by the kind of move, and their mean."""
    generators = {kind: Generator().manual_seed(seed) for kind in moves}
    found: dict[str, list[Floats]] = {kind: [] for kind in moves}
    progress.begin("moved faces", len(faces))
    for start in range(0, len(faces), BATCH):
        pixels = faces.faces(np.arange(start, min(len(faces), start + BATCH)))
        own, unit = recognizer.logits(pixels).argmax(axis=1), to_unit(torch.from_numpy(pixels))
        for kind, move in moves.items():
            moved = (_stored(distort(unit, move, generators[kind]), pixels.ndim) for _ in range(draws))
            found[kind].append(np.mean([recognizer.logits(each).argmax(axis=1) != own for each in moved], axis=0))
        progress.advance(len(pixels))
    flips = {kind: np.concatenate(parts) for kind, parts in found.items()}
    # Rounded, so that means which are equal on paper are equal here.
    return flips | {ALL: np.mean(list(flips.values()), axis=0).round(12)}


def _stored(faces: Tensor, dimensions: int) -> Pixels:
    """Faces (B, C, S, S) in [0, 1] as they would be stored: uint8 (B, S, S), or (B, S, S, 3) where these are 4 dimensions."""
    made = faces.mul(255).round().clamp(0, 255).to(torch.uint8)
    pixels: Pixels = (made[:, 0] if dimensions == 3 else made.permute(0, 2, 3, 1).contiguous()).numpy()
    return pixels


def _rate(values: Floats, seed: int) -> FlipRate:
    share = float(values.mean()) if len(values) else float("nan")
    return FlipRate(len(values), share, mean_interval(values, seed))
