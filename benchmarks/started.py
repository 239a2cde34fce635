"""What a model as a start is worth for classes of one's own: faces from the web, sorted into four that no model knows.

    python ../shared/data/unpack.py webfaces build/webfaces
    python benchmarks/started.py build/webfaces --recipes supervised_small,fixmatch_small --epochs 10

Happiness, neutral and surprise are renamed, and sadness, anger, disgust, fear and contempt become one class. A quarter of the
people test, 60 faces a class at most. The others train: 54 labels a class, and faces without labels.
"""

import argparse
import collections
import csv
import random
import tempfile
import time
from pathlib import Path

from mien import Recipe, TrainingSettings, evaluate, train
from mien.data.importing import import_source, source_from
from tables import append

OWN = {"happiness": "pleased", "neutral": "calm", "surprise": "astonished"}
UPSET = ("sadness", "anger", "disgust", "fear", "contempt")
TEST, TRAINING = 60, 600
"""Faces of a class at most."""


def write_own(web: Path, file: Path) -> None:
    """The table of the faces with their own classes and splits, drawn by person."""
    rows = list(csv.DictReader((web / "legend.csv").open(encoding="utf-8")))
    draw = random.Random(0)
    draw.shuffle(rows)
    people = sorted({row["person"] for row in rows})
    testing = set(draw.sample(people, len(people) // 4))
    counts = collections.Counter[tuple[str, str]]()
    with file.open("w", newline="", encoding="utf-8") as written:
        lines = csv.writer(written)
        lines.writerow(["path", "label", "subject", "split"])
        for row in rows:
            label = row["label"].lower()
            name = "upset" if label in UPSET else OWN[label]
            split = "test" if row["person"] in testing else "train"
            counts[name, split] += 1
            if counts[name, split] <= (TEST if split == "test" else TRAINING):
                lines.writerow([(web / "images" / row["name"]).resolve(), name, row["person"], split])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("web", type=Path)
    parser.add_argument("--recipes", default="supervised_small,fixmatch_small")
    parser.add_argument("--start", default="mien-s")
    parser.add_argument("--labels-per-class", type=int, default=54)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--table", type=Path, default=Path("started.csv"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_own(given.web, folder / "own.csv")
        own = {name: name for name in (*OWN.values(), "upset")}
        source = source_from("table", {"input": folder / "own.csv", "side": 48, "classes": own})
        faces = import_source(source, folder / "faces").faces
        for seed in range(given.seeds):
            for number, recipe in enumerate(given.recipes.split(",")):
                for start in ("scratch", given.start):
                    made = Recipe.load(recipe) if start == "scratch" else Recipe.load(recipe).with_start(start)
                    made = made.with_epochs(given.epochs) if given.epochs else made
                    began = time.perf_counter()
                    order = TrainingSettings(seed=seed, labels_per_class=given.labels_per_class)
                    trained = train(faces, made, folder / f"run-{seed}-{number}-{start}", order)
                    found, seconds = evaluate(trained, faces), time.perf_counter() - began
                    between, budget = found.intervals["accuracy"], trained.card.budget
                    line = {
                        "recipe": recipe, "start": start, "epochs": sum(stage.epochs for stage in made.stages), "seed": seed,
                        "train": budget["train"], "validation": budget["validation"], "unlabeled": budget["unlabeled"],
                        "tested": found.count, "accuracy": round(found.accuracy, 4), "low": round(between.low, 4),
                        "high": round(between.high, 4), "average_accuracy": round(found.average_accuracy, 4),
                        "seconds": round(seconds),
                    }  # fmt: skip
                    append(given.table, line)


if __name__ == "__main__":
    main()
