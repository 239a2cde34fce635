"""Statistics over seeds: means with intervals, and differences to the first recipe, paired by seed. Pure functions."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from mien.experiments.grid import Group
from mien.experiments.results import RunResult

NAN = math.nan
COVERAGE = 0.95
DIGITS = 12
SHARE = (0.0, 1.0)
LEAST = 3
"""Seeds that an interval or a test needs: of two, a t-interval is nine times as wide as they are apart."""


@dataclass(frozen=True)
class Spread:
    """A figure over seeds; nan where there is nothing to tell it from."""

    count: int
    """Number of seeds."""
    mean: float
    sd: float
    """Standard deviation with n - 1; nan of one seed."""
    low: float
    """Ends of the 95 % t-interval of the mean; nan of fewer than three seeds."""
    high: float


@dataclass(frozen=True)
class Difference:
    """A figure minus another recipe's, seed by seed."""

    pairs: int
    """Seeds that both have."""
    mean: float
    low: float
    """Ends of the 95 % t-interval of the mean; nan of fewer than three pairs, as is p."""
    high: float
    p: float
    """Of the two-sided paired t-test; nan where all differences are 0."""


@dataclass(frozen=True)
class TableLine:
    """A recipe at a place in the grid: a row of table.csv."""

    recipe: str
    group: Group
    first: bool
    """Whether it is the recipe that the others are compared with."""
    train_labels: float
    """Mean number of labels trained on, as the next two; nan where no run is finished."""
    validation_labels: float
    unlabeled_faces: float
    accuracy: Spread
    average_accuracy: Spread
    macro_f1: Spread
    ece_after: Spread
    seconds: Spread
    weight_auroc: Spread
    difference: Difference
    """Of accuracy to the first recipe's; nan for that itself, as is the next."""
    average_difference: Difference
    """Of average accuracy."""
    lost_to_noise: Spread
    """Accuracy without noise minus accuracy at this noise, by seed; nan without noise, or where the grid has no noise 0."""
    lost_difference: Difference
    """Of what was lost to noise to what the first recipe lost: below 0 where this one loses less."""
    best_seed_on_test: float
    """Accuracy of the best seed, chosen on the test faces: what much of the literature reports. Never used for anything."""


def spread(values: Iterable[float], within: tuple[float, float] = (-math.inf, math.inf)) -> Spread:
    """Of the values that are not nan. What they can be, `within`, bounds the interval too: 0 and 1 for shares."""
    known = _known(values)
    mean = float(known.mean()) if len(known) else NAN
    sd = float(known.std(ddof=1)) if len(known) > 1 else NAN
    half = _half(sd, len(known))
    return Spread(len(known), mean, sd, *(min(max(end, within[0]), within[1]) for end in (mean - half, mean + half)))


def paired(mine: Mapping[int, float], theirs: Mapping[int, float]) -> Difference:
    """Of figures by seed, over the seeds that both have."""
    known = _known(mine[seed] - theirs[seed] for seed in sorted(mine.keys() & theirs.keys()))
    found = spread(known)
    return Difference(found.count, found.mean, found.low, found.high, _p(found))


def _known(values: Iterable[float]) -> Any:
    # Rounded, so that differences which are equal on paper are equal here: else a t-test would run on rounding errors.
    given = np.round(np.fromiter(values, np.float64), DIGITS)
    return given[~np.isnan(given)]


def _half(sd: float, count: int) -> float:
    """Half the width of the t-interval."""
    return float(stats.t.ppf((1 + COVERAGE) / 2, count - 1)) * sd / math.sqrt(count) if count >= LEAST else NAN


def _p(found: Spread) -> float:
    if found.count < LEAST:
        return NAN
    if not found.sd > 0:
        return NAN if found.mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(found.mean) / (found.sd / math.sqrt(found.count)), found.count - 1))


def summarize(results: Sequence[RunResult], first: str) -> tuple[TableLine, ...]:
    """A line for each recipe and place of which there are results, place by place, in the order in which they come.

    `first` is the recipe that the others are compared with.
    """
    groups = list(dict.fromkeys(result.group for result in results))
    recipes = dict.fromkeys([first, *(result.recipe for result in results)])
    table = _Table(results, first)
    present = {(result.recipe, result.group) for result in results}
    return tuple(table.line(recipe, group) for group in groups for recipe in recipes if (recipe, group) in present)


class _Table:
    """Results, by recipe and place."""

    def __init__(self, results: Sequence[RunResult], first: str) -> None:
        self.first = first
        self.cells: dict[tuple[str, Group], list[RunResult]] = {}
        for result in results:
            self.cells.setdefault((result.recipe, result.group), []).append(result)

    def values(self, recipe: str, group: Group, figure: str) -> dict[int, float]:
        """A figure by seed, nan where a run does not have it."""
        found = {result.seed: getattr(result, figure) for result in self.cells.get((recipe, group), [])}
        return {seed: NAN if value is None else float(value) for seed, value in found.items()}

    def lost(self, recipe: str, group: Group) -> dict[int, float]:
        """What noise cost, by seed."""
        if not group.noise:
            return {}
        clean = self.values(recipe, Group(group.labels, 0.0, group.varied), "accuracy")
        noisy = self.values(recipe, group, "accuracy")
        return {seed: clean[seed] - noisy[seed] for seed in sorted(clean.keys() & noisy.keys())}

    def line(self, recipe: str, group: Group) -> TableLine:
        def over(figure: str, within: tuple[float, float] = (0.0, math.inf)) -> Spread:
            return spread(self.values(recipe, group, figure).values(), within)

        def against(figures: Callable[[str], dict[int, float]]) -> Difference:
            return paired(figures(recipe), {} if recipe == self.first else figures(self.first))

        return TableLine(
            recipe=recipe,
            group=group,
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
            difference=against(lambda name: self.values(name, group, "accuracy")),
            average_difference=against(lambda name: self.values(name, group, "average_accuracy")),
            lost_to_noise=spread(self.lost(recipe, group).values()),
            lost_difference=against(lambda name: self.lost(name, group)),
            best_seed_on_test=max(
                (value for value in self.values(recipe, group, "accuracy").values() if value == value), default=NAN
            ),
        )


def table_row(line: TableLine) -> dict[str, Any]:
    """The line as a row of table.csv."""
    group, row = line.group, dict[str, Any](recipe=line.recipe)
    row |= {"labels_per_class": group.labels, "noise": group.noise, **dict(group.varied), "seeds": line.accuracy.count}
    row |= {name: getattr(line, name) for name in ("train_labels", "validation_labels", "unlabeled_faces")}
    for name in ("accuracy", "average_accuracy"):
        row |= _spread_columns(name, getattr(line, name))
    row |= _difference_columns("difference", line.difference)
    row |= _difference_columns("average_difference", line.average_difference)
    row |= {name: getattr(line, name).mean for name in ("macro_f1", "ece_after", "weight_auroc", "seconds")}
    row |= _spread_columns("lost_to_noise", line.lost_to_noise)
    row |= _difference_columns("lost_difference", line.lost_difference)
    return row | {"best_seed_on_test": line.best_seed_on_test}


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
