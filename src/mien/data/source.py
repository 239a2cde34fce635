"""The interface of databases: facts that hold for all faces, and blocks of faces with their columns."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
    """A database: a frozen dataclass of settings, one file in data/sources.

    A source that reads something has a field `input` (Path); one that reads files of pictures has a method `pictures`, which
    gives them. `total` is the number of faces to expect, 0 where it is unknown.
    """

    def info(self) -> Info: ...

    def total(self) -> int: ...

    def blocks(self) -> Iterator[FaceBlock]: ...


def names_in_text(given: Any) -> Any:
    """A setting of names as a list; in a text they have commas between them."""
    return [name.strip() for name in given.split(",") if name.strip()] if isinstance(given, str) else given
