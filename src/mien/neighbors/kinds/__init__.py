"""Kinds of neighbors, one a file, found by its name; all are asked in the same way.

A kind is a frozen dataclass of its own settings and a subclass of `Kind`. It is fitted to faces, and what `fit` gives is a
subclass of `Fitted`: for a batch it draws near faces, or near features.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch
from torch import Generator, Tensor

from mien.data.augment import to_unit
from mien.data.faceset import FaceSet
from mien.data.views import Views
from mien.errors import MienError
from mien.neighbors.semantic_neighbors import SemanticNeighbors
from mien.progress import Progress, Silent

__all__ = ["Fitted", "Ground", "Kind", "require_pixels", "shown"]


@dataclass(frozen=True)
class Ground:
    """What neighbors are fitted to."""

    faces: FaceSet
    """The N faces whose neighbors are asked for, by row."""
    around: FaceSet
    """The faces among which neighbors may be found, and which a kind may learn from, without their labels."""
    views: Views
    """Makes a network's inputs of stored faces."""
    device: torch.device
    """Where tensors are."""
    autoencoder: Callable[[str | Mapping[str, Any]], SemanticNeighbors]
    """The autoencoder of a folder, or of a preset's name or settings."""
    features: Callable[[Tensor], Tensor] | None = None
    """What the last block of a finished network makes of stored faces; None while the network still learns."""
    progress: Progress = field(default_factory=Silent)
    """Who is told how far it is."""
    strangers: int = 0
    """How many of `faces`, the last ones, are of another set than `around`: their ids say nothing of the faces there."""


class Fitted(Protocol):
    """Draws neighbors of the faces that it was fitted to."""

    @property
    def told(self) -> str:
        """Where neighbors come from, in words."""
        ...

    @property
    def among(self) -> Literal["faces", "features"]:
        """Whether neighbors are faces, or what the network's last block might have given."""
        return "faces"

    @property
    def varies(self) -> bool:
        """Whether another draw gives other neighbors; else one draw is all there is."""
        return True

    @property
    def passes(self) -> float:
        """What a neighbor costs, in passes of the network; a pass of an autoencoder counts as one."""
        return 1.0

    def itself(self, faces: Tensor) -> Tensor | None:
        """What neighbors of stored faces (B, ...) are compared with, as `near` gives neighbors, (B, ...); None: the faces."""
        return None

    def near(self, rows: Tensor, given: Tensor, draws: int, generator: Generator) -> Tensor:
        """Neighbors (D, B, ...) of the faces of `rows`, (B,), `draws` of each.

        `given`: the stored faces, uint8 (B, S, S[, 3]) or float16 (B, V, F), or their features (B, ...) where neighbors lie among
        these. Near faces are (D, B, C, S, S) in [0, 1]; of stored features they are inputs (D, B, F).
        """
        ...


class Kind(Protocol):
    """The settings of a kind of neighbor. A kind of one's own subclasses it."""

    @property
    def noise(self) -> float | None:
        """The noise that makes neighbors, which is a setting `sigma`; None where none does."""
        return None

    def fit(self, ground: Ground) -> Fitted:
        """Neighbors of this kind for the faces of `ground`. Raises MienError where such faces have none of this kind."""
        ...


def shown(views: Views, stored: Tensor) -> Tensor:
    """Stored faces (B, S, S[, 3]) as (B, C, S, S) in [0, 1]; of stored features (B, V, F) the clean ones, (B, F)."""
    return views.clean(stored) if views.info.kind == "features" else to_unit(stored)


def require_pixels(ground: Ground) -> None:
    """Raises MienError where the set holds cached features, which have no pixels that could be moved."""
    if ground.faces.info.kind != "faces":
        raise MienError("faces, whose pixels make neighbors", ground.faces.info.kind, 'take the neighbors "features"')
