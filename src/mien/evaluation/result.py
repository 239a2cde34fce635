"""What an evaluation found: all figures, how sure they are, and how they were measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.errors import MienError
from mien.evaluation.calibration import apply_temperature
from mien.evaluation.metrics import (
    RESAMPLES,
    Counts,
    Interval,
    Reliability,
    accuracy,
    average_accuracy,
    calibration_error,
    calibration_interval,
    confusion,
    intervals,
    macro_f1,
    precisions,
    recall_intervals,
    recalls,
    reliability,
    second_interval,
    second_share,
)
from mien.plain import plain_values

MOST_GROUPS = 1000
"""A column with more values than this has no groups worth a table."""
NO_VALUE = "(none)"


@dataclass(frozen=True)
class Group:
    """The faces that share a value in a column."""

    column: str
    value: str
    count: int
    """Number of faces."""
    accuracy: float
    average_accuracy: float
    """Over the classes that have faces in this group."""
    intervals: dict[str, Interval]
    """Of `accuracy` and `average_accuracy`."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All that was measured on one set of faces; made by `summarize`. Figures are shares from 0 to 1."""

    dataset: str
    split: str
    classes: tuple[str, ...]
    count: int
    """Number of faces."""
    flip: bool
    """Whether each face's logits were averaged with its mirror image's."""
    temperature: float
    """By which the logits were divided; fitted on validation."""
    confusion: Counts
    """(K, K), a row per true class, a column per predicted class."""
    accuracy: float
    """Overall accuracy (WAR)."""
    average_accuracy: float
    """Mean of the recalls over the classes that have faces (UAR)."""
    macro_f1: float
    second: float
    """Of the faces that are wrong, the share whose second most likely class is the label; nan where none is wrong."""
    recalls: tuple[float, ...]
    """By class; nan for a class without faces."""
    precisions: tuple[float, ...]
    """By class; nan for a class never predicted."""
    recall_intervals: tuple[Interval, ...]
    ece_before: float
    """Expected calibration error at temperature 1."""
    ece_after: float
    """The same at `temperature`."""
    reliability_before: Reliability
    reliability_after: Reliability
    intervals: dict[str, Interval]
    """95 % intervals of accuracy, average_accuracy, macro_f1, ece_before and ece_after (bootstrap over faces), and of second
    (Wilson's over the faces that are wrong)."""
    groups: tuple[Group, ...] = ()
    """By column and value, in order."""
    notes: dict[str, str] = field(default_factory=dict)
    """How it was measured: label rule, label budget, seed, recipe, machine."""

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values for JSON, under the names above; nan is null."""
        values: dict[str, Any] = {entry.name: plain_values(getattr(self, entry.name)) for entry in fields(self)}
        for name in ("recalls", "precisions", "recall_intervals"):
            values[name] = dict(zip(self.classes, values[name], strict=True))
        return values


def summarize(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    classes: tuple[str, ...],
    dataset: str,
    split: str,
    temperature: float = 1.0,
    flip: bool = False,
    groups: Mapping[str, npt.ArrayLike] | None = None,
    notes: Mapping[str, str] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Evaluation:
    """The evaluation of logits (N, K) against labels (N,), integers from 0 to K - 1.

    `groups`: columns (N,) by name; each value's faces are measured on their own too. `seed` draws the bootstrap.
    Raises MienError without faces, for a face without label (-1) and where shapes do not fit.
    """
    scores = np.asarray(logits)
    if scores.ndim != 2 or not len(scores):
        raise MienError("at least one labeled face to measure", "none", "choose a split that has labeled faces")
    if scores.shape[1] != len(classes):
        raise MienError(f"logits of {len(classes)} classes", f"{scores.shape[1]}", "measure on faces of the model's classes")
    faces = _Faces(np.asarray(labels), scores.argmax(1), len(classes), seed, resamples)
    matrix = faces.confusion()
    before = _calibration(apply_temperature(scores, 1.0), faces)
    after = _calibration(apply_temperature(scores, temperature), faces)
    bounds = {"ece_before": before.interval, "ece_after": after.interval, "second": second_interval(scores, faces.labels)}
    return Evaluation(
        dataset=dataset,
        split=split,
        classes=tuple(classes),
        count=len(scores),
        flip=flip,
        temperature=temperature,
        confusion=matrix,
        accuracy=float(accuracy(matrix)),
        average_accuracy=float(average_accuracy(matrix)),
        macro_f1=float(macro_f1(matrix)),
        second=second_share(scores, faces.labels),
        recalls=tuple(recalls(matrix).tolist()),
        precisions=tuple(precisions(matrix).tolist()),
        recall_intervals=recall_intervals(matrix),
        ece_before=before.error,
        ece_after=after.error,
        reliability_before=before.diagram,
        reliability_after=after.diagram,
        intervals=intervals(matrix, seed, resamples) | bounds,
        groups=tuple(group for name, values in (groups or {}).items() for group in _groups(faces, name, values)),
        notes=dict(notes or {}),
    )


def confident_mistakes(logits: npt.ArrayLike, labels: npt.ArrayLike, most: int, temperature: float = 1.0) -> npt.NDArray[np.intp]:
    """Rows of up to `most` wrongly recognized faces, most confident first, of logits (N, K) and labels (N,).

    Confidence is that at `temperature`, which may change the order. Raises MienError for logits that are not finite or not
    (N, K).
    """
    probabilities = apply_temperature(logits, temperature)
    wrong = np.flatnonzero(np.asarray(logits).argmax(1) != np.asarray(labels))
    return wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")[:most]]


@dataclass(frozen=True, eq=False)
class _Faces:
    """Labels and predictions (N,), and how to draw the bootstrap."""

    labels: npt.NDArray[Any]
    predicted: npt.NDArray[Any]
    classes: int
    seed: int
    resamples: int

    def confusion(self) -> Counts:
        return confusion(self.labels, self.predicted, self.classes)


@dataclass(frozen=True, eq=False)
class _Calibration:
    error: float
    interval: Interval
    diagram: Reliability


def _calibration(probabilities: npt.NDArray[np.float64], faces: _Faces) -> _Calibration:
    return _Calibration(
        calibration_error(probabilities, faces.labels),
        calibration_interval(probabilities, faces.labels, faces.seed, resamples=faces.resamples),
        reliability(probabilities, faces.labels),
    )


def _groups(faces: _Faces, column: str, values: npt.ArrayLike) -> list[Group]:
    """A group for each value of the column, in the order of the values; faces without one come last, as NO_VALUE."""
    given = np.asarray(values)
    if given.shape != faces.labels.shape:
        raise MienError(f"{len(faces.labels)} values of {column}", f"shape {given.shape}", "give one value for each face")
    names, index = _distinct(given.tolist())
    if len(names) > MOST_GROUPS:
        raise MienError(
            f"a column of at most {MOST_GROUPS} different values",
            f"{len(names)} of {column}",
            "choose one that puts faces into groups",
        )
    order = np.argsort(index, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(index, minlength=len(names)))[:-1])
    return [
        _group(column, name, replace(faces, labels=faces.labels[rows], predicted=faces.predicted[rows]))
        for name, rows in zip(names, parts, strict=True)
    ]


def _group(column: str, value: str, faces: _Faces) -> Group:
    matrix = faces.confusion()
    bounds = intervals(matrix, faces.seed, faces.resamples)
    return Group(
        column=column,
        value=value,
        count=len(faces.labels),
        accuracy=float(accuracy(matrix)),
        average_accuracy=float(average_accuracy(matrix)),
        intervals={name: bounds[name] for name in ("accuracy", "average_accuracy")},
    )


def _distinct(values: list[Any]) -> tuple[list[str], npt.NDArray[np.intp]]:
    """Names of the different values in their order (numbers by size), and each face's place among them."""
    odd = next((value for value in values if not (value is None or isinstance(value, str | int | float))), None)
    if odd is not None:
        raise MienError("a column of texts or numbers", f"values of type {type(odd).__name__}", "choose another column")
    missing = [value is None or value != value for value in values]  # nan differs from itself
    known = sorted({value for value, absent in zip(values, missing, strict=True) if not absent})
    place = {value: number for number, value in enumerate(known)}
    index = [len(known) if absent else place[value] for value, absent in zip(values, missing, strict=True)]
    names = [str(value) for value in known] + [NO_VALUE] * any(missing)
    return names, np.asarray(index, np.intp)
