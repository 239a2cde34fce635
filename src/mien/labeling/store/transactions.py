"""Transactions on one label store, each of which begins by making sure that the store is still the one that was opened."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, select

from mien.errors import MienError
from mien.labeling.store import create, migrations
from mien.labeling.store.database import Database
from mien.labeling.store.schema import STORE

IDENTITY = select(STORE.c.version, STORE.c.pool, STORE.c.checksum, STORE.c.created)


class Transactions:
    """Reads and writes of one label store. Raises MienError where the database fails, or holds another store by now."""

    def __init__(self, database: Database, id: str) -> None:
        self.database, self._id = database, id

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that reads."""
        with self.database.reading() as connection:
            self.version(connection)
            yield connection

    @contextmanager
    def writing(self, durable: bool = True) -> Iterator[Connection]:
        """A transaction that writes, all or nothing; what is not `durable` may be lost when the power is."""
        with self.database.writing(durable) as connection:
            # Another process may have brought the store to a newer version since.
            migrations.require_known(self.version(connection))
            yield connection

    def version(self, connection: Connection) -> int:
        """The version of the store. Raises MienError, with a cause, where another store has come to the same address."""
        row = connection.execute(IDENTITY).one()
        if create.store_id(row.created, row.pool, row.checksum) != self._id:
            expected = f"the label store that was opened at {self.database.name}"
            todo = "put that one back: until then nothing is kept here, or end this and open the other one"
            raise MienError(expected, "another label store", todo) from LookupError(f"another store at {self.database.name}")
        return int(row.version)
