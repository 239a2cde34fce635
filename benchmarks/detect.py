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
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from mien.faces.detect import Detector, detector_from_text
from mien.faces.face import Face
from mien.media.photos import Photo

THEIRS = """
import json, sys, time
import torch
from PIL import Image
from facenet_pytorch import MTCNN
torch.set_num_threads(int(sys.argv[1]))
paths = sys.argv[2:]
photos = [Image.open(path).convert("RGB") for path in paths]
canvases = [photo for path, photo in zip(paths, photos) if "canvas" in path]
detector = MTCNN(keep_all=True, select_largest=False)
found = []
for photo in photos:
    boxes, scores, points = detector.detect(photo, landmarks=True)
    found.append([] if boxes is None else [[b.tolist(), p.tolist(), float(s)] for b, s, p in zip(boxes, scores, points)])
print(json.dumps(found), flush=True)
for _ in sys.stdin:
    began = time.perf_counter()
    detector.detect(canvases, landmarks=True)
    print(time.perf_counter() - began, flush=True)
"""
PEER = "facenet-pytorch"
DETECTORS = ";".join(
    (
        "mtcnn",
        "mtcnn beyond=cut second_look=False",
        "mtcnn least_face=40",
        "mtcnn least_face=64",
        "mtcnn runtime=torch",
        "haar",
        "dlib",
        "dlib doublings=0",
    )
)
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


class Peer:
    """facenet-pytorch, in a process of its own, which waits to be asked again."""

    def __init__(self, python: Path, paths: list[Path], threads: int) -> None:
        command = [str(python), "-c", THEIRS, str(threads), *map(str, paths)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # Its boxes count pixels from 1.
        self.found = [
            tuple(Face((x0 - 1, y0 - 1, x1, y1), np.array(points), score) for (x0, y0, x1, y1), points, score in photo)
            for photo in json.loads(self._line())
        ]
        """Faces of each photo."""

    def seconds(self) -> float:
        """That it took for all canvases, once more."""
        assert self._process.stdin
        self._process.stdin.write("again\n")
        self._process.stdin.flush()
        return float(self._line())

    def _line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{PEER} ended")
        return line


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


def seconds(detector: Detector, canvases: list[Photo]) -> float:
    """That a detector takes for all canvases."""
    began = time.perf_counter()
    detector(canvases)
    return time.perf_counter() - began


def report_speed(ways: dict[str, Callable[[], float]], photos: int, rounds: int) -> None:
    """Photos a second of each way, and how many times those of the peers, by turns: median and range over rounds.

    One round before does not count.
    """
    taken = np.array([[way() for way in ways.values()] for _ in range(rounds + 1)])[1:]
    for name, own in zip(ways, taken.T, strict=True):
        said = [f"{name}: {photos / np.median(own):.1f} photos/s"]
        for peer, other in zip(ways, taken.T, strict=True):
            if peer in (PEER, "dlib") and peer != name:
                times = other / own
                said.append(f"{np.median(times):.2f} times {peer} ({times.min():.2f} to {times.max():.2f})")
        print(", ".join(said))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--peers", type=Path, help="an environment with facenet-pytorch")
    parser.add_argument("--canvases", type=int, default=24)
    parser.add_argument("--detectors", default=DETECTORS)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
    paths = sorted(path for path in given.photos.iterdir() if path.suffix in (".jpg", ".jpeg", ".png"))
    photos = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    canvases, tiles = compose(photos, given.canvases)
    peer = None
    with tempfile.TemporaryDirectory() as folder:
        for number, canvas in enumerate(canvases):
            Image.fromarray(canvas).save(path := Path(folder) / f"canvas{number:03d}.png")
            paths.append(path)
        if given.peers:
            peer = Peer(given.peers / "bin" / "python", paths, given.threads)
            recalls(PEER, peer.found[: len(photos)], peer.found[len(photos) :], tiles)
    ways: dict[str, Callable[[], float]] = {PEER: peer.seconds} if peer else {}
    for text in given.detectors.split(";"):
        detector = detector_from_text(text)
        ways[text] = partial(seconds, detector, canvases)
        alone, together = detector(photos), detector(canvases)
        recalls(text, alone, together, tiles)
        if peer and text.startswith("mtcnn"):
            others = peer.found[len(photos) :]
            print(f"  photos: {agreement(alone, peer.found[: len(photos)], photos, False)}")
            print(f"  canvases: {agreement(together, others, canvases, False)}")
            print(f"  away from the edge: {agreement(together, others, canvases, True)}")
    if given.speed:
        report_speed(ways, len(canvases), given.rounds)


if __name__ == "__main__":
    main()
