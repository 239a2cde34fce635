"""`mien prepare` over many drawn photos: its speed at the start and at the end, its memory, and whether anything is lost when it
is killed on the way.

    python benchmarks/prepare.py [--photos 100000] [--workers 2] [--kill] [--detector mtcnn]

Photos are --different drawn ones of 320 x 240 with a face each, under so many names. Speed is taken from the records of finished
parts, memory is that of all its processes together. With --kill it is killed (SIGKILL) after a third and after two thirds.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from mien import FaceSet
from mien.data.importing import source_from

COMMAND = "from mien.cli import main; main()"
WIDTH, HEIGHT, SIDE = 320, 240, 120


@dataclass
class Watched:
    """What was seen while it ran."""

    times: list[float] = field(default_factory=list)
    """When each part was done, in seconds."""
    memory: list[int] = field(default_factory=list)
    """Bytes of all processes, now and then."""


def write_photos(folder: Path, count: int, different: int) -> None:
    """Drawn faces at different places of a gray noise."""
    generator = np.random.default_rng(0)
    folder.mkdir()
    source = source_from("synthetic", {"faces": different, "side": SIDE})
    faces = np.concatenate([block.faces for block in source.blocks()])
    for number, face in enumerate(faces):
        photo = generator.integers(90, 110, (HEIGHT, WIDTH)).astype(np.uint8)
        x, y = generator.integers(0, WIDTH - SIDE), generator.integers(0, HEIGHT - SIDE)
        photo[y : y + SIDE, x : x + SIDE] = face
        Image.fromarray(photo).save(folder / f"{number:06d}.jpg", quality=90)
    for number in range(different, count):
        os.link(folder / f"{number % different:06d}.jpg", folder / f"{number:06d}.jpg")


def watch(words: list[str], parts: Path, until: int | None, seen: Watched) -> int | None:
    """Run it until it ends, or kill it once `until` parts are done; its exit code."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        done = len(list(parts.glob("0*.json")))
        seen.times += [time.monotonic()] * (done - len(seen.times))
        seen.memory.append(memory_of(process.pid))
        if until is not None and done >= until:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return None
        time.sleep(0.5)
    return process.returncode


def memory_of(process: int) -> int:
    """Bytes that a process and those it began have for themselves."""
    found = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if int(folder.name) == process or parent == process:
                found += int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError):
            continue
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--different", type=int, default=500)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--detector", default="mtcnn")
    parser.add_argument("--kill", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        photos, out = Path(place, "photos"), Path(place, "out")
        write_photos(photos, given.photos, given.different)
        words = [sys.executable, "-c", COMMAND, "prepare", str(photos), str(out)]
        words += ["--workers", str(given.workers), "--detector", given.detector, "--json"]
        seen, parts, total = Watched(), Path(place, ".out.parts"), -(-given.photos // 64)
        began = time.monotonic()
        for until in (total // 3, 2 * total // 3) if given.kill else ():
            watch(words, parts, until, seen)
        if watch(words, parts, None, seen) != 0:
            raise SystemExit("it failed")
        took, faces = time.monotonic() - began, FaceSet.open(out, verify=True)
        report(faces, out, given.photos, took, seen)


def report(faces: FaceSet, out: Path, photos: int, took: float, seen: Watched) -> None:
    """Print the figures."""
    rejected = 0
    if (out / "rejected.csv").is_file():
        rejected = len((out / "rejected.csv").read_text().splitlines()) - 1
    names = faces.column("photo").to_pylist()
    lost, twice = photos - len(set(names)) - rejected, len(names) - len(set(names))
    print(f"{photos:,} photos in {took:.0f} s, {photos / took:.0f} a second; {len(faces):,} faces, {rejected} rejected")
    print(f"lost {lost}, twice {twice}")
    # The first parts wait for processes to begin.
    times = np.array(seen.times[len(seen.times) // 20 :])
    tenth = max(2, len(times) // 10)
    speeds = [64 * (tenth - 1) / max(part[-1] - part[0], 1e-9) for part in (times[:tenth], times[-tenth:])]
    print(f"photos a second, first and last tenth: {speeds[0]:.0f}, {speeds[1]:.0f}, {speeds[1] / speeds[0] - 1:+.0%}")
    quarter = max(1, len(seen.memory) // 4)
    print(f"memory: {max(seen.memory[:quarter]) / 2**20:.0f} MB in the first quarter, {max(seen.memory) / 2**20:.0f} MB at most")


if __name__ == "__main__":
    main()
