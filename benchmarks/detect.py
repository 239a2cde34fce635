"""Detectors on photos: recall, agreement with facenet-pytorch (the same weights), and with --speed photos a second.

    bash benchmarks/peers.sh PEERS
    python benchmarks/detect.py PHOTOS --peers PEERS [--speed]

PHOTOS: a folder of photos with one face each. Beside them the same faces, smaller, several on each of --canvases pictures of
640 x 480. Faces "away from the edge" are those around which a third of the box is within the photo: nearer to it the crops that
the networks see depend on what a library puts beyond the edge.
"""

import argparse
import json
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from mien.faces.detect import Detector, detector_from_text
from mien.faces.face import Face, Photo

THEIRS = """
import json, sys, time
import numpy as np, torch
from PIL import Image
from facenet_pytorch import MTCNN
threads, rounds, paths = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
torch.set_num_threads(threads)
detector = MTCNN(keep_all=True, select_largest=False)
found = []
for path in paths:
    boxes, scores, points = detector.detect(Image.open(path).convert("RGB"), landmarks=True)
    found.append([] if boxes is None else [[b.tolist(), p.tolist(), float(s)] for b, s, p in zip(boxes, scores, points)])
seconds = []
if rounds:
    canvases = [Image.open(path).convert("RGB") for path in paths if "canvas" in path]
    for _ in range(rounds + 1):
        began = time.perf_counter()
        detector.detect(canvases, landmarks=True)
        seconds.append(time.perf_counter() - began)
print(json.dumps([found, seconds[1:]]))
"""
SIZE = (640, 480)
CELLS = [(x, y) for y in (0, 240) for x in (0, 213, 426)]
"""Corners of the places on a canvas, 213 x 240 each."""


@dataclass(frozen=True)
class Tile:
    """Where on a canvas a photo was put."""

    x0: int
    y0: int
    x1: int
    y1: int

    def holds(self, face: Face) -> bool:
        """Whether a face lies in the tile and takes up a fair part of it."""
        x, y = face.center
        return self.x0 < x < self.x1 and self.y0 < y < self.y1 and face.area > 0.2 * (self.x1 - self.x0) * (self.y1 - self.y0)


def compose(photos: list[Photo], count: int) -> tuple[list[Photo], list[list[Tile]]]:
    """Canvases with three to six photos each, 80 to 220 pixels high, over a blurred one."""
    generator = np.random.default_rng(0)
    canvases, tiles = [], []
    for _ in range(count):
        blurred = cv2.resize(photos[generator.integers(len(photos))], (6, 5), interpolation=cv2.INTER_AREA)
        canvas = cv2.resize(blurred, SIZE, interpolation=cv2.INTER_CUBIC)
        placed = []
        for cell in generator.permutation(len(CELLS))[: generator.integers(3, 7)]:
            photo = photos[generator.integers(len(photos))]
            high = int(generator.integers(80, 221))
            wide = round(photo.shape[1] * high / photo.shape[0])
            if wide > 213:
                high, wide = high * 213 // wide, 213
            x = CELLS[cell][0] + int(generator.integers(0, 213 - wide + 1))
            y = CELLS[cell][1] + int(generator.integers(0, 240 - high + 1))
            canvas[y : y + high, x : x + wide] = cv2.resize(photo, (wide, high), interpolation=cv2.INTER_AREA)
            placed.append(Tile(x, y, x + wide, y + high))
        canvases.append(np.asarray(canvas, np.uint8))
        tiles.append(placed)
    return canvases, tiles


def theirs(python: Path, paths: list[Path], threads: int, rounds: int) -> tuple[list[tuple[Face, ...]], list[float]]:
    """facenet-pytorch's faces, whose boxes count pixels from 1, and seconds of each round over the canvases."""
    command = [str(python), "-c", THEIRS, str(threads), str(rounds), *map(str, paths)]
    found, seconds = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
    faces = [
        tuple(Face((x0 - 1, y0 - 1, x1, y1), np.array(points), score) for (x0, y0, x1, y1), points, score in photo)
        for photo in found
    ]
    return faces, seconds


def overlap(one: Face, other: Face) -> float:
    """Intersection over union."""
    wide = min(one.box[2], other.box[2]) - max(one.box[0], other.box[0])
    high = min(one.box[3], other.box[3]) - max(one.box[1], other.box[1])
    common = max(0.0, wide) * max(0.0, high)
    return common / (one.area + other.area - common)


def away(face: Face, photo: Photo) -> bool:
    """Whether a third of the box is left around it within the photo."""
    x0, y0, x1, y1 = face.box
    wide, high = (x1 - x0) / 3, (y1 - y0) / 3
    return x0 >= wide and y0 >= high and x1 + wide <= photo.shape[1] and y1 + high <= photo.shape[0]


def agreement(ours: list[tuple[Face, ...]], others: list[tuple[Face, ...]], photos: list[Photo], inner: bool) -> str:
    """How far our faces are from theirs: overlap, and landmarks in eye distances; one without a counterpart overlaps by 0."""
    overlaps, distances = [], []
    for found, wanted, photo in zip(ours, others, photos, strict=True):
        for face in (face for face in wanted if not inner or away(face, photo)):
            best = max(found, key=lambda one: overlap(one, face), default=None)
            overlaps.append(overlap(best, face) if best else 0.0)
            if best is not None and overlaps[-1] >= 0.5 and best.landmarks is not None and face.landmarks is not None:
                far = np.linalg.norm(best.landmarks - face.landmarks, axis=1).mean()
                distances.append(float(far) / face.eye_distance)
    if not overlaps:
        return "none"
    lacking = sum(value < 0.5 for value in overlaps)
    said = f"{len(overlaps)} faces, {lacking} of them not found; overlap {np.mean(overlaps):.4f}, at least {np.min(overlaps):.4f}"
    return f"{said}; landmarks {np.mean(distances):.2%} of the eye distance away, at most {np.max(distances):.2%}"


def recalls(name: str, photos: list[tuple[Face, ...]], canvases: list[tuple[Face, ...]], tiles: list[list[Tile]]) -> None:
    """Photos with a face, faces on canvases that were found, and what else was found there."""
    hits = sum(any(tile.holds(face) for face in found) for found, placed in zip(canvases, tiles, strict=True) for tile in placed)
    other = sum(
        not any(tile.holds(face) for tile in placed) for found, placed in zip(canvases, tiles, strict=True) for face in found
    )
    total = sum(map(len, tiles))
    print(f"{name}: a face in {sum(map(bool, photos))} of {len(photos)} photos; {hits} of {total} on canvases, {other} elsewhere")


def speed(detector: Detector, canvases: list[Photo], rounds: int) -> float:
    """Photos a second, median over rounds, after one that does not count."""
    seconds = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        detector(canvases)
        seconds.append(time.perf_counter() - began)
    return len(canvases) / float(np.median(seconds[1:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--peers", type=Path, help="an environment with facenet-pytorch")
    parser.add_argument("--canvases", type=int, default=32)
    parser.add_argument("--detectors", default="mtcnn;mtcnn beyond=cut second_look=False;mtcnn runtime=onnx;haar;dlib")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
    paths = sorted(path for path in given.photos.iterdir() if path.suffix in (".jpg", ".jpeg", ".png"))
    photos = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    canvases, tiles = compose(photos, given.canvases)
    rounds = given.rounds if given.speed else 0
    with tempfile.TemporaryDirectory() as folder:
        for number, canvas in enumerate(canvases):
            Image.fromarray(canvas).save(path := Path(folder) / f"canvas{number:03d}.png")
            paths.append(path)
        others, seconds = theirs(given.peers / "bin" / "python", paths, given.threads, rounds) if given.peers else ([], [])
    if others:
        recalls("facenet-pytorch", others[: len(photos)], others[len(photos) :], tiles)
    if seconds:
        print(f"  {len(canvases) / float(np.median(seconds)):.1f} photos/s")
    for text in given.detectors.split(";"):
        detector = detector_from_text(text)
        alone, together = detector(photos), detector(canvases)
        recalls(text, alone, together, tiles)
        if others and text.startswith("mtcnn"):
            print(f"  photos: {agreement(alone, others[: len(photos)], photos, False)}")
            print(f"  canvases: {agreement(together, others[len(photos) :], canvases, False)}")
            print(f"  away from the edge: {agreement(together, others[len(photos) :], canvases, True)}")
        if given.speed:
            print(f"  {speed(detector, canvases, given.rounds):.1f} photos/s")


if __name__ == "__main__":
    main()
