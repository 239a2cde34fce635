"""ExpW, Expression in-the-Wild: faces of photos from web search, with boxes and one of seven expressions (Zhang et al. 2018)."""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.data.database import Database, Place, require_places
from mien.data.format import Info
from mien.data.labeled_pictures import LabeledPicture, read_labeled_pictures
from mien.data.source import FaceBlock, Source
from mien.errors import MienError
from mien.expressions import BASIC
from mien.media.face_pictures import PixelBox, listed_picture
from mien.media.file_limits import LimitSwitch
from mien.settings import STRICT, PictureSide
from mien.tabular.number_files import stream_lines

CODES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""What the codes 0 to 6 of the list mean."""
COUNTS = (3_671, 3_995, 1_088, 30_537, 10_559, 7_060, 34_883)
"""Faces of each code."""
LIST = "label/label.lst"
COLUMNS = 8
"""Words in a line: photo, number of the face, top, left, right, bottom, confidence of the box, code."""


@dataclass(frozen=True, config=STRICT)
class Expw(Source):
    """The faces of the list, cut out of their photos by the given boxes. Ids are PHOTO_NUMBER; there are no splits."""

    facts: ClassVar[Database] = Database(
        title="ExpW, the Expression in-the-Wild database",
        about="91,793 faces of photos from web search by words for emotions, one of seven expressions each, and boxes.",
        citation="Zhang, Luo, Loy and Tang 2018, From facial expression recognition to interpersonal relation prediction, "
        "International Journal of Computer Vision",
        terms="for research that is not commercial",
        research_only=True,
        may_be_passed_on=False,
        get="from its authors' page at the Multimedia Laboratory, Chinese University of Hong Kong; unpack the parts of origin.7z",
        places=(
            Place(LIST, "the list, a face in each line: photo, number, top, left, right, bottom, confidence, code from 0 to 6"),
            Place("image/origin/<amazed_actor_1>.jpg", "the photos"),
        ),
        layout_source="the read-me of the distribution, as quoted by code that reads it, and the loader of Meerkat",
    )

    input: Path
    """The folder of `label` and `image`."""
    side: PictureSide = 96
    """Side of the stored faces in pixels."""
    color: bool = False
    """Keep color; gray otherwise."""
    limits: LimitSwitch = "on"
    """Limits of the pictures' files: off, where they are known."""

    def info(self) -> Info:
        """Seven classes."""
        return self.facts.info(
            classes=BASIC, side=self.side, color=self.color, name="ExpW", alignment="a square around the given box"
        )

    def total(self) -> int:
        """The published number of faces."""
        return sum(COUNTS)

    @override
    def published_counts(self) -> Mapping[str, Mapping[str, int]]:
        """By class."""
        return {"": dict(zip(CODES, COUNTS, strict=True))}

    def blocks(self) -> Iterator[FaceBlock]:
        """Faces with id and label. Raises MienError where something is missing."""
        require_places(self.input, self.facts.places, "expw")
        yield from read_labeled_pictures(self._pictures(), (), self.side, self.color, self.limits)

    def _pictures(self) -> Iterator[LabeledPicture]:
        path, photos, seen = self.input / LIST, self.input / "image/origin", Counter[str]()
        again = _listed_again(path)
        for line, (name, number, *edges, _, code) in stream_lines(path, COLUMNS, " "):
            if code not in "0123456" or len(code) != 1:
                wanted = f"a code from 0 to {len(CODES) - 1} at the end of each line of {path}"
                raise MienError(wanted, f"{code[:20]!r} in line {line}", "take the file as it was published")
            try:
                top, left, right, bottom = map(float, edges)
            except ValueError as error:
                wanted = f"four edges of a box in each line of {path}"
                raise MienError(wanted, f"{error} in line {line}"[:200], "take the file as it was published") from error
            stem = key = _stem(name, number)
            if _short_hash(stem) in again:
                seen[stem] += 1
                key = stem if seen[stem] == 1 else f"{stem}-{seen[stem]}"
            box = PixelBox(left, top, right - left, bottom - top)
            yield LabeledPicture(listed_picture(photos, name), key, BASIC.index(CODES[int(code)]), box=box)


def _stem(name: str, number: str) -> str:
    """The id of a face that is listed once."""
    return f"{name.removesuffix('.jpg')}_{number}"


def _listed_again(path: Path) -> frozenset[int]:
    """Hashes of the ids that more than one line gives: some faces are listed twice. Only these ids are then kept in memory."""
    hashes = array("Q", (_short_hash(_stem(name, number)) for _, (name, number, *_) in stream_lines(path, COLUMNS, " ")))
    found, counts = np.unique(np.frombuffer(hashes, np.uint64), return_counts=True)
    return frozenset(found[counts > 1].tolist())


def _short_hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
