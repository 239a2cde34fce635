"""Oulu-CASIA NIR&VIS: sequences from a face at rest to the peak of an expression, in three lights (Zhao et al. 2011)."""

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
from mien.settings import STRICT, Count, PictureSide

CLASSES = tuple(name for name in BASIC if name != "neutral")
FOLDERS = {name.capitalize(): name for name in CLASSES}
"""The folders of a person are called Anger, Disgust, Fear, Happiness, Sadness and Surprise."""
PEOPLE = 80


@dataclass(frozen=True, config=STRICT)
class OuluCasia(Source):
    """The last frames of every sequence as its expression, in one light. Ids are PERSON/EXPRESSION/FRAME; folds go by person.

    Sequences that a copy lacks are left out; the numbers of faces are then not the published ones, which is said.
    """

    facts: ClassVar[Database] = Database(
        title="Oulu-CASIA NIR&VIS facial expression database",
        about="480 sequences of 80 people, six posed expressions each, by two cameras in three lights. 320 x 240 pixels.",
        citation="Zhao et al. 2011, Facial expression recognition from near-infrared videos, Image and Vision Computing 29(9)",
        terms="for research, by an agreement that is signed",
        research_only=True,
        may_be_passed_on=False,
        get="ask the machine vision group of the University of Oulu for the agreement, sign it, unpack its archives",
        places=(
            Place("VL_Acropped/<Strong>/<P001>/<Anger>/<000>.jpeg", "faces that its authors cut out, in visible light"),
            Place("NI_Acropped/<Strong>/<P001>/<Anger>/<000>.jpeg", "the same in near infrared, for `camera=infrared`"),
            Place("VL/<Strong>/<P001>/<Anger>/<000>.jpeg", "whole frames in visible light, for `crops=original`"),
            Place("NI/<Strong>/<P001>/<Anger>/<000>.jpeg", "whole frames in near infrared, for both"),
        ),
        layout_source="code that reads it; the three lights are called Strong, Weak and Dark",
        protocols={
            "strong": PublishedProtocol(
                "ten folds by ascending subject; the last three frames in strong visible light", {}, 10, ("SNA", "FN2EN"), True
            )
        },
    )

    input: Path
    """The folder that holds `VL_Acropped` (`PreProcess_Img`), or for `crops=original` the one that holds `VL` (`OriginalImg`)."""
    crops: Literal["cropped", "original"] = "cropped"
    """The faces that its authors cut out, or the central squares of whole frames."""
    camera: Literal["visible", "infrared"] = "visible"
    """Which camera."""
    light: Literal["strong", "weak", "dark"] = "strong"
    """Which light: normal, by a computer's screen alone, or nearly none."""
    last: Count = 3
    """Frames at the end of a sequence that are taken."""
    side: PictureSide = 96
    """Side of the stored faces in pixels."""
    color: bool = False
    """Keep color; gray otherwise."""
    limits: LimitSwitch = "on"
    """Limits of the pictures' files: off, where they are known."""

    def info(self) -> Info:
        """Six classes."""
        align = "by its authors, on the eyes" if self.crops == "cropped" else "the central square of the frame"
        return self.facts.info(
            classes=CLASSES,
            side=self.side,
            color=self.color,
            alignment=align,
            name=f"Oulu-CASIA, {self.camera}, {self.light} light",
        )

    def total(self) -> int:
        """The published number of sequences in a light times the frames that are taken."""
        return PEOPLE * len(CLASSES) * self.last

    @override
    def published_counts(self) -> Mapping[str, Mapping[str, int]]:
        """By class: all people show all expressions in each light."""
        return {"": dict.fromkeys(CLASSES, PEOPLE * self.last)}

    def blocks(self) -> Iterator[FaceBlock]:
        """Faces with id, label, subject, sequence and frame. Raises MienError where something is missing."""
        require_places(self.input, [Place(self._place(), "the folder of this camera and light")], "oulu_casia")
        yield from read_labeled_pictures(self._pictures(), ("subject", "sequence", "frame"), self.side, self.color, self.limits)

    def _place(self) -> str:
        camera = "VL" if self.camera == "visible" else "NI"
        return f"{camera}{'_Acropped' if self.crops == 'cropped' else ''}/{self.light.capitalize()}"

    def _pictures(self) -> Iterator[LabeledPicture]:
        folder = self.input / self._place()
        people = sorted(folder.glob("P[0-9][0-9][0-9]"))
        if not people:
            raise MienError(f"folders such as P001 in {folder}", "none", "unpack the archive again")
        for person in people:
            for sequence in sorted(place for place in person.glob("[!.]*") if place.is_dir()):
                if sequence.name not in FOLDERS:
                    wanted = f"folders {', '.join(FOLDERS)} in {person}"
                    raise MienError(wanted, sequence.name, "take the folders as they were published")
                yield from self._sequence(sequence, person.name, CLASSES.index(FOLDERS[sequence.name]))

    def _sequence(self, folder: Path, person: str, label: int) -> Iterator[LabeledPicture]:
        frames = sorted(folder.glob("[!.]*.jpeg"))
        odd = next((frame.name for frame in frames if not (frame.stem.isascii() and frame.stem.isdecimal())), None)
        if odd is not None:
            raise MienError(f"frames with numbers as names in {folder}", odd, "take the files as they were published")
        if 0 < len(frames) < self.last:
            raise MienError(f"at least {self.last} frames in {folder}", f"{len(frames)}", "unpack them again, or give fewer")
        for frame in frames[-self.last :]:
            sequence = f"{person}/{folder.name}"
            yield LabeledPicture(frame, f"{sequence}/{frame.stem}", label, person, sequence, int(frame.stem))
