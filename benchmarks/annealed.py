"""What a step of ALT costs: annealed against a plain pseudo-label step and against literal passes over all validation faces.

    python benchmarks/annealed.py [--batches 64,256] [--rounds 5] [--steps 4] [--validation 3000]

All three train mien_s on the same random faces of 48 pixels with batches of equal size, interleaved in one run; medians over
the rounds. The ratios are what counts.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien import FaceSet, Recipe
from mien.recognize.device import choose_device, machine
from mien.training.loop import begin, labeled_loss, refresh
from mien.training.objective import Classes
from mien.training.run import Run
from mien.training.run_data import RunData

STEPS: Mapping[str, Mapping[str, Any]] = {
    "pseudo-labels": {"technique": "descend"},
    "annealed, 256 validation faces": {"technique": "annealed"},
    "annealed, all validation faces": {"technique": "annealed", "validation_faces": 0},
}


def run_data(batch: int, validation: int) -> RunData:
    """Ten batches of labeled and of unlabeled faces, and validation faces beside."""
    count = 20 * batch + validation
    pixels = np.random.default_rng(0).integers(0, 256, (count, 48, 48), dtype=np.uint8)
    faces = FaceSet.from_arrays(pixels, np.arange(count) % 7, [f"class{n}" for n in range(7)])
    labels = torch.from_numpy(faces.labels)
    trained, rest = np.arange(20 * batch), np.arange(20 * batch, count)
    known = labels[: 20 * batch].clone()
    known[10 * batch :] = -1
    return RunData(faces.select(trained), known, faces.select(rest), labels[20 * batch :])


def stepper(step: Mapping[str, Any], faces: RunData, batch: int, device: torch.device) -> Callable[[int], None]:
    """A function that takes so many steps of a run."""
    table = {"step": dict(step), "unlabeled": "pseudo_label", "batch": batch, "unlabeled_batch": batch, "average": 0.0}
    recipe = Recipe.load("supervised").with_settings(table | {"draw.at_least": 1})
    run = Run(recipe, faces, 0, device, Path(tempfile.gettempdir()))
    techniques = begin(run, 0)
    rows = refresh(run, techniques)

    def take(count: int) -> None:
        for number in range(count):
            labeled = labeled_loss(run, Classes(techniques.weigh), run.pool.fetch(rows[number % len(rows)]), [])
            others = techniques.unlabeled(run, run.pool.fetch(run.unlabeled[:batch].cpu()))
            techniques.step(run, labeled, others)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return take


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", default="64,256")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--validation", type=int, default=3000)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    device = choose_device(given.device)
    print(
        f"mien_s, 48 pixels, {given.rounds} rounds of {given.steps} steps, {given.validation} validation faces, {machine(device)}"
    )
    for batch in map(int, given.batches.split(",")):
        faces = run_data(batch, given.validation)
        takers = {name: stepper(step, faces, batch, device) for name, step in STEPS.items()}
        seconds: dict[str, list[float]] = {name: [] for name in takers}
        for number in range(given.rounds + 1):
            for name, take in takers.items():
                began = time.perf_counter()
                take(given.steps)
                if number:  # The first round warms up.
                    seconds[name].append((time.perf_counter() - began) / given.steps)
        plain = statistics.median(seconds["pseudo-labels"])
        for name, times in seconds.items():
            ratios = [one / other for one, other in zip(times, seconds["pseudo-labels"], strict=True)]
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            median = statistics.median(times)
            print(f"batch {batch:4}  {name:32} {1000 * median:7.1f} ms a step, {median / plain:5.2f} times ({spread})")


if __name__ == "__main__":
    main()
