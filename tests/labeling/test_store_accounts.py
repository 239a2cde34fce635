"""Who may answer: tokens that end, browsers, people who are disabled or removed, and the list of sign-ins, on both databases."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect
from sqlalchemy.exc import DatabaseError

from mien import MienError
from mien.labeling.store import accounts, annotators, migrations, schema
from mien.labeling.store.backup import backup
from mien.labeling.store.check import check_store
from mien.labeling.store.database import Database
from mien.labeling.store.import_export import export_log, import_log
from mien.labeling.store.records import Answer, Reply
from mien.labeling.store.store import Store
from stores import CHECKSUM, CLASSES, Fresh, execute, new_store

pytest_plugins = ("databases",)

DAY = timedelta(days=1)


def test_a_token_ends_and_a_new_one_begins_anew(fresh: Fresh) -> None:
    now = datetime.now(UTC)
    with new_store(fresh()) as store:
        token, lasting, short = store.accounts.add("ann"), store.accounts.add("bob", None), store.accounts.add("eve", 1)
        for days, who in (
            (0, ["ann", "bob", "eve"]),
            (2, ["ann", "bob", None]),
            (91, [None, "bob", None]),
            (9999, [None, "bob", None]),
        ):
            assert [store.accounts.signed_in(one, now + days * DAY) for one in (token, lasting, short)] == who
        assert store.accounts.holder(token, now + 91 * DAY) == annotators.Holder("ann", "expired")
        assert store.accounts.begin_session(token, now + 91 * DAY) is None
        states = [(one.name, one.state, one.expires is None) for one in store.accounts.list_all(now + 50 * DAY)]
        assert states == [("ann", "active", False), ("bob", "active", True), ("eve", "expired", False)]
        renewed = store.accounts.renew_token("eve", 7)
        assert store.accounts.signed_in(short) is None
        assert [store.accounts.signed_in(renewed, now + days * DAY) for days in (1, 8)] == ["eve", None]
        wrong: tuple[Any, ...] = (0, -1, 36501, 10**30, True, 1.5)
        for days in wrong:
            with pytest.raises(MienError, match="1 to 36500 days for a token"):
                store.accounts.add("max", days)
        assert "max" not in store.accounts.names()


def test_a_browser_has_a_secret_of_its_own_until_it_signs_out(fresh: Fresh) -> None:
    now, address = datetime.now(UTC), fresh()
    with new_store(address) as store:
        token, other = store.accounts.add("ann"), store.accounts.add("bob")
        first, second = store.accounts.begin_session(token, now), store.accounts.begin_session(token, now)
        assert first is not None
        assert second is not None
        assert (first.annotator, first.until) == ("ann", now + 30 * DAY)
        assert len({first.secret, second.secret, token}) == 3
        assert [store.accounts.signed_in(one.secret, now + 29 * DAY) for one in (first, second)] == ["ann", "ann"]
        assert store.accounts.signed_in(first.secret, now + 30 * DAY) is None
        assert first.secret not in str(execute(address, "SELECT * FROM mien_sessions"))
        assert [store.accounts.end_session(one) for one in (first.secret, first.secret, token, "", "\udcff")] == [
            True,
            False,
            False,
            False,
            False,
        ]
        assert [store.accounts.signed_in(one.secret) for one in (first, second)] == [None, "ann"]
        for wrong in ("", "x", first.secret, other[:-1], "\udcff", "é\0"):
            assert store.accounts.begin_session(wrong) is None
            assert store.accounts.signed_in(wrong) is None
        # It ends with the token at the latest, however long a browser might stay.
        short = store.accounts.begin_session(store.accounts.renew_token("bob", 3))
        assert short is not None
        assert short.until < now + 4 * DAY
        assert store.accounts.signed_in(other) is None
        assert store.accounts.renew_token("ann") != token
        assert store.accounts.signed_in(second.secret) is None


def test_browsers_are_not_remembered_without_end(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "MOST_SESSIONS", 3)
    now, address = datetime.now(UTC), fresh()
    with new_store(address) as store:
        token, other = store.accounts.add("ann", None), store.accounts.add("bob", None)
        bobs = store.accounts.begin_session(other, now)
        begun = [store.accounts.begin_session(token, now + timedelta(seconds=n)) for n in range(5)]
        found = [one and store.accounts.signed_in(one.secret, now) for one in (*begun, bobs)]
        assert found == [None, None, "ann", "ann", "ann", "bob"]
        store.accounts.begin_session(other, now + 31 * DAY)
        assert execute(address, "SELECT count(*) FROM mien_sessions") == [(1,)], "what has ended is not kept"


def test_who_is_disabled_is_out_at_once_and_may_come_back(fresh: Fresh) -> None:
    with new_store(fresh(), 3) as store:
        token = store.accounts.add("ann")
        session = store.accounts.begin_session(token)
        assert session is not None
        store.answer("ann", Reply("f0", label=1))
        store.accounts.disable("ann")
        assert [store.accounts.signed_in(one) for one in (token, session.secret)] == [None, None]
        assert store.accounts.holder(token) == annotators.Holder("ann", "disabled")
        assert store.accounts.begin_session(token) is None
        assert [one.state for one in store.accounts.list_all()] == ["disabled"]
        entry = Answer("f1", "ann", "label", 1, datetime.now(UTC), None, "k")
        acts: list[Callable[[], object]] = [
            lambda: store.answer("ann", Reply("f1", label=1)),
            lambda: store.undo("ann"),
            lambda: store.next_questions("ann"),
            lambda: store.append([entry]),
        ]
        for act in acts:
            with pytest.raises(MienError, match="an annotator who may answer; found 'ann', who is disabled") as caught:
                act()
            assert caught.value.__cause__ is not None, "what is not saved may be taken later"
        with pytest.raises(MienError, match="found 'ann', who is disabled; enable them first"):
            store.accounts.renew_token("ann")
        assert store.consensus().labels.tolist() == [1, -1, -1], "their answers stay"
        store.accounts.enable("ann")
        assert [store.accounts.signed_in(one) for one in (token, session.secret)] == ["ann", None]
        store.append([entry])
        accounts = store.accounts
        changes: list[Callable[[str], object]] = [accounts.disable, accounts.enable, lambda name: accounts.remove(name, True)]
        for change in changes:
            with pytest.raises(MienError, match="a known annotator; found 'eve'"):
                change("eve")


def answered(address: str) -> Store:
    """Ann and Bob said something, and took some of it back."""
    store = new_store(address, 4, ("ann", "bob"), per_face=2)
    store.answer_all("ann", [Reply("f0", label=0, key="a0"), Reply("f1", label=1, key="a1"), Reply("f2", label=2, key="a2")])
    store.undo("ann", "u")
    store.answer_all("bob", [Reply("f0", label=0, key="b0"), Reply("f1", label=2, key="b1")])
    store.next_questions("ann", 2)
    return store


def test_who_is_removed_with_their_answers_is_nowhere(fresh: Fresh) -> None:
    address = fresh()
    with answered(address) as store:
        secret = store.accounts.begin_session(store.accounts.renew_token("ann"))
        store.accounts.note_sign_in("ann", "192.0.2.7", "in")
        store.accounts.note_sign_in("bob", "192.0.2.8", "in")
        assert secret is not None
        assert store.accounts.remove("ann", answers=True) is None
        assert store.accounts.signed_in(secret.secret) is None
        assert store.accounts.names() == ("bob",)
        assert [entry.annotator for entry in store.log()] == ["bob", "bob"]
        assert [one.name for one in store.accounts.sign_ins()] == ["bob"]
        found = store.progress()
        assert (found.done, found.answers, found.remaining) == (0, 2, 6)
        assert execute(address, "SELECT count(*) FROM mien_leases") == [(0,)]
        # A page that is open does not bring them back.
        with pytest.raises(MienError, match="a known annotator; found 'ann'"):
            store.append([Answer("f0", "ann", "label", 0, datetime.now(UTC), None, "late")])
        assert store.accounts.names() == ("bob",)
        for change in ("UPDATE mien_answers SET label = 2", "DELETE FROM mien_answers"):
            with pytest.raises(DatabaseError, match="answers are never changed"):
                execute(address, change)
        store.accounts.add("ann")
        assert store.progress().by_annotator == {"ann": 0, "bob": 2}, "somebody else of that name"
    assert check_store(address).faults == ()


def test_who_is_removed_without_their_answers_has_no_name(fresh: Fresh, tmp_path: Path) -> None:
    address = fresh()
    with answered(address) as store:
        token, before = store.accounts.renew_token("ann"), store.consensus()
        nobody = store.accounts.remove("ann", answers=False)
        assert nobody is not None
        assert nobody.startswith("removed ")
        assert store.accounts.names() == ("bob", nobody)
        assert store.accounts.signed_in(token) is None
        assert [(one.name, one.state) for one in store.accounts.list_all()] == [("bob", "active"), (nobody, "removed")]
        assert store.consensus().votes.tolist() == before.votes.tolist()
        accounts = store.accounts
        acts: list[Callable[[str], object]] = [accounts.renew_token, accounts.disable, lambda name: accounts.remove(name, True)]
        for act in (*acts, store.next_questions):
            with pytest.raises(MienError, match="a known annotator; found 'removed"):
                act(nobody)
        assert export_log(store, tmp_path / "log.csv") == 6
        assert import_log(store, tmp_path / "log.csv").new == 0
        with new_store(fresh(), 4, per_face=2) as other:
            assert import_log(other, tmp_path / "log.csv").new == 6
            assert other.accounts.names() == ("bob", nobody)
        assert store.accounts.remove("bob", answers=True) is None
        assert store.accounts.add("ann")
        assert store.accounts.remove("ann", answers=False) is None, "they said nothing"
        assert store.accounts.names() == (nobody,)
    assert check_store(address).faults == ()


@pytest.mark.parametrize("answers", [True, False])
def test_the_bytes_of_who_is_removed_are_gone_from_the_file(tmp_path: Path, answers: bool) -> None:
    path, name = tmp_path / "labels.db", "Wilhelmina Unmistakable"
    with new_store(str(path), 300, ("ann",)) as store:
        store.accounts.add(name)
        for n in range(300):
            store.answer(name, Reply(f"f{n}", label=0, key=f"key of Wilhelmina {n}"))
            store.answer("ann", Reply(f"f{n}", label=0))
        for n in range(50):
            store.undo(name, f"undo of Wilhelmina {n}")
        assert name.encode() in b"".join(one.read_bytes() for one in tmp_path.iterdir())
        store.accounts.remove(name, answers)
        left = b"".join(one.read_bytes() for one in tmp_path.iterdir())
        assert name.encode() not in left
        assert (b"of Wilhelmina" in left) is not answers, "keys of answers that stay"
        store.answer("ann", Reply("f1", label=1))
        assert len(store.log()) == (301 if answers else 651)


def test_others_who_read_for_long_keep_old_bytes_and_this_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.labeling.store.sqlite_file.PATIENCE", 0.2)
    path = tmp_path / "labels.db"
    with new_store(str(path), 3, ("ann", "bob")) as store, closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM mien_annotators").fetchall()
        with pytest.raises(MienError, match="to be free for a moment, to take old bytes out of it"):
            store.accounts.remove("ann", answers=True)
        assert store.accounts.names() == ("bob",)


def test_a_removal_that_fails_on_its_way_changes_nothing(fresh: Fresh) -> None:
    address = fresh()
    with answered(address) as store:
        before = store.log()
        if "://" in address:
            broken = "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$"
            execute(address, broken, "CREATE TRIGGER broken BEFORE DELETE ON mien_annotators EXECUTE FUNCTION broken()")
        else:
            execute(address, "CREATE TRIGGER broken BEFORE DELETE ON mien_annotators BEGIN SELECT RAISE(ABORT, 'no'); END")
        with pytest.raises(MienError, match="nothing of this was kept"):
            store.accounts.remove("ann", answers=True)
        assert store.log() == before
        assert store.progress().by_annotator == {"ann": 2, "bob": 2}
        with pytest.raises(DatabaseError, match="answers are never changed"):
            execute(address, "DELETE FROM mien_answers")


def test_sign_ins_are_listed_without_what_was_typed(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "MOST_SIGN_INS", 5)
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    with new_store(fresh(), people=("ann",)) as store:
        assert store.accounts.sign_ins() == ()
        store.accounts.note_sign_in("ann", "192.0.2.1", "in", noon)
        for typed in ("a token in the wrong field", "eve", "", None, "x" * 999, "\udcff", "a\0b"):
            store.accounts.note_sign_in(typed, "192.0.2.1", "wrong", noon)
        assert [one.name for one in store.accounts.sign_ins()] == ["ann", *[None] * 5], "strangers push nobody out"
        store.accounts.note_sign_in("ann", "\x1b[31m\n" + "1" * 999, "out", noon + DAY)
        rows = store.accounts.sign_ins()
        assert len(rows) == 7
        assert (rows[-1].name, rows[-1].outcome, rows[-1].time) == ("ann", "out", noon + DAY)
        assert rows[-1].address.isprintable()
        assert len(rows[-1].address) <= 80
        with pytest.raises(MienError, match="an outcome among in, wrong, expired, disabled, out"):
            store.accounts.note_sign_in("ann", "", "lost")  # type: ignore[arg-type]


def make_tables(address: str, monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    """As mien made them in that version."""
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:version])
        database = Database(address)
        database.prepare()
        with database.writing() as connection:
            migrations.migrate(connection)
        database.close()


def of_version_one(address: str, monkeypatch: pytest.MonkeyPatch, name: str = "ann") -> str:
    """A store as mien wrote it before; a token of it."""
    make_tables(address, monkeypatch, 1)
    token, classes = "a token of before", '["calm", "glad", "sad"]'
    day = "'2026-01-31 12:00:00.000001'"
    execute(
        address,
        f"INSERT INTO mien_store VALUES (1, 1, '{classes}', 'a pool', '{CHECKSUM}', 1, {day})",
        f"INSERT INTO mien_annotators (name, token_hash, created) VALUES ('{name}', '{annotators.digest_of(token)}', {day})",
        f"INSERT INTO mien_questions VALUES (0, 'f0', 0, NULL, NULL, NULL, {day}, 1)",
        f"INSERT INTO mien_answers (question, annotator, kind, label, time, key) VALUES (0, 1, 'label', 2, {day}, 'k')",
    )
    return token


def test_a_store_of_version_one_goes_on(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    address = fresh()
    token = of_version_one(address, monkeypatch)
    with Store.open(address, reads=True) as before:
        assert [(one.name, one.state, one.expires) for one in before.accounts.list_all()] == [("ann", "active", None)]
        assert before.accounts.sign_ins() == ()
        assert (before.consensus().labels.tolist(), before.progress().done, len(before.figures())) == ([2], 1, 1)
        with pytest.raises(MienError, match="labels that can be written"):
            before.accounts.add("bob")
        first = before.id
    assert check_store(address).faults == ()
    assert execute(address, "SELECT version FROM mien_store") == [(1,)], "what only reads changes nothing"
    with Store.open(address) as store:
        assert store.info.classes == CLASSES
        assert store.id == first
        assert store.accounts.signed_in(token, datetime.now(UTC) + 9999 * DAY) == "ann", "tokens of before have no end"
        assert store.accounts.begin_session(token) is not None
        assert store.seed("a") != store.seed("b")
        assert [entry.key for entry in store.log()] == ["k"]
        store.accounts.add("bob")
    assert (check_store(address).version, check_store(address).faults) == (3, ())


def test_a_store_of_version_two_wants_a_third_answer(fresh: Fresh, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    address, day = fresh(), "'2026-01-31 12:00:00.000001'"
    make_tables(address, monkeypatch, 2)
    said = [(0, 1, 2), (0, 2, 1), (1, 1, 0), (1, 2, 0)]
    names = "id, version, classes, pool, checksum, per_face, created, secret"
    execute(
        address,
        f"INSERT INTO mien_store ({names}) VALUES (1, 2, '[\"calm\", \"glad\", \"sad\"]', 'a pool', '{CHECKSUM}', 2, {day}, 's')",
        *(f"INSERT INTO mien_annotators (name, created) VALUES ('{name}', {day})" for name in ("ann", "bob", "eve")),
        *(f"INSERT INTO mien_questions VALUES ({n}, 'f{n}', 0, NULL, NULL, NULL, {day}, 2)" for n in range(2)),
        *(
            "INSERT INTO mien_answers (question, annotator, kind, label, time, key) "
            f"VALUES ({place}, {person}, 'label', {label}, {day}, 'k{place}')"
            for place, person, label in said
        ),
    )
    copy = str(tmp_path / "copy.db")
    backup(address, copy)
    with Store.open(address, reads=True) as before:
        assert (before.info.per_face, before.info.most, before.progress().done, len(before.questions())) == (2, 2, 2, 2)
        assert before.gold_progress().left("ann") == []
        assert before.guidelines().question == "Which expression does this face show?"
    assert check_store(address).faults == ()
    assert execute(address, "SELECT version FROM mien_store") == [(2,)], "what only reads changes nothing"
    for place in (address, copy):
        with Store.open(place) as store:
            assert store.next_questions("eve", 9) == ()
            assert store.want_more(3) == 1
            assert [one.face for one in store.next_questions("eve", 9)] == ["f0"]
        assert (check_store(place).version, check_store(place).faults) == (3, ())


def test_a_new_store_is_as_one_that_was_brought_up(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = fresh(), fresh()
    of_version_one(old, monkeypatch)
    Store.open(old).close()
    new_store(new).close()
    found = []
    for address in (old, new):
        url = f"sqlite:///{address}" if "://" not in address else address.replace("postgresql://", "postgresql+psycopg://")
        engine = create_engine(url)
        seen = inspect(engine)
        found.append(
            {
                table: (
                    sorted((column["name"], str(column["type"]), column["nullable"]) for column in seen.get_columns(table)),
                    sorted(str(index["name"]) for index in seen.get_indexes(table)),
                )
                for table in seen.get_table_names()
            }
        )
        engine.dispose()
    assert found[0] == found[1]
    assert set(found[0]) == set(schema.TABLES.tables)
