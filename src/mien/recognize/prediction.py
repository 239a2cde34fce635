"""The prediction for one face: where the face is, which expressions are possible, and how probable each is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mien.errors import MienError
from mien.faces.face import Face
from mien.wording import percent, short_name


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a recognizer predicts for one face, and where the face is."""

    face: Face
    """The face's box and landmarks, in pixels of the upright photo, and the detector's score."""
    scores: dict[str, float]
    """The calibrated probability of every expression, from 0 to 1."""
    possible: tuple[str, ...]
    """The expressions whose probability reaches their conformal threshold by the model's card, the likeliest first."""

    track: int | None = None
    """In a video: a person's number, the same in every frame. None in a photo."""
    confidence_threshold: float = 0.0
    """The probability that a single possible expression needs for a sure answer, by the model's card. At 1 no answer is sure."""

    change: dict[str, float] | None = None
    """How far each expression's log-odds against neutral are above those of the person's resting face, in nats.

    None where no resting face is known: the scores are then as the model gave them.
    """

    unlike: bool | None = None
    """Whether the face is unlike those that the model learned from: the answer is then unsure, and more expressions are
    possible. None where the model cannot tell."""
    conformal_thresholds: tuple[float, ...] = ()
    """From which probability on each expression is possible for this face, in the order of `scores`."""

    @property
    def top(self) -> str:
        """The likeliest expression."""
        return max(self.scores, key=self.scores.__getitem__)

    @property
    def confidence(self) -> float:
        """The probability of the likeliest expression."""
        return self.scores[self.top]

    @property
    def unsure(self) -> bool:
        """Whether several expressions are possible, or none is, or the single one is below the confidence threshold, or the face
        is unlike the training faces."""
        threshold = self.confidence_threshold
        return bool(self.unlike) or len(self.possible) != 1 or not threshold <= self.confidence or threshold >= 1

    def with_scores(self, scores: dict[str, float]) -> "Prediction":
        """The prediction for the same face with other probabilities, such as averages over time; thresholds stay.

        Raises MienError for one without thresholds, which `make_prediction` gives.
        """
        if len(self.conformal_thresholds) != len(scores):
            expected, found = f"a conformal threshold for each of {len(scores)} expressions", f"{len(self.conformal_thresholds)}"
            raise MienError(expected, found, "make the prediction by make_prediction")
        made = make_prediction(self.face, scores, self.conformal_thresholds, self.confidence_threshold, self.unlike)
        return replace(made, track=self.track)

    def to_json(self) -> dict[str, Any]:
        """Names and numbers for JSON. The box is x0, y0, x1, y1; the landmarks are five pairs of x and y, or None."""
        return (
            ({} if self.track is None else {"track": self.track})
            | {
                "box": [round(value, 1) for value in self.face.box],
                "landmarks": None if self.face.landmarks is None else self.face.landmarks.astype(float).round(1).tolist(),
                "face": round(self.face.score, 4),
                "top": self.top,
                "confidence": round(self.confidence, 4),
                "unsure": self.unsure,
                "possible": list(self.possible),
                "scores": {name: round(value, 4) for name, value in self.scores.items()},
            }
            | ({} if self.unlike is None else {"unlike": self.unlike})
            | ({} if self.change is None else {"change": {name: round(value, 3) for name, value in self.change.items()}})
        )


def make_prediction(
    face: Face,
    scores: dict[str, float],
    conformal_threshold: float | Sequence[float],
    confidence_threshold: float = 0.0,
    unlike: bool | None = None,
) -> Prediction:
    """The prediction for a face with these probabilities by expression.

    An expression is possible from `conformal_threshold` on: one for all, or one for each in the order of `scores`. A single
    possible one is sure from `confidence_threshold` on, unless the face is `unlike` the training faces.
    """
    if isinstance(conformal_threshold, int | float):
        conformal_threshold = (float(conformal_threshold),) * len(scores)
    thresholds = tuple(conformal_threshold)
    least = dict(zip(scores, thresholds, strict=True))
    likely = sorted(scores, key=lambda name: -scores[name])
    possible = tuple(name for name in likely if scores[name] >= least[name])
    return Prediction(
        face, scores, possible, confidence_threshold=confidence_threshold, unlike=unlike, conformal_thresholds=thresholds
    )


def sentence(prediction: Prediction) -> str:
    """The prediction in words: `happiness 97%`, or the two likeliest expressions where it is unsure."""
    named = sorted(prediction.scores, key=lambda name: -prediction.scores[name])[: 2 if prediction.unsure else 1]
    said = ", ".join(f"{short_name(name)} {percent(prediction.scores[name], 0)}" for name in named)
    return f"unsure ({said})" if prediction.unsure else said
