"""Risk and coverage against loops, with ties; what an order of doubt is worth."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import refused
from mien.evaluation.risk_coverage import doubt_of_both, risk_coverage

ANSWERS = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5, 2.0]), st.booleans()), min_size=1, max_size=6)


@given(ANSWERS)
def test_the_curve_is_the_mean_over_all_orders_of_equal_scores(answers: list[tuple[float, bool]]) -> None:
    scores, wrong = zip(*answers, strict=True)
    curves = []
    for order in itertools.permutations(range(len(answers))):
        if all(scores[a] <= scores[b] for a, b in itertools.pairwise(order)):
            errors = [wrong[n] for n in order]
            curves.append([sum(errors[: n + 1]) / (n + 1) for n in range(len(errors))])
    found = risk_coverage(scores, wrong)
    assert found.risk.tolist() == pytest.approx(np.mean(curves, axis=0).tolist())
    assert found.coverage.tolist() == pytest.approx([(n + 1) / len(answers) for n in range(len(answers))])
    assert found.aurc == pytest.approx(float(np.mean(curves)))


def test_a_good_order_has_less_risk_than_a_bad_one() -> None:
    wrong = np.arange(100) % 4 == 0
    good, none, bad = (risk_coverage(doubt, wrong).aurc for doubt in (wrong * 1.0, np.ones(100), ~wrong * 1.0))
    assert none == pytest.approx(0.25)
    assert good < none < bad
    found = risk_coverage(wrong * 1.0, wrong)
    assert (found.at(0.75), found.at(1.0), found.at(0.0)) == (0, 0.25, 0)
    told = found.to_json(points=4)
    assert [point["risk"] for point in told["curve"]] == [0, 0, 0, 0.25]
    assert told["aurc"] == pytest.approx(found.aurc)


def test_two_scores_on_other_scales_are_joined_by_rank() -> None:
    assert doubt_of_both([0.1, 5.0, 0.3], [10, 30, 20]).tolist() == [1, 3, 2]
    assert doubt_of_both([1, 1, 2], [100, 0, 0]).tolist() == [2.25, 1.5, 2.25]


def test_nothing_and_what_does_not_fit() -> None:
    empty = risk_coverage([], [])
    assert math.isnan(empty.aurc)
    assert math.isnan(empty.at(1.0))
    assert empty.to_json() == {"faces": 0, "aurc": None, "curve": []}
    with refused("a score for each of 2 answers"):
        risk_coverage([1.0], [True, False])
    with refused("scores that are numbers"):
        risk_coverage([math.nan], [True])
