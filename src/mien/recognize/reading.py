"""What a recognizer reads in the faces of a photo."""

from dataclasses import dataclass
from typing import Any

from mien.faces.face import Face
from mien.wording import short_name


@dataclass(frozen=True, eq=False)
class Reading:
    """One face: where it is, and what it shows."""

    face: Face
    """Its box and landmarks, in pixels of the upright photo, and the detector's score."""
    scores: dict[str, float]
    """The calibrated probability of every expression."""
    possible: tuple[str, ...]
    """The expressions that cannot be ruled out, the likeliest first: from the probability on that the model's card states."""

    track: int | None = None
    """In a video: the same number for the face of one person, frame after frame."""
    needed: float = 0.0
    """The probability from which an expression that alone is possible is sure, as the model's card states; at 1 none is."""

    @property
    def top(self) -> str:
        """The likeliest expression."""
        return max(self.scores, key=self.scores.__getitem__)

    @property
    def confidence(self) -> float:
        """Its probability."""
        return self.scores[self.top]

    @property
    def unsure(self) -> bool:
        """Not one expression alone is possible, or it is not probable enough."""
        return len(self.possible) != 1 or not self.needed <= self.confidence or self.needed >= 1

    def to_json(self) -> dict[str, Any]:
        """Names and numbers alone: box is x0, y0, x1, y1, landmarks are five of x, y, or none."""
        return ({} if self.track is None else {"track": self.track}) | {
            "box": [round(value, 1) for value in self.face.box],
            "landmarks": None if self.face.landmarks is None else self.face.landmarks.astype(float).round(1).tolist(),
            "face": round(self.face.score, 4),
            "top": self.top,
            "confidence": round(self.confidence, 4),
            "unsure": self.unsure,
            "possible": list(self.possible),
            "scores": {name: round(value, 4) for name, value in self.scores.items()},
        }


def reading(face: Face, scores: dict[str, float], least: float, needed: float = 0.0) -> Reading:
    """Of a face with these probabilities; an expression is possible from `least` on, and sure from `needed` on if no other is."""
    likely = sorted(scores, key=lambda name: -scores[name])
    return Reading(face, scores, tuple(name for name in likely if scores[name] >= least), needed=needed)


def sentence(reading: Reading) -> str:
    """For people: `happiness 97%`, or the two likeliest where that is not sure."""
    named = sorted(reading.scores, key=lambda name: -reading.scores[name])[: 2 if reading.unsure else 1]
    said = ", ".join(f"{short_name(name)} {reading.scores[name]:.0%}" for name in named)
    return f"unsure ({said})" if reading.unsure else said
