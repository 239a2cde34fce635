"""Neighbors that are near-duplicates: another copy of the same photo, cut out or lit otherwise."""

import numpy as np
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.data.near_duplicates import DISTANCE, find_near_duplicates
from mien.errors import MienError
from mien.neighbors.found_faces import FoundFaces
from mien.neighbors.kinds import Ground, Kind, require_pixels
from mien.settings import STRICT, CountOrZero


@dataclass(frozen=True, config=STRICT)
class Twins(Kind):
    """A neighbor of a face is a near-duplicate of it in the set, which may have another label; mirrored ones count.

    A face without one is its own neighbor.
    """

    distance: CountOrZero = DISTANCE
    """The most bits in which the perceptual hashes of near-duplicates differ, up to 16."""

    @override
    def fit(self, ground: Ground) -> FoundFaces:
        """The near-duplicates of these faces. Raises MienError for cached features, and where no face has one."""
        require_pixels(ground)
        pairs = find_near_duplicates(ground.around, distance=self.distance, progress=ground.progress).pairs.rows
        both = np.concatenate([pairs, pairs[:, ::-1]])
        found = FoundFaces.of(ground, both[:, 0], both[:, 1], "near-duplicates")
        if not found.count:
            todo = 'raise distance, or take other neighbors, such as "views"'
            raise MienError("faces that have near-duplicates", f"none within {self.distance} bits", todo)
        return found
