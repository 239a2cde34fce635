"""Counts failure cases among sequences: the frames beside a peak that are not predicted as the peak's label (SNA, Table VII)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.data.peaks import Peaks
from mien.evaluation.metrics import Interval, wilson
from mien.evaluation.stability_summary import ScoredFaces, known_labels
from mien.recognize.recognizer import Recognizer
from mien.recognize.run_records import read_used_ids

Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class FailureCases:
    """Counts of sequences by the predictions for the `nearest` frames before their last one. Intervals are Wilson's, 95 %."""

    nearest: int
    """Frames before the last one that are checked."""
    sequences: int
    """Number of sequences that were checked."""
    failed: int
    """Number of failure cases: sequences of which any checked frame is not predicted as the sequence's label."""
    failed_share: float
    failed_interval: Interval
    consistent: int
    """Number of consistent failure cases: all checked frames are predicted as one and the same wrong class."""
    consistent_share: float
    consistent_interval: Interval
    peaks_used: int
    """Number of checked sequences whose last frame's label the run used; found by the frame's id."""
    short: int
    """Number of labeled sequences left out, which have too few frames in this split."""
    unlabeled: int
    """Number of sequences left out because their last frame has no label that the recognizer knows."""


@dataclass(frozen=True, eq=False)
class CheckedSequences:
    """The G sequences that were checked; arrays have G rows."""

    names: tuple[str, ...]
    labels: Integers
    """Labels of the last frames, as indices into the recognizer's classes."""
    near: Rows
    """The frames before the last ones, (G, nearest), as rows of `ScoredFaces`."""
    failed: Bools
    """Whether each sequence is a failure case."""
    consistent: Bools
    """Whether each sequence is a consistent failure case."""
    peaks: FaceSet
    """The last frames."""
    peaks_predicted: Integers
    """Predictions for the last frames."""


def failure_cases(predicted: Integers, labels: Integers) -> tuple[Bools, Bools]:
    """Which of G sequences are failure cases, and which consistent ones, (G,) each.

    `predicted` (G, n): predictions for the n frames beside each peak. `labels` (G,): the peaks' labels.
    """
    wrong = predicted != labels[:, None]
    return wrong.any(axis=1), wrong.all(axis=1) & (predicted == predicted[:, :1]).all(axis=1)


def check_sequences(
    recognizer: Recognizer, scored: ScoredFaces, faces: FaceSet, peaks: Peaks, rows: Rows
) -> CheckedSequences | None:
    """Check the sequences whose label the recognizer knows; None where there is none.

    `rows` (N,): where the faces of `scored` stand in `faces`.
    """
    labels = known_labels(recognizer.classes, faces)[peaks.last]
    known = np.flatnonzero(labels >= 0)
    if not len(known):
        return None
    near, labels = np.searchsorted(rows, peaks.near[known]), labels[known]
    failed, consistent = failure_cases(scored.predicted[near], labels)
    last = faces.select(peaks.last[known])
    predicted = recognizer.logits(last).argmax(axis=1)
    return CheckedSequences(tuple(peaks.names[n] for n in known), labels, near, failed, consistent, last, predicted)


def summarize_failures(recognizer: Recognizer, peaks: Peaks, checked: CheckedSequences) -> FailureCases:
    """Counts and shares of failure cases among the checked sequences."""
    count, failed, consistent = len(checked.labels), int(checked.failed.sum()), int(checked.consistent.sum())
    used = read_used_ids(recognizer.folder) if recognizer.folder else set()
    return FailureCases(
        nearest=checked.near.shape[1],
        sequences=count,
        failed=failed,
        failed_share=failed / count,
        failed_interval=wilson(failed, count),
        consistent=consistent,
        consistent_share=consistent / count,
        consistent_interval=wilson(consistent, count),
        peaks_used=sum(name in used for name in checked.peaks.column("id").to_pylist()),
        short=peaks.short,
        unlabeled=peaks.unlabeled + len(peaks.last) - count,
    )
