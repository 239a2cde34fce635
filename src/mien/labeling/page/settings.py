"""What a page is asked to show: which faces people label, and where their answers go.

The command offers these settings as options, so that this module loads nothing heavy.
"""

from pathlib import Path

from pydantic.dataclasses import dataclass

from mien.settings import STRICT, Count, plain_errors


@plain_errors
@dataclass(frozen=True, config=STRICT)
class PageSettings:
    """Which faces people are asked about, and where their answers go."""

    pool: Path | str
    """Folder of a face set."""
    store: str
    """Where answers go: a file, which is made where there is none, or postgresql://user@host/name."""
    model: Path | str | None = None
    """A run or a model folder, whose guesses are noted with the questions."""
    classes: tuple[str, ...] = ()
    """Classes to choose from. Unless given: those of the model, or of the pool."""
    per_face: Count | None = None
    """Answers of different people that a face wants. Unless given: as the store has it, 1 in a new one. More than a store has:
    for the faces on which people disagree alone."""
    first: Count | None = None
    """Ask about so many faces. Unless given: a new store asks about all."""
    split: str | None = None
    """Ask about the faces of this split."""
    unlabeled: bool = False
    """Ask about faces without label."""
    doubts: Path | str | None = None
    """A list of mien label-errors: people confirm or correct its labels, in its order."""
    gold: Path | str | None = None
    """Faces whose right answer is known, a csv file with columns id and label: everybody gets them among the others."""
    device: str = "auto"
    """Where the model runs: auto, cpu, cuda, cuda:1 for the second GPU, or mps."""
    definitions: Path | str | None = None
    """A TOML file that says what each class means, and perhaps the question. Unless given: as the store has it."""
    photos: str | None = None
    """Where the photos around faces are: a folder, archive or list; none: show none. Unless given: as mien prepare noted it."""

    @property
    def chosen(self) -> bool:
        """Whether it says which faces; otherwise a new store asks about all of them, and one that is there about no others."""
        return bool(self.first or self.split or self.unlabeled or self.doubts)
