"""Scoring a pool for DAL's worthiness with mien_s: nine patches of every face, in faces per second, and memory beyond the start.

python benchmarks/pool.py [--faces 100000] [--side 48] [--threads 2]

The faces are random pixels, stored as a face set; the network has random weights, which makes no difference to the time. Memory
is the peak that the system counted, pages of the mapped faces among it, which it takes back when others need them.
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

SCORE = """
import json, resource, sys, time
import numpy as np, torch
from mien import FaceSet, Recognizer
from mien.active.acquire.worthiness import Worthiness
from mien.active.scoring import score_pool
from mien.recognize.device import choose_device, machine, place
from mien.recognize.model_card import ModelCard
from mien.recognize.saved_networks import build_network
torch.set_num_threads(int(sys.argv[2]))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
faces, device = FaceSet.open(sys.argv[1]), choose_device("auto")
card = ModelCard({"network": "mien_s"}, faces.classes, faces.info)
recognizer = Recognizer.of(place(build_network(card.network, len(card.classes), card.faces), device), card, device)
before, began = peak(), time.perf_counter()
pool = score_pool(recognizer, faces, Worthiness())
looked = time.perf_counter() - began
chosen = Worthiness()(pool, min(1000, len(faces)), np.random.default_rng(0))
chose, memory = time.perf_counter() - began - looked, peak() - before
print(json.dumps([looked, chose, len(chosen), memory, pool.patches.nbytes / 2**20, machine(device)]))
"""
BLOCK = 2_000


def write(folder: Path, faces: int, side: int) -> None:
    """A set of that many gray faces of random pixels, without labels."""
    generator = np.random.default_rng(0)
    with FaceSetWriter(folder, Info(classes=tuple("abcdefg"), side=side)) as writer:
        for start in range(0, faces, BLOCK):
            numbers = np.arange(start, min(faces, start + BLOCK))
            pixels = generator.integers(0, 256, (len(numbers), side, side), np.uint8)
            writer.add(pixels, {"id": [f"face{n:09d}" for n in numbers], "label": np.full(len(numbers), -1)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--side", type=int, default=48)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "set", given.faces, given.side)
        words = [sys.executable, "-c", SCORE, f"{folder}/set", str(given.threads)]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    looked, chose, chosen, memory, result, where = json.loads(done.stdout)
    pixels = given.faces * given.side**2 / 2**20
    print(f"{where}: {given.faces:,} faces of {given.side} pixels, nine patches each")
    print(f"scored in {looked:.1f} s, {given.faces / looked:,.0f} faces a second; {chosen:,} chosen in {chose:.2f} s")
    print(f"at most {memory:.0f} MB more than at the start; the result has {result:.0f} MB, the faces {pixels:.0f} MB")


if __name__ == "__main__":
    main()
