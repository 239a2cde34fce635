"""RaFD, the Radboud Faces Database: eight posed expressions of 67 people (Langner et al. 2010)."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

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

WORDS = {
    "angry": "anger", "contemptuous": "contempt", "disgusted": "disgust", "fearful": "fear", "happy": "happiness",
    "neutral": "neutral", "sad": "sadness", "surprised": "surprise",
}  # fmt: skip
"""What the names of files call the expressions."""
PEOPLE, CAMERAS, GAZES = 67, 5, 3
NAME = re.compile(r"Rafd(000|045|090|135|180)_(\d\d)_[A-Za-z]+_[a-z]+_([a-z]+)_(frontal|left|right)\.jpg", re.ASCII)


@dataclass(frozen=True, config=STRICT)
class Rafd(Source):
    """Frontal pictures, labeled with the expression that was asked for. Ids are their names, without `.jpg`; folds by person."""

    facts: ClassVar[Database] = Database(
        title="RaFD, the Radboud Faces Database",
        about="8,040 color pictures of 67 adults and children in 8 posed expressions, 3 gazes and 5 views. 681 x 1024 pixels.",
        citation="Langner et al. 2010, Presentation and validation of the Radboud Faces Database, Cognition and Emotion 24(8)",
        terms="for science alone, by researchers of accredited universities, each of whom asks for it",
        research_only=True,
        may_be_passed_on=False,
        get="ask for access on its page, with a link that shows your university, and unpack the archive",
        places=(
            Place(
                "<Rafd090_28_Caucasian_male_angry_frontal>.jpg",
                "pictures: the camera's angle (090 is frontal), person, group, sex, expression, gaze",
            ),
        ),
        layout_source="its page, which explains the names, and code that reads it",
        protocols={
            "gazes": PublishedProtocol(
                "the frontal view, all three gazes: 1,407 faces; ST+SW does not say whether folds go by person",
                {"gaze": "all"},
                5,
                ("ST+SW",),
            ),
            "straight": PublishedProtocol("the frontal view, looking into the camera", {}, 10),
            "eight": PublishedProtocol("as `straight`, with contempt", {"contempt": True}, 10),
        },
    )

    input: Path
    """The folder of the pictures."""
    views: Literal["frontal", "all"] = "frontal"
    """The frontal camera alone, or all five."""
    gaze: Literal["frontal", "all"] = "frontal"
    """Looking into the frontal camera alone, or to the left and right, too."""
    contempt: bool = False
    """Contempt is a class; without, its pictures are left out."""
    side: PictureSide = 128
    """Side of the stored faces in pixels."""
    color: bool = False
    """Keep color; gray otherwise."""
    limits: LimitSwitch = "on"
    """Limits of the pictures' files: off, where they are known."""

    def info(self) -> Info:
        """Seven classes, or eight with contempt."""
        align = "the central square; its authors put the faces' landmarks in the same places"
        return self.facts.info(classes=self._names(), side=self.side, color=self.color, name="RaFD", alignment=align)

    def total(self) -> int:
        """The published number of pictures."""
        return len(self._names()) * self._of_each()

    @override
    def published_counts(self) -> Mapping[str, Mapping[str, int]]:
        """By class: all people show all expressions in each view and gaze."""
        return {"": dict.fromkeys(self._names(), self._of_each())}

    def blocks(self) -> Iterator[FaceBlock]:
        """Faces with id, label and subject. Raises MienError for a picture whose name does not say what it shows."""
        require_places(self.input, self.facts.places, "rafd")
        yield from read_labeled_pictures(self._pictures(), ("subject",), self.side, self.color, self.limits)

    def _names(self) -> tuple[str, ...]:
        return tuple(sorted({*BASIC, "contempt"})) if self.contempt else BASIC

    def _of_each(self) -> int:
        return PEOPLE * (CAMERAS if self.views == "all" else 1) * (GAZES if self.gaze == "all" else 1)

    def _pictures(self) -> Iterator[LabeledPicture]:
        names = self._names()
        files = sorted(self.input.glob("[!.]*.jpg"))
        if not files:
            todo = "give the folder that holds them: see mien databases rafd"
            raise MienError(f"pictures such as {self.input / 'Rafd090_28_Caucasian_male_angry_frontal.jpg'}", "none", todo)
        for file in files:
            said = NAME.fullmatch(file.name)
            if said is None or said[3] not in WORDS:
                wanted = f"names such as Rafd090_28_Caucasian_male_angry_frontal.jpg in {self.input}"
                raise MienError(wanted, file.name, "take the files as they were published")
            angle, person, word, gaze = said.groups()
            asked = (self.views == "all" or angle == "090") and (self.gaze == "all" or gaze == "frontal")
            if asked and WORDS[word] in names:
                yield LabeledPicture(file, file.stem, names.index(WORDS[word]), person)
