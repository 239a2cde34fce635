"""Annotators in the database: what is told of them, and how they are found by name, token or session.

The store keeps the SHA-256 of a token or of a session's secret, never the token or secret itself.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import BindParameter, Connection, bindparam, insert, select

from mien.errors import MienError
from mien.labeling.store.records import LONGEST_NAME
from mien.labeling.store.schema import ANNOTATORS, SESSIONS, Instant

Outcome = Literal["in", "wrong", "expired", "disabled", "out"]
"""What came of a sign-in: signed in; wrong name or token; expired token; disabled annotator; or signed out."""
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


def require_annotator(connection: Connection, name: str) -> Any:
    """The row in ANNOTATORS of an annotator who was not removed. Raises MienError where there is none."""
    row = connection.execute(BY_NAME, {"name": name}).first() if may_be_name(name) else None
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


def may_be_name(name: str) -> bool:
    """Whether a text may be a name at all, so that the database can be asked about it."""
    return 0 < len(name) <= LONGEST_NAME and name.isprintable()


def state_of(row: Any, now: datetime) -> State:
    """Whether the annotator in a row of ANNOTATORS may answer; the row may be one of version 1, which lacks columns."""
    if getattr(row, "removed", None) is not None:
        return "removed"
    if getattr(row, "disabled", None) is not None:
        return "disabled"
    if row.token_hash is None:
        return "no token"
    expires = getattr(row, "expires", None)
    return "expired" if expires is not None and expires <= now else "active"
