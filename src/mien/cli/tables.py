"""Tables on a terminal, and how figures stand in their cells. Titles, headers and cells are text, shown as it is."""

from typing import TYPE_CHECKING, Any

import rich.table
from rich import box
from rich.console import RenderableType
from rich.style import StyleType
from rich.table import Column

from mien.terminal import plain_lines, terminal
from mien.wording import percent

if TYPE_CHECKING:
    from mien.evaluation.metrics import Interval

MOST_CELL = 400
"""Letters of a line in a table."""


class TextTable(rich.table.Table):
    """A table of rich whose title, headers and cells are text: brackets are no markup, control characters are written out."""

    def __init__(self, *headers: Column | str, title: str = "", **looks: Any) -> None:
        """`looks`: rich's settings."""
        shown = (_cell(header) if isinstance(header, str) else header for header in headers)
        super().__init__(*shown, title=_cell(title) or None, **looks)

    def add_row(self, *cells: RenderableType | None, style: StyleType | None = None, end_section: bool = False) -> None:
        """Add a row of texts."""
        shown = (_cell(cell) if isinstance(cell, str) else cell for cell in cells)
        super().add_row(*shown, style=style, end_section=end_section)


def narrow_table(*headers: Column | str, title: str) -> TextTable:
    """A table of many columns, with as little around them as can be."""
    return TextTable(*headers, title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))


def show_table(table: TextTable) -> None:
    """Print a table on standard output."""
    terminal().print(table)


def _cell(text: str) -> str:
    return plain_lines(text, MOST_CELL)


def percent_interval(interval: "Interval") -> str:
    """An interval of shares: `61.0% to 65.4%`."""
    return f"{percent(interval.low)} to {percent(interval.high)}"


def number_interval(interval: "Interval") -> str:
    """An interval of numbers: `0.41 to 0.63`; a dash for nan."""
    return f"{interval.low:.2f} to {interval.high:.2f}" if interval.low == interval.low else "-"


def figure(value: float, digits: int) -> str:
    """A number of so many digits after the point; a dash for nan."""
    return f"{value:.{digits}f}" if value == value else "-"
