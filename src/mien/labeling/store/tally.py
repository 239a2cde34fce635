"""How far the answering is, counted in the database."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, case, distinct, func, literal, select, true

from mien.labeling.store.consensus import krippendorff_alpha, votes_of
from mien.labeling.store.records import StoreInfo, check_round
from mien.labeling.store.schema import ANNOTATORS, ANSWERS, NOT_UNDONE, QUESTIONS


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
    """Answers still wanted: what is left of a budget of `per_face` answers to each question, `per_disputed` to disputed ones."""
    alpha: float
    """Krippendorff's alpha of the answers that stand, `not_a_face` being a value of its own and `unsure` none."""


def tally(connection: Connection, info: StoreInfo, round: int | None) -> Tally:
    """Of all questions, or of those of one round."""
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
    """How far the gold questions are. All of them are for everybody, so that it is another thing for each annotator."""

    left_of_all: Mapping[int, int]
    """Of each gold question, by its place, how many answers it wants as one that is for few; below 0 where it has more."""
    mine: Mapping[str, frozenset[int]]
    """The places that each annotator has an answer to."""

    def left(self, annotator: str) -> list[int]:
        """For each, the answers still wanted as one annotator is to see it: like a question that nobody has a special interest
        in, with at least one left before they answered, and one less after."""
        mine = self.mine.get(annotator, frozenset())
        return [max(int(place not in mine), left) for place, left in self.left_of_all.items()]


def gold_progress(connection: Connection, info: StoreInfo) -> GoldProgress:
    """Of all gold questions."""
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
    """Of rows of QUESTIONS, the answers that one that is for few wants."""
    if info.most == info.least:  # a store of an older version does not know which are disputed
        return literal(info.least)
    return case((QUESTIONS.c.disputed.is_(True), info.most), else_=info.least)


def of_round(round: int | None) -> ColumnElement[bool]:
    """Of rows of QUESTIONS: those of a round, or all. Raises MienError for what is no round."""
    if round is None:
        return true()
    check_round(round)
    return QUESTIONS.c.round == round


def _by_annotator(connection: Connection, ours: ColumnElement[bool]) -> dict[str, int]:
    """How many faces each annotator has an answer to that was not taken back, by name."""
    own = select(ANSWERS.c.annotator, func.count(distinct(ANSWERS.c.question)).label("faces"))
    counted = own.select_from(ANSWERS.join(QUESTIONS)).where(NOT_UNDONE, ours).group_by(ANSWERS.c.annotator).subquery()
    joined = ANNOTATORS.outerjoin(counted, counted.c.annotator == ANNOTATORS.c.id)
    rows = connection.execute(select(ANNOTATORS.c.name, func.coalesce(counted.c.faces, 0)).select_from(joined))
    return dict(sorted((str(name), int(faces)) for name, faces in rows))


def _alpha(connection: Connection, ours: ColumnElement[bool]) -> float:
    """Krippendorff's alpha of the answers that stand; only faces with two are read."""
    newest = select(func.max(ANSWERS.c.id)).where(NOT_UNDONE).group_by(ANSWERS.c.question, ANSWERS.c.annotator)
    voted = (ANSWERS.c.id.in_(newest), ANSWERS.c.kind != "unsure", QUESTIONS.c.answered >= 2, ours)
    given = (ANSWERS.c.question, ANSWERS.c.label)
    query = select(*given, func.count()).select_from(ANSWERS.join(QUESTIONS)).where(*voted).group_by(*given)
    return krippendorff_alpha(votes_of([tuple(row) for row in connection.execute(query)])[1])
