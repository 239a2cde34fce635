"""Tells who is who through a video: by the faces' places, by embeddings where frames are far apart, and across cuts."""

from collections.abc import Callable, Sequence

import numpy as np

from mien.media.photos import Photo
from mien.media.video_cuts import Cut
from mien.recognize.face_embeddings import FAR, FaceEmbedder, best_embedder
from mien.recognize.prediction import Prediction
from mien.recognize.tracking_and_smoothing import FaceEmbeddings, FaceTracker, TrackingSettings

_CLOSE = 1e-6
"""Seconds by which two times may differ, as they are rounded."""


class VideoTracker:
    """Follows the people of one video, whose frames come one after the other with their predictions."""

    def __init__(self, settings: TrackingSettings, embedder: Callable[[], FaceEmbedder] = best_embedder) -> None:
        """`embedder` is called once frames are 0.15 s apart or more, and gives what embeds their faces."""
        self._tracker = FaceTracker(settings)
        self._embedder = embedder
        self._time: float | None = None
        self._last: tuple[Photo, tuple[Prediction, ...]] | None = None
        """The frame before and its faces, where these have no embeddings yet."""

    def follow(self, time: float, photo: Photo, found: Sequence[Prediction], cut: Cut | None) -> tuple[Prediction, ...]:
        """The predictions `found` in the next frame, `photo` (H, W, 3), with the numbers of people and smoothed scores.

        `time`: seconds since the first frame. `cut`: the cut before it, as a `CutDetector` of this video finds it; None for none.
        """
        far = self._time is not None and time - self._time >= FAR - _CLOSE
        self._time = time
        if cut is not None:
            height, width = photo.shape[:2]
            self._tracker.cut(lambda box: cut.spared(box / [width, height, width, height]))
        if not far:
            followed = self._tracker.follow(time, found)
            self._last = photo, followed
            return followed
        if self._last is not None and self._last[1]:
            self._tracker.remember(self._last[1], self._embeddings(*self._last).values)
        self._last = None
        return self._tracker.follow(time, found, self._embeddings(photo, found))

    def _embeddings(self, photo: Photo, found: Sequence[Prediction]) -> FaceEmbeddings:
        if not found:
            return FaceEmbeddings(np.zeros((0, 1)), 0.0, 0.0)
        embedder = self._embedder()
        return FaceEmbeddings(embedder(photo, [one.face for one in found]), embedder.same, embedder.other)
