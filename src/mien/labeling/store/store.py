"""The label store: questions about faces, and a log of answers that only grows; `accounts` holds the annotators."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType

from sqlalchemy import select

from mien.errors import MienError
from mien.labeling.store import answer_log, assignment, create, guidelines, migrations, questions
from mien.labeling.store.accounts import Accounts
from mien.labeling.store.agreement import AnnotatorFigures, annotator_figures
from mien.labeling.store.annotators import add_missing, annotator_ids
from mien.labeling.store.answer_log import AddedAnswers
from mien.labeling.store.consensus import Consensus, consensus, standing
from mien.labeling.store.database import Database
from mien.labeling.store.guidelines import Guidelines
from mien.labeling.store.records import (
    LARGEST_NUMBER,
    LONGEST_NAME,
    Answer,
    NotedGuess,
    Question,
    Reply,
    StoreInfo,
    check_text,
    moment,
)
from mien.labeling.store.schema import STORE
from mien.labeling.store.tally import GoldProgress, Tally, gold_progress, tally
from mien.labeling.store.transactions import Transactions


class Store:
    """A label store at an address: the path of a SQLite file, or `postgresql://user@host/name`.

    Use it as `with Store.open(address) as store: ...`, or `close` it. All threads of a process may share one, and any number of
    processes an address. Annotators are named by their names, faces by their ids, classes by their indices. What a method writes
    is on disk when it returns, and nothing of it where it raises. All methods raise MienError where the database fails. Times are
    in UTC; `now` is for tests, and for answers that were given elsewhere.
    """

    def __init__(self, database: Database, info: StoreInfo, id: str) -> None:
        self.id = id
        """Tells this store from all others, wherever it lies: made of when it was made, and for which pool."""
        self.info = info
        """The settings of the store."""
        self._transactions = Transactions(database, id)
        self.accounts = Accounts(self._transactions)
        """The annotators, and their tokens, sessions and sign-ins."""

    @staticmethod
    def create(address: str | Path, classes: Sequence[str], pool_name: str, pool_checksum: str, per_face: int = 1) -> "Store":
        """Make a store for the faces of one pool, each of which wants `per_face` answers.

        Raises MienError where a store is there already, and for fewer than two different classes.
        """
        info, database = StoreInfo(tuple(classes), pool_name, pool_checksum, per_face), Database(address)
        with database.opening():
            new = create.create_store(database, info)
            if new is None:
                raise MienError(f"no labels at {database.name} yet", "a label store", "open it, or choose another name")
        return Store(database, info, new)

    @staticmethod
    def open(address: str | Path, reads: bool = False) -> "Store":
        """Open the store at an address. One of an older version is brought to the newest.

        With `reads` nothing is written: it may lie where nothing can be, and one of an older version stays as it is. Raises
        MienError where there is none, and for one of a newer version.
        """
        database = Database(address, reads)
        with database.opening():
            found = create.require_there(database)
            if found < len(migrations.MIGRATIONS) and not reads:
                with database.writing() as connection:
                    migrations.migrate(connection)
            with database.reading() as connection:
                info, id = create.read_info(connection)
        return Store(database, info, id)

    @staticmethod
    def open_or_create(
        address: str | Path, classes: Sequence[str], pool_name: str, pool_checksum: str, per_face: int = 1
    ) -> "Store":
        """Open the store at an address, or make it where there is none.

        Raises MienError where the store that is there has other classes, another pool, or wants another number of answers.
        """
        info, database = StoreInfo(tuple(classes), pool_name, pool_checksum, per_face), Database(address)
        with database.opening():
            new = create.create_store(database, info)
        if new is not None:
            return Store(database, info, new)
        database.close()
        store = Store.open(address)
        with store._transactions.database.opening():
            store.require(classes, pool_checksum)
            if store.info.per_face != per_face:
                found = f"{store.info.per_face}, as it was made"
                raise MienError(f"a store made for {per_face} answers to a face", found, "ask for that many, or make another")
        return store

    def close(self) -> None:
        """Close the database."""
        self._transactions.database.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def require(self, classes: Sequence[str], checksum: str) -> None:
        """Raises MienError where these classes, of a model or a pool, are not the store's, or the pool has changed since."""
        if tuple(classes) != self.info.classes:
            expected = f"the classes that people choose from, {', '.join(self.info.classes)}"
            raise MienError(expected, ", ".join(classes), "take a model and a pool of those, or make another store")
        if checksum != self.info.checksum:
            expected = f"the pool {self.info.pool!r} as it was when this store was made, {self.info.checksum[:12]}…"
            raise MienError(expected, f"{checksum[:12]}…", "take that pool, or make another store for the changed one")

    def ask(self, asked: Sequence[Question], now: datetime | None = None) -> int:
        """Add these questions after the earlier ones, in this order. Returns how many are new.

        A face that was asked about before is passed over, so that asking again changes nothing. Raises MienError for gold labels
        or guesses that are no classes.
        """
        time = moment(now)
        with self._transactions.writing() as connection:
            return questions.add_questions(connection, asked, len(self.info.classes), time)

    def add_guesses(self, guesses: Mapping[str, NotedGuess]) -> None:
        """Note guesses with gold questions that have none yet, by the ids of their faces.

        Other questions are left out: they got their guess when they were asked. Raises MienError for a guess that is no class.
        """
        with self._transactions.writing() as connection:
            questions.add_guesses(connection, guesses, len(self.info.classes))

    def seed(self, what: str) -> int:
        """A random seed made of the store's secret and a word: always the same, and unknown to who cannot read the store."""
        with self._transactions.reading() as connection:
            secret = connection.execute(select(STORE.c.secret)).scalar_one()
        return int.from_bytes(hashlib.sha256(f"{secret} {what}".encode()).digest())

    def questions(self, round: int | None = None) -> tuple[Question, ...]:
        """All questions, or those of one round, in the order in which they were asked."""
        with self._transactions.reading() as connection:
            return questions.list_questions(connection, round)

    def next_questions(self, annotator: str, count: int = 1, now: datetime | None = None) -> tuple[Question, ...]:
        """At most `count` questions for an annotator, which are kept for them for five minutes.

        They want another answer, and this annotator has not answered them. Asked again, the same come, but for those answered
        meanwhile; questions that do not come again are free for others. None come where all have their answers, or others hold
        the last ones. Gold questions, which look like any other, are for everybody. Raises MienError for an unknown annotator.
        """
        if not 1 <= count <= LARGEST_NUMBER:
            raise MienError(f"at least 1 question, and {LARGEST_NUMBER} at most", f"{count}", "ask for others")
        time = moment(now)
        with self._transactions.writing(durable=False) as connection:
            id = annotator_ids(connection, [annotator], active=True)[annotator]
            # Another process may want more answers since.
            info, _ = create.read_info(connection)
            rows = assignment.choose_questions(connection, id, count, info, time)
            assignment.hold(connection, id, [row.place for row in rows], time)
        return tuple(questions.as_question(row) for row in rows)

    def is_given(self, annotator: str, face: str, now: datetime | None = None) -> bool:
        """Whether a face is kept for an annotator, or was answered by them. Raises MienError for an unknown annotator."""
        with self._transactions.reading() as connection:
            id = annotator_ids(connection, [annotator])[annotator]
            return assignment.is_given(connection, id, face, moment(now))

    def want_more(self, per_face: int) -> int:
        """Want `per_face` answers, from now on, to faces on which people disagree. Other faces want as many as before.

        People disagree where no answer has half of the votes and more of them than any other. Where a store wanted one answer,
        nobody can disagree: then all faces want `per_face`. Returns how many disputed questions want another answer now, without
        gold ones. Raises MienError for fewer answers than are wanted already.
        """
        with self._transactions.writing() as connection:
            found = questions.want_more(connection, create.read_info(connection)[0], per_face)
            self.info, _ = create.read_info(connection)
        return found

    def guidelines(self) -> Guidelines:
        """The question that people read, and what each class means."""
        with self._transactions.reading() as connection:
            return guidelines.stored_guidelines(connection, self.info.classes)

    def set_guidelines(self, new: Guidelines) -> None:
        """Replace the guidelines; pages that are open show the new ones when they are loaded again."""
        with self._transactions.writing() as connection:
            guidelines.store_guidelines(connection, new)

    def answer(self, annotator: str, reply: Reply, now: datetime | None = None) -> Answer:
        """Add an annotator's answer to the log, whether its face was kept for them or not. Earlier answers stay in the log.

        Returns the answer; if its key was used before, the one that is there already. Raises MienError for an unknown annotator
        or face, a label that is no class, and a key that stands for another answer.
        """
        return self.answer_all(annotator, [reply], now)[0]

    def answer_all(self, annotator: str, replies: Sequence[Reply], now: datetime | None = None) -> tuple[Answer, ...]:
        """Add an annotator's answers to several faces, all or none of them. Returns and raises as `answer` does."""
        keys = [reply.key or secrets.token_hex(16) for reply in replies]
        time, pairs = moment(now), zip(replies, keys, strict=True)
        entries = [Answer(one.face, annotator, one.kind, one.label, time, None, key) for one, key in pairs]
        with self._transactions.writing() as connection:
            ids = annotator_ids(connection, [annotator], active=True)
            return answer_log.append_answers(connection, self.info.classes, ids, entries).answers

    def undo(self, annotator: str, key: str = "", now: datetime | None = None, undoes: str = "") -> Answer:
        """Take back an annotator's newest answer, or the one with the key `undoes`, and keep its face for them.

        Returns the undo, which names that face; if `key` was used before, the undo that is there already. Raises MienError where
        no answer is left to take back, none has the key `undoes`, it was taken back already, the annotator is unknown, or `key`
        stands for another answer or undo.
        """
        time = moment(now)
        for given in filter(None, (key, undoes)):
            check_text(given, "a key", LONGEST_NAME)
        with self._transactions.writing() as connection:
            ids = annotator_ids(connection, [annotator], active=True)
            return answer_log.append_undo(connection, self.info.classes, ids, key, undoes, time)

    def log(self) -> tuple[Answer, ...]:
        """The log: all answers and undos, oldest first."""
        with self._transactions.reading() as connection:
            return answer_log.read_log(connection, len(self.info.classes))

    def merge(self, entries: Sequence[Answer], source: str = "the log") -> AddedAnswers:
        """Append the entries of another store's log that this one lacks, with their times. Missing annotators are added.

        All entries are appended, or none. Raises MienError, which names the row in `source`, where `answer` would, and for an
        undo of an answer that is not there or was taken back already.
        """
        names = sorted({entry.annotator for entry in entries})
        with self._transactions.writing() as connection:
            add_missing(connection, names, moment(None))
            ids = annotator_ids(connection, names)
            return answer_log.append_answers(connection, self.info.classes, ids, entries, source)

    def append(self, entries: Sequence[Answer]) -> AddedAnswers:
        """Append answers of several annotators, all or none of them. Raises MienError where `answer` would."""
        with self._transactions.writing() as connection:
            ids = annotator_ids(connection, sorted({entry.annotator for entry in entries}), active=True)
            return answer_log.append_answers(connection, self.info.classes, ids, entries)

    def progress(self, round: int | None = None) -> Tally:
        """How far the answering is, over all questions or those of one round.

        Counting reads much of the store: do it every few seconds rather than with every answer.
        """
        with self._transactions.reading() as connection:
            return tally(connection, create.read_info(connection)[0], round)

    def gold_progress(self) -> GoldProgress:
        """How far the gold questions are, so that each annotator can be shown them as if they were like all others."""
        with self._transactions.reading() as connection:
            return gold_progress(connection, create.read_info(connection)[0])

    def consensus(self, minimum_agreement: float = 0.5, minimum_answers: int = 1, round: int | None = None) -> Consensus:
        """What annotators agree on for each face, gold ones too, or those of one round, in the order of `questions`.

        Raises MienError for an impossible minimum.
        """
        # The log first: a face that is asked about in between has no answer in it.
        answers = standing(self.log())
        faces = [question.face for question in self.questions(round)]
        return consensus(answers, faces, self.info.classes, minimum_agreement, minimum_answers)

    def figures(self) -> tuple[AnnotatorFigures, ...]:
        """Figures of each annotator who answered, by name: how many answers, how often like others, how often right, how fast."""
        return annotator_figures(self.log(), self.questions(), len(self.info.classes))
