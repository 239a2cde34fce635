"""The results of a comparison, as tables and JSON."""

from dataclasses import dataclass, fields
from typing import Any

from mien.experiments.published import PublishedFigure, published_beside, published_in_words
from mien.experiments.run_results import RunResult, runs_csv, to_csv
from mien.experiments.seed_statistics import TableLine, table_csv_row
from mien.experiments.settings import Grid
from mien.json_text import plain_values


@dataclass(frozen=True)
class Comparison:
    """A grid and its results so far."""

    faces: str
    """Name of the face set."""
    others: str
    """Name of the further set whose faces were used without labels; empty where there was none."""
    grid: Grid
    runs: int
    """Number of runs that the grid asks for."""
    done: int
    """Number of runs that are done."""
    results: tuple[RunResult, ...]
    """A row for each recipe, grid point and seed; a run that stands at several varied values has a row for each."""
    lines: tuple[TableLine, ...]
    """A row for each recipe and grid point, over seeds."""
    published: tuple[PublishedFigure, ...] = ()
    """Figures that papers report on these faces."""
    notes: tuple[str, ...] = ()
    """What somebody may want to know of the grid, in sentences."""
    cautions: tuple[str, ...] = ()
    """What to know before a figure is believed, in sentences."""
    classes: tuple[str, ...] = ()
    """The classes that are learned."""
    arms: tuple[str, ...] = ()
    """Names of what is compared, the recipes and their controls, in order."""
    tested_on: str = ""
    """Name of the face set that was tested on."""

    @property
    def failed(self) -> tuple[RunResult, ...]:
        """The runs that failed, each once."""
        return tuple({result.run: result for result in self.results if result.failed}.values())

    @property
    def pooled(self) -> tuple[RunResult, ...]:
        """The results over all folds; none where a split was tested on."""
        return tuple(result for result in self.results if result.folds and not result.failed)

    @property
    def split(self) -> str:
        """The split that was tested on, or the folds, in words."""
        return self.grid.split or (f"{self.grid.folds} folds of people" if self.grid.folds else "")

    @property
    def tested_in_words(self) -> str:
        """The split that was tested on, and the set where it is another one."""
        other = self.grid.test_on is not None and self.tested_on != self.faces
        return f"{self.split} of {self.tested_on}" if other else self.split

    def beside(self, line: TableLine) -> tuple[str, ...]:
        """The published figures of the line's recipe, labels and noise, in words."""
        known = published_beside(self.published, line.recipe, line.point)
        return tuple(published_in_words(entry, self.split, self.network(line)) for entry in known)

    def network(self, line: TableLine) -> str:
        """The network of the line's recipe; empty where no run says it."""
        return next((result.network for result in self.results if result.recipe == line.recipe), "")

    def runs_csv(self) -> str:
        """The content of runs.csv: a row for each of `results`."""
        return runs_csv(self.results)

    def table_csv(self) -> str:
        """The content of table.csv: a row for each of `lines`, published figures in the last column."""
        words = [" | ".join(self.beside(line)) for line in self.lines]
        return to_csv([self._row(line) | {"published": text} for line, text in zip(self.lines, words, strict=True)])

    def _row(self, line: TableLine) -> dict[str, Any]:
        return table_csv_row(line) | {"tested_on": self.tested_on, "tested_split": self.split}

    def to_json(self) -> dict[str, Any]:
        """The whole comparison as plain values for JSON; nan is null."""
        found: dict[str, Any] = {
            entry.name: plain_values(getattr(self, entry.name)) for entry in fields(self) if entry.name not in ("grid", "lines")
        }
        found["table"] = [plain_values(self._row(line)) for line in self.lines]
        return found | {"failed": [plain_values(result) for result in self.failed]}
