"""A video's expressions as stretches of time, in rows that ELAN imports as annotations."""

from collections.abc import Sequence
from dataclasses import dataclass

from mien.recognize.prediction import Prediction
from mien.wording import plain_text

HEADER = ("Tier", "Begin Time", "End Time", "Annotation")
"""The first row, which ELAN is told to leave out."""
STEP = 0.04
"""How long a stretch lasts, in seconds, where a video has a single frame."""

Row = tuple[str, str, str, str]


@dataclass
class _Stretch:
    begin: float
    top: str


class ElanRows:
    """Joins the frames in which a face has the same likeliest expression; a frame lasts until the next that is read."""

    def __init__(self) -> None:
        self._open: dict[int, _Stretch] = {}
        self._time: float | None = None
        self._step = STEP

    def add(self, time: float, predictions: Sequence[Prediction]) -> list[Row]:
        """Add the next frame, whose predictions have tracks. Returns the rows of stretches that end with it.

        `time`: seconds since the first frame.
        """
        if self._time is not None:
            self._step = time - self._time
        self._time = time
        tops = {one.track or 0: one.top for one in predictions}
        ended = [track for track, stretch in self._open.items() if tops.get(track) != stretch.top]
        rows = [_row(track, self._open.pop(track), time) for track in ended]
        for track, top in tops.items():
            self._open.setdefault(track, _Stretch(time, top))
        return rows

    def close(self) -> list[Row]:
        """The rows of the stretches that the video's end cuts off."""
        end = (self._time or 0.0) + self._step
        rows = [_row(track, stretch, end) for track, stretch in self._open.items()]
        self._open = {}
        return rows


def _row(track: int, stretch: _Stretch, end: float) -> Row:
    return f"face {track}", clock_time(stretch.begin), clock_time(end), plain_text(stretch.top)


def clock_time(seconds: float) -> str:
    """Seconds as hours, minutes and seconds with milliseconds: `00:01:02.500`."""
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
