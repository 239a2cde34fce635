"""Writes predictions as lines for people, JSON, CSV or rows for ELAN, and draws them."""

import csv
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TextIO

from mien.disk import write_atomically
from mien.errors import MienError
from mien.json_text import to_json
from mien.recognize.elan_rows import HEADER, ElanRows
from mien.recognize.predict_files import PredictedPhoto, UnreadableFile, drawing_name, write_drawing
from mien.recognize.prediction import sentence
from mien.recognize.prediction_rows import FEX_FIELDS, FIELDS, Columns, PredictionRows
from mien.recognize.timeline import Timeline
from mien.wording import percent, plain_text, short_name

Form = Literal["text", "json", "csv", "elan"]
"""The forms in which predictions are written."""
_HEADS = (",".join(FIELDS).encode(), ",".join(FEX_FIELDS).encode(), "\t".join(HEADER).encode())
"""How tables of predictions begin."""


def is_predictions_csv(path: Path) -> bool:
    """Whether a file is a table of predictions, as `PredictionWriter` writes it."""
    with suppress(OSError), path.open("rb") as file:
        return path.is_file() and file.read(max(map(len, _HEADS))).startswith(_HEADS)
    return False


class PredictionWriter:
    """Writes the predictions of one photo or frame after the other; `close` ends the last video.

    As text a photo is one line, and a video some lines at its end. JSON and CSV hold every photo and every frame as it comes.
    For ELAN a row is a stretch of time in which a face of the one video has one likeliest expression.
    """

    def __init__(
        self, form: Form, classes: Sequence[str], file: TextIO, folder: Path | None = None, columns: Columns = "mien"
    ) -> None:
        """`folder`: photos are drawn into it with their predictions, and videos as a picture of expressions over time.

        `columns`: whose columns CSV has.
        """
        self._form = form
        self._classes = tuple(classes)
        self._file = file
        self._folder = folder
        self._rows = PredictionRows(columns, classes)
        self._stretches = ElanRows()
        self._table = csv.writer(file, lineterminator="\n", delimiter="\t" if form == "elan" else ",")
        self._photos = 0
        self._videos = 0
        self._video = ""
        self._timeline = Timeline(classes)
        if form == "csv":
            self._table.writerow(map(plain_text, self._rows.names))

    def write(self, read: PredictedPhoto) -> None:
        """Write the next photo or frame. Raises MienError for ELAN where it is of no video, or of a second one."""
        photo = read.photo
        another = bool(self._videos or self._video) and photo.input.name != self._video
        if self._form == "elan" and (photo.time is None or another):
            raise _other_than_one_video(photo.name if photo.time is None else photo.input.name)
        if self._form == "elan" and not self._video:
            self._table.writerow(HEADER)  # not before, as there may be photos alone, which are refused
        if photo.input.name != self._video:
            self.close()
        if self._form == "json":
            self._print_json(read.to_json())
        elif self._form == "csv":
            self._table.writerows(map(self._rows.cells, self._rows.rows(read)))
        elif self._form == "elan":
            self._table.writerows(self._stretches.add(photo.time or 0.0, read.faces))
        if photo.time is not None:
            self._video = photo.input.name
            self._timeline.add(photo.time, read.faces, photo.pixels if self._folder else None)
            return
        self._photos += 1
        if self._form == "text":
            self._print(f"{photo.name}: {'; '.join(map(sentence, read.faces)) or 'no face'}")
        if self._folder:
            write_drawing(read, self._folder, self._photos + self._videos)

    def fault(self, fault: UnreadableFile) -> None:
        """Write that a file could not be read, in JSON alone: in other forms the command line says it."""
        if self._form == "json":
            self._print_json(fault.to_json())

    def close(self) -> None:
        """End the video, if there is one: its lines and its picture are written."""
        if not self._video:
            return
        self._videos += 1
        if self._form == "elan":
            self._table.writerows(self._stretches.close())
        if self._form == "text":
            self._print(f"{self._video}: {self._timeline.end:.1f} s, {self._faces()}")
            for line in sorted(self._timeline.lines, key=lambda line: line.track):
                when, often = f"{line.begin:.1f} to {line.end:.1f} s", f"{line.changes_per_second:.1f} label changes a second"
                self._print(f"  face {line.track}, {when}: {self._shown(line.means.tolist())}; {often}")
        if self._folder:
            name = drawing_name(self._video, self._photos + self._videos, ".png")
            write_atomically(self._folder / name, self._timeline.picture())
        self._video, self._timeline = "", Timeline(self._classes)

    def drawn(self) -> str:
        """What was drawn and where, in words; empty where nothing was."""
        photos = f"{self._photos} photo{'s' * (self._photos != 1)}" if self._photos else ""
        one = self._videos == 1
        videos = (
            "1 picture of a video over time" if one else f"{self._videos} pictures of videos over time" if self._videos else ""
        )
        return f"{' and '.join(filter(None, (photos, videos)))} in {self._folder}" if self._folder and photos + videos else ""

    def _faces(self) -> str:
        """How many faces the video has, and how many of them have a line, in words."""
        count, told = self._timeline.faces, len(self._timeline.lines)
        faces = "no face" if not count else "1 face" if count == 1 else f"{count} faces"
        return faces if told == count else f"{faces}, of which {told} are told: those seen longest"

    def _print(self, line: str) -> None:
        """Write a line at once, so that no half of one is left where the program is stopped."""
        self._file.write(f"{plain_text(line)}\n")

    def _print_json(self, values: dict[str, Any]) -> None:
        # Letters as escapes: a file in another code page would be no JSON.
        self._file.write(f"{to_json(values, indent=None, ascii_only=True)}\n")
        self._file.flush()

    def _shown(self, means: Sequence[float]) -> str:
        """The three expressions that a face shows most, by their mean probabilities, in words."""
        likely = sorted(zip(means, self._classes, strict=True), reverse=True)[:3]
        return ", ".join(f"{short_name(name)} {percent(mean, 0)}" for mean, name in likely)


def _other_than_one_video(name: str) -> MienError:
    return MienError("one video, whose expressions ELAN shows over time", plain_text(name), "give one video and no photos")
