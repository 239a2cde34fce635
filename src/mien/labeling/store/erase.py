"""Removes an annotator from a store, with their answers or without."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from mien.labeling.store import annotators
from mien.labeling.store.answer_log import count_again
from mien.labeling.store.schema import ANNOTATORS, ANSWERS, FORBIDDEN, LEASES, SESSIONS, SIGN_INS, protect_answers


def remove_annotator(connection: Connection, name: str, answers: bool, now: datetime) -> str | None:
    """Remove an annotator. Their answers go, too, or stay under a random name, which is returned.

    Raises MienError for an unknown annotator.
    """
    id: int = annotators.require_annotator(connection, name).id
    # Whoever mistyped their own name is noted without one.
    addresses = select(SIGN_INS.c.address).where(SIGN_INS.c.annotator == id).distinct()
    mistyped = SIGN_INS.c.annotator.is_(None) & SIGN_INS.c.address.in_(list(connection.execute(addresses).scalars()))
    connection.execute(delete(SIGN_INS).where(mistyped))
    for table in (LEASES, SESSIONS, SIGN_INS):
        connection.execute(delete(table).where(table.c.annotator == id))
    places = list(connection.execute(select(ANSWERS.c.question).where(ANSWERS.c.annotator == id).distinct()).scalars())
    if places and not answers:
        # By chance, not counted: logs of several stores may come together in one.
        nobody = f"removed {secrets.token_hex(4)}"
        changed = {"name": nobody, "token_hash": None, "expires": None, "disabled": None, "removed": now}
        connection.execute(update(ANNOTATORS).where(ANNOTATORS.c.id == id).values(changed))
        return nobody
    if places:
        with _changeable(connection):
            connection.execute(delete(ANSWERS).where(ANSWERS.c.annotator == id))
        count_again(connection, places)
    connection.execute(delete(ANNOTATORS).where(ANNOTATORS.c.id == id))
    return None


@contextmanager
def _changeable(connection: Connection) -> Iterator[None]:
    """Take off the triggers that protect answers, within this transaction alone."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("ALTER TABLE mien_answers DISABLE TRIGGER mien_answers_stay")
        yield
        connection.exec_driver_sql("ALTER TABLE mien_answers ENABLE TRIGGER mien_answers_stay")
        return
    for event in FORBIDDEN:
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS mien_answers_{event}")
    yield
    protect_answers(connection)
