"""Faces followed through a video, and their scores averaged over time; memory does not grow with the video's length."""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
from pydantic.dataclasses import dataclass as checked

from mien.media.photos import Photo
from mien.recognize.reading import Reading, reading
from mien.settings import STRICT, NotNegative, Positive, Share

Floats = npt.NDArray[np.float64]

SIDE, FLAT = 16, 2.0
"""Of the thumbnails that frames are compared by; and the deviation of its gray, of 255, below which one shows nothing."""
FINE, AROUND, SPARED = 96, 0.25, 0.1
"""Side of the thumbnails that tell whether a cut spared a face; what belongs to it on each side, as a share of its box; and the
distance below which it did."""
APART = 2.5
"""So many times as long as from one read frame to the next a face may be lost at least."""
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
        """For frames that are read `every` so many seconds: a face may be lost for 2.5 times as long, where that is more."""
        return replace(self, away=max(self.away, APART * every))


@dataclass(frozen=True, eq=False)
class Described:
    """What faces of one frame look like, as numbers whose distance (L2) tells who is who."""

    values: Floats
    """(N, D)."""
    same: float
    """One person up to this distance, wherever the faces are."""
    other: float
    """Two people beyond it, even at one place."""


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
    placed: bool = True
    """Whether its place still counts: not after a cut."""
    look: Floats | None = None
    """(D,) where it was described."""


class Tracker:
    """Follows the faces of one video, frame after frame."""

    def __init__(self, tracking: Tracking, least: float) -> None:
        """`least`: an expression is possible from that probability on, as a model's card says."""
        self._tracking, self._least = tracking, least
        self._tracks: list[_Track] = []
        self._count, self._time = 0, 0.0

    def follow(self, time: float, found: Sequence[Reading], looks: Described | None = None) -> tuple[Reading, ...]:
        """The faces of the next frame, `time` seconds after the first, with the numbers of their tracks and scores averaged
        over time.

        Faces and tracks are matched so that their boxes overlap most in all (Kuhn 1955), what overlaps too little not counted.
        With `looks` those of one person match wherever they are, those of two people nowhere, and of others those whose boxes
        overlap enough; what is most alike counts with the boxes. A face may then be lost for 2.5 times as long as from one of
        these frames to the next, if that is more. The average is that of all scores of the track, weighted by
        exp(-(t - t_i) / smooth), t_i being a score's time and t this frame's: the first score has no more weight than any other.
        """
        from scipy.optimize import linear_sum_assignment  # which takes long to load, and photos do not need

        step, self._time = time - self._time, time
        away = self._tracking.away if looks is None else max(self._tracking.away, APART * step)
        self._tracks = [one for one in self._tracks if time - one.time <= away and (one.placed or looks is not None)]
        tracks = dict[int, _Track]()
        if found and self._tracks:
            worth = self._worth(found, looks)
            matched = zip(*linear_sum_assignment(-worth.clip(0)), strict=True)
            tracks = {face: self._tracks[track] for face, track in matched if worth[face, track] >= 0}
        followed = [self._next(time, one, tracks.get(number)) for number, one in enumerate(found)]
        if looks is not None:
            self.describe(followed, looks.values)
        return tuple(followed)

    def describe(self, found: Sequence[Reading], looks: Floats) -> None:
        """Remember the looks (N, D) of N faces that were followed last; half of what a track had before stays."""
        known = {track.number: track for track in self._tracks}
        for one, look in zip(found, looks, strict=True):
            track = known.get(one.track or 0)
            if track is not None:
                track.look = look if track.look is None else (track.look + look) / 2

    def cut(self, spared: Callable[[Floats], bool] = lambda box: False) -> None:
        """A cut comes before the next frame: tracks end but where it `spared` what is at their box (4,), or looks go on."""
        for track in self._tracks:
            track.placed = track.placed and spared(track.box)

    def _worth(self, found: Sequence[Reading], looks: Described | None) -> Floats:
        """(N, M) how well N faces and M tracks match; below 0 where they do not."""
        boxes, tracks = np.array([one.face.box for one in found], np.float64), self._tracks
        common = overlaps(boxes, np.stack([track.box for track in tracks]))
        near = (common >= self._tracking.overlap) & [track.placed for track in tracks]
        worth = np.where(near, common, -1.0)
        if looks is None:
            return worth
        for place, track in enumerate(tracks):
            if track.look is None:
                continue
            apart = np.linalg.norm(looks.values - track.look, axis=1)
            match = (apart <= looks.same) | (near[:, place] & (apart <= looks.other))
            alike = 2 * (1 - apart / looks.other)
            worth[:, place] = np.where(match, np.where(near[:, place], common[:, place], 0) + alike, -1.0)
        return worth

    def _next(self, time: float, found: Reading, track: _Track | None) -> Reading:
        box, scores = np.array(found.face.box, np.float64), np.array(list(found.scores.values()))
        if track is None:
            self._count += 1
            track = _Track(self._count, box, time, np.zeros_like(scores), 0.0)
            self._tracks.append(track)
        smooth = self._tracking.smooth
        kept = math.exp((track.time - time) / smooth) if smooth else 0.0
        track.box, track.time, track.placed = box, time, True
        track.sums, track.weight = kept * track.sums + scores, kept * track.weight + 1
        averaged = dict(zip(found.scores, (track.sums / track.weight).tolist(), strict=True))
        return replace(reading(found.face, averaged, self._least, found.needed), track=track.number)


class Cuts:
    """Tells where a video was cut, frame after frame.

    Two frames are compared by thumbnails, 16 x 16 means of gray: their distance is 1 - r, r being Pearson's correlation, which no
    change of brightness or contrast alters as long as little is clipped. A frame comes after a cut where it is 0.25 or more from
    the frame before, and more than twice as far as each of the four frames before that were from theirs: motion goes on or
    builds up, a cut comes at once. Frames that show nothing, black or white, are passed over, and those on both of their sides
    compared. Not seen are dissolves, and a person who takes another's place in a picture that else stays as it was. A part of the
    picture may change alone, as where one of two people in a call turns their camera off: `spared` tells which did not.
    """

    def __init__(self) -> None:
        self._last: Floats | None = None
        self._fine: tuple[Floats, Floats] | None = None
        self._distances = deque[float](maxlen=BEFORE)

    def at(self, photo: Photo) -> bool:
        """Whether the next frame, uint8 (H, W, 3), comes after a cut."""
        small = cv2.resize(photo, (FINE, FINE), interpolation=cv2.INTER_AREA)
        fine = small.mean(axis=2, dtype=np.float64)
        values = _normal(cv2.resize(fine, (SIDE, SIDE), interpolation=cv2.INTER_AREA), FLAT)
        if values is None:
            return False
        before = fine if self._fine is None else self._fine[1]
        self._fine = before, fine
        last, self._last = self._last, values
        if last is None:
            return False
        distance = 1 - float((last * values).mean())
        found = distance >= JUMP and distance > TIMES * max(self._distances, default=0.0)
        if not found:
            self._distances.append(distance)
        return found

    def spared(self, box: Floats) -> bool:
        """Whether the last two frames that show something are alike at and around a box: x0, y0, x1, y1 (4,), as shares of a
        frame's width and height."""
        if self._fine is None:
            return False
        size = np.tile(box[2:] - box[:2], 2) * [-AROUND, -AROUND, AROUND, AROUND]
        x0, y0, x1, y1 = np.rint((box + size) * FINE).astype(int).clip(0, FINE)
        one, other = (_normal(frame[y0:y1, x0:x1], FLAT) for frame in self._fine)
        return one is not None and other is not None and 1 - float((one * other).mean()) < SPARED


def _normal(values: Floats, least: float) -> Floats | None:
    """Of mean 0 and deviation 1; None where there are none, or they deviate by less than that."""
    if not values.size:
        return None
    values = values - values.mean()
    deviation = math.sqrt(np.square(values).mean())
    return None if deviation < least else values / deviation


def overlaps(one: Floats, other: Floats) -> Floats:
    """(N, M) intersection over union of boxes (N, 4) and (M, 4); 0 for boxes of no size."""
    low, high = np.maximum(one[:, None, :2], other[:, :2]), np.minimum(one[:, None, 2:], other[:, 2:])
    common = (high - low).clip(0).prod(axis=2)
    area, areas = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (one, other))
    whole = area[:, None] + areas - common
    found: Floats = np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)
    return found
