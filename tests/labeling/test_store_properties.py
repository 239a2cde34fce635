"""Whatever people do in whatever order, and however often the store is opened again: it says what a replay of that says."""

import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mien import MienError
from mien.labeling.store.agreement import krippendorff_alpha
from mien.labeling.store.consensus import consensus, standing
from mien.labeling.store.records import Answer, Question, Reply
from mien.labeling.store.store import Store
from stores import CLASSES, Fresh, new_store

pytest_plugins = ("databases",)

PEOPLE = ("ann", "bob", "eve")
FACES = ("f0", "f1", "gold", "f2", "f3")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)

Value = int | str
Act = tuple[str, str, str | None, Value | None]
VALUES = st.one_of(st.integers(0, len(CLASSES) - 1), st.sampled_from(["not_a_face", "unsure"]))
ANSWERS = st.tuples(st.just("answer"), st.sampled_from(PEOPLE), st.sampled_from(FACES), VALUES)
ACTS = st.one_of(
    ANSWERS,
    ANSWERS,
    st.tuples(st.just("undo"), st.sampled_from(PEOPLE), st.none(), st.none()),
    st.tuples(st.just("undo one"), st.sampled_from(PEOPLE), st.none(), st.integers(0, 4)),
    st.tuples(st.just("look"), st.sampled_from(PEOPLE), st.none(), st.integers(1, 4)),
    st.tuples(st.sampled_from(["again", "open again"]), st.just(""), st.none(), st.none()),
)
each = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Laid:
    """An answer on a pile."""

    key: str
    face: str
    value: Value


class Model:
    """What a store has to say, from a pile of answers for each annotator."""

    def __init__(self, per_face: int) -> None:
        self.piles: dict[str, list[Laid]] = {name: [] for name in PEOPLE}
        self.keys: dict[str, list[str]] = {name: ["never"] for name in PEOPLE}
        """Of all their answers, those that were taken back too, and of none."""
        self.per_face, self.written = per_face, 0

    def values(self, face: str) -> list[Value]:
        """The top one of each annotator."""
        piles = [[laid.value for laid in pile if laid.face == face] for pile in self.piles.values()]
        return [pile[-1] for pile in piles if pile]

    def label(self, face: str) -> int:
        votes = Counter(value for value in self.values(face) if value != "unsure").most_common(2)
        alone = votes and (len(votes) == 1 or votes[0][1] > votes[1][1])
        enough = alone and 2 * votes[0][1] >= sum(value != "unsure" for value in self.values(face))
        return int(votes[0][0]) if enough and votes[0][0] != "not_a_face" else -1

    def wanted(self, name: str) -> list[str]:
        """What this annotator may be asked where nobody looks at anything."""
        mine = {laid.face for laid in self.piles[name]}
        left = [face for face in FACES if face not in mine]
        return [face for face in left if face == "gold" or len(self.values(face)) < self.per_face]


@dataclass(frozen=True)
class Done:
    """What was asked of the store; without a reply it was an undo."""

    name: str
    key: str
    reply: Reply | None
    undoes: str = ""


def opened_again(store: Store, address: str) -> Store:
    store.close()
    return Store.open(address)


def act(store: Store, model: Model, acts: list[Act], address: str) -> Store:
    """Does all of it to both, and returns the store as it was opened last."""
    last: Done | None = None
    for number, (kind, name, face, value) in enumerate(acts):
        # Annotators use the same keys, each their own.
        now, key = NOON + timedelta(minutes=number), f"key {sum(other[1] == name for other in acts[:number])}"
        if kind == "answer":
            model.keys[name].append(key)
            model.piles[name].append(Laid(key, str(face), value if isinstance(value, int) else str(value)))
            reply = _reply(str(face), value, key)
            store.answer(name, reply, now)
            last, model.written = Done(name, key, reply), model.written + 1
        elif kind == "undo" and model.piles[name]:
            last, model.written = Done(name, key, None), model.written + 1
            assert store.undo(name, key, now).face == model.piles[name].pop().face
        elif kind == "undo one":
            undoes = model.keys[name][-1 - int(value or 0) % len(model.keys[name])]
            meant = next((laid for laid in model.piles[name] if laid.key == undoes), None)
            if meant is None:
                with pytest.raises(MienError, match="an answer to take back"):
                    store.undo(name, key, now, undoes)
                continue
            last, model.written = Done(name, key, None, meant.key), model.written + 1
            assert store.undo(name, key, now, meant.key).face == meant.face
            model.piles[name].remove(meant)
        elif kind == "look":
            found = store.next_questions(name, int(value or 1), now)
            assert {question.face for question in found} <= set(model.wanted(name))
        elif kind == "again" and last is not None and last.reply is not None:
            assert store.answer(last.name, last.reply, now).key == last.key
        elif kind == "again" and last is not None:
            assert store.undo(last.name, last.key, now, last.undoes).key == last.key
        elif kind == "open again":
            store = opened_again(store, address)
    return store


def _reply(face: str, value: Value | None, key: str) -> Reply:
    if isinstance(value, int):
        return Reply(face, label=value, key=key)
    return Reply(face, "unsure" if value == "unsure" else "not_a_face", key=key)


@each
@given(st.lists(ACTS, min_size=8, max_size=24), st.integers(1, 2))
def test_the_store_is_a_replay_of_what_was_done(fresh: Fresh, acts: list[Act], per_face: int) -> None:
    address, model = fresh(), Model(per_face)
    store = new_store(address, 2, PEOPLE, per_face)
    try:
        store.ask([Question("gold", gold=1), Question("f2"), Question("f3")])
        store = act(store, model, acts, address)
        _compare(store, model, NOON + timedelta(days=1))
        store = opened_again(store, address)
        _compare(store, model, NOON + timedelta(days=2))
    finally:
        store.close()


def _compare(store: Store, model: Model, later: datetime) -> None:
    found, log = store.consensus(), store.log()
    assert len(log) == model.written
    assert found.faces == FACES
    assert found.labels.tolist() == [model.label(face) for face in FACES]
    for row, face in enumerate(FACES):
        values = model.values(face)
        counts = [*found.votes[row], found.not_a_face[row], found.unsure[row]]
        assert counts == [values.count(value) for value in (0, 1, 2, "not_a_face", "unsure")]
    tops = {(laid.face, name): laid.value for name, pile in model.piles.items() for laid in pile}
    assert {(one.face, one.annotator): one.kind if one.label is None else one.label for one in standing(log)} == tops
    tally, plain = store.progress(), [len(model.values(face)) for face in FACES if face != "gold"]
    assert tally.by_annotator == {name: len({laid.face for laid in pile}) for name, pile in model.piles.items()}
    assert (tally.answers, tally.done) == (len(tops), sum(count >= model.per_face for count in plain))
    assert tally.remaining == sum(max(0, model.per_face - count) for count in plain)
    votes = np.column_stack([found.votes, found.not_a_face])
    assert tally.alpha == pytest.approx(krippendorff_alpha(votes), nan_ok=True)
    for hour, name in enumerate(PEOPLE):
        found_next = store.next_questions(name, 9, later + timedelta(hours=hour))
        assert [question.face for question in found_next] == model.wanted(name)


def interleaved(log: tuple[Answer, ...], seed: int) -> list[Answer]:
    """The log in another order, in which each annotator's answers follow each other as they did."""
    draw = random.Random(seed)
    left = {name: [entry for entry in log if entry.annotator == name] for name in PEOPLE}
    found = []
    while any(left.values()):
        found.append(left[draw.choice([name for name, entries in left.items() if entries])].pop(0))
    return found


@each
@given(st.lists(ACTS, min_size=8, max_size=24), st.integers(0, 5))
def test_the_order_between_annotators_says_nothing(fresh: Fresh, acts: list[Act], seed: int) -> None:
    address, other = fresh(), fresh()
    with new_store(other) as mixed:
        mixed.ask([Question(face) for face in FACES])
        store = new_store(address, people=PEOPLE)
        store.ask([Question(face) for face in FACES])
        with act(store, Model(1), acts, address) as store:
            expected, log = store.consensus(), store.log()
        assert mixed.merge(interleaved(log, seed)).new == len(log)
        for found in (mixed.consensus(), consensus(standing(interleaved(log, seed + 1)), FACES, CLASSES)):
            assert found.votes.tolist() == expected.votes.tolist()
            assert found.labels.tolist() == expected.labels.tolist()
            assert found.unsure.tolist() == expected.unsure.tolist()
