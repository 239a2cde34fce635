"""The label store: questions, the people who answer them, and a log of what they said that only grows."""

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType

from sqlalchemy import Connection, insert, select

from mien.errors import MienError
from mien.labeling.store import annotators, answer_log, assignment, create, erase, guidelines, questions, schema
from mien.labeling.store.annotators import DAYS, Holder, Outcome, Person, Session, SignIn
from mien.labeling.store.answer_log import Added
from mien.labeling.store.consensus import AnnotatorFigures, Consensus, annotator_figures, consensus, standing
from mien.labeling.store.counts import GoldProgress, Tally, gold_progress, tally
from mien.labeling.store.database import Database
from mien.labeling.store.guidelines import Guide
from mien.labeling.store.records import LONGEST_NAME, MOST, Answer, Guess, Question, Reply, StoreInfo, check_text, moment
from mien.labeling.store.schema import ANNOTATORS, STORE

IDENTITY = select(STORE.c.version, STORE.c.pool, STORE.c.checksum, STORE.c.created)


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
            new = create.create(database, info)
            if new is None:
                raise MienError(f"no labels at {database.name} yet", "a label store", "open it, or choose another name")
        return Store(database, info, new)

    @staticmethod
    def open(address: str | Path, reads: bool = False) -> "Store":
        """The store at an address; one of an older version is brought to this one, or left as it was.

        A store that `reads` is never written to, so that one that cannot be will do, and one of an older version stays so.
        Raises MienError where there is none, and for one of a newer version.
        """
        database = Database(address, reads)
        with database.opening():
            found = create.require_there(database)
            if found < len(schema.MIGRATIONS) and not reads:
                with database.writing() as connection:
                    schema.migrate(connection)
            with database.reading() as connection:
                info, id = create.read(connection)
        return Store(database, info, id)

    @staticmethod
    def open_or_create(
        address: str | Path, classes: Sequence[str], pool_name: str, pool_checksum: str, per_face: int = 1
    ) -> "Store":
        """The store at an address, a new one where there is none.

        Raises MienError where the one that is there has other classes, another pool or another number of answers wanted.
        """
        info, database = StoreInfo(tuple(classes), pool_name, pool_checksum, per_face), Database(address)
        with database.opening():
            new = create.create(database, info)
        if new is not None:
            return Store(database, info, new)
        database.close()
        store = Store.open(address)
        with store._database.opening():
            store.require(classes, pool_checksum)
            if store.info.per_face != per_face:
                found = f"{store.info.per_face}, as it was made"
                raise MienError(f"a store made for {per_face} answers to a face", found, "ask for that many, or make another")
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

    def add_annotator(self, name: str, days: int | None = DAYS) -> str:
        """Somebody new who answers. Returns the token that says who they are; the store keeps none, so that it is said once.

        It ends after so many days, never for None. Raises MienError for a name that is taken, empty, longer than 80 letters or
        not printable, and for days that cannot be.
        """
        with self._writing() as connection:
            return annotators.add(connection, name, days, moment(None))

    def renew_token(self, name: str, days: int | None = DAYS) -> str:
        """A new token for somebody whose token was lost or has ended, or who was imported. The one before is worth nothing from
        now on, and browsers that signed in with it are signed out. Raises MienError for somebody unknown or disabled."""
        with self._writing() as connection:
            return annotators.renew(connection, name, days, moment(None))

    def disable(self, name: str) -> None:
        """Let somebody answer no more, and sign out their browsers; their answers stay. Raises MienError for somebody unknown."""
        with self._writing() as connection:
            annotators.disable(connection, name, moment(None))

    def enable(self, name: str) -> None:
        """Let somebody who was disabled answer again, with the token they have. Raises MienError for somebody unknown."""
        with self._writing() as connection:
            annotators.disable(connection, name, None)

    def remove(self, name: str, answers: bool) -> str | None:
        """Take somebody out of the store: their name, token, sign-ins, and what was kept for them.

        With `answers` all that they said goes too, and faces want answers in its stead. Otherwise it stays, under a name that
        names nobody, which is returned where there is any. Of a SQLite file the bytes are gone as well. Raises MienError for
        somebody unknown, and where others read the file for so long that old bytes have to stay in it; then all else is done.
        """
        with self._writing() as connection:
            nobody = erase.remove(connection, name, answers, moment(None))
        self._database.forget()
        return nobody

    def holder(self, token: str, now: datetime | None = None) -> Holder:
        """Whose token it is, and whether it is good, to say so and to note it."""
        with self._reading() as connection:
            return annotators.holder(connection, token, moment(now))

    def annotator_by_token(self, token: str) -> str | None:
        """The name of whose token it is; None for one that is wrong, has ended, or belongs to somebody who is disabled."""
        found = self.holder(token)
        return found.name if found.outcome == "in" else None

    def begin_session(self, token: str, now: datetime | None = None) -> Session | None:
        """Sign in a browser with a secret of its own, for 30 days, or until the token ends; None where the token is not good."""
        with self._writing(durable=False) as connection:
            return annotators.begin_session(connection, token, moment(now))

    def signed_in(self, secret: str, now: datetime | None = None) -> str | None:
        """The name of whose browser it is, by its secret, or whose token; None where it is nobody's, has ended, or its
        annotator is disabled."""
        with self._reading() as connection:
            return annotators.signed_in(connection, secret, moment(now))

    def end_session(self, secret: str) -> bool:
        """Sign out a browser, by its secret; whether it was signed in."""
        with self._writing() as connection:
            return annotators.end_session(connection, secret)

    def note_sign_in(self, name: str | None, address: str, outcome: Outcome, now: datetime | None = None) -> None:
        """Add to the list of sign-ins, which keeps the newest 10,000 that worked and 10,000 others. A name that nobody has is
        left out of it."""
        with self._writing(durable=False) as connection:
            annotators.note_sign_in(connection, name, address, outcome, moment(now))

    def sign_ins(self) -> tuple[SignIn, ...]:
        """The list of sign-ins, oldest first; empty in a store of version 1."""
        with self._reading() as connection:
            return annotators.sign_ins(connection) if self._require_same(connection) > 1 else ()

    def people(self, now: datetime | None = None) -> tuple[Person, ...]:
        """All annotators by name: whether they may answer, and when their tokens end."""
        with self._reading() as connection:
            return annotators.listed(connection, self._require_same(connection), moment(now))

    def annotators(self) -> tuple[str, ...]:
        """The names of all, sorted, those who were disabled or removed too."""
        with self._reading() as connection:
            return tuple(sorted(connection.execute(select(ANNOTATORS.c.name)).scalars()))

    def ask(self, asked: Sequence[Question], now: datetime | None = None) -> int:
        """Ask about these faces, after those asked about so far and in this order; how many are new.

        A face that was asked about before is passed over, so that asking again changes nothing. Raises MienError for gold
        labels or guesses that are no classes.
        """
        time = moment(now)
        with self._writing() as connection:
            return questions.add(connection, asked, len(self.info.classes), time)

    def add_guesses(self, guesses: Mapping[str, Guess]) -> None:
        """Note what these faces are taken for, by their ids, where nothing is noted yet and they are gold questions: any other
        says what was guessed when it was asked. Raises MienError for a guess that is no class."""
        with self._writing() as connection:
            questions.add_guesses(connection, guesses, len(self.info.classes))

    def seed(self, what: str) -> int:
        """A large number that is always the same for this store and this word, and that nobody knows who cannot read it."""
        with self._reading() as connection:
            secret = connection.execute(select(STORE.c.secret)).scalar_one()
        return int.from_bytes(hashlib.sha256(f"{secret} {what}".encode()).digest())

    def questions(self, round: int | None = None) -> tuple[Question, ...]:
        """Those asked so far, or those of one round, in their order."""
        with self._reading() as connection:
            return questions.listed(connection, round)

    def next_questions(self, annotator: str, count: int = 1, now: datetime | None = None) -> tuple[Question, ...]:
        """At most `count` that this annotator has not answered and that want another answer, and keeps them for five minutes.

        Asked again it gives the same, but for what was answered since; what it does not give again is free for others. None
        are left where all have their answers, or others hold the last ones. Gold questions, which look like any other,
        are for everybody. Raises MienError for an unknown annotator.
        """
        if not 1 <= count <= MOST:
            raise MienError(f"at least 1 question, and {MOST} at most", f"{count}", "ask for others")
        time = moment(now)
        with self._writing(durable=False) as connection:
            person = create.ids(connection, [annotator], active=True)[annotator]
            # Another process may want more answers since.
            info, _ = create.read(connection)
            rows = assignment.choose(connection, person, count, info, time)
            assignment.hold(connection, person, [row.place for row in rows], time)
        return tuple(questions.as_question(row) for row in rows)

    def is_given(self, annotator: str, face: str, now: datetime | None = None) -> bool:
        """Whether a face is kept for an annotator, or answered by them. Raises MienError for an unknown annotator."""
        with self._reading() as connection:
            person = create.ids(connection, [annotator])[annotator]
            return assignment.is_given(connection, person, face, moment(now))

    def want_more(self, per_face: int) -> int:
        """From now on want so many answers to a face on which people disagree: one where no answer has half of the votes and
        more of them than any other. All other faces want as many as before, but in a store that wanted one answer, on which
        nobody can disagree: there all want so many.

        Returns how many such faces want another answer now, gold questions aside. Raises MienError for fewer than are wanted.
        """
        with self._writing() as connection:
            found = questions.want_more(connection, create.read(connection)[0], per_face)
            self.info, _ = create.read(connection)
        return found

    def guide(self) -> Guide:
        """What people are told of their task."""
        with self._reading() as connection:
            return guidelines.stored(connection, self.info.classes)

    def set_guide(self, new: Guide) -> None:
        """Tell people this from now on; pages that are open show it when they are loaded again."""
        with self._writing() as connection:
            guidelines.write(connection, new)

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
            known = create.ids(connection, [annotator], active=True)
            return answer_log.add(connection, self.info.classes, known, entries).answers

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
            known = create.ids(connection, [annotator], active=True)
            person = known[annotator]
            done = answer_log.find(connection, person, key) if key else None
            if done is not None:
                if done.kind != "undo" or undoes not in ("", done.undoes):
                    found = f"{'another undo' if done.kind == 'undo' else 'an answer'} of key {key!r}"
                    raise MienError("an undo of a new key", found, "make a new key for each")
                return done
            meant = answer_log.find(connection, person, undoes) if undoes else answer_log.newest(connection, person)
            if meant is None:
                raise MienError("an answer to take back", f"none of key {undoes!r}" if undoes else "none", "answer first")
            entry = replace(meant, kind="undo", label=None, time=time, key=key or secrets.token_hex(16), undoes=meant.key)
            added = answer_log.add(connection, self.info.classes, known, [entry])
            assignment.hold_again(connection, person, meant.face, time)
        return added.answers[0]

    def log(self) -> tuple[Answer, ...]:
        """All answers and undos, oldest first."""
        with self._reading() as connection:
            return answer_log.read(connection, len(self.info.classes))

    def merge(self, entries: Sequence[Answer], source: str = "the log") -> Added:
        """Append what another store's log says and this one does not, with its times; annotators who are missing are added.

        All of it or nothing. Raises MienError, which names the row in `source`, as `answer` does, and for an undo of what is not
        there or was taken back.
        """
        names = sorted({entry.annotator for entry in entries})
        with self._writing() as connection:
            there = set(connection.execute(select(ANNOTATORS.c.name)).scalars())
            new = [{"name": name, "created": moment(None)} for name in names if name not in there]
            if new:
                connection.execute(insert(ANNOTATORS), new)
            return answer_log.add(connection, self.info.classes, create.ids(connection, names), entries, source)

    def append(self, entries: Sequence[Answer]) -> Added:
        """Append what people say now, as `answer` does, all of it or nothing. Raises MienError as that."""
        with self._writing() as connection:
            known = create.ids(connection, sorted({entry.annotator for entry in entries}), active=True)
            return answer_log.add(connection, self.info.classes, known, entries)

    def progress(self, round: int | None = None) -> Tally:
        """How far the answering is, of all questions or of one round. It reads much of the store: show it every
        few seconds rather than with every answer."""
        with self._reading() as connection:
            return tally(connection, create.read(connection)[0], round)

    def gold_progress(self) -> GoldProgress:
        """How far the gold questions are, to be counted for each annotator as if they were like all others."""
        with self._reading() as connection:
            return gold_progress(connection, create.read(connection)[0])

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
    def _reading(self) -> Iterator[Connection]:
        with self._database.reading() as connection:
            self._require_same(connection)
            yield connection

    @contextmanager
    def _writing(self, durable: bool = True) -> Iterator[Connection]:
        with self._database.writing(durable) as connection:
            # Another process may have brought the store to a newer version since.
            schema.require_known(self._require_same(connection))
            yield connection

    def _require_same(self, connection: Connection) -> int:
        """The version of the store. Raises MienError, with a cause, where another one has come to the same address."""
        row = connection.execute(IDENTITY).one()
        if create.id_of(row.created, row.pool, row.checksum) != self.id:
            expected = f"the label store that was opened at {self._database.name}"
            todo = "put that one back: until then nothing is kept here, or end this and open the other one"
            raise MienError(expected, "another label store", todo) from LookupError(f"another store at {self._database.name}")
        return int(row.version)
