"""Writing `report.html` and `metrics.json` from an evaluation."""

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
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from mien.disk import write_atomically
from mien.errors import MienError
from mien.evaluation.metrics import BINS, Interval
from mien.evaluation.report.figures import PANELS, draw_curves, draw_reliability, known_curves, last_value
from mien.evaluation.result import Evaluation, Group
from mien.json_text import to_json
from mien.wording import quantity

CELL = (12, 83, 140)
"""Color of a confusion cell that holds all faces of its class; white at none. Only lightness tells cells apart."""
LIGHT_TEXT_FROM = 0.78
"""Share from which a cell's numbers are white instead of black: the contrast is 4.5 or more on either side."""
MOST_CONFUSIONS = 3
DASH = "\u2013"


@dataclass(frozen=True)
class Mistakes:
    """Wrongly recognized faces to show, in this order."""

    faces: npt.NDArray[np.uint8]
    """(M, S, S) gray or (M, S, S, 3) color."""
    true: npt.NDArray[np.int64]
    """(M,) labels."""
    predicted: npt.NDArray[np.int64]
    """(M,) classes that the recognizer said."""
    confidence: npt.NDArray[np.float64]
    """(M,) probabilities of those."""


@dataclass(frozen=True)
class Bar:
    """A figure with its interval, as the page shows it."""

    name: str
    value: float
    interval: Interval


@dataclass(frozen=True)
class ClassRow:
    """A line of the table of classes."""

    name: str
    count: int
    recall: Bar
    precision: float


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix."""

    count: int
    share: float
    """Of the faces of its row; nan in a row without faces."""
    hit: bool
    style: str


@dataclass(frozen=True)
class Picture:
    """A picture within the page."""

    source: str
    """A data URI."""
    alt: str
    caption: str
    detail: str = ""


@dataclass(frozen=True)
class GroupTable:
    """The groups of one column."""

    column: str
    groups: tuple[Group, ...]


def write_report(
    evaluation: Evaluation, out: Path, history: Sequence[Mapping[str, Any]] = (), mistakes: Mistakes | None = None
) -> None:
    """Write `report.html`, which needs nothing else to be read, and `metrics.json` into the folder `out`.

    `history`: a dict per epoch with stage, epoch, loss, lr and, where there was validation, validation_accuracy,
    validation_average_accuracy and validation_loss, and whatever else of `figures.PANELS` was noted. A report that is there
    is replaced, each file at once. Raises MienError where `out` is a file or a folder of other things, or the mistakes'
    arrays do not fit each other.
    """
    page = render(evaluation, history, mistakes)
    figures = to_json(evaluation.to_json())
    if out.exists() and not out.is_dir():
        raise MienError(f"a folder at {out}", "a file", "choose another folder for the report")
    if out.is_dir() and any(out.iterdir()) and not (out / "report.html").is_file():
        raise MienError(f"an empty folder or an earlier report at {out}", "other files", "choose another folder for the report")
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "report.html", page.encode())
    write_atomically(out / "metrics.json", figures.encode())


def render(evaluation: Evaluation, history: Sequence[Mapping[str, Any]], mistakes: Mistakes | None) -> str:
    """The page as HTML. Everything that is put into it is escaped; pictures are data URIs."""
    room = Environment(
        loader=PackageLoader("mien.evaluation.report", ""), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    room.filters |= {"percent": percent, "whole": whole, "span": span}
    return room.get_template("report.html.j2").render(
        evaluation=evaluation,
        headline=headline(evaluation),
        classes=class_rows(evaluation),
        matrix=matrix(evaluation),
        confusions=confusions(evaluation),
        second=second(evaluation),
        reliability=calibration_pictures(evaluation),
        curves=curves(history),
        mistakes=[] if mistakes is None else pictures(evaluation, mistakes),
        tables=[GroupTable(name, tuple(found)) for name, found in groupby(evaluation.groups, lambda group: group.column)],
        bins=BINS,
    )


def percent(share: float, digits: int = 1) -> str:
    """`63.2 %`, a dash for nan."""
    return DASH if math.isnan(share) else f"{100 * share:.{digits}f}\u202f%"


def span(interval: Interval) -> str:
    """`61.0 - 65.4` with a dash between, in percent; a dash for nan."""
    if math.isnan(interval.low):
        return DASH
    return f"{100 * interval.low:.1f}\u2009{DASH}\u2009{100 * interval.high:.1f}"


def whole(number: int) -> str:
    """`12 345`, with a narrow space between thousands."""
    return f"{number:,}".replace(",", "\u202f")


def headline(evaluation: Evaluation) -> list[Bar]:
    """The figures at the top of the page."""
    return [
        Bar("Accuracy", evaluation.accuracy, evaluation.intervals["accuracy"]),
        Bar("Average accuracy", evaluation.average_accuracy, evaluation.intervals["average_accuracy"]),
        Bar("Macro F1", evaluation.macro_f1, evaluation.intervals["macro_f1"]),
        Bar("Calibration error", evaluation.ece_after, evaluation.intervals["ece_after"]),
    ]


def class_rows(evaluation: Evaluation) -> list[ClassRow]:
    """The table of classes, in the order of the labels."""
    counts = evaluation.confusion.sum(1).tolist()
    return [
        ClassRow(name, counts[label], Bar(name, evaluation.recalls[label], evaluation.recall_intervals[label]), precision)
        for label, (name, precision) in enumerate(zip(evaluation.classes, evaluation.precisions, strict=True))
    ]


def matrix(evaluation: Evaluation) -> list[list[Cell]]:
    """The confusion matrix with each cell's share of its row."""
    return [
        [_cell(count, sum(row), true == said) for said, count in enumerate(row)]
        for true, row in enumerate(evaluation.confusion.tolist())
    ]


def _cell(count: int, faces: int, hit: bool) -> Cell:
    share = count / faces if faces else math.nan
    depth = 0.0 if math.isnan(share) else share
    red, green, blue = (round(255 - depth * (255 - channel)) for channel in CELL)
    text = "#fff" if depth >= LIGHT_TEXT_FROM else "#000"
    return Cell(count, share, hit, f"background:rgb({red},{green},{blue});color:{text}")


def confusions(evaluation: Evaluation) -> list[str]:
    """The most frequent confusions in words, most frequent first."""
    wrong = evaluation.confusion * ~np.eye(len(evaluation.classes), dtype=bool)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSIONS]
    places = [divmod(int(place), len(evaluation.classes)) for place in order]
    return [
        f"{evaluation.classes[true]} → {evaluation.classes[said]} ({whole(int(wrong[true, said]))} faces, "
        f"{percent(wrong[true, said] / evaluation.confusion[true].sum(), 0)} of {evaluation.classes[true]})"
        for true, said in places
        if wrong[true, said]
    ]


def second(evaluation: Evaluation) -> str:
    """How often the class that came second was the label, in words; empty without mistakes."""
    if math.isnan(evaluation.second):
        return ""
    return f"{percent(evaluation.second)} ({span(evaluation.intervals['second'])})"


def calibration_pictures(evaluation: Evaluation) -> list[Picture]:
    """The reliability diagrams before and after the temperature; one where it is 1 and they are the same."""
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
        detail = f"calibration error {percent(error)}, interval {span(interval)}"
        faces, mean = found.count.sum(), np.nansum(found.confidence * found.count)
        alt = f"Reliability diagram, {caption.lower()}: mean confidence {percent(mean / faces)}, {detail}"
        made.append(Picture(data_uri(draw_reliability(found), "svg+xml"), alt, caption, detail))
    return made


def curves(history: Sequence[Mapping[str, Any]]) -> list[Picture]:
    """A diagram for each panel of which the history has anything."""
    made = []
    for panel in PANELS:
        known = known_curves(panel, history)
        if known:
            ends = [f"{curve.label} ends at {_figure(last_value(curve, history), panel.percent)}" for curve in known]
            alt = f"{panel.title} over {quantity(len(history), 'epoch')}: {', '.join(ends)}"
            made.append(Picture(data_uri(draw_curves(panel, history), "svg+xml"), alt, panel.title))
    return made


def _figure(value: float, as_percent: bool) -> str:
    return percent(value) if as_percent else f"{value:.3g}"


def pictures(evaluation: Evaluation, mistakes: Mistakes) -> list[Picture]:
    """The mistakes with what they are, what was said, and how sure the recognizer was."""
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
        alt = f"Face labeled {evaluation.classes[true]}, recognized as {evaluation.classes[said]} at {percent(sure, 0)}"
        made.append(Picture(data_uri(_png(face), "png"), alt, words, percent(sure, 0)))
    return made


def _png(face: npt.NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(face).save(file, "PNG", optimize=True)
    return file.getvalue()


def data_uri(content: bytes, kind: str) -> str:
    """A picture of type image/`kind` as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
