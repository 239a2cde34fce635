"""Draws the diagrams of a comparison as SVG: accuracy over labels, noise and varied values, and paired differences."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.evaluation.report.figures import INK, LINE, TEXT, plain_axes, to_svg
from mien.experiments.grid import GridPoint
from mien.experiments.seed_statistics import Difference, TableLine
from mien.matplotlib_parts import Axes, Figure, MaxNLocator, PercentFormatter, Text
from mien.wording import percent, short_name

# Okabe and Ito's colors without yellow, which is too light for lines; with nine markers every pair is different.
COLORS = ("#000000", "#e69f00", "#0072b2", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "p")
PANEL = (3.9, 3.1)
"""Width and height of a panel in inches."""
MOST_BESIDE = 2
"""Most panels in a row."""
APART = 0.05
"""Distance between neighboring recipes' marks, in steps of the axis."""


@dataclass(frozen=True)
class AccuracyCurves:
    """A diagram of accuracy over one axis of the grid, with a panel for each point on the other axes."""

    name: str
    """The axis: `labels`, `noise`, or the varied key."""
    title: str
    label: str
    """The axis's label."""
    ticks: tuple[str, ...]
    """The axis's values in words."""
    panels: tuple["AccuracyPanel", ...]


@dataclass(frozen=True)
class AccuracyPanel:
    """A panel of a diagram: each recipe's results over the axis."""

    title: str
    lines: dict[str, tuple[TableLine | None, ...]]
    """(ticks,) results by the recipe's name; None where there is none."""


def accuracy_curves(lines: Sequence[TableLine]) -> list[AccuracyCurves]:
    """Diagrams over labels, noise and each varied number of which the grid has two values or more."""
    label = "labels in all" if any(line.point.total for line in lines) else "labels per class"
    labels = sorted({_labels(line.point) for line in lines}, key=_by_size)
    noise = sorted({line.point.noise for line in lines})
    made = [
        _curves(lines, "labels", label, labels, ["all" if n is None else str(n) for n in labels], _labels),
        _curves(lines, "noise", "flipped labels", noise, [percent(n, None, " %") for n in noise], lambda g: g.noise),
    ]
    for key in dict.fromkeys(key for line in lines for key, _ in line.point.varied):
        texts = {dict(line.point.varied)[key] for line in lines}
        if all(map(_is_number, texts)):
            values = sorted(texts, key=float)
            made.append(_curves(lines, key, key, values, values, _reader(key)))
    return [curves for curves in made if len(curves.ticks) > 1]


def _reader(key: str) -> Callable[[GridPoint], str]:
    return lambda point: dict(point.varied)[key]


def _labels(point: GridPoint) -> int | None:
    """The point's label budget, per class or in all; None for all labels."""
    return point.labels if point.total is None else point.total


def _by_size(labels: int | None) -> float:
    return math.inf if labels is None else labels


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _curves(
    lines: Sequence[TableLine],
    name: str,
    label: str,
    values: Sequence[Any],
    ticks: Sequence[str],
    read: Callable[[GridPoint], Any],
) -> AccuracyCurves:
    """The diagram over one axis; `read` gives a grid point's value on it."""
    panels: dict[str, dict[str, list[TableLine | None]]] = {}
    for line in lines:
        recipes = panels.setdefault(_other_axes(line.point, name), {})
        recipes.setdefault(line.recipe, [None] * len(values))[values.index(read(line.point))] = line
    made = tuple(AccuracyPanel(title, {name: tuple(row) for name, row in recipes.items()}) for title, recipes in panels.items())
    return AccuracyCurves(name, f"Accuracy over {label}", label, tuple(ticks), made)


def _other_axes(point: GridPoint, name: str) -> str:
    """A grid point's place on all axes but one, in words."""
    parts = [] if name == "labels" else [point.budget]
    flipped = f"{percent(point.noise, None, ' %')} of labels flipped" if point.noise else "no labels flipped"
    parts += [] if name == "noise" else [flipped]
    return ", ".join([*parts, *(f"{key} = {value}" for key, value in point.varied if key != name)])


def draw_accuracy_curves(curves: AccuracyCurves, recipes: Sequence[str]) -> bytes:
    """The diagram as SVG: mean accuracy over the axis, a line for each recipe, with 95 % t-intervals over seeds."""
    columns = min(MOST_BESIDE, len(curves.panels))
    rows = math.ceil(len(curves.panels) / columns)
    figure = Figure(figsize=(PANEL[0] * columns + 1.7, PANEL[1] * rows), layout="constrained")
    places = figure.subplots(rows, columns, sharey=True, squeeze=False, gridspec_kw={"hspace": 0.1}).ravel()
    for axes, panel in zip(places, curves.panels, strict=False):
        _panel(axes, panel, curves, recipes)
    for axes in places[len(curves.panels) :]:
        axes.set_visible(False)
    low, high = places[0].get_ylim()
    places[0].set_ylim(max(low, -0.02), min(high, 1.02))  # Of all: they share the axis.
    for axes in places[::columns]:
        axes.set_ylabel("accuracy", fontsize=TEXT, color=INK)
    handles = {label: handle for axes in places for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    legend = figure.legend(handles.values(), handles.keys(), loc="outside right upper", fontsize=TEXT, frameon=False)
    _literal(legend.get_texts())
    return to_svg(figure)


def _panel(axes: Axes, panel: AccuracyPanel, curves: AccuracyCurves, recipes: Sequence[str]) -> None:
    plain_axes(axes)
    steps = np.arange(len(curves.ticks))
    for number, recipe in enumerate(recipes):
        if recipe not in panel.lines:
            continue
        found = [line.accuracy if line else None for line in panel.lines[recipe]]
        mean = np.array([spread.mean if spread else np.nan for spread in found])
        if np.isnan(mean).all():
            continue
        below = [spread.mean - spread.low if spread else np.nan for spread in found]
        above = [spread.high - spread.mean if spread else np.nan for spread in found]
        shift = APART * (number - (len(recipes) - 1) / 2)
        # Without an interval (one seed, or two) a mark stands alone.
        axes.errorbar(
            steps + shift, mean, np.nan_to_num([below, above]), label=_ascii(recipe), color=color(number), marker=marker(number),
            markersize=5, linewidth=1.5, elinewidth=1.0, capsize=2.5,
        )  # fmt: skip
    axes.set_xticks(steps, [_ascii(tick) for tick in curves.ticks])
    axes.set_xlim(-0.4, len(steps) - 0.6)
    axes.set_xlabel(_ascii(curves.label), fontsize=TEXT, color=INK)
    axes.set_title(_ascii(panel.title), fontsize=TEXT, color=INK)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.grid(axis="y", color=LINE, linewidth=0.6)
    _literal([axes.title, axes.xaxis.label, *axes.get_xticklabels()])


def draw_differences(
    lines: Sequence[TableLine], recipes: Sequence[str], what: str, read: Callable[[TableLine], Difference]
) -> bytes:
    """Differences of accuracy to `what` as SVG, point by point, paired by seed, with 95 % t-intervals; `read` gives a line's."""
    grid_points = list(dict.fromkeys(line.point for line in lines))
    rows = [line for line in lines if read(line).pairs]
    shown = [recipe for recipe in recipes if recipe in {line.recipe for line in rows}]
    others = len(shown)
    figure = Figure(figsize=(7.4, 0.9 + (0.2 * others + 0.25) * len(grid_points)), layout="constrained")
    axes = figure.subplots()
    plain_axes(axes)
    axes.axvline(0, color=INK, linewidth=1.0, zorder=1)
    for line in rows:
        number, found = recipes.index(line.recipe), read(line)
        place = grid_points.index(line.point) + 0.8 * (shown.index(line.recipe) - (others - 1) / 2) / max(1, others)
        half = 0.0 if math.isnan(found.high) else found.high - found.mean
        axes.errorbar(
            [100 * found.mean], [place], xerr=[100 * half], label=_ascii(line.recipe), color=color(number), marker=marker(number),
            markersize=5, linestyle="", elinewidth=1.2, capsize=2.5,
        )  # fmt: skip
    for place in range(1, len(grid_points)):
        axes.axhline(place - 0.5, color=LINE, linewidth=0.6)
    axes.set_yticks(range(len(grid_points)), [_ascii(str(point)) for point in grid_points])
    axes.set_ylim(len(grid_points) - 0.5, -0.5)
    axes.set_xlabel(f"accuracy minus {_ascii(what)}, percentage points", fontsize=TEXT, color=INK)
    axes.grid(axis="x", color=LINE, linewidth=0.6)
    handles = {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    legend = figure.legend(handles.values(), handles.keys(), loc="outside right upper", fontsize=TEXT, frameon=False)
    _literal([axes.xaxis.label, *axes.get_yticklabels(), *legend.get_texts()])
    return to_svg(figure)


def color(number: int) -> str:
    """The color of the recipe with this number."""
    return COLORS[number % len(COLORS)]


def marker(number: int) -> str:
    """The marker of the recipe with this number."""
    return MARKERS[number % len(MARKERS)]


def _ascii(text: str) -> str:
    """The text without letters that the drawn font may lack."""
    return short_name(text).encode("ascii", "replace").decode()


def _literal(texts: Sequence[Text]) -> None:
    """Draw texts as they are: a dollar sign in a name begins no formula."""
    for text in texts:
        text.set_parse_math(False)
