"""A SQLite file that is removed, renamed or replaced while it is open: nothing is acknowledged that went elsewhere."""

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mien import MienError
from mien.labeling.store.check import check_store
from mien.labeling.store.records import Question, Reply
from mien.labeling.store.store import Store
from stores import CHECKSUM, CLASSES, new_store

FILES = ("labels.db", "labels.db-wal", "labels.db-shm")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a file in a folder of its own."""
    (tmp_path / "there").mkdir()
    return tmp_path / "there" / "labels.db"


def keys(store: Store) -> list[str]:
    return [answer.key for answer in store.log()]


def remove_all(path: Path) -> None:
    for name in FILES:
        path.with_name(name).unlink(missing_ok=True)


def rename_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def remove_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def put_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def put_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def put_rubbish(path: Path) -> None:
    remove_all(path)
    path.write_bytes(os.urandom(9000))


def put_nothing(path: Path) -> None:
    remove_all(path)
    path.touch()


def put_another_store(path: Path) -> None:
    with new_store(str(path.parent / "other.db"), 3, ("ann",)):
        pass
    remove_all(path)
    (path.parent / "other.db").rename(path)


GONE: tuple[Callable[[Path], None], ...] = (
    remove_all,
    Path.unlink,
    rename_folder,
    remove_folder,
    put_folder,
    put_pipe,
    put_rubbish,
    put_nothing,
    put_another_store,
)


@pytest.mark.skipif(os.name == "nt", reason="Windows lets nobody remove or rename a file that is open")
@pytest.mark.parametrize("gone", GONE)
def test_nothing_is_acknowledged_that_goes_into_a_file_that_is_gone(path: Path, gone: Callable[[Path], None]) -> None:
    with new_store(str(path), 3, ("ann",)) as store:
        store.answer("ann", Reply("f0", label=0, key="before"))
        gone(path)
        there = sorted(entry.name for entry in path.parent.iterdir()) if path.parent.exists() else []
        for _ in range(2):
            for act in (
                lambda: store.answer("ann", Reply("f1", label=1)),
                lambda: store.next_questions("ann"),
                lambda: store.undo("ann"),
                store.questions,
                store.progress,
            ):
                with pytest.raises(MienError) as caught:
                    act()
                assert caught.value.__cause__ is not None, "the page keeps what it was to save, and tries again"
        if path.parent.exists():
            assert set(there) >= {entry.name for entry in path.parent.iterdir() if not entry.name.endswith(("-wal", "-shm"))}


@pytest.mark.skipif(os.name == "nt", reason="Windows lets nobody remove or rename a file that is open")
@pytest.mark.parametrize("gone", [remove_all, put_another_store, put_rubbish])
def test_a_backup_that_is_put_back_is_gone_on_with(path: Path, tmp_path: Path, gone: Callable[[Path], None]) -> None:
    with new_store(str(path), 3, ("ann",)) as store:
        store.answer("ann", Reply("f0", label=0, key="old"))
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(tmp_path / "backup.db")) as backup:
            source.backup(backup)
        store.answer("ann", Reply("f1", label=0, key="since"))
        gone(path)
        with pytest.raises(MienError):
            store.answer("ann", Reply("f2", label=0, key="sent again"))
        (tmp_path / "backup.db").replace(path)
        store.answer("ann", Reply("f2", label=0, key="sent again"))
        assert keys(store) == ["old", "sent again"]
    with Store.open(path) as again:
        assert keys(again) == ["old", "sent again"]


@pytest.mark.skipif(os.name == "nt", reason="Windows lets nobody remove or rename a file that is open")
@pytest.mark.parametrize("named", [FILES, FILES[:1]])
def test_a_file_that_is_renamed_and_back_has_all_that_was_acknowledged(path: Path, named: tuple[str, ...]) -> None:
    with new_store(str(path), 3, ("ann",)) as store:
        store.answer("ann", Reply("f0", label=0, key="a"))
        for name in named:
            path.with_name(name).rename(path.with_name(f"away-{name}"))
        with pytest.raises(MienError, match=r"the file with labels at .*removed, renamed or replaced; put it back"):
            store.answer("ann", Reply("f1", label=0, key="b"))
        for name in named:
            path.with_name(f"away-{name}").rename(path.with_name(name))
        assert keys(store) == ["a"]
        store.answer("ann", Reply("f1", label=0, key="b"))
        assert keys(store) == ["a", "b"]


@pytest.mark.skipif(os.name == "nt", reason="Windows lets nobody remove or rename a file that is open")
def test_what_was_written_ahead_is_kept_where_it_alone_is_removed(path: Path) -> None:
    with new_store(str(path), 3, ("ann",)) as store:
        store.answer("ann", Reply("f0", label=0, key="a"))
        path.with_name("labels.db-wal").unlink()
        store.answer("ann", Reply("f1", label=0, key="b"))
        path.with_name("labels.db-wal").unlink()
        path.with_name("labels.db-shm").unlink()
        assert keys(store) == ["a", "b"]
    with Store.open(path) as again:
        assert keys(again) == ["a", "b"]


@pytest.mark.skipif(os.name == "nt", reason="Windows lets nobody remove or rename a file that is open")
def test_who_no_longer_shares_locks_with_others_overwrites_nothing_of_theirs(path: Path) -> None:
    with new_store(str(path), 3, ("ann",)) as store:
        store.answer("ann", Reply("f0", label=0, key="a"))
        path.with_name("labels.db-shm").unlink()
        with Store.open(path) as beside:
            beside.answer("ann", Reply("f1", label=0, key="b"))
            store.answer("ann", Reply("f2", label=0, key="c"))
            assert keys(store) == keys(beside) == ["a", "b", "c"]
    with Store.open(path) as again:
        assert keys(again) == ["a", "b", "c"]


@pytest.mark.skipif(os.name == "nt", reason="Windows lets nobody change a file that is open")
def test_nothing_more_is_acknowledged_where_what_was_written_ahead_is_cut_off(path: Path) -> None:
    with new_store(str(path), 3, ("ann",)) as store:
        store.answer("ann", Reply("f0", label=0, key="a"))
        os.truncate(path.with_name("labels.db-wal"), 0)
        with pytest.raises(MienError) as caught:
            store.answer("ann", Reply("f1", label=0, key="b"))
        assert caught.value.__cause__ is not None, "it may be sent again"


@pytest.mark.skipif(os.name == "nt", reason="Windows lets nobody remove or rename a file that is open")
def test_an_older_file_is_not_mixed_with_what_was_written_ahead_for_the_former(path: Path, tmp_path: Path) -> None:
    with new_store(str(path), 3, ("ann",)) as store:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(tmp_path / "backup.db")) as backup:
            source.backup(backup)
        store.answer("ann", Reply("f0", label=0, key="a"))
        (tmp_path / "backup.db").replace(path)
        for _ in range(2):
            with pytest.raises(
                MienError, match=r"without what was written ahead .*labels.db-wal still there; move labels.db-wal"
            ):
                store.answer("ann", Reply("f1", label=0, key="b"))
        for name in FILES[1:]:
            path.with_name(name).rename(tmp_path / name)
        store.answer("ann", Reply("f1", label=0, key="b"))
        assert keys(store) == ["b"]
        assert check_store(path).faults == ()


@pytest.mark.skipif(os.name == "nt", reason="Windows lets nobody write over a file that is open")
def test_a_file_that_is_copied_over_is_noticed(path: Path, tmp_path: Path) -> None:
    with new_store(str(path), 400, ("ann",)) as store:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(tmp_path / "backup.db")) as backup:
            source.backup(backup)
        store.ask([Question(f"later {n}") for n in range(4000)])
        with closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        store.answer_all("ann", [Reply(f"f{n}", label=0) for n in range(400)])
        shutil.copyfile(tmp_path / "backup.db", path)
        with pytest.raises(MienError, match=r"nobody else writes over; found damaged ones") as caught:
            store.answer("ann", Reply("f1", label=0, key="b"))
        assert caught.value.__cause__ is not None


@pytest.mark.skipif(os.name == "nt", reason="Windows lets nobody remove or rename a file that is open")
def test_threads_and_processes_that_write_beside_are_no_fault(path: Path) -> None:
    with new_store(str(path), 200, ("ann", "bob")) as store, Store.open(path) as other:
        failed: list[BaseException] = []

        def work(name: str, mine: Store) -> None:
            try:
                for n in range(200):
                    mine.answer(name, Reply(f"f{n}", label=0, key="k" * 60 + str(n)))
                    mine.next_questions(name, 5)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=one) for one in (("ann", store), ("bob", store), ("ann", other))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
        assert len(store.log()) == 400


def test_names_with_signs_of_addresses_are_files(tmp_path: Path) -> None:
    for name in ("a?mode=memory", "b#c", "d%20e", "f g", "ü", os.fsdecode(b"\xff.db") if os.name != "nt" else "h"):
        with Store.create(tmp_path / name, CLASSES, "faces", CHECKSUM) as made:
            made.ask([Question("f0")])
        assert (tmp_path / name).is_file()
        with Store.open(tmp_path / name) as again:
            assert again.questions() == (Question("f0"),)
