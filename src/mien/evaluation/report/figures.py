"""The report's diagrams as SVG files. No text of a user's is drawn: names stand in the page, in its own fonts."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mien.evaluation.metrics import Reliability
from mien.matplotlib_parts import Axes, Figure, MaxNLocator, PercentFormatter

# Okabe and Ito's colors, which every kind of color vision tells apart.
BLUE, ORANGE, GREEN, INK, LINE = "#0072b2", "#e69f00", "#009e73", "#3b4252", "#c9ced6"
SIZE = (4.2, 3.0)
TEXT = 9.0
FEW = 12
"""Up to so many epochs each is marked by a dot; of more, those whose neighbors have no value."""


@dataclass(frozen=True)
class Curve:
    """A value per epoch out of the history, as a panel draws it."""

    key: str
    label: str
    color: str
    line: Literal["-", "--", ":"] = "-"


@dataclass(frozen=True)
class Panel:
    """A diagram of curves over the epochs."""

    title: str
    curves: tuple[Curve, ...]
    percent: bool = False
    logarithmic: bool = False


PANELS = (
    Panel("Loss", (Curve("loss", "training", BLUE), Curve("validation_loss", "validation", ORANGE, "--"))),
    Panel(
        "Validation accuracy",
        (
            Curve("validation_accuracy", "accuracy", BLUE),
            Curve("validation_average_accuracy", "average accuracy", ORANGE, "--"),
        ),
        percent=True,
    ),
    Panel("Learning rate", (Curve("lr", "learning rate", GREEN),), logarithmic=True),
    Panel(
        "Pseudo-labels",
        (
            Curve("pseudo_label_accuracy", "share that is right", BLUE),
            Curve("pseudo_label_share", "faces given one", ORANGE, "--"),
            Curve("threshold", "threshold", GREEN, ":"),
        ),
        percent=True,
    ),
    Panel("Updates kept", (Curve("acceptance", "updates kept", BLUE),), percent=True),
    Panel("Temperature of annealing", (Curve("temperature", "temperature", ORANGE),)),
    Panel("Faces replaced", (Curve("replaced", "faces replaced", BLUE),)),
    Panel("Mean sample weight", (Curve("weight", "mean sample weight", BLUE),)),
)
"""What a report draws of the history, each where any epoch has it: what techniques note stands beside what every run has."""


def known_curves(panel: Panel, history: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """Those of the panel's curves for which any epoch has a finite value."""
    return [curve for curve in panel.curves if np.isfinite(_values(curve, history)).any()]


def last_value(curve: Curve, history: Sequence[Mapping[str, Any]]) -> float:
    """The curve's last finite value; there has to be one."""
    values = _values(curve, history)
    return float(values[np.isfinite(values)][-1])


def draw_curves(panel: Panel, history: Sequence[Mapping[str, Any]]) -> bytes:
    """SVG of the panel over the epochs of `history`, one after the other; a vertical line where a stage begins."""
    figure, axes = _blank()
    epochs = np.arange(1, len(history) + 1)
    curves = known_curves(panel, history)
    for curve in curves:
        found = _values(curve, history)
        marked = _marked(found)
        axes.plot(
            epochs, found, label=curve.label, color=curve.color, linewidth=1.6, linestyle=curve.line,
            marker="o" if marked else "", markersize=3.5, markevery=marked,
            clip_on=False,
        )  # fmt: skip
    stages = [entry.get("stage", 0) for entry in history]
    for place in np.flatnonzero(np.diff(stages)):
        axes.axvline(place + 1.5, color=LINE, linewidth=1.0, zorder=0)
    axes.set_xlabel("epoch", fontsize=TEXT, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True))
    axes.set_xlim(0.5, len(history) + 0.5)
    values = np.concatenate([_values(curve, history) for curve in curves])
    if panel.percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, 0.0), min(high, 1.0))
    # Steps by factors of ten are seen on a logarithmic scale alone; 0 has no place on one.
    if panel.logarithmic and 0 < 5 * np.nanmin(values) < np.nanmax(values):
        axes.set_yscale("log")
    axes.grid(axis="y", color=LINE, linewidth=0.6)
    if len(curves) > 1:
        axes.legend(fontsize=TEXT, frameon=False)
    return to_svg(figure)


def draw_reliability(found: Reliability) -> bytes:
    """SVG of accuracy against confidence, bin by bin, the gap to the diagonal shaded, and of the share of faces per bin."""
    figure = Figure(figsize=(4.2, 4.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    bins, filled = len(found.count), found.count > 0
    middles, width = ((np.arange(bins) + 0.5) / bins)[filled], 0.92 / bins
    reached, claimed = found.accuracy[filled], found.confidence[filled]
    above.bar(middles, reached, width, color=BLUE, label="accuracy")
    above.bar(
        middles, claimed - reached, width, reached, label="gap to confidence",
        facecolor=ORANGE + "55", edgecolor=ORANGE, linewidth=1.0, hatch="////",
    )  # fmt: skip
    above.plot([0, 1], [0, 1], color=INK, linestyle=":", linewidth=1.2)
    above.set_ylim(0, 1)
    above.set_ylabel("accuracy", fontsize=TEXT, color=INK)
    above.legend(fontsize=TEXT, frameon=False, loc="upper left")
    below.bar(middles, found.count[filled] / found.count.sum(), width, color=INK)
    below.set_ylabel("faces", fontsize=TEXT, color=INK)
    below.set_xlabel("confidence", fontsize=TEXT, color=INK)
    below.set_xlim(0, 1)
    below.yaxis.set_major_locator(MaxNLocator(3))
    for axes in (above, below):
        plain_axes(axes)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return to_svg(figure)


def _values(curve: Curve, history: Sequence[Mapping[str, Any]]) -> Any:
    """(epochs,), nan where an epoch has none."""
    found = [entry.get(curve.key) for entry in history]
    return np.array([np.nan if value is None else value for value in found], np.float64)


def _marked(values: Any) -> list[int]:
    """Places of the values (epochs,) that get a dot: all of few, else those that no line would reach."""
    known = np.pad(np.isfinite(values), 1)
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    return np.flatnonzero(known[1:-1] if len(values) <= FEW else alone).tolist()


def _blank() -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    plain_axes(axes)
    return figure, axes


def plain_axes(axes: Axes) -> None:
    """Axes without a frame above and to the right, in the house's colors."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(labelsize=TEXT, colors=INK, color=LINE)
    axes.set_axisbelow(True)


def to_svg(figure: Figure) -> bytes:
    """The figure as an SVG file that says neither when nor by what it was made."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return file.getvalue()
