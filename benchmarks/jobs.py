"""Runs an hour of a comparison with one and with two jobs, one thread each: what --jobs 2 is worth on two processors.

    python benchmarks/jobs.py FACESET OUT [--seeds 6]

Prints both times and their ratio. Nothing else should run meanwhile. OUT must not be there yet.
"""

import argparse
import time
from pathlib import Path

from mien.experiments.compare import compare
from mien.experiments.settings import Grid


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=6)
    given = parser.parse_args()
    grid = Grid(recipes=("supervised_small",), labels_per_class=(25,), seeds=given.seeds, threads=1, epochs=12)
    took = []
    for jobs in (1, 2):
        began = time.monotonic()
        done = compare(given.faces, grid, given.out / f"jobs{jobs}", jobs=jobs).done
        took.append(time.monotonic() - began)
        print(f"--jobs {jobs}: {done} runs in {took[-1]:.1f} s, {3600 * done / took[-1]:.0f} an hour")
    print(f"{took[0] / took[1]:.2f} times as many runs an hour")


if __name__ == "__main__":
    main()
