"""Tracks faces through a video, and smooths their scores over time; memory does not grow with the video's length."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from pydantic.dataclasses import dataclass as checked

from mien.recognize.assignment import assign
from mien.recognize.prediction import Prediction
from mien.settings import STRICT, NotNegative, Positive, Share

Floats = npt.NDArray[np.float64]

APART = 2.5
"""Steps between two frames for which a face may be lost at least."""


@checked(frozen=True, config=STRICT)
class TrackingSettings:
    """Settings of tracking: what counts as the same face in the next frame, and how scores are smoothed."""

    overlap: Share = 0.3
    """Least intersection over union of a face's boxes in two frames that follow each other."""
    away: Positive = 0.5
    """Seconds for which a face may be lost and keep its number."""
    smooth: NotNegative = 0.3
    """Seconds after which a score counts 1/e of a new one in the average; 0 for no smoothing."""

    def for_frames(self, every: float) -> "TrackingSettings":
        """The settings where a frame is read `every` so many seconds: a face may be lost for 2.5 steps, if that is longer."""
        return replace(self, away=max(self.away, APART * every))


@dataclass(frozen=True, eq=False)
class FaceEmbeddings:
    """Embeddings of one frame's faces, whose distance (L2) tells who is who, and the distances that decide."""

    values: Floats
    """(N, D), one embedding a face."""
    same: float
    """The distance up to which two faces are one person's, wherever they are."""
    other: float
    """The distance beyond which two faces are two people's, even at one place."""


@dataclass(eq=False)
class _Track:
    """A face that is followed."""

    number: int
    box: Floats
    """(4,) the face's box when it was seen last."""
    time: float
    """Seconds from the first frame to when it was seen last."""
    sums: Floats
    """(K,) sum of all scores, each times its weight."""
    weight: float
    """Sum of the weights."""
    placed: bool = True
    """Whether its place still counts: not after a cut."""
    embedding: Floats | None = None
    """(D,) the face's embedding, where one was made."""


class FaceTracker:
    """Follows the faces of one video from frame to frame, and smooths their scores."""

    def __init__(self, settings: TrackingSettings) -> None:
        self._settings = settings
        self._tracks: list[_Track] = []
        self._count = 0
        self._time = 0.0

    def follow(
        self, time: float, predictions: Sequence[Prediction], embeddings: FaceEmbeddings | None = None
    ) -> tuple[Prediction, ...]:
        """The next frame's predictions with the numbers of their tracks and smoothed scores.

        `time`: seconds since the first frame.

        Faces and tracks are matched so that their boxes overlap most in all (Kuhn 1955); boxes that overlap too little do not
        match. With `embeddings`, faces of one person match wherever they are, those of two people nowhere, and others where
        their boxes overlap enough; likeness then counts beside the overlap, and a face may be lost for 2.5 times the step
        between two frames, if that is longer. A smoothed score is the average over the track, weighted by exp(-(t - t_i) /
        smooth), t_i being a score's time and t this frame's: the first score has no more weight than any other.
        """
        step, self._time = time - self._time, time
        away = self._settings.away if embeddings is None else max(self._settings.away, APART * step)
        self._tracks = [one for one in self._tracks if time - one.time <= away and (one.placed or embeddings is not None)]
        tracks = dict[int, _Track]()
        if predictions and self._tracks:
            worth = self._worth(predictions, embeddings)
            tracks = {face: self._tracks[track] for face, track in assign(-worth.clip(0)) if worth[face, track] >= 0}
        followed = [self._next(time, one, tracks.get(number)) for number, one in enumerate(predictions)]
        if embeddings is not None:
            self.remember(followed, embeddings.values)
        return tuple(followed)

    def remember(self, followed: Sequence[Prediction], embeddings: Floats) -> None:
        """Remember the embeddings (N, D) of N faces that were followed last, each averaged with what its track had before."""
        known = {track.number: track for track in self._tracks}
        for one, embedding in zip(followed, embeddings, strict=True):
            track = known.get(one.track or 0)
            if track is not None:
                track.embedding = embedding if track.embedding is None else (track.embedding + embedding) / 2

    def cut(self, spared: Callable[[Floats], bool] = lambda box: False) -> None:
        """A cut comes before the next frame: tracks match by embeddings alone, but where it `spared` their box (4,)."""
        for track in self._tracks:
            track.placed = track.placed and spared(track.box)

    def _worth(self, predictions: Sequence[Prediction], embeddings: FaceEmbeddings | None) -> Floats:
        """(N, M) how well N faces and M tracks match; below 0 where they do not."""
        boxes, tracks = np.array([one.face.box for one in predictions], np.float64), self._tracks
        common = overlaps(boxes, np.stack([track.box for track in tracks]))
        near = (common >= self._settings.overlap) & [track.placed for track in tracks]
        worth = np.where(near, common, -1.0)
        if embeddings is None:
            return worth
        for place, track in enumerate(tracks):
            if track.embedding is None:
                continue
            apart = np.linalg.norm(embeddings.values - track.embedding, axis=1)
            match = (apart <= embeddings.same) | (near[:, place] & (apart <= embeddings.other))
            alike = 2 * (1 - apart / embeddings.other)
            worth[:, place] = np.where(match, np.where(near[:, place], common[:, place], 0) + alike, -1.0)
        return worth

    def _next(self, time: float, found: Prediction, track: _Track | None) -> Prediction:
        """The prediction with its track's number and smoothed scores; without a track, a new one begins."""
        box, scores = np.array(found.face.box, np.float64), np.array(list(found.scores.values()))
        if track is None:
            self._count += 1
            track = _Track(self._count, box, time, np.zeros_like(scores), 0.0)
            self._tracks.append(track)
        smooth = self._settings.smooth
        kept = math.exp((track.time - time) / smooth) if smooth else 0.0
        track.box = box
        track.time = time
        track.placed = True
        track.sums = kept * track.sums + scores
        track.weight = kept * track.weight + 1
        averaged = dict(zip(found.scores, (track.sums / track.weight).tolist(), strict=True))
        return replace(found.with_scores(averaged), track=track.number)


def overlaps(one: Floats, other: Floats) -> Floats:
    """(N, M) intersection over union of boxes (N, 4) and (M, 4); 0 for boxes of no size."""
    low, high = np.maximum(one[:, None, :2], other[:, :2]), np.minimum(one[:, None, 2:], other[:, 2:])
    common = (high - low).clip(0).prod(axis=2)
    area, areas = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (one, other))
    whole = area[:, None] + areas - common
    found: Floats = np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)
    return found
