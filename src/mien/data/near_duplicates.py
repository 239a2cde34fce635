"""Twins: faces that are near-duplicates, within a face set and across its splits or another set.

Web searches bring the same photo several times, cropped, brightened or stamped a little otherwise, and with another label. A test
face that has a twin in training makes the test too easy. They are found in two steps: faces whose perceptual hashes are close, or
close to that of the mirror image; and of those pairs the ones that look the same.
"""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from mien.data.face_grid import GridNote, GridTile, draw_face_grid, evenly, write_face_grid
from mien.data.face_grid import GridRow as SheetRow
from mien.data.faceset import BLOCK, FaceSet
from mien.data.format import Rows
from mien.data.phash import (
    Bools,
    Bytes,
    Floats,
    Hashes,
    Integers,
    any_close,
    close_pairs,
    connected_groups,
    correlations,
    hash_pictures,
    in_order,
)
from mien.disk import require_new, write_atomically
from mien.errors import MienError
from mien.progress import Progress, Silent
from mien.settings import CountOrZero, require_fitting
from mien.wording import quantity

DISTANCE = 10
"""Bits in which the hashes of twins may differ: nine in ten of FER2013's twins within 14 bits do; beyond, candidates are many."""
ALIKE = 0.88
"""The correlation that twins have at least. 100 pairs of FER2013 above 0.8 were looked at, and all were the same photo; but faces
drawn by one template (`mien import synthetic`) come as close as that, and 0.88 leaves 9 pairs among 3,000 of them."""
COLUMN = "twin"
NO_SPLITS = "(no splits)"
NO_SPLIT = "(none)"
SHOWN, ACROSS, SIDE = 12, 10, 72
"""Groups in the picture, faces of each, and their side in pixels."""


@dataclass(frozen=True, eq=False)
class DuplicatePairs:
    """M pairs of twins."""

    rows: Integers
    """(M, 2)."""
    distance: Integers
    """(M,) bits in which the hashes differ."""
    correlation: Floats
    """(M,) how alike they look, from ALIKE to 1."""
    mirrored: npt.NDArray[np.bool_]
    """(M,) whether one is like the mirror image of the other, and not like the other itself."""


@dataclass(frozen=True)
class SplitShare:
    """How many faces of a split have twins in a split, which may be the same."""

    split: str
    among: str
    faces: int
    """Of the first split."""
    twins: int
    """Of these, those with a twin in the second."""
    disagreeing: int
    """Of those, the ones whose label is another than that of a twin there."""


@dataclass(frozen=True, eq=False)
class NearDuplicates:
    """The twins of a set's N faces, and where another set was given those among its faces, which have the rows from N on."""

    faces: FaceSet
    other: FaceSet | None
    distance: int
    found: DuplicatePairs
    """Within the set and across to the other, not within that."""
    group: Integers
    """(all faces,) the group that pairs connect, the largest first; -1: a face without twin."""
    splits: npt.NDArray[np.object_]
    """(all faces,) the split of each; of the other set behind its name."""
    labels: npt.NDArray[np.object_]
    """(all faces,) the names of labels; empty where there is none."""
    shares: tuple[SplitShare, ...]

    @property
    def disagreeing(self) -> npt.NDArray[np.bool_]:
        """(M,) whether the labels of a pair, both known, are not the same."""
        return _disagree(self.labels, self.found.rows)

    @property
    def across(self) -> Bools:
        """(M,) whether a pair is one of a face with one of the other set."""
        return self.found.rows[:, 1] >= len(self.faces)

    def have_twins(self, across: bool) -> Bools:
        """(N,) whether each face of the set has a twin in the other, or in the set itself."""
        ends = self.found.rows[self.across == across].ravel()
        have = np.zeros(len(self.faces), bool)
        have[ends[ends < len(self.faces)]] = True
        return have

    @property
    def sizes(self) -> Integers:
        """(G,) faces in each group, those of the other set as well."""
        return np.bincount(self.group[self.group >= 0])

    def to_json(self) -> dict[str, Any]:
        """The figures as plain values for JSON."""
        ends = self.labels[self.found.rows]
        return {
            "dataset": self.faces.info.name or "unnamed",
            "other": None if self.other is None else self.other.info.name or "unnamed",
            "distance": self.distance,
            "faces": len(self.faces),
            "twins": int((self.group[: len(self.faces)] >= 0).sum()),
            "twins_within": int(self.have_twins(across=False).sum()),
            "twins_across": int(self.have_twins(across=True).sum()),
            "pairs": len(self.found.rows),
            "pairs_across": int(self.across.sum()),
            "mirrored": int(self.found.mirrored.sum()),
            "labeled_pairs": int((ends != "").all(axis=1).sum()),
            "disagreeing_pairs": int(self.disagreeing.sum()),
            "groups": len(self.sizes),
            "largest": self.sizes[:10].tolist(),
            "splits": [vars(share) for share in self.shares],
        }


@dataclass(frozen=True, eq=False)
class _Part:
    """Faces of one set that are compared with others."""

    faces: FaceSet
    hashes: Hashes
    """(n, 2)."""
    rows: Rows
    """(n,) of all faces."""

    def mirrored(self, rows: Rows) -> npt.NDArray[np.uint8]:
        """Mirror images of these of its faces."""
        turned: npt.NDArray[np.uint8] = self.faces.faces(rows)[:, :, ::-1]
        return turned


def find_near_duplicates(
    faces: FaceSet, other: FaceSet | None = None, distance: int = DISTANCE, progress: Progress | None = None
) -> NearDuplicates:
    """The twins within `faces`, and those that they have in `other`, by split.

    Faces of one gray have none. Raises MienError for features, for a set that is compared with itself, and as `pairs` does.
    """
    require_fitting(CountOrZero, distance=distance)
    if other is not None and other.info.checksum and other.info.checksum == faces.info.checksum:
        raise MienError("another set to compare with", "the face set itself", "leave it out: twins within a set are found anyhow")
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
    """(N,) whether each of `faces` has a twin in `among`; a face that is there itself counts as one.

    However many are alike, memory is bounded: no pairs are kept. Of more than 64 faces in `among` with one hash, 64 are compared.
    Raises MienError for features, and for a distance that is not from 0 to 16.
    """
    ours, theirs = hash_faces(faces)[:, 0], _Part(among, hash_faces(among), np.arange(len(among)))
    found = np.zeros(len(faces), bool)
    for side, turned in enumerate((among.faces, theirs.mirrored)):
        rows = np.flatnonzero(~found)
        found[rows] = any_close(ours[rows], theirs.hashes[:, side], distance, _alike(faces.select(rows).faces, turned))
    return found


def hash_faces(faces: FaceSet, progress: Progress | None = None) -> Hashes:
    """(N, 2) hashes of the faces of a set and of their mirror images, BLOCK faces in memory. Raises MienError for features."""
    if faces.info.kind != "faces":
        raise MienError("a set of faces, to find near-duplicates", "features", "give the set they were made from")
    bar, found = progress or Silent(), [np.zeros((0, 2), np.uint64)]
    bar.begin("hashing", len(faces))
    for start in range(0, len(faces), BLOCK):
        rows = np.arange(start, min(len(faces), start + BLOCK))
        found.append(hash_pictures(faces.faces(rows)))
        bar.advance(len(rows))
    return np.concatenate(found)


def write_near_duplicates(found: NearDuplicates, out: Path | str) -> tuple[str, ...]:
    """Write twins.csv and, where there are twins, twins.png into the new folder `out`; their names.

    Raises MienError where something lies there.
    """
    out = Path(out)
    require_new(out)
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "twins.csv", near_duplicate_rows(found).encode())
    if not len(found.sizes):
        return ("twins.csv",)
    write_face_grid(draw_near_duplicates(found), out / "twins.png")
    return ("twins.csv", "twins.png")


def with_groups(found: NearDuplicates) -> FaceSet:
    """A view of the set with the column `twin`: the number of a face's group, -1 where it has no twin."""
    return found.faces.with_column(COLUMN, found.group[: len(found.faces)])


def near_duplicate_rows(found: NearDuplicates) -> str:
    """A csv with a line for each pair, those that look most alike first."""
    file, of = io.StringIO(), found.found
    writer = csv.writer(file, lineterminator="\n")
    columns = ("id", "twin", "distance", "correlation", "mirrored", "group", "split", "twin_split", "label", "twin_label")
    writer.writerow(columns)
    ids = np.concatenate([one.values("id") for one in (found.faces, found.other) if one is not None])
    for place in np.argsort(-of.correlation, kind="stable"):
        left, right = of.rows[place]
        about = (of.distance[place], f"{of.correlation[place]:.3f}", str(of.mirrored[place]).lower(), found.group[left])
        named = (found.splits[left], found.splits[right], found.labels[left], found.labels[right])
        writer.writerow([ids[left], ids[right], *about, *named])
    return file.getvalue()


def draw_near_duplicates(found: NearDuplicates) -> Image.Image:
    """The largest groups and some of the others, a row each; under each face its label and its split."""
    return draw_face_grid(list(_drawn(found)), SIDE, f"{quantity(len(found.sizes), 'group')} of near-duplicates, by size")


def _drawn(found: NearDuplicates) -> Iterator[SheetRow]:
    count, few = len(found.faces), SHOWN // 2
    for number in sorted({*range(min(few, len(found.sizes))), *evenly(len(found.sizes), few).tolist()}):
        members = np.flatnonzero(found.group == number)
        tiles = []
        for row in members[:ACROSS].tolist():
            source = found.faces if row < count else found.other
            assert source is not None
            face = source.faces([row if row < count else row - count])[0]
            tiles.append(GridTile(face, (GridNote(found.labels[row] or "-"), GridNote(found.splits[row]))))
        yield SheetRow(f"{quantity(len(members), 'face')}", tuple(tiles))


def _compare(ours: _Part, theirs: _Part | None, distance: int) -> DuplicatePairs:
    """Twins of faces with others, or among themselves, as rows of all faces."""
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
    """Whether the faces of pairs of rows (m, 2) look the same."""
    return lambda close: correlations(ours, theirs, close) >= ALIKE


def _joined(parts: list[DuplicatePairs]) -> DuplicatePairs:
    """All pairs, in the order of their rows; of a pair that comes twice, the first."""
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
    """For each of the set's `own` splits, and each of all splits, what is in the one and has a twin in the other."""
    both = np.concatenate([rows, rows[:, ::-1]])
    first, second, differ = splits[both[:, 0]], splits[both[:, 1]], _disagree(labels, both)
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


def _disagree(labels: npt.NDArray[np.object_], rows: Integers) -> npt.NDArray[np.bool_]:
    left, right = labels[rows[:, 0]], labels[rows[:, 1]]
    found: npt.NDArray[np.bool_] = ((left != "") & (right != "") & (left != right)).astype(bool)
    return found


def _splits(faces: FaceSet, before: str) -> npt.NDArray[np.object_]:
    given = faces.column("split").to_pylist() if "split" in faces.column_names else [NO_SPLITS] * len(faces)
    return np.array([before + (name or NO_SPLIT) for name in given], object)


def _label_names(faces: FaceSet) -> npt.NDArray[np.object_]:
    return np.array([*faces.classes, ""], object)[faces.labels]
