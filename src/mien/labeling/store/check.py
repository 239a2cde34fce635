"""Checks whether a label store is sound: whole, and with nothing in it that mien would not write. Nothing is changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, inspect, or_, select

from mien.errors import MienError
from mien.labeling.store import create, migrations, schema
from mien.labeling.store.answer_log import STANDING, disputed_among
from mien.labeling.store.database import Database
from mien.labeling.store.schema import ANNOTATORS, ANSWERS, FORBIDDEN, QUESTIONS, TABLES
from mien.wording import quantity

MOST_FAULTS = 5
"""The most faults that the database itself may report."""


@dataclass(frozen=True)
class StoreCheck:
    """What a check of a label store found."""

    version: int
    """The version of the store."""
    faults: tuple[str, ...]
    """The faults, a sentence each; none where the store is sound."""


def check_store(address: str | Path) -> StoreCheck:
    """Check the label store at an address.

    Raises MienError where none can be found there: nothing, another file, a database that does not answer, or a newer version.
    """
    database = Database(address, reads=True)
    with database.opening():
        version = create.require_there(database)
        faults: list[str] = []
        for step in (_database, _tables, _triggers, _info, _counts, _labels, _undos):
            try:
                with database.reading() as connection:
                    faults += step(connection)
            except MienError as error:
                # A database that is damaged fails in the middle.
                faults.append(f"what is in it cannot be read: {error.found}")
    database.close()
    return StoreCheck(version, tuple(dict.fromkeys(faults)))


def _database(connection: Connection) -> Iterator[str]:
    """What SQLite itself finds wrong; PostgreSQL checks itself."""
    if connection.dialect.name != "sqlite":
        return
    for row in connection.exec_driver_sql(f"PRAGMA integrity_check({MOST_FAULTS})").all():
        if row[0] != "ok":
            yield f"the file is damaged: {' '.join(str(row[0]).split())[:300]}"
    rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if rows:
        tables = ", ".join(sorted({f"{row[0]} to {row[2]}" for row in rows}))
        yield f"{quantity(len(rows), 'row refers', 'rows refer')} to others that are not there ({tables})"


def _tables(connection: Connection) -> Iterator[str]:
    found = inspect(connection)
    version = migrations.stored_version(connection)
    later = {column for since, columns in migrations.NEW_COLUMNS.items() if since > version for column in columns}
    for name in (TABLES if version > 1 else migrations.VERSION_1).tables:
        if not found.has_table(name):
            yield f"the table {name} is missing"
            continue
        table = TABLES.tables[name]
        missing = {column.name for column in table.columns if column not in later}
        missing -= {column["name"] for column in found.get_columns(name)}
        if missing:
            yield f"columns of {table.name} are missing: {', '.join(sorted(missing))}"


def _triggers(connection: Connection) -> Iterator[str]:
    if connection.dialect.name == "sqlite":
        wanted = {f"mien_answers_{event}": schema.SQLITE_TRIGGER.format(event=event) for event in FORBIDDEN}
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all()
        there = {name for name, text in rows if name in wanted and str(text).split() == wanted[name].split()}
    else:
        wanted = {"mien_answers_stay": ""}
        statement = "SELECT tgname FROM pg_trigger WHERE tgrelid = 'mien_answers'::regclass AND tgenabled IN ('O', 'A')"
        there = {str(row[0]) for row in connection.exec_driver_sql(statement)}
    for name in sorted(wanted.keys() - there):
        yield f"the trigger {name}, which keeps answers from being changed, is missing or another"


def _info(connection: Connection) -> Iterator[str]:
    rows = connection.execute(select(schema.STORE.c.id)).all()
    if len(rows) != 1:
        yield f"mien_store has {quantity(len(rows), 'row')} instead of one"
    try:
        create.read_info(connection)
    except MienError as error:
        yield f"what holds for the whole store cannot be: {error}"


def _counts(connection: Connection) -> Iterator[str]:
    noted = STANDING.correlate(QUESTIONS).scalar_subquery()
    query = select(QUESTIONS.c.face, QUESTIONS.c.answered, noted.label("there"))
    wrong = connection.execute(query.where(QUESTIONS.c.answered != noted).order_by(QUESTIONS.c.place)).all()
    if wrong:
        first = f"{wrong[0].face!r}: {wrong[0].answered} noted, {wrong[0].there} in the log"
        said = quantity(len(wrong), "question has", "questions have")
        yield f"{said} another number of answers noted than the log has ({first})"
    if create.read_info(connection)[0].per_disputed is not None:
        marked = set(connection.execute(select(QUESTIONS.c.place).where(QUESTIONS.c.disputed.is_(True))).scalars())
        there = disputed_among(connection, list(connection.execute(select(QUESTIONS.c.place)).scalars()))
        if others := marked.symmetric_difference(there):
            yield f"of {quantity(len(others), 'question')} it is noted wrongly whether people disagree"


def _labels(connection: Connection) -> Iterator[str]:
    classes = len(create.read_info(connection)[0].classes)
    columns: tuple[tuple[str, ColumnElement[Any]], ...] = (
        ("answer", ANSWERS.c.label),
        ("gold question", QUESTIONS.c.gold),
        ("guess", QUESTIONS.c.guess),
    )
    for what, column in columns:
        count = connection.execute(select(func.count()).where(or_(column < 0, column >= classes))).scalar_one()
        if count:
            many = "guesses" if what == "guess" else f"{what}s"
            said = quantity(count, f"{what} has", f"{many} have")
            yield f"{said} a label that is none of the {classes} classes"


def _undos(connection: Connection) -> Iterator[str]:
    undone = ANSWERS.alias("undone")
    joined = ANSWERS.outerjoin(undone, (undone.c.annotator == ANSWERS.c.annotator) & (undone.c.key == ANSWERS.c.undoes))
    wrong = or_(
        ANSWERS.c.undoes.is_(None),
        undone.c.id.is_(None),
        undone.c.kind == "undo",
        undone.c.question != ANSWERS.c.question,
        undone.c.id >= ANSWERS.c.id,
    )
    query: Select[Any] = select(func.count()).select_from(joined).where(ANSWERS.c.kind == "undo", wrong)
    if count := connection.execute(query).scalar_one():
        yield f"{count} undos take back nothing that their annotator said of that face before"
    ends = ANNOTATORS.c.token_hash.is_not(None) & (func.length(ANNOTATORS.c.token_hash) != 64)
    if count := connection.execute(select(func.count()).where(ends)).scalar_one():
        yield f"{count} annotators have a token that mien did not make"
