"""How well looks tell people apart, as faces of videos are followed by them: distances of pairs of one person and of two.

    python benchmarks/looks.py STUDIO [--seed 0]

STUDIO is a folder with `labels.csv` (columns path and subject), each person there with several photos from the front. Each photo
gets another size, turn, brightness and noise, as faces of two frames have. Printed are, for each kind of looks, the area under
the ROC curve of distances, the largest distance within a person, that which 97 % of these pairs keep below, and of pairs of two
people the one that 1 % keep below, and the middle one. `mien-s` stands beside: what it computes before its last layer.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from mien import Recognizer
from mien.faces.align import align_from_text, crop
from mien.faces.detect import detector_from_text
from mien.faces.face import Face
from mien.media.photos import as_photo
from mien.recognize.face_embeddings import ColorEmbedder, best_embedder
from mien.recognize.features import tap

WIDTH = 320


class ByModel:
    """What mien-s computes before its last layer, averaged over places."""

    def __init__(self) -> None:
        self.recognizer = Recognizer.load(device="cpu")
        self.tap = tap("mien-s", None, self.recognizer.card.faces, 0, torch.device("cpu"))

    def __call__(self, photo: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
        """(N, D) of N faces, of length 1."""
        align, side = align_from_text(self.recognizer.crop_spec.align), self.recognizer.card.faces.side
        maps = [align(photo, face) for face in faces]
        crops = [cv2.cvtColor(crop(photo, map_, side), cv2.COLOR_RGB2GRAY) for map_ in maps if map_ is not None]
        with torch.inference_mode():
            made = self.tap.network.features(self.tap.views.clean(torch.from_numpy(np.stack(crops))), self.tap.block)
        found = made.flatten(2).mean(2).double().numpy() if made.ndim == 4 else made.double().numpy()
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studio", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with (given.studio / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    chance, detect = np.random.default_rng(given.seed), detector_from_text("mtcnn least_face=60")
    photos = [_another(as_photo(given.studio / row["path"]), chance) for row in rows]
    found = [max(detect([photo])[0], key=lambda face: face.area, default=None) for photo in photos]
    seen = [(photo, face, row["subject"]) for photo, face, row in zip(photos, found, rows, strict=True) if face is not None]
    people = np.array([subject for *_, subject in seen])
    print(f"a face in {len(seen)} of {len(rows)} photos of {len(set(people))} people")
    for name, looks in (("face network, or colors", best_embedder()), ("colors", ColorEmbedder()), ("mien-s", ByModel())):
        print(
            f"{name} ({type(looks).__name__}): "
            + _told(np.concatenate([looks(photo, [face]) for photo, face, _ in seen]), people)
        )


def _another(photo: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """The photo (H, W, 3) in another frame: its size, turn, brightness and noise."""
    scale = WIDTH / photo.shape[1] * chance.uniform(0.8, 1.25)
    made = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    high, wide = made.shape[:2]
    turn = cv2.getRotationMatrix2D((wide / 2, high / 2), chance.uniform(-8, 8), 1)
    made = cv2.warpAffine(made, turn, (wide, high), borderMode=cv2.BORDER_REPLICATE)
    made = np.clip(made * chance.uniform(0.85, 1.15) + chance.normal(0, 4, made.shape), 0, 255)
    return np.asarray(made, np.uint8)


def _told(described: np.ndarray, people: np.ndarray) -> str:
    """Figures of the distances of (N, D)."""
    far = np.linalg.norm(described[:, None] - described[None], axis=2)
    pairs = np.triu_indices(len(people), 1)
    is_same = (people[:, None] == people[None])[pairs]
    same, other = far[pairs][is_same], np.sort(far[pairs][~is_same])
    area = (len(other) - np.searchsorted(other, same, "right")).mean() / len(other)
    return (
        f"area {area:.3f}; one person: 97 % below {np.quantile(same, 0.97):.2f}, at most {same.max():.2f}; "
        f"two people: 1 % below {np.quantile(other, 0.01):.2f}, half below {np.median(other):.2f}, at least {other[0]:.2f}"
    )


if __name__ == "__main__":
    main()
