"""What several annotators agree on for a face: pure functions of a log of answers.

An annotator's answers are a pile. An answer is laid on top; an undo takes away the answer that it names. Of what lies there the
newest answer to each face stands: where a correction was taken back, the answer that it corrected. The log's order counts, not
that of the clocks.

Votes are counted as in FER+: a column for each class, one for `not_a_face`, which is a vote of its own, and one for `unsure`,
which is an answer but no vote.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.errors import MienError
from mien.labeling.store.records import Answer

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

HALF = 0.5
"""The share of a face's votes that a label needs, unless somebody asks for another."""
TOLERANCE = 1e-9
"""How far a share may lie below the least agreement, since 2 of 3 are two thirds however they are computed."""


@dataclass(frozen=True, eq=False)
class Consensus:
    """What annotators agree on for N faces; arrays have a row for each face."""

    faces: tuple[str, ...]
    """The ids of the faces."""
    classes: tuple[str, ...]
    """The store's classes."""
    labels: Counts
    """(N,) indices into `classes`, -1 where there is no label."""
    states: npt.NDArray[np.str_]
    """(N,) `open`: too few answers; `agreed`; `not_a_face`: people agree on that; `unsure`: no vote; `disputed`: no agreement."""
    agreement: Floats
    """(N,) the share of the votes that the most frequent one has, nan where there are no votes."""
    votes: Counts
    """(N, K) the number of votes for each class."""
    unsure: Counts
    """(N,) the number of answers without a vote."""
    not_a_face: Counts
    """(N,) the number of votes that it is no face."""


def standing(log: Iterable[Answer]) -> tuple[Answer, ...]:
    """The answers of a log that stand: of each annotator and face the newest one that was not taken back.

    The log is oldest first.
    """
    entries = list(log)
    undone = {(entry.annotator, entry.undoes) for entry in entries if entry.kind == "undo"}
    found: dict[tuple[str, str], Answer] = {}
    for entry in entries:
        if entry.kind != "undo" and (entry.annotator, entry.key) not in undone:
            found[entry.face, entry.annotator] = entry
    return tuple(found.values())


def count_votes(answers: Sequence[Answer], faces: Sequence[str], classes: int) -> Counts:
    """(N, K + 2) counts of standing answers to N faces, in columns: K classes, not_a_face, unsure.

    Answers to other faces are left out.
    """
    places = {face: place for place, face in enumerate(faces)}
    cells = [(places[one.face], vote_column(one, classes)) for one in answers if one.face in places]
    flat = np.array(cells, np.int64).reshape(-1, 2) @ np.array([classes + 2, 1])
    return np.bincount(flat, minlength=len(places) * (classes + 2)).astype(np.int64).reshape(len(places), classes + 2)


def consensus(
    answers: Sequence[Answer],
    faces: Sequence[str],
    classes: Sequence[str],
    minimum_agreement: float = 0.5,
    minimum_answers: int = 1,
) -> Consensus:
    """What annotators agree on for N different faces, by the standing answers.

    A face has a label where one class has more votes than any other, and at least `minimum_agreement` of at least
    `minimum_answers` votes. `not_a_face` competes like a class. Raises MienError for an impossible minimum.
    """
    if not 0 <= minimum_agreement <= 1 or minimum_answers < 1:
        found = f"{minimum_agreement} and {minimum_answers}"
        raise MienError("an agreement from 0 to 1 and at least 1 answer", found, "give other minimums")
    width = len(classes)
    counts = count_votes(answers, faces, width)
    votes, total = counts[:, : width + 1], counts[:, : width + 1].sum(axis=1)
    first, share = leading_column(votes), shares(votes.max(axis=1), total)
    decided = _decided(votes, minimum_agreement) & (total >= minimum_answers)
    conditions = [counts.sum(axis=1) < minimum_answers, decided & (first < width), decided, total == 0]
    states = np.select(conditions, ["open", "agreed", "not_a_face", "unsure"], "disputed")
    labels = np.where(states == "agreed", first, -1).astype(np.int64)
    return Consensus(
        tuple(faces), tuple(classes), labels, states, share, counts[:, :width], counts[:, width + 1], counts[:, width]
    )


def disputed(votes: Counts) -> npt.NDArray[np.bool_]:
    """(N,) whether people disagree, by votes (N, C): there are some, and no value has half of them and more than any other."""
    found: npt.NDArray[np.bool_] = (votes.sum(axis=1) > 0) & ~_decided(votes, HALF)
    return found


def votes_table(rows: Sequence[tuple[int, int | None, int]]) -> tuple[Counts, Counts]:
    """A table of votes from rows (face's number, label or None, count): the numbers (N,), sorted, and votes (N, C).

    Column 0 counts votes without a label, column 1 those for label 0, and so on.
    """
    cells = np.array([(face, 0 if label is None else label + 1, count) for face, label, count in rows], np.int64).reshape(-1, 3)
    faces, found = np.unique(cells[:, 0], return_inverse=True)
    votes = np.zeros((len(faces), int(cells[:, 1].max(initial=0)) + 1), np.int64)
    votes[found, cells[:, 1]] = cells[:, 2]
    return faces, votes


def _decided(votes: Counts, minimum_agreement: float) -> npt.NDArray[np.bool_]:
    share = np.nan_to_num(shares(votes.max(axis=1), votes.sum(axis=1)))
    decided: npt.NDArray[np.bool_] = (leading_column(votes) >= 0) & (share >= minimum_agreement - TOLERANCE)
    return decided


def vote_column(answer: Answer, classes: int) -> int:
    """The column of a table of votes (N, K + 2) that counts an answer."""
    return classes + (answer.kind == "unsure") if answer.label is None else answer.label


def leading_column(votes: Counts) -> Counts:
    """(N,) the column of votes (N, C) that has more than any other; -1 where there is none."""
    most = votes.max(axis=1, keepdims=True)
    alone = (votes == most).sum(axis=1) == 1
    return np.where(alone & (most[:, 0] > 0), votes.argmax(axis=1), -1).astype(np.int64)


def shares(top: Counts, bottom: Counts) -> Floats:
    """(N,) top / bottom, nan where bottom is 0."""
    shares: Floats = np.divide(top, bottom, out=np.full(bottom.shape, np.nan), where=bottom > 0)
    return shares
