"""The accounts of a label store's annotators: their tokens, their sessions in browsers, and the list of sign-ins."""

import secrets
from datetime import datetime, timedelta
from typing import Any, get_args

from sqlalchemy import Connection, delete, insert, or_, select, update

from mien.errors import MienError
from mien.labeling.store.annotators import (
    BY_NAME,
    BY_SECRET,
    BY_TOKEN,
    Account,
    Holder,
    Outcome,
    Session,
    SignIn,
    digest_of,
    may_be_name,
    require_annotator,
    state_of,
)
from mien.labeling.store.erase import remove_annotator
from mien.labeling.store.records import LONGEST_NAME, check_name, moment
from mien.labeling.store.schema import ANNOTATORS, SESSIONS, SIGN_INS
from mien.labeling.store.transactions import Transactions

DAYS = 90
"""Days that a token is valid for unless somebody says another number."""
MOST_DAYS = 36500
"""The most days that a token may be valid for."""
SESSION = timedelta(days=30)
"""How long a session lasts: a browser stays signed in for so long."""
MOST_SESSIONS = 100
"""Sessions of one annotator. One more ends the one that would end first."""
MOST_SIGN_INS = 10_000
"""Rows that the list of sign-ins keeps: so many that succeeded, and so many that failed. The oldest go first."""
ADMITTED = ("in", "out")
"""Outcomes of sign-ins by those who had a right to be there."""


class Accounts:
    """Who may answer: `store.accounts`. Annotators are named by their names; times are in UTC, and `now` is for tests.

    Each method is a transaction of its own. All raise MienError where the database fails.
    """

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def add(self, name: str, days: int | None = DAYS) -> str:
        """Add an annotator and return the token to sign in with. It is told once: the store keeps only its hash.

        The token ends after so many days, never for None. Raises MienError for a name that is taken, empty, longer than 80
        letters or not printable, and for an impossible number of days.
        """
        now, token = moment(None), secrets.token_urlsafe()
        row = {"name": name, "token_hash": digest_of(token), "created": now, "expires": _end(days, now)}
        check_name(name)
        with self._transactions.writing() as connection:
            if connection.execute(select(ANNOTATORS.c.id).where(ANNOTATORS.c.name == name)).first():
                raise MienError("a name that nobody has yet", repr(name), "choose another, or renew their token")
            connection.execute(insert(ANNOTATORS), row)
        return token

    def renew_token(self, name: str, days: int | None = DAYS) -> str:
        """Give an annotator a new token and return it. The token before is no longer valid, and their sessions end.

        Raises MienError for an unknown or disabled annotator.
        """
        expires, token = _end(days, moment(None)), secrets.token_urlsafe()
        with self._transactions.writing() as connection:
            row = require_annotator(connection, name)
            if row.disabled is not None:
                raise MienError("somebody who may answer", f"{name!r}, who is disabled", "enable them first")
            _end_sessions(connection, row.id)
            _change(connection, row.id, token_hash=digest_of(token), expires=expires)
        return token

    def disable(self, name: str) -> None:
        """Keep an annotator from answering, and end their sessions; answers stay. Raises MienError for an unknown annotator."""
        with self._transactions.writing() as connection:
            row = require_annotator(connection, name)
            _end_sessions(connection, row.id)
            _change(connection, row.id, disabled=moment(None))

    def enable(self, name: str) -> None:
        """Let a disabled annotator answer again, with the same token. Raises MienError for an unknown annotator."""
        with self._transactions.writing() as connection:
            _change(connection, require_annotator(connection, name).id, disabled=None)

    def remove(self, name: str, answers: bool) -> str | None:
        """Remove an annotator: name, token, sessions, sign-ins, and the questions that were kept for them.

        With `answers` their answers go, too, and the faces want others instead. Otherwise answers stay under a random name, which
        is returned; None where there are none. In a SQLite file the deleted bytes are overwritten. Raises MienError for an
        unknown annotator, and where others read the file for too long to overwrite them; then all else is done.
        """
        with self._transactions.writing() as connection:
            new_name = remove_annotator(connection, name, answers, moment(None))
        self._transactions.database.forget()
        return new_name

    def holder(self, token: str, now: datetime | None = None) -> Holder:
        """The annotator whom a token belongs to, and whether it is valid."""
        with self._transactions.reading() as connection:
            return _holder(connection, token, moment(now))

    def begin_session(self, token: str, now: datetime | None = None) -> Session | None:
        """Begin a session for a browser: for 30 days, or until the token ends. None where the token is not valid."""
        time, secret = moment(now), secrets.token_urlsafe()
        with self._transactions.writing(durable=False) as connection:
            found = _holder(connection, token, time)
            if found.name is None or found.outcome != "in":
                return None
            row = require_annotator(connection, found.name)
            until = min(filter(None, (time + SESSION, row.expires)))
            mine = SESSIONS.c.annotator == row.id
            kept = select(SESSIONS.c.secret_hash).where(mine).order_by(SESSIONS.c.until.desc()).limit(MOST_SESSIONS - 1)
            ended = or_(SESSIONS.c.until <= time, mine & SESSIONS.c.secret_hash.not_in(kept))
            connection.execute(delete(SESSIONS).where(ended))
            values = {"secret_hash": digest_of(secret), "annotator": row.id, "until": until}
            connection.execute(insert(SESSIONS), values)
        return Session(secret, found.name, until)

    def signed_in(self, secret: str, now: datetime | None = None) -> str | None:
        """The name of the annotator whose session has this secret, or whose token it is.

        None where it is nobody's, has ended, or its annotator is disabled.
        """
        with self._transactions.reading() as connection:
            row = connection.execute(BY_SECRET, {"digest": digest_of(secret), "now": moment(now)}).first()
            if row is not None:
                return str(row.name)
            found = _holder(connection, secret, moment(now))
        return found.name if found.outcome == "in" else None

    def end_session(self, secret: str) -> bool:
        """End the session of this secret: the browser is signed out. Returns whether there was such a session."""
        with self._transactions.writing() as connection:
            ended = delete(SESSIONS).where(SESSIONS.c.secret_hash == digest_of(secret))
            return connection.execute(ended).rowcount > 0

    def note_sign_in(self, name: str | None, address: str, outcome: Outcome, now: datetime | None = None) -> None:
        """Add a row to the list of sign-ins, and drop the oldest where there are too many. Raises MienError for another outcome.

        A name that is nobody's is left out of it.
        """
        if outcome not in get_args(Outcome):
            raise MienError(f"an outcome among {', '.join(get_args(Outcome))}", repr(outcome), "choose one of those")
        printable = "".join(letter if letter.isprintable() else "?" for letter in address[:LONGEST_NAME])
        # Those who were let in are counted by themselves, so that strangers push none of them out.
        alike = SIGN_INS.c.outcome.in_(ADMITTED) if outcome in ADMITTED else SIGN_INS.c.outcome.not_in(ADMITTED)
        last = select(SIGN_INS.c.id).where(alike).order_by(SIGN_INS.c.id.desc()).offset(MOST_SIGN_INS).limit(1).scalar_subquery()
        with self._transactions.writing(durable=False) as connection:
            # People type tokens into the field for the name: only the name of an annotator is kept.
            row = connection.execute(BY_NAME, {"name": name}).first() if name and may_be_name(name) else None
            values = {"annotator": row and row.id, "address": printable, "outcome": outcome, "time": moment(now)}
            connection.execute(insert(SIGN_INS), values)
            connection.execute(delete(SIGN_INS).where(alike, SIGN_INS.c.id <= last))

    def sign_ins(self) -> tuple[SignIn, ...]:
        """The list of sign-ins, oldest first; empty in a store of version 1."""
        query = select(ANNOTATORS.c.name, SIGN_INS).select_from(SIGN_INS.outerjoin(ANNOTATORS)).order_by(SIGN_INS.c.id)
        with self._transactions.reading() as connection:
            rows = connection.execute(query).all() if self._transactions.version(connection) > 1 else []
        return tuple(SignIn(row.name, row.address, row.outcome, row.time) for row in rows)

    def list_all(self, now: datetime | None = None) -> tuple[Account, ...]:
        """All accounts, sorted by name: who may answer, and when their tokens end."""
        with self._transactions.reading() as connection:
            # Tokens of version 1 never end.
            newer = self._transactions.version(connection) > 1
            ends = (ANNOTATORS.c.expires, ANNOTATORS.c.disabled, ANNOTATORS.c.removed) if newer else ()
            rows = connection.execute(select(ANNOTATORS.c.name, ANNOTATORS.c.token_hash, ANNOTATORS.c.created, *ends)).all()
        time = moment(now)
        accounts = [Account(str(row.name), state_of(row, time), row.created, getattr(row, "expires", None)) for row in rows]
        return tuple(sorted(accounts, key=lambda account: account.name))

    def names(self) -> tuple[str, ...]:
        """The names of all annotators, sorted, disabled and removed ones too."""
        with self._transactions.reading() as connection:
            return tuple(sorted(connection.execute(select(ANNOTATORS.c.name)).scalars()))


def _holder(connection: Connection, token: str, now: datetime) -> Holder:
    row = connection.execute(BY_TOKEN, {"digest": digest_of(token)}).first()
    if row is None:
        return Holder(None, "wrong")
    state = state_of(row, now)
    return Holder(str(row.name), "in" if state == "active" else "disabled" if state == "disabled" else "expired")


def _end_sessions(connection: Connection, annotator: int) -> None:
    connection.execute(delete(SESSIONS).where(SESSIONS.c.annotator == annotator))


def _change(connection: Connection, annotator: int, **values: Any) -> None:
    connection.execute(update(ANNOTATORS).where(ANNOTATORS.c.id == annotator).values(values))


def _end(days: int | None, now: datetime) -> datetime | None:
    if days is None:
        return None
    if type(days) is not int or not 1 <= days <= MOST_DAYS:
        raise MienError(f"1 to {MOST_DAYS} days for a token", f"{days!r}", "give another number, or let it never end")
    return now + timedelta(days=days)
