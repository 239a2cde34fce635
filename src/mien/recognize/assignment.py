"""Which face is which track: pairs of rows and columns whose costs are least in all (Kuhn 1955)."""

from typing import Any

import numpy as np
import numpy.typing as npt


def assign(costs: npt.NDArray[Any]) -> list[tuple[int, int]]:
    """Pairs of a row and a column, in the order of rows, each row and column once, whose summed costs are least.

    `costs`: (N, M), finite; the smaller of N and M is the number of pairs. Takes time that grows as N^2 M. scipy does the same;
    it takes longer to load than a photo to read.
    """
    if costs.shape[0] > costs.shape[1]:
        return sorted((row, column) for column, row in assign(costs.T))
    rows, columns = costs.shape
    # Prices of rows and columns; those of a pair never add up to more than it costs. Column 0 is where a row waits for its own.
    of_row, of_column = np.zeros(rows), np.zeros(columns + 1)
    owner = np.full(columns + 1, -1)
    for row in range(rows):
        owner[0], column = row, 0
        least, before = np.full(columns + 1, np.inf), np.zeros(columns + 1, np.int64)
        seen = np.zeros(columns + 1, bool)
        while owner[column] >= 0:
            seen[column] = True
            spare = np.concatenate([[np.inf], costs[owner[column]] - of_row[owner[column]] - of_column[1:]])
            nearer = ~seen & (spare < least)
            least[nearer], before[nearer] = spare[nearer], column
            following = int(np.argmin(np.where(seen, np.inf, least)))
            step = least[following]
            of_row[owner[seen]] += step
            of_column[seen] -= step
            least[~seen] -= step
            column = following
        while column:
            owner[column], column = owner[before[column]], int(before[column])
    return sorted((int(row), column - 1) for column, row in enumerate(owner) if column and row >= 0)
