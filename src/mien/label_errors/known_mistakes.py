"""Labels that are known to be wrong: the truth behind labels, and how many known mistakes a list finds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mien.data.faceset import FaceSet
from mien.errors import MienError
from mien.evaluation.sample_weights import flip_auroc

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

FIRST = (25, 50, 100, 200, 500, 1000)
"""Known mistakes are counted among so many of the list's first labels."""
UNKNOWN = -2
"""Stands for the truth of a face of which only the label is known."""


@dataclass(frozen=True)
class KnownMistakes:
    """How well a list of probable label errors finds the labels that are known to be wrong."""

    wrong: int
    """Wrong labels in the whole list."""
    first: Mapping[int, int]
    """How many of the first n labels in the list are wrong, by n."""
    auroc: float
    """The probability that a wrong label stands before a right one, equal scores counting half; nan without either."""

    @property
    def precision(self) -> dict[int, float]:
        """The share of the first n labels that is wrong, by n."""
        return {count: wrong / count for count, wrong in self.first.items()}


def known_truth(faces: FaceSet, otherwise: Integers) -> Integers:
    """(N,) the true classes of faces, by the column `true_label`; -1 for none of the classes. Elsewhere `otherwise` (N,).

    Raises MienError for a column that holds no class numbers.
    """
    if "true_label" not in faces.column_names:
        return otherwise
    column = faces.column("true_label")
    if not pa.types.is_integer(column.type):
        raise MienError("a column true_label of class numbers", str(column.type), "import the set again")
    told = pc.fill_null(column.cast(pa.int64()), UNKNOWN).to_numpy()
    return np.where(told == UNKNOWN, otherwise, told)


def count_mistakes(scores: Floats, flagged: Bools, wrong: Bools) -> KnownMistakes:
    """How many known mistakes the first faces of a list hold, and how well its order finds them.

    Arrays (N,) in the list's order: scores, whether flagged, and whether the label is known to be wrong.
    """
    # Faces with equal scores share a place.
    place = np.cumsum(np.concatenate([[0], (np.diff(scores) != 0) | (np.diff(flagged) != 0)]))
    first = {count: int(wrong[:count].sum()) for count in FIRST if count <= len(wrong)}
    return KnownMistakes(int(wrong.sum()), first, flip_auroc(place, wrong))
