"""How far the answering is, counted in the database."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, case, distinct, func, literal, select, true

from mien.labeling.store.agreement import krippendorff_alpha
from mien.labeling.store.consensus import votes_table
from mien.labeling.store.records import StoreInfo, check_round
from mien.labeling.store.schema import ANNOTATORS, ANSWERS, NOT_UNDONE, QUESTIONS


@dataclass(frozen=True)
class Tally:
    """How far the answering is. Gold questions, which are never done, count only in `gold`, `answers` and `alpha`."""

    questions: int
    """Questions without the gold ones."""
    done: int
    """Questions with as many answers as are wanted, `unsure` counted."""
    open: int
    """Questions that want more answers."""
    gold: int
    """Gold questions."""
    answers: int
    """Answers that stand."""
    by_annotator: Mapping[str, int]
    """The number of answers of each annotator that stand, by name; 0 for one who has none."""
    remaining: int
    """Answers that are still wanted, over all questions: `per_face` each, `per_disputed` where people disagree."""
    alpha: float
    """Krippendorff's alpha of the answers that stand; `not_a_face` is a value of its own, and `unsure` is none."""


def tally(connection: Connection, info: StoreInfo, round: int | None) -> Tally:
    """How far the answering is, over all questions or those of one round."""
    ours, plain, answered = of_round(round), QUESTIONS.c.gold.is_(None), QUESTIONS.c.answered
    wanted = _wanted(info)
    left = case((plain & (answered < wanted), wanted - answered), else_=0)
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
        alpha=_alpha(connection, ours),
    )


@dataclass(frozen=True)
class GoldProgress:
    """How far the gold questions are. Everybody gets all of them, so that it differs between annotators."""

    missing: Mapping[int, int]
    """For each gold question, by place, the answers it would want as an ordinary one; below 0 where it has more."""
    answered_by: Mapping[str, frozenset[int]]
    """For each annotator, the places of the gold questions that they answered."""

    def left(self, annotator: str) -> list[int]:
        """For each gold question, the answers still wanted as this annotator is to see it.

        It looks like an ordinary question: at least one is wanted until the annotator answered it.
        """
        mine = self.answered_by.get(annotator, frozenset())
        return [max(int(place not in mine), missing) for place, missing in self.missing.items()]


def gold_progress(connection: Connection, info: StoreInfo) -> GoldProgress:
    """How far all gold questions are."""
    gold = QUESTIONS.c.gold.is_not(None)
    query = select(QUESTIONS.c.place, (_wanted(info) - QUESTIONS.c.answered).label("left")).where(gold)
    left = {int(row.place): int(row.left) for row in connection.execute(query)}
    joined = ANSWERS.join(QUESTIONS).join(ANNOTATORS)
    said = select(ANNOTATORS.c.name, ANSWERS.c.question).select_from(joined).where(gold, NOT_UNDONE).distinct()
    mine: dict[str, set[int]] = {}
    for name, place in connection.execute(said):
        mine.setdefault(str(name), set()).add(int(place))
    return GoldProgress(left, {name: frozenset(places) for name, places in mine.items()})


def _wanted(info: StoreInfo) -> ColumnElement[int]:
    """The answers that a row of QUESTIONS wants, as an ordinary question."""
    if info.most == info.least:  # a store of an older version does not know which are disputed
        return literal(info.least)
    return case((QUESTIONS.c.disputed.is_(True), info.most), else_=info.least)


def of_round(round: int | None) -> ColumnElement[bool]:
    """The condition that a row of QUESTIONS is of a round; for None of any. Raises MienError for an impossible round."""
    if round is None:
        return true()
    check_round(round)
    return QUESTIONS.c.round == round


def _by_annotator(connection: Connection, ours: ColumnElement[bool]) -> dict[str, int]:
    """How many faces each annotator has a standing answer to, by name."""
    own = select(ANSWERS.c.annotator, func.count(distinct(ANSWERS.c.question)).label("faces"))
    counted = own.select_from(ANSWERS.join(QUESTIONS)).where(NOT_UNDONE, ours).group_by(ANSWERS.c.annotator).subquery()
    joined = ANNOTATORS.outerjoin(counted, counted.c.annotator == ANNOTATORS.c.id)
    rows = connection.execute(select(ANNOTATORS.c.name, func.coalesce(counted.c.faces, 0)).select_from(joined))
    return dict(sorted((str(name), int(faces)) for name, faces in rows))


def _alpha(connection: Connection, ours: ColumnElement[bool]) -> float:
    """Krippendorff's alpha of the answers that stand; only faces with two answers are read."""
    newest = select(func.max(ANSWERS.c.id)).where(NOT_UNDONE).group_by(ANSWERS.c.question, ANSWERS.c.annotator)
    voted = (ANSWERS.c.id.in_(newest), ANSWERS.c.kind != "unsure", QUESTIONS.c.answered >= 2, ours)
    given = (ANSWERS.c.question, ANSWERS.c.label)
    query = select(*given, func.count()).select_from(ANSWERS.join(QUESTIONS)).where(*voted).group_by(*given)
    return krippendorff_alpha(votes_table([tuple(row) for row in connection.execute(query)])[1])
