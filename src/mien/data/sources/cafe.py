"""CAFE, the Child Affective Facial Expression set: children who pose seven expressions (LoBue and Thrasher 2015)."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.data.database import Database, Place, PublishedProtocol, require_places
from mien.data.format import Info
from mien.data.labeled_pictures import LabeledPicture, read_labeled_pictures
from mien.data.source import FaceBlock, Source
from mien.errors import MienError
from mien.expressions import BASIC
from mien.media.file_limits import LimitSwitch
from mien.settings import STRICT, PictureSide, Seed

WORDS = {
    "angry": "anger", "disgust": "disgust", "fearful": "fear", "happy": "happiness",
    "neutral": "neutral", "sad": "sadness", "surprise": "surprise",
}  # fmt: skip
"""Our class for the word in a picture's name; `open`, after it, tells of the mouth."""
NAME = re.compile(rf"\d+-({'|'.join(WORDS)})[a-z-]*_([FM]-[A-Z]+-\d+)", re.IGNORECASE)
"""A number, the expression, and the child: sex, ethnic group and a number within these."""
COUNT = 1192
"""Published number of pictures."""
TRAIN, VALIDATION = 0.45, 0.1
"""Shares of the children; the others are tested on."""


@dataclass(frozen=True, config=STRICT)
class Cafe(Source):
    """All pictures, with splits by child: 45 % train, 10 % validation, 45 % test, drawn by a hash of the children's names.

    The set has no splits of its own. Ids are the pictures' names, without `.jpg`. The central square is taken: these are photos
    of heads, and `mien prepare` on their folder cuts faces out more closely.
    """

    facts: ClassVar[Database] = Database(
        title="CAFE, the Child Affective Facial Expression set",
        about="1,192 color photos of 154 children, 90 of them girls, from 2 to 8 years, who pose seven expressions.",
        citation="LoBue and Thrasher 2015, The Child Affective Facial Expression (CAFE) set: validity and reliability from "
        "untrained adults, Frontiers in Psychology",
        terms="for research, by people whom Databrary and their institution authorize; no picture may be shown in publications",
        research_only=True,
        may_be_passed_on=False,
        get="become an authorized investigator of Databrary, and download the whole volume of CAFE there",
        places=(Place("sessions/<6280>/<9977>-<angry>_<F-AA-01>.jpg", "pictures, in a folder for each child"),),
        layout_source="names of files in code that reads it; words that no such code names are guessed",
        protocols={
            "halves": PublishedProtocol(
                "45/10/45 % of the children; the paper adds 5,000 labels of FER+: --also SET --also-labels 5000", {}, 0, ("ALT",)
            )
        },
    )

    input: Path
    """The folder of `sessions`."""
    seed: Seed = 0
    """Which division of the children; the paper's own is not published."""
    side: PictureSide = 224
    """Side of the stored faces in pixels."""
    color: bool = False
    """Keep color; gray otherwise."""
    limits: LimitSwitch = "on"
    """Limits of the pictures' files: off, where they are known."""

    def info(self) -> Info:
        """Seven classes."""
        return self.facts.info(
            classes=BASIC, side=self.side, color=self.color, name="CAFE", alignment="the central square of a photo of a head"
        )

    def total(self) -> int:
        """The published number of pictures."""
        return COUNT

    @override
    def published_counts(self) -> Mapping[str, Mapping[str, int]]:
        """All pictures."""
        return {"": {"": COUNT}}

    def blocks(self) -> Iterator[FaceBlock]:
        """Faces with id, label, subject and split. Raises MienError where something is missing."""
        require_places(self.input, self.facts.places, "cafe")
        yield from read_labeled_pictures(self._pictures(), ("subject", "split"), self.side, self.color, self.limits)

    def _pictures(self) -> Iterator[LabeledPicture]:
        files = [file for file in sorted((self.input / "sessions").glob("*/*")) if _is_picture(file)]
        named = [(file, *_said(file)) for file in files]  # all first: the splits want all children
        splits = self._splits({child for _, _, child in named})
        for file, label, child in named:
            yield LabeledPicture(file, file.stem, label, child, split=splits[child])

    def _splits(self, children: set[str]) -> dict[str, str]:
        """The split of each child."""
        drawn = sorted(children, key=lambda child: hashlib.sha256(f"{self.seed} {child}".encode()).digest())
        train, validation = (round(share * len(drawn)) for share in (TRAIN, TRAIN + VALIDATION))
        names = ("train",) * train + ("validation",) * (validation - train) + ("test",) * (len(drawn) - validation)
        return dict(zip(drawn, names, strict=True))


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in (".jpg", ".jpeg") and not file.name.startswith(".")


def _said(file: Path) -> tuple[int, str]:
    """The label and the child that a picture's name tells."""
    found = NAME.match(file.stem)
    if found is None:
        wanted = f"a picture named NUMBER-EXPRESSION_CHILD, such as 9977-angry_F-AA-01.jpg, at {file}"
        raise MienError(wanted, "another name", "take pictures that are no child's out of `sessions`")
    return BASIC.index(WORDS[found[1].lower()]), found[2].upper()
