"""Train on a published database and test on one of its splits, seed after seed; a line of csv a run.

    python benchmarks/real_faces.py ferplus FOLDER --seeds 3 --table docs/results/ferplus.csv
    python benchmarks/real_faces.py fer2013 FOLDER/fer2013.csv --model resnet18 --device cuda --table docs/results/gpu.csv

Training sees the Training split alone: a part of it validates. The test split is opened once a run, for the table.
"""

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

from mien import Recipe, TrainingSettings, evaluate, train
from mien.data.importing import import_source, source_from
from mien.progress import progress_bar
from mien.recognize.device import choose_device, machine
from tables import append


def measure(given: argparse.Namespace, seed: int, faces: Path, folder: Path) -> dict[str, Any]:
    """Train and test once."""
    recipe = Recipe.load(given.recipe)
    if given.model:
        recipe = recipe.set("model", given.model)
    if given.epochs:
        recipe = recipe.with_epochs(given.epochs)
    recipe = recipe.with_settings(dict(pair.split("=", 1) for pair in given.set or []))
    order = TrainingSettings(seed=seed, device=given.device, labels_per_class=given.labels_per_class)
    began = time.perf_counter()
    with progress_bar() as bar:
        recognizer = train(faces, recipe, folder / f"run{seed}", order, progress=bar)
    seconds = time.perf_counter() - began
    plain = evaluate(recognizer, faces, given.split, out=folder / f"report{seed}")
    flipped = evaluate(recognizer, faces, given.split, flip=True)
    budget, between = recognizer.card.budget, plain.intervals["accuracy"]
    return {
        "faces": plain.dataset, "split": given.split, "count": plain.count, "recipe": given.recipe,
        "network": recipe.model["network"], "epochs": sum(stage.epochs for stage in recipe.stages), "seed": seed,
        "train": budget["train"], "validation": budget["validation"], "seconds": round(seconds),
        "validation_accuracy": round(recognizer.card.metrics["validation_accuracy"], 4),
        "accuracy": round(plain.accuracy, 4), "low": round(between.low, 4), "high": round(between.high, 4),
        "average_accuracy": round(plain.average_accuracy, 4), "macro_f1": round(plain.macro_f1, 4),
        "ece_before": round(plain.ece_before, 4), "ece_after": round(plain.ece_after, 4),
        "accuracy_with_flip": round(flipped.accuracy, 4), "machine": machine(choose_device(given.device)),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("input", type=Path)
    parser.add_argument("--rule", default="probability")
    parser.add_argument("--split", default="PublicTest")
    parser.add_argument("--recipe", default="ferplus")
    parser.add_argument("--model")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--labels-per-class", type=int)
    parser.add_argument("--set", action="append", metavar="KEY=VALUE")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--keep", type=Path, help="folder for runs and reports; a temporary one otherwise")
    given = parser.parse_args()
    settings: dict[str, Any] = {"input": given.input} | ({"rule": given.rule} if given.source == "ferplus" else {})
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        imported = import_source(source_from(given.source, settings), folder / "faces")
        print(f"{len(imported.faces)} faces, {dataclasses.asdict(imported.faces.info)['name']}")
        for seed in range(given.seeds):
            append(given.table, measure(given, seed, folder / "faces", folder))


if __name__ == "__main__":
    main()
