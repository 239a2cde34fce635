"""The interface of databases: facts that hold for all faces, and blocks of faces with their columns."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mien.data.format import Info
from mien.media.rejections import Rejected


@dataclass(frozen=True)
class FaceBlock:
    """Some faces, uint8 (n, S, S) or (n, S, S, 3), and their columns, n values each (`id` and `label` at least)."""

    faces: npt.NDArray[np.uint8]
    columns: Mapping[str, Any]
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[Rejected, ...] = ()
    """Notes about how inputs were read that gave a face."""


class Source(Protocol):
    """A database: a frozen dataclass of settings that subclasses this, one file in data/sources.

    A source that reads something has a field `input` (Path).
    """

    def info(self) -> Info:
        """What holds for all its faces."""
        ...

    def total(self) -> int:
        """How many faces are expected, 0 where unknown."""
        ...

    def blocks(self) -> Iterator[FaceBlock]:
        """The faces with their columns, block by block."""
        ...

    def published_counts(self) -> Mapping[str, Mapping[str, int]]:
        """How many faces its authors count, by split and class, as in data/database.py; nothing where they do not say."""
        return {}

    def pictures(self) -> list[Path] | None:
        """The files of pictures that are read; None where faces do not lie in files of their own."""
        return None
