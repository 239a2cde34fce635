"""The loop's overhead: mien's loop, a bare loop, and a DataLoader over PNG files, interleaved in one run.

    python benchmarks/loop.py [--faces 4096] [--rounds 5] [--workers 2]

All three train the same network with the same optimizer, precision and batch. The bare loop holds the faces as one tensor
and distorts batches with mien's own function. The DataLoader is the usual way: a PNG a face, decoded and distorted one by
one with Pillow in worker processes. Prints medians over the rounds; the ratios are what counts.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageEnhance
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from mien import FaceSet, Recipe
from mien.data.augment import Augmentation, distort, normalize, to_unit
from mien.models import Network
from mien.recognize.device import autocast, channels_last, choose_precision, machine, to_device
from mien.recognize.saved_networks import build_network
from mien.training.loop import fit
from mien.training.optimization import make_optimizer
from mien.training.run import Run
from mien.training.run_data import RunData

CPU = torch.device("cpu")
RECIPE = Recipe.load("supervised").set("average", "0").set("draw.at_least", "1").set("choose", "last").with_epochs(1)


class PngFaces(Dataset[tuple[Tensor, int]]):
    """The usual data set: a file a face, opened and distorted one at a time."""

    def __init__(self, folder: Path, labels: npt.NDArray[np.int64]) -> None:
        self.folder, self.labels = folder, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        face: Image.Image = Image.open(self.folder / f"{row}.png").convert("L")
        draw = np.random.default_rng().uniform
        if draw() < 0.5:
            face = face.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        face = face.rotate(draw(-10, 10), Image.Resampling.BILINEAR, translate=(int(draw(-3, 3)), int(draw(-3, 3))))
        face = ImageEnhance.Contrast(ImageEnhance.Brightness(face).enhance(draw(0.9, 1.1))).enhance(draw(0.75, 1.25))
        unit = torch.from_numpy(np.asarray(face, np.float32) / 255).unsqueeze(0)
        return (unit - 0.5) * 4, int(self.labels[row])


def network_for(faces: FaceSet) -> Network:
    return to_device(build_network(RECIPE.model, len(faces.classes), faces.info), CPU)


def mien_loop(faces: FaceSet) -> Callable[[], None]:
    """One epoch through mien: draw, targets, weights, views, step, checkpoint."""
    labels = torch.from_numpy(faces.labels)
    data = RunData(faces, labels, faces.select([]), labels[:0])

    def epoch() -> None:
        with tempfile.TemporaryDirectory() as folder:
            fit(Run(RECIPE, data, 0, CPU, Path(folder)), lambda stage: None)

    return epoch


def train_on(network: Network, batches: Any) -> None:
    """The bare loop: inputs and labels in, an update out."""
    optimizer = make_optimizer(network, RECIPE.stages[0])
    precision = choose_precision("auto", CPU)
    network.train()
    for inputs, labels in batches:
        with autocast(CPU, precision):
            logits = network(channels_last(inputs))
        optimizer.zero_grad()
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()


def bare_loop(faces: FaceSet) -> Callable[[], None]:
    """One epoch over one tensor."""
    pixels, labels = torch.from_numpy(faces.faces()), torch.from_numpy(faces.labels)
    generator, by = torch.Generator().manual_seed(0), Augmentation().weak

    def epoch() -> None:
        order = torch.randperm(len(labels), generator=generator)
        order = order[: len(order) // RECIPE.batch * RECIPE.batch]
        views = (normalize(distort(to_unit(pixels[rows]), by, generator), "fixed") for rows in order.split(RECIPE.batch))
        train_on(network_for(faces), zip(views, (labels[rows] for rows in order.split(RECIPE.batch)), strict=True))

    return epoch


def data_loader(faces: FaceSet, folder: Path, workers: int) -> Callable[[], None]:
    """One epoch over PNG files."""
    for row, face in enumerate(faces.faces()):
        Image.fromarray(face).save(folder / f"{row}.png")
    loader = DataLoader(PngFaces(folder, faces.labels), RECIPE.batch, shuffle=True, num_workers=workers, drop_last=True)
    return lambda: train_on(network_for(faces), loader)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    pixels = np.random.default_rng(0).integers(0, 256, (given.faces, 48, 48), dtype=np.uint8)
    faces = FaceSet.from_arrays(pixels, np.arange(given.faces) % 7, [f"class{n}" for n in range(7)])
    with tempfile.TemporaryDirectory() as folder:
        loops = {
            "bare loop": bare_loop(faces),
            "mien": mien_loop(faces),
            f"DataLoader, {given.workers} workers, PNG": data_loader(faces, Path(folder), given.workers),
        }
        seconds: dict[str, list[float]] = {name: [] for name in loops}
        for number in range(given.rounds + 1):
            for name, epoch in loops.items():
                began = time.perf_counter()
                epoch()
                if number:  # The first round warms up.
                    seconds[name].append(time.perf_counter() - began)
    print(f"{given.faces} faces of 48 pixels, batch {RECIPE.batch}, {given.rounds} rounds, {machine(CPU)}")
    bare = statistics.median(seconds["bare loop"])
    for name, times in seconds.items():
        median = statistics.median(times)
        spread = f"{given.faces / max(times):,.0f} to {given.faces / min(times):,.0f}"
        print(f"{name:32} {given.faces / median:7,.0f} faces/s ({spread}), {bare / median:5.1%} of the bare loop")


if __name__ == "__main__":
    main()
