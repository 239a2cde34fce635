"""Making a label store, and reading which store is at an address."""

import hashlib
import json
import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, inspect, select

from mien.errors import MienError
from mien.labeling.store import migrations
from mien.labeling.store.database import Database
from mien.labeling.store.records import StoreInfo, moment
from mien.labeling.store.schema import STORE

INFO = select(STORE.c.version, STORE.c.classes, STORE.c.pool, STORE.c.checksum, STORE.c.per_face, STORE.c.created)
PER_DISPUTED = select(STORE.c.per_disputed)


def create_store(database: Database, info: StoreInfo) -> str | None:
    """Make a label store and return its id; None where one is there already. Raises MienError for another program's file."""
    database.prepare()
    created = moment(None)
    with database.writing() as connection:
        if migrations.stored_version(connection):
            return None
        others = inspect(connection).get_table_names() if connection.dialect.name == "sqlite" else []
        if others:
            found = f"that of another program, with {', '.join(others[:3])}"
            raise MienError(f"a new file for labels, or an empty one, at {database.name}", found, "choose another name")
        migrations.migrate(connection)
        values: dict[str, Any] = {"classes": list(info.classes), "pool": info.pool, "checksum": info.checksum}
        values |= {"per_face": info.per_face, "created": created, "secret": secrets.token_hex(32)}
        connection.execute(insert(STORE).values(id=1, version=len(migrations.MIGRATIONS), **values))
    return store_id(created, info.pool, info.checksum)


def version_at(database: Database) -> int:
    """The version of the store in a database, 0 where there is none. No file is made."""
    if database.missing:
        return 0
    with database.reading() as connection:
        return migrations.stored_version(connection)


def require_there(database: Database) -> int:
    """The version of the store in a database. Raises MienError where there is none, or one of a newer version."""
    found = version_at(database)
    if not found:
        raise MienError(f"a label store at {database.name}", "none there", "check the address, or make one")
    migrations.require_known(found)
    return found


def read_info(connection: Connection) -> tuple[StoreInfo, str]:
    """The settings of the store, and its id. Raises MienError for values that mien cannot have written."""
    row = connection.execute(INFO).one()
    more = connection.execute(PER_DISPUTED).scalar_one() if row.version >= migrations.DISPUTES else None
    kinds: list[tuple[Any, Any]] = [(row.classes, list), (row.pool, str), (row.checksum, str), (row.created, datetime)]
    kinds += [(row.per_face, int), (more, int | None)]
    if not all(isinstance(value, kind) for value, kind in kinds) or not all(isinstance(name, str) for name in row.classes):
        raise MienError("a label store as mien writes it", "other values", "take a backup of it")
    info = StoreInfo(tuple(row.classes), row.pool, row.checksum, row.per_face, more)
    return info, store_id(row.created, row.pool, row.checksum)


def store_id(created: datetime, pool: str, checksum: str) -> str:
    """The id of a store, made of what never changes in it: when it was made, and for which pool."""
    text = json.dumps([created.isoformat(timespec="microseconds"), pool, checksum])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
