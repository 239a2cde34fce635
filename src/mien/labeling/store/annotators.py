"""The tables of annotators, of their sessions (a browser each that is signed in) and of sign-ins. Each function works in a
transaction.

Of a token or a session's secret the store keeps the SHA-256 alone.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import BindParameter, Connection, bindparam, delete, insert, or_, select, update

from mien.errors import MienError
from mien.labeling.store.records import LONGEST_NAME, check_name
from mien.labeling.store.schema import ANNOTATORS, SESSIONS, SIGN_INS, Instant

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

Outcome = Literal["in", "wrong", "expired", "disabled", "out"]
"""What came of a sign-in: signed in; wrong name or token; expired token; disabled annotator; or signed out."""
ADMITTED = ("in", "out")
"""Outcomes of those who had a right to be there."""
State = Literal["active", "expired", "disabled", "no token", "removed"]
"""Whether an annotator may answer, and if not, why."""


@dataclass(frozen=True)
class Session:
    """A session that has just begun: a browser is signed in."""

    secret: str
    """What the browser shows to be let in. It is told once: the store keeps its SHA-256 alone."""
    annotator: str
    """The annotator's name."""
    until: datetime
    """When the session ends."""


@dataclass(frozen=True)
class Holder:
    """The annotator whom a token belongs to, and whether it lets them in."""

    name: str | None
    """The annotator's name; None for a token that nobody has."""
    outcome: Outcome
    """`in` for a valid token; else `expired`, `disabled` or, for a token that nobody has, `wrong`."""


@dataclass(frozen=True)
class SignIn:
    """A row of the list of sign-ins: somebody signed in or out, or tried to."""

    name: str | None
    """The annotator's name; None where the name that was typed is nobody's."""
    address: str
    """The client's network address."""
    outcome: Outcome
    """Whether the client was let in, and if not, why."""
    time: datetime
    """When it happened, in UTC."""


@dataclass(frozen=True)
class Account:
    """An annotator's account."""

    name: str
    """The annotator's name."""
    state: State
    """Whether the annotator may answer, and if not, why."""
    created: datetime
    """When the account was made, in UTC."""
    expires: datetime | None
    """When the token ends, in UTC; None for never, or without a token."""


_digest: BindParameter[Any] = bindparam("digest")
BY_TOKEN = select(ANNOTATORS).where(ANNOTATORS.c.token_hash == _digest, ANNOTATORS.c.removed.is_(None))
BY_SECRET = (
    select(ANNOTATORS.c.name)
    .select_from(SESSIONS.join(ANNOTATORS))
    .where(
        SESSIONS.c.secret_hash == _digest,
        SESSIONS.c.until > bindparam("now", type_=Instant),
        ANNOTATORS.c.disabled.is_(None),
        ANNOTATORS.c.removed.is_(None),
    )
)
BY_NAME = select(ANNOTATORS).where(ANNOTATORS.c.name == bindparam("name"), ANNOTATORS.c.removed.is_(None))

BY_NAMES = select(ANNOTATORS.c.name, ANNOTATORS.c.id, ANNOTATORS.c.disabled, ANNOTATORS.c.removed).where(
    ANNOTATORS.c.name.in_(bindparam("names", expanding=True))
)


def digest_of(secret: str) -> str:
    """The SHA-256 of a token or a session's secret, in hexadecimal: all that the store keeps of it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def add_annotator(connection: Connection, name: str, days: int | None, now: datetime) -> str:
    """Add an annotator and return the token. Raises MienError for a name that is taken or cannot be one."""
    expires = _end(days, now)
    check_name(name)
    if connection.execute(select(ANNOTATORS.c.id).where(ANNOTATORS.c.name == name)).first():
        raise MienError("a name that nobody has yet", repr(name), "choose another, or renew their token")
    token = secrets.token_urlsafe()
    row = {"name": name, "token_hash": digest_of(token), "created": now, "expires": expires}
    connection.execute(insert(ANNOTATORS), row)
    return token


def renew_token(connection: Connection, name: str, days: int | None, now: datetime) -> str:
    """Give an annotator a new token, end their sessions, and return the token.

    Raises MienError for an unknown or disabled annotator.
    """
    expires, row = _end(days, now), require_annotator(connection, name)
    if row.disabled is not None:
        raise MienError("somebody who may answer", f"{name!r}, who is disabled", "enable them first")
    token = secrets.token_urlsafe()
    end_sessions(connection, row.id)
    changed = {"token_hash": digest_of(token), "expires": expires}
    connection.execute(update(ANNOTATORS).where(ANNOTATORS.c.id == row.id).values(changed))
    return token


def disable_annotator(connection: Connection, name: str, since: datetime | None) -> None:
    """Keep an annotator out `since` a time, or let them in again for None. Raises MienError for an unknown annotator."""
    row = require_annotator(connection, name)
    if since is not None:
        end_sessions(connection, row.id)
    connection.execute(update(ANNOTATORS).where(ANNOTATORS.c.id == row.id).values(disabled=since))


def holder(connection: Connection, token: str, now: datetime) -> Holder:
    """The annotator whom a token belongs to, and whether it is valid."""
    row = connection.execute(BY_TOKEN, {"digest": digest_of(token)}).first()
    if row is None:
        return Holder(None, "wrong")
    state = _state(row, now)
    return Holder(str(row.name), "in" if state == "active" else "disabled" if state == "disabled" else "expired")


def begin_session(connection: Connection, token: str, now: datetime) -> Session | None:
    """Begin a session for a browser that shows a valid token; None for any other token."""
    found = holder(connection, token, now)
    if found.name is None or found.outcome != "in":
        return None
    row, secret = require_annotator(connection, found.name), secrets.token_urlsafe()
    until = min(filter(None, (now + SESSION, row.expires)))
    kept = select(SESSIONS.c.secret_hash).where(SESSIONS.c.annotator == row.id).order_by(SESSIONS.c.until.desc())
    kept = kept.limit(MOST_SESSIONS - 1)
    mine = SESSIONS.c.annotator == row.id
    connection.execute(delete(SESSIONS).where(or_(SESSIONS.c.until <= now, mine & SESSIONS.c.secret_hash.not_in(kept))))
    connection.execute(insert(SESSIONS), {"secret_hash": digest_of(secret), "annotator": row.id, "until": until})
    return Session(secret, found.name, until)


def signed_in(connection: Connection, secret: str, now: datetime) -> str | None:
    """The name of the annotator whose session or token has this secret; None where there is none, or it has ended."""
    row = connection.execute(BY_SECRET, {"digest": digest_of(secret), "now": now}).first()
    if row is not None:
        return str(row.name)
    found = holder(connection, secret, now)
    return found.name if found.outcome == "in" else None


def end_session(connection: Connection, secret: str) -> bool:
    """End the session of this secret: the browser is signed out. Returns whether there was such a session."""
    return connection.execute(delete(SESSIONS).where(SESSIONS.c.secret_hash == digest_of(secret))).rowcount > 0


def end_sessions(connection: Connection, annotator: int) -> None:
    """End all sessions of an annotator, by the id in ANNOTATORS."""
    connection.execute(delete(SESSIONS).where(SESSIONS.c.annotator == annotator))


def note_sign_in(connection: Connection, name: str | None, address: str, outcome: Outcome, now: datetime) -> None:
    """Add a row to the list of sign-ins and drop the oldest where there are too many. Raises MienError for another outcome."""
    if outcome not in get_args(Outcome):
        raise MienError(f"an outcome among {', '.join(get_args(Outcome))}", repr(outcome), "choose one of those")
    # People type tokens into the field for the name: only the name of somebody known is kept.
    row = connection.execute(BY_NAME, {"name": name}).first() if name and _may_be(name) else None
    printable = "".join(letter if letter.isprintable() else "?" for letter in address[:LONGEST_NAME])
    values = {"annotator": row and row.id, "address": printable, "outcome": outcome, "time": now}
    connection.execute(insert(SIGN_INS), values)
    # Those that got in apart from the others, so that strangers push none of them out.
    alike = SIGN_INS.c.outcome.in_(ADMITTED) if outcome in ADMITTED else SIGN_INS.c.outcome.not_in(ADMITTED)
    last = select(SIGN_INS.c.id).where(alike).order_by(SIGN_INS.c.id.desc()).offset(MOST_SIGN_INS).limit(1).scalar_subquery()
    connection.execute(delete(SIGN_INS).where(alike, SIGN_INS.c.id <= last))


def sign_ins(connection: Connection) -> tuple[SignIn, ...]:
    """The list of sign-ins, oldest first."""
    joined = select(ANNOTATORS.c.name, SIGN_INS).select_from(SIGN_INS.outerjoin(ANNOTATORS)).order_by(SIGN_INS.c.id)
    return tuple(SignIn(row.name, row.address, row.outcome, row.time) for row in connection.execute(joined))


def list_accounts(connection: Connection, version: int, now: datetime) -> tuple[Account, ...]:
    """All accounts, sorted by name. `version` is the store's: tokens of version 1 never end."""
    ended = () if version < 2 else (ANNOTATORS.c.expires, ANNOTATORS.c.disabled, ANNOTATORS.c.removed)
    columns = (ANNOTATORS.c.name, ANNOTATORS.c.token_hash, ANNOTATORS.c.created, *ended)
    rows = connection.execute(select(*columns)).all()
    accounts = [Account(str(row.name), _state(row, now), row.created, getattr(row, "expires", None)) for row in rows]
    return tuple(sorted(accounts, key=lambda account: account.name))


def require_annotator(connection: Connection, name: str) -> Any:
    """The row in ANNOTATORS of an annotator who was not removed. Raises MienError where there is none."""
    row = connection.execute(BY_NAME, {"name": name}).first() if _may_be(name) else None
    if row is None:
        raise MienError("a known annotator", repr(name), "add them first")
    return row


def annotator_ids(connection: Connection, names: Sequence[str], active: bool = False) -> dict[str, int]:
    """The ids of these annotators, by name. Raises MienError for an unknown one.

    With `active`, removed and disabled annotators are refused, too. The error for a disabled one has a cause: they may be enabled
    again, and then the same request succeeds.
    """
    found = {str(row.name): row for row in connection.execute(BY_NAMES, {"names": names})}
    for name in names:
        if name not in found or (active and found[name].removed is not None):
            raise MienError("a known annotator", repr(name), "add them first")
        if active and found[name].disabled is not None:
            todo = "enable them first: mien annotators enable"
            raise MienError("an annotator who may answer", f"{name!r}, who is disabled", todo) from PermissionError(name)
    return {name: int(row.id) for name, row in found.items()}


def add_missing(connection: Connection, names: Sequence[str], now: datetime) -> None:
    """Add those of these annotators who are not in the store, without a token."""
    there = set(connection.execute(select(ANNOTATORS.c.name)).scalars())
    if new := [{"name": name, "created": now} for name in names if name not in there]:
        connection.execute(insert(ANNOTATORS), new)


def _may_be(name: str) -> bool:
    """Whether a database takes the name as a text."""
    return 0 < len(name) <= LONGEST_NAME and name.isprintable()


def _end(days: int | None, now: datetime) -> datetime | None:
    if days is None:
        return None
    if type(days) is not int or not 1 <= days <= MOST_DAYS:
        raise MienError(f"1 to {MOST_DAYS} days for a token", f"{days!r}", "give another number, or let it never end")
    return now + timedelta(days=days)


def _state(row: Any, now: datetime) -> State:
    if getattr(row, "removed", None) is not None:
        return "removed"
    if getattr(row, "disabled", None) is not None:
        return "disabled"
    if row.token_hash is None:
        return "no token"
    expires = getattr(row, "expires", None)
    return "expired" if expires is not None and expires <= now else "active"
