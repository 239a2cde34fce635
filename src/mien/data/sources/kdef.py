"""KDEF, the Karolinska Directed Emotional Faces: seven posed expressions of 70 people from five sides (Lundqvist et al. 1998)."""

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

CODES = {
    "AF": "fear", "AN": "anger", "DI": "disgust", "HA": "happiness", "NE": "neutral", "SA": "sadness", "SU": "surprise",
}  # fmt: skip
"""What the two letters after the person's number mean."""
ANGLES = ("FL", "HL", "S", "HR", "FR")
"""Full and half left profile, straight, half and full right profile."""
PEOPLE, SESSIONS = 70, 2
NAME = re.compile(r"[AB]([FM]\d\d)(AF|AN|DI|HA|NE|SA|SU)(FL|HL|S|HR|FR)", re.ASCII)
RENAMED = {"AF31V": "AF31SAHL", "AM31H": "AM31SUHR"}
"""Two names in the archive are mangled. These are the names that their folders lack."""


@dataclass(frozen=True, config=STRICT)
class Kdef(Source):
    """Pictures of both sessions, labeled with the expression that was asked for. Ids are their names, without `.JPG`.

    A person has the same number in both sessions, so folds go by letter and number: F01 for AF01 and BF01. About ten
    profiles in the archive are black.
    """

    facts: ClassVar[Database] = Database(
        title="KDEF, the Karolinska Directed Emotional Faces",
        about="4,900 color pictures of 70 people in 7 posed expressions, from 5 sides, in 2 sessions. 562 x 762 pixels.",
        citation="Lundqvist, Flykt and Öhman 1998, The Karolinska Directed Emotional Faces (KDEF), Karolinska Institutet",
        terms="for research that is not commercial, by researchers; never passed on without written consent",
        research_only=True,
        may_be_passed_on=False,
        get="download it from its page, kdef.se, on the terms there, and unpack the archive",
        places=(Place("<AF01>/<AF01AFS>.JPG", "pictures: session A or B, person, expression, side"),),
        layout_source="its page, which explains such names, and code that reads it",
        protocols={
            "frontal": PublishedProtocol("the straight view, both sessions; ten folds of people", {}, 10),
            "angles": PublishedProtocol("all five sides, both sessions; ten folds of people", {"angles": "all"}, 10),
        },
    )

    input: Path
    """The folder `KDEF`, which holds a folder for each person and session."""
    angles: Literal["frontal", "all"] = "frontal"
    """The straight view alone, or all five sides."""
    side: PictureSide = 128
    """Side of the stored faces in pixels."""
    color: bool = False
    """Keep color; gray otherwise."""
    limits: LimitSwitch = "on"
    """Limits of the pictures' files: off, where they are known."""

    def info(self) -> Info:
        """Seven classes."""
        align = "the central square; its authors put eyes and mouth in the same places"
        return self.facts.info(classes=BASIC, side=self.side, color=self.color, name=f"KDEF, {self.angles}", alignment=align)

    def total(self) -> int:
        """The published number of pictures."""
        return PEOPLE * SESSIONS * len(CODES) * len(self._angles())

    @override
    def published_counts(self) -> Mapping[str, Mapping[str, int]]:
        """By class: all people show all expressions in both sessions."""
        return {"": dict.fromkeys(CODES.values(), self.total() // len(CODES))}

    def blocks(self) -> Iterator[FaceBlock]:
        """Faces with id, label and subject. Raises MienError for a picture whose name does not say what it shows."""
        require_places(self.input, self.facts.places, "kdef")
        yield from read_labeled_pictures(self._pictures(), ("subject",), self.side, self.color, self.limits)

    def _angles(self) -> tuple[str, ...]:
        return ANGLES if self.angles == "all" else ("S",)

    def _pictures(self) -> Iterator[LabeledPicture]:
        folders = sorted(self.input.glob("[AB][FM][0-9][0-9]"))
        if not folders:
            todo = "give the folder that holds them: see mien databases kdef"
            raise MienError(f"folders such as {self.input / 'AF01'}", "none", todo)
        for folder in folders:
            files = sorted(folder.glob("[!.]*.[jJ][pP][gG]"))
            if not files:
                raise MienError(f"pictures such as {folder / folder.name}AFS.JPG", "none", "unpack the folder again")
            for file in files:
                stem = RENAMED.get(file.stem.upper(), file.stem.upper())
                said = NAME.fullmatch(stem)
                if said is None or not stem.startswith(folder.name):
                    wanted = f"names such as {folder.name}AFS.JPG in {folder}"
                    raise MienError(wanted, file.name, "take the files as they were published")
                if said[3] in self._angles():
                    yield LabeledPicture(file, stem, BASIC.index(CODES[said[2]]), said[1])
