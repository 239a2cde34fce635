"""What the page shows of questions and of the work as a whole."""

import math
import threading
import time
from dataclasses import dataclass
from typing import Any, Literal

from mien.labeling.page.faces import Faces
from mien.labeling.page.setup import GIVEN
from mien.labeling.store.counts import GoldProgress, Tally
from mien.labeling.store.records import Question
from mien.labeling.store.store import Store

When = Literal["after", "before", "never"]
"""When people see what the model takes a face for: once they have answered, at once, or not at all."""

COUNTED_SECONDS = 1.0
"""Progress is counted anew at most so often."""
COUNTED_SHARE = 0.05
"""Counting takes at most this share of the time."""


@dataclass(frozen=True)
class Guess:
    """What a face was taken for."""

    label: int
    by: Literal["model", "label"]
    """The model, or the label that the face had."""


def guess_of(question: Question) -> Guess | None:
    """None where nothing guessed."""
    if question.guess is None:
        return None
    return Guess(question.guess, "label" if question.model == GIVEN else "model")


def question_json(number: int, faces: Faces, when: When) -> dict[str, Any]:
    """A question as the page gets it: its number, whether there is a photo, and the guess, if that is to be seen. Gold ones look
    like any other."""
    question = faces.question(number)
    guess = plain(guess_of(question)) if question and when == "before" else None
    return {"number": number, "guess": guess, "photo": faces.has_photo(number)}


def plain(guess: Guess | None) -> dict[str, Any] | None:
    """For JSON."""
    return None if guess is None else {"label": guess.label, "by": guess.by}


class Work:
    """How far the answering is, counted now and then for all who ask."""

    def __init__(self, store: Store) -> None:
        self._store, self._turn = store, threading.Lock()
        self._due = self._began = -math.inf
        self._found: tuple[Tally, GoldProgress] | None = None

    def json(self, annotator: str) -> dict[str, Any]:
        """The figures as one annotator gets them; those of others are in the sums alone."""
        tally, gold = self._count()
        # As of any other question: who sees that an answer changes nothing knows that it was to a gold one.
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
