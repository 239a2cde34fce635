"""MegaFace: faces of photos from Flickr, a benchmark of face recognition (Kemelmacher-Shlizerman et al. 2016)."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.data.database import Database, Place, PublishedProtocol, require_places
from mien.data.format import Info
from mien.data.labeled_pictures import LabeledPicture, read_labeled_pictures
from mien.data.sorted_listings import folder_names, picture_names
from mien.data.source import FaceBlock, Source
from mien.errors import MienError
from mien.json_toml import read_json
from mien.media.face_pictures import PixelBox
from mien.media.file_limits import LimitSwitch
from mien.settings import STRICT, PictureSide, Share

FACES = {"identities": 4_753_320, "distractors": 1_027_060}
"""Pictures of each part."""
FOLDERS = {"identities": "MegafaceIdentities_VGG", "distractors": "FlickrFinal2"}
AS_PUBLISHED = "take the file as it was published"


@dataclass(frozen=True, config=STRICT)
class Megaface(Source):
    """The tight crops of its second challenge, with who is on each, or the photos of its first; no expression labels.

    Ids are the pictures' paths below the part's folder, without `.jpg`. Of the first challenge's photos the square around the
    given box is taken, or the middle where none is given; whose account a photo comes from is no person, and left out.
    """

    facts: ClassVar[Database] = Database(
        title="MegaFace (second challenge: MF2)",
        about="faces of Flickr photos: 4,753,320 tight crops of 672,057 people, or a million photos with boxes; no expressions.",
        citation="Kemelmacher-Shlizerman et al. 2016, The MegaFace benchmark, CVPR; Nech and Kemelmacher-Shlizerman 2017 (MF2)",
        terms="for research; each photo has its own Creative Commons license, and most of these forbid commercial use",
        research_only=True,
        may_be_passed_on=False,
        get="the University of Washington ended its distribution in 2020: only who has it from before may have it",
        places=(
            Place("MegafaceIdentities_VGG/<10011748@N08_identity_0>/<867465917_0.jpg>", "tight crops, a folder for each person"),
            Place("FlickrFinal2/<901>/<9019583@N08>/<8032652775_0.jpg>", "photos, for `part=distractors`"),
            Place("FlickrFinal2/<901>/<9019583@N08>/<8032652775_0.jpg.json>", "their boxes: bounding_box, x, y, width, height"),
        ),
        layout_source="code that reads it, and the read-me of DiveFace, which names its crops",
        protocols={
            "unlabeled": PublishedProtocol(
                "about 311,000 faces without labels, beside RAF-DB or FER+",
                {"part": "distractors", "share": 0.303},
                papers=("ALT",),
                measured=False,
            ),
        },
    )

    input: Path
    """The folder that holds MegafaceIdentities_VGG or FlickrFinal2."""
    part: Literal["identities", "distractors"] = "identities"
    """The tight crops of the second challenge, by person, or the photos of the first."""
    share: Share = 1.0
    """The share of the people (or accounts) that is taken, by a hash of their names."""
    side: PictureSide = 100
    """Side of the stored faces in pixels."""
    color: bool = False
    """Keep color; gray otherwise."""
    limits: LimitSwitch = "on"
    """Limits of the pictures' files: off, where they are known."""

    def info(self) -> Info:
        """No classes."""
        crops = self.part == "identities"
        align = "tight crops by its authors, not turned upright" if crops else "the square around the given box"
        return self.facts.info(classes=(), side=self.side, color=self.color, name=f"MegaFace, {self.part}", alignment=align)

    def total(self) -> int:
        """About how many there are."""
        return round(FACES[self.part] * self.share)

    @override
    def published_counts(self) -> Mapping[str, Mapping[str, int]]:
        """All of the part; nothing for a share of it."""
        return {"": {"": FACES[self.part]}} if self.share == 1 else {}

    def blocks(self) -> Iterator[FaceBlock]:
        """Faces with id and label (-1), and subject for `identities`. Raises MienError where something is missing."""
        require_places(self.input, [place for place in self.facts.places if place.path.startswith(self._folder)], "megaface")
        columns = ("subject",) if self.part == "identities" else ()
        yield from read_labeled_pictures(self._pictures(), columns, self.side, self.color, self.limits)

    @property
    def _folder(self) -> str:
        return FOLDERS[self.part]

    def _pictures(self) -> Iterator[LabeledPicture]:
        above, crops = self.input / self._folder, self.part == "identities"
        for inner in self._folders():
            for file in picture_names(above / inner):
                path = above / inner / file
                box = None if crops else _box(path.with_name(f"{file}.json"))
                subject = inner if crops else ""
                yield LabeledPicture(path, f"{inner}/{Path(file).stem}", -1, subject=subject, box=box)

    def _folders(self) -> Iterator[str]:
        """Folders of the people or accounts that are taken, by their paths from the part's folder."""
        above, crops = self.input / self._folder, self.part == "identities"
        for first in folder_names(above):
            for inner in (first,) if crops else (f"{first}/{second}" for second in folder_names(above / first)):
                name = inner.rpartition("/")[2]
                if "@" not in name or crops != ("_identity_" in name):
                    wanted = "<account>_identity_<number>" if crops else "<account>, such as 9019583@N08,"
                    raise MienError(f"folders named {wanted} in {(above / inner).parent}", repr(name[:100]), "unpack it again")
                if self.share == 1 or _part_of_one(name) < self.share:
                    yield inner


def _part_of_one(name: str) -> float:
    """A number from 0 to below 1 that a name always gives."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8], "big") / 2**64


def _box(file: Path) -> PixelBox | None:
    """The box in a photo's description; None where it gives none. Raises MienError for one that is no box."""
    box = read_json(file, AS_PUBLISHED).get("bounding_box")
    if box is None:
        return None
    keys = ("x", "y", "width", "height")
    given = [box.get(key) if isinstance(box, dict) else None for key in keys]
    values = [float(value) for value in given if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(values) != len(keys):
        raise MienError(f"a bounding_box of {', '.join(keys)} in {file}", repr(box)[:100], AS_PUBLISHED)
    return PixelBox(*values)
