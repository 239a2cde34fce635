"""Making a label store and finding out what is there."""

import hashlib
import json
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, inspect, select

from mien.errors import MienError
from mien.labeling.store import schema
from mien.labeling.store.database import Database
from mien.labeling.store.records import StoreInfo, moment
from mien.labeling.store.schema import ANNOTATORS, STORE

LOOK = select(STORE.c.version, STORE.c.classes, STORE.c.pool, STORE.c.checksum, STORE.c.per_face, STORE.c.created)
PER_DISPUTED = select(STORE.c.per_disputed)
PEOPLE = select(ANNOTATORS.c.name, ANNOTATORS.c.id, ANNOTATORS.c.disabled, ANNOTATORS.c.removed).where(
    ANNOTATORS.c.name.in_(bindparam("names", expanding=True))
)


def create(database: Database, info: StoreInfo) -> str | None:
    """The id of a new store; None where there is one already."""
    database.prepare()
    created = moment(None)
    with database.writing() as connection:
        if schema.stored_version(connection):
            return None
        others = inspect(connection).get_table_names() if connection.dialect.name == "sqlite" else []
        if others:
            found = f"that of another program, with {', '.join(others[:3])}"
            raise MienError(f"a new file for labels, or an empty one, at {database.name}", found, "choose another name")
        schema.migrate(connection)
        values: dict[str, Any] = {"classes": list(info.classes), "pool": info.pool, "checksum": info.checksum}
        values |= {"per_face": info.per_face, "created": created, "secret": secrets.token_hex(32)}
        connection.execute(insert(STORE).values(id=1, version=len(schema.MIGRATIONS), **values))
    return id_of(created, info.pool, info.checksum)


def version_at(database: Database) -> int:
    """Of the store there, 0 where there is none; makes no file."""
    if database.missing:
        return 0
    with database.reading() as connection:
        return schema.stored_version(connection)


def require_there(database: Database) -> int:
    """The version of the store there. Raises MienError where there is none, or a newer one."""
    found = version_at(database)
    if not found:
        raise MienError(f"a label store at {database.name}", "none there", "check the address, or make one")
    schema.require_known(found)
    return found


def read(connection: Connection) -> tuple[StoreInfo, str]:
    """What holds for the store that is there, and its id. Raises MienError where it cannot be what mien wrote."""
    row = connection.execute(LOOK).one()
    more = connection.execute(PER_DISPUTED).scalar_one() if row.version >= schema.DISPUTES else None
    kinds: list[tuple[Any, Any]] = [(row.classes, list), (row.pool, str), (row.checksum, str), (row.created, datetime)]
    kinds += [(row.per_face, int), (more, int | None)]
    if not all(isinstance(value, kind) for value, kind in kinds) or not all(isinstance(name, str) for name in row.classes):
        raise MienError("a label store as mien writes it", "other values", "take a backup of it")
    info = StoreInfo(tuple(row.classes), row.pool, row.checksum, row.per_face, more)
    return info, id_of(row.created, row.pool, row.checksum)


def id_of(created: datetime, pool: str, checksum: str) -> str:
    """Of what a store never changes."""
    text = json.dumps([created.isoformat(timespec="microseconds"), pool, checksum])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def ids(connection: Connection, names: Sequence[str], active: bool = False) -> dict[str, int]:
    """The ids of these annotators. Raises MienError for an unknown one, and where all have to be `active` for one who is
    disabled or removed; of who is disabled, with a cause: they may be let in again, and then what was asked succeeds."""
    found = {str(row.name): row for row in connection.execute(PEOPLE, {"names": names})}
    for name in names:
        if name not in found or (active and found[name].removed is not None):
            raise MienError("a known annotator", repr(name), "add them first")
        if active and found[name].disabled is not None:
            todo = "enable them first: mien annotators enable"
            raise MienError("an annotator who may answer", f"{name!r}, who is disabled", todo) from PermissionError(name)
    return {name: int(row.id) for name, row in found.items()}
