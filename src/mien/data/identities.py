"""Face sets whose classes are people, to learn from what tells people apart."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mien.data.faceset import BLOCK, FaceSet
from mien.data.format import Rows
from mien.data.splits import held_out_rows, split_rows
from mien.data.writer import FaceSetWriter
from mien.errors import MienError
from mien.progress import Progress, Silent
from mien.settings import Count, Seed, Share, require_fitting
from mien.wording import quantity

MOST_PEOPLE = 32767
"""The most people that the column `label` can number."""

RENAMED = ("label", "votes", "true_label", "split")
"""Columns whose meaning changes in the new set; they are kept as `source_label` and so on."""


@dataclass(frozen=True)
class Identities:
    """Who is on which face: `rows` (n,) of the set, ascending, and `labels` (n,), numbers of `names`, -1 for people held
    out.
    """

    rows: Rows
    """The rows of the set that show these people, (n,), ascending."""
    labels: npt.NDArray[np.int64]
    """The number of each face's person among `names`, (n,); -1 for people held out."""
    names: tuple[str, ...]
    """The people who are trained on."""
    people: int
    """The number of people, those held out included."""


def find_people(faces: FaceSet) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Who is on each face: numbers (N,) of the sorted names; -1 where the subject is empty.

    Raises MienError where the set has no subjects.
    """
    if "subject" not in faces.column_names:
        raise MienError("a face set with subjects", "no column subject", "import it with its subjects (--columns subject=NAME)")
    subjects = pc.utf8_trim_whitespace(faces.column("subject").combine_chunks())
    encoded = pc.if_else(pc.equal(subjects, ""), pa.scalar(None, subjects.type), subjects).dictionary_encode()
    index = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    names = np.array(encoded.dictionary.to_pylist(), dtype=object)
    order = np.argsort(names, kind="stable")
    place = np.empty(len(names) + 1, np.int64)
    place[order], place[-1] = np.arange(len(names)), -1
    return place[index], tuple(names[order])


def draw_identities(faces: FaceSet, least: int = 5, test: float = 0.2, seed: int = 0, split: str | None = None) -> Identities:
    """The people with `least` faces or more in a split; of them about a share `test`, at least one, is held out by seed.

    `split`: None for all faces but those held out for tests. Raises MienError where there are no subjects, fewer than two
    people to train on, or more than can be numbered.
    """
    if not 0 <= test < 1 or least < 1:
        raise MienError(
            "a share of people from 0 to below 1 and at least 1 face", f"{test} and {least}", "change `test` or `least`"
        )
    among = np.setdiff1d(np.arange(len(faces)), held_out_rows(faces)) if split is None else split_rows(faces, split)
    person, names = find_people(faces.select(among))
    counts = np.bincount(person[person >= 0], minlength=len(names))
    chosen = np.flatnonzero(counts >= least)
    held_out = max(1, round(test * len(chosen))) if test else 0
    if len(chosen) - held_out < 2:
        most = f"{len(chosen)} of {quantity(len(names), 'person', 'people')}, the most faces of one are {counts.max(initial=0)}"
        raise MienError(
            f"two people to train on with {least} faces or more, {held_out} held out", most, "lower `least` or `test`"
        )
    if len(chosen) - held_out > MOST_PEOPLE:
        raise MienError(f"at most {MOST_PEOPLE} people to train on", f"{len(chosen) - held_out}", "raise `least` or `test`")
    trained = np.sort(np.random.default_rng(seed).permutation(chosen)[held_out:])
    label = np.full(len(names) + 1, -1)
    label[trained] = np.arange(len(trained))
    kept = np.flatnonzero(np.isin(person, chosen))
    return Identities(among[kept], label[person[kept]], tuple(names[n] for n in trained), len(chosen))


def write_identities(
    faces: FaceSet,
    out: Path | str,
    least: int = 5,
    test: float = 0.2,
    seed: int = 0,
    split: str | None = None,
    progress: Progress | None = None,
) -> FaceSet:
    """Write a new set whose classes are people, and open it.

    People who are trained on are the split `train`; those held out are the split `test`, with label -1. Other columns stay; the
    old label (by name), votes and split become `source_label`, `source_votes` and `source_split`. Raises MienError where `out`
    exists, and where people are too few.
    """
    require_fitting(Seed, seed=seed)
    require_fitting(Share, test=test)
    require_fitting(Count, least=least)
    found, bar = draw_identities(faces, least, test, seed, split), progress or Silent()
    columns = _columns(faces, found)
    info = replace(faces.info, classes=found.names, name=f"identities of {faces.info.name or 'no name'}")
    bar.begin("identities", len(found.rows))
    with FaceSetWriter(Path(out), info) as writer:
        for start in range(0, len(found.rows), BLOCK):
            rows = found.rows[start : start + BLOCK]
            writer.add(faces.faces(rows), {name: values.slice(start, len(rows)) for name, values in columns.items()})
            bar.advance(len(rows))
    return FaceSet.open(out)


def _columns(faces: FaceSet, found: Identities) -> dict[str, pa.Array]:
    """All columns of the new set, (n,) each."""
    view = faces.select(found.rows)
    old = {name: view.column(name).combine_chunks() for name in view.column_names}
    names = pa.array([*faces.classes, None], pa.string())
    old["label"] = names.take(pa.array(np.where(view.labels < 0, len(faces.classes), view.labels)))
    kept = {f"source_{name}" if name in RENAMED else name: values for name, values in old.items()}
    split = np.where(found.labels < 0, "test", "train")
    return {"id": kept.pop("id"), "label": pa.array(found.labels), **kept, "split": pa.array(split)}
