"""The label rules of FER+: each branch by hand, all against a naive reading, and the counts on the real votes."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data.sources.ferplus import VOTES, Rule, kept_votes, label_by

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "fer2013" / "labels.csv"


def some_votes(*counts: int) -> list[int]:
    return [*counts, *[0] * (10 - len(counts))]


def naive_rule(rule: Rule, raw: Sequence[int]) -> tuple[int, list[float]]:
    """Label and kept votes of one face, written from the paper's description with plain lists."""
    votes = [0 if rule != "argmax" and count <= 1 else count for count in raw]
    kept, total = [0] * 10, sum(votes)
    if rule == "argmax":
        kept = votes
    elif rule == "majority":
        if max(votes) * 2 > total:
            kept[votes.index(max(votes))] = max(votes)
    else:
        covered = number = 0
        stop = False
        while not stop and covered * 4 < total * 3 and number < 3:
            top = max(votes)
            for i in [i for i in range(10) if votes[i] == top]:
                earlier = sum(kept)
                kept[i], votes[i], covered, number = top, 0, covered + top, number + 1
                if i >= 8:
                    stop = True
                    if earlier:
                        kept[i], number = 0, number - 1
                    break
        if sum(kept) * 2 <= total or number > 3:
            kept = [0] * 10
    label = kept.index(max(kept)) if max(kept) else 8
    return (-1, [0.0] * 8) if label >= 8 else (label, [float(count) for count in kept[:8]])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 6, 10]), min_size=10, max_size=10))
def test_ferplus_rules_equal_a_naive_reading(votes: list[int]) -> None:
    rules: tuple[Rule, ...] = ("majority", "probability", "argmax")
    for rule in rules:
        label, kept = naive_rule(rule, votes)
        assert label_by(rule, [votes]).tolist() == [label], rule
        assert kept_votes(rule, [votes])[0].tolist() == kept, rule


@pytest.mark.parametrize(
    ("rule", "votes", "label", "kept"),
    [
        ("majority", (6, 4), 0, (6,)),
        ("majority", (5, 5), -1, ()),
        ("majority", (3, 2, 1, 1, 1, 1, 1), 0, (3,)),  # single votes are removed first: 3 of 5
        ("majority", (1, 1, 1, 1, 1, 1, 1, 1, 1, 1), -1, ()),
        ("majority", (2, 0, 0, 0, 0, 0, 0, 0, 8, 0), -1, ()),  # unknown has the majority
        ("probability", (8, 2), 0, (8,)),
        ("probability", (5, 3, 2), 0, (5, 3)),
        ("probability", (5, 5), 0, (5, 5)),  # ties are taken together
        ("probability", (4, 2, 2, 2), -1, ()),  # more than three classes
        ("probability", (6, 0, 0, 0, 0, 0, 0, 0, 4, 0), 0, (6,)),  # unknown after an emotion is dropped
        ("probability", (3, 2, 2, 0, 0, 0, 0, 0, 0, 3), -1, ()),  # dropped, but 3 of 10 do not suffice
        ("probability", (3, 0, 0, 0, 0, 0, 0, 0, 5, 2), -1, ()),  # unknown comes first
        ("probability", (1, 1, 1, 1, 1), -1, ()),
        ("argmax", (2, 3, 1, 1, 1, 1, 1), 1, (2, 3, 1, 1, 1, 1, 1)),
        ("argmax", (5, 5), 0, (5, 5)),
        ("argmax", (4, 0, 0, 0, 0, 0, 0, 0, 0, 6), -1, ()),
        ("argmax", (), -1, ()),
    ],
)
def test_ferplus_rules_case_by_case(rule: Rule, votes: Sequence[int], label: int, kept: Sequence[int]) -> None:
    raw = [some_votes(*votes)]
    assert label_by(rule, raw).tolist() == [label]
    assert kept_votes(rule, raw)[0].tolist() == some_votes(*kept)[:8]


def test_ferplus_counts_of_the_public_test_split() -> None:
    if not SHARED.is_file():
        pytest.skip("the votes of FER+ are not beside the repository (shared/data/fer2013/labels.csv)")
    with SHARED.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["usage"] == "PublicTest"]
    votes = np.array([[int(row[name]) for name in VOTES] for row in rows])
    rules: tuple[Rule, ...] = ("majority", "probability", "argmax")
    counts = [int((label_by(rule, votes) >= 0).sum()) for rule in rules]
    assert (len(votes), *counts) == (3579, 3199, 3505, 3553)
