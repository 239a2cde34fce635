"""Summarizes neighborhood stability S over the faces of a split, and finds the least stable faces of each class."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator

from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.data.peaks import find_sequences
from mien.evaluation.neighborhood_stability import NeighborSpace
from mien.evaluation.risk_coverage import RiskCoverage, doubt_of_both, risk_coverage
from mien.evaluation.sample_weights import flip_auroc
from mien.neighbors.look import stability

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SHOWN = 5
"""Faces of each class that are shown with a neighbor."""


@dataclass(frozen=True)
class StabilitySummary:
    """Neighborhood stability S over faces, in nats; a mean is nan where there is no such face. A high S is an unstable face."""

    count: int
    """Number of faces."""
    mean: float
    """Mean S of all faces."""
    right: int
    """Number of faces that are predicted as labeled."""
    right_mean: float
    """Mean S of the faces that are predicted as labeled."""
    wrong: int
    """Number of labeled faces that are predicted as something else."""
    wrong_mean: float
    """Mean S of the labeled faces that are predicted as something else."""
    kept: float
    """Share of the neighbors that are predicted as their face is."""
    auroc: float
    """Probability that a wrong prediction has a higher S than a right one, ties counting half; nan without both."""


@dataclass(frozen=True, eq=False)
class ScoredFaces:
    """All N faces of a split with their predictions and their S; arrays have N values."""

    faces: FaceSet
    classes: tuple[str, ...]
    """The recognizer's classes."""
    labels: Integers
    """Labels as indices into `classes`; -1 for a face without label, or of a class that the recognizer does not know."""
    predicted: Integers
    """Predictions as indices into `classes`."""
    scores: Floats
    """S of each face, in nats."""
    kept: Floats
    """Share of each face's neighbors that are predicted as the face is."""
    confidence: Floats
    """Calibrated probability of each face's predicted class."""

    @property
    def wrong(self) -> Bools:
        """(N,) whether a labeled face is predicted as something else."""
        found: Bools = (self.labels >= 0) & (self.predicted != self.labels)
        return found


@dataclass(frozen=True, eq=False)
class UnstableExamples:
    """The M least stable faces of one class, at most one of a sequence, and a neighbor of each; arrays have M values."""

    name: str
    """Name of the class; empty for faces without label."""
    count: int
    """Number of faces of that class in all."""
    rows: Rows
    """The faces as rows of `ScoredFaces`, the highest S first."""
    neighbors: npt.NDArray[np.uint8] | None
    """Pictures of the neighbors, (M, S, S) or (M, S, S, 3); None where neighbors are no pictures."""
    predicted: Integers
    """Predictions for the neighbors, as indices into the recognizer's classes."""
    scores: Floats
    """Divergence of each face's prediction and its neighbor's, in nats."""


def known_labels(classes: tuple[str, ...], faces: FaceSet) -> Integers:
    """The labels of N faces as indices into `classes`, matched by name; -1 for a face without label or of another class."""
    place = np.array([*(classes.index(name) if name in classes else -1 for name in faces.classes), -1], np.int64)
    found: Integers = place[faces.labels]
    return found


def summarize_stability(scored: ScoredFaces) -> StabilitySummary:
    """Means of S over all faces, and over those predicted right and wrong, and how well a high S finds the wrong ones."""
    judged, wrong = scored.labels >= 0, scored.wrong
    right = judged & ~wrong
    return StabilitySummary(
        count=len(scored.scores),
        mean=_mean(scored.scores),
        right=int(right.sum()),
        right_mean=_mean(scored.scores[right]),
        wrong=int(wrong.sum()),
        wrong_mean=_mean(scored.scores[wrong]),
        kept=_mean(scored.kept),
        auroc=flip_auroc(-scored.scores[judged], wrong[judged]),
    )


def find_risks(scored: ScoredFaces) -> dict[str, RiskCoverage]:
    """Risk by coverage of the labeled faces, by what doubts an answer: `S`, `confidence` (1 minus it), and `both`.

    Empty where no face has a label that the recognizer knows.
    """
    judged = scored.labels >= 0
    if not judged.any():
        return {}
    unstable, unsure = scored.scores[judged], 1 - scored.confidence[judged]
    doubts = {"S": unstable, "confidence": unsure, "both": doubt_of_both(unstable, unsure)}
    return {name: risk_coverage(doubt, scored.wrong[judged]) for name, doubt in doubts.items()}


@torch.inference_mode()
def find_examples(space: NeighborSpace, scored: ScoredFaces, seed: int, device: torch.device) -> tuple[UnstableExamples, ...]:
    """The SHOWN least stable faces of each class, one of a sequence, and a neighbor of each; faces without label come last."""
    generator, own = Generator(device).manual_seed(seed), scored.faces.labels
    _, sequence = find_sequences(scored.faces)
    order, found = np.argsort(-scored.scores, kind="stable"), []
    for label, name in [*enumerate(scored.faces.classes), (-1, "")]:
        mine = order[own[order] == label]
        if len(mine):
            first = np.unique(sequence[mine], return_index=True)[1]
            rows = mine[np.sort(first)[:SHOWN]]
            pixels = torch.from_numpy(scored.faces.faces(rows)).to(device)
            drawn = space.draw(torch.from_numpy(rows).to(device), pixels, 1, generator)
            logits, near = space.look(drawn)
            scores = stability(logits, near).cpu().double().numpy()
            predicted = near[0].argmax(dim=1).cpu().numpy()
            found.append(UnstableExamples(name, len(mine), rows, space.pictures(drawn), predicted, scores))
    return tuple(found)


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else math.nan
