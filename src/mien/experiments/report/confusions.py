"""Confusion matrices of two recipes side by side: where one is better than the other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mien.evaluation.report.report_page import ConfusionCell, confusion_cells
from mien.experiments.comparison_result import Comparison
from mien.experiments.grid import GridPoint
from mien.experiments.run_results import RunResult


@dataclass(frozen=True)
class RecipeConfusion:
    """The confusion matrix of a recipe at a grid point, summed over seeds."""

    recipe: str
    seeds: int
    rows: list[list[ConfusionCell]]


@dataclass(frozen=True)
class ConfusionsAtPoint:
    """The matrices of the first two recipes at a grid point; of one, where there is one."""

    point: GridPoint
    recipes: tuple[RecipeConfusion, ...]


def confusions_side_by_side(found: Comparison) -> list[ConfusionsAtPoint]:
    """For each grid point the matrices of its first two recipes, controls aside; empty where runs did not keep them."""
    names = [name for name in found.grid.names if name in found.arms][:2]
    made = []
    for point in dict.fromkeys(result.point for result in found.results):
        at_point = [result for result in found.results if result.point == point and result.confusion]
        pair = [[result for result in at_point if result.recipe == name] for name in names]
        if any(pair):
            made.append(ConfusionsAtPoint(point, tuple(_summed(results) for results in pair if results)))
    return made


def _summed(results: Sequence[RunResult]) -> RecipeConfusion:
    total = np.sum([result.confusion for result in results], axis=0)
    return RecipeConfusion(results[0].recipe, len(results), confusion_cells(total))
