"""Counts the frames of a video that could not be decoded, and tells where they were."""

import math
from dataclasses import dataclass

from mien.wording import quantity

TOLD = 3
"""The number of gaps whose times are told; others are only counted."""


@dataclass(frozen=True)
class VideoGap:
    """Damaged frames of a video, between two sound ones."""

    frames: int
    """The number of frames; 0 where it is unknown."""
    begin: float | None
    """The time in seconds of the frame before; None where there is none."""
    end: float | None
    """The time in seconds of the frame after; None where there is none."""

    def __str__(self) -> str:
        if self.begin is None:
            where = "before all others"
        elif self.end is None:
            where = f"after {self.begin:.2f} s, up to the end"
        else:
            where = f"between {self.begin:.2f} and {self.end:.2f} s"
        return f"{quantity(self.frames, 'frame') if self.frames else 'all'} {where}"


class GapCounter:
    """Counts the damaged frames of a video, from one sound frame to the next."""

    def __init__(self) -> None:
        self.step = math.inf
        """Seconds from frame to frame where that is always the same, so that those that are missing can be counted."""
        self.longest = math.inf
        """Seconds between two frames beyond which some are missing where bytes were skipped."""
        self._skipped = False
        self._pending, self._waiting = 0, list[float]()
        """Damaged frames since the last sound one, and the times, in the stream's own units, of those that may come later."""
        self._last: float | None = None
        self._told = list[VideoGap]()
        self._gaps = 0
        self._frames = 0

    def undecoded(self, stamp: int | None) -> None:
        """Note a packet that gave no frame. `stamp`: its time, None where unknown; frames before it may still come."""
        self._waiting.append(-math.inf if stamp is None else stamp)

    def before(self, stamp: int | None) -> int:
        """How many of the packets without a frame come before the time `stamp`; each is counted once."""
        count = len(self._waiting)
        self._waiting = [] if stamp is None else [one for one in self._waiting if one > stamp]
        self._pending += count - len(self._waiting)
        return count - len(self._waiting)

    def skipped(self) -> None:
        """Note bytes that are no packet: frames may be missing somewhere."""
        self._skipped = True

    def missing(self, time: float) -> int:
        """How many frames are missing before `time` in seconds, where bytes were skipped since the last sound frame."""
        if not self._skipped or self._last is None:
            return 0
        return max(0, round((time - self._last) / self.step) - 1)

    def corrupt(self) -> None:
        """Note a frame that the decoder itself calls corrupt."""
        self._pending += 1

    def sound(self, time: float) -> None:
        """Note a sound frame at `time` in seconds."""
        if self._pending or (self._last is not None and time - self._last > self.longest and self._skipped):
            self._pending = max(self._pending, self.missing(time))
            self._add(time)
        self._last = time

    def tell(self, to_the_end: bool) -> str:
        """What was left out, as a phrase; "" for nothing. `to_the_end`: whether frames after the last sound one count."""
        self._pending, self._waiting = self._pending + len(self._waiting), []
        if to_the_end and self._pending:
            self._add(None)
        if not self._gaps:
            return ""
        more, places = self._frames - sum(gap.frames for gap in self._told), self._gaps - len(self._told)
        told = [str(gap) for gap in self._told]
        told += [f"{quantity(more, 'frame')} in {quantity(places, 'more place')}"] if places else []
        return f"left out as damaged: {', '.join(told)}"

    def _add(self, end: float | None) -> None:
        self._gaps, self._frames = self._gaps + 1, self._frames + self._pending
        if len(self._told) < TOLD:
            self._told.append(VideoGap(self._pending, self._last, end))
        self._pending, self._skipped = 0, False
