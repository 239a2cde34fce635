"""How fast near-duplicates are found: faces hashed a second, and pairs of close hashes.

    python benchmarks/near_duplicates.py [--faces 5000] [--side 48] [--hashes 100000] [--distance 10]

Hashes are random; a tenth are those of others with up to `distance` bits flipped, and a tenth are all the same.
"""

import argparse
import time

import numpy as np

from mien.data.perceptual_hash import close_pairs, hash_pictures


def close_hashes(count: int, distance: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """(count,) as said above."""
    generator = np.random.default_rng(0)
    made = generator.integers(0, 1 << 64, count, dtype=np.uint64)
    tenth = count // 10
    bits = np.uint64(1) << generator.integers(0, 64, (tenth, max(1, distance)), dtype=np.uint64)
    made[:tenth] = made[tenth : 2 * tenth] ^ (np.bitwise_or.reduce(bits, axis=1) if distance else np.uint64(0))
    made[2 * tenth : 3 * tenth] = made[0]
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=5000)
    parser.add_argument("--side", type=int, default=48)
    parser.add_argument("--hashes", type=int, default=100_000)
    parser.add_argument("--distance", type=int, default=10)
    given = parser.parse_args()
    faces = np.random.default_rng(0).integers(0, 256, (given.faces, given.side, given.side), dtype=np.uint8)
    start = time.perf_counter()
    hash_pictures(faces)
    took = time.perf_counter() - start
    print(f"hashes: {given.faces} faces of {given.side} pixels in {took:.2f} s, {given.faces / took:,.0f} a second")
    made = close_hashes(given.hashes, given.distance)
    start = time.perf_counter()
    found = close_pairs(made, None, given.distance)
    took = time.perf_counter() - start
    print(f"pairs: {len(found)} within {given.distance} bits of {given.hashes} hashes in {took:.2f} s")
    assert len(found) >= given.hashes // 10


if __name__ == "__main__":
    main()
