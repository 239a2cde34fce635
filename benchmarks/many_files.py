"""How fast a database of many small files is imported, whether it slows down on the way, and what memory it takes.

    python benchmarks/many_files.py [--files 300000] [--source rafdb] [--within FOLDER]

Writes JPEG files of 100 x 100 pixels in the layout of RAF-DB (a list of labels, and one folder) or of CASIA-WebFace (no labels,
and a folder for every 50 files). Imports them in a process of its own. Prints faces a second in the first and the last tenth,
and the peak of memory before, after a tenth, and at the end. All is written into a temporary folder, which is made within FOLDER
if that is given: about 4 kB for each file, and 10 kB for each face.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from mien.data.importing import import_source, source_from

SIDE = 100
PATTERNS = 64
PEOPLE = 50
"""Files of a person."""


def contents() -> list[bytes]:
    """Pictures: gray waves of some patterns, which compress about as faces do."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    made = list[bytes]()
    for _ in range(PATTERNS):
        a, b, c = generator.uniform(0.02, 0.2, 3)
        wave = 127 + 60 * np.sin(a * rows + b * columns) + 40 * np.cos(c * columns) + generator.normal(0, 4, (SIDE, SIDE))
        done, encoded = cv2.imencode(".jpg", np.clip(wave, 0, 255).astype(np.uint8))
        assert done
        made.append(encoded.tobytes())
    return made


def write_rafdb(folder: Path, count: int) -> None:
    """A list, and `count` pictures in a folder."""
    pictures = contents()
    (folder / "EmoLabel").mkdir(parents=True)
    (folder / "Image/aligned").mkdir(parents=True)
    with (folder / "EmoLabel/list_patition_label.txt").open("w") as lines:
        for number in range(count):
            stem = f"{'test' if number % 5 == 4 else 'train'}_{number:06d}"
            (folder / f"Image/aligned/{stem}_aligned.jpg").write_bytes(pictures[number % PATTERNS])
            lines.write(f"{stem}.jpg {number % 7 + 1}\n")


def write_casia_webface(folder: Path, count: int) -> None:
    """`count` pictures in the folders of people."""
    pictures = contents()
    for number in range(count):
        person = folder / f"{number // PEOPLE:07d}"
        if number % PEOPLE == 0:
            person.mkdir(parents=True)
        (person / f"{number % PEOPLE:03d}.jpg").write_bytes(pictures[number % PATTERNS])


WRITE = {"rafdb": write_rafdb, "casia_webface": write_casia_webface}


def peak() -> float:
    """The most memory that this process had so far, in megabytes (10^6 bytes)."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * (1 if sys.platform == "darwin" else 1024) / 1e6


def import_tree(name: str, folder: Path, count: int) -> None:
    """Import it, and print how it went."""
    seen, peaks, before = [(0, 0.0)], list[float](), peak()
    began = time.perf_counter()

    def progress(done: int, _: int) -> None:
        seen.append((done, time.perf_counter() - began))
        if done >= count / 10 and not peaks:
            peaks.append(peak())

    done = import_source(source_from(name, {"input": folder, "side": SIDE}), folder.parent / "set", progress=progress)
    whole = time.perf_counter() - began
    assert len(done.faces) == count
    first, first_time = next(one for one in seen if one[0] >= count / 10)
    ninth, ninth_time = next(one for one in reversed(seen) if one[0] <= 0.9 * count)
    told = {
        "faces": count,
        "seconds": round(whole, 1),
        "faces_per_second": round(count / whole),
        "first_tenth": round(first / first_time),
        "last_tenth": round((count - ninth) / (seen[-1][1] - ninth_time)),
        "memory_before_mb": round(before),
        "memory_at_a_tenth_mb": round(peaks[0]),
        "memory_at_the_end_mb": round(peak()),
    }
    print(json.dumps(told))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=300_000)
    parser.add_argument("--source", choices=list(WRITE), default="rafdb")
    parser.add_argument("--within", type=Path, help="the folder in which the temporary folder is made")
    parser.add_argument("--tree", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.tree is not None:
        import_tree(given.source, given.tree, given.files)
        return
    with tempfile.TemporaryDirectory(dir=given.within) as place:
        tree, began = Path(place) / "tree", time.perf_counter()
        WRITE[given.source](tree, given.files)
        print(f"{given.source}: {given.files:,} files written in {time.perf_counter() - began:.0f} s", flush=True)
        words = ["--source", given.source, "--files", str(given.files), "--tree", str(tree)]
        subprocess.run([sys.executable, os.path.abspath(__file__), *words], check=True)


if __name__ == "__main__":
    main()
