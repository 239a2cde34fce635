"""How many of the most doubtful labels are wrong: a share of them is flipped, and `mien label-errors` looks for those.

    python benchmarks/doubts.py FACESET RUN [--noise 0.2] [--seeds 3] [--split Training] [--first 100] [--table FILE.csv]

For seeds 0, 1, ...: flipped labels among the first 100 faces, how well the whole list finds them (AUROC), how many labels
cleanlab takes for wrong, and how many of those are; last the means over the seeds. RUN must not have learned from the labels
before the flips: it is one that was trained on other faces, or, with `{seed}` in its name, one for each seed that was trained
on all labels of the split with this noise and seed. Otherwise a warning says so, and the figures flatter. Labels that were
wrong before count as right where the set has no column true_label: its own mistakes among the first are then held against the
list.
"""

import argparse
import csv
from pathlib import Path

from mien import FaceSet
from mien.experiments.seed_statistics import mean_with_interval
from mien.label_errors.find import find_label_errors
from mien.label_errors.ranking import LabelErrors

NAMES = ("seed", "faces", "flipped", "among_first", "auroc", "flagged", "flagged_wrong", "estimated_rate")


def figures(found: LabelErrors, first: int) -> tuple[float, ...]:
    """What a line says, without the seed."""
    assert found.wrong is not None
    assert found.known is not None
    counts = (len(found.ids), found.known.wrong, int(found.wrong[:first].sum()))
    return (*counts, found.known.auroc, int(found.flagged.sum()), int(found.wrong[found.flagged].sum()), found.noise_rate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faceset", type=Path)
    parser.add_argument("run", type=str)
    parser.add_argument("--noise", type=float, default=0.2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--split")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    faces = FaceSet.open(given.faceset, verify=True)
    lines = []
    for seed in range(given.seeds):
        run = given.run.replace("{seed}", str(seed))
        found = find_label_errors(run, faces, given.split, folds=given.folds, noise=given.noise, seed=seed)
        lines.append((seed, *figures(found, given.first)))
        print(", ".join(f"{name} {value:.4g}" for name, value in zip(NAMES, lines[-1], strict=True)))
        for warning in found.warnings:
            print(f"  warning: {warning}")
    print(f"{found.dataset}, {found.split}: {found.how}")
    for name, values in zip(NAMES[1:], list(zip(*lines, strict=True))[1:], strict=True):
        over = mean_with_interval(values)
        print(f"{name}: mean {over.mean:.4g}, sd {over.sd:.4g} of {over.count} seeds")
    if given.table:
        with given.table.open("w", newline="") as file:
            csv.writer(file).writerows([NAMES, *([f"{value:.6g}" for value in line] for line in lines)])


if __name__ == "__main__":
    main()
