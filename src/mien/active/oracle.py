"""Who says what the faces of a round are; the one here knows the labels already, for experiments."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from mien.active.pool import AllFaces
from mien.data.format import Rows
from mien.data.noise import flip_uniform
from mien.progress import Progress


@dataclass(frozen=True, eq=False)
class RoundQuestions:
    """What a round asks."""

    round: int
    rows: Rows
    """(n,) of the world, the most wanted first."""
    guesses: Rows
    """(n,) class that the model which chose them takes them for."""
    model: str
    """Hash of that model's weights."""
    run: Path
    """Its folder."""


class Annotators(Protocol):
    """Whoever labels faces."""

    def __call__(self, asked: RoundQuestions, progress: Progress) -> Rows:
        """What they say of each face, (n,): a class, UNDECIDED, NOT_A_FACE or DISPUTED. The same may be asked again, by a process
        that goes on where another one was killed.
        """
        ...


@dataclass(frozen=True, eq=False)
class Oracle:
    """The labels that are known answer at once, some of them wrong."""

    labels: Rows
    """(N,) what it says of each face of the world."""

    @staticmethod
    def of(world: AllFaces, noise: float, seed: int) -> "Oracle":
        """With this share of the candidates' labels flipped to another class, the same in all rounds and for all strategies."""
        truth = np.full(len(world.faces), -1)
        truth[world.candidates] = world.faces.labels[world.candidates]
        return Oracle(flip_uniform(truth, noise, len(world.faces.classes), seed))

    def __call__(self, asked: RoundQuestions, progress: Progress) -> Rows:
        """The labels of the rows asked about."""
        return self.labels[asked.rows]
