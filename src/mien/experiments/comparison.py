"""What a grid gave, as tables and JSON."""

from dataclasses import dataclass, fields
from typing import Any

from mien.experiments.grid import Grid
from mien.experiments.published import Published, beside, in_words
from mien.experiments.results import RunResult, runs_csv, to_csv
from mien.experiments.statistics import TableLine, table_row
from mien.json_text import plain_values


@dataclass(frozen=True)
class Comparison:
    """A grid and its results, which may be those of a part of it while it runs."""

    faces: str
    """Name of the face set."""
    others: str
    """Name of the further set whose faces were used without labels; empty where there was none."""
    grid: Grid
    runs: int
    """Number of runs that the grid asks for."""
    done: int
    """Number of those that are over."""
    results: tuple[RunResult, ...]
    """A row for each recipe, place and seed; a run that stands at several varied values has one for each."""
    lines: tuple[TableLine, ...]
    """A row for each recipe and place, over seeds."""
    published: tuple[Published, ...] = ()
    """Figures that papers report on these faces."""
    notes: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    """What has to be known before a figure is believed, in sentences."""

    @property
    def failed(self) -> tuple[RunResult, ...]:
        """The runs that failed, each once."""
        return tuple({result.run: result for result in self.results if result.failed}.values())

    @property
    def split(self) -> str:
        """That was tested on."""
        return self.grid.split or ""

    def beside(self, line: TableLine) -> tuple[str, ...]:
        """The published figures of the line's recipe, labels and noise, in words."""
        known = beside(self.published, line.recipe, line.group)
        return tuple(in_words(entry, self.split, self.network(line)) for entry in known)

    def network(self, line: TableLine) -> str:
        """The network of the line's recipe; empty where no run says it."""
        return next((result.network for result in self.results if result.recipe == line.recipe), "")

    def runs_csv(self) -> str:
        """A row for each of `results`."""
        return runs_csv(self.results)

    def table_csv(self) -> str:
        """A row for each of `lines`, published figures in the last column."""
        words = [" | ".join(self.beside(line)) for line in self.lines]
        return to_csv([table_row(line) | {"published": text} for line, text in zip(self.lines, words, strict=True)])

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values for JSON; nan is null."""
        found: dict[str, Any] = {
            entry.name: plain_values(getattr(self, entry.name)) for entry in fields(self) if entry.name not in ("grid", "lines")
        }
        found["table"] = [plain_values(table_row(line)) for line in self.lines]
        return found | {"failed": [plain_values(result) for result in self.failed]}
