"""How often SNA's mask drops faces with wrong labels, and with right ones, epoch by epoch, over the seeds of a comparison.

    python benchmarks/masked.py COMPARISON TABLE.csv

For every masked recipe and epoch with a mask: share of faces masked, share of wrong and of right labels masked, their ratio, and
the AUROC of S for wrong labels (pairs within a batch); means over seeds. Prints the first, the middle and the last of them.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from mien.json_toml import read_json
from mien.recognize.run_records import read_history

FIGURES = ("masked_share", "masked_share_wrong", "masked_share_right", "divergence_auroc")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparison", type=Path)
    parser.add_argument("table", type=Path)
    given = parser.parse_args()
    found: dict[str, list[np.ndarray]] = {}
    for result in sorted(given.comparison.glob("runs/*/result.json")):
        epochs = [
            [number, *(epoch[name] for name in FIGURES)]
            for number, epoch in enumerate(read_history(result.parent), 1)
            if all(name in epoch for name in FIGURES)
        ]
        if epochs:
            found.setdefault(read_json(result, "compare again")["recipe"], []).append(np.array(epochs))
    lines: list[tuple[object, ...]] = [("recipe", "seeds", "epoch", *FIGURES, "wrong_to_right")]
    for recipe, runs in found.items():
        means = np.mean(runs, axis=0)
        for place, (epoch, *row) in enumerate(means):
            lines.append((recipe, len(runs), int(epoch), *(f"{value:.4f}" for value in row), f"{row[1] / row[2]:.3f}"))
            if place in {0, len(means) // 2, len(means) - 1}:
                print(", ".join(f"{name} {value}" for name, value in zip(lines[0], lines[-1], strict=True)))
    with given.table.open("w", newline="") as file:
        csv.writer(file).writerows(lines)


if __name__ == "__main__":
    main()
