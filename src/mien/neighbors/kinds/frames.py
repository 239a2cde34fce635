"""Neighbors that are frames of a video: the same face a moment before or after a labeled one."""

import numpy as np
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.data.peaks import find_sequences, missing_columns
from mien.errors import MienError
from mien.neighbors.found_faces import FoundFaces
from mien.neighbors.kinds import Ground, Kind
from mien.settings import STRICT, Count


@dataclass(frozen=True, config=STRICT)
class Frames(Kind):
    """A neighbor of a frame is one before or after it in its sequence, by the columns `sequence` and `frame`.

    A face without such a frame is its own neighbor. The frames' own labels are not looked at.
    """

    within: Count = 1
    """How many frames away a neighbor may be, counted in frames that the set has."""

    @override
    def fit(self, ground: Ground) -> FoundFaces:
        """The frames beside these faces. Raises MienError where a column is missing, or no face has a frame beside it."""
        missing = missing_columns(ground.around)
        todo = 'import the set with sequences, or take other neighbors, such as "views"'
        if missing:
            raise MienError("faces with sequences, in the columns sequence and frame", f"no column {missing[0]}", todo)
        places, beside = frames_beside(ground.around, self.within)
        found = FoundFaces.of(ground, places, beside, "frames beside them")
        if not found.count:
            raise MienError("sequences of two frames or more", "none with a frame beside these faces", todo)
        return found


def frames_beside(faces: FaceSet, within: int) -> tuple[Rows, Rows]:
    """Pairs (M,) and (M,) of rows of one sequence that are at most `within` frames apart, in both orders."""
    names, sequence = find_sequences(faces)
    numbers = faces.column("frame")
    numbered = np.array([bool(name) for name in names], bool)[sequence] & numbers.is_valid().to_numpy()
    frame = np.array([0 if value is None else value for value in numbers.to_pylist()], np.float64)
    member = np.flatnonzero(numbered)
    order = member[np.lexsort((frame[member], sequence[member]))]
    pairs = [
        (order[step:][same], order[:-step][same])
        for step in range(1, min(within, len(order) - 1) + 1)
        if (same := sequence[order[step:]] == sequence[order[:-step]]).any()
    ]
    later = np.concatenate([np.zeros(0, np.int64), *(one for one, _ in pairs)])
    earlier = np.concatenate([np.zeros(0, np.int64), *(other for _, other in pairs)])
    return np.concatenate([later, earlier]), np.concatenate([earlier, later])
