"""Near-duplicates that were found in a face set: their pairs, groups and labels, and how many each split has."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.data.faceset import FaceSet
from mien.data.perceptual_hash import Bools, Floats, Integers


@dataclass(frozen=True, eq=False)
class DuplicatePairs:
    """M pairs of near-duplicates."""

    rows: Integers
    """The rows of both faces of each pair, (M, 2)."""
    distance: Integers
    """The number of bits in which the hashes differ, (M,)."""
    correlation: Floats
    """How alike the faces look, (M,), from `near_duplicates.ALIKE` to 1."""
    mirrored: npt.NDArray[np.bool_]
    """Whether one face is like the mirror image of the other, and not like the other itself, (M,)."""


@dataclass(frozen=True)
class SplitShare:
    """How many faces of one split have a near-duplicate in a split, which may be the same one."""

    split: str
    """The split whose faces are counted."""
    among: str
    """The split in which their near-duplicates are."""
    faces: int
    """The number of faces of the split `split`."""
    duplicates: int
    """How many of them have a near-duplicate in the split `among`."""
    disagreeing: int
    """How many of those have another label than a near-duplicate there."""


@dataclass(frozen=True, eq=False)
class NearDuplicates:
    """The near-duplicates of the N faces of a set; faces of another set, where one was given, have the rows from N on."""

    faces: FaceSet
    """The set."""
    other: FaceSet | None
    """The other set, if any."""
    distance: int
    """The most bits in which hashes may differ."""
    pairs: DuplicatePairs
    """The pairs within the set, and those with the other set, but none within the other."""
    group: Integers
    """The group of each face that pairs connect, for all faces of both sets; 0 is the largest, -1 none."""
    splits: npt.NDArray[np.object_]
    """The split of each face of both sets; in the other set after the set's name."""
    labels: npt.NDArray[np.object_]
    """The name of each face's label in both sets; "" for none."""
    shares: tuple[SplitShare, ...]
    """The numbers of faces with near-duplicates, for each pair of splits."""

    @property
    def disagreeing(self) -> npt.NDArray[np.bool_]:
        """Whether the labels of a pair, both known, differ, (M,)."""
        return labels_differ(self.labels, self.pairs.rows)

    @property
    def across(self) -> Bools:
        """Whether a pair has a face of the other set, (M,)."""
        return self.pairs.rows[:, 1] >= len(self.faces)

    def have_duplicates(self, across: bool) -> Bools:
        """Whether each face of the set, (N,), has a near-duplicate in the other set (`across`), or in the set itself."""
        ends = self.pairs.rows[self.across == across].ravel()
        have = np.zeros(len(self.faces), bool)
        have[ends[ends < len(self.faces)]] = True
        return have

    @property
    def sizes(self) -> Integers:
        """The number of faces in each group, (G,), those of the other set included."""
        return np.bincount(self.group[self.group >= 0])

    def to_json(self) -> dict[str, Any]:
        """The figures as plain values for JSON."""
        ends = self.labels[self.pairs.rows]
        return {
            "dataset": self.faces.info.name or "unnamed",
            "other": None if self.other is None else self.other.info.name or "unnamed",
            "distance": self.distance,
            "faces": len(self.faces),
            "twins": int((self.group[: len(self.faces)] >= 0).sum()),
            "twins_within": int(self.have_duplicates(across=False).sum()),
            "twins_across": int(self.have_duplicates(across=True).sum()),
            "pairs": len(self.pairs.rows),
            "pairs_across": int(self.across.sum()),
            "mirrored": int(self.pairs.mirrored.sum()),
            "labeled_pairs": int((ends != "").all(axis=1).sum()),
            "disagreeing_pairs": int(self.disagreeing.sum()),
            "groups": len(self.sizes),
            "largest": self.sizes[:10].tolist(),
            "splits": [
                {"twins" if name == "duplicates" else name: value for name, value in vars(share).items()} for share in self.shares
            ],
        }


def labels_differ(labels: npt.NDArray[np.object_], rows: Integers) -> npt.NDArray[np.bool_]:
    """Whether the labels of each pair of rows (M, 2), both known, differ, (M,). `labels`: names by row, "" for none."""
    left, right = labels[rows[:, 0]], labels[rows[:, 1]]
    found: npt.NDArray[np.bool_] = ((left != "") & (right != "") & (left != right)).astype(bool)
    return found
