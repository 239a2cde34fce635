"""Transactions on a database, SQLite or PostgreSQL: one writer at a time, all or nothing, and errors in a sentence."""

import importlib.util
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import SQLAlchemyError

from mien.errors import MienError
from mien.installed import missing_extra
from mien.labeling.store.sqlite_file import PATIENCE, SqliteFile

LOCK = 0x6D69656E
"""The number of PostgreSQL's advisory lock that a writer holds."""

ADVICE = {
    "full": "free space on its disk, then send it again",
    "no space": "free space on its disk, then send it again",
    "locked": "others are writing: send it again",
    "lock timeout": "others are writing: send it again",
    "readonly": "make it writable, then send it again",
    "permission denied": "make it writable, then send it again",
    "not a database": "check the address",
    "unable to open": "check the address, and that its folder can be written to",
    "connection": "check the address, and that the server runs, then send it again",
}
"""What to do, by a word in the database's complaint."""


class Database:
    """A database by its address: the path of a SQLite file, or `postgresql://user@host/name`.

    Nothing is opened before it is used. All threads of a process may use one. Raises MienError for another kind of address, and
    for PostgreSQL where its driver is not installed.
    """

    def __init__(self, address: str | Path, reads: bool = False) -> None:
        """`reads`: nothing is ever written, so that the file may lie where nothing can be."""
        found = _parse(address)
        # Neither the password nor what an answer says is in a message.
        self.name = str(found) if isinstance(found, Path) else found.set(query={}).render_as_string()
        self._file: SqliteFile | None = None
        if isinstance(found, Path):
            self._file = SqliteFile(found, reads)
            self._engine = _sqlite(self._file)
        else:
            self._engine = _postgresql(found, reads)
        self._turn = threading.Lock()

    @property
    def missing(self) -> bool:
        """Whether the SQLite file does not exist; False for PostgreSQL."""
        return self._file is not None and not os.path.exists(self._file.path)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that reads. Raises MienError where the database fails."""
        with self._readable("read"), self._used(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, durable: bool = True) -> Iterator[Connection]:
        """A transaction that writes, while nobody else does; nothing of it is kept where something is raised.

        A `durable` one is on disk when the context is left. Any other costs less, but may be lost with the power. Raises
        MienError where the database fails.
        """
        # Threads take turns here, since SQLite lets those who wait sleep, and wakes none of them first.
        with self._turn, self._readable("written"), self._used():
            with self._engine.connect() as opened:
                connection = opened.execution_options(mien_writes="durable" if durable else "soon")
                with connection.begin():
                    yield connection
            if self._file is not None:
                self._file.require_unmoved()

    def prepare(self) -> None:
        """Make the SQLite file, which only its owner can read, unless it exists. Nothing is done for PostgreSQL.

        The file is set to write ahead, so that readers and the writer do not wait for each other.
        """
        if self._file is None:
            return
        path = self._file.path
        with self._readable("written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            # SQLite would make one that all can read; those that it makes beside a file get that file's mode.
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            with closing(self._file.connect()) as connection:
                _write_ahead(connection)
            self._file.closed()

    def forget(self) -> None:
        """Overwrite what was deleted from a SQLite file; PostgreSQL does so in its own time.

        Raises MienError where others read the file for too long.
        """
        if self._file is not None:
            with self._turn, self._readable("freed of old bytes"), self._used():
                self._file.forget_deleted()

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Close the database where something is raised within the context."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the database; used again, it is opened again."""
        self._engine.dispose()
        if self._file is not None:
            self._file.closed()

    def _used(self) -> AbstractContextManager[None]:
        return nullcontext() if self._file is None else self._file.used(self._engine.dispose)

    @contextmanager
    def _readable(self, wanted: str) -> Iterator[None]:
        try:
            yield
        # Whatever a damaged file holds instead of numbers, times and JSON.
        except (SQLAlchemyError, sqlite3.Error, OSError, ValueError, TypeError, OverflowError) as error:
            cause = " ".join(str(getattr(error, "orig", None) or error).split())[:300]
            advice = (todo for sign, todo in ADVICE.items() if sign in cause.lower())
            todo = next(advice, "check that it can be reached and is as mien made it, or bring back its last backup")
            kept = "; nothing of this was kept, all that was acknowledged is" if wanted == "written" else ""
            raise MienError(f"labels that can be {wanted} at {self.name}", cause + kept, todo) from error


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Set the file to write ahead, in tries: while another process does the same, SQLite refuses instead of waiting."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _parse(address: str | Path) -> URL | Path:
    """The URL of a PostgreSQL database, or the absolute path of a SQLite file."""
    text, expected = str(address), "the path of a file, or postgresql://user@host/name"
    if not text or "\0" in text:
        raise MienError(expected, repr(text), "check the address")
    if "://" not in text:
        return Path(address).absolute()
    try:
        url = make_url(text)
    except (SQLAlchemyError, ValueError) as error:
        raise MienError(expected, "an address that cannot be read", "check the address") from error
    if url.drivername not in ("postgresql", "postgres", "postgresql+psycopg") or not url.database:
        raise MienError(expected, f"{url.drivername}:// and {url.database or 'no database'}", "check the address")
    if importlib.util.find_spec("psycopg") is None:
        raise missing_extra("postgresql", "the package psycopg, which speaks to PostgreSQL")
    return url.set(drivername="postgresql+psycopg")


def _sqlite(file: SqliteFile) -> Engine:
    # Python's module begins transactions late, and not before all statements, so that it is told not to; the next function does.
    engine = create_engine("sqlite://", creator=file.connect, poolclass=QueuePool, hide_parameters=True)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("mien_writes")
        if writes:
            connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if writes == 'durable' else 'NORMAL'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: URL, reads: bool) -> Engine:
    engine = create_engine(url, pool_pre_ping=True, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: object) -> None:
        connection.execute(f"SET lock_timeout = '{PATIENCE}s'")
        # A plan that is kept from when the store was empty reads all of it once it is full.
        connection.execute("SET plan_cache_mode = force_custom_plan")
        if reads:
            connection.execute("SET default_transaction_read_only = on")
        connection.commit()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("mien_writes")
        if writes:
            # In one statement: each is a way there and back.
            when = "on" if writes == "durable" else "off"
            connection.exec_driver_sql(f"SELECT set_config('synchronous_commit', '{when}', true), pg_advisory_xact_lock({LOCK})")

    return engine
