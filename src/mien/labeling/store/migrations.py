"""Versions of a label store: the tables as version 1 had them, and the steps that lead from each version to the next."""

import secrets
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Column, Connection, Integer, MetaData, String, Table, inspect, select, update

from mien.errors import MienError
from mien.labeling.store.records import LONGEST_NAME, LONGEST_TEXT
from mien.labeling.store.schema import (
    ANNOTATORS,
    ANSWERS,
    LEASES,
    QUESTIONS,
    SESSIONS,
    SIGN_INS,
    STORE,
    TABLES,
    Instant,
    protect_answers,
    question_columns,
)

VERSION_1 = MetaData()
"""The tables as version 1 had them: a new store begins with these, too, and takes all steps."""
Table(
    "mien_store",
    VERSION_1,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("classes", JSON, nullable=False),
    Column("pool", String(LONGEST_TEXT), nullable=False),
    Column("checksum", String(LONGEST_TEXT), nullable=False),
    Column("per_face", Integer, nullable=False),
    Column("created", Instant, nullable=False),
)
Table(
    "mien_annotators",
    VERSION_1,
    Column("id", Integer, primary_key=True),
    Column("name", String(LONGEST_NAME), nullable=False, unique=True),
    Column("token_hash", String(64)),
    Column("created", Instant, nullable=False),
)
Table(
    "mien_questions",
    VERSION_1,
    *question_columns(),
)
for _table in (ANSWERS, LEASES):
    _table.to_metadata(VERSION_1)

NEW_COLUMNS: dict[int, tuple[Column[Any], ...]] = {
    2: (STORE.c.secret, ANNOTATORS.c.expires, ANNOTATORS.c.disabled, ANNOTATORS.c.removed),
    3: (STORE.c.per_disputed, STORE.c.guide, QUESTIONS.c.disputed),
}
"""Columns that a version adds to tables of an earlier version, by version."""
DISPUTES = GUIDELINES = 3
"""The first version that marks faces on which people disagree, and that holds guidelines."""


def to_version_1(connection: Connection) -> None:
    """Make the tables of version 1, and the triggers that protect answers."""
    VERSION_1.create_all(connection)
    protect_answers(connection)


def to_version_2(connection: Connection) -> None:
    """Add tokens that end, sessions, the list of sign-ins, disabled and removed annotators, and the store's secret."""
    _add(connection, NEW_COLUMNS[2])
    for index in ANNOTATORS.indexes:
        index.create(connection)
    TABLES.create_all(connection, [SESSIONS, SIGN_INS])
    connection.execute(update(STORE).values(secret=secrets.token_hex(32)))


def to_version_3(connection: Connection) -> None:
    """Add more answers for faces on which people disagree, and guidelines."""
    _add(connection, NEW_COLUMNS[3])


def _add(connection: Connection, columns: Iterable[Column[Any]]) -> None:
    for column in columns:
        kind = column.type.compile(connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {column.table.name} ADD COLUMN {column.name} {kind}")


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (to_version_1, to_version_2, to_version_3)
"""Step n leads from version n to n + 1, in the transaction that writes the new version down.

A new store takes all of them, so that it equals an old one. Do you change a table in schema.py? Then give its former shape to
VERSION_1, or to the step that made it."""


def stored_version(connection: Connection) -> int:
    """The version of the store in a database, 0 where there is none. Raises MienError for no version that mien wrote."""
    if not inspect(connection).has_table(STORE.name):
        return 0
    found = connection.execute(select(STORE.c.version)).scalar_one()
    if type(found) is not int or found < 1:
        raise MienError("a label store as mien writes it", f"version {found!r}", "check the address, or take a backup of it")
    return found


def require_known(found: int) -> None:
    """Raises MienError for a version that this mien does not know.

    The error has a cause, like one of a database that fails: the request was right, and may be sent again.
    """
    if found > len(MIGRATIONS):
        expected, todo = f"labels of version {len(MIGRATIONS)} at most", "take the mien that wrote them, or a newer one"
        raise MienError(expected, f"version {found}, which is newer", todo) from LookupError(f"migrations to version {found}")


def migrate(connection: Connection) -> None:
    """Bring a store, or an empty database, to the newest version. Raises MienError for a version that this mien does not know."""
    found = stored_version(connection)
    require_known(found)
    for step in MIGRATIONS[found:]:
        step(connection)
    if found:
        connection.execute(update(STORE).values(version=len(MIGRATIONS)))
