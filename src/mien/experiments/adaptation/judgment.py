"""Judges an adapted model: accuracy before and after, by faces that its last layer was not fitted to."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from mien.experiments.adaptation.adaptation_faces import LEAST, AdaptationFaces
from mien.experiments.adaptation.class_shares import class_shares
from mien.recognize.model_card import ModelCard
from mien.wording import percent

WORSE = (0.03, 0.05)
"""Most accuracy that the known classes may lose: in all, and, where new ones are learned, on average over classes."""
FOUND = 0.2
"""Least share of its faces on which a new class has to be found."""
HARM, HARMED = 0.15, 3
"""A known class is harmed where more than this share of its faces, and at least so many of them, are lost to others."""


@dataclass(frozen=True)
class ClassChange:
    """The share of one class's faces that is predicted right, before and after adaptation."""

    name: str
    faces: int
    """Number of faces."""
    before: float
    """Share that the model predicts right; 0 for a new class."""
    after: float
    """Share that is predicted right after adaptation, each face by a last layer that was fitted to other parts alone."""

    @property
    def harmed(self) -> bool:
        """Whether the class lost more faces than chance explains."""
        return self.before - self.after > HARM and (self.before - self.after) * self.faces > HARMED - 0.5


@dataclass(frozen=True)
class Adapted:
    """The result of adaptation. Figures are shares from 0 to 1, on the faces that were given."""

    lines: tuple[ClassChange, ...]
    """Every class that has faces, before and after."""
    new: tuple[str, ...]
    """Classes that the model did not know."""
    before: float
    """Accuracy before adaptation on the judged known classes, weighted as these were frequent in training."""
    after: float
    """Accuracy after adaptation on the judged known classes, weighted as these were frequent in training."""
    average_before: float
    """Average accuracy over the judged classes before adaptation, new ones included."""
    average_after: float
    """Average accuracy over the judged classes after adaptation, new ones included."""
    folder: str = ""
    """Folder of the adapted model; empty where none was written."""
    sure: float = 1.0
    """Confidence threshold of the adapted model; at 1 no answer is sure."""
    unseen: tuple[str, ...] = ()
    """Known classes that were not judged: they have fewer than five faces here."""
    unseen_share: float = 0.0
    """Share of the known classes that were not judged in the training faces, or among the classes where the card does not say."""

    @property
    def caution(self) -> str:
        """A sentence on the known classes that were not judged; empty where all were."""
        if not self.unseen:
            return ""
        names, share = ", ".join(self.unseen), f"{percent(self.unseen_share)} of what the model learned from"
        held = "what the new classes take from them is not known" if self.new else "their rows stay as they are"
        return f"known classes with fewer than {LEAST} faces here, {share}, were not judged: {names}; {held}"

    @property
    def worse(self) -> str:
        """Why the adapted model is no better, in words; empty where it is better."""
        known = [line for line in self.lines if line.name not in self.new]
        each_before, each_after = (float(np.mean([getattr(line, when) for line in known])) for when in ("before", "after"))
        if self.after < self.before - WORSE[0]:
            return f"known classes {percent(self.before)} before and {percent(self.after)} after"
        if self.new and each_after < each_before - WORSE[1]:
            return f"known classes {percent(each_before)} on average before and {percent(each_after)} after"
        harmed = [f"{line.name} {percent(line.before)} before and {percent(line.after)} after" for line in known if line.harmed]
        if self.new and harmed:
            return ", ".join(harmed)
        missed = [line for line in self.lines if line.name in self.new and line.after < FOUND]
        if missed:
            return ", ".join(f"{line.name} found on {percent(line.after)} of its faces" for line in missed)
        if self.average_after <= self.average_before:
            return f"an average accuracy of {percent(self.average_before)} before and {percent(self.average_after)} after"
        return ""

    def to_json(self) -> dict[str, Any]:
        """The whole result as plain values for JSON."""
        return asdict(self)


def judge(given: AdaptationFaces, shown: Tensor, card: ModelCard) -> Adapted:
    """Compare the model before and after adaptation.

    `shown` (N, K'): each face's logits by a last layer that was fitted to other parts alone. `card`: the model's before.
    """
    labels, seen = given.labels, given.seen
    before, after = given.logits[0].argmax(1) == labels, shown.argmax(1) == labels
    lines = []
    for number, name in enumerate(given.classes):
        mine = labels == number
        if mine.any():
            shares = (float(right[mine].double().mean()) for right in (before, after))
            lines.append(ClassChange(name, int(mine.sum()), *shares))
    judged = [line for line, one in zip(lines, seen[given.counts > 0].tolist(), strict=True) if one]
    unseen = ~seen[: given.known]
    weights = given.weights[0] * (labels < given.known) * seen[labels]
    accuracies = [float((right * weights).sum() / weights.sum()) for right in (before, after)]
    return Adapted(
        tuple(lines),
        given.classes[given.known :],
        before=accuracies[0],
        after=accuracies[1],
        average_before=float(np.mean([line.before for line in judged])),
        average_after=float(np.mean([line.after for line in judged])),
        unseen=tuple(name for name, one in zip(card.classes, unseen.tolist(), strict=True) if one),
        unseen_share=float(class_shares(card)[unseen].sum()),
    )
