"""What people see in a terminal: bars and tables. Bars go to the error stream, so that output stays clean.

Names in them are text, whoever wrote them: brackets are no markup, and control characters are written out.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any

import rich.table
from rich import box
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.style import StyleType
from rich.table import Column
from rich.text import Text

from mien.plain import LINE, counted, plain

if TYPE_CHECKING:
    from mien.data.describe import Description
    from mien.evaluation.evaluation_result import Evaluation
    from mien.evaluation.intensity_correlation import IntensityCorrelations
    from mien.evaluation.metrics import Interval
    from mien.evaluation.sample_weights import SampleWeights
    from mien.experiments.adaptation.judgment import Adapted
    from mien.experiments.comparison import Comparison
    from mien.experiments.seed_statistics import TableLine

MOST_NAME = 24
"""Letters of a recipe's name that a table keeps room for."""
MOST_CELL = 400
"""Letters of a line in a table."""


def lines(text: str, most: int = MOST_CELL) -> str:
    """Lines of plain text, each cut after so many letters."""
    return "\n".join(plain(line, most) for line in text.split("\n"))


def terminal(to_errors: bool = False, quiet: bool = False) -> Console:
    """Where people see something. Neither brackets nor names of pictures between colons are markup in it."""
    return Console(stderr=to_errors, quiet=quiet, markup=False, emoji=False)


class Table(rich.table.Table):
    """One whose title, headers and cells are text, shown as it is."""

    def __init__(self, *headers: Column | str, title: str = "", **looks: Any) -> None:
        """`looks`: rich's settings."""
        shown = (lines(header) if isinstance(header, str) else header for header in headers)
        super().__init__(*shown, title=lines(title) or None, **looks)

    def add_row(self, *cells: RenderableType | None, style: StyleType | None = None, end_section: bool = False) -> None:
        """A row of texts."""
        shown = (lines(cell) if isinstance(cell, str) else cell for cell in cells)
        super().add_row(*shown, style=style, end_section=end_section)


class _Speed(ProgressColumn):
    """Of what the bar counts, per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s")


class _Left(ProgressColumn):
    """Time until the bar is full."""

    def render(self, task: Task) -> Text:
        if task.finished or task.time_remaining is None:
            return Text("")
        return Text(f"{timedelta(seconds=int(task.time_remaining))} to the bar's end")


class Bar:
    """Progress of long work as a bar with speed and time left; silent where `quiet`.

    `single`: a new bar takes the place of the last, for work of more parts than a screen has lines.
    """

    def __init__(self, quiet: bool = False, single: bool = False) -> None:
        console = terminal(to_errors=True, quiet=quiet)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            _Speed(),
            TimeElapsedColumn(),
            _Left(),
        )
        self._progress = Progress(*columns, console=console, disable=quiet or not console.is_terminal)
        self._console, self._quiet, self._task = console, quiet, TaskID(0)
        self._single, self._title = single, ""

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def begin(self, title: str, total: int) -> None:
        """A new bar."""
        if self._single:
            for task in self._progress.task_ids:
                self._progress.remove_task(task)
        self._title = plain(title)
        self._task = self._progress.add_task(self._title, total=total or None)

    def part(self, text: str) -> None:
        """Which part of the bar's work is done now."""
        self._progress.update(self._task, description=f"{self._title}, {plain(text)}")

    def advance(self, faces: int) -> None:
        """So many more."""
        self._progress.advance(self._task, faces)

    def reached(self, done: int, total: int) -> None:
        """So many in all."""
        self._progress.update(self._task, completed=done, total=total or None)

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._console.print(lines(text, LINE), highlight=False, soft_wrap=True)


def show(table: Table) -> None:
    """Print a table."""
    terminal().print(table)


def live() -> Live:
    """Lines that take each other's place."""
    return Live(console=terminal(), auto_refresh=False, transient=True)


def count_table(found: "Description") -> Table:
    """Faces per class and split, and their sums."""
    table = Table("class", *found.splits, "all")
    for name, column in zip(found.classes, found.counts.T, strict=True):
        table.add_row(name, *map(str, column), str(column.sum()))
    table.add_row("all", *map(str, found.counts.sum(axis=1)), str(found.counts.sum()))
    return table


def recipe_table(titles: Mapping[str, str]) -> Table:
    """Recipes and what they are."""
    table = Table("recipe", "what it is")
    for name, title in titles.items():
        table.add_row(name, title)
    return table


def answer_table(answers: Mapping[str, Sequence[str]]) -> Table:
    """Questions and the techniques that answer them."""
    table = Table("question", "answers")
    for question, names in answers.items():
        table.add_row(question, ", ".join(names))
    return table


def evaluation_tables(found: "Evaluation") -> list[Table]:
    """Headline figures with intervals, recall per class, and groups where there are any."""
    head = Table("figure", "value", "95 % interval", title=f"{found.dataset}, {found.split}: {counted(found.count, 'face')}")
    figures = {"accuracy": "accuracy", "average_accuracy": "average accuracy", "macro_f1": "macro F1"}
    figures |= {"ece_before": "calibration error", "ece_after": "  after temperature scaling"}
    for name, title in figures.items():
        between = found.intervals[name]
        head.add_row(title, f"{getattr(found, name):.1%}", f"{between.low:.1%} to {between.high:.1%}")
    if found.second == found.second:  # nan where no face is wrong
        between = found.intervals["second"]
        head.add_row("mistakes whose second class is right", f"{found.second:.1%}", f"{between.low:.1%} to {between.high:.1%}")
    classes = Table("class", "faces", "recall")
    for name, recall, row in zip(found.classes, found.recalls, found.confusion, strict=True):
        classes.add_row(name, str(row.sum()), f"{recall:.1%}" if row.sum() else "-")
    tables = [head, classes]
    if found.groups:
        groups = Table(found.groups[0].column, "faces", "accuracy", "95 % interval", "average accuracy")
        for group in found.groups:
            between = group.intervals["accuracy"]
            cells = (f"{group.accuracy:.1%}", f"{between.low:.1%} to {between.high:.1%}", f"{group.average_accuracy:.1%}")
            groups.add_row(group.value, str(group.count), *cells)
        tables.append(groups)
    return tables


def weight_table(found: "SampleWeights") -> Table:
    """Faces, mean and lowest weight per class."""
    table = Table("class", "faces", "mean weight", "lowest weight")
    for entry in found.classes:
        values = (f"{entry.mean:.3f}", f"{entry.lowest:.3f}") if entry.count else ("-", "-")
        table.add_row(entry.name, str(entry.count), *values)
    return table


def adapted_table(found: "Adapted") -> Table:
    """Share of the faces of each class that is named right, before and after, and the means."""
    table = Table("class", "faces", "before", "after")
    for line in found.lines:
        before = "new" if line.name in found.new else f"{line.before:.1%}"
        table.add_row(line.name, str(line.faces), before, f"{line.after:.1%}")
    table.add_section()
    table.add_row("mean over classes", "", f"{found.average_before:.1%}", f"{found.average_after:.1%}")
    table.add_row("known classes, as frequent as the model knew them", "", f"{found.before:.1%}", f"{found.after:.1%}")
    return table


def growth_tables(found: "IntensityCorrelations") -> list[Table]:
    """Rank correlations of probability and intensity: over all faces, by class, and within sequences where there are any."""
    bounds, title = "95 % interval", f"{found.dataset}, {found.split}"
    faces = Table("expression", "faces", "rank correlation", bounds, title=title)
    for entry in (found.overall, *found.classes):
        faces.add_row(entry.name, str(entry.count), _correlation(entry.value), _between(entry.interval))
    within, tables = found.sequences, [faces]
    if within.count:
        sequences = Table(f"within {counted(within.count, 'sequence')}", "value", bounds)
        sequences.add_row("median rank correlation", _correlation(within.median), _between(within.median_interval))
        shares = within.above_interval
        sequences.add_row("above 0", f"{within.above:.1%}", f"{shares.low:.1%} to {shares.high:.1%}")
        tables.append(sequences)
    return tables


def _correlation(value: float) -> str:
    return f"{value:.2f}" if value == value else "-"


def _between(interval: "Interval") -> str:
    return f"{interval.low:.2f} to {interval.high:.2f}" if interval.low == interval.low else "-"


def comparison_tables(found: "Comparison") -> list[Table]:
    """A table for each place of the grid, the recipes below each other."""
    tables = []
    for point in dict.fromkeys(line.point for line in found.lines):
        lines = [line for line in found.lines if line.point == point]
        noisy = any(line.lost_to_noise.count for line in lines)
        extra = ["lost to\nnoise"] if noisy else []
        title = f"{point}; difference to {found.grid.names[0]}"
        recipe = Column("recipe", no_wrap=True, min_width=min(MOST_NAME, max(len(line.recipe) for line in lines)))
        table = Table(
            recipe, "n", "accuracy\n± SD", "difference\n(95 %)", "p", "average", *extra, "best seed\non test",
            title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
        )  # fmt: skip
        for line in lines:
            table.add_row(*comparison_cells(line, noisy))
        tables.append(table)
    return tables


def comparison_cells(line: "TableLine", noisy: bool) -> list[str]:
    """A recipe's row; a dash where there is nothing."""
    difference, sd = line.difference, line.accuracy.sd
    between = f"\n({100 * difference.low:+.1f} to {100 * difference.high:+.1f})" if difference.low == difference.low else ""
    cells = [line.recipe, str(line.accuracy.count), _percent(line.accuracy.mean) + (f"\n± {100 * sd:.1f}" if sd == sd else "")]
    cells += [f"{100 * difference.mean:+.1f}{between}" if difference.pairs else "-"]
    cells += [f"{difference.p:.3f}" if difference.p == difference.p else "-", _percent(line.average_accuracy.mean)]
    return [*cells, *([_percent(line.lost_to_noise.mean)] if noisy else []), _percent(line.best_seed_on_test)]


def _percent(share: float) -> str:
    return f"{share:.1%}" if share == share else "-"
