"""The result of an evaluation: all figures with their intervals, and how they were measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from mien.evaluation.metrics import CalibrationBins, Counts, Interval
from mien.json_text import plain_values
from mien.wording import percent

FEW = 30
"""Least faces behind a figure that says something: with fewer, its interval is about 35 points wide or more."""


@dataclass(frozen=True)
class Subgroup:
    """Figures of the faces that share a value in a column."""

    column: str
    value: str
    count: int
    """Number of faces."""
    accuracy: float
    average_accuracy: float
    """Mean of the recalls over the classes that have faces in this group."""
    intervals: dict[str, Interval]
    """95 % intervals of `accuracy` and `average_accuracy`, by name."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All that was measured on one set of faces; made by `summarize_logits`. Figures are shares from 0 to 1."""

    dataset: str
    split: str
    classes: tuple[str, ...]
    count: int
    """Number of faces."""
    flip: bool
    """Whether each face's logits were averaged with its mirror image's."""
    temperature: float
    """The logits were divided by this before the softmax; fitted on validation."""
    confusion: Counts
    """(K, K), a row per true class, a column per predicted class."""
    accuracy: float
    """Overall accuracy (WAR)."""
    average_accuracy: float
    """Mean of the recalls over the classes that have faces (UAR)."""
    macro_f1: float
    """Mean of the classes' F1."""
    second: float
    """Share of the wrong faces whose second most likely class is the label; nan where no face is wrong."""
    recalls: tuple[float, ...]
    """Recall of each class; nan for a class without faces."""
    precisions: tuple[float, ...]
    """Precision of each class; nan for a class that is never predicted."""
    recall_intervals: tuple[Interval, ...]
    """95 % interval of each class's recall."""
    ece_before: float
    """Expected calibration error at temperature 1."""
    ece_after: float
    """Expected calibration error at `temperature`."""
    reliability_before: CalibrationBins
    """The reliability diagram at temperature 1."""
    reliability_after: CalibrationBins
    """The reliability diagram at `temperature`."""
    sure_from: float
    """The confidence threshold: a single possible class is a sure answer from this probability on."""
    sure: float
    """Share of the faces with a sure answer."""
    sure_right: float
    """Share of the sure answers that are right; nan where none is sure."""
    intervals: dict[str, Interval]
    """95 % intervals by the figure's name.

    By bootstrap over faces: accuracy, average_accuracy, macro_f1, ece_before and ece_after. Wilson's: sure, second (over the
    wrong faces), sure_right (over the faces with a sure answer) and, where it is known, unlike.
    """
    unlike: float | None = None
    """Share of the faces that are unlike those of training: their answers are never sure. None where the model cannot tell."""
    groups: tuple[Subgroup, ...] = ()
    """Figures by column and value, in order."""
    notes: dict[str, str] = field(default_factory=dict)
    """How it was measured: label rule, label budget, seed, recipe, machine."""

    @property
    def cautions(self) -> tuple[str, ...]:
        """What to know before a figure is believed, in sentences."""
        counts, said = self.confusion.sum(axis=1), self.confusion.any(axis=0)
        few = few_faces_caution(dict(zip(self.classes, counts.tolist(), strict=True)))
        groups = [group for group in self.groups if group.count < FEW]
        column = self.groups[0].column if self.groups else ""
        found = [few] if few else []
        if groups and self.count >= FEW:
            found.append(
                f"{len(groups)} of {len(self.groups)} values of {column} have fewer than {FEW} faces: their figures say little"
            )
        if said.sum() == 1 < (counts > 0).sum():
            name, average = self.classes[int(said.argmax())], percent(self.average_accuracy)
            found.append(
                f"every face was taken for {name}: the average accuracy of {average} is 1 of {(counts > 0).sum()} classes"
            )
        return (*found, *([self.notes["cut out"]] if "cut out" in self.notes else []))

    def to_json(self) -> dict[str, Any]:
        """The whole evaluation as plain values for JSON; nan is null."""
        values: dict[str, Any] = {entry.name: plain_values(getattr(self, entry.name)) for entry in fields(self)}
        values["cautions"] = list(self.cautions)
        for name in ("recalls", "precisions", "recall_intervals"):
            values[name] = dict(zip(self.classes, values[name], strict=True))
        return values


def few_faces_caution(counts: Mapping[str, int]) -> str:
    """A sentence where all test faces are of one class, or fewer than 30 stand behind a figure; empty where neither is so.

    `counts`: test faces of each class. A class without any is not measured, and so not mentioned.
    """
    alone = [name for name, count in counts.items() if count]
    if len(alone) == 1:
        return f"all test faces are of {alone[0]}: what is taken for it wrongly was not measured"
    total, few = sum(counts.values()), {name: count for name, count in counts.items() if 0 < count < FEW}
    if total < FEW:
        return f"only {total} test face{'s' * (total != 1)}: with fewer than {FEW}, figures say little"
    told = ", ".join(f"{name} ({count})" for name, count in few.items())
    return f"classes with fewer than {FEW} test faces, whose figures say little: {told}" if few else ""
