"""A face set on which settings may be chosen: a part of the training split stands as `test`, the test splits are left out.

    python benchmarks/held_out.py FACESET OUT [--faces 3500] [--seed 0]

What is chosen on it was not chosen on a test split. The rows are drawn by seed among the labeled training faces.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien import FaceSet
from mien.data.splits import training_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faceset", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--faces", type=int, default=3500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    whole = FaceSet.open(given.faceset)
    training = whole.select(training_rows(whole))
    labeled = np.flatnonzero(training.labels >= 0)
    chosen = np.random.default_rng(given.seed).choice(labeled, given.faces, replace=False)
    split = np.where(np.isin(np.arange(len(training)), chosen), "test", "train")
    view = training.with_column("split", split)
    replace(view, info=replace(view.info, name=f"part of {whole.info.name}, to choose on")).save(given.out)


if __name__ == "__main__":
    main()
