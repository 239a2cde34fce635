"""How often answers flip under small moves, by recipe, over the seeds of a comparison: means, and differences paired by seed.

    python benchmarks/flips.py COMPARISON FACESET SPLIT TABLE.csv

Differences are to the recipe's control, which `mien compare --control` makes.
"""

import argparse
from pathlib import Path

from mien.evaluation.flip_rates import measure_flip_rates
from mien.json_toml import read_json
from seed_table import Figures, write_seed_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparison", type=Path)
    parser.add_argument("faceset", type=Path)
    parser.add_argument("split")
    parser.add_argument("table", type=Path)
    given = parser.parse_args()
    found, controls = Figures(), dict[str, str]()
    for result in sorted(given.comparison.glob("runs/*/result.json")):
        run = read_json(result, "compare again")
        rates = measure_flip_rates(result.parent, given.faceset, given.split).overall
        figures = {f"flipped, {kind}": rate.share for kind, rate in rates.items()}
        for figure in ("accuracy", "average_accuracy"):
            figures[figure] = run[figure]
        for figure, value in figures.items():
            found.setdefault(run["recipe"], {}).setdefault(figure, {})[run["seed"]] = value
        if run["control_of"]:
            controls[run["control_of"]] = run["recipe"]
    write_seed_table(found, {recipe: controls.get(recipe, recipe) for recipe in found}, given.table)


if __name__ == "__main__":
    main()
