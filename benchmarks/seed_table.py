"""A table of what benchmarks found in runs of several seeds: means, deviations, and differences paired by seed."""

import csv
from collections.abc import Mapping
from pathlib import Path

from mien.experiments.seed_statistics import mean_with_interval, paired_difference

HEADER = ("recipe", "figure", "seeds", "mean", "sd", "difference", "low", "high", "p")
Figures = dict[str, dict[str, dict[int, float]]]
"""What was found, by recipe, figure and seed."""


def write_seed_table(found: Figures, to: Mapping[str, str], table: Path) -> None:
    """Print the table and write it as csv. `to`: for each recipe the one that its differences are to, maybe itself."""
    lines: list[tuple[str, ...]] = [HEADER]
    for recipe, figures in found.items():
        for name, values in figures.items():
            mine, away = mean_with_interval(values.values()), paired_difference(values, found[to[recipe]][name])
            numbers = (mine.mean, mine.sd, away.mean, away.low, away.high, away.p)
            lines.append((recipe, name, str(mine.count), *(f"{value:.4g}" for value in numbers)))
            print(", ".join(f"{key} {value}" for key, value in zip(HEADER, lines[-1], strict=True)))
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(lines)
