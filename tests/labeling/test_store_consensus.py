"""Consensus and agreement against loops over the definitions, and the example that Krippendorff computes by hand."""

import math
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien import MienError
from mien.labeling.store.agreement import annotator_figures, krippendorff_alpha
from mien.labeling.store.consensus import consensus, count_votes, standing
from mien.labeling.store.records import Answer, Question

CLASSES = ("calm", "glad", "sad")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
few = settings(max_examples=100, deadline=None, derandomize=True)


def answer(face: str, annotator: str, value: int | str, key: str = "", seconds: float = 0.0, undoes: str | None = None) -> Answer:
    """A label where the value is a number, else an answer of that kind."""
    kind, label = ("label", value) if isinstance(value, int) else (value, None)
    time = NOON + timedelta(seconds=seconds)
    return Answer(face, annotator, kind, label, time, None, key or f"{face} {value}", undoes)  # type: ignore[arg-type]


def naive_alpha(units: list[list[int]]) -> float:
    """From the coincidences of values, pair by pair: 1 - (n - 1) sum_{c != k} o_ck / sum_{c != k} n_c n_k."""
    coincidences: dict[tuple[int, int], float] = defaultdict(float)
    for values in units:
        for one, other in permutations(range(len(values)), 2):
            coincidences[values[one], values[other]] += 1 / (len(values) - 1)
    totals: dict[int, float] = defaultdict(float)
    for (one, _), weight in coincidences.items():
        totals[one] += weight
    count = sum(totals.values())
    observed = sum(weight for (one, other), weight in coincidences.items() if one != other)
    expected = sum(totals[one] * totals[other] for one, other in permutations(totals, 2))
    return 1 - (count - 1) * observed / expected if expected else math.nan


def counted(units: list[list[int]], values: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    return np.array([[unit.count(value) for value in range(values)] for unit in units], np.int64).reshape(-1, values)


@few
@given(st.lists(st.lists(st.integers(0, 3), max_size=6), max_size=12))
def test_alpha_is_that_of_the_coincidences(units: list[list[int]]) -> None:
    found, expected = krippendorff_alpha(counted(units, 4)), naive_alpha(units)
    assert math.isnan(found) == math.isnan(expected)
    if not math.isnan(expected):
        assert found == pytest.approx(expected, abs=1e-12)
        assert found <= 1
        shuffled = counted(units[::-1], 4)[:, [2, 0, 3, 1]]
        assert krippendorff_alpha(shuffled) == pytest.approx(found, abs=1e-12)


def test_alpha_of_the_published_example() -> None:
    """Four observers, twelve units, missing values (Krippendorff 2011, C): nominal alpha 0.743."""
    rows = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
    units = [[int(row[place]) - 1 for row in rows if row[place] != "."] for place in range(12)]
    assert krippendorff_alpha(counted(units, 5)) == pytest.approx(0.743, abs=5e-4)


def test_alpha_at_its_corners() -> None:
    assert krippendorff_alpha([[2, 0], [0, 3]]) == 1.0
    assert krippendorff_alpha([[1, 1], [1, 1]]) < 0
    for nothing in (np.zeros((0, 3)), [[1, 0], [0, 1]], [[2, 0], [4, 0]]):
        assert math.isnan(krippendorff_alpha(nothing))
    for wrong in ([1, 2], [[1, -1]]):
        with pytest.raises(MienError, match="counts of votes"):
            krippendorff_alpha(wrong)


VALUES = st.one_of(st.integers(0, 2), st.sampled_from(["not_a_face", "unsure"]))


@few
@given(st.lists(st.lists(VALUES, max_size=6), min_size=1, max_size=6), st.sampled_from([0.0, 0.5, 2 / 3, 1.0]), st.integers(1, 4))
def test_consensus_is_the_majoritys(given_values: list[list[int | str]], agreement: float, least: int) -> None:
    answers = [answer(f"f{n}", f"p{m}", value) for n, values in enumerate(given_values) for m, value in enumerate(values)]
    faces = [f"f{n}" for n in range(len(given_values))]
    found = consensus(answers, faces, CLASSES, agreement, least)
    for row, values in enumerate(given_values):
        votes = Counter(value for value in values if value != "unsure")
        most = votes.most_common(2)
        state: str = "disputed" if votes else "unsure"
        label = -1
        if len(values) < least:
            state = "open"
        elif most and (len(most) == 1 or most[0][1] > most[1][1]) and votes.total() >= least:
            first, count = most[0]
            if count / votes.total() >= agreement - 1e-6:
                state, label = ("agreed", int(first)) if isinstance(first, int) else ("not_a_face", -1)
        assert (found.states[row], found.labels[row]) == (state, label)
        assert found.votes[row].tolist() == [values.count(label) for label in range(3)]
        assert (found.unsure[row], found.not_a_face[row]) == (values.count("unsure"), values.count("not_a_face"))
        assert found.agreement[row] == pytest.approx(most[0][1] / votes.total() if most else math.nan, nan_ok=True)


def test_consensus_of_nothing_and_of_bad_minimums() -> None:
    assert consensus([], [], CLASSES).labels.shape == (0,)
    assert consensus([], [], CLASSES).votes.shape == (0, 3)
    assert consensus([answer("f", "ann", 1)], ["g"], CLASSES).states.tolist() == ["open"]
    for agreement, least in ((-0.1, 1), (1.1, 1), (math.nan, 1), (0.5, 0)):
        with pytest.raises(MienError, match="an agreement from 0 to 1 and at least 1 answer"):
            consensus([], [], CLASSES, agreement, least)


def test_votes_are_counted_by_face_and_value() -> None:
    given_answers = [answer("b", "ann", 2), answer("b", "bob", 2), answer("a", "ann", "unsure"), answer("b", "eve", "not_a_face")]
    assert count_votes(given_answers, ["a", "b", "c"], 3).tolist() == [[0, 0, 0, 0, 1], [0, 0, 2, 1, 0], [0, 0, 0, 0, 0]]


def test_an_undo_takes_back_what_it_names_and_no_undo_is_taken_back() -> None:
    log = [
        answer("a", "ann", 0, "1"),
        answer("b", "ann", 1, "2"),
        answer("a", "ann", 2, "3"),
        answer("a", "bob", 1, "3"),
        answer("a", "ann", "undo", "4", undoes="3"),
        answer("b", "ann", "undo", "5", undoes="2"),
    ]
    assert {(one.face, one.annotator): one.label for one in standing(log)} == {("a", "ann"): 0, ("a", "bob"): 1}
    assert standing([]) == ()
    assert {one.key for one in standing(log[:4]) if one.annotator == "ann"} == {"2", "3"}


@few
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), VALUES), max_size=25))
def test_figures_of_annotators_are_those_of_loops(rows: list[tuple[int, int, int | str]]) -> None:
    log = [answer(f"f{face}", f"p{person}", value, str(n), n * n) for n, (person, face, value) in enumerate(rows)]
    gold = {"f0": 1, "f1": 2}
    questions = [Question(f"f{n}", gold=gold.get(f"f{n}")) for n in range(5)]
    found = annotator_figures(log, questions, 3)
    last = {(f"f{face}", f"p{person}"): value for person, face, value in rows}
    assert [one.name for one in found] == sorted({one.annotator for one in log})
    for one in found:
        mine = {face: value for (face, person), value in last.items() if person == one.name}
        agreed, right = [], []
        for face, value in mine.items():
            votes = Counter(v for (f, person), v in last.items() if f == face and person != one.name and v != "unsure")
            most = votes.most_common(2)
            if value != "unsure" and most and (len(most) == 1 or most[0][1] > most[1][1]):
                agreed.append(most[0][0] == value)
            if value != "unsure" and face in gold:
                right.append(value == gold[face])
        times = [n * n for n, (person, _, _) in enumerate(rows) if f"p{person}" == one.name]
        steps = sorted(late - early for early, late in pairwise(times))
        middle = (steps[len(steps) // 2] + steps[(len(steps) - 1) // 2]) / 2 if steps else math.nan
        assert one.answers == len(mine)
        expected = (np.mean(agreed) if agreed else math.nan, np.mean(right) if right else math.nan, middle)
        assert (one.agreement, one.right, one.seconds) == pytest.approx(expected, nan_ok=True)
