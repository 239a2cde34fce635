"""What a run is asked to do, beside its recipe: seed, labels, noise, split, device. Stands in run.json."""

import io
from pathlib import Path

import numpy as np
from pydantic.dataclasses import dataclass

from mien.disk import read_bytes
from mien.errors import MienError
from mien.registry import STRICT, Count, Seed, Share, Threads, worded
from mien.tabular.csv_files import SEPARATORS, encoding_of


@worded
@dataclass(frozen=True, config=STRICT)
class TrainingSettings:
    """What a run is asked to do, beside its recipe. It stands in run.json, from which the run can be resumed."""

    seed: Seed = 0
    """Draws labels, weights, batches and views."""
    labels_per_class: Count | None = None
    """Label budget per class, validation included; None for all."""
    labels: Count | None = None
    """Label budget in all, validation included; None for all."""
    noise: Share = 0.0
    """Share of the given labels, validation included, that are flipped to another class."""
    noise_matrix: tuple[tuple[Share, ...], ...] | None = None
    """Probabilities of the classes that a class's labels become, a row for each class; instead of `noise`."""
    split: str | None = None
    """Split to train on; None for the one that is called train or Training."""
    fold: str | None = None
    """Train on all but this subject-independent fold, for example 1/5, instead of a split."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:1 (the second GPU)."""
    threads: Threads | None = None
    """Processor threads; None takes torch's own number, which is then written down and kept when resuming."""
    faces: Path | None = None
    """The face set's folder."""
    unlabeled: Path | None = None
    """Folder of a further set, of which only the pixels are used."""
    own_unlabeled: bool = True
    """Whether faces beyond the label budget are learned from as unlabeled faces."""
    unlabeled_faces: Count | None = None
    """How many unlabeled faces are used, drawn by seed; None for all."""
    checksums: tuple[str, str] = ("", "")
    """Checksums of the face set and of the further set."""


def read_matrix(path: Path) -> tuple[tuple[float, ...], ...]:
    """A confusion matrix from a csv without header, a row per class. Raises MienError where it holds anything else."""
    todo = "give a row per class, probabilities that sum to 1"
    content = read_bytes(path, todo)
    try:
        text = content.decode(encoding_of(path))
        # Where numbers have commas, something else parts them.
        separator = next((sign for sign in SEPARATORS[1:] if sign in text), ",")
        text = text if separator == "," else text.replace(",", ".")
        rows = np.loadtxt(io.StringIO(text), delimiter=separator, ndmin=2)
    except ValueError as error:
        raise MienError(f"a csv of numbers at {path}", str(error), todo) from error
    return tuple(tuple(map(float, row)) for row in rows)
