"""Writes the report of an evaluation: `report.html`, and its figures as `metrics.json`."""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from mien.disk import write_atomically
from mien.errors import MienError
from mien.evaluation.evaluation_result import Evaluation, Subgroup
from mien.evaluation.metrics import BINS, Counts, Interval
from mien.evaluation.report.figures import HISTORY_PANELS, curves_with_values, draw_history, draw_reliability, last_value
from mien.html_pages import page_templates
from mien.json_text import to_json
from mien.wording import percent, quantity

CELL = (12, 83, 140)
"""Color of a confusion cell that holds all faces of its class; an empty cell is white. Only lightness tells cells apart."""
LIGHT_TEXT_FROM = 0.78
"""Share from which on a cell's numbers are white instead of black: the contrast is 4.5 or more on either side."""
MOST_CONFUSIONS = 3
"""Confusions that the page names in words."""
DASH = "\u2013"
"""What the page shows for nan."""


@dataclass(frozen=True)
class Mistakes:
    """M wrongly recognized faces that the page shows, in this order."""

    faces: npt.NDArray[np.uint8]
    """(M, S, S) gray or (M, S, S, 3) color."""
    true: npt.NDArray[np.int64]
    """(M,) the faces' labels."""
    predicted: npt.NDArray[np.int64]
    """(M,) the predicted classes."""
    confidence: npt.NDArray[np.float64]
    """(M,) the probabilities of the predicted classes."""


@dataclass(frozen=True)
class FigureWithInterval:
    """A figure with its name and interval, as the page shows it."""

    name: str
    value: float
    interval: Interval


@dataclass(frozen=True)
class ClassFigures:
    """Figures of one class: a line of the page's table of classes."""

    name: str
    count: int
    recall: FigureWithInterval
    precision: float


@dataclass(frozen=True)
class ConfusionCell:
    """A cell of the confusion matrix, as the page shows it."""

    count: int
    share: float
    """Share of the faces of its row; nan in a row without faces."""
    hit: bool
    """Whether the cell stands for faces that are predicted right."""
    style: str
    """The cell's colors, as CSS."""


@dataclass(frozen=True)
class EmbeddedPicture:
    """A picture within the page."""

    source: str
    """The picture as a data URI."""
    alt: str
    """The picture in words, for those who do not see it."""
    caption: str
    detail: str = ""
    """A second line of the caption."""


@dataclass(frozen=True)
class SubgroupTable:
    """The figures by the values of one column: a table of the page."""

    column: str
    groups: tuple[Subgroup, ...]


def write_evaluation(
    evaluation: Evaluation,
    out: Path,
    history: Sequence[Mapping[str, Any]] = (),
    mistakes: Mistakes | None = None,
    masked: bytes | None = None,
) -> None:
    """Write `report.html`, which needs no other file, and `metrics.json` into the folder `out`.

    `history`: a dict for each epoch with stage, epoch, loss, lr, figures on validation, and others of `HISTORY_PANELS`. An
    `masked`: a PNG of the training faces that were left out most often. An earlier report is replaced, each file at once. Raises
    MienError where `out` is a file or a folder of other things, and where the mistakes' arrays do not fit each other.
    """
    page = evaluation_html(evaluation, history, mistakes, masked)
    figures = to_json(evaluation.to_json())
    if out.exists() and not out.is_dir():
        raise MienError(f"a folder at {out}", "a file", "choose another folder for the report")
    if out.is_dir() and any(out.iterdir()) and not (out / "report.html").is_file():
        raise MienError(f"an empty folder or an earlier report at {out}", "other files", "choose another folder for the report")
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "report.html", page.encode())
    write_atomically(out / "metrics.json", figures.encode())


def evaluation_html(
    evaluation: Evaluation, history: Sequence[Mapping[str, Any]], mistakes: Mistakes | None, masked: bytes | None = None
) -> str:
    """The report's page as HTML. Everything that is put into it is escaped; pictures are data URIs."""
    templates = page_templates("mien.evaluation.report", filters=(spaced_percent, with_thousands, span))
    return templates.get_template("report.html.j2").render(
        evaluation=evaluation,
        headline=headline_figures(evaluation),
        classes=class_figures(evaluation),
        matrix=confusion_cells(evaluation.confusion),
        confusions=most_frequent_confusions(evaluation),
        second=second_guess_in_words(evaluation),
        reliability=calibration_pictures(evaluation),
        curves=history_pictures(history),
        mistakes=[] if mistakes is None else mistake_pictures(evaluation, mistakes),
        masked="" if masked is None else data_uri(masked, "png"),
        tables=[SubgroupTable(name, tuple(found)) for name, found in groupby(evaluation.groups, lambda group: group.column)],
        bins=BINS,
    )


def spaced_percent(share: float, digits: int = 1) -> str:
    """A share in percent with a narrow space before the sign, `63.2 %`; a dash for nan."""
    return percent(share, digits, "\u202f%", DASH)


def span(interval: Interval) -> str:
    """An interval in percent, `61.0 - 65.4`; a dash for nan."""
    if math.isnan(interval.low):
        return DASH
    return f"{percent(interval.low, sign='')}\u2009{DASH}\u2009{percent(interval.high, sign='')}"


def with_thousands(number: int) -> str:
    """A whole number with a narrow space between thousands, `12 345`."""
    return f"{number:,}".replace(",", "\u202f")


def headline_figures(evaluation: Evaluation) -> list[FigureWithInterval]:
    """The figures at the top of the page."""
    return [
        FigureWithInterval("Accuracy", evaluation.accuracy, evaluation.intervals["accuracy"]),
        FigureWithInterval("Average accuracy", evaluation.average_accuracy, evaluation.intervals["average_accuracy"]),
        FigureWithInterval("Macro F1", evaluation.macro_f1, evaluation.intervals["macro_f1"]),
        FigureWithInterval("Calibration error", evaluation.ece_after, evaluation.intervals["ece_after"]),
    ]


def class_figures(evaluation: Evaluation) -> list[ClassFigures]:
    """Figures by class, in the order of the labels."""
    counts = evaluation.confusion.sum(1).tolist()
    return [
        ClassFigures(
            name,
            counts[label],
            FigureWithInterval(name, evaluation.recalls[label], evaluation.recall_intervals[label]),
            precision,
        )
        for label, (name, precision) in enumerate(zip(evaluation.classes, evaluation.precisions, strict=True))
    ]


def confusion_cells(confusion: Counts) -> list[list[ConfusionCell]]:
    """The cells of a confusion matrix (K, K), row by row, with their shares of their rows."""
    return [
        [_cell(count, sum(row), true == said) for said, count in enumerate(row)] for true, row in enumerate(confusion.tolist())
    ]


def _cell(count: int, faces: int, hit: bool) -> ConfusionCell:
    share = count / faces if faces else math.nan
    depth = 0.0 if math.isnan(share) else share
    red, green, blue = (round(255 - depth * (255 - channel)) for channel in CELL)
    text = "#fff" if depth >= LIGHT_TEXT_FROM else "#000"
    return ConfusionCell(count, share, hit, f"background:rgb({red},{green},{blue});color:{text}")


def most_frequent_confusions(evaluation: Evaluation) -> list[str]:
    """The most frequent confusions in words, the most frequent first."""
    wrong = evaluation.confusion * ~np.eye(len(evaluation.classes), dtype=bool)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSIONS]
    places = [divmod(int(place), len(evaluation.classes)) for place in order]
    return [
        f"{evaluation.classes[true]} → {evaluation.classes[said]} ({with_thousands(int(wrong[true, said]))} faces, "
        f"{spaced_percent(wrong[true, said] / evaluation.confusion[true].sum(), 0)} of {evaluation.classes[true]})"
        for true, said in places
        if wrong[true, said]
    ]


def second_guess_in_words(evaluation: Evaluation) -> str:
    """How often the second most likely class was the label of a wrong face, in words; empty without mistakes."""
    if math.isnan(evaluation.second):
        return ""
    return f"{spaced_percent(evaluation.second)} ({span(evaluation.intervals['second'])})"


def calibration_pictures(evaluation: Evaluation) -> list[EmbeddedPicture]:
    """The reliability diagrams before and after temperature scaling; only one where the temperature is 1."""
    before, after = evaluation.reliability_before, evaluation.reliability_after
    steps = [
        ("Before temperature scaling", before, evaluation.ece_before, evaluation.intervals["ece_before"]),
        (
            f"At temperature {evaluation.temperature:.3g}",
            after,
            evaluation.ece_after,
            evaluation.intervals["ece_after"],
        ),
    ]
    made = []
    for caption, found, error, interval in steps[1:] if evaluation.temperature == 1 else steps:
        detail = f"calibration error {spaced_percent(error)}, interval {span(interval)}"
        faces, mean = found.count.sum(), np.nansum(found.confidence * found.count)
        alt = f"Reliability diagram, {caption.lower()}: mean confidence {spaced_percent(mean / faces)}, {detail}"
        made.append(EmbeddedPicture(data_uri(draw_reliability(found), "svg+xml"), alt, caption, detail))
    return made


def history_pictures(history: Sequence[Mapping[str, Any]]) -> list[EmbeddedPicture]:
    """A diagram for each panel of which the history holds a value."""
    made = []
    for panel in HISTORY_PANELS:
        known = curves_with_values(panel, history)
        if known:
            ends = [f"{curve.label} ends at {_figure(last_value(curve, history), panel.percent)}" for curve in known]
            alt = f"{panel.title} over {quantity(len(history), 'epoch')}: {', '.join(ends)}"
            made.append(EmbeddedPicture(data_uri(draw_history(panel, history), "svg+xml"), alt, panel.title))
    return made


def _figure(value: float, as_percent: bool) -> str:
    return spaced_percent(value) if as_percent else f"{value:.3g}"


def mistake_pictures(evaluation: Evaluation, mistakes: Mistakes) -> list[EmbeddedPicture]:
    """Pictures of the mistakes with label, prediction and confidence. Raises MienError where the arrays do not fit each other."""
    sizes = {len(mistakes.faces), len(mistakes.true), len(mistakes.predicted), len(mistakes.confidence)}
    if len(sizes) > 1 or mistakes.faces.dtype != np.uint8 or mistakes.faces.ndim not in (3, 4):
        raise MienError(
            "mistakes with one face (uint8), label, prediction and confidence each",
            f"{mistakes.faces.dtype} {mistakes.faces.shape} and {sorted(sizes)} of them",
            "give arrays of one length",
        )
    made = []
    for face, true, said, sure in zip(mistakes.faces, mistakes.true, mistakes.predicted, mistakes.confidence, strict=True):
        words = f"{evaluation.classes[true]} → {evaluation.classes[said]}"
        alt = f"Face labeled {evaluation.classes[true]}, recognized as {evaluation.classes[said]} at {spaced_percent(sure, 0)}"
        made.append(EmbeddedPicture(data_uri(_png(face), "png"), alt, words, spaced_percent(sure, 0)))
    return made


def _png(face: npt.NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(face).save(file, "PNG", optimize=True)
    return file.getvalue()


def data_uri(content: bytes, kind: str) -> str:
    """A picture of type image/`kind` as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
