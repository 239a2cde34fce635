"""Backs up a label store of either database, as it is at one moment, into a new SQLite file."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, insert, inspect, select

from mien.disk import create_atomically
from mien.errors import MienError
from mien.labeling.store import create, migrations
from mien.labeling.store.database import Database
from mien.labeling.store.schema import ANNOTATORS, ANSWERS, QUESTIONS, SIGN_INS, STORE

BLOCK = 5000
"""Rows copied at a time."""
COPIED = (STORE, ANNOTATORS, QUESTIONS, ANSWERS, SIGN_INS)
"""The tables that are copied, in this order, since later ones refer to earlier ones. Sessions are left out."""


def backup(address: str | Path, out: Path | str) -> int:
    """Copy the store at an address, which may be in use, into the new file `out`. Returns the number of answers and undos.

    The file is a store like any other, appears when it is whole, and only its owner can read it. Raises MienError where there is
    no store, or one of a newer version, where something is at `out`, and where the store or the file cannot be read or written.
    """
    out, source = _named(out), Database(address, reads=True)
    with source.opening():
        create.require_there(source)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as aside:
                count = _write(source, Path(aside, "labels.db"))
                _place(Path(aside, "labels.db"), out)
        except OSError as error:
            raise MienError(f"{out} to be written", str(error), "free space there, or choose another place") from error
    source.close()
    return count


def _named(out: Path | str) -> Path:
    if "://" in str(out):
        raise MienError("the name of a new file", repr(str(out)), "a backup is a SQLite file: name one")
    if os.path.lexists(out):
        raise _taken(Path(out))
    return Path(out)


def _taken(out: Path) -> MienError:
    return MienError(f"nothing at {out} yet", "something there", "choose another name; a backup replaces nothing")


def _place(made: Path, out: Path) -> None:
    try:
        create_atomically(made, out)
    except FileExistsError as error:  # It came meanwhile.
        raise _taken(out) from error


def _write(source: Database, path: Path) -> int:
    """Fill a new store, and return the number of rows of its log."""
    target, count = Database(path), 0
    with target.opening():
        target.prepare()
        with source.reading() as there, target.writing() as here:
            if there.dialect.name == "postgresql":
                there.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            migrations.migrate(here)
            known = inspect(there)
            for table in COPIED:
                if known.has_table(table.name):
                    for rows in _rows(there, table, {column["name"] for column in known.get_columns(table.name)}):
                        here.execute(insert(table), rows)
                        count += len(rows) * (table is ANSWERS)
    target.close()
    return count


def _rows(connection: Connection, table: Table, known: set[str]) -> Iterator[list[dict[str, Any]]]:
    """The rows of a table in blocks, in the order of its key. `known`: the columns that the store has."""
    columns = [column for column in table.columns if column.name in known]
    query = select(*columns).order_by(*table.primary_key.columns).execution_options(yield_per=BLOCK)
    for block in connection.execute(query).mappings().partitions():
        rows = [dict(row) for row in block]
        if table is STORE:
            now = {"version": len(migrations.MIGRATIONS)}
            rows = [{"secret": secrets.token_hex(32)} | row | now for row in rows]
        yield rows
