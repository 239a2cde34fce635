"""Finds cuts in a video by comparing thumbnails of its frames; memory does not grow with the video's length."""

import math
from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mien.media.photos import Photo

Floats = npt.NDArray[np.float64]

SIDE, FLAT = 16, 2.0
"""Side of the thumbnails that tell of cuts, and the deviation of their gray, of 255, below which a frame shows nothing."""
FINE, AROUND, SPARED = 96, 0.25, 0.1
"""Side of the finer thumbnails that tell whether a cut spared a face; how much around the face's box is compared, as a share of
its sides; and the distance below which the face was spared."""
JUMP, TIMES, BEFORE = 0.25, 2.0, 4
"""Least distance between two frames that a cut parts, and how many times that of each of so many steps before."""


@dataclass(frozen=True, eq=False)
class Cut:
    """A cut, with fine thumbnails (96, 96), gray, of the frame before and of the one after it."""

    before: Floats
    after: Floats

    def spared(self, box: Floats) -> bool:
        """Whether the two frames are alike at and around a box.

        `box` (4,): x0, y0, x1, y1, as shares of a frame's width and height.
        """
        size = np.tile(box[2:] - box[:2], 2) * [-AROUND, -AROUND, AROUND, AROUND]
        x0, y0, x1, y1 = np.rint((box + size) * FINE).astype(int).clip(0, FINE)
        one, other = (_normal(frame[y0:y1, x0:x1], FLAT) for frame in (self.before, self.after))
        return one is not None and other is not None and 1 - float((one * other).mean()) < SPARED


class CutDetector:
    """Tells where a video was cut, frame after frame.

    Two frames are compared by thumbnails, 16 x 16 means of gray: their distance is 1 - r, r being Pearson's correlation, which no
    change of brightness or contrast alters as long as little is clipped. A frame comes after a cut where it is 0.25 or more from
    the frame before, and more than twice as far as each of the four frames before that were from theirs: motion goes on or
    builds up, a cut comes at once. What goes on after it, at least half as strong, was motion that began at once. Of the first
    frames, which have fewer before them, one comes after a cut from 0.5 on. Frames that show nothing, black or white, are passed
    over, and those on both of their sides compared. Not seen are dissolves, and a person who takes another's place in a picture
    that else stays as it was. A part of the picture may change alone, as where one of two people in a call turns their camera
    off: `Cut.spared` tells which did not.
    """

    def __init__(self) -> None:
        self._last: Floats | None = None
        self._fine: Floats | None = None
        self._distances = deque[float]([JUMP], maxlen=BEFORE)  # as if motion just short of a cut had gone before
        self._cut = 0.0
        """The distance at the cut before the last frame; 0 where there was none."""

    def at(self, photo: Photo) -> Cut | None:
        """The cut before the next frame, uint8 (H, W, 3); None where there is none."""
        while min(photo.shape[:2]) >= 4 * FINE:  # by halves, which is fast; by other parts a frame takes a millisecond
            photo = np.asarray(
                cv2.resize(photo, (photo.shape[1] // 2, photo.shape[0] // 2), interpolation=cv2.INTER_AREA), np.uint8
            )
        small = cv2.resize(photo, (FINE, FINE), interpolation=cv2.INTER_AREA)
        fine = small.mean(axis=2, dtype=np.float64)
        values = _normal(cv2.resize(fine, (SIDE, SIDE), interpolation=cv2.INTER_AREA), FLAT)
        if values is None:
            return None
        (before, self._fine), (last, self._last) = (self._fine, fine), (self._last, values)
        if before is None or last is None:
            return None
        distance = 1 - float((last * values).mean())
        cut = distance >= JUMP and distance > TIMES * max(self._distances)
        if self._cut > TIMES * distance:
            self._distances.pop()  # what was far stays alone, so that another cut may follow soon
        self._distances.append(distance)
        self._cut = distance if cut else 0.0
        return Cut(before, fine) if cut else None


def _normal(values: Floats, least: float) -> Floats | None:
    """The values scaled to mean 0 and deviation 1; None where there are none, or their deviation is below `least`."""
    if not values.size:
        return None
    values = values - values.mean()
    deviation = math.sqrt(np.square(values).mean())
    return None if deviation < least else values / deviation
