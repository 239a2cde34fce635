"""Parts a face set by its people, so that no person is on two sides: half of them train, a quarter validates, a quarter tests.

    python benchmarks/web_people.py WEB OUT

The part is the CRC-32 of the subject's name, modulo 4: 0 and 3 train, 1 validates, 2 tests. So it is the same everywhere.
"""

import argparse
import zlib
from pathlib import Path

from mien import FaceSet

PARTS = ("train", "validation", "test", "train")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faceset", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    faces = FaceSet.open(given.faceset)
    parts = [PARTS[zlib.crc32(str(name).encode()) % 4] for name in faces.values("subject")]
    faces.with_column("split", parts).save(given.out)
    print(", ".join(f"{name}: {parts.count(name)} faces" for name in dict.fromkeys(PARTS)))


if __name__ == "__main__":
    main()
