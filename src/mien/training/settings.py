"""What a run is asked to do, beside its recipe: seed, labels, noise, split, device. Stands in run.json.

Commands offer these settings as options, so that this module loads nothing heavy.
"""

import io
from pathlib import Path

from pydantic.dataclasses import dataclass

from mien.disk import read_bytes
from mien.errors import MienError
from mien.settings import STRICT, Count, Seed, Share, Threads, plain_errors


@plain_errors
@dataclass(frozen=True, config=STRICT)
class TrainingSettings:
    """What a run was asked to do, beside its recipe: the content of run.json, from which it can be resumed."""

    seed: Seed = 0
    """Draws labels, weights, batches and views."""
    labels_per_class: Count | None = None
    """Label budget per class, validation included. Unless given: all labels."""
    labels: Count | None = None
    """Label budget in all, validation included. Unless given: all labels."""
    noise: Share = 0.0
    """Share of the given labels, validation included, that is flipped to another class."""
    proportional_noise: bool = False
    """Whether flipped labels keep the classes' frequencies: every class has the share `noise` of wrong labels."""
    noise_matrix: tuple[tuple[Share, ...], ...] | None = None
    """Instead of one share: for each class, the probabilities of the classes that its labels become."""
    split: str | None = None
    """Split to train on. Unless given: train or Training."""
    fold: str | None = None
    """Instead of the set's splits: leave out this fold of subjects, for example 1/5 or 1/5 ascending."""
    device: str = "auto"
    """auto, cpu, cuda, or cuda:1 for the second GPU."""
    threads: Threads | None = None
    """Processor threads. Unless given: torch's own number, which is written down and kept when resuming."""
    faces: Path | None = None
    """Folder of the face set."""
    unlabeled: Path | None = None
    """A further face set, used without its labels."""
    own_unlabeled: bool = True
    """Whether faces beyond the label budget are learned from as unlabeled ones, beside those of a further set."""
    unlabeled_faces: Count | None = None
    """How many unlabeled faces to use, drawn by the seed. Unless given: all."""
    checksums: tuple[str, str] = ("", "")
    """Checksums of the face set and of the further one; "" where there is none."""
    also: Path | None = None
    """A further face set whose labeled training faces join the training. Classes are matched by name."""
    also_labels: Count | None = None
    """How many labels of that set join, drawn by the seed in its classes' proportions. Unless given: all."""
    also_checksum: str = ""
    """Checksum of that set; "" where there is none."""
    validation_split: bool | None = None
    """Whether the faces of the set's split validation validate; None in runs from before there was such a use."""


def require_also(also_labels: int | None, also: object | None) -> None:
    """Raises MienError where a number of labels of a further set is given, but no such set."""
    if also_labels is not None and also is None:
        raise MienError("a set whose labels join the training", "a number of labels alone", "give `also`, too")


def read_matrix(path: Path) -> tuple[tuple[float, ...], ...]:
    """A confusion matrix from a csv without header, a row per class. Raises MienError where it holds anything else."""
    import numpy as np

    from mien.tabular.csv_header import SEPARATORS, encoding_of

    todo = "give a row per class, probabilities that sum to 1"
    content = read_bytes(path, todo)
    try:
        text = content.decode(encoding_of(path))
        if not text.strip():
            raise MienError(f"a csv of numbers at {path}", "an empty file", todo)
        # Where numbers have commas, something else parts them.
        separator = next((sign for sign in SEPARATORS[1:] if sign in text), ",")
        text = text if separator == "," else text.replace(",", ".")
        rows = np.loadtxt(io.StringIO(text), delimiter=separator, ndmin=2)
    except ValueError as error:
        raise MienError(f"a csv of numbers at {path}", str(error), todo) from error
    return tuple(tuple(map(float, row)) for row in rows)
