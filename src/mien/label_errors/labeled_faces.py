"""The faces whose labels are judged, and what a method says of them."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.data.label_noise import flip_uniform
from mien.data.splits import split_rows, training_rows
from mien.errors import MienError
from mien.evaluation.evaluate import count_known
from mien.evaluation.stability_summary import known_labels
from mien.label_errors.known_mistakes import UNKNOWN, known_truth
from mien.recognize.recognizer import Recognizer
from mien.tabular.parquet_files import LABEL_COLUMNS, read_table
from mien.wording import quantity

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class LabeledFaces:
    """The N faces whose labels are judged, in the set's order."""

    recognizer: Recognizer | None
    """The recognizer that judges them; None: the features that the set holds do."""
    classes: tuple[str, ...]
    """The classes that labels are indices into."""
    face_set: FaceSet
    """The whole set that the faces are of."""
    split: str
    """The split that the faces are of."""
    rows: Rows
    """(N,) the rows of the faces in `face_set`, ascending."""
    given: Integers
    """(N,) labels, flips included, as indices into `classes`."""
    wrong: Bools | None
    """(N,) whether a label is known to be wrong; None where nothing is known."""
    noise: float
    """Share of the labels that were flipped on purpose."""
    seed: int
    """Draws the flips, the folds and the neighbors."""
    warnings: tuple[str, ...]
    """Warnings about faces that were left out."""

    @property
    def faces(self) -> FaceSet:
        """A view of the faces."""
        return self.face_set.select(self.rows)

    @property
    def model(self) -> Recognizer:
        """The recognizer that judges them. Raises MienError where there is none."""
        if self.recognizer is None:
            raise MienError("a model, by which labels are judged", "none", "give a run")
        return self.recognizer


@dataclass(frozen=True, eq=False)
class Judgment:
    """What a method says of M of the labeled faces, in their order; arrays have M values."""

    how: str
    """How it was done, in words."""
    at: Rows
    """Indices of the M faces among the labeled ones."""
    given: Integers
    """Labels, as indices into the classes."""
    suggested: Integers
    """Likelier classes; -1 where nothing is suggested."""
    scores: Floats
    """Higher is more doubtful."""
    flagged: Bools
    """Whether the method takes the label for wrong."""
    wrong: Bools | None
    """Whether a label is known to be wrong; None where nothing is known."""
    noise_rate: float = math.nan
    """Estimated share of wrong labels; nan where the method estimates none."""
    likely: Floats | None = None
    """(K, K) estimated number of faces with the label in the row that are of the class in the column."""
    warnings: tuple[str, ...] = ()
    """What may be wrong with this judgment, and which faces were left out."""


def select_labeled_faces(
    recognizer: Recognizer | None, by: str, faces: FaceSet, split: str | None, noise: float, seed: int
) -> LabeledFaces:
    """The labeled faces of a split, after flips. Unless by `confident`, those of the recognizer's classes alone.

    Raises MienError where there are none.
    """
    names = faces.classes if recognizer is None or by == "confident" else recognizer.classes
    rows = training_rows(faces) if split is None else split_rows(faces, split)
    before = np.full(len(faces), -1)
    before[rows] = faces.labels[rows]
    if noise and len(faces.classes) < 2:
        raise MienError("a face set of two classes or more, to flip labels", f"{len(faces.classes)}", "leave `noise` out")
    # As in training, over the whole set with the labels of others hidden: the same seed then flips the same labels.
    labels = flip_uniform(before, noise, len(faces.classes), seed) if noise else before
    classes = known_labels(names, faces.with_column("label", labels))
    kept = rows[classes[rows] >= 0]
    if not len(kept):
        known = f"labeled faces of {', '.join(names) or 'some class'} in {split or 'the training split'}"
        raise MienError(known, "none", "choose a run of these classes, or another split")
    truth = known_truth(faces, before if noise else np.full(len(faces), UNKNOWN))[kept]
    wrong = (truth != UNKNOWN) & (truth != labels[kept]) if (truth != UNKNOWN).any() else None
    unlabeled, others = int((labels[rows] < 0).sum()), int(((labels[rows] >= 0) & (classes[rows] < 0)).sum())
    left_out = [f"left out: {quantity(unlabeled, 'face')} without label"] if unlabeled else []
    left_out += [f"left out: {quantity(others, 'face')} of classes that the recognizer does not know"] if others else []
    return LabeledFaces(recognizer, names, faces, split or "train", kept, classes[kept], wrong, noise, seed, tuple(left_out))


def training_notes(labeled: LabeledFaces) -> tuple[str, ...]:
    """Warnings that the run learned from these labels, and from how many of them with another class than here."""
    if labeled.recognizer is None:
        return ()
    faces, folder = labeled.faces, labeled.recognizer.folder
    used = count_known(labeled.recognizer, faces, labeled.face_set)
    if not used or folder is None:
        return ()
    said = f"{used} of these {len(faces)} labels taught the run: what it says of these faces is not wholly out of sample"
    file = folder / "budget.parquet"
    rows = read_table(file, LABEL_COLUMNS, "train again").to_pylist() if file.is_file() else []
    taught = {row["id"]: row["label"] for row in rows}
    ids = faces.column("id").to_pylist()
    other = sum(taught.get(name, label) != label for name, label in zip(ids, labeled.given.tolist(), strict=True))
    if not other:
        return (said,)
    about = ": figures flatter, unless it is trained with the same --noise and --seed" if labeled.noise else ""
    flipped, seed = labeled.recognizer.card.budget.get("noise"), labeled.recognizer.card.seed
    if flipped and not labeled.noise:
        about = f", as it was trained with --noise {flipped:g} --seed {seed}: give the same to find those"
    return (said, f"the run was taught {other} of them otherwise than they are labeled here{about}")
