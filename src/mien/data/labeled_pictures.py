"""Pictures of a published database, one by one as its files are looked through, and what becomes of them in a face set."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mien.data.source import FaceBlock
from mien.media.face_pictures import BLOCK_FACES, PixelBox, picture_file_limits, read_picture_blocks
from mien.media.file_limits import LimitSwitch


@dataclass(frozen=True)
class LabeledPicture:
    """A picture of one face, and what its database says of it."""

    path: Path
    id: str
    label: int
    """The number of its class, -1 for none."""
    subject: str = ""
    """Who is seen; empty where nobody knows."""
    sequence: str = ""
    frame: int | None = None
    split: str = ""
    box: PixelBox | None = None
    """The part of the picture that is taken; the central square unless given."""


TEXTS = ("subject", "sequence", "split")


def read_labeled_pictures(
    pictures: Iterable[LabeledPicture], columns: tuple[str, ...], side: int, color: bool, limits: LimitSwitch = "on"
) -> Iterator[FaceBlock]:
    """Faces (n, side, side[, 3]) with id, label and `columns` (of subject, sequence, frame and split), block by block.

    Pictures are asked for as blocks are read, so that memory does not grow with their number. Those that cannot be read are
    rejected.
    """
    left = iter(pictures)
    while some := list(islice(left, BLOCK_FACES)):
        paths, boxes = [one.path for one in some], [one.box for one in some]
        for block in read_picture_blocks(paths, side, color, picture_file_limits(limits), boxes):
            taken = [some[place] for place in block.index]
            made: dict[str, Any] = {"id": [one.id for one in taken], "label": np.array([one.label for one in taken], np.int64)}
            made |= {name: [getattr(one, name) or None for one in taken] for name in TEXTS if name in columns}
            made |= {"frame": [one.frame for one in taken]} if "frame" in columns else {}
            yield FaceBlock(block.faces, made, block.rejected, block.notes)
