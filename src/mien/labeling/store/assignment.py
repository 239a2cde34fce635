"""Which questions an annotator gets next: those that want answers, each kept for the annotator for a while.

Statements are made once, here and in other modules: making one takes longer than executing it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Integer, Row, and_, bindparam, case, delete, exists, func, insert, or_, select

from mien.labeling.store.records import StoreInfo
from mien.labeling.store.schema import ANSWERS, LEASES, NOT_UNDONE, QUESTIONS, Instant

LEASE = timedelta(minutes=5)
"""How long a question is kept for the annotator who looks at it."""

_me, _now = bindparam("me", type_=Integer), bindparam("now", type_=Instant)
_mine = exists().where(ANSWERS.c.question == QUESTIONS.c.place, ANSWERS.c.annotator == _me, NOT_UNDONE)
_others = and_(LEASES.c.question == QUESTIONS.c.place, LEASES.c.annotator != _me, LEASES.c.until > _now)
_waited_for = select(func.count()).select_from(LEASES).where(_others).correlate(QUESTIONS).scalar_subquery()
_new = select(QUESTIONS).where(~_mine).order_by(QUESTIONS.c.place).limit(bindparam("count"))
_gold, _least, _most = QUESTIONS.c.gold.is_not(None), bindparam("least", type_=Integer), bindparam("most", type_=Integer)
_wanted = case((QUESTIONS.c.disputed.is_(True), _most), else_=_least)

FREE = _new.where(or_(_gold, and_(QUESTIONS.c.answered < _wanted, ~exists().where(_others))))
"""Selects gold questions, and those that want an answer and that nobody else holds."""
SHARED = _new.where(~_gold, _waited_for > 0, QUESTIONS.c.answered + _waited_for < _wanted)
"""Selects questions that somebody else holds and that want yet another answer."""
FORGET = delete(LEASES).where(or_(LEASES.c.annotator == _me, LEASES.c.until <= _now))
"""Deletes what was kept for an annotator, and what was kept for anybody for too long."""
_kept = exists().where(LEASES.c.question == QUESTIONS.c.place, LEASES.c.annotator == _me, LEASES.c.until > _now)
GIVEN = select(QUESTIONS.c.place).where(QUESTIONS.c.face == bindparam("face"), or_(_kept, _mine))
"""Selects the question about a face, if the annotator was given it."""
RELEASE = delete(LEASES).where(LEASES.c.annotator == _me, LEASES.c.question == bindparam("place"))
"""Deletes one question that is kept for an annotator."""


def choose_questions(connection: Connection, annotator: int, count: int, info: StoreInfo, now: datetime) -> Sequence[Row[Any]]:
    """The next questions for an annotator, `count` at most: rows of QUESTIONS that they have not answered and that want answers.

    First come those that nobody else holds, in their order, then those that want yet another answer. Gold questions want the
    answer of everybody.
    """
    values = {"me": annotator, "now": now, "least": info.least, "most": info.most}
    # Two statements: the first stops at the first free faces, and sorts nothing.
    found = connection.execute(FREE, values | {"count": count}).all()
    if len(found) == count:
        return found
    return [*found, *connection.execute(SHARED, values | {"count": count - len(found)}).all()]


def hold(connection: Connection, annotator: int, places: Sequence[int], now: datetime) -> None:
    """Keep these questions for an annotator, and no longer those that were kept before."""
    connection.execute(FORGET, {"me": annotator, "now": now})
    if places:
        rows = [{"question": place, "annotator": annotator, "until": now + LEASE} for place in places]
        connection.execute(insert(LEASES), rows)


def hold_again(connection: Connection, annotator: int, face: str, now: datetime) -> None:
    """Keep one more question, by its face, for an annotator who took back the answer to it."""
    place = connection.execute(select(QUESTIONS.c.place).where(QUESTIONS.c.face == face)).scalar_one()
    connection.execute(RELEASE, {"me": annotator, "place": place})
    connection.execute(insert(LEASES), {"question": place, "annotator": annotator, "until": now + LEASE})


def is_given(connection: Connection, annotator: int, face: str, now: datetime) -> bool:
    """Whether a face is kept for an annotator, or was answered by them."""
    return connection.execute(GIVEN, {"me": annotator, "now": now, "face": face}).first() is not None


def release(connection: Connection, answers: Sequence[Mapping[str, Any]]) -> None:
    """No longer keep questions for the annotators who have answered them. `answers`: rows of ANSWERS."""
    # By their keys: PostgreSQL, which has counted nothing in a new store, reads all answers to find those that are kept.
    if answers:
        connection.execute(RELEASE, [{"me": row["annotator"], "place": row["question"]} for row in answers])
