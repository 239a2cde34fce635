"""Rank correlations of an expression's probability with its intensity, over faces and within sequences, with intervals."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.stats import spearmanr

from mien.data.faceset import FaceSet
from mien.data.peaks import find_sequences
from mien.errors import MienError
from mien.evaluation.evaluate import tested_faces
from mien.evaluation.metrics import RESAMPLES, Interval, block_sizes, percentiles
from mien.json_text import plain_values
from mien.recognize.calibration import apply_temperature
from mien.recognize.recognizer import Recognizer
from mien.wording import quantity

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

NEUTRAL = "neutral"
"""The class that has no intensity."""


LEAST = 3
"""Least different intensities of a sequence that has a rank correlation."""


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation of probability and intensity over the faces of one expression, or over all faces."""

    name: str
    """The expression, or `all`."""
    count: int
    """Number of faces."""
    value: float
    """The correlation, from -1 to 1; nan where probability or intensity never changes."""
    interval: Interval
    """95 % interval by bootstrap."""


@dataclass(frozen=True)
class SequenceCorrelations:
    """Rank correlations within sequences of at least LEAST different intensities; figures are nan where there is none."""

    count: int
    """Number of sequences."""
    median: float
    """Median of the correlations; a sequence whose probability never changes counts as 0."""
    median_interval: Interval
    above: float
    """Share of sequences whose correlation is above 0."""
    above_interval: Interval


@dataclass(frozen=True)
class IntensityCorrelations:
    """What `inspect_intensity` found: correlations over faces and within sequences. Intervals are 95 % percentile bootstrap."""

    dataset: str
    split: str
    column: str
    """The column of intensities."""
    overall: Correlation
    classes: tuple[Correlation, ...]
    """Correlations by expression, of those that have faces."""
    sequences: SequenceCorrelations
    over: Literal["sequences", "faces"]
    """What the bootstrap draws: whole sequences where there are any, else faces."""
    warning: str = ""
    """What may be wrong with these figures, in words; empty where nothing is known."""

    def to_json(self) -> dict[str, Any]:
        """The whole result as plain values for JSON; nan is null."""
        found: dict[str, Any] = plain_values(self)
        return found


@dataclass(frozen=True, eq=False)
class IntensityFaces:
    """N faces whose expression has an intensity; all arrays have N values."""

    faces: FaceSet
    classes: tuple[str, ...]
    """The recognizer's classes."""
    expression: Integers
    """The class whose probability counts: the face's label, or in a sequence the label of its peak frame."""
    intensity: Floats
    probability: Floats
    """Calibrated probability of that class."""
    sequence: Integers
    """Number of the face's sequence, from 0; a face outside of any sequence has a number of its own."""
    names: tuple[str, ...]
    """Names of the sequences by number; empty for a face outside of any."""


def find_intensity_faces(recognizer: Recognizer, faces: FaceSet, split: str, column: str) -> IntensityFaces:
    """The labeled faces of the split that have an intensity, with their expressions and calibrated probabilities.

    Raises MienError where no intensities differ, and where the column is missing or holds no numbers.
    """
    tested = tested_faces(recognizer.classes, faces, split)
    intensity = _intensities(tested.faces, column)
    there = np.flatnonzero(np.isfinite(intensity))
    view, intensity = tested.faces.select(there), intensity[there]
    names, sequence = find_sequences(view)
    expression = peak_labels(tested.labels[there], intensity, sequence)
    neutral = recognizer.classes.index(NEUTRAL) if NEUTRAL in recognizer.classes else -1
    kept = np.flatnonzero(expression != neutral)
    view, expression, intensity = view.select(kept), expression[kept], intensity[kept]
    if len(kept) < 2 or np.ptp(intensity) == 0:
        raise MienError(
            f"faces of different {column} in {split}, neutral left out",
            f"{quantity(len(kept), 'face')} of one",
            "take another split or column",
        )
    used, sequence = np.unique(sequence[kept], return_inverse=True)
    chances = apply_temperature(recognizer.logits(view), recognizer.card.temperature)
    probability = chances[np.arange(len(kept)), expression]
    return IntensityFaces(
        view, recognizer.classes, expression, intensity, probability, sequence, tuple(names[number] for number in used)
    )


def summarize_intensity(
    shown: IntensityFaces,
    within: Floats,
    dataset: str,
    split: str,
    column: str,
    warning: str = "",
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> IntensityCorrelations:
    """Correlations over all faces, by expression and within sequences, with intervals by a bootstrap that `seed` draws.

    `within` (S,): the correlation of each sequence. Whole sequences are drawn where there are any, since their frames are alike;
    people are taken as independent.
    """
    groups = [("all", np.arange(len(shown.intensity)))]
    groups += [(name, np.flatnonzero(shown.expression == label)) for label, name in enumerate(shown.classes)]
    groups = [(name, rows) for name, rows in groups if len(rows)]
    drawn = _resampled(shown, [rows for _, rows in groups], seed, resamples)
    found = [
        Correlation(name, len(rows), _spearman(shown.probability[rows], shown.intensity[rows]), percentiles(values))
        for (name, rows), values in zip(groups, drawn, strict=True)
    ]
    sequences = summarize_sequences(within[np.isfinite(within)], seed, resamples)
    over: Literal["sequences", "faces"] = "sequences" if any(shown.names) else "faces"
    return IntensityCorrelations(dataset, split, column, found[0], tuple(found[1:]), sequences, over, warning)


def summarize_sequences(within: Floats, seed: int = 0, resamples: int = RESAMPLES) -> SequenceCorrelations:
    """Median and share above 0 of the correlations `within` sequences (S,), with bootstrap intervals over sequences."""
    if not len(within):
        nowhere = Interval(math.nan, math.nan)
        return SequenceCorrelations(0, math.nan, nowhere, math.nan, nowhere)
    generator, medians, shares = np.random.default_rng(seed), [], []
    for size in block_sizes(resamples, len(within)):
        drawn = within[generator.integers(len(within), size=(size, len(within)))]
        medians.append(np.median(drawn, axis=1))
        shares.append((drawn > 0).mean(axis=1))
    found = percentiles(np.concatenate(medians)), percentiles(np.concatenate(shares))
    return SequenceCorrelations(len(within), float(np.median(within)), found[0], float((within > 0).mean()), found[1])


def sequence_correlations(shown: IntensityFaces) -> Floats:
    """The rank correlation within each of S sequences, (S,); nan for one of fewer than LEAST different intensities."""
    order = np.argsort(shown.sequence, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(shown.sequence, minlength=len(shown.names)))[:-1])
    within = np.full(len(shown.names), math.nan)
    for number, rows in enumerate(parts):
        if shown.names[number] and len(np.unique(shown.intensity[rows])) >= LEAST:
            found = _spearman(shown.probability[rows], shown.intensity[rows])
            within[number] = 0.0 if math.isnan(found) else found
    return within


def peak_labels(labels: Integers, intensity: Floats, sequence: Integers) -> Integers:
    """For each of N faces the label of the most intense face of its sequence; of equals, the first."""
    order = np.lexsort((-np.arange(len(labels)), intensity, sequence))
    ordered, last = sequence[order], np.ones(len(order), bool)
    last[:-1] = ordered[1:] > ordered[:-1]
    peaks = labels[order[last]]
    return peaks[np.unique(sequence, return_inverse=True)[1]]


def weighted_spearman(first: Floats, second: Floats, counts: npt.NDArray[Any]) -> Floats:
    """Spearman's correlations, (R,), of values `first` and `second` (N,) in R resamples; nan where either is constant.

    `counts` (R, N): how many times each pair of values is in each resample.
    """
    weights = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    centered = [_ranks(values, counts) for values in (first, second)]
    centered = [ranks - (weights * ranks).sum(axis=1, keepdims=True) for ranks in centered]
    together, one, other = (np.einsum("rn,rn,rn->r", weights, centered[a], centered[b]) for a, b in ((0, 1), (0, 0), (1, 1)))
    spread = np.sqrt(one * other)
    found: Floats = np.divide(together, spread, out=np.full(len(spread), math.nan), where=spread > 1e-9)
    return found


def _intensities(faces: FaceSet, column: str) -> Floats:
    """The column as numbers (N,), nan where a face has none. Raises MienError where it is missing or holds no numbers."""
    if column not in faces.column_names:
        raise MienError(
            f"a column of intensities, {column!r}",
            f"columns {', '.join(faces.column_names)}",
            "name it with --column, or take a set that has one (mien import synthetic OUT --set sequences=8)",
        )
    given = faces.column(column)
    if not (pa.types.is_floating(given.type) or pa.types.is_integer(given.type)):
        raise MienError(f"numbers in column {column}", str(given.type), "name another column with `column`")
    return np.asarray(given.cast(pa.float64()).to_numpy(), np.float64)


def _spearman(probability: Floats, intensity: Floats) -> float:
    if np.ptp(probability) == 0 or np.ptp(intensity) == 0:
        return math.nan
    return float(spearmanr(probability, intensity).statistic)


def _resampled(shown: IntensityFaces, groups: list[Integers], seed: int, resamples: int) -> list[Floats]:
    """For each group of rows, the correlations (R,) in R bootstrap resamples of sequences."""
    generator, clusters = np.random.default_rng(seed), len(shown.names)
    found: list[list[Floats]] = [[] for _ in groups]
    for size in block_sizes(resamples, max(clusters, len(shown.intensity))):
        drawn = generator.integers(clusters, size=(size, clusters)) + clusters * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * clusters).reshape(size, clusters)
        for kept, rows in zip(found, groups, strict=True):
            kept.append(weighted_spearman(shown.probability[rows], shown.intensity[rows], counts[:, shown.sequence[rows]]))
    return [np.concatenate(kept) for kept in found]


def _ranks(values: Floats, counts: npt.NDArray[Any]) -> Floats:
    """Ranks (R, N) of values (N,) in R resamples that hold them `counts` (R, N) times; equal values share their mean rank."""
    _, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(place.max() + 1))
    totals = np.add.reduceat(counts[:, order], starts, axis=1)
    ranks: Floats = (totals.cumsum(axis=1) - (totals - 1) / 2)[:, place]
    return ranks
