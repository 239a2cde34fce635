"""Whether faces that are almost the same are recognized as the same (SNA, Section IV-E).

Frames beside the peak of a sequence show the same face a little changed: what is predicted of them is counted as in its Table
VII. For every other face semantic neighbors stand in: `reliability` scores them.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator

from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.data.peaks import NEAREST, Peaks, find_peaks, find_sequences, missing_columns
from mien.data.splits import split_rows, test_split
from mien.evaluation.evaluate import count_known
from mien.evaluation.metrics import Interval, wilson
from mien.evaluation.neighborhood_stability import Space, find_space, score_faces
from mien.evaluation.sample_weights import flip_auroc
from mien.json_text import plain_values
from mien.progress import Progress
from mien.recognize.divergence import divergence
from mien.recognize.model_card import read_used
from mien.recognize.recognizer import Recognizer
from mien.recognize.semantic_neighbors import SIGMA
from mien.settings import Count, Positive, Seed, require_fitting
from mien.wording import quantity

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SHOWN = 5
"""Faces of each class that are shown with a neighbor."""
FEW = 0.5
"""Where a smaller share of neighbors is predicted as their face is, S may say more of the autoencoder than of the network."""


@dataclass(frozen=True)
class Failures:
    """Sequences by what is predicted of the `nearest` frames before their last one. Intervals are Wilson's, 95 %."""

    nearest: int
    sequences: int
    failed: int
    """Failure cases: any of the frames is not predicted as the sequence's label."""
    failed_share: float
    failed_interval: Interval
    consistent: int
    """Consistent failure cases: all of the frames are predicted as one and the same wrong class."""
    consistent_share: float
    consistent_interval: Interval
    peaks_used: int
    """Of how many of these sequences the run used the label of the last frame, found by its id."""
    short: int
    """Labeled sequences left out: they have too few frames in this split."""
    unlabeled: int
    """Sequences left out: their last frame has no label, or one that the recognizer does not know."""


@dataclass(frozen=True)
class Scores:
    """S over faces, in nats; means are nan where there is no such face."""

    count: int
    mean: float
    right: int
    """Faces that are predicted as labeled."""
    right_mean: float
    wrong: int
    wrong_mean: float
    kept: float
    """Share of the neighbors that are predicted as their face is."""
    auroc: float
    """The probability that a wrong prediction has a higher S than a right one, ties counting half; nan without either."""


@dataclass(frozen=True, eq=False)
class Scored:
    """All faces of the split; arrays have N values."""

    faces: FaceSet
    classes: tuple[str, ...]
    """Of the recognizer."""
    labels: Integers
    """Index into `classes`, -1 for a face without label or of a class that the recognizer does not know."""
    predicted: Integers
    scores: Floats
    kept: Floats
    """Share of a face's neighbors that are predicted as it is."""

    @property
    def wrong(self) -> Bools:
        """(N,) whether a labeled face is predicted as something else."""
        found: Bools = (self.labels >= 0) & (self.predicted != self.labels)
        return found


@dataclass(frozen=True, eq=False)
class Checked:
    """The G sequences that were checked; arrays have G rows."""

    names: tuple[str, ...]
    labels: Integers
    """Of the last frame, as the recognizer's classes."""
    near: Rows
    """(G, nearest) rows of `Scored`: the frames before it."""
    failed: Bools
    consistent: Bools
    peaks: FaceSet
    """The last frames."""
    peaks_predicted: Integers


@dataclass(frozen=True, eq=False)
class Example:
    """The faces of one class that have the highest S, one of a sequence, and a neighbor of each; arrays have M values."""

    name: str
    """Of the class; empty for faces without label."""
    count: int
    """Faces of that class in all."""
    rows: Rows
    """Of `Scored`, the highest S first."""
    neighbors: npt.NDArray[np.uint8] | None
    """(M, S, S) or (M, S, S, 3); None where neighbors are no pictures."""
    predicted: Integers
    """Of the neighbors."""
    scores: Floats
    """Of these neighbors alone."""


@dataclass(frozen=True, eq=False)
class Consistency:
    """What `measure_consistency` found."""

    dataset: str
    split: str
    space: Literal["autoencoder", "features"]
    """Where neighbors lie."""
    neighbors: str
    """Where they come from, in words."""
    sigma: float
    draws: int
    seed: int
    reliability: Scores
    failures: Failures | None
    unchecked: str
    """Why there are no `failures`, in words."""
    scored: Scored
    checked: Checked | None
    examples: tuple[Example, ...]
    warning: str = ""
    """What may be wrong with these figures."""

    def to_json(self) -> dict[str, Any]:
        """The figures as plain values for JSON, under the names above; nan is null."""
        names = ("dataset", "split", "space", "neighbors", "sigma", "draws", "seed", "reliability", "failures", "unchecked")
        return {name: plain_values(getattr(self, name)) for name in (*names, "warning")}


def measure_consistency(
    recognizer: Recognizer | Path | str,
    faces: FaceSet | Path | str,
    split: str | None = None,
    neighbors: Path | str | None = None,
    draws: int = 8,
    sigma: float = SIGMA,
    nearest: int = NEAREST,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> Consistency:
    """Score all faces of a split by `draws` neighbors each, and count the failure cases among its sequences.

    A sequence is checked where the `nearest` frames before its last one are in the split; its label is that of the last frame,
    which may be in another (as in a set of `mien peaks`). `neighbors`: a folder of `mien neighbors train`; else the run's
    own autoencoder is taken, or features where it has none. Raises MienError for an autoencoder or recognizer made for other
    faces, and where there is no such split.
    """
    require_fitting(Seed, seed=seed)
    require_fitting(Count, draws=draws, nearest=nearest)
    require_fitting(Positive, sigma=sigma)
    if not isinstance(recognizer, Recognizer):
        recognizer = Recognizer.load(recognizer, device)
    if not isinstance(faces, FaceSet):
        faces = FaceSet.open(faces, verify=True)
    split = split or test_split(faces)
    rows = split_rows(faces, split)
    peaks = None if missing_columns(faces) else find_peaks(faces, nearest, rows, last=False)
    view, labels = faces.select(rows), known_labels(recognizer.classes, faces)
    space, told = find_space(recognizer, view, neighbors, sigma, progress)
    moves = score_faces(space, view, draws, seed, recognizer.device, progress)
    scored = Scored(view, recognizer.classes, labels[rows], moves.predicted, moves.scores, moves.kept)
    checked = None if peaks is None else check_sequences(recognizer, scored, faces, peaks, rows)
    return Consistency(
        dataset=faces.info.name or "unnamed",
        split=split,
        space=space.kind,
        neighbors=told,
        sigma=sigma,
        draws=draws,
        seed=seed,
        reliability=summarize_scores(scored),
        failures=None if peaks is None or checked is None else summarize_failures(recognizer, peaks, checked),
        unchecked="" if checked is not None else _why_unchecked(faces, peaks, nearest, split),
        scored=scored,
        checked=checked,
        examples=find_examples(space, scored, seed, recognizer.device),
        warning=_warning(scored, count_known(recognizer, view.select(scored.labels >= 0), faces)),
    )


def known_labels(classes: tuple[str, ...], faces: FaceSet) -> Integers:
    """(N,) labels as indices into `classes`, matched by name; -1 for a face without label or of another class."""
    place = np.array([*(classes.index(name) if name in classes else -1 for name in faces.classes), -1], np.int64)
    found: Integers = place[faces.labels]
    return found


def failure_cases(predicted: Integers, labels: Integers) -> tuple[Bools, Bools]:
    """Failure cases and consistent ones among them, (G,) each, of predictions (G, n) of the frames beside a peak of `labels`."""
    wrong = predicted != labels[:, None]
    return wrong.any(axis=1), wrong.all(axis=1) & (predicted == predicted[:, :1]).all(axis=1)


def check_sequences(recognizer: Recognizer, scored: Scored, faces: FaceSet, peaks: Peaks, rows: Rows) -> Checked | None:
    """The sequences whose label the recognizer knows; None where there is none. `rows` (N,): those of `scored` in `faces`."""
    labels = known_labels(recognizer.classes, faces)[peaks.last]
    known = np.flatnonzero(labels >= 0)
    if not len(known):
        return None
    near, labels = np.searchsorted(rows, peaks.near[known]), labels[known]
    failed, consistent = failure_cases(scored.predicted[near], labels)
    last = faces.select(peaks.last[known])
    predicted = recognizer.logits(last).argmax(axis=1)
    return Checked(tuple(peaks.names[n] for n in known), labels, near, failed, consistent, last, predicted)


def summarize_failures(recognizer: Recognizer, peaks: Peaks, checked: Checked) -> Failures:
    """Counts and shares of the sequences."""
    count, failed, consistent = len(checked.labels), int(checked.failed.sum()), int(checked.consistent.sum())
    used = read_used(recognizer.folder) if recognizer.folder else set()
    return Failures(
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


def summarize_scores(scored: Scored) -> Scores:
    """Means of S over all faces, and over those predicted right and wrong; how well a high S finds the wrong ones."""
    judged, wrong = scored.labels >= 0, scored.wrong
    right = judged & ~wrong
    return Scores(
        count=len(scored.scores),
        mean=_mean(scored.scores),
        right=int(right.sum()),
        right_mean=_mean(scored.scores[right]),
        wrong=int(wrong.sum()),
        wrong_mean=_mean(scored.scores[wrong]),
        kept=_mean(scored.kept),
        auroc=flip_auroc(-scored.scores[judged], wrong[judged]),
    )


@torch.inference_mode()
def find_examples(space: Space, scored: Scored, seed: int, device: torch.device) -> tuple[Example, ...]:
    """The SHOWN faces of highest S of each class, one of a sequence, and a neighbor of each; those without label last."""
    generator, own = Generator(device).manual_seed(seed), scored.faces.labels
    _, sequence = find_sequences(scored.faces)
    order, found = np.argsort(-scored.scores, kind="stable"), []
    for label, name in [*enumerate(scored.faces.classes), (-1, "")]:
        mine = order[own[order] == label]
        if len(mine):
            first = np.unique(sequence[mine], return_index=True)[1]
            rows = mine[np.sort(first)[:SHOWN]]
            logits, codes = space.begin(torch.from_numpy(scored.faces.faces(rows)).to(device))
            codes = space.moved(codes, generator)
            beside = space.logits(codes)
            scores = divergence(logits, beside).cpu().double().numpy()
            predicted = beside.argmax(dim=1).cpu().numpy()
            found.append(Example(name, len(mine), rows, space.pictures(codes), predicted, scores))
    return tuple(found)


def _why_unchecked(faces: FaceSet, peaks: Peaks | None, nearest: int, split: str) -> str:
    if peaks is None:
        return f"no sequences to check: no column {' and no column '.join(missing_columns(faces))}"
    left = f"{peaks.short} have too few, {peaks.unlabeled + len(peaks.last)} no label that the recognizer knows"
    return f"no sequences to check: none has a label and {quantity(nearest, 'frame')} before its last one in {split} ({left})"


def _warning(scored: Scored, used: int) -> str:
    found = [f"{used} of these faces gave the run their labels: this is no test of it"] if used else []
    kept = _mean(scored.kept)
    if kept < FEW:
        found.append(f"only {kept:.0%} of the neighbors are predicted as their face is: look whether they show its expression")
    return "; ".join(found)


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else math.nan
