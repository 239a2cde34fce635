"""Who is who through a video: faces followed by place, by look where frames are far apart, and across cuts that spare them."""

from collections.abc import Callable, Sequence

import numpy as np

from mien.media.photos import Photo
from mien.recognize.face_embeddings import FAR, FaceEmbedder, best_embedder
from mien.recognize.reading import Reading
from mien.recognize.tracking import Cuts, Described, Tracker, Tracking

_CLOSE = 1e-6
"""Seconds: times are rounded."""


class Following:
    """Takes the frames of one video, one after the other, whose faces were read."""

    def __init__(self, tracking: Tracking, least: float, looks: Callable[[], FaceEmbedder] = best_embedder) -> None:
        """`least`: as `Tracker` takes it; `looks` gives what describes faces once frames are 0.15 s apart or more."""
        self._tracker, self._cuts, self._looks = Tracker(tracking, least), Cuts(), looks
        self._time: float | None = None
        self._last: tuple[Photo, tuple[Reading, ...]] | None = None
        """The frame before, where its faces are not described."""

    def follow(self, time: float, photo: Photo, found: Sequence[Reading]) -> tuple[Reading, ...]:
        """The faces of the next frame (H, W, 3), `time` seconds after the first, as `Tracker.follow` gives them."""
        far = self._time is not None and time - self._time >= FAR - _CLOSE
        self._time = time
        if self._cuts.at(photo):
            height, width = photo.shape[:2]
            self._tracker.cut(lambda box: self._cuts.spared(box / [width, height, width, height]))
        if not far:
            followed = self._tracker.follow(time, found)
            self._last = photo, followed
            return followed
        if self._last is not None and self._last[1]:
            self._tracker.describe(self._last[1], self._described(*self._last).values)
        self._last = None
        return self._tracker.follow(time, found, self._described(photo, found))

    def _described(self, photo: Photo, found: Sequence[Reading]) -> Described:
        if not found:
            return Described(np.zeros((0, 1)), 0.0, 0.0)
        looks = self._looks()
        return Described(looks(photo, [one.face for one in found]), looks.same, looks.other)
