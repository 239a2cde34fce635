"""Groups of faces that must stay on one side of a split: those of one person, one sequence, one photo."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mien.data.faceset import FaceSet
from mien.data.format import Rows

GROUP_COLUMNS = {"people": "subject", "sequences": "sequence"}
"""Kinds of groups, and the columns that name them. A face belongs to the group of the first that names one."""


@dataclass(frozen=True, eq=False)
class FaceGroups:
    """The group of each of N faces; a split keeps the faces of a group together."""

    of: Rows
    """The number of each face's group, (N,)."""
    named: Mapping[str, range]
    """The numbers of groups of each kind: people, sequences and so on. Other numbers are those of faces by themselves."""

    def mates(self, some: Rows, among: Rows) -> Rows:
        """The rows of `among` that share a group with a row of `some`."""
        return among[np.isin(self.of[among], self.of[some])]

    def tell(self, some: Rows, among: Rows) -> str:
        """How many groups of the rows `among` the rows `some` have, in words: `12 of 60 people`; "" where no group has a
        name.
        """
        here, there = np.unique(self.of[some]), np.unique(self.of[among])
        parts = []
        for kind, numbers in self.named.items():
            part, whole = (int(((each >= numbers.start) & (each < numbers.stop)).sum()) for each in (here, there))
            parts += [f"{part} of {whole} {kind}"] if whole else []
        return ", ".join(parts)


def group_by_names(names: Mapping[str, pa.ChunkedArray]) -> FaceGroups:
    """Groups by columns of names, (N,) each, under their kinds: a face goes by the first name that is not empty.

    A face without any name is a group by itself.
    """
    of, first, named = np.full(len(next(iter(names.values()))), -1), 0, dict[str, range]()
    for kind, column in names.items():
        texts = _trimmed(column)
        known = pc.unique(texts)
        known = known.filter(pc.greater(pc.utf8_length(known), 0))
        index = pc.index_in(texts, value_set=known).fill_null(-1).to_numpy()
        mine = (of < 0) & (index >= 0)
        of[mine] = first + index[mine]
        named[kind] = range(first, first + len(known))
        first += len(known)
    alone = of < 0
    of[alone] = first + np.arange(alone.sum())
    return FaceGroups(of, named)


def validation_groups(faces: FaceSet) -> FaceGroups | None:
    """The groups that validate together: by subject, else by sequence; None where the set has neither column.

    Where people are the classes (`mien identities`), subjects do not count.
    """
    names = {kind: faces.column(name) for kind, name in GROUP_COLUMNS.items() if name in faces.column_names}
    if "people" in names and not set(faces.classes).isdisjoint(pc.unique(_trimmed(names["people"])).to_pylist()):
        del names["people"]
    return group_by_names(names) if names else None


def _trimmed(names: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_trim_whitespace(names.cast(pa.string()))
