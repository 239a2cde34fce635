"""A table of a paper that was made: what was measured beside what is printed."""

from dataclasses import dataclass
from typing import Any

from mien.experiments.paper_tables.commands import PAPERS_SPLIT, TableRequest
from mien.experiments.paper_tables.entries import PaperTable
from mien.experiments.paper_tables.measured import MeasuredFigure


@dataclass(frozen=True)
class MadeTable:
    """A table with what was measured beside each printed figure."""

    table: PaperTable
    asked: TableRequest
    figures: tuple[MeasuredFigure, ...]
    failed: tuple[str, ...]
    """Commands of which a part failed, as they would be typed."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before the figures are compared, in sentences."""
        small = "small recipes, faces of 48 pixels and few epochs: it shows that all works, and is no measure of the paper"
        lacked = [name for name in self.table.further if name not in self.asked.there]
        without = f"not at hand: {', '.join(lacked)}; figures on them are missing, and what learns from them does without"
        split = self.asked.split or PAPERS_SPLIT
        other = split != PAPERS_SPLIT and f"tested on {split}, the paper on {PAPERS_SPLIT}"
        said = (self.asked.small and small, other, lacked and without, self.table.departs)
        return tuple(text for text in said if text)

    @property
    def intervals(self) -> str:
        """What the intervals are over, in words; empty where there is none."""
        return " or ".join(sorted({one.over for one in self.figures if one.over}, reverse=True))

    def rows(self) -> list[dict[str, Any]]:
        """A row for each figure, by the columns of table.csv."""
        return [
            {
                "method": one.printed.method,
                "setting": one.printed.setting,
                "what": one.printed.what,
                "published": one.printed.figure,
                "measured": one.mean,
                "low": one.low,
                "high": one.high,
                "difference": one.difference,
                "unit": one.printed.unit,
                "seeds": one.seeds,
                "over": one.over,
                "recipe": one.recipe,
                "network": one.network,
                "published_network": one.printed.network,
                "database": one.printed.database,
            }
            for one in self.figures
        ]
