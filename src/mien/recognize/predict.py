"""What a recognizer reads in many photos and videos, as a stream: memory does not grow with their number or length."""

import io
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from mien.disk import write_atomically
from mien.faces.crop import CropSpec
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.media.file_names import PHOTOS, escaped_name
from mien.media.photos_and_frames import PhotoOrFrame, in_batches, read_photos_and_frames
from mien.media.rejections import Rejected
from mien.media.source_files import VIDEOS, SourceFile
from mien.recognize.drawing import draw
from mien.recognize.following import Following
from mien.recognize.reading import Reading
from mien.recognize.recognizer import Recognizer
from mien.recognize.tracking import Tracking

TRACKING = Tracking()
SMALLEST = 12
"""So many of the smallest faces that are looked for in a video fit into a frame's shorter side."""


@dataclass(frozen=True, eq=False)
class Read:
    """A photo, or a frame of a video, and the faces in it."""

    shot: PhotoOrFrame
    readings: tuple[Reading, ...]

    def to_json(self) -> dict[str, Any]:
        """Name and place of the file, number and second of a video's frame, and the faces."""
        shot = self.shot
        frame = {} if shot.time is None else {"frame": shot.number, "time": round(shot.time, 3)}
        notes = {"notes": list(shot.notes)} if shot.notes else {}
        return place_of(shot.input) | frame | notes | {"faces": [reading.to_json() for reading in self.readings]}


@dataclass(frozen=True)
class Fault:
    """What could not be read, or not wholly, and why."""

    input: SourceFile
    reason: str

    def to_json(self) -> dict[str, str]:
        """Name and place of the file, and the reason."""
        return place_of(self.input) | {"fault": self.reason}


def read_all(
    recognizer: Recognizer,
    inputs: Iterable[SourceFile],
    every: float,
    faults: list[Fault],
    geometry: CropSpec | None = None,
    tracking: Tracking = TRACKING,
    least_face: float | None = None,
    limits: FileLimits = FILE_LIMITS,
    turn: bool = False,
) -> Iterator[Read]:
    """All photos, and frames of videos `every` so many seconds, whose faces are followed as `Following` does, and may be lost as
    `Tracking.for_frames` says. What that cannot promise `mien.recognize.face_embeddings.weakness` tells.

    What cannot be read, or not wholly, or is beyond the `limits`, is added to `faults`. Without a `geometry` faces are cut out as
    the model's card says. They are looked for from `least_face` pixels on; unless said, as the geometry says in photos, and as
    `in_frames` does in videos. `turn`: see `Recognizer.read`. Raises MienError as that does.
    """
    following, least = tracking.for_frames(every), recognizer.card.least
    video, people = None, Following(following, least)
    how = geometry or recognizer.geometry
    if least_face is not None:
        how = how.looking_for(least_face)
    for shots in in_batches(_shots(inputs, every, faults, limits)):
        readings_of = list[tuple[Reading, ...]]()
        for in_video, some in groupby(shots, lambda shot: () if shot.time is None else shot.pixels.shape):
            searched = in_frames(how, in_video) if in_video and least_face is None else how
            readings_of += recognizer.read([shot.pixels for shot in some], searched, limits, turn)
        for shot, readings in zip(shots, readings_of, strict=True):
            if shot.time is None:
                yield Read(shot, readings)
                continue
            if shot.input is not video:
                video, people = shot.input, Following(following, least)
            yield Read(shot, people.follow(shot.time, shot.pixels, readings))


def in_frames(geometry: CropSpec, shape: tuple[int, ...]) -> CropSpec:
    """How faces are looked for in a video's frames (H, W, 3): from a twelfth of the shorter side on, or as in photos if that
    is more.

    Smaller ones show little, and looking for them takes most of the time.
    """
    return geometry.looking_for(max(min(shape[:2]) / SMALLEST, geometry.least_face))


def place_of(input: SourceFile) -> dict[str, str]:
    """`photo`, the name among all that were given; `path`, absolute, of the file or of the archive around it; and `member`, its
    name in the archive. A camera has no path."""
    place = {"photo": input.name}
    if input.path != Path():
        place["path"] = os.path.abspath(input.path)
    if input.member is not None:
        place["member"] = _in_archive(input)
    return place


def write_drawn(read: Read, folder: Path, number: int) -> Path:
    """The photo with its faces framed and named, as a JPEG in `folder`; its name begins with `number`."""
    content = io.BytesIO()
    draw(read.shot.pixels, read.readings).save(content, "JPEG", quality=92)
    path = folder / drawn_name(read.shot.name, number, ".jpg")
    write_atomically(path, content.getvalue())
    return path


def drawn_name(name: str, number: int, ending: str) -> str:
    """A file's name for what is drawn of a photo or video: its number and name, with another ending.

    A name may come from an archive: of letters, digits and . @ - alone, and not too long, it leads nowhere.
    """
    own = next((each for each in (*PHOTOS, *VIDEOS) if name.lower().endswith(each)), "")
    plain = re.sub(r"[^\w.@-]+", "_", name[: len(name) - len(own)])
    return f"{number:06d}-{plain[-100:]}{ending}"


def _shots(inputs: Iterable[SourceFile], every: float, faults: list[Fault], limits: FileLimits) -> Iterator[PhotoOrFrame]:
    for one in inputs:
        rejected = list[Rejected]()
        yield from read_photos_and_frames([one], every, rejected, limits)
        faults += [Fault(one, each.reason) for each in rejected]


def _in_archive(input: SourceFile) -> str:
    """Its name there: the name without what of the archive's own path stands before it."""
    parts = input.path.parts
    before = (f"{escaped_name('/'.join(parts[first:]))}/" for first in range(len(parts)))
    return next((input.name.removeprefix(each) for each in before if input.name.startswith(each)), input.name)
