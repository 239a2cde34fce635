"""How often SNA's mask drops faces with wrong labels, and with right ones, epoch by epoch, over the seeds of a comparison.

    python benchmarks/masked.py COMPARISON TABLE.csv

For every masked recipe and epoch: share of faces masked, share of wrong and of right labels masked, their ratio, and the AUROC
of S for wrong labels (pairs within a batch); means over seeds. Prints epochs 1, a quarter, half and the last.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from mien.disk import read_json
from mien.recognize.files import read_history

FIGURES = ("masked_share", "masked_share_wrong", "masked_share_right", "divergence_auroc")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparison", type=Path)
    parser.add_argument("table", type=Path)
    given = parser.parse_args()
    found: dict[str, list[np.ndarray]] = {}
    for result in sorted(given.comparison.glob("runs/*/result.json")):
        epochs = read_history(result.parent)
        if epochs and all(name in epoch for epoch in epochs for name in FIGURES):
            recipe = read_json(result, "compare again")["recipe"]
            found.setdefault(recipe, []).append(np.array([[epoch[name] for name in FIGURES] for epoch in epochs]))
    lines: list[tuple[object, ...]] = [("recipe", "seeds", "epoch", *FIGURES, "wrong_to_right")]
    for recipe, runs in found.items():
        means = np.mean(runs, axis=0)
        for epoch, row in enumerate(means, 1):
            lines.append((recipe, len(runs), epoch, *(f"{value:.4f}" for value in row), f"{row[1] / row[2]:.3f}"))
            if epoch in {1, len(means) // 4, len(means) // 2, len(means)}:
                print(", ".join(f"{name} {value}" for name, value in zip(lines[0], lines[-1], strict=True)))
    with given.table.open("w", newline="") as file:
        csv.writer(file).writerows(lines)


if __name__ == "__main__":
    main()
