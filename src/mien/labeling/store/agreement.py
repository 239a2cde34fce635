"""How well annotators agree: Krippendorff's alpha, and for each annotator how often like others, how often right, how fast."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt

from mien.errors import MienError
from mien.labeling.store.consensus import Counts, Floats, count_votes, leading_column, shares, standing, vote_column
from mien.labeling.store.records import Answer, Question


@dataclass(frozen=True)
class AnnotatorFigures:
    """Figures of one annotator."""

    name: str
    """The annotator's name."""
    answers: int
    """Answers that stand."""
    agreement: float
    """The share of the annotator's votes that are the majority of the others' votes; nan without such majorities."""
    right: float
    """The share of the annotator's votes on gold questions that are right; nan without any."""
    seconds: float
    """The median time between an answer and the next, in seconds; nan with fewer than two answers."""


def krippendorff_alpha(votes: npt.ArrayLike) -> float:
    """Krippendorff's alpha for nominal values from counts (N, C): how often each of C values was given to each of N faces.

    Alpha is 1 - observed / expected disagreement (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", C). The
    observed one is over pairs of answers to the same face, a face's pairs divided by its answers but one; the expected one over
    pairs of any answers. Faces with fewer than two answers count for nothing. 1: all agree; 0: as by chance; nan where no two
    answers can differ, since no face has two or all are the same. Raises MienError for an array that is no table of counts.
    """
    given = np.asarray(votes, np.float64)
    if given.ndim != 2 or not (given >= 0).all():
        raise MienError("counts of votes (N, C)", f"shape {given.shape}, or negative ones", "give a row for each face")
    paired = given[given.sum(axis=1) >= 2]
    answers, totals = paired.sum(axis=1), paired.sum(axis=0)
    count = totals.sum()
    expected = (count**2 - (totals**2).sum()) / (count - 1) if count else 0.0
    if expected == 0:
        return math.nan
    observed = ((answers**2 - (paired**2).sum(axis=1)) / (answers - 1)).sum()
    return float(1 - observed / expected)


def annotator_figures(log: Sequence[Answer], questions: Sequence[Question], classes: int) -> tuple[AnnotatorFigures, ...]:
    """Figures of each annotator in a log, sorted by name."""
    answers = standing(log)
    names = sorted({entry.annotator for entry in log})
    numbers = {name: number for number, name in enumerate(names)}
    voted = [one for one in answers if one.kind != "unsure"]
    annotators = np.array([numbers[one.annotator] for one in voted], np.int64)
    mine = np.array([vote_column(one, classes) for one in voted], np.int64)
    gold = {question.face: question.gold for question in questions if question.gold is not None}
    truth = np.array([gold.get(one.face, -1) for one in voted], np.int64)
    others = leading_column(_votes_of_others(voted, mine, classes))
    agreement = _share_of(others == mine, annotators, others >= 0, len(names))
    right = _share_of(truth == mine, annotators, truth >= 0, len(names))
    counts, seconds = Counter(one.annotator for one in answers), _seconds(log)
    return tuple(
        AnnotatorFigures(name, counts[name], float(agreement[n]), float(right[n]), seconds[name]) for n, name in enumerate(names)
    )


def _votes_of_others(voted: Sequence[Answer], mine: Counts, classes: int) -> Counts:
    """(M, K + 1) for each of M votes, the votes of other annotators on the same face."""
    faces = list(dict.fromkeys(one.face for one in voted))
    places = {face: place for place, face in enumerate(faces)}
    rows = np.array([places[one.face] for one in voted], np.int64)
    votes = count_votes(voted, faces, classes)[rows, : classes + 1]
    votes[np.arange(len(voted)), mine] -= 1
    return votes


def _share_of(hits: npt.NDArray[np.bool_], annotators: Counts, asked: npt.NDArray[np.bool_], count: int) -> Floats:
    """(count,) for each annotator, the share of hits among the votes where `asked`."""
    return shares(np.bincount(annotators[asked & hits], minlength=count), np.bincount(annotators[asked], minlength=count))


def _seconds(log: Sequence[Answer]) -> Mapping[str, float]:
    """The median time between one answer and the next, in seconds, by annotator."""
    times: dict[str, list[float]] = {}
    for entry in log:
        times.setdefault(entry.annotator, []).extend([entry.time.timestamp()] if entry.kind != "undo" else [])
    steps = {name: np.diff(np.sort(given)).tolist() for name, given in times.items()}
    return {name: median(found) if found else math.nan for name, found in steps.items()}
