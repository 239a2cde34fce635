"""LIRIS-CSE: videos of children who watch films, their spontaneous expressions (Khan et al. 2019)."""

import re
from collections.abc import Iterator
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

FRAMES = "frames"


@dataclass(frozen=True, config=STRICT)
class LirisCse(Source):
    """Frames that were taken from its videos, a folder for each video, without labels. Ids are VIDEO/FRAME.

    The middle of each is taken: frames are to be cut out around the faces. `mien prepare` does that from the videos themselves,
    and no other reader is needed then.
    """

    facts: ClassVar[Database] = Database(
        title="LIRIS-CSE, Children's Spontaneous facial Expressions",
        about="208 videos of 12 children of 6 to 12 years who watch films; a video has one expression, which 22 people judged.",
        citation="Khan, Crenn, Meyer and Bouakaz 2019, A novel database of children's spontaneous facial expressions (LIRIS-CSE)",
        terms="for research, by an agreement with its authors; its faces are children's",
        research_only=True,
        may_be_passed_on=False,
        get="ask its authors (LIRIS, Lyon) by their page; the faces of the videos themselves: mien prepare FOLDER/videos_208 OUT",
        places=(
            Place("videos_208/<S1_happy_1.mp4>", "the videos as published, for `mien prepare`: the child's number comes first"),
            Place(
                "frames/<S1_happy_1>/<1.png>", "frames that you took from them, cut out around the faces, numbered as they come"
            ),
        ),
        layout_source="code that reads its videos",
        protocols={
            "unlabeled": PublishedProtocol(
                "1,389 faces of 7 children without labels, beside CAFE", papers=("ALT",), measured=False
            )
        },
    )

    input: Path
    """The folder that holds `frames`."""
    side: PictureSide = 100
    """Side of the stored faces in pixels."""
    color: bool = False
    """Keep color; gray otherwise."""
    limits: LimitSwitch = "on"
    """Limits of the pictures' files: off, where they are known."""

    def info(self) -> Info:
        """No classes."""
        return self.facts.info(
            classes=(), side=self.side, color=self.color, name="LIRIS-CSE", alignment="as the frames were cut out"
        )

    def total(self) -> int:
        """Unknown until all is looked through."""
        return 0

    @override
    def pictures(self) -> list[Path]:
        """The frames' files."""
        return [picture.path for picture in self._pictures()]

    def blocks(self) -> Iterator[FaceBlock]:
        """Faces with id, label (-1), subject, sequence and frame. Raises MienError where something is missing."""
        require_places(self.input, [place for place in self.facts.places if place.path.startswith(FRAMES)], "liris_cse")
        yield from read_labeled_pictures(self._pictures(), ("subject", "sequence", "frame"), self.side, self.color, self.limits)

    def _pictures(self) -> Iterator[LabeledPicture]:
        above = self.input / FRAMES
        for video in folder_names(above):
            child = re.fullmatch(r"(S[0-9]{1,3})_.+", video)
            if child is None:
                todo = "name each folder like its video"
                raise MienError(f"folders named like S1_happy_1 in {above}", repr(video[:100]), todo)
            numbered = sorted((_number(above / video / name), name) for name in picture_names(above / video))
            for number, name in numbered:
                path = above / video / name
                yield LabeledPicture(path, f"{video}/{path.stem}", -1, child[1], video, number)


def _number(file: Path) -> int:
    """The frame's number, at the end of its name."""
    found = re.search(r"[0-9]{1,9}$", file.stem)
    if found is None:
        raise MienError(f"the number of a frame at the end of the name of {file}", "none", "number the frames as they come")
    return int(found[0])
