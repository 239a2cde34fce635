"""Neighbors that are other faces of a set: which faces each has, and drawing of them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor
from typing_extensions import override

from mien.data.format import Rows
from mien.errors import MienError
from mien.neighbors.kinds import Fitted, Ground, shown
from mien.wording import quantity


@dataclass(frozen=True)
class FoundFaces(Fitted):
    """Other faces of the set, drawn with equal chances; a face that has none is its own neighbor."""

    ground: Ground
    rows: Tensor
    """(M,) neighbors as rows of `ground.around`, those of one face beside each other."""
    first: Tensor
    """(N,) where those of each face begin."""
    each: Tensor
    """(N,) how many each face has."""
    name: str
    """What the neighbors are, in words."""

    @staticmethod
    def of(ground: Ground, places: Rows, beside: Rows, name: str) -> "FoundFaces":
        """By pairs of rows of `ground.around`: a face (M,), and a neighbor of it (M,). Faces are matched by their ids.

        Strangers, which are of another set, have none: ids alone say nothing, as many sets number their faces.

        Raises MienError where several faces around have the id of one of these.
        """
        at = _places(ground)
        order = np.lexsort((beside, places))
        places, beside = places[order], beside[order]
        first, last = (np.searchsorted(places, at, side) for side in ("left", "right"))
        each = np.where(at >= 0, last - first, 0)
        kept, begin, count = (torch.from_numpy(np.asarray(values, np.int64)) for values in (beside, first, each))
        return FoundFaces(ground, kept, begin, count, name)

    @property
    def count(self) -> int:
        """How many of the faces have a neighbor."""
        return int((self.each > 0).sum())

    @property
    @override
    def told(self) -> str:
        have = quantity(self.count, "has one", "have one").partition(" ")[2]
        return f"{self.name} ({self.count} of {quantity(len(self.each), 'face')} {have})"

    @property
    @override
    def varies(self) -> bool:
        return bool((self.each > 1).any())

    @override
    def near(self, rows: Tensor, given: Tensor, draws: int, generator: Generator) -> Tensor:
        at, draws = rows.cpu(), draws if self.varies else 1
        chance = torch.rand(draws, len(at), generator=generator, device=generator.device).cpu()
        place = torch.minimum((chance * self.each[at]).long(), (self.each[at] - 1).clamp(min=0))
        itself = shown(self.ground.views, given)
        found = itself.expand(draws, *itself.shape).clone()
        draw, column = torch.nonzero((self.each[at] > 0).expand(draws, -1), as_tuple=True)
        if len(draw):
            wanted = self.rows[self.first[at[column]] + place[draw, column]]
            stored = torch.from_numpy(self.ground.around.faces(wanted.numpy())).to(self.ground.device)
            found[draw, column] = shown(self.ground.views, stored)
        return found


def _places(ground: Ground) -> Rows:
    """The rows (N,) of the faces in `ground.around`, by their ids; -1 for faces that are not there, and for strangers."""
    if ground.faces is ground.around:
        return np.arange(len(ground.faces))
    ids, around = ground.faces.column("id").to_pylist(), ground.around.column("id").to_pylist()
    ids = ids[: len(ids) - ground.strangers]
    place = {name: row for row, name in enumerate(around)}
    wanted = set(ids)
    if len(place) < len(around) and sum(name in wanted for name in around) > len(wanted & place.keys()):
        raise MienError("one face of each id", "ids that several faces share", "import the set with other ids")
    return np.array([*(place.get(name, -1) for name in ids), *[-1] * ground.strangers], np.int64)
