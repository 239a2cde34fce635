"""MTCNN (Zhang et al. 2016, "Joint face detection and alignment using multitask cascaded convolutional networks").

Sec. II-A: P-Net proposes boxes, R-Net looks at each again, O-Net at what that leaves, and places five landmarks. After each of
them overlapping boxes are suppressed, and the rest is moved as the network says.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.faces.detect import Detector, check_photos
from mien.faces.face import Face
from mien.faces.mtcnn.boxes import Boxes, Places, corrected, squared, suppress
from mien.faces.mtcnn.integral_image import IntegralImage
from mien.faces.mtcnn.networks import Net, Runtime, mtcnn_networks
from mien.faces.mtcnn.proposals import CHUNK, WINDOW, FaceCandidates, Search, logit, no_candidates, propose
from mien.media.photos import Photo
from mien.number_bounds import MOST
from mien.settings import STRICT, Share

MOST_SEARCHED = 32_000_000
"""The most pixels in which faces are looked for; larger photos are made smaller: their tables take 12 bytes a pixel."""

GRID = 32
"""Boxes and landmarks lie on multiples of 1/GRID of a pixel. Networks round differently in their last digits from processor to
processor, by about 1e-5 of a pixel: without a grid that moves a few gray values of a crop."""

UPRIGHT = 0.98
"""The least probability of a face that is upright for certain. Some that lie on their side or upside down are found with up to
0.970; upright ones of the same photos have 0.994 or more."""

LOAD = 1 << 23
"""The pixels of photos that go through the cascade together; a larger photo goes alone."""


@dataclass(frozen=True, config=STRICT)
class Mtcnn(Detector):
    """Boxes, landmarks and, as score, O-Net's probability of being a face.

    What the paper leaves open is as in facenet-pytorch, which has the same weights: pixels of the pyramid and of crops are
    means over areas; of boxes that overlap by more than 0.5 of their union (on one level), 0.7 of it (on all levels; after
    R-Net) or 0.7 of the smaller one (after O-Net) the best is kept. It cuts boxes at the photo's edge (`beyond = "cut"`); here
    they go on in black, as in the paper's own code. Beyond both: `second_look`, and places on a grid of 1/32 of a pixel.
    """

    least_face: Annotated[float, Field(ge=WINDOW, le=MOST, allow_inf_nan=False)] = 20.0
    """Side in pixels of the smallest faces that are looked for; half of it costs four times as much."""
    propose: Share = 0.6
    """The least probability of being a face by P-Net."""
    refine: Share = 0.7
    """The least probability of being a face by R-Net."""
    output: Share = 0.7
    """The least probability of being a face by O-Net."""
    factor: Annotated[float, Field(ge=0.1, le=0.95, allow_inf_nan=False)] = 0.709
    """Ratio from one level of the pyramid to the next, smaller one."""
    beyond: Literal["black", "cut"] = "black"
    """What is seen of a box beyond the photo's edge: `black` pixels, or nothing: the box is `cut`, and what is left stretched."""
    second_look: bool = True
    """Whether a photo in which nothing is found is looked at again in a black frame, for faces that it does not hold whole."""
    runtime: Runtime = "onnx"
    """What computes the networks: onnxruntime, or torch, which takes longer to load."""

    @property
    @override
    def upright_score(self) -> float:
        """The least score of a face that is upright for certain."""
        return UPRIGHT

    @override
    def __call__(self, photos: Sequence[Photo]) -> list[tuple[Face, ...]]:
        """The faces of each photo, the surest first. Raises MienError for what is no photo, or without weights."""
        check_photos(photos)
        found: list[tuple[Face, ...]] = [()] * len(photos)
        for place, photo in enumerate(photos):
            if photo.shape[0] * photo.shape[1] > MOST_SEARCHED:
                found[place] = self._in_smaller(photo)
        for places in _loads(photos):
            sums = IntegralImage.of([photos[place] for place in places])
            numbers = list(range(len(places)))
            for framed in (False, True) if self.second_look else (False,):
                for number, face in self._find(sums, numbers, framed):
                    found[places[number]] += (face,)
                numbers = [number for number in numbers if not found[places[number]]]
        return found

    def _in_smaller(self, photo: Photo) -> tuple[Face, ...]:
        """The faces of a large photo, down to the same size, their places on the large photo's grid."""
        high, wide = photo.shape[:2]
        share = math.sqrt(MOST_SEARCHED / (high * wide))
        size = (max(1, int(wide * share)), max(1, int(high * share)))
        smaller = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)
        unit = np.array([wide / size[0], high / size[1]], np.float32)
        found = []
        for face in replace(self, least_face=max(WINDOW, self.least_face * share))([smaller])[0]:
            x0, y0, x1, y1 = on_grid(np.array(face.box, np.float32) * np.tile(unit, 2)).tolist()
            five = None if face.landmarks is None else on_grid(face.landmarks * unit)
            found.append(Face((x0, y0, x1, y1), five, face.score))
        return tuple(found)

    def _find(self, sums: IntegralImage, numbers: list[int], framed: bool) -> list[tuple[int, Face]]:
        """The cascade over the photos of `numbers`: their faces, each with its photo's number."""
        nets = mtcnn_networks(self.runtime)
        found = propose(nets.propose, sums, numbers, Search(self.least_face, self.factor, self.propose, framed))
        found = found.take(suppress(found.boxes, found.logits, found.photos, 0.7))
        boxes = squared(corrected(found.boxes, found.offsets, 0))
        found = self._judge(nets.refine, sums, boxes, found.photos, 24, self.refine)
        found = found.take(suppress(found.boxes, found.logits, found.photos, 0.7))
        boxes = squared(corrected(found.boxes, found.offsets[:, :4], 1))
        found = self._judge(nets.output, sums, boxes, found.photos, 48, self.output)
        points = on_grid(landmarks(found.boxes, found.offsets[:, 4:]))
        boxes = corrected(found.boxes, found.offsets[:, :4], 1)
        kept = suppress(boxes + np.array([0, 0, 1, 1], np.float32), found.logits, found.photos, 0.7, "smaller")
        # From here on the first pixel begins at 0, and a box ends where its last pixel ends.
        edges = on_grid(boxes - np.array([1, 1, 0, 0], np.float32))[kept].tolist()
        scores = (1 + np.tanh(found.logits[kept] / 2)) / 2  # the logistic function, without overflow
        rows = zip(found.photos[kept].tolist(), edges, points[kept], scores.tolist(), strict=True)
        return [
            (photo, Face((x0, y0, x1, y1), five, score)) for photo, (x0, y0, x1, y1), five, score in rows if x0 < x1 and y0 < y1
        ]

    def _judge(self, net: Net, sums: IntegralImage, boxes: Boxes, photos: Places, side: int, threshold: float) -> FaceCandidates:
        """The `boxes` that R-Net or O-Net takes for faces, as they were, and where it would move them."""
        pixels = boxes.astype(np.int64) - np.array([1, 1, 0, 0])
        if self.beyond == "cut":
            sizes = np.stack([sums.widths[photos], sums.heights[photos]], axis=1)
            pixels = np.concatenate([pixels[:, :2].clip(0), np.minimum(pixels[:, 2:], sizes)], axis=1)
        real = (pixels[:, 2:] > pixels[:, :2]).all(axis=1)
        boxes, photos, pixels = boxes[real], photos[real], pixels[real]
        if not len(boxes):
            return no_candidates(14)
        step = CHUNK // (side * side)
        parts = (slice(first, first + step) for first in range(0, len(boxes), step))
        made = np.concatenate([net(sums.crops(pixels[part], photos[part], side)) for part in parts])
        return FaceCandidates(boxes, made[:, 0], photos, made[:, 1:]).take(made[:, 0] > logit(threshold))


def on_grid(places: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Places in pixels, of any shape, moved to the nearest multiple of 1/GRID; those in the middle to the larger one."""
    moved: npt.NDArray[np.float32] = np.floor(places * GRID + np.float32(0.5)) / GRID
    return moved


def landmarks(boxes: Boxes, parts: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Landmarks (N, 5, 2), x and y in pixels, from 5 x and 5 y (N, 10) in shares of the box's width and height."""
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    points: npt.NDArray[np.float32] = parts.reshape(-1, 2, 5) * sides[:, :, None] + boxes[:, :2, None] - 1
    return points.swapaxes(1, 2)


def _loads(photos: Sequence[Photo]) -> Iterator[list[int]]:
    """Numbers of photos that go together: neighbors of one size, within bounded memory; a large photo alone."""
    load: list[int] = []
    pixels = 0
    for place in sorted(range(len(photos)), key=lambda place: photos[place].shape):
        size = photos[place].shape[0] * photos[place].shape[1]
        if size > MOST_SEARCHED:
            continue
        if load and pixels + size > LOAD:
            yield load
            load, pixels = [], 0
        load.append(place)
        pixels += size
    if load:
        yield load
