"""What `mien annotate` makes ready: which faces are asked about, with which guesses, and what is refused."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served_page import CLASSES, asked_store, write_pool

from conftest import small_recipe, write_csv
from mien import FaceSet, MienError, Recognizer, train
from mien.labeling.page.new_questions import GIVEN
from mien.labeling.page.settings import PageSettings
from mien.labeling.page.setup import PreparedPage, prepare_page
from mien.labeling.store.records import Question, Reply
from mien.labeling.store.store import Store
from runs import Heard, features

USED = ExitStack()
"""Closes, at the end of a test, the stores that it used after they were closed."""


@pytest.fixture(autouse=True)
def _stores_are_closed() -> Iterator[None]:
    """From Python 3.13 on sqlite3 warns of connections that are left to the garbage collector, in whatever test it runs then."""
    with USED:
        yield


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """Ten faces; those of even number are of the split `new` and have no label."""
    faces = write_pool(tmp_path / "noise", 10).faces()
    numbers = np.arange(10)
    columns = {"id": [f"f{n}" for n in numbers], "split": ["old" if n % 2 else "new" for n in numbers]}
    labels = np.where(numbers % 2, numbers % 3, -1)
    FaceSet.from_arrays(faces, labels, CLASSES, columns).save(tmp_path / "pool")
    return tmp_path / "pool"


@pytest.fixture
def asking(tmp_path: Path, pool: Path) -> PageSettings:
    return PageSettings(pool, str(tmp_path / "labels.db"))


def ready(asking: PageSettings, **changed: Any) -> PreparedPage:
    """Ready, and its store closed: it opens again where it is used."""
    made = prepare_page(replace(asking, **changed))
    USED.callback(made.store.close)
    made.store.close()
    return made


def asked(asking: PageSettings, **changed: Any) -> list[str]:
    """Faces in a store."""
    return [question.face for question in ready(asking, **changed).store.questions()]


def numbered(numbers: Sequence[int]) -> list[str]:
    return [f"f{n}" for n in numbers]


def test_a_new_store_asks_about_all_and_the_same_again_about_no_more(asking: PageSettings) -> None:
    made = ready(asking)
    assert made.new == 10
    assert made.store.questions() == tuple(Question(name) for name in numbered(range(10)))
    info = FaceSet.open(asking.pool).info
    assert (made.store.info.classes, made.store.info.checksum, made.store.info.per_face) == (CLASSES, info.checksum, 1)
    made.store.accounts.add("ann")
    made.store.answer("ann", Reply("f0", label=1))
    made.store.close()
    again = ready(asking)
    assert (again.new, len(again.store.log())) == (0, 1)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"first": 3}, [0, 1, 2]),
        ({"first": 99}, range(10)),
        ({"split": "old"}, [1, 3, 5, 7, 9]),
        ({"unlabeled": True}, [0, 2, 4, 6, 8]),
        ({"unlabeled": True, "first": 2}, [0, 2]),
    ],
)
def test_some_faces_are_asked_about(asking: PageSettings, chosen: dict[str, Any], expected: Sequence[int]) -> None:
    assert asked(asking, **chosen) == numbered(expected)
    assert ready(asking, **chosen).new == 0


def test_more_may_be_asked_later(asking: PageSettings) -> None:
    ready(asking, first=2, per_face=3)
    assert asked(asking) == numbered([0, 1]), "a store that is there asks about no more than it is told to"
    assert asked(asking, split="old", per_face=3) == numbered([0, 1, 3, 5, 7, 9])
    assert ready(asking).store.info.per_face == 3


def test_a_store_that_waits_for_rounds_is_left_alone(asking: PageSettings) -> None:
    info = FaceSet.open(asking.pool).info
    Store.create(asking.store, CLASSES, info.name, info.checksum, per_face=2).close()
    assert ready(asking).new == 0
    assert asked(asking) == []


def test_guesses_are_the_models(asking: PageSettings, tmp_path: Path) -> None:
    labels = np.arange(60) % 3
    faces = np.random.default_rng(0).integers(0, 256, (60, 16, 16), np.uint8)
    train(FaceSet.from_arrays(faces, labels, CLASSES), small_recipe(stages=[{"epochs": 1, "lr": 0.05}]), tmp_path / "run")
    heard = Heard()
    made = prepare_page(replace(asking, model=tmp_path / "run", split="old"), heard)
    recognizer = Recognizer.load(tmp_path / "run")
    pool = FaceSet.open(asking.pool)
    expected = recognizer.logits(pool.select([1, 3, 5, 7, 9])).argmax(axis=1).tolist()
    questions = made.store.questions()
    assert [question.guess for question in questions] == expected
    assert {question.model for question in questions} == {recognizer.card.weights}
    assert [question.face for question in questions] == numbered([1, 3, 5, 7, 9])
    made.store.close()
    assert ready(asking, model=tmp_path / "run").new == 0
    other = FaceSet.from_arrays(faces, labels, ["calm", "sad", "glad"])
    train(other, small_recipe(stages=[{"epochs": 1, "lr": 0.05}]), tmp_path / "other")
    with pytest.raises(MienError, match=r"the classes that people choose from, calm, glad, sad; found calm, sad, glad"):
        prepare_page(replace(asking, model=tmp_path / "other"))
    with pytest.raises(MienError, match=r"the classes of the model, calm, sad, glad; found calm, glad, sad in the pool"):
        prepare_page(replace(asking, model=tmp_path / "other", store=str(tmp_path / "new.db")))
    with pytest.raises(MienError, match=r"the classes of --classes, a, b; found calm, sad, glad in the model"):
        prepare_page(replace(asking, model=tmp_path / "other", store=str(tmp_path / "new.db"), classes=("a", "b")))
    with pytest.raises(MienError, match=r"choose from, calm, glad, sad; found a, b"):
        prepare_page(replace(asking, model=tmp_path / "run", classes=("a", "b")))
    assert not (tmp_path / "new.db").exists()
    assert len(made.store.questions()) == 5
    made.store.close()


def test_classes_come_from_where_they_are_said(asking: PageSettings, tmp_path: Path) -> None:
    faces = np.zeros((3, 16, 16), np.uint8)
    FaceSet.from_arrays(faces).save(tmp_path / "nameless")
    nameless = replace(asking, pool=tmp_path / "nameless")
    with pytest.raises(MienError, match="classes to choose from; found none in the pool, and no model; name them"):
        prepare_page(nameless)
    assert ready(nameless, classes=("a", "b")).store.info.classes == ("a", "b")
    assert ready(nameless).new == 0
    with pytest.raises(MienError, match="choose from, a, b; found b, a"):
        prepare_page(replace(nameless, classes=("b", "a")))
    said = ready(asking, classes=("a", "b"), store=str(tmp_path / "said.db"))
    assert said.store.info.classes == ("a", "b"), "others than the pool's, if that is said"


def test_doubts_are_asked_in_their_order_with_the_given_labels(asking: PageSettings, tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["id", "given", "suggested", "score"],
        ["f7", "glad", "sad", 0.9],
        ["f1", "glad", "calm", 0.8],
        ["f9", "calm", "", 0.7],
    ]
    doubts = write_csv(tmp_path / "doubts.csv", rows)
    made = ready(asking, doubts=doubts, first=2)
    assert made.store.questions() == (Question("f7", model=GIVEN, guess=1), Question("f1", model=GIVEN, guess=1))
    assert asked(asking, doubts=doubts) == ["f7", "f1", "f9"]
    with asked_store(str(tmp_path / "all.db"), FaceSet.open(asking.pool)):
        pass
    with pytest.raises(MienError, match=r"a label store for the faces of .* alone; found 7 questions about other faces"):
        prepare_page(replace(asking, doubts=doubts, store=str(tmp_path / "all.db")))
    with pytest.raises(MienError, match="without a given label; found one for a list of label errors"):
        prepare_page(replace(asking, first=3))
    for row, told in ((["f99", "calm"], "'f99' in row 2"), (["f2", "angry"], "'angry' in row 2"), (["f2", ""], "None in row 2")):
        bad = write_csv(tmp_path / "bad.csv", [["id", "given"], ["f1", "glad"], row])
        with pytest.raises(MienError, match=told):
            prepare_page(replace(asking, doubts=bad, store=str(tmp_path / f"{row[0]}.db")))


def test_nothing_to_ask_makes_no_store(asking: PageSettings) -> None:
    with pytest.raises(MienError, match=r"faces to ask about in .*; found every face has a label"):
        prepare_page(replace(asking, unlabeled=True, split="old"))
    assert not Path(asking.store).exists()


def test_files_that_do_not_fit_make_no_store(asking: PageSettings, tmp_path: Path) -> None:
    (tmp_path / "gold.csv").write_text("id,label\nnobody,calm\n")
    (tmp_path / "guide.toml").write_text("[definition]\ncalm = 'At rest.'\n")
    wrong: tuple[dict[str, Any], ...] = (
        {"gold": tmp_path / "none.csv"}, {"gold": tmp_path / "gold.csv"}, {"definitions": tmp_path / "guide.toml"}
    )  # fmt: skip
    for changed in wrong:
        with pytest.raises(MienError):
            prepare_page(replace(asking, **changed))
        assert not Path(asking.store).exists()


def test_classes_that_nobody_can_choose_are_told(asking: PageSettings) -> None:
    assert ready(asking, classes=("happy", *CLASSES[1:])).unknown_classes == CLASSES[:1]


def test_gold_faces_stand_among_the_others(asking: PageSettings, tmp_path: Path) -> None:
    gold = write_csv(tmp_path / "gold.csv", [["id", "label"], ["f9", "glad"], ["f0", "sad"]])
    made = ready(asking, gold=gold)
    order = [question.face for question in made.store.questions()]
    assert [face for face in order if face not in ("f0", "f9")] == [f"f{n}" for n in range(1, 9)]
    assert sorted(order) == sorted(f"f{n}" for n in range(10))
    assert {question.face: question.gold for question in made.store.questions() if question.gold is not None} == {
        "f9": 1,
        "f0": 2,
    }
    assert ready(asking, gold=gold).new == 0
    later = str(tmp_path / "later.db")
    assert asked(asking, store=later, first=2) == ["f0", "f1"]
    more = write_csv(tmp_path / "more.csv", [["id", "label"], ["f5", "calm"]])
    assert asked(asking, store=later, gold=more) == ["f0", "f1", "f5"], "a store that is there is asked about no others"
    for row, told in (
        (["f0", "calm"], "nobody was asked about; found 'f0'"),
        (["f99", "calm"], "'f99'"),
        (["f6", "odd"], "'odd'"),
    ):
        bad = write_csv(tmp_path / "bad.csv", [["id", "label"], row])
        with pytest.raises(MienError, match=told):
            prepare_page(replace(asking, gold=bad, store=later))


def gold_places(asking: PageSettings) -> list[int]:
    return [place for place, question in enumerate(ready(asking).store.questions()) if question.gold is not None]


def test_gold_questions_stand_anywhere_and_always_at_the_same_places(asking: PageSettings, tmp_path: Path) -> None:
    names = [f"f{n}" for n in range(200)]
    write_pool(tmp_path / "large", 200, 8)
    gold = write_csv(tmp_path / "gold.csv", [["id", "label"], *([name, "glad"] for name in names[:20])])
    large = replace(asking, pool=tmp_path / "large", gold=gold)
    found = [gold_places(replace(large, store=str(tmp_path / f"{n}.db"))) for n in range(2)]
    assert found[0] != found[1], "each store has places of its own"
    gaps = {after - before for before, after in zip(found[0], found[0][1:], strict=False)}
    assert len(gaps) > 4, "not at equal distances"
    assert gold_places(replace(large, store=str(tmp_path / "0.db"))) == found[0]
    with Store.open(tmp_path / "0.db") as store:
        order = [question.face for question in store.questions()]
        assert [face for face in order if face in names[:20]] != names[:20], "nor in the order of the list"


def with_run(asking: PageSettings, tmp_path: Path) -> PageSettings:
    faces = np.random.default_rng(0).integers(0, 256, (60, 16, 16), np.uint8)
    pixels = FaceSet.from_arrays(faces, np.arange(60) % 3, CLASSES)
    train(pixels, small_recipe(stages=[{"epochs": 1, "lr": 0.05}]), tmp_path / "run")
    return replace(asking, model=tmp_path / "run")


def test_gold_questions_have_a_guess_as_the_others_have(asking: PageSettings, tmp_path: Path) -> None:
    gold = write_csv(tmp_path / "gold.csv", [["id", "label"], ["f9", "glad"], ["f0", "sad"]])
    guessing, heard = with_run(replace(asking, gold=gold), tmp_path), Heard()
    with prepare_page(guessing, heard).store as store:
        questions = {question.face: question for question in store.questions()}
    expected = Recognizer.load(tmp_path / "run").logits(FaceSet.open(asking.pool)).argmax(axis=1).tolist()
    assert [questions[f"f{n}"].guess for n in range(10)] == expected
    assert len({question.model for question in questions.values()}) == 1
    assert [questions[face].gold for face in ("f9", "f0")] == [1, 2]
    assert not heard.lines
    # A store of before, in which they have none.
    with sqlite3.connect(asking.store) as connection:
        connection.execute("UPDATE mien_questions SET guess = NULL, model = NULL WHERE gold IS NOT NULL")
    connection.close()
    prepare_page(asking, heard).store.close()
    assert heard.lines == ["warning: people can tell 2 gold questions, which have no guess as the others have: give --model, too"]
    with prepare_page(guessing, heard).store as store:
        assert {question.face: question for question in store.questions()} == questions
    assert len(heard.lines) == 1


def test_gold_questions_beside_others_without_a_guess_have_none(asking: PageSettings, tmp_path: Path) -> None:
    gold = write_csv(tmp_path / "gold.csv", [["id", "label"], ["f9", "glad"]])
    assert ready(asking, first=4).new == 4
    assert ready(with_run(asking, tmp_path), gold=gold).new == 1
    with Store.open(asking.store) as store:
        assert {question.guess for question in store.questions()} == {None}


def test_gold_questions_among_doubts_have_their_given_label(asking: PageSettings, tmp_path: Path) -> None:
    doubts = write_csv(tmp_path / "doubts.csv", [["id", "given"], ["f7", "glad"], ["f1", "glad"], ["f3", "calm"]])
    gold = write_csv(tmp_path / "gold.csv", [["id", "label"], ["f9", "sad"], ["f5", "sad"]])
    pool = FaceSet.open(asking.pool)
    made = ready(asking, doubts=doubts, gold=gold).store.questions()
    assert {question.face: question.guess for question in made if question.gold is not None} == {
        "f9": pool.labels[9],
        "f5": pool.labels[5],
    }
    assert {question.model for question in made} == {GIVEN}
    bare = write_csv(tmp_path / "bare.csv", [["id", "label"], ["f0", "sad"]])
    with pytest.raises(MienError, match=r"a label in .*, as the doubtful ones have; found 'f0' without one"):
        prepare_page(replace(asking, store=str(tmp_path / "bare.db"), doubts=doubts, gold=bare))


def test_a_pool_that_changed_is_refused(asking: PageSettings, tmp_path: Path) -> None:
    ready(asking)
    write_pool(tmp_path / "other", 10)
    with pytest.raises(MienError, match=r"the pool .* as it was when this store was made"):
        prepare_page(replace(asking, pool=tmp_path / "other"))
    with (Path(asking.pool) / "faces.npy").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    with pytest.raises(MienError, match=r"checksum .*import the set again: it was changed"):
        prepare_page(asking)


def test_what_does_not_fit_is_refused(asking: PageSettings, tmp_path: Path) -> None:
    ready(asking, per_face=2)
    with pytest.raises(MienError, match="at least the 2 answers to a face that this store wants; found 1; leave it out"):
        prepare_page(replace(asking, per_face=1))
    with pytest.raises(MienError, match="a split among new, old; found 'test'"):
        prepare_page(replace(asking, split="test"))
    with sqlite3.connect(asking.store) as connection:
        connection.execute("UPDATE mien_store SET version = 99")
    connection.close()
    with pytest.raises(MienError, match="labels of version 3 at most; found version 99"):
        prepare_page(asking)
    features().save(tmp_path / "features")
    with pytest.raises(MienError, match=r"faces that people can look at .*; found features"):
        prepare_page(replace(asking, pool=tmp_path / "features"))
    FaceSet.from_arrays(np.zeros((3, 8, 8), np.uint8), columns={"id": ["a", "b", "a"]}).save(tmp_path / "twice")
    with pytest.raises(MienError, match="faces with ids of their own; found 3 faces with 2 ids"):
        prepare_page(replace(asking, pool=tmp_path / "twice"))
    (tmp_path / "notes.txt").write_text("something else" * 100)
    with pytest.raises(MienError, match="not a database"):
        prepare_page(replace(asking, store=str(tmp_path / "notes.txt")))
