"""Faces followed through a video, and their scores averaged over time; memory does not grow with the video's length."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
from pydantic.dataclasses import dataclass as checked

from mien.faces.face import Photo
from mien.recognize.reading import Reading, reading
from mien.registry import STRICT, NotNegative, Positive, Share

Floats = npt.NDArray[np.float64]

SIDE, FLAT = 16, 2.0
"""Of the thumbnails that frames are compared by; and the deviation of its gray, of 255, below which one shows nothing."""
APART, TOO_FAR = 2.5, 1.0
"""So many times as long as from one read frame to the next a face may be lost at least; from so many seconds on no frames follow
each other."""
JUMP, TIMES, BEFORE = 0.25, 2.0, 4
"""Of two frames that a cut parts: their distance, at least; and how often it is the largest of so many before."""


@checked(frozen=True, config=STRICT)
class Tracking:
    """What counts as the same face in the next frame, and how scores are averaged."""

    overlap: Share = 0.3
    """Intersection over union of its boxes, at least."""
    away: Positive = 0.5
    """Seconds for which a face may be lost."""
    smooth: NotNegative = 0.3
    """Seconds after which a score counts for 1/e of a new one; 0 for no average."""

    def for_frames(self, every: float) -> "Tracking":
        """For frames that are read `every` so many seconds: a face may be lost for 2.5 times as long, where that is more.

        At a second or more nothing changes: whoever was there a second ago may be anywhere.
        """
        return replace(self, away=max(self.away, APART * every)) if every < TOO_FAR else self


@dataclass(eq=False)
class _Track:
    number: int
    box: Floats
    """(4,) when it was seen last."""
    time: float
    sums: Floats
    """(K,) of all scores, each times its weight."""
    weight: float
    """Sum of the weights."""


class Tracker:
    """Follows the faces of one video, frame after frame."""

    def __init__(self, tracking: Tracking, least: float) -> None:
        """`least`: an expression is possible from that probability on, as a model's card says."""
        self._tracking, self._least = tracking, least
        self._tracks: list[_Track] = []
        self._count = 0

    def follow(self, time: float, found: Sequence[Reading]) -> tuple[Reading, ...]:
        """The faces of the next frame, `time` seconds after the first, with the numbers of their tracks and scores averaged
        over time.

        Faces and tracks are matched so that their boxes overlap most in all (Kuhn 1955), what overlaps too little not counted.
        The average is that of all scores of the track, weighted by exp(-(t - t_i) / smooth), t_i being a score's time and t this
        frame's: the first score has no more weight than any other.
        """
        from scipy.optimize import linear_sum_assignment  # which takes long to load, and photos do not need

        self._tracks = [track for track in self._tracks if time - track.time <= self._tracking.away]
        tracks = dict[int, _Track]()
        if found and self._tracks:
            boxes = np.array([one.face.box for one in found], np.float64)
            common = overlaps(boxes, np.stack([track.box for track in self._tracks]))
            common[common < self._tracking.overlap] = 0
            tracks = {
                face: self._tracks[track]
                for face, track in zip(*linear_sum_assignment(-common), strict=True)
                if common[face, track] >= self._tracking.overlap
            }
        return tuple(self._next(time, one, tracks.get(number)) for number, one in enumerate(found))

    def cut(self) -> None:
        """Whoever comes next is someone else: all tracks end."""
        self._tracks = []

    def _next(self, time: float, found: Reading, track: _Track | None) -> Reading:
        box, scores = np.array(found.face.box, np.float64), np.array(list(found.scores.values()))
        if track is None:
            self._count += 1
            track = _Track(self._count, box, time, np.zeros_like(scores), 0.0)
            self._tracks.append(track)
        smooth = self._tracking.smooth
        kept = math.exp((track.time - time) / smooth) if smooth else 0.0
        track.box, track.time = box, time
        track.sums, track.weight = kept * track.sums + scores, kept * track.weight + 1
        averaged = dict(zip(found.scores, (track.sums / track.weight).tolist(), strict=True))
        return replace(reading(found.face, averaged, self._least, found.needed), track=track.number)


class Cuts:
    """Tells where a video was cut, frame after frame.

    Two frames are compared by thumbnails, 16 x 16 means of gray: their distance is 1 - r, r being Pearson's correlation, which no
    change of brightness or contrast alters as long as little is clipped. A frame comes after a cut where it is 0.25 or more from
    the frame before, and more than twice as far as each of the four frames before that were from theirs: motion goes on or
    builds up, a cut comes at once. Frames that show nothing, black or white, are passed over, and those on both of their sides
    compared. Not seen are dissolves, and a person who takes another's place in a picture that else stays as it was.
    """

    def __init__(self) -> None:
        self._last: Floats | None = None
        self._distances = deque[float](maxlen=BEFORE)

    def at(self, photo: Photo) -> bool:
        """Whether the next frame, uint8 (H, W, 3), comes after a cut."""
        values = cv2.resize(photo, (SIDE, SIDE), interpolation=cv2.INTER_AREA).mean(axis=2, dtype=np.float64)
        values -= values.mean()
        deviation = math.sqrt(np.square(values).mean())
        if deviation < FLAT:
            return False
        values /= deviation
        last, self._last = self._last, values
        if last is None:
            return False
        distance = 1 - float((last * values).mean())
        found = distance >= JUMP and distance > TIMES * max(self._distances, default=0.0)
        if not found:
            self._distances.append(distance)
        return found


def overlaps(one: Floats, other: Floats) -> Floats:
    """(N, M) intersection over union of boxes (N, 4) and (M, 4); 0 for boxes of no size."""
    low, high = np.maximum(one[:, None, :2], other[:, :2]), np.minimum(one[:, None, 2:], other[:, 2:])
    common = (high - low).clip(0).prod(axis=2)
    area, areas = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (one, other))
    whole = area[:, None] + areas - common
    found: Floats = np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)
    return found
