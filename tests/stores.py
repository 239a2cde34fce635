"""Label stores for tests, and a PostgreSQL server that tests start."""

import os
import pwd
import subprocess
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from mien.labeling.store.records import Question
from mien.labeling.store.store import Store
from processes import WAIT

CLASSES = ("calm", "glad", "sad")
CHECKSUM = "0123456789abcdef"

Fresh = Callable[[], str]
"""Gives an address where there is no store yet."""


class Postgres:
    """A server in a folder that is there for it alone, where its socket is, too; started and stopped as often as one likes.

    `programs`: the folder of `initdb` and `pg_ctl`.
    """

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._folder, self._names = programs, folder, count()
        # PostgreSQL refuses to run as root.
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            person = without_rights()
            os.chown(folder, person.pw_uid, person.pw_gid)
            self._user = {"user": person.pw_uid, "group": person.pw_gid, "extra_groups": []}
        self._do("initdb", "-U", "mien", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def start(self) -> None:
        """Returns when it listens."""
        settings = f"-c listen_addresses= -c unix_socket_directories={self._folder} -c fsync=off"
        self._do("pg_ctl", "-w", "-t", f"{WAIT:.0f}", "-l", str(self._folder / "log"), "-o", settings, "start")

    def stop(self) -> None:
        """At once, as if it were killed."""
        self._do("pg_ctl", "-w", "-t", f"{WAIT:.0f}", "-m", "immediate", "stop")

    def new_schema(self) -> str:
        """The address of an empty one: as good as a database, and made in no time."""
        psycopg, name = pytest.importorskip("psycopg"), f"labels{next(self._names)}"
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{self.address}&options=-csearch_path%3D{name}"

    @property
    def address(self) -> str:
        """Of a database that is always there."""
        return f"postgresql://mien@/postgres?host={self._folder}"

    def _do(self, program: str, *words: str) -> None:
        command = [str(self._programs / program), "-D", str(self._folder / "data"), *words]
        # Not to a pipe: the server would hold it open.
        with (self._folder.parent / f"{self._folder.name}.out").open("wb") as out:
            subprocess.run(command, cwd=self._folder, stdout=out, stderr=out, check=True, timeout=2 * WAIT, **self._user)


def new_store(address: str, faces: int = 0, people: tuple[str, ...] = (), per_face: int = 1) -> Store:
    """A store that asks about `f0`, `f1`, ... and knows some annotators."""
    store = Store.create(address, CLASSES, "a pool", CHECKSUM, per_face)
    store.ask([Question(f"f{n}") for n in range(faces)])
    for name in people:
        store.accounts.add(name)
    return store


def without_rights() -> pwd.struct_passwd:
    """A user who may read what all may read."""
    names = {person.pw_name: person for person in pwd.getpwall()}
    return names["postgres"] if "postgres" in names else names["nobody"]


def execute(address: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements past the store, in a transaction. Returns the rows that the last one gives."""
    url = f"sqlite:///{address}" if "://" not in address else address.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            results = [connection.exec_driver_sql(statement) for statement in statements]
            return [tuple(row) for row in results[-1]] if results[-1].returns_rows else []
    finally:
        engine.dispose()
