"""Says what was read, as lines for people, JSON or CSV, and draws it."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TextIO

from mien.data.source import Rejected
from mien.disk import write_aside
from mien.recognize.predict import Read, plain_name, write_drawn
from mien.recognize.reading import Reading, sentence
from mien.recognize.timeline import Timeline

Form = Literal["text", "json", "csv"]
FIELDS = ("photo", "time", "track", "x0", "y0", "x1", "y1", "top", "confidence", "unsure")
"""Columns of CSV, before a column for each class."""


class Teller:
    """Takes one photo or frame after the other. `close` ends the last video.

    For people a photo is a line, and a video some at its end; else every photo and frame is told when it comes.
    """

    def __init__(self, form: Form, classes: Sequence[str], file: TextIO, folder: Path | None = None) -> None:
        """`folder`: photos are drawn there, and of videos what they show over time."""
        self._form, self._classes, self._file, self._folder = form, tuple(classes), file, folder
        self._table = csv.writer(file, lineterminator="\n")
        self._count, self._video, self._line = 0, "", Timeline(classes)
        if form == "csv":
            self._table.writerow((*FIELDS, *classes))

    def tell(self, read: Read) -> None:
        """The next photo or frame."""
        shot = read.shot
        if shot.input.name != self._video:
            self.close()
        if self._form == "json":
            print(json.dumps(read.to_json(), ensure_ascii=False), file=self._file, flush=True)
        elif self._form == "csv":
            time = "" if shot.time is None else f"{shot.time:.3f}"
            self._table.writerows([shot.input.name, time, *_row(one)] for one in read.readings)
        if shot.time is not None:
            self._video = shot.input.name
            self._line.add(shot.time, read.readings)
            return
        self._count += 1
        if self._form == "text":
            print(f"{shot.name}: {'; '.join(map(sentence, read.readings)) or 'no face'}", file=self._file)
        if self._folder:
            write_drawn(read, self._folder, self._count)

    def fault(self, fault: Rejected) -> None:
        """What could not be read, or not wholly; for people that is for stderr."""
        if self._form == "json":
            print(json.dumps({"photo": fault.path, "fault": fault.reason}, ensure_ascii=False), file=self._file)

    def close(self) -> None:
        """The video is over."""
        if not self._video:
            return
        if self._form == "text":
            count = len(self._line.lines)
            faces = "no face" if not count else "1 face" if count == 1 else f"{count} faces"
            print(f"{self._video}: {self._line.end:.1f} s, {faces}", file=self._file)
            for line in sorted(self._line.lines, key=lambda line: line.track):
                print(
                    f"  face {line.track}, {line.begin:.1f} to {line.end:.1f} s: {self._shown(line.means.tolist())}",
                    file=self._file,
                )
        if self._folder:
            self._count += 1
            write_aside(self._folder / f"{self._count:06d}-{plain_name(self._video)}.png", self._line.picture())
        self._video, self._line = "", Timeline(self._classes)

    def _shown(self, means: Sequence[float]) -> str:
        """The expressions that a face shows most, on average."""
        likely = sorted(zip(means, self._classes, strict=True), reverse=True)[:3]
        return ", ".join(f"{name} {mean:.0%}" for mean, name in likely)


def _row(reading: Reading) -> list[str | float]:
    """A line of a table: track, box, the likeliest expression and its probability, whether that is unsure, all probabilities."""
    place = ["" if reading.track is None else reading.track, *(round(value, 1) for value in reading.face.box)]
    scores = (round(score, 4) for score in reading.scores.values())
    return [*place, reading.top, round(reading.confidence, 4), int(reading.unsure), *scores]
