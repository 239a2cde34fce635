"""Failure cases on sequences, by recipe, over the seeds of a comparison: mean, deviation, and differences paired by seed.

    python benchmarks/failures.py COMPARISON TABLE.csv

Reads what `mien consistency --json` printed into each run's consistency.json. Differences are to two_scale_small.
"""

import argparse
from pathlib import Path

from mien.json_toml import read_json
from seed_table import Figures, write_seed_table

FIRST = "two_scale_small"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparison", type=Path)
    parser.add_argument("table", type=Path)
    given = parser.parse_args()
    found: Figures = {FIRST: {}}
    for result in sorted(given.comparison.glob("runs/*/result.json")):
        run, said = read_json(result, "compare again"), read_json(result.parent / "consistency.json", "measure again")
        cases = said["failures"]
        figures = {"failures": cases["failed"], "consistent": cases["consistent"], "accuracy": run["accuracy"]}
        for name, value in figures.items():
            found.setdefault(run["recipe"], {}).setdefault(name, {})[run["seed"]] = float(value)
    write_seed_table(found, dict.fromkeys(found, FIRST), given.table)


if __name__ == "__main__":
    main()
