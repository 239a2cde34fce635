"""The expressions of a video's faces over time, as numbers and as a picture; memory does not grow with the video's length."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.faces.align import crop, square_map
from mien.faces.face import Face
from mien.media.photos import Photo
from mien.recognize.prediction import Prediction
from mien.wording import short_name

BINS, WIDTH = 512, 0.1
"""The number of bins of time, and a bin's seconds at first, which double when the video gets longer."""
LINES, DRAWN = 32, 6
"""Most faces in the text, and most in the picture: those that were seen longest."""
KEPT = 96
"""Most faces that are remembered: more than are told, so that a face that comes while many are there may still be told."""
LOST = 2.5
"""Seconds, or steps between two frames if these are longer, for which a face may be lost and come back."""
SIDE, LARGER = 64, 1.2
"""Side of a face's small picture in pixels, and how many times better a face has to be seen for a new one."""
STRIP, DARK = 0.12, "#444444"
"""Height and color of the strip above a band that shows where the model is unsure."""
COLORS = {
    "anger": "#d55e00", "contempt": "#cc79a7", "disgust": "#009e73", "fear": "#000000",
    "happiness": "#e69f00", "neutral": "#bbbbbb", "sadness": "#0072b2", "surprise": "#56b4e9",
}  # fmt: skip
"""Colors of the expressions: Okabe and Ito's, which every kind of color vision tells apart, and gray.

Other classes have matplotlib's tab20.
"""


@dataclass(eq=False)
class ScoreLine:
    """The scores of one face over time, by bins of time."""

    track: int
    """The face's number."""
    begin: float
    """When the face was seen first, in seconds."""
    end: float
    """When the face was seen last, in seconds."""
    sums: npt.NDArray[np.float64]
    """(BINS, K) sums of scores."""
    counts: npt.NDArray[np.int64]
    """(BINS,) numbers of frames."""
    unsure: npt.NDArray[np.int64]
    """(BINS,) numbers of frames in which the prediction is unsure."""
    top: str = ""
    """The likeliest expression in the last frame of the face."""
    changes: int = 0
    """How often the likeliest expression was another than in the face's frame before."""
    picture: Photo | None = None
    """(SIDE, SIDE, 3) the face where it was seen best; None without pictures."""
    worth: float = 0.0
    """How well the face is seen there: pixels of its box times the detector's score."""

    @property
    def frames(self) -> int:
        """Number of frames in which the face was seen."""
        return int(self.counts.sum())

    @property
    def changes_per_second(self) -> float:
        """How often the likeliest expression changes, per second in which the face is followed; 0 for a single frame."""
        seconds = self.end - self.begin
        return self.changes / seconds if seconds > 0 else 0.0

    @property
    def means(self) -> npt.NDArray[np.float64]:
        """(K,) mean scores over all frames of the face."""
        found: npt.NDArray[np.float64] = self.sums.sum(axis=0) / max(1, self.frames)
        return found


class Timeline:
    """Collects the scores of a video's faces, frame after frame."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.width = WIDTH
        """Seconds of a bin."""
        self.end = 0.0
        """Time of the last frame in seconds."""
        self._step = 0.0
        """Most seconds between two frames."""
        self.faces = 0
        """Number of faces that were seen, those included that are no longer remembered."""
        self._lines: dict[int, ScoreLine] = {}

    def add(self, time: float, predictions: Sequence[Prediction], photo: Photo | None = None) -> None:
        """Add a frame's predictions; their tracks are numbered from 1 as they come. `time`: seconds since the first frame.

        Small pictures of faces are made from `photo`, the frame (H, W, 3), where it is given. A face that was forgotten stays
        so, even if it is still there: its line would begin too late. That happens to the last ones where more than 96 faces are
        there at once.
        """
        self.end, self._step = time, max(self._step, time - self.end)
        while time >= BINS * self.width:
            self.width *= 2
            for line in self._lines.values():
                line.sums = _halved(line.sums)
                line.counts = _halved(line.counts)
                line.unsure = _halved(line.unsure)
        for one in predictions:
            number = one.track or 0
            if number > self.faces:
                self.faces = number
                self._make_room()
                sums, counts = np.zeros((BINS, len(self.classes))), np.zeros((2, BINS), np.int64)
                self._lines[number] = ScoreLine(number, time, time, sums, *counts)
            if number not in self._lines:
                continue
            line, place = self._lines[number], int(time / self.width)
            line.end = time
            line.changes += line.top not in ("", one.top)
            line.top = one.top
            line.sums[place] += list(one.scores.values())
            line.counts[place] += 1
            line.unsure[place] += one.unsure
            if photo is not None:
                _picture(line, one.face, photo)

    @property
    def lines(self) -> list[ScoreLine]:
        """The lines of the faces, at most 32, those seen longest first."""
        return sorted(self._lines.values(), key=lambda line: (-line.frames, line.track))[:LINES]

    def picture(self) -> bytes:
        """A PNG with a band for each face: the probability of each expression over time, where it is unsure, and the face."""
        from mien.matplotlib_parts import Figure, colormaps

        lines = sorted(self.lines[:DRAWN], key=lambda line: line.track)
        figure = Figure((10, 1 + 1.3 * max(1, len(lines))), layout="constrained")
        every = figure.subplots(max(1, len(lines)), 2, squeeze=False, sharex="col", width_ratios=(1, 9))
        used = int(self.end / self.width) + 1
        times, end = np.arange(used) * self.width, max(self.end, self.width)
        table = colormaps["tab20"]
        colors = [COLORS.get(name, table(number % 20)) for number, name in enumerate(self.classes)]
        for seen, _ in every:
            seen.set_axis_off()
        for (seen, axes), line in zip(every, lines, strict=False):
            axes.stackplot(times, self._shares(line)[:used].T, colors=colors, step="post", linewidth=0)
            unsure = (2 * line.unsure > line.counts)[np.maximum(self._last(line), 0)] & self._there(line)
            top = [1 + STRIP * 0.3, 1 + STRIP]
            axes.fill_between(times, *top, where=unsure[:used], color=DARK, step="post", linewidth=0)
            axes.set_ylim(0, top[1])
            axes.set_xlim(0, end)
            axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
            axes.set_title(f"face {line.track}", loc="left", fontsize="medium")
            if line.picture is not None:
                seen.imshow(line.picture)
        every[-1, 1].set_xlabel("seconds")
        if lines:
            handles, named = list(every[0, 1].collections), [*map(short_name, self.classes), "unsure"]
            legend = figure.legend(handles, named, loc="outside upper center", ncols=min(5, len(named)), frameon=False)
            for text in legend.get_texts():
                text.set_parse_math(False)  # a class may be named with a $
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=110, metadata={"Software": None})
        return content.getvalue()

    def _last(self, line: ScoreLine) -> npt.NDArray[np.int64]:
        """(BINS,) for each bin the last one up to it that holds a frame of the face; below 0 where there is none."""
        found: npt.NDArray[np.int64] = np.maximum.accumulate(np.where(line.counts > 0, np.arange(BINS), -1))
        return found

    def _there(self, line: ScoreLine) -> npt.NDArray[np.bool_]:
        """(BINS,) where the face was seen, or the next frame was not due yet."""
        last = self._last(line)
        there: npt.NDArray[np.bool_] = (last >= 0) & ((np.arange(BINS) - last) * self.width <= self._step)
        return there

    def _shares(self, line: ScoreLine) -> npt.NDArray[np.float64]:
        """(BINS, K) mean scores. A bin without a frame has those before it until the next frame was due, and 0 after that."""
        means = line.sums / line.counts.clip(1)[:, None]
        return np.where(self._there(line)[:, None], means[self._last(line)], 0.0)

    def _make_room(self) -> None:
        """Forget the face that was seen least where there are too many; faces that will not come back go first."""
        if len(self._lines) >= KEPT:
            lines = self._lines.values()
            lost = LOST * max(1.0, self._step)
            least = min(lines, key=lambda line: (self.end - line.end <= lost, line.frames, -line.track))
            del self._lines[least.track]


def _picture(line: ScoreLine, face: Face, photo: Photo) -> None:
    """Keep a small picture of the face from this frame, if it is seen better than before."""
    worth = face.area * max(face.score, 0.0)
    if worth <= LARGER * line.worth:
        return
    x0, y0, x1, y1 = face.box
    whole = square_map(np.array(face.center), max(x1 - x0, y1 - y0, 1.0) * LARGER)
    line.picture, line.worth = crop(photo, whole, SIDE), worth


def _halved(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values (BINS, ...) by bins of double width: sums of two bins each, and empty bins in the second half."""
    pairs = values.reshape(BINS // 2, 2, *values.shape[1:]).sum(axis=1)
    return np.concatenate([pairs, np.zeros_like(pairs)])
