"""What people see in a terminal while work goes on: a progress bar, and lines that take each other's place.

Bars go to the error stream, so that output stays clean. Names in them are text, whoever wrote them: brackets are no markup, and
control characters are written out.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from mien.text_curve import history_curve
from mien.wording import LINE_LETTERS, plain_text

MOST_CURVE = 100
"""Letters of a line of a curve."""


def plain_lines(text: str, most: int = LINE_LETTERS) -> str:
    """Lines of plain text, each cut after `most` letters."""
    return "\n".join(plain_text(line, most) for line in text.split("\n"))


def terminal(to_errors: bool = False, quiet: bool = False) -> Console:
    """The terminal of standard output, or of standard error. Brackets and names of pictures between colons are no markup."""
    return Console(stderr=to_errors, quiet=quiet, markup=False, emoji=False)


def live() -> Live:
    """Lines on the terminal that take each other's place."""
    return Live(console=terminal(), auto_refresh=False, transient=True)


class _Speed(ProgressColumn):
    """How much a bar counts in a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s")


class _Left(ProgressColumn):
    """The time until a bar is full."""

    def render(self, task: Task) -> Text:
        if task.finished or task.time_remaining is None:
            return Text("")
        return Text(f"{timedelta(seconds=int(task.time_remaining))} to the bar's end")


class _Bars(Progress):
    """Bars, and below them the curve of what is trained."""

    curve = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.curve:
            yield Text(self.curve, no_wrap=True)


class ProgressBar:
    """A `Progress` that draws a bar with speed and time left, as a context manager; silent where `quiet`.

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
        self._progress = _Bars(*columns, console=console, disable=quiet or not console.is_terminal)
        self._console = console
        self._task = TaskID(0)
        self._single = single
        self._title = ""

    def __enter__(self) -> "ProgressBar":
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def begin(self, title: str, total: int) -> None:
        """Draw a new bar with this title, full at `total` (0: unknown)."""
        if self._single:
            for task in self._progress.task_ids:
                self._progress.remove_task(task)
        self._title = plain_text(title)
        self._task = self._progress.add_task(self._title, total=total or None)

    def part(self, text: str) -> None:
        """Show beside the title which part of the work is done now."""
        self._progress.update(self._task, description=f"{self._title}, {plain_text(text)}")

    def advance(self, faces: int) -> None:
        """Fill the bar by so many more."""
        self._progress.advance(self._task, faces)

    def reached(self, done: int, total: int) -> None:
        """Fill the bar to `done` of `total` (0: unknown)."""
        self._progress.update(self._task, completed=done, total=total or None)

    def epoch(self, name: str, history: Sequence[Mapping[str, float]]) -> None:
        """Draw the curve of what is trained below the bar; on a terminal alone."""
        if not self._progress.disable:
            options = self._console.options
            lines = history_curve(history, min(options.max_width, MOST_CURVE), options.ascii_only)
            head = [f"{plain_text(name)}: {line}" if name else line for line in lines[:1]]
            self._progress.curve = "\n".join([*head, *lines[1:]])

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(plain_lines(text), highlight=False, soft_wrap=True)
