"""A label store on both databases: what is asked, who answers, what stays in the log, who is given which face."""

import hashlib
import math
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from mien import MienError
from mien.labeling.store import migrations
from mien.labeling.store.agreement import krippendorff_alpha
from mien.labeling.store.assignment import LEASE
from mien.labeling.store.check import check_store
from mien.labeling.store.records import Answer, Question, Reply
from mien.labeling.store.store import Store
from stores import CHECKSUM, CLASSES, Fresh, execute, new_store

pytest_plugins = ("databases",)

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def faces(asked: tuple[Question, ...]) -> list[str]:
    return [question.face for question in asked]


def test_a_store_is_made_opened_and_required(fresh: Fresh) -> None:
    address = fresh()
    with pytest.raises(MienError, match=r"a label store at .*none there.*make one"):
        Store.open(address)
    with Store.create(address, CLASSES, "faces", CHECKSUM, per_face=3) as made:
        assert (made.info.classes, made.info.pool, made.info.checksum, made.info.per_face) == (CLASSES, "faces", CHECKSUM, 3)
        with pytest.raises(MienError, match=r"no labels at .* yet; found a label store"):
            Store.create(address, CLASSES, "faces", CHECKSUM)
        made.ask([Question("f0", round=2, gold=1, model="m1", guess=2)])
    with Store.open(address) as again, Store.open_or_create(address, CLASSES, "faces", CHECKSUM, per_face=3) as third:
        assert again.info == third.info == made.info
        assert again.id == third.id == made.id
        assert again.questions() == third.questions() == (Question("f0", 2, 1, "m1", 2),)
        again.require(CLASSES, CHECKSUM)
        with pytest.raises(MienError, match="choose from, calm, glad, sad; found calm, sad, glad"):
            again.require(("calm", "sad", "glad"), CHECKSUM)
        with pytest.raises(MienError, match=r"the pool 'faces' as it was .*, 0123456789ab…; found ffff…; take that pool"):
            again.require(CLASSES, "ffff")
    with pytest.raises(MienError, match="choose from"):
        Store.open_or_create(address, CLASSES[:2], "faces", CHECKSUM, per_face=3)
    with pytest.raises(MienError, match="a store made for 1 answers to a face; found 3"):
        Store.open_or_create(address, CLASSES, "faces", CHECKSUM)
    with Store.open_or_create(fresh(), CLASSES, "faces", CHECKSUM) as new:
        assert new.info.per_face == 1
        assert len({new.id, made.id}) == 2, "made for the same pool, and not the same"


def test_what_cannot_be_a_store_is_refused(tmp_path: Path) -> None:
    for classes in ((), ("one",), ("one", "one"), ("one", "")):
        with pytest.raises(MienError, match=r"two different classes|a class's name"):
            Store.create(tmp_path / "labels.db", classes, "faces", CHECKSUM)
    with pytest.raises(MienError, match="at least 1 answer"):
        Store.create(tmp_path / "labels.db", CLASSES, "faces", CHECKSUM, per_face=0)
    for address in ("mysql://me@here/labels", "postgresql://me@here", "postgresql://me@here:port/labels"):
        with pytest.raises(MienError, match="the path of a file, or postgresql://"):
            Store.create(address, CLASSES, "faces", CHECKSUM)
    assert not list(tmp_path.iterdir())
    with pytest.raises(MienError, match="found a folder"):
        Store.create(tmp_path, CLASSES, "faces", CHECKSUM)
    (tmp_path / "file").touch()
    with pytest.raises(MienError, match="labels that can be written at"):
        Store.create(tmp_path / "file" / "labels.db", CLASSES, "faces", CHECKSUM)
    (tmp_path / "notes.txt").write_text("not a database, and longer than its header would be" * 20)
    for use in (Store.open, lambda path: Store.create(path, CLASSES, "faces", CHECKSUM)):
        with pytest.raises(MienError, match=r"not a database.*check the address"):
            use(tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text().startswith("not a database")


def test_a_password_is_in_no_message() -> None:
    with pytest.raises(MienError, match="labels that can be read at") as caught:
        Store.open("postgresql://me:secret@127.0.0.1:1/labels?sslkey=secret")
    assert "secret" not in str(caught.value)


def test_tokens_tell_who_is_there_and_are_not_kept(fresh: Fresh) -> None:
    address = fresh()
    with new_store(address) as store:
        token, other = store.accounts.add("Zoë B."), store.accounts.add("ann")
        assert len({token, other}) == 2
        assert min(len(token), len(other)) >= 43
        assert store.accounts.names() == ("Zoë B.", "ann")
        assert [store.accounts.signed_in(given) for given in (token, other)] == ["Zoë B.", "ann"]
        for wrong in ("", "x", token[:-1], token + "x", hashlib.sha256(token.encode()).hexdigest(), "\udc80", "é\0"):
            assert store.accounts.signed_in(wrong) is None
        renewed = store.accounts.renew_token("ann")
        assert store.accounts.signed_in(renewed) == "ann"
        assert store.accounts.signed_in(other) is None
        with pytest.raises(MienError, match="a known annotator; found 'eve'"):
            store.accounts.renew_token("eve")
        with pytest.raises(MienError, match="a name that nobody has yet; found 'ann'"):
            store.accounts.add("ann")
        assert store.accounts.signed_in(renewed) == "ann"
    rows = execute(address, "SELECT name, token_hash FROM mien_annotators")
    assert dict(rows)["ann"] == hashlib.sha256(renewed.encode()).hexdigest()
    assert token not in str(rows)


@pytest.mark.parametrize("name", ["", " ann", "ann ", "a\nb", "a\0b", "\u200b", "\ud800", "x" * 81, 7])
def test_names_that_cannot_be_are_refused(tmp_path: Path, name: str) -> None:
    with new_store(str(tmp_path / "labels.db")) as store:
        with pytest.raises(MienError, match=r"a name|a printable name"):
            store.accounts.add(name)
        assert store.accounts.names() == ()


def test_a_face_is_asked_about_once_and_in_order(fresh: Fresh) -> None:
    with new_store(fresh(), people=("ann",)) as store:
        assert store.ask([Question("b", 0), Question("a", 0), Question("b", 1, gold=2)]) == 2
        assert store.ask([Question("a", 1), Question("c", 1, guess=0, model="m2"), Question("é/\u202f 1.png", 1)]) == 2
        assert store.ask([]) == 0
        assert store.questions() == (Question("b"), Question("a"), Question("c", 1, None, "m2", 0), Question("é/\u202f 1.png", 1))
        assert faces(store.questions(round=1)) == ["c", "é/\u202f 1.png"]
        assert faces(store.next_questions("ann", 9)) == ["b", "a", "c", "é/\u202f 1.png"]
        for wrong in (Question("d", gold=3), Question("d", guess=-1), Question("d", gold=True)):
            with pytest.raises(MienError, match=r"a label from 0 to 2 as (gold|guess) of 'd'"):
                store.ask([Question("e"), wrong])
        assert len(store.questions()) == 4


@pytest.mark.parametrize(
    "make",
    [
        lambda: Question(""),
        lambda: Question("a\0b"),
        lambda: Question("\udcff.png"),
        lambda: Question("f" * 1001),
        lambda: Question("f", round=-1),
        lambda: Question("f", model=""),
        lambda: Reply("f"),
        lambda: Reply("f", "unsure", label=1),
        lambda: Reply("f", "undo"),
        lambda: Reply("f", label=1, key="k" * 81),
        lambda: Reply("f", label=1, key="a\nb"),
        lambda: Answer("f", "ann", "undo", None, NOON, None, "k"),
        lambda: Answer("f", "ann", "label", 1, NOON, None, "k", undoes="j"),
        lambda: Answer("f", "ann", "label", 1, NOON.replace(tzinfo=None), None, "k"),
        lambda: Answer("f", "ann", "guess", None, NOON, None, "k"),  # type: ignore[arg-type]
        lambda: Answer("f", " ann", "label", 1, NOON, None, "k"),
    ],
)
def test_records_that_cannot_be_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(MienError, match="expected"):
        make()


def test_an_answer_says_all_and_is_refused_where_it_cannot_be(fresh: Fresh) -> None:
    with new_store(fresh(), 2, ("ann",)) as store:
        store.ask([Question("m", model="run 7")])
        there = NOON.astimezone(tz=datetime.strptime("+0530", "%z").tzinfo)
        assert store.answer("ann", Reply("m", label=2, key="k1"), there) == Answer("m", "ann", "label", 2, NOON, "run 7", "k1")
        assert store.answer("ann", Reply("f0", "unsure", key="k2"), NOON).model is None
        before = store.log()
        assert [entry.time for entry in before] == [NOON, NOON]
        assert before[0].time.utcoffset() == timedelta(0)
        for person, reply, said in (
            ("eve", Reply("f0", label=1), "a known annotator; found 'eve'"),
            ("ann", Reply("f9", label=1), "a face that people are asked about; found 'f9'"),
            ("ann", Reply("f0", label=3), "a label from 0 to 2; found 3"),
            ("ann", Reply("f0", label=-1), "a label from 0 to 2; found -1"),
            ("ann", Reply("f0", label=True), "a label from 0 to 2; found True"),
            ("ann", Reply("f0", label=0, key="k1"), "a new key; found another answer of key 'k1' by 'ann'"),
        ):
            with pytest.raises(MienError, match=said):
                store.answer_all(person, [Reply("f1", label=0, key="never"), reply])
        with pytest.raises(MienError, match="a time with its zone"):
            store.answer("ann", Reply("f0", label=0), NOON.replace(tzinfo=None))
        assert store.log() == before
        assert store.progress().answers == 2


def test_a_request_sent_again_is_the_same_answer(fresh: Fresh) -> None:
    with new_store(fresh(), 3, ("ann", "bob")) as store:
        first = store.answer("ann", Reply("f0", label=1, key="k"), NOON)
        assert store.answer("ann", Reply("f0", label=1, key="k"), NOON + timedelta(seconds=9)) == first
        assert store.answer("bob", Reply("f0", label=1, key="k"), NOON).annotator == "bob"
        twice = [Reply("f1", label=0, key="a"), Reply("f1", label=0, key="a"), Reply("f2", "unsure", key="b")]
        assert len(set(store.answer_all("ann", twice, NOON))) == 2
        undone = store.undo("ann", key="u", now=NOON)
        assert (undone.kind, undone.face, undone.undoes) == ("undo", "f2", "b")
        assert store.undo("ann", key="u") == undone
        with pytest.raises(MienError, match="an undo of a new key; found an answer of key 'k'"):
            store.undo("ann", key="k")
        with pytest.raises(MienError, match="another answer of key 'u'"):
            store.answer("ann", Reply("f2", label=1, key="u"))
        # What was taken back stays so, whoever sends it again.
        assert store.answer("ann", Reply("f2", "unsure", key="b")).key == "b"
        assert [(entry.annotator, entry.key) for entry in store.log()] == [
            ("ann", "k"), ("bob", "k"), ("ann", "a"), ("ann", "b"), ("ann", "u"),
        ]  # fmt: skip
        assert store.progress().by_annotator == {"ann": 2, "bob": 1}


def test_undos_take_back_one_after_the_other(fresh: Fresh) -> None:
    with new_store(fresh(), 2, ("ann", "bob")) as store:
        store.answer("ann", Reply("f0", label=0))
        store.answer("ann", Reply("f1", label=1))
        store.answer("bob", Reply("f1", label=2))
        store.answer("ann", Reply("f0", label=2))
        assert store.consensus().labels.tolist() == [2, -1]
        assert store.undo("ann").face == "f0"
        assert store.consensus().labels.tolist() == [0, -1]
        assert store.undo("ann").face == "f1"
        assert store.consensus().labels.tolist() == [0, 2]
        assert store.undo("ann").face == "f0"
        assert store.consensus().states.tolist() == ["open", "agreed"]
        with pytest.raises(MienError, match="an answer to take back; found none; answer first"):
            store.undo("ann")
        assert [entry.kind for entry in store.log()] == ["label"] * 4 + ["undo"] * 3
        assert store.progress().by_annotator == {"ann": 0, "bob": 1}


def test_an_undo_takes_back_the_answer_that_it_names(fresh: Fresh) -> None:
    with new_store(fresh(), 2, ("ann", "bob")) as store:
        store.answer("ann", Reply("f0", label=0, key="a"), NOON)
        store.answer("ann", Reply("f1", label=1, key="b"), NOON)
        store.answer("bob", Reply("f1", label=2, key="c"), NOON)
        undone = store.undo("ann", "u", NOON, undoes="a")
        assert (undone.kind, undone.face, undone.undoes) == ("undo", "f0", "a")
        assert store.undo("ann", "u", undoes="a") == store.undo("ann", "u") == undone
        assert faces(store.next_questions("bob", 9, NOON)) == [], "it is kept for who took it back"
        before = store.log()
        for key, undoes, told in (
            ("v", "a", "an answer to take back; found one that was taken back already"),
            ("v", "c", "an answer to take back; found none of key 'c'"),
            ("v", "u", "an answer to take back, of that face and annotator; found none of key 'u'"),
            ("u", "b", "an undo of a new key; found another undo of key 'u'"),
            ("v", "a\0b", "a key without control characters"),
        ):
            with pytest.raises(MienError, match=told):
                store.undo("ann", key, undoes=undoes)
        assert store.log() == before
        # Of two answers to a face the older one: the newer one stands.
        store.answer("ann", Reply("f1", label=0, key="d"))
        store.undo("ann", undoes="b")
        assert store.consensus().votes.tolist() == [[0, 0, 0], [1, 0, 1]]
        assert store.undo("ann").undoes == "d"


@pytest.mark.parametrize("change", ["UPDATE mien_answers SET label = 2", "DELETE FROM mien_answers", "TRUNCATE mien_answers"])
def test_the_log_cannot_be_changed(fresh: Fresh, change: str) -> None:
    address = fresh()
    with new_store(address, 1, ("ann",)) as store:
        store.answer("ann", Reply("f0", label=1))
        before = store.log()
        with pytest.raises(DatabaseError, match=r"answers are never changed|syntax error"):
            execute(address, change)
        assert store.log() == before
        assert store.consensus().labels.tolist() == [1]


def test_nobody_is_given_what_somebody_else_looks_at(fresh: Fresh) -> None:
    with new_store(fresh(), 4, ("ann", "bob", "eve")) as store:
        assert faces(store.next_questions("ann", 2, NOON)) == ["f0", "f1"]
        assert faces(store.next_questions("bob", 9, NOON)) == ["f2", "f3"]
        assert store.next_questions("eve", 1, NOON) == ()
        assert faces(store.next_questions("ann", 9, NOON)) == ["f0", "f1"]
        # What is not given again is free.
        assert faces(store.next_questions("bob", 1, NOON)) == ["f2"]
        assert faces(store.next_questions("eve", 9, NOON)) == ["f3"]
        store.answer("ann", Reply("f0", label=0), NOON)
        almost, late = NOON + LEASE - timedelta(seconds=1), NOON + LEASE
        assert store.next_questions("eve", 9, almost) == (Question("f3"),)
        assert faces(store.next_questions("bob", 9, late)) == ["f1", "f2"]
        # Whoever comes too late has still answered.
        store.answer("ann", Reply("f1", label=1), late)
        store.answer("bob", Reply("f1", label=1), late)
        assert store.consensus().votes.tolist() == [[1, 0, 0], [0, 2, 0], [0, 0, 0], [0, 0, 0]]
        assert faces(store.next_questions("ann", 9, late + LEASE)) == ["f2", "f3"]
        with pytest.raises(MienError, match="at least 1 question"):
            store.next_questions("ann", 0)
        with pytest.raises(MienError, match="a known annotator; found 'max'"):
            store.next_questions("max")


def test_what_was_taken_back_is_kept_for_who_did(fresh: Fresh) -> None:
    with new_store(fresh(), 2, ("ann", "bob")) as store:
        store.answer("ann", Reply("f0", label=0), NOON)
        store.undo("ann", now=NOON)
        assert faces(store.next_questions("bob", 9, NOON)) == ["f1"]
        assert faces(store.next_questions("ann", 9, NOON)) == ["f0"]
        store.answer("ann", Reply("f0", label=0), NOON)
        store.undo("ann", now=NOON)
        assert faces(store.next_questions("bob", 9, NOON + LEASE)) == ["f0", "f1"]


def test_faces_that_several_answer_go_first_to_those_whom_nobody_keeps_waiting(fresh: Fresh) -> None:
    with new_store(fresh(), 3, ("ann", "bob", "eve"), per_face=2) as store:
        assert faces(store.next_questions("ann", 2, NOON)) == ["f0", "f1"]
        assert faces(store.next_questions("bob", 2, NOON)) == ["f2", "f0"]
        assert faces(store.next_questions("eve", 3, NOON)) == ["f1", "f2"]
        store.answer("ann", Reply("f0", "unsure"), NOON)
        # The answer takes the place of the wait for it.
        assert faces(store.next_questions("bob", 3, NOON)) == ["f0", "f2"]
        assert faces(store.next_questions("eve", 3, NOON)) == ["f1", "f2"]
        store.answer("bob", Reply("f0", "not_a_face"), NOON)
        assert (store.progress().done, store.progress().remaining) == (1, 4)
        assert faces(store.next_questions("eve", 3, NOON + LEASE)) == ["f1", "f2"]
        store.undo("ann", now=NOON)
        assert (store.progress().done, store.progress().remaining) == (0, 5)
        assert faces(store.next_questions("eve", 3, NOON + 2 * LEASE)) == ["f0", "f1", "f2"]


def test_a_third_person_is_asked_about_faces_on_which_two_disagree(fresh: Fresh) -> None:
    address = fresh()
    with new_store(address, 6, ("ann", "bob", "eve", "dan"), per_face=2) as store:
        store.ask([Question("g", gold=2)])
        said: dict[str, list[int | str]] = {"ann": [0, 1, "unsure", 0, 1, 2], "bob": [0, 2, 1, "not_a_face", 1, "unsure"]}
        for name, values in said.items():
            store.answer_all(name, [reply(f"f{n}", value) for n, value in enumerate(values)])
        assert faces(store.next_questions("eve", 9, NOON)) == ["g"]
        assert store.want_more(3) == 2, "those with one vote are not disputed, nor those on which nobody is sure"
        assert (store.info.per_face, store.info.most) == (2, 3)
        assert (store.progress().done, store.progress().open, store.progress().remaining) == (4, 2, 2)
        assert store.want_more(3) == 2, "the same again changes nothing"
    with Store.open(address) as store, Store.open(address) as served:
        assert faces(served.next_questions("ann", 9, NOON)) == ["g"]
        assert faces(served.next_questions("eve", 9, NOON)) == ["f1", "f3", "g"]
        store.answer("eve", reply("f1", 1), NOON)
        store.answer("eve", reply("f3", 2), NOON)
        assert faces(served.next_questions("dan", 9, NOON)) == ["g"]
        assert (store.progress().done, store.progress().remaining) == (6, 0)
        assert store.consensus().states.tolist()[:4] == ["agreed", "agreed", "agreed", "disputed"]
        assert store.want_more(4) == 1
        assert faces(served.next_questions("dan", 9, NOON)) == ["f3", "g"], "another process wants more since"
        store.answer("bob", reply("f0", 1), NOON)
        assert faces(served.next_questions("dan", 9, NOON)) == ["f0", "f3", "g"], "a correction makes a dispute"
        store.undo("bob", now=NOON)
        assert faces(served.next_questions("dan", 9, NOON)) == ["f3", "g"]
        for fewer in (1, 3):
            with pytest.raises(MienError, match="at least the 4 answers to a face where people disagree that this store wants"):
                store.want_more(fewer)
        assert check_store(address).faults == ()
        execute(address, "UPDATE mien_questions SET disputed = NOT disputed WHERE face IN ('f0', 'f3')")
        assert check_store(address).faults == ("of 2 questions it is noted wrongly whether people disagree",)


def test_a_gold_question_that_is_disputed_is_counted_as_any_other(fresh: Fresh) -> None:
    with new_store(fresh(), 1, ("ann", "bob", "eve"), per_face=2) as store:
        store.ask([Question("g", gold=2)])
        store.want_more(3)
        left = []
        for name, label in (("ann", 0), ("bob", 1), ("eve", 0)):
            store.answer_all(name, [reply("f0", label), reply("g", label)])
            left.append((store.progress().remaining, store.gold_progress().left(name)))
        assert left == [(1, [1]), (1, [1]), (0, [0])]


def test_where_one_answer_was_wanted_nobody_can_disagree(fresh: Fresh) -> None:
    with new_store(fresh(), 2, ("ann", "bob")) as store:
        store.answer("ann", Reply("f0", label=0), NOON)
        store.want_more(2)
        assert (store.info.least, store.info.most, store.progress().remaining) == (2, 2, 3)
        assert faces(store.next_questions("bob", 9, NOON)) == ["f0", "f1"]


def test_an_answer_from_elsewhere_ends_the_wait_for_it(fresh: Fresh) -> None:
    with new_store(fresh(), 1, ("ann", "bob"), per_face=2) as store:
        store.next_questions("ann", 1, NOON)
        store.merge([Answer("f0", "ann", "label", 1, NOON, None, "k")])
        assert faces(store.next_questions("bob", 1, NOON)) == ["f0"]


def test_gold_questions_go_to_everybody_and_are_never_done(fresh: Fresh) -> None:
    with new_store(fresh(), 1, ("ann", "bob", "eve")) as store:
        store.ask([Question("g", gold=2), Question("last")])
        assert [faces(store.next_questions(name, 9, NOON)) for name in ("ann", "bob", "eve")] == [
            ["f0", "g", "last"],
            ["g"],
            ["g"],
        ]
        for name, label in (("ann", 2), ("bob", 2), ("eve", 1)):
            store.answer(name, Reply("g", label=label), NOON)
        store.answer("bob", Reply("f0", "not_a_face"), NOON)
        found = store.progress()
        assert (found.questions, found.done, found.open, found.gold, found.answers, found.remaining) == (2, 1, 1, 1, 4, 1)
        assert found.by_annotator == {"ann": 1, "bob": 2, "eve": 1}
        assert store.next_questions("bob", 9, NOON) == ()
        assert {one.name: one.right for one in store.figures()} == {"ann": 1.0, "bob": 1.0, "eve": 0.0}
        assert store.consensus().labels.tolist() == [-1, 2, -1]


def test_progress_and_consensus_of_a_round(fresh: Fresh) -> None:
    with new_store(fresh(), 2, ("ann", "bob")) as store:
        assert store.progress().questions == 2
        store.ask([Question("r0", 1), Question("r1", 1)])
        store.answer_all("ann", [Reply("f0", label=0), Reply("r1", label=2)])
        store.answer("bob", Reply("r1", label=2))
        store.answer("bob", Reply("r0", label=0))
        found = store.progress(round=1)
        assert (found.questions, found.done, found.answers, found.by_annotator) == (2, 2, 3, {"ann": 1, "bob": 2})
        assert (store.progress(0).open, store.progress(0).by_annotator) == (1, {"ann": 1, "bob": 0})
        assert (store.progress(7).questions, store.progress(7).remaining) == (0, 0)
        assert store.consensus(round=1).faces == ("r0", "r1")
        assert store.consensus(round=1).labels.tolist() == [0, 2]
        assert store.consensus(round=1, minimum_answers=2).labels.tolist() == [-1, 2]
        assert store.consensus(round=7).labels.tolist() == []


def test_alpha_is_of_the_answers_that_stand(fresh: Fresh) -> None:
    with new_store(fresh(), 4, ("ann", "bob", "eve"), per_face=3) as store:
        assert math.isnan(store.progress().alpha)
        said: dict[str, list[int | str]] = {
            "ann": [0, 1, 2, 0],
            "bob": [0, 1, 1, "unsure"],
            "eve": [0, "not_a_face", 2, "not_a_face"],
        }
        for name, values in said.items():
            store.answer_all(name, [reply(f"f{n}", value) for n, value in enumerate(values)])
        expected = krippendorff_alpha([[3, 0, 0, 0], [0, 2, 0, 1], [0, 1, 2, 0], [1, 0, 0, 1]])
        assert store.progress().alpha == pytest.approx(expected)
        store.answer("bob", reply("f2", 2))
        expected = krippendorff_alpha([[3, 0, 0, 0], [0, 2, 0, 1], [0, 0, 3, 0], [1, 0, 0, 1]])
        assert store.progress().alpha == pytest.approx(expected)
        store.undo("bob")
        store.undo("bob")
        assert store.progress().alpha != pytest.approx(expected)


def reply(face: str, value: int | str) -> Reply:
    """A label where the value is a number."""
    if isinstance(value, int):
        return Reply(face, label=value)
    return Reply(face, "unsure" if value == "unsure" else "not_a_face")


def test_a_sqlite_store_is_one_file_that_writes_ahead(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "labels.db"
    with new_store(str(path), 1, ("ann",)) as store:
        store.answer("ann", Reply("f0", label=0))
        assert execute(str(path), "PRAGMA journal_mode") == [("wal",)]
        with store._transactions.database.writing() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        with store._transactions.database.writing(durable=False) as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
    assert [entry.name for entry in path.parent.iterdir()] == ["labels.db"]
    assert stat.S_ISREG(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_new_sqlite_store_is_its_owners_alone(tmp_path: Path, umask: int) -> None:
    path, before = tmp_path / "labels.db", os.umask(umask)
    try:
        with new_store(str(path), 1, ("ann",)) as store:
            store.answer("ann", Reply("f0", label=0))
            modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in tmp_path.iterdir()}
        assert modes == dict.fromkeys(("labels.db", "labels.db-wal", "labels.db-shm"), 0o600)
        path.chmod(0o640)
        Store.open_or_create(path, CLASSES, "faces", CHECKSUM).close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o640, "what was chosen since stays"
    finally:
        os.umask(before)


def made_up(address: str) -> tuple[str, ...]:
    return tuple(str(row[0]) for row in execute(address, "SELECT mood FROM mien_annotators ORDER BY name"))


def test_an_older_store_is_brought_up_and_a_newer_one_refused(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    address = fresh()
    with new_store(address, 1, ("ann",)) as old:
        old.answer("ann", Reply("f0", label=1))
        log, shipped, now = old.log(), migrations.MIGRATIONS, len(migrations.MIGRATIONS)

        def mood(connection: Connection) -> None:
            connection.exec_driver_sql("ALTER TABLE mien_annotators ADD COLUMN mood VARCHAR(9) DEFAULT 'fine' NOT NULL")

        def failing(connection: Connection) -> None:
            connection.exec_driver_sql("UPDATE mien_annotators SET mood = 'bad'")
            connection.exec_driver_sql("SELECT mood FROM nowhere")

        monkeypatch.setattr(migrations, "MIGRATIONS", (*shipped, mood, failing))
        with pytest.raises(MienError, match=r"labels that can be written.*nowhere.*nothing of this was kept"):
            Store.open(address)
        assert execute(address, "SELECT version FROM mien_store") == [(now,)]
        with pytest.raises(DatabaseError, match="mood"):
            made_up(address)

        monkeypatch.setattr(migrations, "MIGRATIONS", (*shipped, mood))
        with Store.open(address) as new:
            assert new.log() == log
            assert execute(address, "SELECT version FROM mien_store") == [(now + 1,)]
            assert made_up(address) == ("fine",)
            new.accounts.add("bob")
        another = fresh()
        with new_store(another, people=("eve",)):
            assert made_up(another) == ("fine",)

        monkeypatch.setattr(migrations, "MIGRATIONS", shipped)
        for use in (lambda: Store.open(address), lambda: old.answer("ann", Reply("f0", label=2))):
            with pytest.raises(
                MienError, match=rf"of version {now} at most; found version {now + 1}, .*; take the mien that wrote"
            ) as caught:
                use()
            assert caught.value.__cause__ is not None, "as where the database fails: it may be sent again"
        assert old.log() == log
