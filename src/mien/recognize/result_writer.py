"""Says what was read, as lines for people, JSON or CSV, and draws it."""

import csv
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TextIO

from mien.disk import write_atomically
from mien.json_text import to_json
from mien.recognize.predict import Fault, Read, drawn_name, place_of, write_drawn
from mien.recognize.reading import Reading, sentence
from mien.recognize.timeline import Timeline
from mien.wording import plain_text, short_name

Form = Literal["text", "json", "csv"]
FIELDS = ("photo", "path", "member", "time", "track", "x0", "y0", "x1", "y1", "top", "confidence", "unsure")
"""Columns of CSV, before a column for each class."""
_HEAD = ",".join(FIELDS).encode()


def is_told(path: Path) -> bool:
    """Whether a file is a table as `Teller` writes it."""
    with suppress(OSError), path.open("rb") as file:
        return path.is_file() and file.read(len(_HEAD)) == _HEAD
    return False


class ResultWriter:
    """Takes one photo or frame after the other. `close` ends the last video.

    For people a photo is a line, and a video some at its end; else every photo and frame is told when it comes.
    """

    def __init__(self, form: Form, classes: Sequence[str], file: TextIO, folder: Path | None = None) -> None:
        """`folder`: photos are drawn there, and of videos what they show over time."""
        self._form, self._classes, self._file, self._folder = form, tuple(classes), file, folder
        self._table = csv.writer(file, lineterminator="\n")
        self._photos, self._videos, self._video, self._line = 0, 0, "", Timeline(classes)
        if form == "csv":
            self._table.writerow((*FIELDS, *map(plain_text, classes)))

    def tell(self, read: Read) -> None:
        """The next photo or frame."""
        shot = read.shot
        if shot.input.name != self._video:
            self.close()
        if self._form == "json":
            self._print_json(read.to_json())
        elif self._form == "csv":
            self._print_rows(read)
        if shot.time is not None:
            self._video = shot.input.name
            self._line.add(shot.time, read.readings, shot.pixels if self._folder else None)
            return
        self._photos += 1
        if self._form == "text":
            self._print(f"{shot.name}: {'; '.join(map(sentence, read.readings)) or 'no face'}")
        if self._folder:
            write_drawn(read, self._folder, self._photos + self._videos)

    def fault(self, fault: Fault) -> None:
        """What could not be read, or not wholly; for people that is for stderr."""
        if self._form == "json":
            self._print_json(fault.to_json())

    def close(self) -> None:
        """The video is over."""
        if not self._video:
            return
        self._videos += 1
        if self._form == "text":
            self._print(f"{self._video}: {self._line.end:.1f} s, {self._faces()}")
            for line in sorted(self._line.lines, key=lambda line: line.track):
                self._print(f"  face {line.track}, {line.begin:.1f} to {line.end:.1f} s: {self._shown(line.means.tolist())}")
        if self._folder:
            name = drawn_name(self._video, self._photos + self._videos, ".png")
            write_atomically(self._folder / name, self._line.picture())
        self._video, self._line = "", Timeline(self._classes)

    def drawn(self) -> str:
        """What was drawn and where, as a sentence; "" for nothing."""
        photos = f"{self._photos} photo{'s' * (self._photos != 1)}" if self._photos else ""
        one = self._videos == 1
        videos = (
            "1 picture of a video over time" if one else f"{self._videos} pictures of videos over time" if self._videos else ""
        )
        return f"{' and '.join(filter(None, (photos, videos)))} in {self._folder}" if self._folder and photos + videos else ""

    def _faces(self) -> str:
        """How many faces the video has, and of how many a line follows."""
        count, told = self._line.faces, len(self._line.lines)
        faces = "no face" if not count else "1 face" if count == 1 else f"{count} faces"
        return faces if told == count else f"{faces}, of which {told} are told: those seen longest"

    def _print(self, line: str) -> None:
        """At once: who stops between a line and its end would leave half of one."""
        self._file.write(f"{plain_text(line)}\n")

    def _print_json(self, values: dict[str, Any]) -> None:
        # Letters as escapes: a file in another code page would be no JSON.
        self._file.write(f"{to_json(values, indent=None, ascii_only=True)}\n")
        self._file.flush()

    def _print_rows(self, read: Read) -> None:
        place, time = place_of(read.shot.input), "" if read.shot.time is None else f"{read.shot.time:.3f}"
        names = (place.get(name, "") for name in ("photo", "path", "member"))
        where = [name.encode("utf-8", "backslashreplace").decode() for name in names]
        self._table.writerows([*where, time, *_row(one)] for one in read.readings)

    def _shown(self, means: Sequence[float]) -> str:
        """The expressions that a face shows most, on average."""
        likely = sorted(zip(means, self._classes, strict=True), reverse=True)[:3]
        return ", ".join(f"{short_name(name)} {mean:.0%}" for mean, name in likely)


def _row(reading: Reading) -> list[str | float]:
    """A line of a table: track, box, the likeliest expression and its probability, whether that is unsure, all probabilities."""
    place = ["" if reading.track is None else reading.track, *(round(value, 1) for value in reading.face.box)]
    scores = (round(score, 4) for score in reading.scores.values())
    return [*place, plain_text(reading.top), round(reading.confidence, 4), int(reading.unsure), *scores]
