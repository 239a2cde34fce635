"""The learning curve: figures after each round, means over seeds with differences to the reference, and a diagram of them."""

import io
from collections.abc import Mapping
from dataclasses import asdict, fields
from dataclasses import dataclass as plain
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic.dataclasses import dataclass

from mien.disk import write_atomically
from mien.evaluation.evaluation_result import FEW
from mien.evaluation.report.figures import INK, LINE, TEXT, plain_axes
from mien.experiments.report.figures import color, marker
from mien.experiments.run_results import Measured, to_csv
from mien.experiments.seed_statistics import SHARE, Difference, Spread, mean_with_interval, paired_difference
from mien.json_text import plain_values, to_json
from mien.json_toml import read_settings
from mien.matplotlib_parts import Axes, Figure, MaxNLocator, PercentFormatter
from mien.settings import STRICT
from mien.wording import short_name

FILE = "point.json"
"""The file in a round's folder with its figures; the round is over once it is there."""
SIZE = (9.4, 3.6)
DPI = 150
APART = 0.004
"""Distance between the marks of neighboring strategies, as a share of the axis."""

Figures = Literal["accuracy", "average_accuracy"]


@dataclass(frozen=True, config=STRICT)
class RoundResult:
    """The figures of a chain after a round. Shares are from 0 to 1, None where there is nothing to measure."""

    strategy: str
    """The strategy that chose the faces."""
    seed: int
    """The seed of the chain."""
    round: int
    """The number of the round; 0 for the start, before the first one."""
    labels: int = 0
    """Labels charged so far: `train`, `validation`, `rejected` and `disputed` together."""
    train: int = 0
    """Labels to learn from so far."""
    validation: int = 0
    """Labels that choose the model, so far."""
    rejected: int = 0
    """Pictures that people took for no face, so far."""
    disputed: int = 0
    """Faces on which people disagree, so far."""
    asked: int = 0
    """Faces asked about in this round."""
    undecided: int = 0
    """Faces of this round with too few answers: they stay in the pool."""
    missed: int = 0
    """Faces of earlier rounds to learn from that the last model takes for something else (H of DAL's Algorithm 1)."""
    pool: int = 0
    """Faces that may still be asked about."""
    validation_accuracy: Measured = None
    """Accuracy on the validation faces that are known by now."""
    validation_average_accuracy: Measured = None
    """Mean accuracy of the classes on the validation faces that are known by now."""
    gain: Measured = None
    """Validation accuracy minus that of the last model, on the same faces."""
    accuracy: Measured = None
    """Accuracy on the split to test."""
    average_accuracy: Measured = None
    """Mean accuracy of the classes on the split to test."""
    tested: int | None = None
    """Faces in the split to test."""


def write_round_result(folder: Path, point: RoundResult) -> None:
    """Write the figures of a round into its folder; the round is over then."""
    write_atomically(folder / FILE, to_json(point).encode())


def read_round_result(folder: Path) -> RoundResult | None:
    """The figures in a round's folder; None where the round is not over. Raises MienError for a damaged file."""
    if not (folder / FILE).is_file():
        return None
    return read_settings(RoundResult, folder / FILE, "remove it, and it is measured again")


@plain(frozen=True)
class StrategyMeans:
    """A strategy's means over seeds after a round: a row of table.csv."""

    strategy: str
    """The strategy."""
    round: int
    """The number of the round."""
    labels: Spread
    """Labels charged."""
    accuracy: Spread
    """Accuracy on the split to test, or else on validation."""
    average_accuracy: Spread
    """Mean accuracy of the classes, on the same faces."""
    difference: Difference
    """Accuracy minus the reference's after as many rounds; nan for the reference."""
    average_difference: Difference
    """Average accuracy minus the reference's after as many rounds; nan for the reference."""


@plain(frozen=True)
class LearningCurve:
    """The figures of all chains, as far as these have come."""

    strategies: tuple[str, ...]
    """The strategies, in the order in which they were asked for."""
    reference: str
    """The strategy that the others are compared with."""
    tested: str | None
    """The split that was tested on; None: figures are those on validation."""
    points: tuple[RoundResult, ...]
    """The figures after each round, chain by chain."""

    @property
    def lines(self) -> tuple[StrategyMeans, ...]:
        """Means over seeds, strategy by strategy, in the order of rounds."""
        known = {name: sorted({point.round for point in self.points if point.strategy == name}) for name in self.strategies}
        return tuple(self._line(name, number) for name, rounds in known.items() for number in rounds)

    def _line(self, strategy: str, number: int) -> StrategyMeans:
        def against(name: Figures) -> Difference:
            theirs = {} if strategy == self.reference else self.by_seed(self.reference, number, name)
            return paired_difference(self.by_seed(strategy, number, name), theirs)

        return StrategyMeans(
            strategy=strategy,
            round=number,
            labels=mean_with_interval(float(point.labels) for point in self._points(strategy, number)),
            accuracy=mean_with_interval(self.by_seed(strategy, number, "accuracy").values(), SHARE),
            average_accuracy=mean_with_interval(self.by_seed(strategy, number, "average_accuracy").values(), SHARE),
            difference=against("accuracy"),
            average_difference=against("average_accuracy"),
        )

    def _points(self, strategy: str, number: int) -> list[RoundResult]:
        return [point for point in self.points if (point.strategy, point.round) == (strategy, number)]

    def by_seed(self, strategy: str, number: int, name: Figures) -> dict[int, float]:
        """A strategy's figure after a round, by seed, on the split to test or else on validation; nan where there is none."""
        key = name if self.tested else f"validation_{name}"
        found = {point.seed: getattr(point, key) for point in self._points(strategy, number)}
        return {seed: np.nan if value is None else float(value) for seed, value in found.items()}

    @property
    def caution(self) -> str:
        """A warning to readers of the figures, in a sentence; empty where there is none."""
        tested = max((point.tested or 0 for point in self.points), default=0)
        few = bool(self.tested) and 0 < tested < FEW
        return f"only {tested} test face{'s' * (tested != 1)}: with fewer than {FEW}, figures say little" if few else ""

    def curve_csv(self) -> str:
        """The csv text of curve.csv: a row for each chain and round."""
        return to_csv([asdict(point) for point in self.points])

    def table_csv(self) -> str:
        """The csv text of table.csv: a row for each strategy and round."""
        return to_csv([means_row(line) for line in self.lines])

    def to_json(self) -> dict[str, Any]:
        """The figures and their means as plain values for JSON; nan is null."""
        found = {entry.name: plain_values(getattr(self, entry.name)) for entry in fields(self)}
        return found | {"table": [plain_values(means_row(line)) for line in self.lines], "caution": self.caution}


def means_row(line: StrategyMeans) -> dict[str, Any]:
    """Means as a row of table.csv: a mean has its name, and its spread that name with `_sd`, `_low`, `_high`, `_p` and so on."""
    row: dict[str, Any] = {"strategy": line.strategy, "round": line.round, "labels": line.labels.mean}
    row |= {"seeds": line.labels.count}
    for name in ("accuracy", "average_accuracy", "difference", "average_difference"):
        values: Mapping[str, float] = asdict(getattr(line, name))
        row |= {name if key == "mean" else f"{name}_{key}": value for key, value in values.items() if key != "count"}
    return row


def write_curve_tables(found: LearningCurve, out: Path) -> None:
    """Write curve.csv and table.csv into the folder `out`."""
    write_atomically(out / "curve.csv", found.curve_csv().encode())
    write_atomically(out / "table.csv", found.table_csv().encode())


def draw_learning_curve(found: LearningCurve) -> bytes:
    """The diagram as a PNG: accuracy and average accuracy over labels, a line for each strategy.

    With three seeds or more, marks have 95 % t-intervals.
    """
    figure = Figure(figsize=SIZE, layout="constrained")
    left, right = figure.subplots(1, 2)
    _panel(left, found, "accuracy")
    _panel(right, found, "average_accuracy")
    handles, names = left.get_legend_handles_labels()
    legend = figure.legend(handles, names, loc="outside right upper", fontsize=TEXT, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return file.getvalue()


def _panel(axes: Axes, found: LearningCurve, name: Figures) -> None:
    plain_axes(axes)
    lines = found.lines
    widest = max((line.labels.mean for line in lines), default=0.0)
    for number, strategy in enumerate(found.strategies):
        mine = [line for line in lines if line.strategy == strategy]
        figures: list[Spread] = [getattr(line, name) for line in mine]
        mean = np.array([figure.mean for figure in figures])
        if np.isnan(mean).all():
            continue
        reach = np.nan_to_num(
            [[figure.mean - figure.low for figure in figures], [figure.high - figure.mean for figure in figures]]
        )
        shift = APART * widest * (number - (len(found.strategies) - 1) / 2)
        # Without an interval (one seed, or two) a mark stands alone.
        axes.errorbar(
            np.array([line.labels.mean for line in mine]) + shift, mean, reach,
            label=short_name(strategy).encode("ascii", "replace").decode(), color=color(number), marker=marker(number),
            markersize=5, linewidth=1.5, elinewidth=1.0, capsize=2.5,
        )  # fmt: skip
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -0.02), min(high, 1.02))
    axes.set_xlabel("labels charged", fontsize=TEXT, color=INK)
    # A split's name is a user's text, which the drawn font may not have: the guide and the table say which it is.
    where = "" if found.tested else "validation "
    axes.set_ylabel(f"{where}{name.replace('_', ' ')}", fontsize=TEXT, color=INK)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(axis="y", color=LINE, linewidth=0.6)
