"""Who answers: their tokens, the browsers that they are signed in with, and a list of who signed in.

Functions within a transaction; a token or a secret is kept as its SHA-256 alone.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import BindParameter, Connection, bindparam, delete, insert, or_, select, update

from mien.errors import MienError
from mien.labeling.store.records import LONGEST_NAME, check_name
from mien.labeling.store.schema import ANNOTATORS, SESSIONS, SIGN_INS, Instant

DAYS = 90
"""How long a token is good for, unless said otherwise."""
MOST_DAYS = 36500
SESSION = timedelta(days=30)
"""How long a browser stays signed in."""
MOST_SESSIONS = 100
"""Browsers of one annotator: whoever signs in with another one signs out the one that ends first."""
MOST_SIGN_INS = 10_000
"""Rows of the list of sign-ins that got in or out, and of the others; the oldest go first."""

Outcome = Literal["in", "wrong", "expired", "disabled", "out"]
"""Of a sign-in: it succeeded; no such name and token; a token that has ended; somebody who is disabled; or signed out."""
ADMITTED = ("in", "out")
State = Literal["active", "expired", "disabled", "no token", "removed"]


@dataclass(frozen=True)
class Session:
    """A browser that is signed in."""

    secret: str
    """Said once: the store keeps its SHA-256."""
    annotator: str
    until: datetime


@dataclass(frozen=True)
class Holder:
    """Whose token it is, and whether it is good: `in`, `expired`, `disabled`; `wrong` and no name for nobody's."""

    name: str | None
    outcome: Outcome


@dataclass(frozen=True)
class SignIn:
    """A row of the list of sign-ins."""

    name: str | None
    """Of a known annotator; None for any other name."""
    address: str
    """Where it came from."""
    outcome: Outcome
    time: datetime


@dataclass(frozen=True)
class Person:
    """An annotator as they stand in the store."""

    name: str
    state: State
    created: datetime
    expires: datetime | None
    """When their token ends; None for never, or without a token."""


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


def digest_of(secret: str) -> str:
    """What the store keeps of a token or a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def add(connection: Connection, name: str, days: int | None, now: datetime) -> str:
    """Somebody new; their token. Raises MienError for a name that is taken."""
    expires = _end(days, now)
    check_name(name)
    if connection.execute(select(ANNOTATORS.c.id).where(ANNOTATORS.c.name == name)).first():
        raise MienError("a name that nobody has yet", repr(name), "choose another, or renew their token")
    token = secrets.token_urlsafe()
    row = {"name": name, "token_hash": digest_of(token), "created": now, "expires": expires}
    connection.execute(insert(ANNOTATORS), row)
    return token


def renew(connection: Connection, name: str, days: int | None, now: datetime) -> str:
    """A new token, and the browsers signed out that had the old one. Raises MienError for somebody unknown or disabled."""
    expires, person = _end(days, now), known(connection, name)
    if person.disabled is not None:
        raise MienError("somebody who may answer", f"{name!r}, who is disabled", "enable them first")
    token = secrets.token_urlsafe()
    end_sessions(connection, person.id)
    changed = {"token_hash": digest_of(token), "expires": expires}
    connection.execute(update(ANNOTATORS).where(ANNOTATORS.c.id == person.id).values(changed))
    return token


def disable(connection: Connection, name: str, since: datetime | None) -> None:
    """Keep somebody out, or let them in again for None. Raises MienError for somebody unknown."""
    person = known(connection, name)
    if since is not None:
        end_sessions(connection, person.id)
    connection.execute(update(ANNOTATORS).where(ANNOTATORS.c.id == person.id).values(disabled=since))


def holder(connection: Connection, token: str, now: datetime) -> Holder:
    """Whose token it is."""
    row = connection.execute(BY_TOKEN, {"digest": digest_of(token)}).first()
    if row is None:
        return Holder(None, "wrong")
    state = _state(row, now)
    return Holder(str(row.name), "in" if state == "active" else "disabled" if state == "disabled" else "expired")


def begin_session(connection: Connection, token: str, now: datetime) -> Session | None:
    """A browser signs in; None where the token is not good."""
    found = holder(connection, token, now)
    if found.name is None or found.outcome != "in":
        return None
    person, secret = known(connection, found.name), secrets.token_urlsafe()
    until = min(filter(None, (now + SESSION, person.expires)))
    kept = select(SESSIONS.c.secret_hash).where(SESSIONS.c.annotator == person.id).order_by(SESSIONS.c.until.desc())
    kept = kept.limit(MOST_SESSIONS - 1)
    mine = SESSIONS.c.annotator == person.id
    connection.execute(delete(SESSIONS).where(or_(SESSIONS.c.until <= now, mine & SESSIONS.c.secret_hash.not_in(kept))))
    connection.execute(insert(SESSIONS), {"secret_hash": digest_of(secret), "annotator": person.id, "until": until})
    return Session(secret, found.name, until)


def signed_in(connection: Connection, secret: str, now: datetime) -> str | None:
    """The name of whose browser or token it is; None where it is nobody's, or has ended."""
    row = connection.execute(BY_SECRET, {"digest": digest_of(secret), "now": now}).first()
    if row is not None:
        return str(row.name)
    found = holder(connection, secret, now)
    return found.name if found.outcome == "in" else None


def end_session(connection: Connection, secret: str) -> bool:
    """A browser signs out; whether it was signed in."""
    return connection.execute(delete(SESSIONS).where(SESSIONS.c.secret_hash == digest_of(secret))).rowcount > 0


def end_sessions(connection: Connection, person: int) -> None:
    """All browsers of somebody."""
    connection.execute(delete(SESSIONS).where(SESSIONS.c.annotator == person))


def note_sign_in(connection: Connection, name: str | None, address: str, outcome: Outcome, now: datetime) -> None:
    """One more row of the list, and the oldest ones less."""
    if outcome not in get_args(Outcome):
        raise MienError(f"an outcome among {', '.join(get_args(Outcome))}", repr(outcome), "choose one of those")
    # People type tokens into the field for the name: only the name of somebody known is kept.
    row = connection.execute(BY_NAME, {"name": name}).first() if name and _may_be(name) else None
    shown = "".join(letter if letter.isprintable() else "?" for letter in address[:LONGEST_NAME])
    values = {"annotator": row and row.id, "address": shown, "outcome": outcome, "time": now}
    connection.execute(insert(SIGN_INS), values)
    # Those that got in apart from the others, so that strangers push none of them out.
    alike = SIGN_INS.c.outcome.in_(ADMITTED) if outcome in ADMITTED else SIGN_INS.c.outcome.not_in(ADMITTED)
    last = select(SIGN_INS.c.id).where(alike).order_by(SIGN_INS.c.id.desc()).offset(MOST_SIGN_INS).limit(1).scalar_subquery()
    connection.execute(delete(SIGN_INS).where(alike, SIGN_INS.c.id <= last))


def sign_ins(connection: Connection) -> tuple[SignIn, ...]:
    """The list, oldest first."""
    joined = select(ANNOTATORS.c.name, SIGN_INS).select_from(SIGN_INS.outerjoin(ANNOTATORS)).order_by(SIGN_INS.c.id)
    return tuple(SignIn(row.name, row.address, row.outcome, row.time) for row in connection.execute(joined))


def listed(connection: Connection, version: int, now: datetime) -> tuple[Person, ...]:
    """All, by name. `version`: of the store, which may be too old to know when tokens end."""
    ended = () if version < 2 else (ANNOTATORS.c.expires, ANNOTATORS.c.disabled, ANNOTATORS.c.removed)
    columns = (ANNOTATORS.c.name, ANNOTATORS.c.token_hash, ANNOTATORS.c.created, *ended)
    rows = connection.execute(select(*columns)).all()
    people = [Person(str(row.name), _state(row, now), row.created, getattr(row, "expires", None)) for row in rows]
    return tuple(sorted(people, key=lambda person: person.name))


def known(connection: Connection, name: str) -> Any:
    """The row of somebody who was not removed. Raises MienError for anybody else."""
    row = connection.execute(BY_NAME, {"name": name}).first() if _may_be(name) else None
    if row is None:
        raise MienError("a known annotator", repr(name), "add them first")
    return row


def _may_be(name: str) -> bool:
    """Whether a database takes it as a text."""
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
