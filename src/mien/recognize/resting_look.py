"""A person's resting look: what a model takes their neutral face for, and scores that are corrected for it.

Some people look happy or angry to a model when they rest, and the smile of others stays slight. With o_k the logarithm of an
expression's probability over neutral's, b_k the same of the person's neutral face, n_k that of a usual neutral face (the card's
`resting`), and w the strength, the corrected value is

    o'_k = n_k + (o_k - n_k - w (b_k - n_k)) / sqrt(1 - w^2),

and the corrected scores are the softmax of o'. w is how strongly the values of two neutral photos of one person are correlated.
Then n_k + w (b_k - n_k) is the expected value of another neutral photo, and sqrt(1 - w^2) the part of the spread that is left: a
face counts as changed when it is as unusual for this person as it would have to be for anybody.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mien.errors import MienError
from mien.faces.crop import CropSpec
from mien.faces.which_faces import Turns
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.media.photos import PhotoLike
from mien.recognize.baseline_settings import ELSEWHERE, BaselineSettings, Strength
from mien.recognize.model_card import ModelCard
from mien.recognize.prediction import Prediction
from mien.recognize.recognizer import Recognizer
from mien.settings import require_fitting

Floats = npt.NDArray[np.float64]

NEUTRAL = "neutral"
"""The class that a resting face is of."""
LEAST = 1e-6
"""Probabilities below this count as this much: what lies below is noise."""
FEW = 10
"""Neutral validation faces from which a card says what a usual one looks like."""


@dataclass(frozen=True)
class RestingLook:
    """What a model takes one person's neutral face for."""

    log_odds: tuple[float, ...]
    """(K,) the logarithm of each class's probability over neutral's, in the order of the card's classes."""

    @staticmethod
    def of(
        recognizer: Recognizer,
        photos: Sequence[PhotoLike],
        limits: FileLimits = FILE_LIMITS,
        crop_spec: CropSpec | None = None,
        turn: Turns = "off",
    ) -> "RestingLook":
        """The resting look in photos of one person's neutral face; several photos are averaged. `crop_spec` and `turn` as `read`
        takes them.

        Raises MienError where a photo cannot be read or does not show exactly one face, and for a model whose card does not say
        what usual neutral faces look like.
        """
        _usual(recognizer.card)
        if not photos:
            raise MienError("a photo of a neutral face", "none", "give one")
        read = recognizer.read(photos, crop_spec, limits, turn)
        found = [_single(faces, photo, number) for number, (faces, photo) in enumerate(zip(read, photos, strict=True), 1)]
        return RestingLook(tuple(np.mean([log_odds(face.scores) for face in found], axis=0).tolist()))

    def corrected(self, prediction: Prediction, card: ModelCard, strength: float = ELSEWHERE) -> Prediction:
        """The prediction for a face of this person, with corrected scores and the change from rest.

        `card`: of the model that made the prediction. Raises MienError for a card that does not say what usual neutral faces
        look like, for a look of another number of classes, and for a strength that is not from 0 to 0.99.
        """
        require_fitting(Strength, strength=strength)
        usual, found, rest = _usual(card), log_odds(prediction.scores), np.array(self.log_odds)
        if not len(rest) == len(found) == len(usual):
            expected = f"a resting look and scores of {len(usual)} classes, as the card has them"
            todo = "take the look, the prediction and the card of one model"
            raise MienError(expected, f"a look of {len(rest)} and scores of {len(found)}", todo)
        odds = usual + (found - usual - strength * (rest - usual)) / np.sqrt(1 - strength**2)
        likely = np.exp(odds - odds.max())
        scores = dict(zip(prediction.scores, (likely / likely.sum()).tolist(), strict=True))
        change = dict(zip(scores, (found - rest).tolist(), strict=True))
        return replace(prediction.with_scores(scores), change=change)


class BaselineFollower:
    """Corrects predictions for photos and the frames of videos, one after the other."""

    def __init__(self, card: ModelCard, settings: BaselineSettings, look: RestingLook | None = None) -> None:
        """`look`: of the person on all photos; without, each face of a video rests in its first `seconds`.

        Raises MienError for a card that does not say what usual neutral faces look like.
        """
        _usual(card)
        self._card = card
        self._settings = settings
        self._look = look
        self._video = _RestInVideo("")
        self._short = list[str]()

    def begin_video(self, name: str = "") -> None:
        """Forget the faces of the video before. `name`: what messages call the one that begins."""
        self._short = self.shortfalls()
        self._video = _RestInVideo(name)

    def shortfalls(self) -> list[str]:
        """For each video so far that has no corrected score, a sentence that says why. None where photos are the baseline."""
        if self._look is not None or self._video.end is None:
            return self._short
        reason = self._video.reason(self._settings.seconds or 0)
        return [*self._short, f"{self._video.name}: no score was corrected: {reason}"] if reason else self._short

    def __call__(self, time: float | None, faces: Sequence[Prediction]) -> tuple[Prediction, ...]:
        """The corrected predictions of a photo, or of a frame at this second. Those without a resting look stay as they are."""
        look, video = self._look, self._video
        if look is not None:
            return tuple(self._corrected(face, look) for face in faces)
        if time is None:
            return tuple(faces)
        video.end = time
        if time < (self._settings.seconds or 0):
            video.add(faces)
            return tuple(faces)
        video.later += len(faces)
        return tuple(self._corrected(face, video.look(face)) if face.track in video.sums else face for face in faces)

    def _corrected(self, face: Prediction, look: RestingLook) -> Prediction:
        self._video.corrected += 1
        return look.corrected(face, self._card, self._settings.weight())


@dataclass(eq=False)
class _RestInVideo:
    """The resting looks of one video's faces, from its first seconds."""

    name: str
    sums: dict[int | None, tuple[Floats, int]] = field(default_factory=dict)
    """By a face's number, the sum of its log-odds (K,), and of how many frames."""
    end: float | None = None
    """The second of its last frame; None before the first one."""
    later: int = 0
    """Faces in frames after the first seconds."""
    corrected: int = 0

    def add(self, faces: Sequence[Prediction]) -> None:
        """Count the faces of a frame of the first seconds."""
        for face in faces:
            total, count = self.sums.get(face.track, (np.zeros(len(face.scores)), 0))
            self.sums[face.track] = total + log_odds(face.scores), count + 1

    def look(self, face: Prediction) -> RestingLook:
        """The resting look of a face that was counted."""
        total, count = self.sums[face.track]
        return RestingLook(tuple((total / count).tolist()))

    def reason(self, seconds: float) -> str:
        """Why no score was corrected; "" where one was."""
        if self.corrected:
            return ""
        if (self.end or 0) < seconds:
            return f"--baseline-seconds takes videos of more than {seconds:g} s, and its last frame is at {self.end or 0:.1f} s"
        if not self.sums:
            return f"no face in its first {seconds:g} s"
        if not self.later:
            return f"no face after its first {seconds:g} s"
        return f"every face after its first {seconds:g} s has a number of its own, so that none was seen at rest"


def baseline_follower(
    recognizer: Recognizer,
    settings: BaselineSettings,
    photos: Sequence[PhotoLike] = (),
    limits: FileLimits = FILE_LIMITS,
    crop_spec: CropSpec | None = None,
    turn: Turns = "off",
    least_face: float | None = None,
) -> BaselineFollower | None:
    """What corrects by neutral `photos`, or by the first seconds of videos; None where neither is asked for.

    `crop_spec` and `turn` as `Recognizer.read` takes them. Faces of photos are looked for from `least_face` pixels on; unless
    given, as the crop spec says. Raises MienError for both, for a strength without either, and as
    `RestingLook.of` does.
    """
    if photos and settings.seconds is not None:
        raise MienError("one of `baseline` and `baseline_seconds`", "both", "leave one out")
    if not photos and settings.seconds is None and settings.strength is not None:
        raise MienError("`baseline` or `baseline_seconds` beside `baseline_strength`", "neither", "give one, or leave it out")
    if not photos and settings.seconds is None:
        return None
    if least_face is not None:
        crop_spec = (crop_spec or recognizer.crop_spec).looking_for(least_face)
    look = RestingLook.of(recognizer, photos, limits, crop_spec, turn) if photos else None
    return BaselineFollower(recognizer.card, settings, look)


def log_odds(scores: dict[str, float]) -> Floats:
    """(K,) the logarithm of each score over neutral's, in nats. `scores` (K) by class, neutral among them."""
    values = np.log(np.maximum(list(scores.values()), LEAST))
    return np.asarray(values - values[list(scores).index(NEUTRAL)], np.float64)


def usual_log_odds(probabilities: npt.ArrayLike, labels: npt.ArrayLike, classes: Sequence[str]) -> tuple[float, ...]:
    """(K,) the median log-odds against neutral over neutral faces: what a card states as `resting`.

    `probabilities` (N, K), calibrated; `labels` (N,). Empty where there is no class neutral, or where too few faces are neutral.
    """
    if NEUTRAL not in classes:
        return ()
    neutral = list(classes).index(NEUTRAL)
    values = np.log(np.maximum(np.asarray(probabilities, np.float64), LEAST))[np.asarray(labels) == neutral]
    return tuple(np.median(values - values[:, neutral : neutral + 1], axis=0).tolist()) if len(values) >= FEW else ()


def _usual(card: ModelCard) -> Floats:
    """(K,) the log-odds of a usual neutral face. Raises MienError where the card does not say."""
    if not card.resting:
        todo = "take mien-s, or a model of mien train with neutral validation faces"
        raise MienError("a model whose card says what neutral faces look like to it", "one that does not", todo)
    return np.array(card.resting)


def _single(faces: Sequence[Prediction], photo: PhotoLike, number: int) -> Prediction:
    """The one face of a photo, the `number`-th from 1. Raises MienError for none or several."""
    if len(faces) != 1:
        name = f"in {photo}" if isinstance(photo, str | Path) else f"in photo {number}"
        todo = "give one of that person alone" if faces else "give another; one that lies on its side wants `turn`"
        raise MienError("one face in a photo of somebody's neutral face", f"{len(faces) or 'none'} {name}", todo)
    return faces[0]
