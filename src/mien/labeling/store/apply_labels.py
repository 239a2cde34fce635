"""Writes the labels of a store into a new face set, made from the one that people were asked about."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.labeling.store.consensus import Consensus
from mien.labeling.store.store import Store

Votes = npt.NDArray[np.float32]

ANSWERED = "answered"
"""The column that says how people answered: `agreed` or `disputed`; null where too few answered, nobody was sure or asked."""


@dataclass(frozen=True, eq=False)
class LabeledSet:
    """A new face set, and what became of the faces that people were asked about."""

    faces: FaceSet
    """The new set."""
    agreed: int
    """Faces whose label is now the one that people agree on."""
    changed: int
    """Faces among the agreed ones that had another label before."""
    disputed: int
    """Faces on which people disagree: they have no label now."""
    not_a_face: int
    """Faces that were left out, since people agree that they are none."""
    unsure: int
    """Faces of which nobody was sure: their labels are as before."""
    open: int
    """Faces with too few answers: their labels are as before."""


def apply_labels(
    store: Store, faces: FaceSet | Path | str, out: Path | str, minimum_agreement: float = 0.5, minimum_answers: int = 1
) -> LabeledSet:
    """Write `faces` as a new set with the labels and votes that people gave, and open it.

    Where people chose from other classes than the set's, only faces with an agreed answer have a label. The set's own labels
    stay, by name, as the column `source_label`, unless there is one. Votes of faces that nobody answered stay, too. Raises
    MienError where the set is not the one that the store asks about, or has changed, where `out` exists, and for an impossible
    minimum.
    """
    faces = FaceSet.of(faces)
    store.require(store.info.classes, faces.info.checksum)
    found = store.consensus(minimum_agreement, minimum_answers)
    places = {name: place for place, name in enumerate(faces.values("id"))}
    rows = np.array([places[face] for face in found.faces], np.int64)
    same = faces.classes == store.info.classes
    before = faces.labels if same else np.full(len(faces), -1)
    kept = np.setdiff1d(np.arange(len(faces)), rows[found.states == "not_a_face"])
    labeled = _labeled(faces, found, rows, before, faces.votes if same else None).select(kept)
    written = replace(labeled, info=replace(labeled.info, classes=store.info.classes)).save(out)
    count = {state: int((found.states == state).sum()) for state in ("agreed", "disputed", "not_a_face", "unsure", "open")}
    agreed = found.states == "agreed"
    return LabeledSet(written, changed=int((found.labels[agreed] != before[rows[agreed]]).sum()), **count)


def _labeled(faces: FaceSet, found: Consensus, rows: Rows, before: Rows, votes: Votes | None) -> FaceSet:
    """All N faces with new columns.

    `rows` (n,): the rows that people were asked about, in the consensus' order. `before` (N,) and `votes` (N, K): the set's own
    labels and votes, in the store's classes.
    """
    names = pa.array([*faces.classes, None], pa.string())
    source = names.take(pa.array(np.where(faces.labels < 0, len(faces.classes), faces.labels)))
    closed, labels, states = ~np.isin(found.states, ["open", "unsure"]), before.copy(), np.full(len(faces), None, object)
    labels[rows[closed]], states[rows[closed]] = found.labels[closed], found.states[closed]
    counted = np.zeros((len(faces), len(found.classes)), np.float32) if votes is None else votes
    counted[rows[closed]] = found.votes[closed]
    view = faces if "source_label" in faces.column_names else faces.with_column("source_label", source)
    return view.with_column("label", labels).with_column("votes", counted).with_column(ANSWERED, states)
