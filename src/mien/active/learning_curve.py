"""What rounds gave: figures after every round, means over seeds with differences to the reference, and both as a diagram."""

import io
from collections.abc import Mapping
from dataclasses import asdict, fields
from dataclasses import dataclass as plain
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic.dataclasses import dataclass

from mien.disk import read_as, write_aside
from mien.evaluation.evaluation_result import FEW
from mien.evaluation.report.figures import INK, LINE, TEXT, plain_axes
from mien.experiments.report.figures import color, marker
from mien.experiments.run_results import Measured, to_csv
from mien.experiments.seed_statistics import SHARE, Difference, Spread, mean_with_interval, paired_difference
from mien.plain import plain_values, short, to_json
from mien.plots import Axes, Figure, MaxNLocator, PercentFormatter
from mien.registry import STRICT

FILE = "point.json"
SIZE = (9.4, 3.6)
DPI = 150
APART = 0.004
"""Distance of neighboring strategies' marks, as a share of the axis."""

Figures = Literal["accuracy", "average_accuracy"]


@dataclass(frozen=True, config=STRICT)
class Point:
    """Where a chain is after a round; shares are from 0 to 1, None where there is nothing to measure."""

    strategy: str
    seed: int
    round: int
    """0 before the first one."""
    labels: int = 0
    """Labels charged so far: the sum of the next four."""
    train: int = 0
    """Labels to learn from."""
    validation: int = 0
    """Labels that choose the model."""
    rejected: int = 0
    """Faces that are none."""
    disputed: int = 0
    """Faces on which people do not agree."""
    asked: int = 0
    """Faces asked about in this round, as the next two."""
    undecided: int = 0
    """Of them those that stay in the pool, since they have too few answers."""
    missed: int = 0
    """Of the faces to learn from until then, those that the last model takes for something else (H of DAL's Algorithm 1)."""
    pool: int = 0
    """Faces that are left to be asked about."""
    validation_accuracy: Measured = None
    """On the validation faces known by now, as the next two."""
    validation_average_accuracy: Measured = None
    gain: Measured = None
    """Validation accuracy minus that of the model before, on the same faces."""
    accuracy: Measured = None
    """On the split to test, as the next two."""
    average_accuracy: Measured = None
    tested: int | None = None


def write_point(folder: Path, point: Point) -> None:
    """Leave the point in the round's folder; the round is over then."""
    write_aside(folder / FILE, to_json(point).encode())


def read_point(folder: Path) -> Point | None:
    """The point in a round's folder, None where the round is not over. Raises MienError where it is damaged."""
    if not (folder / FILE).is_file():
        return None
    return read_as(Point, folder / FILE, "remove it, and it is measured again")


@plain(frozen=True)
class CurvePoint:
    """A strategy after a round, over seeds: a row of table.csv."""

    strategy: str
    round: int
    labels: Spread
    accuracy: Spread
    average_accuracy: Spread
    difference: Difference
    """Of accuracy to the reference's after as many rounds; nan for that itself, as is the next."""
    average_difference: Difference


@plain(frozen=True)
class Curve:
    """All chains, as far as they are."""

    strategies: tuple[str, ...]
    reference: str
    """The strategy that the others are compared with."""
    tested: str | None
    """Split that was tested on; None: the figures are those on validation."""
    points: tuple[Point, ...]
    """Chain by chain, in the order of rounds."""

    @property
    def lines(self) -> tuple[CurvePoint, ...]:
        """Strategy by strategy, in the order of rounds."""
        known = {name: sorted({point.round for point in self.points if point.strategy == name}) for name in self.strategies}
        return tuple(self._line(name, number) for name, rounds in known.items() for number in rounds)

    def _line(self, strategy: str, number: int) -> CurvePoint:
        def against(name: Figures) -> Difference:
            theirs = {} if strategy == self.reference else self.by_seed(self.reference, number, name)
            return paired_difference(self.by_seed(strategy, number, name), theirs)

        return CurvePoint(
            strategy=strategy,
            round=number,
            labels=mean_with_interval(float(point.labels) for point in self._points(strategy, number)),
            accuracy=mean_with_interval(self.by_seed(strategy, number, "accuracy").values(), SHARE),
            average_accuracy=mean_with_interval(self.by_seed(strategy, number, "average_accuracy").values(), SHARE),
            difference=against("accuracy"),
            average_difference=against("average_accuracy"),
        )

    def _points(self, strategy: str, number: int) -> list[Point]:
        return [point for point in self.points if (point.strategy, point.round) == (strategy, number)]

    def by_seed(self, strategy: str, number: int, name: Figures) -> dict[int, float]:
        """A figure after a round, on the split to test or else on validation; nan where there is none."""
        key = name if self.tested else f"validation_{name}"
        found = {point.seed: getattr(point, key) for point in self._points(strategy, number)}
        return {seed: np.nan if value is None else float(value) for seed, value in found.items()}

    @property
    def caution(self) -> str:
        """What has to be known before a figure is believed, in a sentence; empty where there is nothing."""
        tested = max((point.tested or 0 for point in self.points), default=0)
        few = bool(self.tested) and 0 < tested < FEW
        return f"only {tested} test face{'s' * (tested != 1)}: with fewer than {FEW}, figures say little" if few else ""

    def curve_csv(self) -> str:
        """A row for each point."""
        return to_csv([asdict(point) for point in self.points])

    def table_csv(self) -> str:
        """A row for each line."""
        return to_csv([table_row(line) for line in self.lines])

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values for JSON; nan is null."""
        found = {entry.name: plain_values(getattr(self, entry.name)) for entry in fields(self)}
        return found | {"table": [plain_values(table_row(line)) for line in self.lines], "caution": self.caution}


def table_row(line: CurvePoint) -> dict[str, Any]:
    """The line as a row of table.csv: means under their names, `_sd`, `_low`, `_high`, `_p` and the like behind them."""
    row: dict[str, Any] = {"strategy": line.strategy, "round": line.round, "labels": line.labels.mean}
    row |= {"seeds": line.labels.count}
    for name in ("accuracy", "average_accuracy", "difference", "average_difference"):
        values: Mapping[str, float] = asdict(getattr(line, name))
        row |= {name if key == "mean" else f"{name}_{key}": value for key, value in values.items() if key != "count"}
    return row


def write_tables(found: Curve, out: Path) -> None:
    """Leave curve.csv and table.csv in the folder `out`."""
    write_aside(out / "curve.csv", found.curve_csv().encode())
    write_aside(out / "table.csv", found.table_csv().encode())


def draw(found: Curve) -> bytes:
    """PNG of accuracy and average accuracy over labels, a line per strategy, with 95 % t-intervals over three seeds or more."""
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


def _panel(axes: Axes, found: Curve, name: Figures) -> None:
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
            label=short(strategy).encode("ascii", "replace").decode(), color=color(number), marker=marker(number),
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
