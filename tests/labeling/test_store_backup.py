"""Backups, checks, and stores that can only be read."""

import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mien import MienError
from mien.labeling.store.backup import backup
from mien.labeling.store.check import check_store
from mien.labeling.store.records import Question, Reply
from mien.labeling.store.store import Store
from stores import CHECKSUM, CLASSES, Fresh, Postgres, execute, new_store, without_rights

pytest_plugins = ("databases",)


def answered(address: str) -> Store:
    """Ann and Bob said something, took some of it back, and signed in."""
    store = new_store(address, 4, ("ann",), per_face=2)
    store.ask([Question("g", 3, gold=1, model="m", guess=2)])
    store.answer_all("ann", [Reply("f0", label=0, key="a0"), Reply("f1", "unsure", key="a1"), Reply("g", label=2, key="a2")])
    store.undo("ann", "u")
    store.accounts.begin_session(store.accounts.add("bob"))
    store.accounts.note_sign_in("bob", "192.0.2.1", "in")
    store.answer("bob", Reply("f0", label=0, key="b0"))
    store.next_questions("ann", 2)
    return store


def test_a_backup_is_the_store_at_one_moment(fresh: Fresh, tmp_path: Path) -> None:
    address, out = fresh(), tmp_path / "deep" / "backup.db"
    with answered(address) as store:
        assert backup(address, out) == 5
        with Store.open(out) as copy:
            assert (copy.id, copy.info, copy.log(), copy.questions()) == (store.id, store.info, store.log(), store.questions())
            assert (copy.accounts.list_all(), copy.accounts.sign_ins()) == (store.accounts.list_all(), store.accounts.sign_ins())
            # As texts: from Python 3.13 on dataclasses that hold the same nan are not equal, as nan itself is not.
            assert str(copy.progress()) == str(store.progress())
            assert copy.seed("gold") == store.seed("gold")
            copy.answer("ann", Reply("f2", label=1))
            copy.accounts.add("eve")
        assert [entry.name for entry in out.parent.iterdir()] == ["backup.db"]
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        assert check_store(out).faults == ()
        with closing(sqlite3.connect(out)) as connection:
            for table in ("mien_sessions", "mien_leases"):
                assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            with pytest.raises(sqlite3.DatabaseError, match="answers are never changed"):
                connection.execute("DELETE FROM mien_answers")
        before = out.read_bytes()
        for place in (out, out.parent):
            with pytest.raises(MienError, match=r"nothing at .* yet; found something there"):
                backup(address, place)
        assert out.read_bytes() == before


def test_a_backup_is_whole_while_others_write(fresh: Fresh, tmp_path: Path) -> None:
    address, stop = fresh(), threading.Event()
    with new_store(address, 300, ("ann",)) as store:
        failed: list[BaseException] = []

        def write() -> None:
            try:
                for n in range(300):
                    store.answer_all("ann", [Reply(f"f{n}", label=0, key=f"{n}"), Reply(f"f{299 - n}", "unsure", key=f"u{n}")])
                    if stop.is_set():
                        return
            except BaseException as error:
                failed.append(error)

        writer = threading.Thread(target=write)
        writer.start()
        copies = [tmp_path / f"{n}.db" for n in range(4)]
        for out in copies:
            backup(address, out)
        stop.set()
        writer.join()
        assert not failed
        log = store.log()
    for out in copies:
        assert check_store(out).faults == ()
        with Store.open(out) as copy:
            found = copy.log()
            assert len(found) % 2 == 0, "no half of what was written at once"
            assert found == log[: len(found)]


def test_what_cannot_be_backed_up_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "labels.db"
    answered(str(path)).close()
    for source, out, told in (
        (tmp_path / "none.db", tmp_path / "out.db", "a label store at .*none there"),
        (path, "postgresql://here/labels", "the name of a new file"),
        (path, path, "nothing at .* yet"),
        (path, path / "out.db", "out.db to be written"),
    ):
        with pytest.raises(MienError, match=told):
            backup(source, out)
    path.write_bytes(path.read_bytes()[:20000])
    with pytest.raises(MienError, match="labels that can be"):
        backup(path, tmp_path / "out.db")
    assert [entry.name for entry in tmp_path.iterdir()] == ["labels.db"]


DAMAGE = (
    ("UPDATE mien_questions SET answered = 7 WHERE face = 'f1'", "1 question has another number of answers noted than the log"),
    ("UPDATE mien_questions SET gold = 3 WHERE face = 'g'", "1 gold question has a label that is none of the 3 classes"),
    ("UPDATE mien_questions SET guess = -1 WHERE face = 'g'", "1 guess has a label that is none of the 3 classes"),
    ("UPDATE mien_store SET per_face = 0", "what holds for the whole store cannot be: .*at least 1 answer"),
    ("UPDATE mien_store SET classes = '\"calm\"'", "what holds for the whole store cannot be"),
    ("DROP TABLE mien_sessions", "the table mien_sessions is missing"),
    ("ALTER TABLE mien_annotators DROP COLUMN expires", "columns of mien_annotators are missing: expires"),
)
CHANGED_ANSWERS = (
    ("UPDATE mien_answers SET label = 99 WHERE key = 'a0'", "1 answer has a label that is none of the 3 classes"),
    ("UPDATE mien_answers SET undoes = 'a0' WHERE key = 'u'", "1 undos take back nothing that their annotator said of that face"),
)


@pytest.mark.parametrize(("change", "told"), [*DAMAGE, *CHANGED_ANSWERS])
def test_a_check_tells_what_is_wrong(fresh: Fresh, change: str, told: str) -> None:
    address = fresh()
    answered(address).close()
    assert (check_store(address).version, check_store(address).faults) == (3, ())
    if "mien_answers" not in change:
        execute(address, change)
    elif "://" in address:
        execute(address, "ALTER TABLE mien_answers DISABLE TRIGGER mien_answers_stay", change)
    else:
        execute(address, "DROP TRIGGER mien_answers_UPDATE", change)
    faults = check_store(address).faults
    assert [fault for fault in faults if re.search(told, fault)], faults
    trigger = [fault for fault in faults if "which keeps answers from being changed" in fault]
    assert bool(trigger) == ("mien_answers" in change)


def flip(path: Path) -> None:
    with path.open("r+b") as file:
        for place in range(4096, path.stat().st_size, 700):
            file.seek(place)
            file.write(b"\xff\x00\xaa" * 3)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def orphan(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM mien_annotators WHERE name = 'ann'")


@pytest.mark.parametrize("damage", [flip, cut, orphan])
def test_a_damaged_file_is_told_and_left_as_it_was(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "labels.db"
    answered(str(path)).close()
    damage(path)
    before = path.read_bytes()
    try:
        faults: tuple[str, ...] = check_store(path).faults
    except MienError as error:
        faults = (str(error),)
    assert faults
    assert path.read_bytes() == before

    def show() -> None:
        with Store.open(path, reads=True) as store:
            store.log()

    for use in (show, lambda: backup(path, tmp_path / "out.db")):
        try:
            use()
        except MienError:
            continue
        assert damage is orphan


def another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE bookmarks (address TEXT)")


@pytest.mark.parametrize(
    "make",
    [another_program, Path.mkdir, os.mkfifo, Path.touch, lambda path: path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)],
)
def test_what_is_no_store_is_a_sentence(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "labels.db"
    make(path)
    acts: list[Callable[[], object]] = [
        lambda: Store.open(path),
        lambda: Store.open(path, reads=True),
        lambda: check_store(path),
        lambda: backup(path, tmp_path / "out.db"),
    ]
    if make is not Path.touch:  # an empty file may become one
        acts.append(lambda: Store.create(path, CLASSES, "faces", CHECKSUM))
    for act in acts:
        with pytest.raises(MienError, match="expected"):
            act()
    assert not (tmp_path / "out.db").exists()


def test_a_file_that_cannot_be_written_and_is_no_store_is_closed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, opened, connect = tmp_path / "labels.db", list[sqlite3.Connection](), sqlite3.connect

    def noting(*given: Any, **named: Any) -> sqlite3.Connection:
        opened.append(connect(*given, **named))
        return opened[-1]

    path.write_bytes(b"no database" * 500)
    monkeypatch.setattr(sqlite3, "connect", noting)
    monkeypatch.setattr(os, "access", lambda *given: False)
    with pytest.raises(MienError, match="not a database"):
        Store.open(path, reads=True)
    assert opened
    for one in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            one.execute("SELECT 1")


READING = """
import json, os, sys
from mien.labeling.store.backup import backup
from mien.labeling.store.check import check_store
from mien.labeling.store.store import Store
from mien.errors import MienError
def look(path):
    with Store.open(path, reads=True) as store:
        counts = [len(store.log()), len(store.accounts.list_all()), store.progress().answers, len(store.figures())]
        return [*counts, list(check_store(path).faults)]
look(sys.argv[2])  # whatever is imported late, as the user cannot read this interpreter's files perhaps
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
found = look(sys.argv[3])
try:
    Store.open(sys.argv[3]).accounts.add("eve")
    found.append("written")
except MienError as error:
    found.append(str(error))
print(json.dumps(found))
"""


def crash(path: Path, place: Path) -> None:
    """Copies of a file and of what was written ahead, without what is shared: as after a killed process."""
    for name in (path.name, f"{path.name}-wal"):
        shutil.copyfile(path.with_name(name), place / name)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be another user for a while")
@pytest.mark.parametrize("how", ["closed", "killed", "open"])
def test_a_store_that_cannot_be_written_can_be_shown(how: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder, own = Path(place, "there"), Path(place, "own")
        folder.mkdir()
        own.mkdir()
        answered(str(own / "labels.db")).close()
        path = folder / "labels.db"
        store = answered(str(path if how != "killed" else own / "killed.db"))
        if how == "killed":
            crash(own / "killed.db", folder)
            (folder / "killed.db").rename(path)
            (folder / "killed.db-wal").rename(folder / "labels.db-wal")
        if how != "open":
            store.close()
        for entry in (Path(place), folder, *folder.iterdir()):
            entry.chmod(0o555 if entry.is_dir() else 0o444)
        before = {entry.name: entry.read_bytes() for entry in folder.iterdir() if not entry.name.endswith("-shm")}
        number = str(without_rights().pw_uid)
        command = [sys.executable, "-c", READING, number, str(own / "labels.db"), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        *found, refused = json.loads(done.stdout)
        assert found == [5, 2, 3, 2, []]
        assert "writable" in refused or "written to" in refused
        assert {entry.name: entry.read_bytes() for entry in folder.iterdir() if not entry.name.endswith("-shm")} == before
        store.close()


def test_a_reader_of_postgresql_can_show_a_store(postgres: Postgres, tmp_path: Path) -> None:
    address = postgres.new_schema()
    schema = address.rpartition("%3D")[2]
    answered(address).close()
    role = f"reader_{schema}"
    execute(
        address,
        f"CREATE ROLE {role} LOGIN",
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}",
    )
    reader = address.replace("mien@", f"{role}@")
    with Store.open(reader, reads=True) as store:
        assert (len(store.log()), len(store.accounts.list_all()), store.progress().answers) == (5, 2, 3)
    assert check_store(reader).faults == ()
    assert backup(reader, tmp_path / "backup.db") == 5
    with Store.open(reader) as store, pytest.raises(MienError, match=r"permission denied.*make it writable"):
        store.accounts.add("eve")
