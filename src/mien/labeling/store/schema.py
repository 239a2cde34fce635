"""The SQL schema: the tables of a label store, the same on SQLite and PostgreSQL, and the triggers that protect the answers."""

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
)

from mien.labeling.store.records import LONGEST_NAME, LONGEST_TEXT


class Instant(TypeDecorator[datetime]):
    """A column of times in UTC. SQLite keeps no time zone: UTC is added to what it gives back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The time as it is written, in UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The time as it is read, in UTC."""
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
"""The settings of the store, in one row. `secret`: random and told to nobody; it decides where gold questions stand.
`per_disputed`: answers wanted for a face on which people disagree, null for as many as for others. `guide`: the guidelines, null
for mien's own."""

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
"""Annotators.

`token_hash`: SHA-256 in hexadecimal; null for an imported annotator who has no token yet. `expires`: when the token ends, null
for never. `disabled`, `removed`: since when. A removed annotator whose answers stay has a random name."""


def question_columns() -> list[Column[Any]]:
    """The columns that the table of questions has had since version 1."""
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
    *question_columns(),
    Column("disputed", Boolean),
)
"""Questions, in the order of `place`.

Each answer updates two columns, so that the next question is found without reading the log. `answered`: how many annotators have
an answer that was not taken back. `disputed`: whether people disagree; null where nobody has answered since stores have this
column."""

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
"""The log of answers and undos, in the order of `id`: rows are added and never changed."""

LEASES = Table(
    "mien_leases",
    TABLES,
    Column("question", ForeignKey("mien_questions.place"), primary_key=True),
    Column("annotator", ForeignKey("mien_annotators.id"), primary_key=True),
    Column("until", Instant, nullable=False),
)
"""Questions that are kept for an annotator for a while."""

SESSIONS = Table(
    "mien_sessions",
    TABLES,
    Column("secret_hash", String(64), primary_key=True),
    Column("annotator", ForeignKey("mien_annotators.id"), nullable=False),
    Column("until", Instant, nullable=False),
    Index("mien_sessions_by_annotator", "annotator", "until"),
)
"""Sessions: browsers that are signed in. `secret_hash`: SHA-256 in hexadecimal of what the browser holds."""

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
"""The list of sign-ins, in the order of `id`: who signed in or out, or tried to. `annotator`: null where the name is nobody's."""

SQLITE_TRIGGER = """
CREATE TRIGGER mien_answers_{event} BEFORE {event} ON mien_answers
BEGIN SELECT RAISE(ABORT, 'answers are never changed'); END
"""
FORBIDDEN = ("UPDATE", "DELETE")
"""What the triggers forbid: answers are only ever added."""
POSTGRESQL_TRIGGER = """
CREATE FUNCTION mien_answers_stay() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'answers are never changed'; END $$;
CREATE TRIGGER mien_answers_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON mien_answers EXECUTE FUNCTION mien_answers_stay();
"""


def protect_answers(connection: Connection) -> None:
    """Make the triggers that keep answers from being changed or deleted."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(POSTGRESQL_TRIGGER)
        return
    for event in FORBIDDEN:
        connection.exec_driver_sql(SQLITE_TRIGGER.format(event=event))


_undo = ANSWERS.alias("undo")
NOT_UNDONE: ColumnElement[bool] = and_(
    ANSWERS.c.kind != "undo",
    ~exists().where(_undo.c.annotator == ANSWERS.c.annotator, _undo.c.undoes == ANSWERS.c.key),
)
"""The condition that a row of ANSWERS is no undo, and that no undo takes it back."""
