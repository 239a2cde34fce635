"""What holds for all faces of a set, and faces in memory without a table: all that a recognizer needs to know of them."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from mien.errors import MienError
from mien.settings import STRICT, plain_errors

Normalization = Literal["fixed", "face"]
"""How gray values are scaled for a network: all faces alike, or each to zero mean and unit variance."""

Rows = npt.NDArray[np.int64]

MOST_CLASSES, MOST_SIDE, MOST_VALUES = 2**15 - 1, 2**15 - 1, 2**24
"""The most classes (a label fits 16 bits), pixels of a side, and numbers of a feature."""

Text = Annotated[str, Field(max_length=2**16)]


@plain_errors
@checked(frozen=True, config=STRICT)
class Info:
    """What holds for all faces of a set: the content of faceset.json."""

    classes: Annotated[tuple[Annotated[str, Field(max_length=1000)], ...], Field(max_length=MOST_CLASSES)]
    """The names of the classes; a label is the number of one."""
    kind: Literal["faces", "features"] = "faces"
    """What is stored: `faces`, uint8 (N, S, S) or (N, S, S, 3), or `features`, float16 (N, V, D)."""
    side: Annotated[int, Field(ge=0, le=MOST_SIDE)] = 0
    """Side of a face in pixels, 0 for features."""
    channels: Annotated[int, Field(ge=1, le=MOST_VALUES)] = 1
    """1 for gray, 3 for color; for features their dimension D."""
    views: Annotated[tuple[Text, ...], Field(max_length=1000)] = ()
    """What each of the V views of features shows: `clean`, `mirror`, `weak` or `strong`."""
    name: Text = ""
    """The source and its label rule."""
    alignment: Text = "unknown"
    """How the crops were made."""
    license: Text = "unknown"
    """Terms under which the source is published."""
    citation: Text = ""
    """The publication to cite."""
    version: int = 1
    """Version of this format."""
    count: Annotated[int, Field(ge=0, le=2**40)] = 0
    """Number of faces."""
    checksum: Annotated[str, Field(max_length=64)] = ""
    """The sha256 over all the rest, computed when the set is written."""


class Faces(Protocol):
    """Faces that a recognizer reads: a face set, or an array."""

    @property
    def info(self) -> Info:
        """What holds for all of them."""
        ...

    def __len__(self) -> int: ...

    def faces(self, rows: Rows) -> npt.NDArray[Any]:
        """A copy of the pixels (or features) of some rows, in their order."""
        ...


@dataclass(frozen=True, eq=False)
class FaceArray:
    """Faces in memory, without a table."""

    pixels: npt.NDArray[Any]
    """uint8 (N, S, S) of gray or (N, S, S, 3) of color."""

    @property
    def info(self) -> Info:
        """What holds for all of them. Raises MienError for an array of another kind."""
        return info_of_pixels(self.pixels)

    def __len__(self) -> int:
        return len(self.pixels)

    def faces(self, rows: Rows) -> npt.NDArray[Any]:
        """A copy of the pixels of some rows, in their order."""
        taken: npt.NDArray[Any] = self.pixels[rows]
        return taken


def info_of_pixels(faces: npt.NDArray[Any], classes: tuple[str, ...] = ()) -> Info:
    """What an array of faces says of them. Raises MienError unless it is uint8 (N, S, S) or (N, S, S, 3)."""
    if not isinstance(faces, np.ndarray) or faces.ndim not in (3, 4) or not is_pixels(faces):
        raise no_faces(faces)
    return Info(classes=classes, side=faces.shape[1], channels=1 if faces.ndim == 3 else faces.shape[-1])


def no_faces(found: object) -> MienError:
    """The error for what is no array of faces."""
    said = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else f"a {type(found).__name__}"
    return MienError("faces as an array, uint8 (N, S, S) or (N, S, S, 3)", said, "give such an array")


def is_pixels(array: np.ndarray[Any, Any]) -> bool:
    """Whether an array holds square faces: uint8 (N, S, S) of gray or (N, S, S, 3) of color."""
    return array.dtype == np.uint8 and array.shape[3:] in ((), (3,)) and array.shape[1:2] == array.shape[2:3] != ()
