"""Failure cases on sequences, by recipe, over the seeds of a comparison: mean, deviation, and differences paired by seed.

    python benchmarks/failures.py COMPARISON TABLE.csv

Reads what `mien consistency --json` printed into each run's consistency.json. Differences are to two_scale_small.
"""

import argparse
import csv
from pathlib import Path

from mien.experiments.seed_statistics import mean_with_interval, paired_difference
from mien.json_toml import read_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparison", type=Path)
    parser.add_argument("table", type=Path)
    given = parser.parse_args()
    found: dict[str, dict[str, dict[int, float]]] = {}
    for result in sorted(given.comparison.glob("runs/*/result.json")):
        run, said = read_json(result, "compare again"), read_json(result.parent / "consistency.json", "measure again")
        cases = said["failures"]
        figures = {"failures": cases["failed"], "consistent": cases["consistent"], "accuracy": run["accuracy"]}
        for name, value in figures.items():
            found.setdefault(run["recipe"], {}).setdefault(name, {})[run["seed"]] = float(value)
    order = sorted(found, key=lambda recipe: recipe != "two_scale_small")
    lines: list[tuple[str, ...]] = [("recipe", "figure", "seeds", "mean", "sd", "difference", "low", "high", "p")]
    for recipe in order:
        for name, values in found[recipe].items():
            mine, away = mean_with_interval(values.values()), paired_difference(values, found[order[0]][name])
            numbers = (mine.mean, mine.sd, away.mean, away.low, away.high, away.p)
            lines.append((recipe, name, str(mine.count), *(f"{value:.4g}" for value in numbers)))
            print(", ".join(f"{key} {value}" for key, value in zip(lines[0], lines[-1], strict=True)))
    with given.table.open("w", newline="") as file:
        csv.writer(file).writerows(lines)


if __name__ == "__main__":
    main()
