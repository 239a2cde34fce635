"""A linear head on cached features of a face net, the layer chosen on validation faces, which are part of the label budget.

    python benchmarks/face_layers.py FEATURES... --labels-per-class 25,100,250 --seeds 5 --split PublicTest --table FILE

FEATURES: sets of `mien features`, one a layer, of the same faces. For each seed and budget every layer's head is trained with a
fifth of the labels as validation; the layer with the highest validation accuracy (of equal ones, the lower loss) is trained once
more on the whole budget, and that head alone is tested.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from mien import FaceSet, Recipe, TrainingSettings, evaluate, train
from mien.recognize.device import choose_device, machine
from tables import append

RECIPE = "linear_head"


def measure(given: argparse.Namespace, layers: dict[str, FaceSet], labels: int, seed: int) -> dict[str, Any]:
    """Choose a layer and test it."""
    order = TrainingSettings(seed=seed, labels_per_class=labels, threads=given.threads)
    recipe = Recipe.load(RECIPE)
    with tempfile.TemporaryDirectory() as folder:
        figures = {
            name: train(faces, recipe, Path(folder) / str(number), order).card.metrics
            for number, (name, faces) in enumerate(layers.items())
        }
        chosen = max(figures, key=lambda name: (figures[name]["validation_accuracy"], -figures[name]["validation_loss"]))
        final = train(layers[chosen], recipe.set("validation", 0.0), Path(folder) / "final", order)
        result = evaluate(final, layers[chosen], given.split)
    between = result.intervals["accuracy"]
    return {
        "faces": layers[chosen].info.name, "split": given.split, "count": result.count, "labels_per_class": labels, "seed": seed,
        "labels": final.card.budget["train"], "chosen": Path(chosen).name,
        "validation_accuracy": round(figures[chosen]["validation_accuracy"], 4),
        "accuracy": round(result.accuracy, 4), "low": round(between.low, 4), "high": round(between.high, 4),
        "average_accuracy": round(result.average_accuracy, 4), "machine": machine(choose_device("cpu")),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", nargs="+")
    parser.add_argument("--labels-per-class", default="25,100,250")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--split", default="PublicTest")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", type=Path, required=True)
    given = parser.parse_args()
    layers = {name: FaceSet.open(name) for name in given.features}
    for labels in map(int, given.labels_per_class.split(",")):
        for seed in range(given.seeds):
            append(given.table, measure(given, layers, labels, seed))


if __name__ == "__main__":
    main()
