"""What the answers of several annotators make of a face, and how well they agree: pure functions of a log of answers.

An annotator's answers are a pile: an answer is laid on top, an undo takes the top one away, whatever its face, or the one that
it names, so that two undos take back two answers and none brings one back. Of what lies there the newest answer of each face
stands: after a correction was taken back, the one that it corrected. The order is the log's, not that of the clocks.

Votes are counted like FER+'s: a column for each class, one for `not_a_face`, which is an answer of its own, and one for
`unsure`, which is an answer but no vote.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt

from mien.errors import MienError
from mien.labeling.store.records import Answer, Question

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

HALF = 0.5
"""The share of its votes that a label needs, unless somebody says another."""
TOLERANCE = 1e-9
"""A share may be so much below the least agreement: 2 of 3 are two thirds, whichever way they are computed."""


@dataclass(frozen=True, eq=False)
class Consensus:
    """What annotators make of N faces; arrays have a row for each."""

    faces: tuple[str, ...]
    """Their ids."""
    classes: tuple[str, ...]
    labels: Counts
    """(N,) indices into `classes`, -1 where there is no label."""
    states: npt.NDArray[np.str_]
    """(N,) `open`: too few answers; `agreed`: a label; `not_a_face`: that was agreed on; `unsure`: enough answers and no vote;
    `disputed`: enough answers, none of these."""
    agreement: Floats
    """(N,) share of the votes that the first has, nan where there are none."""
    votes: Counts
    """(N, K) votes for each class."""
    unsure: Counts
    """(N,) answers without a vote."""
    not_a_face: Counts
    """(N,) votes for no face at all."""


@dataclass(frozen=True)
class AnnotatorFigures:
    """What one annotator did."""

    name: str
    answers: int
    """Those that stand."""
    agreement: float
    """Share of their votes that are what most of the others voted for, of faces where there is such a thing; nan without any."""
    right: float
    """Share of their votes on gold questions that are right; nan without any."""
    seconds: float
    """Median time between one answer and the next; nan with fewer than two."""


def standing(log: Iterable[Answer]) -> tuple[Answer, ...]:
    """Replays a log, oldest first: of each annotator and face the newest answer that no undo names."""
    entries = list(log)
    undone = {(entry.annotator, entry.undoes) for entry in entries if entry.kind == "undo"}
    found: dict[tuple[str, str], Answer] = {}
    for entry in entries:
        if entry.kind != "undo" and (entry.annotator, entry.key) not in undone:
            found[entry.face, entry.annotator] = entry
    return tuple(found.values())


def count_votes(answers: Sequence[Answer], faces: Sequence[str], classes: int) -> Counts:
    """(N, K + 2) counts of standing answers to N faces: K classes, not_a_face, unsure. Answers to other faces are left out."""
    places = {face: place for place, face in enumerate(faces)}
    cells = [(places[one.face], _column(one, classes)) for one in answers if one.face in places]
    flat = np.array(cells, np.int64).reshape(-1, 2) @ np.array([classes + 2, 1])
    return np.bincount(flat, minlength=len(places) * (classes + 2)).astype(np.int64).reshape(len(places), classes + 2)


def consensus(
    answers: Sequence[Answer],
    faces: Sequence[str],
    classes: Sequence[str],
    minimum_agreement: float = 0.5,
    minimum_answers: int = 1,
) -> Consensus:
    """The majority's label of each of N different faces, by the standing answers.

    A face has a label where one class has more votes than any other, at least `minimum_agreement` of all votes, and there are
    `minimum_answers` votes. `not_a_face` competes as a class does. Raises MienError for a minimum that cannot be.
    """
    if not 0 <= minimum_agreement <= 1 or minimum_answers < 1:
        found = f"{minimum_agreement} and {minimum_answers}"
        raise MienError("an agreement from 0 to 1 and at least 1 answer", found, "give other minimums")
    width = len(classes)
    counts = count_votes(answers, faces, width)
    votes, total = counts[:, : width + 1], counts[:, : width + 1].sum(axis=1)
    first, share = _first(votes), _share(votes.max(axis=1), total)
    decided = _decided(votes, minimum_agreement) & (total >= minimum_answers)
    conditions = [counts.sum(axis=1) < minimum_answers, decided & (first < width), decided, total == 0]
    states = np.select(conditions, ["open", "agreed", "not_a_face", "unsure"], "disputed")
    labels = np.where(states == "agreed", first, -1).astype(np.int64)
    return Consensus(
        tuple(faces), tuple(classes), labels, states, share, counts[:, :width], counts[:, width + 1], counts[:, width]
    )


def disputed(votes: Counts) -> npt.NDArray[np.bool_]:
    """(N,) of (N, C) votes: whether there are any, and none of the C values has half of them and more than any other."""
    found: npt.NDArray[np.bool_] = (votes.sum(axis=1) > 0) & ~_decided(votes, HALF)
    return found


def votes_of(rows: Sequence[tuple[int, int | None, int]]) -> tuple[Counts, Counts]:
    """From (face's number, label or None, count): the numbers (N,), sorted, and votes (N, C) with a column for no label first."""
    cells = np.array([(face, 0 if label is None else label + 1, count) for face, label, count in rows], np.int64).reshape(-1, 3)
    faces, found = np.unique(cells[:, 0], return_inverse=True)
    votes = np.zeros((len(faces), int(cells[:, 1].max(initial=0)) + 1), np.int64)
    votes[found, cells[:, 1]] = cells[:, 2]
    return faces, votes


def krippendorff_alpha(votes: npt.ArrayLike) -> float:
    """Krippendorff's alpha for nominal values from counts (N, C): how often each of C values was given to each of N faces.

    1 - observed / expected disagreement: over pairs of answers to one face, each face's pairs divided by its answers but one,
    against pairs of any two answers (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", C). Faces with fewer
    than two answers say nothing. 1: all agree; 0: as by chance; nan where no two answers can differ: no face has two, or all
    are the same. Raises MienError for what is no table of counts.
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
    """What each annotator in a log did, by name."""
    answers = standing(log)
    names = sorted({entry.annotator for entry in log})
    numbers = {name: number for number, name in enumerate(names)}
    voted = [one for one in answers if one.kind != "unsure"]
    people = np.array([numbers[one.annotator] for one in voted], np.int64)
    mine = np.array([_column(one, classes) for one in voted], np.int64)
    gold = {question.face: question.gold for question in questions if question.gold is not None}
    truth = np.array([gold.get(one.face, -1) for one in voted], np.int64)
    others = _first(_votes_of_others(voted, mine, classes))
    agreement = _share_of(others == mine, people, others >= 0, len(names))
    right = _share_of(truth == mine, people, truth >= 0, len(names))
    counts, seconds = Counter(one.annotator for one in answers), _seconds(log)
    return tuple(
        AnnotatorFigures(name, counts[name], float(agreement[n]), float(right[n]), seconds[name]) for n, name in enumerate(names)
    )


def _votes_of_others(voted: Sequence[Answer], mine: Counts, classes: int) -> Counts:
    """(M, K + 1) for each of M votes, those of the others on its face."""
    faces = list(dict.fromkeys(one.face for one in voted))
    places = {face: place for place, face in enumerate(faces)}
    rows = np.array([places[one.face] for one in voted], np.int64)
    votes = count_votes(voted, faces, classes)[rows, : classes + 1]
    votes[np.arange(len(voted)), mine] -= 1
    return votes


def _decided(votes: Counts, minimum_agreement: float) -> npt.NDArray[np.bool_]:
    share = np.nan_to_num(_share(votes.max(axis=1), votes.sum(axis=1)))
    decided: npt.NDArray[np.bool_] = (_first(votes) >= 0) & (share >= minimum_agreement - TOLERANCE)
    return decided


def _column(answer: Answer, classes: int) -> int:
    return classes + (answer.kind == "unsure") if answer.label is None else answer.label


def _first(votes: Counts) -> Counts:
    """(N,) the column that has more votes than any other of (N, C), -1 where there is none."""
    most = votes.max(axis=1, keepdims=True)
    alone = (votes == most).sum(axis=1) == 1
    return np.where(alone & (most[:, 0] > 0), votes.argmax(axis=1), -1).astype(np.int64)


def _share(top: Counts, bottom: Counts) -> Floats:
    """top / bottom, nan where bottom is 0."""
    shares: Floats = np.divide(top, bottom, out=np.full(bottom.shape, np.nan), where=bottom > 0)
    return shares


def _share_of(hits: npt.NDArray[np.bool_], people: Counts, asked: npt.NDArray[np.bool_], count: int) -> Floats:
    """(count,) of each person's votes that were asked about, the share that hit."""
    return _share(np.bincount(people[asked & hits], minlength=count), np.bincount(people[asked], minlength=count))


def _seconds(log: Sequence[Answer]) -> Mapping[str, float]:
    """The median of the seconds between an annotator's answers."""
    times: dict[str, list[float]] = {}
    for entry in log:
        times.setdefault(entry.annotator, []).extend([entry.time.timestamp()] if entry.kind != "undo" else [])
    steps = {name: np.diff(np.sort(given)).tolist() for name, given in times.items()}
    return {name: median(found) if found else math.nan for name, found in steps.items()}
