"""Draws the report's diagrams as SVG. No names of classes are drawn: they stand in the page, in its own fonts."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mien.evaluation.metrics import CalibrationBins
from mien.evaluation.risk_coverage import RiskCoverage
from mien.matplotlib_parts import Axes, Figure, MaxNLocator, PercentFormatter

# Okabe and Ito's colors, which every kind of color vision tells apart.
BLUE, ORANGE, GREEN, INK, LINE = "#0072b2", "#e69f00", "#009e73", "#3b4252", "#c9ced6"
SIZE = (4.2, 3.0)
"""Width and height of a diagram in inches."""
TEXT = 9.0
"""Size of the letters in points."""
FEW = 12
"""Up to so many epochs, each has a dot; of more, only those whose neighbors have no value."""


@dataclass(frozen=True)
class HistoryCurve:
    """A curve of the report: a value of every epoch, and how it is drawn."""

    key: str
    """The value's key in an epoch of the history."""
    label: str
    color: str
    line: Literal["-", "--", ":"] = "-"


@dataclass(frozen=True)
class HistoryPanel:
    """A diagram of the report: curves over the epochs."""

    title: str
    curves: tuple[HistoryCurve, ...]
    percent: bool = False
    logarithmic: bool = False


HISTORY_PANELS = (
    HistoryPanel("Loss", (HistoryCurve("loss", "training", BLUE), HistoryCurve("validation_loss", "validation", ORANGE, "--"))),
    HistoryPanel(
        "Validation accuracy",
        (
            HistoryCurve("validation_accuracy", "accuracy", BLUE),
            HistoryCurve("validation_average_accuracy", "average accuracy", ORANGE, "--"),
        ),
        percent=True,
    ),
    HistoryPanel("Learning rate", (HistoryCurve("lr", "learning rate", GREEN),), logarithmic=True),
    HistoryPanel(
        "Pseudo-labels",
        (
            HistoryCurve("pseudo_label_accuracy", "share that is right", BLUE),
            HistoryCurve("pseudo_label_share", "faces given one", ORANGE, "--"),
            HistoryCurve("threshold", "threshold", GREEN, ":"),
        ),
        percent=True,
    ),
    HistoryPanel(
        "Updates kept",
        (
            HistoryCurve("acceptance", "updates kept", BLUE),
            HistoryCurve("acceptance_control", "one that changes nothing", ORANGE, "--"),
        ),
        percent=True,
    ),
    HistoryPanel("Temperature of annealing", (HistoryCurve("temperature", "temperature", ORANGE),)),
    HistoryPanel("Faces replaced", (HistoryCurve("replaced", "faces replaced", BLUE),)),
    HistoryPanel(
        "Faces left out",
        (
            HistoryCurve("masked_share", "of all", BLUE),
            HistoryCurve("masked_share_wrong", "with a wrong label", ORANGE, "--"),
            HistoryCurve("masked_share_right", "with a right label", GREEN, ":"),
        ),
        percent=True,
    ),
    HistoryPanel(
        "Wrong labels",
        (
            HistoryCurve("memorized_share", "share known by heart", BLUE),
            HistoryCurve("divergence_auroc", "AUROC of S", ORANGE, "--"),
            HistoryCurve("neighbor_label_loss_auroc", "AUROC of the label's loss at neighbors", GREEN, ":"),
            HistoryCurve("label_loss_auroc", "AUROC of the label's loss", INK, ":"),
        ),
    ),
    HistoryPanel("Mean sample weight", (HistoryCurve("weight", "mean sample weight", BLUE),)),
)
"""The diagrams that a report may have; each is drawn where any epoch has one of its values."""


def curves_with_values(panel: HistoryPanel, history: Sequence[Mapping[str, Any]]) -> list[HistoryCurve]:
    """The panel's curves for which any epoch of the history has a finite value."""
    return [curve for curve in panel.curves if np.isfinite(_values(curve, history)).any()]


def last_value(curve: HistoryCurve, history: Sequence[Mapping[str, Any]]) -> float:
    """The curve's last finite value in the history, which has to hold one."""
    values = _values(curve, history)
    return float(values[np.isfinite(values)][-1])


def draw_history(panel: HistoryPanel, history: Sequence[Mapping[str, Any]]) -> bytes:
    """The panel's diagram over the epochs of `history` as SVG; a vertical line marks where a stage begins."""
    figure, axes = _blank()
    epochs = np.arange(1, len(history) + 1)
    curves = curves_with_values(panel, history)
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


def draw_reliability(found: CalibrationBins) -> bytes:
    """The reliability diagram as SVG: accuracy by bins of confidence, the gap to confidence, and the share of faces in each
    bin."""
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


def draw_risks(found: Mapping[str, RiskCoverage]) -> bytes:
    """Risk by coverage as SVG: a line for each way to doubt answers, by its name, with its AURC."""
    figure, axes = _blank()
    for (name, curve), color, line in zip(found.items(), (BLUE, ORANGE, GREEN), ("-", "--", ":"), strict=False):
        label = f"{name} (AURC {curve.aurc:.3f})"
        axes.plot(curve.coverage, curve.risk, label=label, color=color, linestyle=line, linewidth=1.6)
    axes.set_xlabel("share of faces answered, least doubted first", fontsize=TEXT, color=INK)
    axes.set_ylabel("share of answers that is wrong", fontsize=TEXT, color=INK)
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.grid(axis="y", color=LINE, linewidth=0.6)
    axes.legend(fontsize=TEXT, frameon=False)
    return to_svg(figure)


def _values(curve: HistoryCurve, history: Sequence[Mapping[str, Any]]) -> Any:
    """The curve's values (epochs,); nan where an epoch has none."""
    found = [entry.get(curve.key) for entry in history]
    return np.array([np.nan if value is None else value for value in found], np.float64)


def _marked(values: Any) -> list[int]:
    """Which of the values (epochs,) get a dot: all where there are few, else those that no line would reach."""
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
