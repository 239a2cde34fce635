"""CASIA-WebFace: photos of 10,575 people from the web, to learn faces from (Yi et al. 2014)."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.data.database import Database, Place, PublishedProtocol, require_places
from mien.data.format import Info
from mien.data.labeled_pictures import LabeledPicture, read_labeled_pictures
from mien.data.sorted_listings import folder_names, picture_names
from mien.data.source import FaceBlock, Source
from mien.errors import MienError
from mien.media.file_limits import LimitSwitch
from mien.settings import STRICT, PictureSide

FACES = 494_414
"""Pictures, of 10,575 people."""


@dataclass(frozen=True, config=STRICT)
class CasiaWebface(Source):
    """The pictures as they are, without expression labels, and who is on each. Ids are PERSON/PICTURE, without `.jpg`.

    `mien identities` makes a set of it whose classes are people.
    """

    facts: ClassVar[Database] = Database(
        title="CASIA-WebFace",
        about="494,414 pictures of 10,575 people known from films, 250 x 250 with the face in the middle; no expression labels.",
        citation="Yi, Lei, Liao and Li 2014, Learning face representation from scratch, arXiv:1411.7923",
        terms="for research that is not commercial, by an agreement that an institute signs",
        research_only=True,
        may_be_passed_on=False,
        get="ask its authors at the Institute of Automation (CASIA) for the agreement; copies by others may have other names",
        places=(Place("<0000045>/<001.jpg>", "pictures, in a folder for each person, who is a number"),),
        layout_source="code that reads it",
        protocols={"people": PublishedProtocol("pretraining: a network learns who is who", papers=("DAL",), measured=False)},
    )

    input: Path
    """The folder of the people's folders."""
    side: PictureSide = 112
    """Side of the stored faces in pixels."""
    color: bool = False
    """Keep color; gray otherwise."""
    limits: LimitSwitch = "on"
    """Limits of the pictures' files: off, where they are known."""

    def info(self) -> Info:
        """No classes."""
        return self.facts.info(
            classes=(),
            side=self.side,
            color=self.color,
            name="CASIA-WebFace",
            alignment="the pictures as published, in which the face is in the middle and not turned upright",
        )

    def total(self) -> int:
        """The published number of pictures."""
        return FACES

    @override
    def published_counts(self) -> Mapping[str, Mapping[str, int]]:
        """All of them."""
        return {"": {"": FACES}}

    def blocks(self) -> Iterator[FaceBlock]:
        """Faces with id, label (-1) and subject. Raises MienError where a folder is none of a person."""
        require_places(self.input, self.facts.places, "casia_webface")
        yield from read_labeled_pictures(self._pictures(), ("subject",), self.side, self.color, self.limits)

    def _pictures(self) -> Iterator[LabeledPicture]:
        people = folder_names(self.input)
        odd = next((name for name in people if not (name.isascii() and name.isdecimal())), None)
        if odd is not None:
            todo = "give the folder that holds those of the people, and nothing else"
            raise MienError(f"folders named by numbers in {self.input}", repr(odd[:100]), todo)
        for person in people:
            for name in picture_names(self.input / person):
                yield LabeledPicture(self.input / person / name, f"{person}/{Path(name).stem}", -1, subject=person)
