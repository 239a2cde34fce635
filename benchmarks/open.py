"""Opening a face set of a million rows: seconds and memory beyond what the imports took.

python benchmarks/open.py [--rows 1000000] [--side 48]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from mien.data.format import Info
from mien.data.writer import FaceSetWriter

OPEN = """
import json, resource, sys, time
from mien.data.faceset import FaceSet
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, began = peak(), time.perf_counter()
faces = FaceSet.open(sys.argv[1])
opened, memory = time.perf_counter() - began, peak() - before
labels, view = faces.labels, faces.where(split="train")
print(json.dumps([len(faces), opened, memory, time.perf_counter() - began, peak() - before]))
"""
BLOCK = 10_000


def write(folder: Path, rows: int, side: int) -> None:
    """A set of that many gray faces, with the columns that databases usually have."""
    with FaceSetWriter(folder, Info(classes=tuple("abcdefg"), side=side)) as writer:
        for start in range(0, rows, BLOCK):
            numbers = np.arange(start, min(rows, start + BLOCK))
            columns = {
                "id": [f"face{n:09d}" for n in numbers],
                "label": numbers % 7,
                "subject": [f"person{n // 20}" for n in numbers],
                "split": ["test" if n % 5 == 0 else "train" for n in numbers],
                "votes": np.eye(7)[numbers % 7],
            }
            writer.add(np.zeros((len(numbers), side, side), np.uint8), columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--side", type=int, default=48)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "set", given.rows, given.side)
        done = subprocess.run([sys.executable, "-c", OPEN, f"{folder}/set"], capture_output=True, text=True, check=True)
    rows, opened, memory, used, used_memory = json.loads(done.stdout)
    print(f"{rows:,} faces of {given.side} pixels: opened in {opened:.3f} s with {memory:.0f} MB more than the imports")
    print(f"labels read and a split selected after {used:.3f} s with {used_memory:.0f} MB more")


if __name__ == "__main__":
    main()
