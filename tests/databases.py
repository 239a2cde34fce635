"""Fixtures: addresses for label stores, each new, a SQLite file or a schema on a PostgreSQL server that the tests start.

A test module that uses them says `pytest_plugins = ("databases",)`. The server's programs are those of Debian's package
`postgresql`, or any other `initdb` and `pg_ctl`.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from stores import Fresh, Postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running server; tests that want it are skipped where it is not installed."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed: initdb and pg_ctl are neither on the path nor in /usr/lib/postgresql")
    with tempfile.TemporaryDirectory(prefix="mien") as place:
        os.chmod(place, 0o755)
        folder = Path(place, "pg")
        folder.mkdir()
        server = Postgres(programs, folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Fresh:
    """New addresses, of both databases in turn."""
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        return server.new_schema
    names = count()
    return lambda: str(tmp_path / f"labels{next(names)}.db")


def _programs() -> Path | None:
    """The folder of PostgreSQL's programs, of the newest version there is."""
    found = [Path(path).parent for path in [shutil.which("pg_ctl")] if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    return next((folder for folder in found if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)
