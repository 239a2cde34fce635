"""SFEW 2.0: frames of films, labeled with one of seven expressions (Dhall et al. 2011 and 2015)."""

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

FOLDERS = {
    "Angry": "anger", "Disgust": "disgust", "Fear": "fear", "Happy": "happiness", "Neutral": "neutral", "Sad": "sadness",
    "Surprise": "surprise",
}  # fmt: skip
"""What the folders of classes are called."""
ALIGNED = {"anger": 255, "disgust": 75, "fear": 124, "happiness": 256, "neutral": 228, "sadness": 234, "surprise": 150}
"""Aligned faces of each class, in both splits."""
TRAIN, TEST = {"aligned": 891, "photos": 958}, {"aligned": 431, "photos": 436}
"""Pictures of each split."""
CLIP = re.compile(r"(.+_\d+)_(\d{1,9})", re.ASCII)
"""The name of a picture: its film, the time of the clip, and the number of the frame."""


@dataclass(frozen=True, config=STRICT)
class Sfew(Source):
    """The training set as split train, the validation set as split test: labels of its own test set are not public.

    Ids are the paths of pictures, such as Train/Angry/NAME; sequences are clips of films.
    """

    facts: ClassVar[Database] = Database(
        title="SFEW 2.0, Static Facial Expressions in the Wild",
        about="958 frames of films to train on and 436 to validate on, in seven classes, and 372 without labels. "
        "Faces were found in 891 and 431 of them, and aligned: 143 x 181 pixels.",
        citation="Dhall et al. 2011, Static facial expression analysis in tough conditions, ICCV Workshops; "
        "Dhall et al. 2015, Video and image based emotion recognition challenges in the wild: EmotiW 2015, ICMI",
        terms="for research that is not commercial, by an agreement that is signed",
        research_only=True,
        may_be_passed_on=False,
        get="ask its authors for the agreement, sign it, unpack its archives into Train and Val",
        places=(
            Place("Train/Train_Aligned_Faces/<Angry>/<Airheads_000519240_00000005>.png", "aligned faces to train on"),
            Place("Val/Val_Aligned_Faces/<Angry>/<Airheads_000519240_00000005>.png", "aligned faces to test on"),
            Place("Train/<Angry>/<Airheads_000519240_00000005>.png", "frames to train on, for `crops=photos`"),
            Place("Val/<Angry>/<Airheads_000519240_00000005>.png", "frames to test on, for `crops=photos`"),
        ),
        layout_source="code that reads it; the seven folders are Angry, Disgust, Fear, Happy, Neutral, Sad and Surprise",
        protocols={
            "validation": PublishedProtocol(
                "train on the training set, test on the validation set, aligned faces; with FER2013 in training: --also SET",
                {},
                0,
                ("FN2EN", "DAL"),
            )
        },
    )

    input: Path
    """The folder of `Train` and `Val`."""
    crops: Literal["aligned", "photos"] = "aligned"
    """The aligned faces, or the central squares of whole frames."""
    side: PictureSide = 128
    """Side of the stored faces in pixels."""
    color: bool = False
    """Keep color; gray otherwise."""
    limits: LimitSwitch = "on"
    """Limits of the pictures' files: off, where they are known."""

    def info(self) -> Info:
        """Seven classes."""
        align = "by its authors; the central square" if self.crops == "aligned" else "the central square of the frame"
        return self.facts.info(classes=BASIC, side=self.side, color=self.color, name=f"SFEW 2.0, {self.crops}", alignment=align)

    def total(self) -> int:
        """The published number of pictures."""
        return TRAIN[self.crops] + TEST[self.crops]

    @override
    def published_counts(self) -> Mapping[str, Mapping[str, int]]:
        """By split, and for aligned faces by class."""
        splits = {"train": {"": TRAIN[self.crops]}, "test": {"": TEST[self.crops]}}
        return splits | ({"": ALIGNED} if self.crops == "aligned" else {})

    def blocks(self) -> Iterator[FaceBlock]:
        """Faces with id, label, sequence, frame and split. Raises MienError where something is missing."""
        need = [Place(f"{place}/{name}", "pictures of a class") for place in self._folders().values() for name in FOLDERS]
        require_places(self.input, need, "sfew")
        yield from read_labeled_pictures(self._pictures(), ("sequence", "frame", "split"), self.side, self.color, self.limits)

    def _folders(self) -> dict[str, str]:
        """Where the faces of a split lie, by the first folder of their ids."""
        return {room: f"{room}/{room}_Aligned_Faces" if self.crops == "aligned" else room for room in ("Train", "Val")}

    def _pictures(self) -> Iterator[LabeledPicture]:
        for room, place in self._folders().items():
            for name, known in FOLDERS.items():
                folder = self.input / place / name
                files = sorted(folder.glob("[!.]*.png"))
                if not files:
                    raise MienError(f"pictures (.png) in {folder}", "none", "unpack the archive again")
                for file in files:
                    clip = CLIP.fullmatch(file.stem)
                    yield LabeledPicture(
                        file, f"{room}/{name}/{file.stem}", BASIC.index(known), split="train" if room == "Train" else "test",
                        sequence=clip[1] if clip else "", frame=int(clip[2]) if clip else None,
                    )  # fmt: skip
