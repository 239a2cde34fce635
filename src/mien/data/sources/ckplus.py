"""CK+, the extended Cohn-Kanade database: sequences from a face at rest to the peak of an expression (Lucey et al. 2010)."""

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
from mien.settings import STRICT, Count, PictureSide, Share
from mien.tabular.number_files import read_numbers

CODES = ("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
"""What the codes 0 to 7 of the label files mean."""
SEQUENCES = {"anger": 45, "contempt": 18, "disgust": 59, "fear": 25, "happiness": 69, "sadness": 28, "surprise": 83}
"""Sequences with a label, by class; 327 of 593."""
POINTS = 68


def _folds(about: str, classes: str, *papers: str) -> PublishedProtocol:
    return PublishedProtocol(about, {"classes": classes}, 10, papers, ascending=True)


@dataclass(frozen=True, config=STRICT)
class Ckplus(Source):
    """The last frames of every labeled sequence as its expression, and, where `neutral` is a class, its first frame at rest.

    Faces are cut out around their 68 landmarks. Ids are SUBJECT/SEQUENCE/FRAME; folds go by subject. Sequences without a label
    are left out.
    """

    facts: ClassVar[Database] = Database(
        title="CK+, the extended Cohn-Kanade database",
        about="593 sequences of 123 people in a laboratory, posed; 327 have one of seven labels. 640 x 490 pixels, mostly gray.",
        citation="Lucey et al. 2010, The extended Cohn-Kanade dataset (CK+), CVPR Workshops",
        terms="for research, by an agreement that each user signs; only named people may be shown in publications",
        research_only=True,
        may_be_passed_on=False,
        get="ask the Affect Analysis Group of the University of Pittsburgh for the agreement, sign it, unpack its archives",
        places=(
            Place("cohn-kanade-images/<S005>/<001>/<S005_001_00000001>.png", "frames"),
            Place("Emotion/<S005>/<001>/<S005_001_00000011>_emotion.txt", "the labels of sequences, one number"),
            Place("Landmarks/<S005>/<001>/<S005_001_00000001>_landmarks.txt", "the landmarks of frames, 68 lines of x and y"),
        ),
        layout_source="the read-me file that comes with it, and code that reads it",
        protocols={
            "six": _folds("ten folds by ascending subject; the last three frames", "six", "SNA", "FN2EN"),
            "seven": _folds("as `six`, with contempt", "seven"),
            "eight": _folds("as `seven`, and the first frame as neutral", "eight", "FN2EN"),
            "basic": _folds("as `six`, and the first frame as neutral", "basic", "ST+SW"),
        },
    )

    input: Path
    """The folder of its three folders."""
    classes: Literal["six", "basic", "seven", "eight"] = "six"
    """The six basic expressions; these and neutral; these and contempt; these, contempt and neutral."""
    last: Count = 3
    """Frames at the end of a sequence that are taken."""
    margin: Share = 0.15
    """How far a crop reaches beyond the landmarks, as a share of their width and height, on each side."""
    side: PictureSide = 96
    """Side of the stored faces in pixels."""
    color: bool = False
    """Keep color; gray otherwise."""
    limits: LimitSwitch = "on"
    """Limits of the pictures' files: off, where they are known."""

    def info(self) -> Info:
        """What holds for its faces."""
        align = f"a square around 68 given landmarks and {self.margin:g} of their size on each side"
        return self.facts.info(
            classes=self._names(), side=self.side, color=self.color, name=f"CK+, {self.classes}", alignment=align
        )

    def total(self) -> int:
        """Unknown until all is looked through."""
        return 0

    @override
    def published_counts(self) -> Mapping[str, Mapping[str, int]]:
        """The sequences' numbers times the frames that are taken."""
        names = self._names()
        counts = {name: count * self.last for name, count in SEQUENCES.items() if name in names}
        return {"": counts | ({"neutral": sum(counts.values()) // self.last} if "neutral" in names else {})}

    def blocks(self) -> Iterator[FaceBlock]:
        """Faces with id, label, subject, sequence and frame. Raises MienError where something is missing."""
        require_places(self.input, self.facts.places, "ckplus")
        yield from read_labeled_pictures(self._pictures(), ("subject", "sequence", "frame"), self.side, self.color, self.limits)

    def _names(self) -> tuple[str, ...]:
        return tuple(
            name
            for name in sorted({*BASIC, "contempt"})
            if (name != "contempt" or self.classes in ("seven", "eight"))
            and (name != "neutral" or self.classes in ("basic", "eight"))
        )

    def _pictures(self) -> Iterator[LabeledPicture]:
        names = self._names()
        for file in sorted((self.input / "Emotion").glob("[!.]*/[!.]*/[!.]*_emotion.txt")):
            subject, sequence = file.parts[-3:-1]
            code = read_numbers(file, 1, 1)[0, 0]
            if code not in range(len(CODES)):
                raise MienError(f"a label from 0 to {len(CODES) - 1} in {file}", f"{code:g}", "take the file as it was published")
            name = CODES[int(code)]
            frames = sorted((self.input / "cohn-kanade-images" / subject / sequence).glob("[!.]*.[pP][nN][gG]"))
            if len(frames) <= self.last:
                found = f"{len(frames)} in {self.input / 'cohn-kanade-images' / subject / sequence}"
                raise MienError(f"more than {self.last} frames of a labeled sequence", found, "unpack the frames again")
            chosen = [(frames[0], "neutral"), *((frame, name) for frame in frames[-self.last :])]
            for frame, said in chosen:
                if said in names and (said != "neutral" or name in names):
                    yield self._picture(frame, names.index(said), subject, sequence)

    def _picture(self, path: Path, label: int, subject: str, sequence: str) -> LabeledPicture:
        points = read_numbers(self.input / "Landmarks" / subject / sequence / f"{path.stem}_landmarks.txt", POINTS, 2)
        (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        width, height = right - left, bottom - top
        box = PixelBox(
            left - self.margin * width, top - self.margin * height, *(each * (1 + 2 * self.margin) for each in (width, height))
        )
        frame = path.stem.rpartition("_")[2]
        return LabeledPicture(
            path, f"{subject}/{sequence}/{frame}", label, subject, f"{subject}/{sequence}",
            int(frame) if frame.isdecimal() else None, box=box,
        )  # fmt: skip
