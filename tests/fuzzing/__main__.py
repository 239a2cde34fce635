"""PYTHONPATH=tests python -m fuzzing images --count 3000 --seed 0 --keep FOLDER: a table, or JSON by --json."""

import argparse
import json
import sys
from pathlib import Path

from fuzzing import KINDS, SECONDS, Report, fuzz, make_input


def main() -> int:
    """1 where an input failed."""
    parser = argparse.ArgumentParser(prog="fuzzing", description="Let mien read inputs that nobody made with good intent.")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join(KINDS)}; all unless said")
    parser.add_argument("--count", type=int, default=100, help="inputs of each kind")
    parser.add_argument("--first", type=int, default=0, help="number of the first one: each is made by the seed and its number")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="an input that takes longer hangs")
    parser.add_argument("--keep", type=Path, help="a folder for the inputs that failed")
    parser.add_argument("--make", type=Path, help="write the inputs into this folder, and read none")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    asked = parser.parse_args()
    kinds = asked.kinds or list(KINDS)
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"expected kinds among {', '.join(KINDS)}, found {', '.join(sorted(unknown))}")
    numbers = range(asked.first, asked.first + asked.count)
    if asked.make:
        for kind in kinds:
            for number in numbers:
                make_input(kind, asked.seed, number, asked.make / f"{kind}-{asked.seed}-{number:06d}")
        return 0
    reports = [fuzz(kind, numbers, asked.seed, asked.seconds, asked.keep, _said) for kind in kinds]
    print(json.dumps([report.to_json() for report in reports], indent=1) if asked.json else table(reports))
    return int(any(report.failed for report in reports))


def table(reports: list[Report]) -> str:
    """A line a kind, and one for each that failed."""
    names = ("kind", "read", "refused", "faults", "crashes", "hangs", "memory_mb", "heaviest", "seconds", "slowest")
    rows = [report.to_json() for report in reports]
    lines = ["".join(f"{name:>10}" for name in names)]
    lines += ["".join(f"{row.get(name, '')!s:>10}" for name in names) for row in rows]
    for report in reports:
        for one in report.failed:
            last = one.said.strip().splitlines()[-1:] or [""]
            lines.append(f"{report.kind} {one.number}: {one.ending}, {one.memory / 1e6:.0f} MB, {one.seconds:.1f} s: {last[0]}")
    return "\n".join(lines)


def _said(report: Report) -> None:
    if sys.stderr.isatty():
        counts = ", ".join(f"{count} {ending}" for ending, count in report.endings.items())
        print(f"\r{report.kind}: {counts}   ", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
