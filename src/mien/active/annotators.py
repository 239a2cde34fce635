"""Whoever labels the faces of a round: the questions that they get, and how they are called."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mien.data.format import Rows
from mien.progress import Progress


@dataclass(frozen=True, eq=False)
class RoundQuestions:
    """What a round asks: n faces, the most wanted first."""

    round: int
    """The number of the round, counted from 1."""
    rows: Rows
    """(n,) the rows of the faces among all faces."""
    guesses: Rows
    """(n,) the classes that the model which chose the faces takes them for; -1 where there was no model yet."""
    model: str
    """The hash of that model's weights; "" where there was no model yet."""
    run: Path | None
    """The folder of that model's run."""


class Annotators(Protocol):
    """Whoever labels faces."""

    def __call__(self, asked: RoundQuestions, progress: Progress) -> Rows:
        """What the annotators say of each face, (n,): a class, UNDECIDED, NOT_A_FACE or DISPUTED.

        The same may be asked twice, where a process goes on after another one was killed.
        """
        ...
