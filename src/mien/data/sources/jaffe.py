"""JAFFE: posed expressions of ten Japanese women (Lyons et al. 1998)."""

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
from mien.settings import STRICT, PictureSide

CODES = {
    "AN": "anger", "DI": "disgust", "FE": "fear", "HA": "happiness", "NE": "neutral", "SA": "sadness", "SU": "surprise",
}  # fmt: skip
"""What the two letters before the first number of a name mean."""
COUNTS = {"anger": 30, "disgust": 29, "fear": 32, "happiness": 31, "neutral": 30, "sadness": 31, "surprise": 30}
"""Pictures of each class among the names in the archive; their sum is the number that the authors give."""
NAME = re.compile(r"([A-Z]{2})\.([A-Z]{2})\d\.\d{1,3}\.tiff", re.ASCII)


@dataclass(frozen=True, config=STRICT)
class Jaffe(Source):
    """All pictures, labeled with the expression that was asked for. Ids are their names, without `.tiff`; folds go by person."""

    facts: ClassVar[Database] = Database(
        title="JAFFE, the Japanese Female Facial Expression database",
        about="213 gray pictures of 10 women, each in 7 posed expressions, two to four times. 256 x 256 pixels.",
        citation="Lyons, Akamatsu, Kamachi and Gyoba 1998, Coding facial expressions with Gabor wavelets, FG",
        terms="for research that is not commercial, by people who ask for it; publications must cite it",
        research_only=True,
        may_be_passed_on=False,
        get="ask for access on its page at Zenodo, as the instructions there say, and unpack the archive",
        places=(Place("<KA.AN1.39>.tiff", "pictures: who, the expression and its repetition, a running number"),),
        layout_source="lists of the archive's names, and code that reads it",
        protocols={"people": PublishedProtocol("each person is the test set once", {}, 10)},
    )

    input: Path
    """The folder of the pictures."""
    side: PictureSide = 128
    """Side of the stored faces in pixels."""
    color: bool = False
    """Keep color; gray otherwise. The pictures are gray."""
    limits: LimitSwitch = "on"
    """Limits of the pictures' files: off, where they are known."""

    def info(self) -> Info:
        """Seven classes."""
        return self.facts.info(classes=BASIC, side=self.side, color=self.color, name="JAFFE", alignment="as its authors cut it")

    def total(self) -> int:
        """The published number of pictures."""
        return sum(COUNTS.values())

    @override
    def published_counts(self) -> Mapping[str, Mapping[str, int]]:
        """By class."""
        return {"": COUNTS}

    def blocks(self) -> Iterator[FaceBlock]:
        """Faces with id, label and subject. Raises MienError for a picture whose name does not say what it shows."""
        require_places(self.input, self.facts.places, "jaffe")
        yield from read_labeled_pictures(self._pictures(), ("subject",), self.side, self.color, self.limits)

    def _pictures(self) -> Iterator[LabeledPicture]:
        files = sorted(self.input.glob("[!.]*.tiff"))
        if not files:
            todo = "give the folder that holds them: see mien databases jaffe"
            raise MienError(f"pictures such as {self.input / 'KA.AN1.39.tiff'}", "none", todo)
        for file in files:
            said = NAME.fullmatch(file.name)
            if said is None or said[2] not in CODES:
                wanted = f"names such as KA.AN1.39.tiff, with one of {', '.join(CODES)}"
                raise MienError(wanted, f"{file}", "take the files as they were published")
            yield LabeledPicture(file, file.stem, BASIC.index(CODES[said[2]]), said[1])
