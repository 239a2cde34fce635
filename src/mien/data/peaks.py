"""Sequences and their peaks, and sets for SNA's check (Table VII): train on the peak, test on the frames before it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.data.splits import held_out_rows, split_rows
from mien.errors import MienError
from mien.settings import Count, require_fitting

NEAREST = 4
"""How many frames before the last one SNA looks at."""
TRAIN, NEAR = "train", "near"
"""The splits of a set of peaks: the peaks, and the frames before them."""


@dataclass(frozen=True, eq=False)
class Peaks:
    """G sequences that are long enough and whose last frame, the peak, is labeled; its label is the sequence's."""

    names: tuple[str, ...]
    """The names of the sequences."""
    last: Rows
    """The row of each sequence's last frame, (G,)."""
    near: Rows
    """The rows of the frames before the last one, (G, nearest), in their order."""
    short: int
    """The number of labeled sequences that are too short."""
    unlabeled: int
    """The number of sequences whose last frame has no label."""


def find_sequences(faces: FaceSet) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The names of sequences, and the number of each face's sequence, (N,); a face of none has one with an empty name."""
    count = len(faces)
    found = faces.column("sequence").to_pylist() if "sequence" in faces.column_names else [None] * count
    # Databases number the sequences of each person from 1.
    people = faces.column("subject").to_pylist() if "subject" in faces.column_names else [None] * count
    place: dict[tuple[Any, ...], int] = {}
    keys = [(person, name) if name else (row,) for row, (person, name) in enumerate(zip(people, found, strict=True))]
    sequence = np.array([place.setdefault(key, len(place)) for key in keys], np.int64)
    return [str(key[1]) if len(key) == 2 else "" for key in place], sequence


def missing_columns(faces: FaceSet) -> list[str]:
    """The columns that the set lacks, of those that sequences need: `sequence` and `frame`."""
    return [name for name in ("sequence", "frame") if name not in faces.column_names]


def find_peaks(faces: FaceSet, nearest: int = NEAREST, among: Rows | None = None, last: bool = True) -> Peaks:
    """The peaks of a set's sequences, and the `nearest` frames before each, by the column `frame`.

    `among`: the rows that these frames must be of, the peak too unless `last` is False. Frames without a number belong to no
    sequence. Raises MienError where a column is missing or `nearest` is below 1.
    """
    missing = missing_columns(faces)
    if missing:
        raise MienError(
            "a set with sequences, in the columns sequence and frame",
            f"no column {' and no column '.join(missing)}",
            "import the set with them (mien import table, or synthetic with --set sequences=10)",
        )
    if nearest < 1:
        raise MienError("at least 1 frame beside the peak", f"{nearest}", "give `nearest` 4")
    names, sequence = find_sequences(faces)
    numbers = faces.column("frame")
    frame = pc.fill_null(numbers, 0).to_numpy()
    member = np.flatnonzero(np.array([bool(name) for name in names], bool)[sequence] & numbers.is_valid().to_numpy())
    order = member[np.lexsort((frame[member], sequence[member]))]
    number, starts, counts = np.unique(sequence[order], return_index=True, return_counts=True)
    ends = starts + counts
    allowed = np.ones(len(faces), bool) if among is None else np.isin(np.arange(len(faces)), among)
    labeled = faces.labels[order[ends - 1]] >= 0
    touched = np.add.reduceat(allowed[order], starts).astype(bool) if len(order) else np.zeros(0, bool)
    # Where a sequence is too short the places are those of others, and not used.
    near = order[np.maximum(ends[:, None] + np.arange(-1 - nearest, -1), 0)]
    whole = (counts > nearest) & allowed[near].all(axis=1) & (allowed[order[ends - 1]] if last else True)
    kept = labeled & whole
    return Peaks(
        tuple(names[n] for n in number[kept]),
        order[ends[kept] - 1],
        near[kept],
        int((labeled & touched & ~whole).sum()),
        int((touched & ~labeled).sum()),
    )


def write_peaks(faces: FaceSet, out: Path | str, nearest: int = NEAREST, split: str | None = None) -> tuple[FaceSet, Peaks]:
    """Write a new set of peaks (split `train`) and the frames before them (split `near`), and open it; returns the peaks, too.

    `split`: None for all faces but those held out for tests. Columns stay; the old split becomes `source_split`. The split
    `near` shows the people of `train`: it tells whether small changes of a learned face are followed, and is no test on other
    people. Raises MienError where a column is missing, no sequence is long enough, or `out` exists.
    """
    require_fitting(Count, nearest=nearest)
    among = np.setdiff1d(np.arange(len(faces)), held_out_rows(faces)) if split is None else split_rows(faces, split)
    found = find_peaks(faces, nearest, among)
    if not len(found.last):
        raise MienError(
            f"labeled sequences of {nearest + 1} frames or more",
            f"{found.short} labeled ones that are shorter, {found.unlabeled} without a label",
            "lower `nearest`, or take another `split`",
        )
    rows = np.sort(np.concatenate([found.last, found.near.ravel()]))
    view = faces.select(rows)
    if "split" in faces.column_names:
        view = view.with_column("source_split", view.column("split"))
    view = view.with_column("split", np.where(np.isin(rows, found.last), TRAIN, NEAR))
    named = replace(view, info=replace(view.info, name=f"peaks of {faces.info.name or 'no name'}"))
    return named.save(out), found
