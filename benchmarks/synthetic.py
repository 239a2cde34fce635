"""How hard the drawn faces are: `mien_s` from scratch with few labels and with all, on the test persons.

python benchmarks/synthetic.py --table docs/results/synthetic.csv [--seeds 3]
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from mien import FaceSet, Recipe, TrainingSettings, evaluate, train
from mien.data.importing import import_source, source_from
from mien.recognize.device import choose_device, machine
from tables import append


def measure(faces: FaceSet, folder: Path, per_class: int | None, seed: int) -> dict[str, Any]:
    """Train and test once with the plain recipe."""
    recognizer = train(
        faces, Recipe.load("supervised"), folder / f"{per_class}-{seed}", TrainingSettings(seed=seed, labels_per_class=per_class)
    )
    found, budget = evaluate(recognizer, faces, "test"), recognizer.card.budget
    return {
        "faces": found.dataset, "count": found.count, "labels_per_class": per_class or "all", "seed": seed,
        "train": budget["train"], "validation": budget["validation"], "accuracy": round(found.accuracy, 4),
        "low": round(found.intervals["accuracy"].low, 4), "high": round(found.intervals["accuracy"].high, 4),
        "average_accuracy": round(found.average_accuracy, 4), "machine": machine(choose_device("auto")),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--table", type=Path, required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        faces = import_source(source_from("synthetic", {}), Path(folder) / "faces").faces
        for per_class in (10, None):
            for seed in range(given.seeds):
                append(given.table, measure(faces, Path(folder), per_class, seed))


if __name__ == "__main__":
    main()
