"""Measures logits against labels: all figures of an evaluation, their intervals, and those of subgroups."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.errors import MienError
from mien.evaluation.evaluation_result import Evaluation, Subgroup
from mien.evaluation.metrics import (
    RESAMPLES,
    CalibrationBins,
    Counts,
    Interval,
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
from mien.recognize.calibration import apply_temperature, are_sure

MOST_GROUPS = 1000
"""A column with more values than this has no groups worth a table."""


NO_VALUE = "(none)"


def summarize_logits(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    classes: tuple[str, ...],
    dataset: str,
    split: str,
    temperature: float = 1.0,
    conformal_threshold: npt.ArrayLike = 0.5,
    confidence_threshold: float = 0.8,
    unlike: npt.ArrayLike | None = None,
    flip: bool = False,
    groups: Mapping[str, npt.ArrayLike] | None = None,
    notes: Mapping[str, str] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Evaluation:
    """The evaluation of logits (N, K) against labels (N,), integers from 0 to K - 1.

    The thresholds are those of a model's card: from the first on (one, or (K,) by class) a class is possible, from the second on
    a single possible class is a sure answer, unless the face is `unlike` the training faces, (N,); None where that is not known.
    `groups`: columns (N,) by name; the faces of each value are measured on their own, too. `seed` draws the bootstrap. Raises
    MienError without faces, for a face without label (-1), and where shapes do not fit.
    """
    scores = np.asarray(logits)
    _require_measurable(scores, len(classes))
    faces = _Faces(np.asarray(labels), scores.argmax(1), len(classes), seed, resamples)
    likely = apply_temperature(scores, temperature)
    matrix, before, after = faces.confusion(), _calibration(apply_temperature(scores, 1.0), faces), _calibration(likely, faces)
    bounds = {"ece_before": before.interval, "ece_after": after.interval, "second": second_interval(scores, faces.labels)}
    certain = faces.hits[are_sure(likely, conformal_threshold, confidence_threshold, unlike)]
    bounds |= _wilson_of_answers(certain, unlike, len(scores))
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
        sure_from=confidence_threshold,
        sure=len(certain) / len(scores),
        sure_right=float(certain.mean()) if len(certain) else math.nan,
        intervals=intervals(matrix, seed, resamples) | bounds,
        unlike=None if unlike is None else float(np.asarray(unlike, bool).mean()),
        groups=tuple(group for name, values in (groups or {}).items() for group in _groups(faces, name, values)),
        notes=dict(notes or {}),
    )


def _require_measurable(scores: npt.NDArray[Any], classes: int) -> None:
    """Raises MienError without faces, and for logits of another number of classes."""
    if scores.ndim != 2 or not len(scores):
        raise MienError("at least one labeled face to measure", "none", "choose a split that has labeled faces")
    if scores.shape[1] != classes:
        raise MienError(f"logits of {classes} classes", f"{scores.shape[1]}", "measure on faces of the model's classes")


def _wilson_of_answers(certain: npt.NDArray[np.bool_], unlike: npt.ArrayLike | None, count: int) -> dict[str, Interval]:
    """Intervals of the shares of sure answers, of those that are right, and, where it is known, of unlike faces.

    `certain`: for each sure answer whether it is right.
    """
    found = {"sure": wilson(len(certain), count), "sure_right": wilson(int(certain.sum()), len(certain))}
    return found if unlike is None else found | {"unlike": wilson(int(np.count_nonzero(unlike)), count)}


def confident_mistakes(logits: npt.ArrayLike, labels: npt.ArrayLike, most: int, temperature: float = 1.0) -> npt.NDArray[np.intp]:
    """Rows of up to `most` wrongly recognized faces, the most confident first, by logits (N, K) and labels (N,).

    Confidence is taken at `temperature`. Raises MienError for logits that are not finite or not (N, K).
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
    diagram: CalibrationBins


def _calibration(probabilities: npt.NDArray[np.float64], faces: _Faces) -> _Calibration:
    return _Calibration(
        calibration_error(probabilities, faces.labels),
        calibration_interval(probabilities, faces.labels, faces.seed, resamples=faces.resamples),
        calibration_bins(probabilities, faces.labels),
    )


def _groups(faces: _Faces, column: str, values: npt.ArrayLike) -> list[Subgroup]:
    """Figures of the faces of each value of a column, in the order of the values; faces without one come last, as NO_VALUE."""
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


def _group(column: str, value: str, faces: _Faces) -> Subgroup:
    matrix = faces.confusion()
    bounds = intervals(matrix, faces.seed, faces.resamples)
    return Subgroup(
        column=column,
        value=value,
        count=len(faces.labels),
        accuracy=float(accuracy(matrix)),
        average_accuracy=float(average_accuracy(matrix)),
        intervals={name: bounds[name] for name in ("accuracy", "average_accuracy")},
    )


def _distinct(values: list[Any]) -> tuple[list[str], npt.NDArray[np.intp]]:
    """Names of the different values in order (numbers by size), and each face's index into them."""
    odd = next((value for value in values if not (value is None or isinstance(value, str | int | float))), None)
    if odd is not None:
        raise MienError("a column of texts or numbers", f"values of type {type(odd).__name__}", "choose another column")
    missing = [value is None or value != value for value in values]  # nan differs from itself
    known = sorted({value for value, absent in zip(values, missing, strict=True) if not absent})
    place = {value: number for number, value in enumerate(known)}
    index = [len(known) if absent else place[value] for value, absent in zip(values, missing, strict=True)]
    names = [str(value) for value in known] + [NO_VALUE] * any(missing)
    return names, np.asarray(index, np.intp)
