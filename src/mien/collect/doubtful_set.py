"""The set of a collection: of near-duplicates one face each, under a name and terms that say what its labels are."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.data.faceset import BLOCK, FaceSet
from mien.data.format import Rows
from mien.data.near_duplicates import find_near_duplicates
from mien.data.writer import FaceSetWriter
from mien.json_text import to_json
from mien.progress import Progress

SUMMARY = "collected.json"
"""A file in the set: what became of what was found. The set's checksum does not cover it."""
TAKEN_ALONG = ("rejected.csv", "notes.csv")
LICENSE = (
    "not known: pictures that a web search found belong to those who made them, and show people who were not asked; for research "
    "on your own computer, not to be passed on; where an engine told a picture's license, it stands in the column license"
)


def write_doubtful_set(prepared: Path, out: Path, name: str, downloads: Mapping[str, Any], bar: Progress) -> None:
    """Write the faces of a prepared set, of near-duplicates one each, as a new set. `downloads`: what its summary tells, too."""
    for left in out.parent.glob(f".{out.name}.*"):  # of a process that was killed here
        shutil.rmtree(left, ignore_errors=True)
    whole = FaceSet.open(prepared)
    found = find_near_duplicates(whole, progress=bar)
    kept = whole.select(_one_of_each(whole, found.group))
    left_out = len(whole) - len(kept)
    bar.say(f"near-duplicates: {left_out} left out, {int(found.disagreeing.sum())} pairs of two classes among them")
    told = {**downloads, "duplicates": left_out, "disagreeing": int(found.disagreeing.sum())}
    columns = {name: kept.column(name) for name in kept.column_names}
    with FaceSetWriter(out, replace(kept.info, name=name, license=LICENSE)) as writer:
        for start in range(0, len(kept), BLOCK):
            rows = np.arange(start, min(len(kept), start + BLOCK))
            writer.add(kept.faces(rows), {name: values.slice(start, len(rows)) for name, values in columns.items()})
        writer.attach(SUMMARY, [to_json(told).encode()])
        for more in TAKEN_ALONG:
            if (prepared / more).is_file():
                writer.attach(more, [(prepared / more).read_bytes()])


def _one_of_each(faces: FaceSet, group: Rows) -> Rows:
    """The rows of faces in no group, and of each group the largest face, the first of equal ones."""
    sizes = np.nan_to_num(faces.values("size").astype(float)) if "size" in faces.column_names else np.zeros(len(faces))
    largest: dict[int, int] = {}
    for row in np.flatnonzero(group >= 0).tolist():
        before = largest.setdefault(int(group[row]), row)
        if sizes[row] > sizes[before]:
            largest[int(group[row])] = row
    return np.sort(np.concatenate([np.flatnonzero(group < 0), np.array(list(largest.values()), np.int64)]))
