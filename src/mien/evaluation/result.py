"""What an evaluation found: all figures, how sure they are, and how they were measured."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.errors import MienError
from mien.evaluation.metrics import (
    RESAMPLES,
    Counts,
    Interval,
    Reliability,
    accuracy,
    average_accuracy,
    calibration_bins,
    calibration_error,
    calibration_interval,
    confusion,
    intervals,
    macro_f1,
    precisions,
    recall_intervals,
    recalls,
    second_interval,
    second_share,
    wilson,
)
from mien.json_text import plain_values
from mien.recognize.calibration import apply_temperature, are_sure

FEW = 30
"""Faces behind a figure below which it says little: its interval is then about 35 points wide."""
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
    sure_from: float
    """An answer is sure where one class alone is possible and has at least this probability."""
    sure: float
    """Share of the faces with a sure answer."""
    sure_right: float
    """Share of the sure answers that are right; nan where none is sure."""
    intervals: dict[str, Interval]
    """95 % intervals of accuracy, average_accuracy, macro_f1, ece_before and ece_after (bootstrap over faces), and of second
    (over the faces that are wrong), sure and sure_right (over those that are sure), which are Wilson's."""
    groups: tuple[Group, ...] = ()
    """By column and value, in order."""
    notes: dict[str, str] = field(default_factory=dict)
    """How it was measured: label rule, label budget, seed, recipe, machine."""

    @property
    def cautions(self) -> tuple[str, ...]:
        """What has to be known before a figure is believed, in sentences; none where there is nothing."""
        counts, said = self.confusion.sum(axis=1), self.confusion.any(axis=0)
        few = thin(dict(zip(self.classes, counts.tolist(), strict=True)))
        groups = [group for group in self.groups if group.count < FEW]
        column = self.groups[0].column if self.groups else ""
        found = [few] if few else []
        if groups and self.count >= FEW:
            found.append(
                f"{len(groups)} of {len(self.groups)} values of {column} have fewer than {FEW} faces: their figures say little"
            )
        if said.sum() == 1 < (counts > 0).sum():
            name, average = self.classes[int(said.argmax())], f"{self.average_accuracy:.1%}"
            found.append(
                f"every face was taken for {name}: the average accuracy of {average} is 1 of {(counts > 0).sum()} classes"
            )
        return (*found, *([self.notes["cut out"]] if "cut out" in self.notes else []))

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values for JSON, under the names above; nan is null."""
        values: dict[str, Any] = {entry.name: plain_values(getattr(self, entry.name)) for entry in fields(self)}
        values["cautions"] = list(self.cautions)
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
    least: float = 0.5,
    sure: float = 0.8,
    flip: bool = False,
    groups: Mapping[str, npt.ArrayLike] | None = None,
    notes: Mapping[str, str] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Evaluation:
    """The evaluation of logits (N, K) against labels (N,), integers from 0 to K - 1.

    `least` and `sure`: the probabilities from which a class is possible, and an answer sure, as a card states them.
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
    likely = apply_temperature(scores, temperature)
    after = _calibration(likely, faces)
    bounds = {"ece_before": before.interval, "ece_after": after.interval, "second": second_interval(scores, faces.labels)}
    certain = faces.hits[are_sure(likely, least, sure)]
    bounds |= {"sure": wilson(len(certain), len(scores)), "sure_right": wilson(int(certain.sum()), len(certain))}
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
        sure_from=sure,
        sure=len(certain) / len(scores),
        sure_right=float(certain.mean()) if len(certain) else math.nan,
        intervals=intervals(matrix, seed, resamples) | bounds,
        groups=tuple(group for name, values in (groups or {}).items() for group in _groups(faces, name, values)),
        notes=dict(notes or {}),
    )


def thin(counts: Mapping[str, int]) -> str:
    """A sentence where test faces are all of one class, or fewer than 30 stand behind a figure: in all, or behind the recall of
    a class; "" elsewhere.

    `counts`: test faces of each class; of a class without any nothing is measured.
    """
    alone = [name for name, count in counts.items() if count]
    if len(alone) == 1:
        return f"all test faces are of {alone[0]}: what is taken for it wrongly was not measured"
    total, few = sum(counts.values()), {name: count for name, count in counts.items() if 0 < count < FEW}
    if total < FEW:
        return f"only {total} test face{'s' * (total != 1)}: with fewer than {FEW}, figures say little"
    told = ", ".join(f"{name} ({count})" for name, count in few.items())
    return f"classes with fewer than {FEW} test faces, whose figures say little: {told}" if few else ""


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

    @property
    def hits(self) -> npt.NDArray[np.bool_]:
        """(N,) whether a face is right."""
        right: npt.NDArray[np.bool_] = self.predicted == self.labels
        return right

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
        calibration_bins(probabilities, faces.labels),
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
