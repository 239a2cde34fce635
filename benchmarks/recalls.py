"""Recall of each class, by recipe, over the seeds of a comparison: mean, and differences to the first recipe paired by seed.

    python benchmarks/recalls.py COMPARISON FACESET SPLIT FIRST TABLE.csv

Tests the model of every run again. FIRST: the recipe that the others are compared with.
"""

import argparse
import csv
from pathlib import Path

from mien import FaceSet, Recognizer, evaluate
from mien.experiments.seed_statistics import mean_with_interval, paired_difference
from mien.json_toml import read_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparison", type=Path)
    parser.add_argument("faceset", type=Path)
    parser.add_argument("split")
    parser.add_argument("first")
    parser.add_argument("table", type=Path)
    given = parser.parse_args()
    faces, found = FaceSet.open(given.faceset), dict[tuple[str, str], dict[int, float]]()
    for result in sorted(given.comparison.glob("runs/*/result.json")):
        run = read_json(result, "compare again")
        tested = evaluate(Recognizer.load(result.parent), faces, split=given.split)
        for name, recall in zip(tested.classes, tested.recalls, strict=True):
            found.setdefault((run["recipe"], name), {})[run["seed"]] = recall
    lines: list[tuple[object, ...]] = [("recipe", "class", "seeds", "recall", "sd", "difference", "low", "high")]
    for (recipe, name), recalls in sorted(found.items(), key=lambda entry: entry[0][0] != given.first):
        mine, away = mean_with_interval(recalls.values()), paired_difference(recalls, found[given.first, name])
        numbers = (mine.mean, mine.sd, away.mean, away.low, away.high)
        lines.append((recipe, name, mine.count, *(f"{100 * value:.1f}" for value in numbers)))
        print(", ".join(f"{key} {value}" for key, value in zip(lines[0], lines[-1], strict=True)))
    with given.table.open("w", newline="") as file:
        csv.writer(file).writerows(lines)


if __name__ == "__main__":
    main()
