"""How far the answering is, counted in the database."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sqlalchemy import ColumnElement, Connection, case, distinct, func, select, true

from mien.active.store.consensus import krippendorff_alpha
from mien.active.store.records import StoreInfo, check_round
from mien.active.store.schema import ANNOTATORS, ANSWERS, KEPT, QUESTIONS


@dataclass(frozen=True)
class Tally:
    """How far the answering is. Gold questions, which are never done, count in `gold`, `answers` and `alpha` alone."""

    questions: int
    done: int
    """Questions with as many answers as are wanted, `unsure` among them."""
    open: int
    """The others."""
    gold: int
    """Gold questions."""
    answers: int
    """Answers that stand."""
    by_annotator: Mapping[str, int]
    """Of each annotator; 0 for one who has none."""
    remaining: int
    """Answers still wanted: what is left of a budget of `per_face` answers to each question."""
    alpha: float
    """Krippendorff's alpha of the answers that stand, `not_a_face` being a value of its own and `unsure` none."""


def tally(connection: Connection, info: StoreInfo, round: int | None) -> Tally:
    """Of all questions, or of those of one round."""
    ours, plain, answered = of_round(round), QUESTIONS.c.gold.is_(None), QUESTIONS.c.answered
    left = case((plain & (answered < info.per_face), info.per_face - answered), else_=0)
    sums = {"questions": case((plain, 1), else_=0), "open": case((left > 0, 1), else_=0), "remaining": left, "answers": answered}
    query = select(func.count().label("all"), *(func.coalesce(func.sum(value), 0).label(name) for name, value in sums.items()))
    found = connection.execute(query.select_from(QUESTIONS).where(ours)).one()
    questions, still_open = int(found.questions), int(found.open)
    return Tally(
        questions=questions,
        done=questions - still_open,
        open=still_open,
        gold=found.all - questions,
        answers=int(found.answers),
        by_annotator=_by_annotator(connection, ours),
        remaining=int(found.remaining),
        alpha=_alpha(connection, ours, len(info.classes)),
    )


@dataclass(frozen=True)
class GoldProgress:
    """How far the gold questions are. All of them are for everybody, so that it is another thing for each annotator."""

    per_face: int
    answers: Mapping[int, int]
    """Of each gold question, by its place, how many annotators have an answer that stands."""
    mine: Mapping[str, frozenset[int]]
    """The places that each annotator has an answer to."""

    def left(self, annotator: str) -> list[int]:
        """For each, the answers still wanted as one annotator is to see it: like a question that nobody has a special interest
        in, with at least one left before they answered, and one less after."""
        mine = self.mine.get(annotator, frozenset())
        return [max(int(place not in mine), self.per_face - count) for place, count in self.answers.items()]


def gold_progress(connection: Connection, info: StoreInfo) -> GoldProgress:
    """Of all gold questions."""
    gold = QUESTIONS.c.gold.is_not(None)
    answers = {int(row.place): int(row.answered) for row in connection.execute(select(QUESTIONS).where(gold))}
    joined = ANSWERS.join(QUESTIONS).join(ANNOTATORS)
    said = select(ANNOTATORS.c.name, ANSWERS.c.question).select_from(joined).where(gold, KEPT).distinct()
    mine: dict[str, set[int]] = {}
    for name, place in connection.execute(said):
        mine.setdefault(str(name), set()).add(int(place))
    return GoldProgress(info.per_face, answers, {name: frozenset(places) for name, places in mine.items()})


def of_round(round: int | None) -> ColumnElement[bool]:
    """Of rows of QUESTIONS: those of a round, or all. Raises MienError for what is no round."""
    if round is None:
        return true()
    check_round(round)
    return QUESTIONS.c.round == round


def _by_annotator(connection: Connection, ours: ColumnElement[bool]) -> dict[str, int]:
    """How many faces each annotator has an answer to that was not taken back, by name."""
    own = select(ANSWERS.c.annotator, func.count(distinct(ANSWERS.c.question)).label("faces"))
    counted = own.select_from(ANSWERS.join(QUESTIONS)).where(KEPT, ours).group_by(ANSWERS.c.annotator).subquery()
    joined = ANNOTATORS.outerjoin(counted, counted.c.annotator == ANNOTATORS.c.id)
    rows = connection.execute(select(ANNOTATORS.c.name, func.coalesce(counted.c.faces, 0)).select_from(joined))
    return dict(sorted((str(name), int(faces)) for name, faces in rows))


def _alpha(connection: Connection, ours: ColumnElement[bool], classes: int) -> float:
    """Krippendorff's alpha of the answers that stand; only faces with two are read."""
    newest = select(func.max(ANSWERS.c.id)).where(KEPT).group_by(ANSWERS.c.question, ANSWERS.c.annotator)
    voted = (ANSWERS.c.id.in_(newest), ANSWERS.c.kind != "unsure", QUESTIONS.c.answered >= 2, ours)
    given = (ANSWERS.c.question, ANSWERS.c.label)
    query = select(*given, func.count()).select_from(ANSWERS.join(QUESTIONS)).where(*voted).group_by(*given)
    rows = [(place, classes if label is None else label, count) for place, label, count in connection.execute(query)]
    cells = np.array(rows, np.int64).reshape(-1, 3)
    places, found = np.unique(cells[:, 0], return_inverse=True)
    votes = np.zeros((len(places), classes + 1), np.int64)
    votes[found, cells[:, 1]] = cells[:, 2]
    return krippendorff_alpha(votes)
