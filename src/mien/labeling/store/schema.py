"""The tables of a label store, the same on SQLite and PostgreSQL, and the steps that lead from each version to the next."""

import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    and_,
    exists,
    inspect,
    select,
    update,
)

from mien.errors import MienError
from mien.labeling.store.records import LONGEST_NAME, LONGEST_TEXT


class Instant(TypeDecorator[datetime]):
    """A moment in UTC. SQLite keeps no time zone: what it gives back is in UTC since that is what it was given."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """As it is written."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """As it is read."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


TABLES = MetaData()

STORE = Table(
    "mien_store",
    TABLES,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("classes", JSON, nullable=False),
    Column("pool", String(LONGEST_TEXT), nullable=False),
    Column("checksum", String(LONGEST_TEXT), nullable=False),
    Column("per_face", Integer, nullable=False),
    Column("created", Instant, nullable=False),
    Column("secret", String(64)),
    Column("per_disputed", Integer),
    Column("guide", JSON),
)
"""One row: what holds for all. `secret`: random and told to nobody; where gold questions stand comes from it. `per_disputed`:
answers wanted for a face on which people disagree, null for as many as for others. `guide`: what people are told of the task,
null for what mien says of itself."""

ANNOTATORS = Table(
    "mien_annotators",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("name", String(LONGEST_NAME), nullable=False, unique=True),
    Column("token_hash", String(64)),
    Column("created", Instant, nullable=False),
    Column("expires", Instant),
    Column("disabled", Instant),
    Column("removed", Instant),
    Index("mien_annotators_by_token", "token_hash"),
)
"""`token_hash`: sha256 in hexadecimal; null for one who was imported and has no token yet. `expires`: when the token
ends, null for never. `disabled`, `removed`: since when. Whoever was removed and left answers has a name that names nobody."""


def _questions() -> list[Column[Any]]:
    """The columns of questions, as they were from the first version on."""
    return [
        Column("place", Integer, primary_key=True, autoincrement=False),
        Column("face", String(LONGEST_TEXT), nullable=False, unique=True),
        Column("round", Integer, nullable=False),
        Column("gold", Integer),
        Column("model", String(LONGEST_TEXT)),
        Column("guess", Integer),
        Column("asked", Instant, nullable=False),
        Column("answered", Integer, nullable=False, default=0),
    ]


QUESTIONS = Table(
    "mien_questions",
    TABLES,
    *_questions(),
    Column("disputed", Boolean),
)
"""In the order of `place`. `answered`, how many annotators have an answer that was not taken back, and `disputed`, whether their
votes decide nothing, are counted again from the log with each answer, so that the next question is found without reading it.
`disputed` is null where nobody answered since stores have it."""

ANSWERS = Table(
    "mien_answers",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("question", ForeignKey("mien_questions.place"), nullable=False),
    Column("annotator", ForeignKey("mien_annotators.id"), nullable=False),
    Column("kind", String(10), CheckConstraint("kind IN ('label', 'not_a_face', 'unsure', 'undo')"), nullable=False),
    Column("label", Integer),
    Column("time", Instant, nullable=False),
    Column("model", String(LONGEST_TEXT)),
    Column("key", String(LONGEST_NAME), nullable=False),
    Column("undoes", String(LONGEST_NAME)),
    UniqueConstraint("annotator", "key"),
    UniqueConstraint("annotator", "undoes"),
    ForeignKeyConstraint(["annotator", "undoes"], ["mien_answers.annotator", "mien_answers.key"]),
    CheckConstraint("(kind = 'label') = (label IS NOT NULL)"),
    CheckConstraint("(kind = 'undo') = (undoes IS NOT NULL)"),
    Index("mien_answers_by_question", "question", "annotator"),
    Index("mien_answers_by_annotator", "annotator", "id"),
)
"""The log, in the order of `id`: rows are added and never changed."""

LEASES = Table(
    "mien_leases",
    TABLES,
    Column("question", ForeignKey("mien_questions.place"), primary_key=True),
    Column("annotator", ForeignKey("mien_annotators.id"), primary_key=True),
    Column("until", Instant, nullable=False),
)
"""Who looks at which face."""

SESSIONS = Table(
    "mien_sessions",
    TABLES,
    Column("secret_hash", String(64), primary_key=True),
    Column("annotator", ForeignKey("mien_annotators.id"), nullable=False),
    Column("until", Instant, nullable=False),
    Index("mien_sessions_by_annotator", "annotator", "until"),
)
"""Browsers that are signed in. `secret_hash`: sha256 in hexadecimal of what the browser holds."""

SIGN_INS = Table(
    "mien_sign_ins",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("annotator", ForeignKey("mien_annotators.id")),
    Column("address", String(LONGEST_NAME), nullable=False),
    Column("outcome", String(10), nullable=False),
    Column("time", Instant, nullable=False),
    Index("mien_sign_ins_by_annotator", "annotator"),
)
"""Who signed in and out, or tried to, in the order of `id`. `annotator`: null where the name is nobody's."""

BEFORE = MetaData()
"""The tables as version 1 had them."""
Table(
    "mien_store",
    BEFORE,
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
    BEFORE,
    Column("id", Integer, primary_key=True),
    Column("name", String(LONGEST_NAME), nullable=False, unique=True),
    Column("token_hash", String(64)),
    Column("created", Instant, nullable=False),
)
Table(
    "mien_questions",
    BEFORE,
    *_questions(),
)
for _table in (ANSWERS, LEASES):
    _table.to_metadata(BEFORE)

NEW: dict[int, tuple[Column[Any], ...]] = {
    2: (STORE.c.secret, ANNOTATORS.c.expires, ANNOTATORS.c.disabled, ANNOTATORS.c.removed),
    3: (STORE.c.per_disputed, STORE.c.guide, QUESTIONS.c.disputed),
}
"""Columns that came with a version into tables that were there."""
DISPUTES = GUIDES = 3
"""The first version that knows of faces on which people disagree, and that says what people are told."""

KEEP_SQLITE = """
CREATE TRIGGER mien_answers_{event} BEFORE {event} ON mien_answers
BEGIN SELECT RAISE(ABORT, 'answers are never changed'); END
"""
EVENTS = ("UPDATE", "DELETE")
"""What never happens to an answer."""
KEEP_POSTGRESQL = """
CREATE FUNCTION mien_answers_stay() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'answers are never changed'; END $$;
CREATE TRIGGER mien_answers_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON mien_answers EXECUTE FUNCTION mien_answers_stay();
"""


def keep_answers(connection: Connection) -> None:
    """Make the triggers that keep the log from being changed."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(KEEP_POSTGRESQL)
        return
    for event in EVENTS:
        connection.exec_driver_sql(KEEP_SQLITE.format(event=event))


def first(connection: Connection) -> None:
    """Version 1: the tables, and triggers that keep the log from being changed."""
    BEFORE.create_all(connection)
    keep_answers(connection)


def second(connection: Connection) -> None:
    """Version 2: tokens that end, sessions, a list of sign-ins, people who are disabled or removed, and a secret of the store."""
    _add(connection, NEW[2])
    for index in ANNOTATORS.indexes:
        index.create(connection)
    TABLES.create_all(connection, [SESSIONS, SIGN_INS])
    connection.execute(update(STORE).values(secret=secrets.token_hex(32)))


def third(connection: Connection) -> None:
    """Version 3: more answers for faces on which people disagree, and what people are told of the task."""
    _add(connection, NEW[3])


def _add(connection: Connection, columns: Iterable[Column[Any]]) -> None:
    for column in columns:
        kind = column.type.compile(connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {column.table.name} ADD COLUMN {column.name} {kind}")


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (first, second, third)
"""Step n leads from version n to n + 1, in the transaction that writes the new version down. A new store takes all of them, so
that it is the same as an old one; whoever changes a table above gives the first step the old one to create."""


def stored_version(connection: Connection) -> int:
    """The version of the store that is there, 0 where there is none."""
    if not inspect(connection).has_table(STORE.name):
        return 0
    found = connection.execute(select(STORE.c.version)).scalar_one()
    if type(found) is not int or found < 1:
        raise MienError("a label store as mien writes it", f"version {found!r}", "check the address, or take a backup of it")
    return found


def require_known(found: int) -> None:
    """Raises MienError for a version that this mien does not know. It has a cause, as that of a database that fails: nothing is
    wrong with what was asked, which may be sent again."""
    if found > len(MIGRATIONS):
        expected, todo = f"labels of version {len(MIGRATIONS)} at most", "take the mien that wrote them, or a newer one"
        raise MienError(expected, f"version {found}, which is newer", todo) from LookupError(f"migrations to version {found}")


def migrate(connection: Connection) -> None:
    """Take the steps from the stored version, 0 in an empty database, to this mien's. Raises MienError where it is newer."""
    found = stored_version(connection)
    require_known(found)
    for step in MIGRATIONS[found:]:
        step(connection)
    if found:
        connection.execute(update(STORE).values(version=len(MIGRATIONS)))


_undo = ANSWERS.alias("undo")
KEPT: ColumnElement[bool] = and_(
    ANSWERS.c.kind != "undo",
    ~exists().where(_undo.c.annotator == ANSWERS.c.annotator, _undo.c.undoes == ANSWERS.c.key),
)
"""Of rows of ANSWERS: neither an undo nor taken back by one."""
