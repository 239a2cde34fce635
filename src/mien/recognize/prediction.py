"""The prediction for one face: where the face is, which expressions are possible, and how probable each is."""

from dataclasses import dataclass
from typing import Any

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
    """The expressions whose probability reaches the conformal threshold of the model's card, the likeliest first."""

    track: int | None = None
    """In a video: a person's number, the same in every frame. None in a photo."""
    confidence_threshold: float = 0.0
    """The probability that a single possible expression needs for a sure answer, by the model's card. At 1 no answer is sure."""

    change: dict[str, float] | None = None
    """How far each expression's log-odds against neutral are above those of the person's resting face, in nats.

    None where no resting face is known: the scores are then as the model gave them.
    """

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
        """Whether several expressions are possible, or none is, or the single one is below the confidence threshold."""
        threshold = self.confidence_threshold
        return len(self.possible) != 1 or not threshold <= self.confidence or threshold >= 1

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
            | ({} if self.change is None else {"change": {name: round(value, 3) for name, value in self.change.items()}})
        )


def make_prediction(
    face: Face, scores: dict[str, float], conformal_threshold: float, confidence_threshold: float = 0.0
) -> Prediction:
    """The prediction for a face with these probabilities by expression.

    An expression is possible from `conformal_threshold` on. A single possible one is sure from `confidence_threshold` on.
    """
    likely = sorted(scores, key=lambda name: -scores[name])
    possible = tuple(name for name in likely if scores[name] >= conformal_threshold)
    return Prediction(face, scores, possible, confidence_threshold=confidence_threshold)


def sentence(prediction: Prediction) -> str:
    """The prediction in words: `happiness 97%`, or the two likeliest expressions where it is unsure."""
    named = sorted(prediction.scores, key=lambda name: -prediction.scores[name])[: 2 if prediction.unsure else 1]
    said = ", ".join(f"{short_name(name)} {percent(prediction.scores[name], 0)}" for name in named)
    return f"unsure ({said})" if prediction.unsure else said
