"""Statistics over seeds: means with intervals, and differences to the first recipe, paired by seed."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from mien.experiments.grid import GridPoint
from mien.experiments.run_results import RunResult

NAN = math.nan
COVERAGE = 0.95
"""Coverage of the t-intervals."""
DIGITS = 12
"""Digits to which figures are rounded, so that differences that are equal on paper are equal here."""
SHARE = (0.0, 1.0)
"""Bounds of a share's interval."""
LEAST = 3
"""Least seeds of an interval or a test: a t-interval of two seeds is nine times as wide as they are apart."""


@dataclass(frozen=True)
class Spread:
    """A figure over seeds: mean, deviation and interval; nan where there are too few seeds for one."""

    count: int
    """Number of seeds."""
    mean: float
    sd: float
    """Standard deviation with n - 1; nan for one seed."""
    low: float
    """Lower end of the 95 % t-interval of the mean; nan for fewer than three seeds."""
    high: float
    """Upper end of the 95 % t-interval of the mean; nan for fewer than three seeds."""


@dataclass(frozen=True)
class Difference:
    """The difference of a figure between two recipes, paired by seed."""

    pairs: int
    """Number of seeds that both recipes have."""
    mean: float
    """Mean difference."""
    low: float
    """Lower end of the 95 % t-interval of the mean; nan for fewer than three pairs."""
    high: float
    """Upper end of the 95 % t-interval of the mean; nan for fewer than three pairs."""
    p: float
    """p of the two-sided paired t-test; nan for fewer than three pairs, and where all differences are 0."""


@dataclass(frozen=True)
class TableLine:
    """A recipe at a grid point, over seeds: a row of table.csv."""

    recipe: str
    point: GridPoint
    first: bool
    """Whether the others are compared with this recipe."""
    train_labels: float
    """Mean number of labels that were trained on; nan where no run is finished."""
    validation_labels: float
    """Mean number of labels that chose the model; nan where no run is finished."""
    unlabeled_faces: float
    """Mean number of faces that were used without their labels; nan where no run is finished."""
    accuracy: Spread
    average_accuracy: Spread
    macro_f1: Spread
    ece_after: Spread
    seconds: Spread
    weight_auroc: Spread
    difference: Difference
    """Accuracy minus the first recipe's; nan for the first recipe itself."""
    average_difference: Difference
    """Average accuracy minus the first recipe's; nan for the first recipe itself."""
    lost_to_noise: Spread
    """Accuracy without noise minus accuracy at this noise, by seed; nan without noise, or where the grid has no noise 0."""
    lost_difference: Difference
    """Accuracy lost to noise minus what the first recipe lost: below 0 where this recipe loses less."""
    best_seed_on_test: float
    """Accuracy of the best seed, chosen on the test faces, as much of the literature reports it. Nothing here uses it."""
    control_of: str
    """The recipe whose control this is; empty for a recipe."""
    control_difference: Difference
    """Accuracy minus that of the recipe's own control; nan where there is none."""
    control_average_difference: Difference
    """Average accuracy minus that of the recipe's own control; nan where there is none."""


def mean_with_interval(values: Iterable[float], within: tuple[float, float] = (-math.inf, math.inf)) -> Spread:
    """Mean, deviation and interval of the values that are not nan; `within` bounds the interval: 0 and 1 for shares."""
    known = _known(values)
    mean = float(known.mean()) if len(known) else NAN
    sd = float(known.std(ddof=1)) if len(known) > 1 else NAN
    half = _half(sd, len(known))
    return Spread(len(known), mean, sd, *(min(max(end, within[0]), within[1]) for end in (mean - half, mean + half)))


def paired_difference(mine: Mapping[int, float], theirs: Mapping[int, float]) -> Difference:
    """The difference `mine` - `theirs` of figures by seed, over the seeds that both have."""
    known = _known(mine[seed] - theirs[seed] for seed in sorted(mine.keys() & theirs.keys()))
    found = mean_with_interval(known)
    return Difference(found.count, found.mean, found.low, found.high, _p(found))


def _known(values: Iterable[float]) -> Any:
    # Rounded, so that differences which are equal on paper are equal here: else a t-test would run on rounding errors.
    given = np.round(np.fromiter(values, np.float64), DIGITS)
    return given[~np.isnan(given)]


def _half(sd: float, count: int) -> float:
    """Half the width of the t-interval; nan for fewer than three values."""
    return float(stats.t.ppf((1 + COVERAGE) / 2, count - 1)) * sd / math.sqrt(count) if count >= LEAST else NAN


def _p(found: Spread) -> float:
    if found.count < LEAST:
        return NAN
    if not found.sd > 0:
        return NAN if found.mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(found.mean) / (found.sd / math.sqrt(found.count)), found.count - 1))


def summarize_seeds(results: Sequence[RunResult], first: str) -> tuple[TableLine, ...]:
    """A line for each recipe and grid point that has results, point by point, in the order of the results.

    `first`: the recipe that the others are compared with.
    """
    grid_points = list(dict.fromkeys(result.point for result in results))
    recipes = dict.fromkeys([first, *(result.recipe for result in results)])
    table = _Table(results, first)
    present = {(result.recipe, result.point) for result in results}
    return tuple(table.line(recipe, point) for point in grid_points for recipe in recipes if (recipe, point) in present)


class _Table:
    """Results by recipe and grid point."""

    def __init__(self, results: Sequence[RunResult], first: str) -> None:
        self.first = first
        self.cells: dict[tuple[str, GridPoint], list[RunResult]] = {}
        self.control_of: dict[str, str] = {}
        for result in results:
            self.cells.setdefault((result.recipe, result.point), []).append(result)
            if result.control_of:
                self.control_of[result.recipe] = result.control_of
        self.controls = {recipe: control for control, recipe in self.control_of.items()}

    def values(self, recipe: str, point: GridPoint, figure: str) -> dict[int, float]:
        """A figure by seed; nan where a run does not have it."""
        found = {result.seed: getattr(result, figure) for result in self.cells.get((recipe, point), [])}
        return {seed: NAN if value is None else float(value) for seed, value in found.items()}

    def lost(self, recipe: str, point: GridPoint) -> dict[int, float]:
        """The accuracy lost to noise, by seed; empty without noise."""
        if not point.noise:
            return {}
        clean = self.values(recipe, replace(point, noise=0.0), "accuracy")
        noisy = self.values(recipe, point, "accuracy")
        return {seed: clean[seed] - noisy[seed] for seed in sorted(clean.keys() & noisy.keys())}

    def line(self, recipe: str, point: GridPoint) -> TableLine:
        def over(figure: str, within: tuple[float, float] = (0.0, math.inf)) -> Spread:
            return mean_with_interval(self.values(recipe, point, figure).values(), within)

        def against(figures: Callable[[str], dict[int, float]]) -> Difference:
            return paired_difference(figures(recipe), {} if recipe == self.first else figures(self.first))

        def to_control(figure: str) -> Difference:
            control = self.controls.get(recipe)
            theirs = {} if control is None else self.values(control, point, figure)
            return paired_difference(self.values(recipe, point, figure), theirs)

        return TableLine(
            recipe=recipe,
            point=point,
            first=recipe == self.first,
            train_labels=over("train_labels").mean,
            validation_labels=over("validation_labels").mean,
            unlabeled_faces=over("unlabeled_faces").mean,
            accuracy=over("accuracy", SHARE),
            average_accuracy=over("average_accuracy", SHARE),
            macro_f1=over("macro_f1", SHARE),
            ece_after=over("ece_after", SHARE),
            seconds=over("seconds"),
            weight_auroc=over("weight_auroc", SHARE),
            difference=against(lambda name: self.values(name, point, "accuracy")),
            average_difference=against(lambda name: self.values(name, point, "average_accuracy")),
            lost_to_noise=mean_with_interval(self.lost(recipe, point).values()),
            lost_difference=against(lambda name: self.lost(name, point)),
            best_seed_on_test=max(
                (value for value in self.values(recipe, point, "accuracy").values() if value == value), default=NAN
            ),
            control_of=self.control_of.get(recipe, ""),
            control_difference=to_control("accuracy"),
            control_average_difference=to_control("average_accuracy"),
        )


def table_csv_row(line: TableLine) -> dict[str, Any]:
    """A line's values by the columns of table.csv."""
    point, row = line.point, dict[str, Any](recipe=line.recipe)
    row |= {"labels_per_class": point.labels, "noise": point.noise, **dict(point.varied), "seeds": line.accuracy.count}
    row |= {name: getattr(line, name) for name in ("train_labels", "validation_labels", "unlabeled_faces")}
    for name in ("accuracy", "average_accuracy"):
        row |= _spread_columns(name, getattr(line, name))
    row |= _difference_columns("difference", line.difference)
    row |= _difference_columns("average_difference", line.average_difference)
    row |= {name: getattr(line, name).mean for name in ("macro_f1", "ece_after", "weight_auroc", "seconds")}
    row |= _spread_columns("lost_to_noise", line.lost_to_noise)
    row |= _difference_columns("lost_difference", line.lost_difference)
    row |= {"best_seed_on_test": line.best_seed_on_test, "labels": point.total, "control_of": line.control_of}
    row |= _difference_columns("control_difference", line.control_difference)
    return row | _difference_columns("control_average_difference", line.control_average_difference)


def _spread_columns(name: str, found: Spread) -> dict[str, float]:
    return {name: found.mean, f"{name}_sd": found.sd, f"{name}_low": found.low, f"{name}_high": found.high}


def _difference_columns(name: str, found: Difference) -> dict[str, float]:
    return {
        name: found.mean,
        f"{name}_low": found.low,
        f"{name}_high": found.high,
        f"{name}_p": found.p,
        f"{name}_pairs": found.pairs,
    }
