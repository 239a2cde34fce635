"""How often a mask drops faces with wrong labels, and with right ones, epoch by epoch, over the seeds of a comparison.

    python benchmarks/masked.py COMPARISON TABLE.csv

For every recipe and epoch: share of faces masked, share of wrong and of right labels masked, the AUROC of S, of the losses of
labels and of low weights for wrong labels (pairs within a batch, but for weights), and the share of wrong labels that the network
knows by heart; means over the seeds that have the figure, empty where none has. Prints the first, the middle and the last epoch.
"""

import argparse
import csv
from pathlib import Path
from statistics import mean

from mien.json_toml import read_json
from mien.recognize.run_records import read_history

AUROCS = ("divergence_auroc", "neighbor_label_loss_auroc", "label_loss_auroc", "weight_auroc")
FIGURES = ("masked_share", "masked_share_wrong", "masked_share_right", *AUROCS, "memorized_share")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparison", type=Path)
    parser.add_argument("table", type=Path)
    given = parser.parse_args()
    found: dict[str, list[list[dict[str, float]]]] = {}
    for result in sorted(given.comparison.glob("runs/*/result.json")):
        run = read_json(result, "compare again")
        varied = [f"{key}={value}" for key, value in run.get("varied", {}).items()]
        noise = [f"noise {run['noise']:g}"] if run.get("noise") else []
        history = read_history(result.parent)
        if any(name in epoch for epoch in history for name in FIGURES):
            found.setdefault(" ".join([run["recipe"], *noise, *varied]), []).append(history)
    lines: list[tuple[object, ...]] = [("recipe", "seeds", "epoch", *FIGURES)]
    for recipe, runs in found.items():
        epochs = min(map(len, runs))
        for place in range(epochs):
            known = [[run[place][name] for run in runs if name in run[place]] for name in FIGURES]
            lines.append((recipe, len(runs), place + 1, *(f"{mean(values):.4f}" if values else "" for values in known)))
            if place in {0, epochs // 2, epochs - 1}:
                print(", ".join(f"{name} {value}" for name, value in zip(lines[0], lines[-1], strict=True) if value != ""))
    with given.table.open("w", newline="") as file:
        csv.writer(file).writerows(lines)


if __name__ == "__main__":
    main()
