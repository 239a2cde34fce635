"""Which faces of a second set may not teach a run: those of people or photos that test or validate it."""

import numpy as np
import numpy.typing as npt

from mien.data.faceset import FaceSet
from mien.data.near_duplicates import ALIKE, have_near_duplicates
from mien.data.perceptual_hash import correlations
from mien.data.splits import held_out_rows

Bools = npt.NDArray[np.bool_]

SAMPLE = 256
"""Faces with one id in both sets that are looked at, to see whether an id means the same face in both."""


def reserved_faces(faces: FaceSet, trained: npt.NDArray[np.int64], validating: npt.NDArray[np.int64]) -> FaceSet:
    """The faces of a run's own set that must teach nothing: its test faces, and the rows `validating`.

    `trained`: the rows of the split that the run trains on; a test split that is asked to train is none to keep from.
    """
    return faces.select(np.union1d(np.setdiff1d(held_out_rows(faces), trained), validating))


def unfit_to_join(further: FaceSet, reserved: FaceSet, faces: FaceSet) -> Bools:
    """Which faces of `further`, (M,), are of photos or people among the `reserved` faces of the set `faces`.

    Pictures decide: near-duplicates, mirrored ones too, of whatever size and color; of features, equal ones. Ids and
    people decide as well where both sets have the same names for them (see `share_names`): two databases may both have a
    person called 1.
    """
    found = np.zeros(len(further), bool)
    if not len(further) or not len(reserved):
        return found
    if share_names(further, faces):
        for column in ("id", "subject"):
            if column in further.column_names and column in reserved.column_names:
                theirs = {name for name in reserved.values(column) if name is not None}
                found |= np.array([name in theirs for name in further.values(column)], bool)
    rows = np.flatnonzero(~found)
    rest = further.select(rows)
    if further.info.kind == reserved.info.kind == "faces":
        found[rows] = have_near_duplicates(rest, reserved)
    elif further.info.kind == reserved.info.kind:
        theirs = {one.tobytes() for one in reserved.faces()}
        found[rows] = [one.tobytes() in theirs for one in rest.faces()]
    return found


def share_names(one: FaceSet, other: FaceSet) -> bool:
    """Whether two sets have the same names for faces and people: both are called alike, or faces of one id look the same.

    Ids alone say nothing, as many sets number their faces. Of those that both sets have, SAMPLE are looked at; at least half
    of them have to look the same.
    """
    if one.info.name and one.info.name == other.info.name:
        return True
    if not one.info.kind == other.info.kind == "faces":
        return False
    _, mine, theirs = np.intersect1d(one.values("id").astype(str), other.values("id").astype(str), return_indices=True)
    picked = np.linspace(0, len(mine) - 1, min(SAMPLE, len(mine))).astype(np.int64)
    alike = correlations(one.faces, other.faces, np.stack([mine[picked], theirs[picked]], axis=1))
    return bool(len(alike)) and bool((alike >= ALIKE).mean() >= 0.5)
