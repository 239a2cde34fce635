"""Pairs of least cost are as cheap as those of scipy."""

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from hypothesis.strategies import integers
from scipy.optimize import linear_sum_assignment

from mien.recognize.assignment import assign


@given(arrays(np.int64, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7), elements=integers(-9, 9)))
def test_pairs_are_the_cheapest(costs: npt.NDArray[np.int64]) -> None:
    pairs = assign(costs / 3)
    rows, columns = zip(*pairs, strict=True)
    assert len(pairs) == min(costs.shape)
    assert len(set(rows)) == len(set(columns)) == len(pairs)
    assert list(rows) == sorted(rows)
    assert sum(costs[pair] for pair in pairs) == costs[linear_sum_assignment(costs)].sum()


def test_where_one_answer_is_cheapest_it_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (3, 8), (8, 3), (20, 20)):
        costs = rng.normal(size=shape)
        assert assign(costs) == [(int(row), int(column)) for row, column in zip(*linear_sum_assignment(costs), strict=True)]
