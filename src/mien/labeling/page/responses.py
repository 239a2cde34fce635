"""What the page gets as JSON: questions with their guesses, and how far the work is."""

import math
import threading
import time
from typing import Any, Literal

from mien.labeling.page.new_questions import GIVEN
from mien.labeling.page.numbered_faces import NumberedFaces
from mien.labeling.store.records import Question
from mien.labeling.store.store import Store
from mien.labeling.store.tally import GoldProgress, Tally

GuessTiming = Literal["after", "before", "never"]
"""When people see the guess noted with a question: once they have answered, before, or never."""

COUNTED_SECONDS = 1.0
"""Seconds that pass at least before progress is counted again."""
COUNTED_SHARE = 0.05
"""The share of the time that counting progress may take."""


def guess_json(question: Question) -> dict[str, Any] | None:
    """The guess noted with a question, and whether it is a model's or the label that the face had; None where there is none."""
    if question.guess is None:
        return None
    return {"label": question.guess, "by": "label" if question.model == GIVEN else "model"}


def question_json(number: int, faces: NumberedFaces, when: GuessTiming) -> dict[str, Any]:
    """A question as JSON: its number, whether its photo is known, and the guess where that is shown before the answer.

    Gold questions look like any other.
    """
    question = faces.question(number)
    guess = guess_json(question) if question and when == "before" else None
    return {"number": number, "guess": guess, "photo": faces.has_photo(number)}


class ProgressFigures:
    """How far the answering is, counted now and then for all who ask. All threads may use one."""

    def __init__(self, store: Store) -> None:
        self._store, self._turn = store, threading.Lock()
        self._due = self._began = -math.inf
        self._found: tuple[Tally, GoldProgress] | None = None

    def json(self, annotator: str) -> dict[str, Any]:
        """The progress that one annotator sees, as JSON. What others did is in the sums alone."""
        tally, gold = self._count()
        # Gold questions count like others: whoever sees that an answer changes nothing knows that it was to a gold one.
        left = gold.left(annotator)
        others = sum(count > 0 for name, count in tally.by_annotator.items() if name != annotator)
        return {
            "questions": tally.questions + len(left),
            "done": tally.done + left.count(0),
            "remaining": tally.remaining + sum(left),
            "per_face": self._store.info.least,
            "yours": tally.by_annotator.get(annotator, 0),
            "age": round(time.monotonic() - self._began, 3),
            "people": others + 1,
            "alpha": None if math.isnan(tally.alpha) else round(tally.alpha, 3),
        }

    def _count(self) -> tuple[Tally, GoldProgress]:
        with self._turn:
            began = time.monotonic()
            if self._found is None or began >= self._due:
                self._found, self._began = (self._store.progress(), self._store.gold_progress()), began
                ended = time.monotonic()
                self._due = ended + max(COUNTED_SECONDS, (ended - began) / COUNTED_SHARE)
            return self._found
