"""The table of questions: adding them, noting guesses with them, and wanting more answers to them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from mien.errors import MienError
from mien.labeling.store import answer_log
from mien.labeling.store.records import NotedGuess, Question, StoreInfo, check_label
from mien.labeling.store.schema import QUESTIONS, STORE
from mien.labeling.store.tally import of_round

QUESTION_COLUMNS = (QUESTIONS.c.face, QUESTIONS.c.round, QUESTIONS.c.gold, QUESTIONS.c.model, QUESTIONS.c.guess)
"""The columns that make a question; stores of all versions have them."""
ADD_GUESS = (
    update(QUESTIONS)
    .where(QUESTIONS.c.face == bindparam("its"), QUESTIONS.c.gold.is_not(None), QUESTIONS.c.guess.is_(None))
    .values(model=bindparam("by"), guess=bindparam("what"))
)


def add_questions(connection: Connection, asked: Sequence[Question], classes: int, now: datetime) -> int:
    """Add those questions whose faces are new, after all earlier ones. Returns how many were new.

    Raises MienError for gold labels and guesses that are none of so many classes.
    """
    for question in asked:
        check_label(question.gold, classes, f" as gold of {question.face!r}")
        check_label(question.guess, classes, f" as guess of {question.face!r}")
    known = set(connection.execute(select(QUESTIONS.c.face)).scalars())
    new: dict[str, Question] = {}
    for question in asked:
        if question.face not in known:
            new.setdefault(question.face, question)
    last = connection.execute(select(func.max(QUESTIONS.c.place))).scalar()
    first = 0 if last is None else last + 1
    rows = [_row(question) for question in new.values()]
    if rows:
        connection.execute(insert(QUESTIONS), [row | {"place": n, "asked": now} for n, row in enumerate(rows, first)])
    return len(rows)


def add_guesses(connection: Connection, guesses: Mapping[str, NotedGuess], classes: int) -> None:
    """Note guesses with gold questions that have none, by face. Raises MienError for a guess that is none of so many classes."""
    for face, found in guesses.items():
        check_label(found.label, classes, f" as guess of {face!r}")
    rows = [{"its": face, "by": found.model, "what": found.label} for face, found in guesses.items()]
    if rows:
        connection.execute(ADD_GUESS, rows)


def list_questions(connection: Connection, round: int | None) -> tuple[Question, ...]:
    """All questions, or those of one round, in the order in which they were asked."""
    rows = connection.execute(select(*QUESTION_COLUMNS).where(of_round(round)).order_by(QUESTIONS.c.place)).all()
    return tuple(as_question(row) for row in rows)


def want_more(connection: Connection, info: StoreInfo, per_face: int) -> int:
    """Want `per_face` answers from now on to disputed faces, or to all faces where one answer was wanted.

    Returns how many disputed questions want another answer, gold ones aside. Raises MienError for fewer than are wanted now.
    """
    require_more(info, per_face)
    if per_face > info.most:
        # In a store of before nobody noted which they are.
        answer_log.count_again(connection, list(connection.execute(select(QUESTIONS.c.place)).scalars()))
        connection.execute(update(STORE).values(per_disputed=per_face))
    open_ones = (QUESTIONS.c.disputed.is_(True), QUESTIONS.c.gold.is_(None), QUESTIONS.c.answered < per_face)
    return int(connection.execute(select(func.count()).select_from(QUESTIONS).where(*open_ones)).scalar_one())


def require_more(info: StoreInfo, per_face: int) -> None:
    """Raises MienError for fewer answers than a store wants already."""
    if per_face < info.most:
        where = " where people disagree" if info.most > info.least else ""
        expected = f"at least the {info.most} answers to a face{where} that this store wants"
        raise MienError(expected, f"{per_face}", "leave it out, or make another store")


def as_question(row: Any) -> Question:
    """A row of QUESTIONS as a question."""
    return Question(row.face, row.round, row.gold, row.model, row.guess)


def _row(question: Question) -> dict[str, Any]:
    row = {"face": question.face, "round": question.round, "gold": question.gold}
    return row | {"model": question.model, "guess": question.guess, "answered": 0, "disputed": False}
