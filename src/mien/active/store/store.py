"""The label store: questions, the people who answer them, and a log of what they said that only grows."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from mien.active.store import assign, ledger, schema
from mien.active.store.consensus import AnnotatorFigures, Consensus, annotator_figures, consensus, standing
from mien.active.store.database import Database
from mien.active.store.ledger import Added
from mien.active.store.records import (
    LONGEST_NAME,
    Answer,
    Question,
    Reply,
    StoreInfo,
    check_label,
    check_name,
    check_text,
    moment,
)
from mien.active.store.schema import ANNOTATORS, QUESTIONS, STORE
from mien.active.store.tally import Tally, of_round, tally
from mien.errors import MienError

VERSION = select(STORE.c.version)
PEOPLE = select(ANNOTATORS.c.name, ANNOTATORS.c.id).where(ANNOTATORS.c.name.in_(bindparam("names", expanding=True)))


class Store:
    """A label store at an address: the path of a SQLite file, or `postgresql://user@host/name`.

    `with Store.open(address) as store: ...`, or `close` it. All threads of a process may use one, and any number of processes
    one address. An annotator is named by their name, a face by its id, a class by its index. What a method writes is on disk
    when it returns; where it raises, nothing of it is kept. All raise MienError where the database fails. Times are in UTC;
    `now` is for tests and for answers that were given elsewhere.
    """

    def __init__(self, database: Database, info: StoreInfo, id: str) -> None:
        self._database, self.info = database, info
        self.id = id
        """Tells stores apart, wherever they are and whoever opens them: made of when this one was made and for which pool."""

    @staticmethod
    def create(address: str | Path, classes: Sequence[str], pool_name: str, pool_checksum: str, per_face: int = 1) -> "Store":
        """A new store for faces of one pool, of which `per_face` answers each are wanted.

        Raises MienError where there is one already, and for classes that are not two different ones at least.
        """
        info, database = StoreInfo(tuple(classes), pool_name, pool_checksum, per_face), Database(address)
        with database.opening():
            new = _create(database, info)
            if new is None:
                raise MienError(f"no labels at {database.name} yet", "a label store", "open it, or choose another name")
        return Store(database, info, new)

    @staticmethod
    def open(address: str | Path) -> "Store":
        """The store at an address; one of an older version is brought to this one, or left as it was.

        Raises MienError where there is none, and for one of a newer version.
        """
        database = Database(address)
        with database.opening():
            found = _version_at(database)
            if not found:
                raise MienError(f"a label store at {database.name}", "none there", "check the address, or make one")
            schema.require_known(found)
            if found < len(schema.MIGRATIONS):
                with database.writing() as connection:
                    schema.migrate(connection)
            with database.reading() as connection:
                row = connection.execute(select(STORE)).one()
        info = StoreInfo(tuple(row.classes), row.pool, row.checksum, row.per_face)
        return Store(database, info, _id(info, row.created))

    @staticmethod
    def open_or_create(
        address: str | Path, classes: Sequence[str], pool_name: str, pool_checksum: str, per_face: int = 1
    ) -> "Store":
        """The store at an address, a new one where there is none.

        Raises MienError where the one that is there has other classes, another pool or another number of answers wanted.
        """
        info, database = StoreInfo(tuple(classes), pool_name, pool_checksum, per_face), Database(address)
        with database.opening():
            new = _create(database, info)
        if new is not None:
            return Store(database, info, new)
        database.close()
        store = Store.open(address)
        with store._database.opening():
            store.require(classes, pool_checksum)
            if store.info.per_face != per_face:
                found = f"{store.info.per_face}, as it was made"
                raise MienError(f"labels with {per_face} answers to a face", found, "ask for that many, or make another store")
        return store

    def close(self) -> None:
        """Close what is open."""
        self._database.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def require(self, classes: Sequence[str], checksum: str) -> None:
        """Raises MienError where a model's or pool's classes are not the store's, or the pool's faces have changed since."""
        if tuple(classes) != self.info.classes:
            expected = f"the classes that people choose from, {', '.join(self.info.classes)}"
            raise MienError(expected, ", ".join(classes), "take a model and a pool of those, or make another store")
        if checksum != self.info.checksum:
            expected = f"the pool {self.info.pool!r} as it was when this store was made, {self.info.checksum[:12]}…"
            raise MienError(expected, f"{checksum[:12]}…", "take that pool, or make another store for the changed one")

    def add_annotator(self, name: str) -> str:
        """Somebody new who answers. Returns the token that says who they are; the store keeps none, so that it is said once.

        Raises MienError for a name that is taken, empty, longer than 80 letters or not printable.
        """
        check_name(name)
        token = secrets.token_urlsafe()
        with self._writing() as connection:
            if connection.execute(select(ANNOTATORS.c.id).where(ANNOTATORS.c.name == name)).first():
                raise MienError("a name that nobody has yet", repr(name), "choose another, or renew their token")
            row = {"name": name, "token_hash": _hash(token), "created": moment(None)}
            connection.execute(insert(ANNOTATORS), row)
        return token

    def renew_token(self, name: str) -> str:
        """A new token for somebody who lost theirs, or who was imported. The lost one is worth nothing in the store from now on;
        a page that is being served takes it for ten seconds more."""
        token = secrets.token_urlsafe()
        with self._writing() as connection:
            person = _people(connection, [name])[name]
            connection.execute(update(ANNOTATORS).where(ANNOTATORS.c.id == person).values(token_hash=_hash(token)))
        return token

    def annotator_by_token(self, token: str) -> str | None:
        """The name of whose token it is; None for a wrong one. Takes the same time whichever it is."""
        given, found = _hash(token), None
        with self._database.reading() as connection:
            known = connection.execute(select(ANNOTATORS.c.name, ANNOTATORS.c.token_hash)).all()
        for row in known:
            if hmac.compare_digest(given, row.token_hash or ""):
                found = str(row.name)
        return found

    def annotators(self) -> tuple[str, ...]:
        """The names of all, sorted."""
        with self._database.reading() as connection:
            return tuple(sorted(connection.execute(select(ANNOTATORS.c.name)).scalars()))

    def ask(self, asked: Sequence[Question], now: datetime | None = None) -> int:
        """Ask about these faces, after those asked about so far and in this order; how many are new.

        A face that was asked about before is passed over, so that asking again changes nothing. Raises MienError for gold
        labels or guesses that are no classes.
        """
        time = moment(now)
        for question in asked:
            check_label(question.gold, len(self.info.classes), f" as gold of {question.face!r}")
            check_label(question.guess, len(self.info.classes), f" as guess of {question.face!r}")
        with self._writing() as connection:
            known = set(connection.execute(select(QUESTIONS.c.face)).scalars())
            new: dict[str, Question] = {}
            for question in asked:
                if question.face not in known:
                    new.setdefault(question.face, question)
            last = connection.execute(select(func.max(QUESTIONS.c.place))).scalar()
            first = 0 if last is None else last + 1
            rows = [_row(question) for question in new.values()]
            if rows:
                connection.execute(insert(QUESTIONS), [row | {"place": n, "asked": time} for n, row in enumerate(rows, first)])
        return len(rows)

    def questions(self, round: int | None = None) -> tuple[Question, ...]:
        """Those asked so far, or those of one round, in their order."""
        with self._database.reading() as connection:
            rows = connection.execute(select(QUESTIONS).where(of_round(round)).order_by(QUESTIONS.c.place)).all()
        return tuple(_question(row) for row in rows)

    def next_questions(self, annotator: str, count: int = 1, now: datetime | None = None) -> tuple[Question, ...]:
        """At most `count` that this annotator has not answered and that want another answer, and keeps them for five minutes.

        Asked again it gives the same, but for what was answered since; what it does not give again is free for others. None
        are left where all have their answers, or others hold the last ones. Gold questions, which look like any other,
        are for everybody. Raises MienError for an unknown annotator.
        """
        if count < 1:
            raise MienError("at least 1 question", f"{count}", "ask for more")
        time = moment(now)
        with self._writing(durable=False) as connection:
            person = _people(connection, [annotator])[annotator]
            rows = assign.choose(connection, person, count, self.info.per_face, time)
            assign.hold(connection, person, [row.place for row in rows], time)
        return tuple(_question(row) for row in rows)

    def answer(self, annotator: str, reply: Reply, now: datetime | None = None) -> Answer:
        """Write down what somebody says of a face, whether it was kept for them or not; what they said before stays in the log.

        Returns the answer, which is there already if its key was used before. Raises MienError for an unknown annotator or
        face, a label that is no class, and a key that stands for another answer.
        """
        return self.answer_all(annotator, [reply], now)[0]

    def answer_all(self, annotator: str, replies: Sequence[Reply], now: datetime | None = None) -> tuple[Answer, ...]:
        """`answer` for several faces, all or none of them."""
        keys = [reply.key or secrets.token_hex(16) for reply in replies]
        time, pairs = moment(now), zip(replies, keys, strict=True)
        entries = [Answer(one.face, annotator, one.kind, one.label, time, None, key) for one, key in pairs]
        with self._writing() as connection:
            return ledger.add(connection, self.info.classes, _people(connection, [annotator]), entries).answers

    def undo(self, annotator: str, key: str = "", now: datetime | None = None, undoes: str = "") -> Answer:
        """Take back this annotator's newest answer that was not taken back yet, or the one of the key `undoes`, and keep its face
        for them.

        Returns the undo, which names that face; with a key that was used before, that undo. Raises MienError where there is no
        answer left to take back, none of the key `undoes` or one that was taken back already, for an unknown annotator, and for a
        key that stands for another answer or undo.
        """
        time = moment(now)
        for given in filter(None, (key, undoes)):
            check_text(given, "a key", LONGEST_NAME)
        with self._writing() as connection:
            people = _people(connection, [annotator])
            person = people[annotator]
            done = ledger.find(connection, person, key) if key else None
            if done is not None:
                if done.kind != "undo" or undoes not in ("", done.undoes):
                    found = f"{'another undo' if done.kind == 'undo' else 'an answer'} of key {key!r}"
                    raise MienError("an undo of a new key", found, "make a new key for each")
                return done
            meant = ledger.find(connection, person, undoes) if undoes else ledger.newest(connection, person)
            if meant is None:
                raise MienError("an answer to take back", f"none of key {undoes!r}" if undoes else "none", "answer first")
            entry = replace(meant, kind="undo", label=None, time=time, key=key or secrets.token_hex(16), undoes=meant.key)
            added = ledger.add(connection, self.info.classes, people, [entry])
            assign.hold_again(connection, person, meant.face, time)
        return added.answers[0]

    def log(self) -> tuple[Answer, ...]:
        """All answers and undos, oldest first."""
        with self._database.reading() as connection:
            return ledger.read(connection)

    def merge(self, entries: Sequence[Answer], source: str = "the log") -> Added:
        """Append what another store's log says and this one does not, with its times; annotators who are missing are added.

        All of it or nothing. Raises MienError, which names the row in `source`, as `answer` does, and for an undo of what is not
        there or was taken back.
        """
        with self._writing() as connection:
            known = set(connection.execute(select(ANNOTATORS.c.name)).scalars())
            new = sorted({entry.annotator for entry in entries} - known)
            if new:
                connection.execute(insert(ANNOTATORS), [{"name": name, "created": moment(None)} for name in new])
            people = _people(connection, sorted({entry.annotator for entry in entries}))
            return ledger.add(connection, self.info.classes, people, entries, source)

    def progress(self, round: int | None = None) -> Tally:
        """How far the answering is, of all questions or of one round. It reads much of the store: show it every
        few seconds rather than with every answer."""
        with self._database.reading() as connection:
            return tally(connection, self.info, round)

    def consensus(self, minimum_agreement: float = 0.5, minimum_answers: int = 1, round: int | None = None) -> Consensus:
        """What the log makes of each face asked about, gold ones too, or of those of one round, in the order of `questions`.

        Raises MienError for a minimum that cannot be.
        """
        # The log first: a face that is asked about in between has no answer in it.
        answers = standing(self.log())
        faces = [question.face for question in self.questions(round)]
        return consensus(answers, faces, self.info.classes, minimum_agreement, minimum_answers)

    def figures(self) -> tuple[AnnotatorFigures, ...]:
        """What each annotator who answered did, by name: how many, how often as the others, how often right, how fast."""
        return annotator_figures(self.log(), self.questions(), len(self.info.classes))

    @contextmanager
    def _writing(self, durable: bool = True) -> Iterator[Connection]:
        with self._database.writing(durable) as connection:
            # Another process may have brought the store to a newer version since.
            schema.require_known(int(connection.execute(VERSION).scalar_one()))
            yield connection


def _create(database: Database, info: StoreInfo) -> str | None:
    """The id of a new store; None where there is one already."""
    database.prepare()
    created = moment(None)
    with database.writing() as connection:
        if schema.stored_version(connection):
            return None
        schema.migrate(connection)
        values = {"classes": list(info.classes), "pool": info.pool, "checksum": info.checksum, "per_face": info.per_face}
        connection.execute(insert(STORE).values(id=1, version=len(schema.MIGRATIONS), created=created, **values))
    return _id(info, created)


def _id(info: StoreInfo, created: datetime) -> str:
    """Of what a store never changes."""
    text = json.dumps([created.isoformat(timespec="microseconds"), info.pool, info.checksum])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _version_at(database: Database) -> int:
    """Of the store there, 0 where there is none; makes no file."""
    if database.missing:
        return 0
    with database.reading() as connection:
        return schema.stored_version(connection)


def _people(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """The ids of these annotators. Raises MienError for an unknown one."""
    found = {str(row.name): int(row.id) for row in connection.execute(PEOPLE, {"names": names})}
    for name in names:
        if name not in found:
            raise MienError("a known annotator", repr(name), "add them first")
    return found


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _row(question: Question) -> dict[str, Any]:
    row = {"face": question.face, "round": question.round, "gold": question.gold}
    return row | {"model": question.model, "guess": question.guess, "answered": 0}


def _question(row: Any) -> Question:
    return Question(row.face, row.round, row.gold, row.model, row.guess)
