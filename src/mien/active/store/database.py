"""Reading and writing a database, SQLite or PostgreSQL: one writer at a time, all or nothing, and its errors in a sentence."""

import importlib.util
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import SQLAlchemyError

from mien.errors import MienError

PATIENCE = 30
"""Seconds to wait for others who write."""
LOCK = 0x6D69656E
"""PostgreSQL's advisory lock that a writer holds."""

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
"""What to do, by what a database's complaint says."""


class Database:
    """A SQLite file by its path, or PostgreSQL by `postgresql://user@host/name`.

    Raises MienError for an address of another kind, and for PostgreSQL where its driver is not installed. Nothing is opened
    before it is used. All threads of a process may use one.
    """

    def __init__(self, address: str | Path) -> None:
        url = _parse(address)
        # Neither the password nor what an answer says is in a message.
        self.name = url.database or "" if url.drivername == "sqlite" else url.set(query={}).render_as_string()
        self.file = Path(self.name) if url.drivername == "sqlite" else None
        self._engine = _sqlite(url) if self.file else _postgresql(url)
        self._turn = threading.Lock()

    @property
    def missing(self) -> bool:
        """Whether there is no such file; opening it would make one."""
        return self.file is not None and not os.path.exists(self.file)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that reads. Raises MienError where the database fails."""
        with self._readable("read"), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, durable: bool = True) -> Iterator[Connection]:
        """A transaction that nobody else writes beside; not there at all where something is raised.

        What is `durable` is on disk when it is left; else it may be lost when the power is, and costs less. Raises MienError
        where the database fails.
        """
        # Threads take turns here, since SQLite lets those who wait sleep, and wakes none of them first.
        with self._turn, self._readable("written"), self._engine.connect() as opened:
            connection = opened.execution_options(mien_writes="durable" if durable else "soon")
            with connection.begin():
                yield connection

    def prepare(self) -> None:
        """Make a SQLite file that its owner alone can read, unless there is one, and set it to write ahead, so that those who
        read and the one who writes do not wait for each other."""
        if self.file is None:
            return
        if self.file.is_dir():
            raise MienError(f"a file for labels at {self.file}", "a folder", "choose another name")
        with self._readable("written"):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            # SQLite would make one that all can read; those that it makes beside a file get that file's mode.
            with suppress(FileExistsError):
                os.close(os.open(self.file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            with closing(sqlite3.connect(self.file, PATIENCE)) as connection:
                _write_ahead(connection)

    def forget(self) -> None:
        """Take the bytes of what was deleted out of a SQLite file. PostgreSQL does so in its own time."""

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Closes it where something is raised."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close what is open; it is opened again where it is used again."""
        self._engine.dispose()

    @contextmanager
    def _readable(self, wanted: str) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            cause = " ".join(str(getattr(error, "orig", None) or error).split())[:300]
            advice = (todo for sign, todo in ADVICE.items() if sign in cause.lower())
            todo = next(advice, "check that it can be reached and is as mien made it, then try again")
            kept = "; nothing of this was kept, all that was acknowledged is" if wanted == "written" else ""
            raise MienError(f"labels that can be {wanted} at {self.name}", cause + kept, todo) from error


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Set the file to write ahead. SQLite waits for others everywhere but here: while another does the same, it refuses."""
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


def _parse(address: str | Path) -> URL:
    text = str(address)
    if "://" not in text:
        return URL.create("sqlite", database=str(Path(address).absolute()))
    expected = "the path of a file, or postgresql://user@host/name"
    try:
        url = make_url(text)
    except (SQLAlchemyError, ValueError) as error:
        raise MienError(expected, "an address that cannot be read", "check the address") from error
    if url.drivername not in ("postgresql", "postgres", "postgresql+psycopg") or not url.database:
        raise MienError(expected, f"{url.drivername}:// and {url.database or 'no database'}", "check the address")
    if importlib.util.find_spec("psycopg") is None:
        raise MienError("psycopg, which speaks to PostgreSQL", "it is not installed", "pip install 'mien[postgresql]'")
    return url.set(drivername="postgresql+psycopg")


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": PATIENCE}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: object) -> None:
        # Python's module begins transactions late, and not before all statements; the next function does.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("mien_writes")
        if writes:
            connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if writes == 'durable' else 'NORMAL'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: URL) -> Engine:
    engine = create_engine(url, pool_pre_ping=True, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: object) -> None:
        connection.execute(f"SET lock_timeout = '{PATIENCE}s'")
        # A plan that is kept from when the store was empty reads all of it once it is full.
        connection.execute("SET plan_cache_mode = force_custom_plan")
        connection.commit()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("mien_writes")
        if writes:
            # In one statement: each is a way there and back.
            when = "on" if writes == "durable" else "off"
            connection.exec_driver_sql(f"SELECT set_config('synchronous_commit', '{when}', true), pg_advisory_xact_lock({LOCK})")

    return engine
