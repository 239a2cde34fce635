"""Parts a face set by its people, so that no person is on two sides: a quarter of them train, a quarter validates, half test.

    python benchmarks/web_people.py WEB OUT [--larger]

The part goes by the CRC-32 of the subject's name, so that it is the same everywhere. People with an even one test. These are whom
`photos.py --people even`, `baseline.py` and `sure.py` measure on, and nothing may be fitted to them. Of the others, 1 modulo 4
validates and 3 trains. With `--larger` people with 0 modulo 4 train, too: by that split "a successor that was not taken" in
docs/results/reading-photos.md was trained. A model that learned from it has seen half of whom the others measure on.
"""

import argparse
import zlib
from pathlib import Path
from typing import Literal

from mien import FaceSet

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("test", "validation", "test", "train")
LARGER: tuple[Part, ...] = ("train", "validation", "test", "train")


def part_of(person: object, parts: tuple[Part, ...] = PARTS) -> Part:
    """The part that a person of this name is in."""
    return parts[zlib.crc32(str(person).encode()) % len(parts)]


def is_measured(person: object) -> bool:
    """Whether figures are measured on a person of this name: whether the CRC-32 of the name is even."""
    return part_of(person) == "test"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faceset", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--larger", action="store_true")
    given = parser.parse_args()
    faces = FaceSet.open(given.faceset)
    parts = [part_of(name, LARGER if given.larger else PARTS) for name in faces.values("subject")]
    faces.with_column("split", parts).save(given.out)
    print(", ".join(f"{name}: {parts.count(name)} faces" for name in dict.fromkeys(PARTS)))


if __name__ == "__main__":
    main()
