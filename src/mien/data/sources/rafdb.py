"""RAF-DB: faces from the web, each labeled by about 40 people; the part with one basic expression a face (Li et al. 2017)."""

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
from mien.media.face_pictures import PixelBox
from mien.media.file_limits import LimitSwitch
from mien.settings import STRICT, PictureSide
from mien.tabular.number_files import read_numbers, stream_lines

CODES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
"""What the codes 1 to 7 of the list mean."""
TRAIN = (1290, 281, 717, 4772, 1982, 705, 2524)
TEST = (329, 74, 160, 1185, 478, 162, 680)
"""Faces of each code."""
LIST = "EmoLabel/list_patition_label.txt"


@dataclass(frozen=True, config=STRICT)
class Rafdb(Source):
    """The basic part of RAF-DB, with its splits train and test. Ids are the names of the list, without `.jpg`."""

    facts: ClassVar[Database] = Database(
        title="RAF-DB, the Real-world Affective Faces Database (basic)",
        about="15,339 color faces from the web, 100 x 100 as aligned by their authors, or the photos with boxes.",
        citation="Li, Deng and Du 2017, Reliable crowdsourcing and deep locality-preserving learning, CVPR",
        terms="for research that is not commercial, by people of a university or institute who ask for it",
        research_only=True,
        may_be_passed_on=False,
        get="ask its authors, as their page says, from an address of a university; they send a password for the archives",
        places=(
            Place(LIST, "the list: a name and a code from 1 to 7 in each line"),
            Place("Image/aligned/<train_00001>_aligned.jpg", "aligned faces"),
            Place("Image/original/<train_00001>.jpg", "the photos, for `crops=original`"),
            Place("Annotation/boundingbox/<train_00001>_boundingbox.txt", "left, top, right and bottom, for `crops=original`"),
        ),
        layout_source="code that reads it; the spelling of the list's name is its authors'",
        protocols={"standard": PublishedProtocol("train on train, test on test", {}, 0, ("ALT", "ST+SW"))},
    )

    input: Path
    """The folder `basic`."""
    crops: Literal["aligned", "original"] = "aligned"
    """The aligned faces, or the squares around the boxes in the photos."""
    side: PictureSide = 100
    """Side of the stored faces in pixels."""
    color: bool = False
    """Keep color; gray otherwise."""
    limits: LimitSwitch = "on"
    """Limits of the pictures' files: off, where they are known."""

    def info(self) -> Info:
        """Seven classes."""
        align = "by its authors, on the eyes and the mouth" if self.crops == "aligned" else "a square around the given box"
        return self.facts.info(classes=BASIC, side=self.side, color=self.color, name=f"RAF-DB, {self.crops}", alignment=align)

    def total(self) -> int:
        """The published number of faces."""
        return sum(TRAIN) + sum(TEST)

    @override
    def published_counts(self) -> Mapping[str, Mapping[str, int]]:
        """By split and class."""
        return {"train": dict(zip(CODES, TRAIN, strict=True)), "test": dict(zip(CODES, TEST, strict=True))}

    def blocks(self) -> Iterator[FaceBlock]:
        """Faces with id, label and split. Raises MienError where something is missing."""
        aligned = self.crops == "aligned"
        need = [place for place in self.facts.places if place.path == LIST or aligned == ("aligned" in place.path)]
        require_places(self.input, need, "rafdb")
        yield from read_labeled_pictures(self._pictures(), ("split",), self.side, self.color, self.limits)

    def _pictures(self) -> Iterator[LabeledPicture]:
        lines = dict[str, int]()
        for line, (name, code) in stream_lines(self.input / LIST, 2, " "):
            stem, split = name.removesuffix(".jpg"), name.partition("_")[0]
            if lines.setdefault(stem, line) != line:
                found = f"{stem[:100]} in lines {lines[stem]} and {line}"
                raise MienError(f"each face once in {self.input / LIST}", found, "take the file as it was published")
            if code not in "1234567" or len(code) != 1 or split not in ("train", "test"):
                wanted = f"a name that begins with train or test, and a code from 1 to {len(CODES)}, in {self.input / LIST}"
                raise MienError(wanted, f"{name[:100]} {code[:20]}", "take the file as it was published")
            label = BASIC.index(CODES[int(code) - 1])
            if self.crops == "aligned":
                yield LabeledPicture(self.input / f"Image/aligned/{stem}_aligned.jpg", stem, label, split=split)
            else:
                left, top, right, bottom = read_numbers(self.input / f"Annotation/boundingbox/{stem}_boundingbox.txt", 1, 4)[0]
                box = PixelBox(left, top, right - left, bottom - top)
                yield LabeledPicture(self.input / f"Image/original/{stem}.jpg", stem, label, split=split, box=box)
