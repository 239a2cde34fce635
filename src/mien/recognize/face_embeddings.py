"""Face embeddings: numbers by which the same person is found in frames so far apart that the faces' places say little."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from mien.errors import MienError
from mien.faces.align import CropMap, crop, square_map
from mien.faces.align.eyes import Eyes
from mien.faces.face import Face
from mien.installed import package_folder
from mien.media.photos import Photo

if TYPE_CHECKING:
    from mien.recognize.features import Tap

Floats = npt.NDArray[np.float64]

FAR = 0.15
"""Seconds between two frames from which on faces are followed by embeddings, too; below, their places say enough."""
FARTHEST = 1.0
"""Seconds between two frames from which on embeddings by color may fail."""
NET, SIDE = "face_recognition_models", 150
"""The package with the face network's weights, and the side in pixels of the faces that it takes."""
SMALL = 24
"""Side in pixels of the small picture in an embedding by color."""
BINS, LOW, HIGH = (6, 6, 4), (0.2, 0.2, 0.0), (0.55, 0.45, 1.0)
"""Bins of the color histogram, and their range: the share of red, the share of green, a third of the relative brightness."""


class FaceEmbedder(Protocol):
    """Makes face embeddings whose distance (L2) tells whether two faces are one person's."""

    @property
    def same(self) -> float:
        """The distance up to which two faces are one person's, wherever they are."""
        ...

    @property
    def other(self) -> float:
        """The distance beyond which two faces are two people's, even at one place."""
        ...

    def __call__(self, photo: Photo, faces: Sequence[Face]) -> Floats:
        """Embeddings (N, D) of N faces in one photo (H, W, 3)."""
        ...


@dataclass(frozen=True)
class ColorEmbedder:
    """Embeds a face as a small picture, upright by its eyes and with some surroundings, and a histogram of its colors.

    Brightness and contrast alter it little. Measured on studio photos of 52 people, each once neutral and once smiling, each of
    another size, turn and brightness (benchmarks/looks.py): 97 % of the pairs of one person are nearer than 0.32. Of the pairs
    of two people, 1 % are nearer than 0.29, and half are beyond 0.54. The area under the ROC curve is 0.994; by what `mien-s`
    computes before its last layer it is 0.43, as that has learned to overlook who it is. All faces were seen from the front, in
    one light. It takes 1 ms a face.
    """

    same: float = 0.29
    other: float = 0.48

    def __call__(self, photo: Photo, faces: Sequence[Face]) -> Floats:
        """Embeddings (N, 720) of N faces in one photo (H, W, 3)."""
        return np.stack([_colors(crop(photo, _upright(face, 0.25, 0.4, 1.6), SMALL)) for face in faces])


@dataclass(frozen=True, eq=False)
class NetworkEmbedder:
    """Embeds faces by dlib's face network: by its maker's word, two faces of one person are less than 0.6 apart (King 2017).

    Measured as `ColorEmbedder` was: pairs of one person are up to 0.34 apart, of two people from 0.50 on, and 99 % from 0.60 on
    (area 1.000). It takes 10 ms a face on one core, and two seconds to load.
    """

    tap: "Tap"
    same: float = 0.5
    other: float = 0.65

    def __call__(self, photo: Photo, faces: Sequence[Face]) -> Floats:
        """Embeddings (N, 128) of N faces in one photo (H, W, 3)."""
        import torch

        crops = np.stack([crop(photo, _upright(face, 0.33, 0.33, 1.25), SIDE) for face in faces])
        with torch.inference_mode():
            made = self.tap.network.features(self.tap.views.clean(torch.from_numpy(crops)), self.tap.block)
        return np.asarray(made.double().numpy(), np.float64)


@cache
def best_embedder() -> FaceEmbedder:
    """The embedder by dlib's face network where its weights are installed, else the one by color."""
    if package_folder(NET) is None:
        return ColorEmbedder()
    import torch

    from mien.data.info import Info
    from mien.recognize.features import tap

    try:
        return NetworkEmbedder(tap("facenet_dlib", None, Info((), side=SIDE, channels=3), 0, torch.device("cpu")))
    except MienError:  # other weights than are known
        return ColorEmbedder()


def tracking_caution(every: float) -> str:
    """A sentence on what may go wrong in tracking where frames are `every` seconds apart; empty where nothing may."""
    if every < FARTHEST or package_folder(NET) is not None:
        return ""
    return (
        f"frames {every:g} s apart: faces are followed by their places and colors alone, so that people who look alike may be"
        " taken for each other, and one who moves may get a new number; pip install 'mien[facenet]', or take a smaller --every"
    )


def _upright(face: Face, distance: float, height: float, room: float) -> CropMap:
    """Maps the photo to a square in which the eyes are level; without eyes, to one `room` times as wide as the face's box."""
    map_ = Eyes(distance, height)(np.empty((0, 0, 3), np.uint8), face)
    x0, y0, x1, y1 = face.box
    return square_map(np.array(face.center), max(x1 - x0, y1 - y0, 1.0) * room) if map_ is None else map_


def _colors(face: Photo) -> Floats:
    """The embedding (D,), of length 1, of a small picture of a face."""
    values = face.astype(np.float64)
    picture = _unit(values - values.mean())
    pixels = values.reshape(-1, 3) + 1
    shares = pixels[:, :2] / pixels.sum(axis=1, keepdims=True)
    bright = pixels.mean(axis=1, keepdims=True) / pixels.mean() / 3
    place = (np.hstack([shares, bright]) - LOW) / (np.array(HIGH) - LOW)
    found: Floats = np.concatenate([picture, _unit(_counted(place, bright[:, 0]))]) / math.sqrt(2)
    return found


def _counted(place: Floats, weights: Floats) -> Floats:
    """A histogram over BINS of weighted points (N, 3) in 0 to 1; a point between two bins counts in both, by its nearness."""
    at = (place * BINS - 0.5).clip(0, np.array(BINS) - 1)
    low = np.floor(at).astype(int)
    counts = np.zeros(math.prod(BINS))
    for step in product((0, 1), repeat=3):
        bins = np.minimum(low + step, np.array(BINS) - 1)
        shares = np.where(step, at - low, 1 - (at - low)).prod(axis=1)
        counts += np.bincount(np.ravel_multi_index(tuple(bins.T), BINS), shares * weights, len(counts))
    return counts


def _unit(values: Floats) -> Floats:
    found: Floats = values.ravel() / max(float(np.linalg.norm(values)), 1e-9)
    return found
