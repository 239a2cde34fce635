"""Near-duplicates: pairs of faces from one photo, within a face set, across its splits, or with another set.

Web searches bring the same photo several times: cropped, brightened or stamped a little otherwise, and with another label. A
test face that has a near-duplicate in training makes the test too easy. They are found in two steps: faces whose perceptual
hashes are close, directly or mirrored; and of those pairs the ones that look the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mien.data.faceset import BLOCK, FaceSet
from mien.data.format import Rows
from mien.data.near_duplicate_pairs import DuplicatePairs, NearDuplicates, SplitShare, labels_differ
from mien.data.perceptual_hash import (
    Bools,
    Bytes,
    Hashes,
    Integers,
    any_close,
    close_pairs,
    connected_groups,
    correlations,
    hash_pictures,
    in_order,
)
from mien.errors import MienError
from mien.progress import Progress, Silent
from mien.settings import CountOrZero, require_fitting

DISTANCE = 10
"""The most bits in which hashes of near-duplicates differ. Of FER2013's within 14 bits, nine in ten differ in no more;
beyond, candidates are many."""

ALIKE = 0.88
"""The least correlation of near-duplicates. Of FER2013, 100 pairs above 0.8 were looked at, and all were the same photo. But
faces drawn by one template (`mien import synthetic`) come as close, and 0.88 leaves 9 pairs among 3,000 of them."""

COLUMN = "twin"
"""The column of groups of near-duplicates in a set."""

NO_SPLITS = "(no splits)"

NO_SPLIT = "(none)"


@dataclass(frozen=True, eq=False)
class _Part:
    """Faces of one split of a set, to compare with others."""

    faces: FaceSet
    hashes: Hashes
    """The hashes of the faces and of their mirror images, (n, 2)."""
    rows: Rows
    """The rows of the faces among those of both sets, (n,)."""

    def mirrored(self, rows: Rows) -> npt.NDArray[np.uint8]:
        """Mirror images of some of the faces."""
        turned: npt.NDArray[np.uint8] = self.faces.faces(rows)[:, :, ::-1]
        return turned


def find_near_duplicates(
    faces: FaceSet | Path | str,
    other: FaceSet | Path | str | None = None,
    distance: int = DISTANCE,
    progress: Progress | None = None,
) -> NearDuplicates:
    """The near-duplicates within `faces`, and those between `faces` and `other`, by split.

    Faces of a single gray have none. Raises MienError for features, for a set compared with itself, for a `distance` that is
    not from 0 to 16, and for too many pairs.
    """
    require_fitting(CountOrZero, distance=distance)
    faces, other = FaceSet.of(faces), None if other is None else FaceSet.of(other)
    if other is not None and other.info.checksum and other.info.checksum == faces.info.checksum:
        raise MienError(
            "another set to compare with", "the face set itself", "leave it out: near-duplicates within a set are found anyhow"
        )
    sets, progress = [faces] if other is None else [faces, other], progress or Silent()
    splits = np.concatenate([_splits(one, "" if one is faces else f"{one.info.name or 'other'}: ") for one in sets])
    labels = np.concatenate([_label_names(one) for one in sets])
    parts: list[tuple[str, _Part]] = []
    for number, one in enumerate(sets):
        first = number * len(faces)
        seen = hash_faces(one, progress)
        names = splits[first : first + len(one)]
        for name in sorted(set(names)):
            rows = np.flatnonzero(names == name)
            parts.append((name, _Part(one.select(rows), seen[rows], first + rows)))
    own = len(set(splits[: len(faces)]))
    progress.begin("comparing", 0)
    compared = [
        _compare(part, None if second == first else parts[second][1], distance)
        for first, (_, part) in enumerate(parts[:own])
        for second in range(first, len(parts))
    ]
    found = _joined([replace(part, rows=np.sort(part.rows, axis=1)) for part in compared])
    together = _by_size(connected_groups(found.rows, len(splits)))
    shares = _shares(found.rows, splits, labels, [name for name, _ in parts], own)
    return NearDuplicates(faces, other, distance, found, together, splits, labels, shares)


def have_near_duplicates(faces: FaceSet, among: FaceSet, distance: int = DISTANCE) -> Bools:
    """Whether each of `faces`, (N,), has a near-duplicate in `among`; a face that is itself there counts.

    Memory is bounded, since pairs are not kept. Of faces in `among` with one hash, 64 at most are compared. Raises MienError
    for features, and for a distance that is not from 0 to 16.
    """
    ours, theirs = hash_faces(faces)[:, 0], _Part(among, hash_faces(among), np.arange(len(among)))
    found = np.zeros(len(faces), bool)
    for side, turned in enumerate((among.faces, theirs.mirrored)):
        rows = np.flatnonzero(~found)
        found[rows] = any_close(ours[rows], theirs.hashes[:, side], distance, _alike(faces.select(rows).faces, turned))
    return found


def hash_faces(faces: FaceSet, progress: Progress | None = None) -> Hashes:
    """The hashes of a set's faces and of their mirror images, (N, 2). Raises MienError for features."""
    if faces.info.kind != "faces":
        raise MienError("a set of faces, to find near-duplicates", "features", "give the set they were made from")
    bar, found = progress or Silent(), [np.zeros((0, 2), np.uint64)]
    bar.begin("hashing", len(faces))
    for start in range(0, len(faces), BLOCK):
        rows = np.arange(start, min(len(faces), start + BLOCK))
        found.append(hash_pictures(faces.faces(rows)))
        bar.advance(len(rows))
    return np.concatenate(found)


def with_groups(found: NearDuplicates) -> FaceSet:
    """A view of the set with the column `twin`: the group of near-duplicates of each face, -1 for none."""
    return found.faces.with_column(COLUMN, found.group[: len(found.faces)])


def _compare(ours: _Part, theirs: _Part | None, distance: int) -> DuplicatePairs:
    """The near-duplicates between two parts, or within one, as rows of both sets."""
    others = ours if theirs is None else theirs
    direct = close_pairs(ours.hashes[:, 0], None if theirs is None else theirs.hashes[:, 0], distance)
    turned = close_pairs(ours.hashes[:, 0], others.hashes[:, 1], distance)
    made = []
    for mirrored, close in ((False, direct), (True, in_order(turned) if theirs is None else turned)):
        alike = correlations(ours.faces.faces, others.mirrored if mirrored else others.faces.faces, close)
        kept = close[alike >= ALIKE]
        left, right = ours.hashes[kept[:, 0]], others.hashes[kept[:, 1]]
        # To the mirror image of one it is a little farther, at times, than to that of the other.
        apart = np.bitwise_count(left ^ right[:, ::-1]).min(axis=1) if mirrored else np.bitwise_count(left[:, 0] ^ right[:, 0])
        rows = np.stack([ours.rows[kept[:, 0]], others.rows[kept[:, 1]]], axis=1)
        made.append(DuplicatePairs(rows, apart.astype(np.int64), alike[alike >= ALIKE], np.full(len(kept), mirrored)))
    return _joined(made)


def _alike(ours: Callable[[Rows], Bytes], theirs: Callable[[Rows], Bytes]) -> Callable[[Integers], Bools]:
    """A function that tells which pairs of rows (m, 2) look the same."""
    return lambda close: correlations(ours, theirs, close) >= ALIKE


def _joined(parts: list[DuplicatePairs]) -> DuplicatePairs:
    """All pairs in the order of their rows, each once."""
    none = np.zeros((0, 2), np.int64)
    parts = [DuplicatePairs(none, none[:, 0], none[:, 0].astype(np.float32), none[:, 0].astype(bool)), *parts]
    rows = np.concatenate([part.rows for part in parts])
    _, first = np.unique(rows, axis=0, return_index=True)
    distance = np.concatenate([part.distance for part in parts])[first]
    correlation = np.concatenate([part.correlation for part in parts])[first]
    return DuplicatePairs(rows[first], distance, correlation, np.concatenate([part.mirrored for part in parts])[first])


def _by_size(group: Integers) -> Integers:
    """The groups numbered anew, the largest first."""
    sizes = np.bincount(group[group >= 0])
    number = np.empty(len(sizes) + 1, np.int64)
    number[np.argsort(-sizes, kind="stable")], number[-1] = np.arange(len(sizes)), -1
    return number[group]


def _shares(
    rows: Integers, splits: npt.NDArray[np.object_], labels: npt.NDArray[np.object_], names: list[str], own: int
) -> tuple[SplitShare, ...]:
    """For each of the set's `own` splits, and each of all splits: how many faces of the one have a near-duplicate in the
    other.
    """
    both = np.concatenate([rows, rows[:, ::-1]])
    first, second, differ = splits[both[:, 0]], splits[both[:, 1]], labels_differ(labels, both)
    return tuple(
        SplitShare(
            name,
            among,
            int((splits == name).sum()),
            len(np.unique(both[(first == name) & (second == among), 0])),
            len(np.unique(both[(first == name) & (second == among) & differ, 0])),
        )
        for name in names[:own]
        for among in names
    )


def _splits(faces: FaceSet, before: str) -> npt.NDArray[np.object_]:
    given = faces.column("split").to_pylist() if "split" in faces.column_names else [NO_SPLITS] * len(faces)
    return np.array([before + (name or NO_SPLIT) for name in given], object)


def _label_names(faces: FaceSet) -> npt.NDArray[np.object_]:
    return np.array([*faces.classes, ""], object)[faces.labels]
