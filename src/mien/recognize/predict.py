"""What a recognizer reads in many photos and videos, as a stream: memory does not grow with their number or length."""

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from mien.data.source import Rejected
from mien.disk import write_aside
from mien.faces.cut import Geometry
from mien.faces.face import Photo
from mien.faces.places import Input
from mien.faces.shots import Shot, read_shots, together
from mien.recognize.reading import Reading, sentence
from mien.recognize.recognizer import Recognizer
from mien.recognize.tracking import Tracker, Tracking

SURE, UNSURE = (0, 114, 178), (213, 94, 0)
"""Blue and vermilion, which color-blind people tell apart (Okabe and Ito 2008)."""
TRACKING = Tracking()


@dataclass(frozen=True, eq=False)
class Read:
    """A photo, or a frame of a video, and the faces in it."""

    shot: Shot
    readings: tuple[Reading, ...]

    def to_json(self) -> dict[str, Any]:
        """Name, frame and second of a video, and the faces."""
        shot = self.shot
        place = {} if shot.time is None else {"frame": shot.frame, "time": round(shot.time, 3)}
        return {"photo": shot.input.name} | place | {"faces": [reading.to_json() for reading in self.readings]}


def read_all(
    recognizer: Recognizer,
    inputs: Iterable[Input],
    every: float,
    faults: list[Rejected],
    geometry: Geometry | None = None,
    tracking: Tracking = TRACKING,
) -> Iterator[Read]:
    """All photos, and frames of videos `every` so many seconds, whose faces are followed.

    What cannot be read is added to `faults`. Without a `geometry` faces are cut out as the model's card says. Raises MienError as
    `Recognizer.read` does.
    """
    video, tracker = None, Tracker(tracking, recognizer.card.least)
    for shots in together(read_shots(inputs, every, faults)):
        for shot, readings in zip(shots, recognizer.read([shot.pixels for shot in shots], geometry), strict=True):
            if shot.time is None:
                yield Read(shot, readings)
                continue
            if shot.input is not video:
                video, tracker = shot.input, Tracker(tracking, recognizer.card.least)
            yield Read(shot, tracker.follow(shot.time, readings))


def write_drawn(read: Read, folder: Path, number: int) -> Path:
    """The photo with its faces framed and named, as a JPEG in `folder`; its name begins with `number`.

    A name may come from an archive: nothing of it that leads elsewhere is kept.
    """
    content = io.BytesIO()
    draw(read.shot.pixels, read.readings).save(content, "JPEG", quality=92)
    path = folder / f"{number:06d}-{plain_name(read.shot.name)}.jpg"
    write_aside(path, content.getvalue())
    return path


def plain_name(name: str) -> str:
    """Of letters, digits and . @ - alone, and not too long."""
    return re.sub(r"[^\w.@-]+", "_", name)[-100:]


def draw(photo: Photo, readings: Iterable[Reading]) -> Image.Image:
    """The photo with a frame around each face, blue where one expression alone is possible, and what it shows above."""
    picture = Image.fromarray(photo)
    canvas = ImageDraw.Draw(picture)
    width = max(2, min(picture.size) // 200)
    font = ImageFont.load_default(max(12, min(picture.size) // 28))
    for reading in readings:
        color = UNSURE if reading.unsure else SURE
        x0, y0, x1, y1 = reading.face.box
        canvas.rectangle((x0, y0, x1, y1), outline=color, width=width)
        text = sentence(reading)
        _, _, right, bottom = canvas.textbbox((0, 0), text, font=font)
        wide, high = right + 2 * width, bottom + width
        x = min(max(0, x0), max(0, picture.width - wide))
        y = y0 - high if y0 >= high else min(max(0, y1), picture.height - high)
        canvas.rectangle((x, y, x + wide, y + high), fill=color)
        canvas.text((x + width, y), text, fill=(255, 255, 255), font=font)
    return picture
