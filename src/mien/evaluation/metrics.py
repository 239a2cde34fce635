"""Figures of confusion matrices and of probabilities, with their intervals.

A confusion matrix has a row per true class and a column per predicted class. Functions of one take leading dimensions,
(..., K, K) to (...), so that thousands of resampled matrices are one call.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from mien.errors import MienError
from mien.recognize.calibration import class_indices

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

BINS = 15
"""Bins of confidence in the calibration error, as many as in Guo et al. 2017."""
RESAMPLES = 2000
"""Bootstrap resamples behind an interval."""
COVERAGE = 0.95
"""Share of the resampled values that lie within an interval."""
BLOCK = 1 << 22
"""Most numbers that a bootstrap holds in memory."""


@dataclass(frozen=True)
class Interval:
    """A 95 % interval; both ends are nan where nothing could be measured."""

    low: float
    high: float


@dataclass(frozen=True)
class CalibrationBins:
    """The values of a reliability diagram, by bins of confidence; all arrays are (bins,)."""

    confidence: Floats
    """Mean confidence of each bin's faces; nan for an empty bin."""
    accuracy: Floats
    """Share of each bin's faces that are right; nan for an empty bin."""
    count: Counts
    """Number of faces in each bin."""


class Figure(Protocol):
    """A function that gives a figure (...) of confusion matrices (..., K, K)."""

    def __call__(self, confusion: npt.NDArray[Any], /) -> Floats: ...


def confusion(labels: npt.ArrayLike, predicted: npt.ArrayLike, classes: int) -> Counts:
    """Faces by true and predicted class, (K, K), of labels (N,) and predictions (N,), both from 0 to K - 1.

    Raises MienError for other values, -1 (no label) among them, and for lengths that differ.
    """
    rows, columns = class_indices(labels, classes, "labels"), class_indices(predicted, classes, "predictions")
    if len(rows) != len(columns):
        raise MienError("a prediction per label", f"{len(columns)} for {len(rows)}", "give both for the same faces")
    cells: Counts = np.bincount(rows * classes + columns, minlength=classes * classes).astype(np.int64)
    return cells.reshape(classes, classes)


def accuracy(confusion: npt.NDArray[Any], /) -> Floats:
    """Overall accuracy (WAR): the share of faces that are right."""
    return _ratio(_hits(confusion).sum(-1), confusion.sum((-2, -1)))


def recalls(confusion: npt.NDArray[Any]) -> Floats:
    """Recalls (..., K): the share of each class's faces that is predicted as that class; nan for a class without faces."""
    return _ratio(_hits(confusion), confusion.sum(-1))


def precisions(confusion: npt.NDArray[Any]) -> Floats:
    """Precisions (..., K): the share of the faces predicted as each class that is of it; nan for a class never predicted."""
    return _ratio(_hits(confusion), confusion.sum(-2))


def average_accuracy(confusion: npt.NDArray[Any], /) -> Floats:
    """Average accuracy (UAR): the mean of the recalls over the classes that have faces."""
    return _mean_known(recalls(confusion))


def macro_f1(confusion: npt.NDArray[Any], /) -> Floats:
    """Macro F1: the mean over classes of F1 = 2 hits / (faces + predictions).

    A class with neither faces nor predictions is left out; a class with only one of both counts 0, as in torchmetrics.
    """
    return _mean_known(_ratio(2 * _hits(confusion), confusion.sum(-1) + confusion.sum(-2)))


FIGURES: Mapping[str, Figure] = MappingProxyType(
    {"accuracy": accuracy, "average_accuracy": average_accuracy, "macro_f1": macro_f1}
)
"""Figures of a confusion matrix, by name."""


def intervals(confusion: Counts, seed: int, resamples: int = RESAMPLES) -> dict[str, Interval]:
    """95 % percentile-bootstrap intervals over faces of all FIGURES, by name, for a confusion matrix (K, K).

    To resample faces with replacement is to draw the matrix's cells from a multinomial distribution. A class without a face in a
    resample is left out of that resample's means. Raises MienError for an empty matrix.
    """
    blocks = [[figure(block) for figure in FIGURES.values()] for block in _resampled(confusion, seed, resamples)]
    drawn = np.concatenate([np.stack(block) for block in blocks], axis=1)  # (figures, resamples)
    return {name: percentiles(values) for name, values in zip(FIGURES, drawn, strict=True)}


def recall_intervals(confusion: Counts) -> tuple[Interval, ...]:
    """The 95 % Wilson interval of each class's recall, by the confusion matrix (K, K); nan for a class without faces.

    A bootstrap would give an interval of no width for a recall of 0 or 1, which rare classes often have.
    """
    hits, faces = np.diagonal(confusion), confusion.sum(axis=1)
    return tuple(wilson(int(k), int(n)) for k, n in zip(hits, faces, strict=True))


def second_share(scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """The share of the wrong faces whose second highest score is their label's, by scores (N, K) and labels (N,).

    Nan where no face is wrong. Of equal scores, the one of the lower class counts as higher. Raises MienError where shapes or
    labels do not fit.
    """
    hits = _second_hits(scores, labels)
    return float(hits.mean()) if len(hits) else float("nan")


def second_interval(scores: npt.ArrayLike, labels: npt.ArrayLike) -> Interval:
    """The 95 % Wilson interval of `second_share`; nan where no face is wrong."""
    hits = _second_hits(scores, labels)
    return wilson(int(hits.sum()), len(hits))


def wilson(hits: int, total: int) -> Interval:
    """The 95 % Wilson interval of the share `hits` / `total` of independent things; nan where `total` is 0.

    Unlike the usual interval, its width is above 0 for shares of 0 and 1, too.
    """
    if not total:
        return Interval(float("nan"), float("nan"))
    found = binomtest(hits, total).proportion_ci(method="wilson")
    return Interval(float(found.low), float(found.high))


def calibration_error(probabilities: npt.ArrayLike, labels: npt.ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error of probabilities (N, K): the sum over bins of share x |accuracy - confidence|.

    Confidence is the largest probability. Bins have equal width over [0, 1] and are closed on the left, the last on both sides
    (Naeini et al. 2015, as in Guo et al. 2017, equation 3). Raises MienError without faces, and where shapes or labels do not
    fit.
    """
    place, excess = _excess(probabilities, labels, bins)
    return float(np.abs(np.bincount(place, excess, bins)).sum() / len(place))


def calibration_interval(
    probabilities: npt.ArrayLike, labels: npt.ArrayLike, seed: int, bins: int = BINS, resamples: int = RESAMPLES
) -> Interval:
    """The 95 % percentile-bootstrap interval over faces of `calibration_error`.

    On few faces the error is biased upward, and more so in resamples: the interval may lie above the figure itself.
    """
    place, excess = _excess(probabilities, labels, bins)
    generator, count = np.random.default_rng(seed), len(place)
    errors = []
    for size in block_sizes(resamples, count):
        drawn = generator.integers(count, size=(size, count), dtype=np.uint32)
        cells = place[drawn] + bins * np.arange(size)[:, None]
        sums = np.bincount(cells.ravel(), excess[drawn].ravel(), size * bins).reshape(size, bins)
        errors.append(np.abs(sums).sum(1) / count)
    return percentiles(np.concatenate(errors))


def calibration_bins(probabilities: npt.ArrayLike, labels: npt.ArrayLike, bins: int = BINS) -> CalibrationBins:
    """Confidence, accuracy and number of faces in each bin of `calibration_error`. Raises MienError as that does."""
    confidence, right = _judged(probabilities, labels)
    place = _bin(confidence, bins)
    count = np.bincount(place, minlength=bins).astype(np.int64)
    return CalibrationBins(
        _ratio(np.bincount(place, confidence, bins), count), _ratio(np.bincount(place, right, bins), count), count
    )


def _second_hits(scores: npt.ArrayLike, labels: npt.ArrayLike) -> Bools:
    """For each wrong face, whether the second highest score is its label's, (wrong,)."""
    given = np.asarray(scores, np.float64)
    if given.ndim != 2:
        raise MienError("scores (N, K)", f"shape {given.shape}", "give one row per face")
    wanted = class_indices(labels, given.shape[1], "labels")
    if len(wanted) != len(given):
        raise MienError(f"a label for each of {len(given)} faces", f"{len(wanted)}", "give both for the same faces, in order")
    order = np.argsort(-given, axis=1, kind="stable")
    wrong = order[:, 0] != wanted
    hits: Bools = order[wrong, min(1, given.shape[1] - 1)] == wanted[wrong]
    return hits


def _hits(confusion: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _ratio(top: npt.NDArray[Any], bottom: npt.NDArray[Any]) -> Floats:
    """The ratio top / bottom; nan where bottom is 0."""
    top, bottom = np.asarray(top), np.asarray(bottom)
    shares: Floats = np.divide(top, bottom, out=np.full(bottom.shape, np.nan), where=bottom > 0)
    return shares


def _mean_known(values: Floats) -> Floats:
    """The mean over the last dimension, nan left out."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(-1), known.sum(-1))


def _resampled(confusion: Counts, seed: int, resamples: int) -> Iterator[Counts]:
    """Confusion matrices (block, K, K) of resampled faces, `resamples` in all."""
    total, classes = int(confusion.sum()), confusion.shape[-1]
    if not total:
        raise MienError("faces to measure", "an empty confusion matrix", "choose a split that has labeled faces")
    flat, generator = confusion.ravel(), np.random.default_rng(seed)
    taken = np.flatnonzero(flat)
    for size in block_sizes(resamples, classes * classes):
        cells = np.zeros((size, classes * classes), np.int64)
        cells[:, taken] = generator.multinomial(total, flat[taken] / total, size)
        yield cells.reshape(size, classes, classes)


def block_sizes(resamples: int, numbers: int) -> list[int]:
    """The sizes of the blocks in which `resamples` are drawn, where each resample takes so many `numbers` in memory."""
    size = max(1, min(resamples, BLOCK // numbers))
    whole, rest = divmod(resamples, size)
    return [size] * whole + [rest] * (rest > 0)


def percentiles(values: Floats) -> Interval:
    """The interval that holds COVERAGE of the resampled values (R,), nan left out; nan where all values are nan."""
    known = values[~np.isnan(values)]
    if not len(known):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return Interval(float(low), float(high))


def _judged(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Floats, Bools]:
    """The largest probability of each face, (N,), and whether that class is right, (N,)."""
    given = np.asarray(probabilities, np.float64)
    if given.ndim != 2 or not len(given):
        raise MienError("probabilities (N, K) of at least one face", f"shape {given.shape}", "give one row per face")
    wanted = class_indices(labels, given.shape[1], "labels")
    if len(wanted) != len(given):
        raise MienError(f"a label for each of {len(given)} faces", f"{len(wanted)}", "give both for the same faces, in order")
    if not (given.min() >= 0 and given.max() <= 1 + 1e-6):
        raise MienError("probabilities from 0 to 1", f"{given.min()} to {given.max()}", "apply the softmax first")
    return given.max(1), given.argmax(1) == wanted


def _bin(confidence: Floats, bins: int) -> npt.NDArray[np.intp]:
    return np.minimum((confidence * bins).astype(np.intp), bins - 1)


def _excess(probabilities: npt.ArrayLike, labels: npt.ArrayLike, bins: int) -> tuple[npt.NDArray[np.intp], Floats]:
    """Each face's bin (N,) and what it adds to that bin's sum of right minus confidence (N,)."""
    confidence, right = _judged(probabilities, labels)
    return _bin(confidence, bins), right - confidence
