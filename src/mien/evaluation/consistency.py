"""Measures whether faces that are almost the same are recognized as the same (SNA, Section IV-E).

Frames beside the peak of a sequence show one face a little changed: wrong predictions there are counted as failure cases (its
Table VII). For every other face, semantic neighbors stand in: neighborhood stability S says how far their predictions move.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.data.faceset import FaceSet
from mien.data.peaks import NEAREST, Peaks, find_peaks, missing_columns
from mien.data.splits import split_rows, test_split
from mien.evaluation.evaluate import count_known
from mien.evaluation.failure_cases import CheckedSequences, FailureCases, check_sequences, summarize_failures
from mien.evaluation.flip_rates import FlipRates, measure_flip_rates
from mien.evaluation.neighborhood_stability import find_space, score_faces
from mien.evaluation.risk_coverage import RiskCoverage
from mien.evaluation.stability_summary import (
    ScoredFaces,
    StabilitySummary,
    UnstableExamples,
    _mean,
    find_examples,
    find_risks,
    known_labels,
    summarize_stability,
)
from mien.json_text import plain_values
from mien.progress import Progress
from mien.recognize.recognizer import Recognizer
from mien.settings import Count, Positive, Seed, require_fitting
from mien.wording import percent, quantity

FEW = 0.5
"""Least share of neighbors that are predicted as their face is; below, S may say more of the autoencoder than of the network."""


@dataclass(frozen=True, eq=False)
class Consistency:
    """What `measure_consistency` found: neighborhood stability over all faces, and failure cases among the sequences."""

    dataset: str
    split: str
    space: str
    """The kind of neighbors, such as `autoencoder`, `features` or `views`."""
    neighbors: str
    """Where neighbors come from, in words."""
    sigma: float | None
    """Noise that makes neighbors, in deviations of each number; None where they are made otherwise."""
    draws: int
    """Neighbors of each face."""
    seed: int
    stability: StabilitySummary
    """Neighborhood stability S over the faces; `reliability` in JSON."""
    failures: FailureCases | None
    """Failure cases among the sequences; None where none could be checked."""
    unchecked: str
    """Why no sequence could be checked, in words; empty where some were."""
    scored: ScoredFaces
    checked: CheckedSequences | None
    examples: tuple[UnstableExamples, ...]
    """The least stable faces of each class."""
    risks: dict[str, RiskCoverage]
    """Risk by coverage where answers are doubted by `S`, by `confidence`, and by `both`; empty without labels."""
    flips: FlipRates | None = None
    """How often answers flip where faces move a little; None where sequences could be checked, and for features."""
    passes: float = math.nan
    """What the neighbors of a face cost, in passes of the network beside the face's own."""
    warning: str = ""
    """What may be wrong with these figures, in words; empty where nothing is known."""

    def to_json(self) -> dict[str, Any]:
        """The figures as plain values for JSON; nan is null."""
        names = ("dataset", "split", "space", "neighbors", "sigma", "draws", "passes", "seed")
        later = ("failures", "unchecked", "warning")
        stability = {"reliability": plain_values(self.stability)}
        first, last = ({name: plain_values(getattr(self, name)) for name in some} for some in (names, later))
        risks = {"risk_coverage": {name: risk.to_json() for name, risk in self.risks.items()}}
        flips = {"flips": None if self.flips is None else self.flips.to_json()}
        return first | stability | risks | flips | last


def measure_consistency(
    recognizer: Recognizer | Path | str,
    faces: FaceSet | Path | str,
    split: str | None = None,
    neighbors: Path | str | None = None,
    draws: int = 8,
    sigma: float | None = None,
    nearest: int = NEAREST,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> Consistency:
    """Score the stability of all faces of a split by `draws` neighbors each, and count failure cases among its sequences.

    Where no sequence can be checked, faces are moved instead, as `measure_flip_rates` does.
    A sequence is checked where the `nearest` frames before its last one are in the split. Its label is that of the last frame,
    which may be in another split (as in a set of `mien peaks`). `neighbors`: a kind with its settings, such as `views
    shift=0.05`, or the folder of a trained autoencoder; without it the run's own autoencoder, or features where the run has none.
    `sigma`: noise that makes neighbors; the kind's own unless given. Raises MienError for an autoencoder or recognizer made for
    other faces, for faces without such neighbors, and where there is no such split.
    """
    require_fitting(Seed, seed=seed)
    require_fitting(Count, draws=draws, nearest=nearest)
    require_fitting(Positive, sigma=sigma)
    if not isinstance(recognizer, Recognizer):
        recognizer = Recognizer.load(recognizer, device)
    faces = FaceSet.of(faces)
    split = split or test_split(faces)
    rows = split_rows(faces, split)
    peaks = None if missing_columns(faces) else find_peaks(faces, nearest, rows, last=False)
    view, labels = faces.select(rows), known_labels(recognizer.classes, faces)
    space, told = find_space(recognizer, view, neighbors, sigma, progress, faces)
    moves = score_faces(space, view, draws, seed, recognizer.device, progress)
    scored = ScoredFaces(view, recognizer.classes, labels[rows], moves.predicted, moves.scores, moves.kept, moves.confidence)
    checked = None if peaks is None else check_sequences(recognizer, scored, faces, peaks, rows)
    to_move = checked is None and recognizer.card.faces.kind == faces.info.kind == "faces"
    return Consistency(
        dataset=faces.info.name or "unnamed",
        split=split,
        space=space.kind,
        neighbors=told,
        sigma=space.sigma,
        draws=draws if space.fitted.varies else 1,
        seed=seed,
        stability=summarize_stability(scored),
        failures=None if peaks is None or checked is None else summarize_failures(recognizer, peaks, checked),
        unchecked="" if checked is not None else _why_unchecked(faces, peaks, nearest, split),
        scored=scored,
        checked=checked,
        examples=find_examples(space, scored, seed, recognizer.device),
        risks=find_risks(scored),
        flips=measure_flip_rates(recognizer, faces, split, None, draws, seed, progress=progress) if to_move else None,
        passes=space.fitted.passes * (draws if space.fitted.varies else 1),
        warning=_warning(scored, count_known(recognizer, view.select(scored.labels >= 0), faces)),
    )


def _why_unchecked(faces: FaceSet, peaks: Peaks | None, nearest: int, split: str) -> str:
    if peaks is None:
        return f"no sequences to check: no column {' and no column '.join(missing_columns(faces))}"
    left = f"{peaks.short} have too few, {peaks.unlabeled + len(peaks.last)} no label that the recognizer knows"
    return f"no sequences to check: none has a label and {quantity(nearest, 'frame')} before its last one in {split} ({left})"


def _warning(scored: ScoredFaces, used: int) -> str:
    found = [f"{used} of these faces gave the run their labels: this is no test of it"] if used else []
    kept = _mean(scored.kept)
    if kept < FEW:
        found.append(
            f"only {percent(kept, 0)} of the neighbors are predicted as their face is: look whether they show its expression"
        )
    return "; ".join(found)
