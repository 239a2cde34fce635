"""Writes the report of a comparison: report.html, and its diagrams as SVG files."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.disk import write_atomically
from mien.evaluation.report.report_page import (
    DASH,
    EmbeddedPicture,
    data_uri,
    spaced_percent,
    with_thousands,
)
from mien.experiments.comparison_result import Comparison
from mien.experiments.grid import GridPoint
from mien.experiments.report.confusions import confusions_side_by_side
from mien.experiments.report.figures import AccuracyCurves, accuracy_curves, draw_accuracy_curves, draw_differences
from mien.experiments.seed_statistics import Difference, Spread, TableLine
from mien.html_pages import page_templates
from mien.wording import MINUS, percent, percentage_points


@dataclass(frozen=True)
class GridPointTable:
    """A table of the page: the recipes at one grid point."""

    point: GridPoint
    labels: str
    """The label budget in words."""
    lines: tuple[TableLine, ...]
    """Results, one recipe a line."""
    published: tuple[str, ...]
    """Published figures that stand beside these, in words."""


@dataclass(frozen=True)
class RecipeCost:
    """How long the runs of a recipe took."""

    recipe: str
    network: str
    runs: int
    """Number of finished runs."""
    seconds: float
    """Mean seconds of a run; nan where none is finished."""
    factor: float
    """How many times as long as the first recipe's runs, over the grid points and seeds that both have."""


def write_comparison(found: Comparison, out: Path) -> None:
    """Write report.html, which needs no other file, and its diagrams as SVG files into the folder `out`."""
    curves = accuracy_curves(found.lines)
    drawn = {f"curves-{_file_name(entry.name)}.svg": draw_accuracy_curves(entry, found.arms) for entry in curves}
    captions = dict(zip(drawn, (_curves_alt(entry) for entry in curves), strict=True))
    titles = dict(zip(drawn, (entry.title for entry in curves), strict=True))
    if any(line.difference.pairs for line in found.lines):
        name, first = "differences.svg", found.grid.names[0]
        drawn[name] = draw_differences(found.lines, found.arms, f"that of {first}", lambda line: line.difference)
        titles[name] = f"Difference to {first}, paired by seed"
        captions[name] = _difference_alt(found.lines, f"that of {first}", lambda line: line.difference)
    if any(line.control_difference.pairs for line in found.lines):
        name = "differences-control.svg"
        drawn[name] = draw_differences(found.lines, found.arms, "that of its control", lambda line: line.control_difference)
        titles[name] = "Difference of each recipe to its own control, paired by seed"
        captions[name] = _difference_alt(found.lines, "that of its control", lambda line: line.control_difference)
    pictures = [
        EmbeddedPicture(data_uri(content, "svg+xml"), captions[name], titles[name], name) for name, content in drawn.items()
    ]
    page = comparison_html(found, pictures)
    for name, content in drawn.items():
        write_atomically(out / name, content)
    for path in (*out.glob("curves-*.svg"), *out.glob("differences*.svg")):
        if path.name not in drawn:
            path.unlink()  # Of a grid that was asked here before.
    write_atomically(out / "report.html", page.encode())


def comparison_html(found: Comparison, pictures: Sequence[EmbeddedPicture]) -> str:
    """The comparison's page as HTML. Everything that is put into it is escaped; pictures are data URIs."""
    filters = (spaced_percent, with_thousands, bounds, points, signed, p_in_words, seconds_in_words)
    templates = page_templates("mien.experiments.report", "mien.evaluation.report", filters=filters)
    grouped = grid_point_tables(found)
    return templates.get_template("comparison.html.j2").render(
        found=found,
        first=found.grid.names[0],
        controlled=any(line.control_of for line in found.lines),
        tables=grouped,
        pictures=pictures,
        noisy=[table for table in grouped if any(line.lost_to_noise.count for line in table.lines)],
        doubted=[table for table in grouped if any(line.weight_auroc.count for line in table.lines)],
        confusions=confusions_side_by_side(found),
        costs=recipe_costs(found),
        facts=measurement_facts(found),
        published=[(entry, entry.marks(found.split)) for entry in found.published],
        tested=sorted({result.tested for result in found.results if result.tested}),
    )


def bounds(found: Spread | Difference) -> str:
    """The ends of an interval in percent or percentage points, `-9.2 to 14.7`; empty for nan."""
    return "" if found.low != found.low else f"{points(found.low)} to {points(found.high)}"


def points(share: float) -> str:
    """A share in percent or percentage points, `12.3`; a dash for nan."""
    return percent(share, sign="", unknown=DASH, minus=MINUS)


def signed(share: float) -> str:
    """A difference in percentage points with its sign, `+1.2`; a dash for nan."""
    return percentage_points(share, DASH, MINUS)


def p_in_words(p: float) -> str:
    """A p value, `0.03`; a dash for nan."""
    if p != p:
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def seconds_in_words(seconds: float) -> str:
    """Seconds in words, `73.0 s` or `12.5 min`; a dash for nan."""
    if seconds != seconds:
        return DASH
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def grid_point_tables(found: Comparison) -> list[GridPointTable]:
    """A table for each grid point."""
    return [_table(found, point) for point in dict.fromkeys(line.point for line in found.lines)]


def _table(found: Comparison, point: GridPoint) -> GridPointTable:
    lines = tuple(line for line in found.lines if line.point == point)
    known = dict.fromkeys(words for line in lines for words in found.beside(line))
    budgets = dict.fromkeys(_budget(line) for line in lines if line.accuracy.count)
    return GridPointTable(point, "; ".join(budgets), lines, tuple(known))


def _budget(line: TableLine) -> str:
    train, validation = round(line.train_labels), round(line.validation_labels)
    total = f"{with_thousands(train + validation)} label{'s' * (train + validation != 1)}"
    return f"{with_thousands(train)} train + {with_thousands(validation)} validation = {total}"


def recipe_costs(found: Comparison) -> list[RecipeCost]:
    """Mean seconds of each recipe's runs, also as a factor of the first recipe's where both were run."""
    made = []
    runs = {recipe: {result.run: result for result in found.results if result.recipe == recipe} for recipe in found.arms}
    first = {(result.point, result.seed): result.seconds for result in found.results if result.recipe == found.grid.names[0]}
    for recipe, mine in runs.items():
        known = [result.seconds for result in mine.values() if result.seconds is not None]
        both = [
            (result.seconds, first.get((result.point, result.seed)))
            for result in found.results
            if result.recipe == recipe and result.seconds is not None
        ]
        pairs = [(seconds, other) for seconds, other in both if other]
        factor = sum(seconds for seconds, _ in pairs) / sum(other for _, other in pairs) if pairs else float("nan")
        networks = ", ".join(sorted({result.network for result in mine.values()}))
        made.append(RecipeCost(recipe, networks, len(known), sum(known) / len(known) if known else float("nan"), factor))
    return made


def measurement_facts(found: Comparison) -> dict[str, str]:
    """How the comparison was measured, in words by topic."""
    grid, results = found.grid, found.results
    unlabeled = {
        recipe: sorted({result.unlabeled_faces for result in results if result.recipe == recipe and result.unlabeled_faces})
        for recipe in found.arms
    }
    made = {"recipes": ", ".join(grid.recipes), "seeds": f"0 to {grid.seeds - 1}" if grid.seeds > 1 else "0"}
    made["networks"] = ", ".join(sorted({result.network for result in results}))
    made["epochs"] = "as each recipe says" if grid.epochs is None else f"{grid.epochs} for every recipe"
    if grid.settings:
        made["changed in every recipe"] = ", ".join(f"{key} = {value}" for key, value in grid.settings.items())
    used = [f"{name} {_range(counts)}" for name, counts in unlabeled.items() if counts]
    made["faces without labels"] = ", ".join(used) or "none"
    if found.others:
        made["further faces without labels"] = found.others
    made["transductive"] = "yes" if any(result.transductive for result in results) else "no"
    made["machine"] = "; ".join(sorted({result.machine for result in results if result.machine})) or DASH
    return made


def _range(counts: Sequence[int]) -> str:
    return with_thousands(counts[0]) if len(counts) == 1 else f"{with_thousands(counts[0])} to {with_thousands(counts[-1])}"


def _curves_alt(curves: AccuracyCurves) -> str:
    """A diagram of accuracy in words: every mean."""
    panels = [
        f"{panel.title}: " * bool(panel.title)
        + "; ".join(f"{recipe} {', '.join(_mean(line) for line in lines)}" for recipe, lines in panel.lines.items())
        for panel in curves.panels
    ]
    return f"{curves.title} ({', '.join(curves.ticks)}). {'. '.join(panels)}"


def _mean(line: TableLine | None) -> str:
    return spaced_percent(float("nan") if line is None else line.accuracy.mean)


def _difference_alt(lines: Iterable[TableLine], what: str, read: Callable[[TableLine], Difference]) -> str:
    """A diagram of differences in words."""
    words = [
        f"{line.recipe}, {line.point}: {signed(read(line).mean)} ({bounds(read(line))})" for line in lines if read(line).pairs
    ]
    return f"Accuracy minus {what}, percentage points: {'; '.join(words)}"


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]+", "_", name)
