"""What faces of a video show over time, as numbers and as a picture; memory does not grow with the video's length."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.plain import short
from mien.recognize.reading import Reading

BINS, WIDTH = 512, 0.1
"""Parts that time is divided into, and their seconds at first, which double when there are more."""
LINES, DRAWN = 32, 6
"""Faces that are told, and drawn: those that were seen longest."""
KEPT, LOST = 96, 2.5
"""Faces that are remembered: more, so that who comes while many are there can still be told; and seconds for which a face may be
lost and come back."""
COLORS = {
    "anger": "#d55e00", "contempt": "#cc79a7", "disgust": "#009e73", "fear": "#000000",
    "happiness": "#e69f00", "neutral": "#bbbbbb", "sadness": "#0072b2", "surprise": "#56b4e9",
}  # fmt: skip
"""Okabe and Ito's, which every kind of color vision tells apart, and gray. Other classes have those of a table."""


@dataclass(eq=False)
class Line:
    """One face over time."""

    track: int
    begin: float
    """Seconds."""
    end: float
    sums: npt.NDArray[np.float64]
    """(BINS, K) of scores."""
    counts: npt.NDArray[np.int64]
    """(BINS,) of frames."""

    @property
    def frames(self) -> int:
        """In which it was seen."""
        return int(self.counts.sum())

    @property
    def means(self) -> npt.NDArray[np.float64]:
        """(K,) of all its frames."""
        found: npt.NDArray[np.float64] = self.sums.sum(axis=0) / max(1, self.frames)
        return found


class Timeline:
    """Takes the faces of frame after frame."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes, self.width, self.end, self._step = tuple(classes), WIDTH, 0.0, 0.0
        """Seconds of a bin, of the last frame, and between two of them at most."""
        self.faces = 0
        """That were seen, those included that are no longer remembered."""
        self._lines: dict[int, Line] = {}

    def add(self, time: float, readings: Sequence[Reading]) -> None:
        """The faces of a frame, `time` seconds after the first; their tracks are numbered from 1 as they come.

        A face that was forgotten stays so, even if it is still there: its line would begin too late. That happens to those who
        come last where more than 96 are there at once.
        """
        self.end, self._step = time, max(self._step, time - self.end)
        while time >= BINS * self.width:
            self.width *= 2
            for line in self._lines.values():
                line.sums, line.counts = _halved(line.sums), _halved(line.counts)
        for one in readings:
            number = one.track or 0
            if number > self.faces:
                self.faces = number
                self._make_room()
                shape = (BINS, len(self.classes))
                self._lines[number] = Line(number, time, time, np.zeros(shape), np.zeros(BINS, np.int64))
            if number not in self._lines:
                continue
            line, place = self._lines[number], int(time / self.width)
            line.end = time
            line.sums[place] += list(one.scores.values())
            line.counts[place] += 1

    @property
    def lines(self) -> list[Line]:
        """Those seen longest first, 32 at most."""
        return sorted(self._lines.values(), key=lambda line: (-line.frames, line.track))[:LINES]

    def picture(self) -> bytes:
        """A PNG with a band for each face: how probable each expression was over time."""
        from mien.plots import Figure, colormaps

        lines = sorted(self.lines[:DRAWN], key=lambda line: line.track)
        figure = Figure((10, 1 + 1.3 * max(1, len(lines))), layout="constrained")
        every = figure.subplots(max(1, len(lines)), 1, sharex=True, squeeze=False)[:, 0]
        used = int(self.end / self.width) + 1
        times = np.arange(used) * self.width
        table = colormaps["tab20"]
        colors = [COLORS.get(name, table(number % 20)) for number, name in enumerate(self.classes)]
        for axes, line in zip(every, lines, strict=False):
            axes.stackplot(times, self._shares(line)[:used].T, colors=colors, step="post", linewidth=0)
            axes.set_ylim(0, 1)
            axes.set_xlim(0, max(self.end, self.width))
            axes.set_yticks([])
            axes.set_ylabel(f"face {line.track}")
        every[-1].set_xlabel("seconds")
        if lines:
            handles, named = every[0].collections, [short(name) for name in self.classes]
            legend = figure.legend(handles, named, loc="outside upper center", ncols=min(8, len(named)), frameon=False)
            for text in legend.get_texts():
                text.set_parse_math(False)  # a class may be named with a $
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=110, metadata={"Software": None})
        return content.getvalue()

    def _shares(self, line: Line) -> npt.NDArray[np.float64]:
        """(BINS, K) mean scores; where no frame fell into a bin those before, until the next frame was due, and then 0."""
        bins = np.arange(BINS)
        last = np.maximum.accumulate(np.where(line.counts > 0, bins, -1))
        seen = (last >= 0) & ((bins - last) * self.width <= self._step)
        means = line.sums / line.counts.clip(1)[:, None]
        return np.where(seen[:, None], means[last], 0.0)

    def _make_room(self) -> None:
        """Where there are too many, forget the face that was seen least, of those that will not come back if there are any."""
        if len(self._lines) >= KEPT:
            lines = self._lines.values()
            least = min(lines, key=lambda line: (self.end - line.end <= LOST, line.frames, -line.track))
            del self._lines[least.track]


def _halved(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Of twice as wide bins: sums of two each, and as many empty ones."""
    pairs = values.reshape(BINS // 2, 2, *values.shape[1:]).sum(axis=1)
    return np.concatenate([pairs, np.zeros_like(pairs)])
