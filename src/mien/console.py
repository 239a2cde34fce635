"""What people see in a terminal: bars and tables. Bars go to the error stream, so that output stays clean."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from mien.data.describe import Description
    from mien.evaluation.result import Evaluation


class _Speed(ProgressColumn):
    """Faces per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} faces/s")


class Bar:
    """Progress of long work as a bar with speed and time left; silent where `quiet`."""

    def __init__(self, quiet: bool = False) -> None:
        console = Console(stderr=True, quiet=quiet)
        columns = (TextColumn("{task.description}"), BarColumn(), _Speed(), TimeElapsedColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, disable=quiet or not console.is_terminal)
        self._console, self._quiet, self._task = console, quiet, TaskID(0)

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def begin(self, title: str, total: int) -> None:
        """A new bar."""
        self._task = self._progress.add_task(title, total=total or None)

    def advance(self, faces: int) -> None:
        """So many more."""
        self._progress.advance(self._task, faces)

    def reached(self, done: int, total: int) -> None:
        """So many in all."""
        self._progress.update(self._task, completed=done, total=total or None)

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._console.print(text, highlight=False, soft_wrap=True)


def show(table: Table) -> None:
    """Print a table."""
    Console().print(table)


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
    head = Table("figure", "value", "95 % interval", title=f"{found.dataset}, {found.split}: {found.count} faces")
    figures = {"accuracy": "accuracy", "average_accuracy": "average accuracy", "macro_f1": "macro F1"}
    figures |= {"ece_before": "calibration error", "ece_after": "  after temperature scaling"}
    for name, title in figures.items():
        between = found.intervals[name]
        head.add_row(title, f"{getattr(found, name):.1%}", f"{between.low:.1%} to {between.high:.1%}")
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
