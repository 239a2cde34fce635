"""What `mien rounds` is asked to do: which faces are asked about, by whom they are labeled, and how their labels are learned.

Commands offer these settings as options, so that this module loads nothing heavy.
"""

from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from mien.errors import MienError
from mien.settings import STRICT, Count, CountOrZero, Seed, Share, Threads, plain_errors

AUTO = "auto"
"""The split to test on that is the set's own."""

RANDOM = "random"
"""The strategy that the others are compared with, where it is among them; elsewhere the first is."""

Gain = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]


def folder_name(text: str) -> str:
    """A strategy's text as a part of a path."""
    return "".join(letter if letter.isalnum() or letter in "_.=-" else "_" for letter in text)


@plain_errors
@dataclass(frozen=True, config=STRICT)
class RoundsSettings:
    """What rounds of asking and learning are asked to do; every strategy with every seed is a chain of rounds."""

    recipe: str
    """How the first model is trained: a recipe's name or a TOML file."""
    acquire: Annotated[tuple[str, ...], Field(min_length=1)]
    """Strategies that choose the faces to ask about, with settings if need be: `worthiness extension=1`."""
    per_round: Count
    """Faces asked about in a round."""
    rounds: Count
    """How many rounds."""
    start_labels_per_class: CountOrZero | None = None
    """Labels per class for the first model, validation included. Unless given: all labels; without any, or for 0, the first
    faces are chosen before there is a model."""
    pool: Path | None = None
    """Face set whose faces are asked about. Unless given: the rest of the training split, its labels hidden."""
    classes: tuple[str, ...] = ()
    """Classes that people choose from, for a face set that has none."""
    oracle: Share | None = None
    """For experiments: instead of people the known labels answer, this share of them flipped to another class."""
    store: str | None = None
    """Label store that people answer into: a file, or postgresql://user@host/name."""
    per_face: Count = 1
    """Answers of different people that a face wants."""
    split_to_test: str | None = AUTO
    """Split to draw the curve on, by which nothing is chosen. auto: test or PublicTest where it has labels, else validation."""
    learn: Literal["new", "all", "afresh"] = "new"
    """What a round learns: new labels and those that the last model misses (new), all labels from the last model on (all),
    or all labels as the first model did (afresh)."""
    tune: str | None = None
    """Recipe to go on by from the last model. Unless given: the last stage of the first recipe; where that is its only stage,
    at a tenth of its learning rate."""
    min_gain: Gain | None = None
    """End where validation accuracy gained less in a round; 0.005 is half a point."""
    seed: Seed = 0
    """Draws start labels, weights, batches, views, flips, and what strategies draw. The first seed, where there are several."""
    seeds: Count = 1
    """How many seeds to run each strategy with, counted up from the first. More than one needs an oracle."""
    start: str | None = None
    """Start from a model's weights, on its network: mien-s, a run, or a model folder."""
    epochs: Count | None = None
    """Epochs in all, for the first model. Later models have the share of the stage that they go on by."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Values to change in the recipe, by key."""
    device: str = "auto"
    """auto, cpu, cuda, or cuda:1 for the second GPU."""
    threads: Threads | None = None
    """Processor threads. Unless given: torch's own number, which is written down and kept."""

    def __post_init__(self) -> None:
        folders = [folder_name(text) for text in self.acquire]
        if len(set(folders)) < len(folders):
            raise MienError("different strategies", ", ".join(self.acquire), "leave one out")
        if (self.oracle is None) == (self.store is None):
            found = "neither" if self.store is None else "both"
            raise MienError("either an oracle or a store that people answer into", found, "give `oracle` labels, or `store` FILE")
        if self.store is not None and (len(self.acquire) > 1 or self.seeds > 1):
            found = f"{len(self.acquire)} strategies and {self.seeds} seeds"
            raise MienError("one strategy and one seed, where people are asked", found, "compare strategies with an oracle")

    @property
    def reference(self) -> str:
        """The strategy that the others are compared with."""
        return RANDOM if RANDOM in self.acquire else self.acquire[0]
