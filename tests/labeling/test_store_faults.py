"""Many who write at once, full disks, servers and processes that are killed: what was acknowledged is there, and once."""

import importlib.util
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool

from mien import MienError
from mien.labeling.store import database, sqlite_file
from mien.labeling.store.records import Answer, Question, Reply
from mien.labeling.store.store import Store
from processes import WAIT
from stores import CHECKSUM, CLASSES, Fresh, Postgres, execute, new_store

pytest_plugins = ("databases",)

THREADS = 4
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for others here is served in the end, however slow the disk is."""
    monkeypatch.setattr(database, "PATIENCE", WAIT)


def at_once(work: Callable[[int], Any], threads: int = THREADS) -> list[Any]:
    """What `work(n)` returns in each of several threads that begin together."""
    start = threading.Barrier(threads)

    def begin(number: int) -> Any:
        start.wait(WAIT)
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(begin, range(threads)))


def test_who_writes_at_once_loses_nothing_and_doubles_nothing(fresh: Fresh) -> None:
    address, people = fresh(), tuple(f"p{n}" for n in range(THREADS))
    with new_store(address, 50, people, per_face=THREADS) as store:

        def work(number: int) -> list[Answer]:
            with Store.open(address) as mine:
                return [mine.answer(people[number], Reply(f"f{n}", label=number % 3, key=f"k{n}")) for n in range(50)]

        told = [answer for answers in at_once(work) for answer in answers]
        log = store.log()
        assert Counter(log) == Counter(told)
        assert len(log) == THREADS * 50
        for name in people:
            assert [answer.key for answer in log if answer.annotator == name] == [f"k{n}" for n in range(50)]
        tally = store.progress()
        assert (tally.done, tally.open, tally.remaining) == (50, 0, 0)
        assert store.consensus().votes.sum(axis=1).tolist() == [THREADS] * 50


def test_one_store_serves_threads_and_a_request_sent_twice_at_once_is_one_answer(fresh: Fresh) -> None:
    with new_store(fresh(), 10, ("ann", "bob")) as store:

        def work(number: int) -> list[Answer | str]:
            found: list[Answer | str] = []
            for n in range(10):
                wrong = number == 3 and n % 2
                try:
                    found.append(store.answer(("ann", "bob")[number % 2], Reply(f"f{n}", label=7 if wrong else 1, key=f"k{n}")))
                except MienError as error:
                    found.append(error.found)
            return found

        anns, bobs, anns_too, bobs_too = at_once(work)
        assert anns == anns_too
        assert bobs[::2] == bobs_too[::2]
        assert all(isinstance(found, str) for found in bobs_too[1::2])
        written = Counter((one.annotator, one.key) for one in store.log())
        assert written == {(name, f"k{n}"): 1 for name in ("ann", "bob") for n in range(10)}


def test_no_two_are_given_one_face(fresh: Fresh) -> None:
    address, people = fresh(), tuple(f"p{n}" for n in range(THREADS))
    with new_store(address, 10, people):

        def work(number: int) -> list[str]:
            with Store.open(address) as mine:
                return [question.face for question in mine.next_questions(people[number], 3)]

        given = [face for faces in at_once(work) for face in faces]
        assert sorted(given) == sorted(f"f{n}" for n in range(10))


def test_who_makes_a_store_at_once_makes_one(fresh: Fresh) -> None:
    address = fresh()

    def work(number: int) -> str:
        with Store.open_or_create(address, CLASSES, "faces", CHECKSUM) as mine:
            mine.ask([Question("f0")])
            return mine.accounts.add(f"p{number}")

    assert len(set(at_once(work))) == THREADS
    with Store.open(address) as store:
        assert store.accounts.names() == tuple(f"p{n}" for n in range(THREADS))
        assert store.questions() == (Question("f0"),)


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    address, told, refused = str(tmp_path / "labels.db"), list[Answer](), list[MienError]()

    def limit(connection: sqlite3.Connection, record: object) -> None:
        connection.execute("PRAGMA max_page_count=40")

    new_store(address, 40, ("ann",)).close()
    event.listen(Pool, "connect", limit)
    try:
        with Store.open(address) as store:
            for n in range(40):
                replies = [Reply("f39", label=1, key=f"{n}".rjust(80, "k")), *(Reply(f"f{m}", "unsure") for m in range(n))]
                try:
                    told += store.answer_all("ann", replies)
                except MienError as error:
                    refused.append(error)
            log, by_annotator = store.log(), store.progress().by_annotator
    finally:
        event.remove(Pool, "connect", limit)
    assert 0 < len(refused) < 40
    for one in refused:
        assert "full; nothing of this was kept, all that was acknowledged is; free space on its disk, then send it" in str(one)
    assert list(log) == told
    with Store.open(address) as store:
        assert (store.log(), store.progress().by_annotator) == (log, by_annotator)
        store.answer("ann", Reply("f39", label=2))
        assert len(store.log()) == len(log) + 1


BREAK = {
    "sqlite": ["CREATE TRIGGER broken BEFORE {event} BEGIN SELECT RAISE(ABORT, 'out of order'); END"],
    "postgresql": [
        "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'out of order'; END $$",
        "CREATE TRIGGER broken BEFORE {event} EXECUTE FUNCTION broken()",
    ],
}


@pytest.mark.parametrize("step", ["INSERT ON mien_answers", "UPDATE ON mien_questions", "INSERT ON mien_annotators"])
def test_what_fails_on_its_way_is_not_half_there(fresh: Fresh, step: str) -> None:
    address = fresh()
    with new_store(address, 2, ("ann",)) as store:
        store.answer("ann", Reply("f1", label=0, key="k"), NOON)
        before, imported = store.log(), [Answer("f0", "ann", "unsure", None, NOON, None, "j")]
        if step.endswith("annotators"):
            imported.append(Answer("f0", "bob", "unsure", None, NOON, None, "j"))
        execute(address, *(statement.format(event=step) for statement in BREAK["postgresql" if "://" in address else "sqlite"]))
        acts: list[Callable[[], object]] = [lambda: store.merge(imported)]
        if not step.endswith("annotators"):
            acts += [lambda: store.answer("ann", Reply("f0", label=1)), lambda: store.undo("ann")]
        for act in acts:
            with pytest.raises(MienError, match=r"labels that can be written at .*out of order.*nothing of this was kept"):
                act()
        assert store.log() == before
        assert store.accounts.names() == ("ann",)
        assert (store.progress().done, store.progress().by_annotator) == (1, {"ann": 1})
        execute(address, "DROP TRIGGER broken" + ("" if "://" not in address else f" {step.partition(' ')[2]}"))
        assert store.merge(imported).new == len(imported)


def test_others_who_write_too_long_are_said(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (database, sqlite_file):
        monkeypatch.setattr(module, "PATIENCE", 0.2)
    address = fresh()
    with new_store(address, 1, ("ann",)) as store, Store.open(address) as other:
        with other._transactions.database.writing():
            for act in (lambda: store.answer("ann", Reply("f0", label=0)), lambda: store.next_questions("ann")):
                with pytest.raises(MienError, match=r"nothing of this was kept.*others are writing: send it again"):
                    act()
            assert store.log() == ()
        store.answer("ann", Reply("f0", label=0))
        assert len(store.log()) == 1


ANSWERING = """
import sys
from mien.labeling.store.records import Reply
from mien.labeling.store.store import Store
store, number = Store.open(sys.argv[1]), 0
while True:
    store.answer("ann", Reply(f"f{number % 7}", label=number % 3, key=f"k{number}"))
    print(f"k{number}", flush=True)
    number += 1
"""


def test_a_killed_process_has_kept_what_it_acknowledged(fresh: Fresh) -> None:
    address = fresh()
    with new_store(address, 7, ("ann",)) as store:
        with subprocess.Popen([sys.executable, "-c", ANSWERING, address], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = [process.stdout.readline().strip() for _ in range(20)]
            process.send_signal(signal.SIGKILL)
            told += process.stdout.read().split()
        store.answer("ann", Reply("f0", label=0, key="k0"))  # after what the server may still be about to write for it
        keys = [answer.key for answer in store.log()]
        # At most one was written and not told.
        assert keys[: len(told)] == told == [f"k{n}" for n in range(len(told))]
        assert len(set(keys)) == len(keys) <= len(told) + 1


def test_a_server_that_was_killed_is_found_again(postgres: Postgres) -> None:
    with new_store(postgres.new_schema(), 2, ("ann",)) as store:
        store.answer("ann", Reply("f0", label=1, key="k"))
        postgres.stop()
        try:
            for act in (lambda: store.answer("ann", Reply("f1", label=1)), store.progress):
                with pytest.raises(MienError, match=r"check the address, and that the server runs, then send it again"):
                    act()
        finally:
            postgres.start()
        assert [answer.key for answer in store.log()] == ["k"]
        store.answer("ann", Reply("f1", label=1))
        assert store.progress().done == 2


def test_postgresql_without_its_driver_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MienError, match="the package psycopg, which speaks to PostgreSQL; found none installed; pip install"):
        Store.open("postgresql://me@here/labels")
