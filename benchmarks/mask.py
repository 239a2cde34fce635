"""What SNA's mask costs: batches of two_scale_small with and without it, in turn, in one run; and what cached codes spare.

    python benchmarks/mask.py [--batches 20] [--rounds 7] [--threads 1]

On drawn faces of 48 pixels, batches of 64. The autoencoder is trained for one epoch: its weights cost the same, whatever
they are. Prints medians over the rounds; the ratios are what counts.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch

from mien import Recipe, TrainingSettings
from mien.data.faceset import FaceSet
from mien.data.importing import import_source, source_from
from mien.pretraining.autoencoder.of_run import run_neighbors
from mien.progress import Silent
from mien.recognize.device import machine
from mien.training.components import Components
from mien.training.loop import begin, labeled_loss, refresh
from mien.training.objective import Classes
from mien.training.prepare_run import prepare_run
from mien.training.run import Run

CPU = torch.device("cpu")
AUTOENCODER = {"preset": "small", "stages": [{"epochs": 1, "lr": 1e-3, "optimizer": "adamw"}]}


def started(faces: FaceSet, recipe: Recipe, folder: Path) -> tuple[Run, Components, list[torch.Tensor]]:
    """A run before its first batch, its techniques, and the rows of its batches."""
    run = Run(recipe, prepare_run(faces, None, recipe, TrainingSettings(), Silent()).data, 0, CPU, folder)
    techniques = begin(run, 0)
    return run, techniques, refresh(run, techniques)


def seconds(run: Run, techniques: Components, batches: list[torch.Tensor]) -> float:
    """Of these batches, drawn, scored and learned from."""
    start = time.perf_counter()
    for batch in run.pool.stream(batches):
        techniques.step(run, labeled_loss(run, Classes(techniques.weigh), batch, []), None)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_CACHE_HOME"] = place
        import_source(source_from("synthetic", {"faces": 2000, "people": 100}), Path(place) / "faces")
        faces = FaceSet.open(Path(place) / "faces")
        masked = Recipe.load("sna_small").with_settings({"weigh.0.autoencoder": AUTOENCODER, "weigh.0.after": 0.0})
        features = masked.set("weigh.0.space", "features")
        recipes = {
            "two_scale_small": Recipe.load("two_scale_small"),
            "sna_small": masked,
            "sna_small, space = features": features,
        }
        runs = {name: started(faces, recipe, Path(place) / f"run{n}") for n, (name, recipe) in enumerate(recipes.items())}
        took: dict[str, list[float]] = {name: [] for name in [*runs, "codes of the same faces"]}
        for _ in range(given.rounds + 1):
            for name, (run, techniques, batches) in runs.items():
                took[name].append(seconds(run, techniques, batches[: given.batches]))
            run, _, batches = runs["sna_small"]
            start = time.perf_counter()
            for batch in run.pool.stream(batches[: given.batches]):
                run_neighbors(run, AUTOENCODER).codes(batch.faces)
            took["codes of the same faces"].append(time.perf_counter() - start)
        middle = statistics.median(took["two_scale_small"][1:])
        print(machine(CPU))
        for name, times in took.items():
            each = statistics.median(times[1:])
            print(f"{name:30} {1000 * each / given.batches:8.1f} ms a batch, {each / middle:.2f} times")


if __name__ == "__main__":
    main()
