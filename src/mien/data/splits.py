"""Which faces train, validate and test: official splits, label budgets, subject-independent folds."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.data.faceset import FaceSet, Rows
from mien.errors import MienError

TRAINING = ("train", "Training")
"""Names under which databases publish their training split."""


TESTING = ("test", "publictest", "privatetest")
"""Names under which databases publish their test splits, in whatever letter case."""


@dataclass(frozen=True)
class Budget:
    """The labeled faces of a run, as rows of the face set: all that it may learn from or choose by."""

    train: Rows
    validation: Rows

    def __str__(self) -> str:
        total = len(self.train) + len(self.validation)
        return f"{len(self.train)} train + {len(self.validation)} validation = {total} labels"


def split_rows(faces: FaceSet, split: str) -> Rows:
    """Rows of a split, ascending; of `all`, every row. Raises MienError where it has no faces."""
    if split == "all":
        return np.arange(len(faces))
    if "split" not in faces.column_names:
        raise MienError(f"a face set with splits, to take {split!r}", "no column split", "import it with --test 0.2, or take all")
    values = faces.values("split")
    rows = np.flatnonzero(values == split)
    if not len(rows):
        known = ", ".join(sorted({str(value) for value in values}))
        raise MienError(f"a split among {known}", repr(split), "choose one of those")
    return rows


def training_rows(faces: FaceSet) -> Rows:
    """Rows of the training split; all rows where the set has no splits. Raises MienError where none is for training."""
    if "split" not in faces.column_names:
        return np.arange(len(faces))
    present = set(faces.values("split"))
    name = next((name for name in TRAINING if name in present), TRAINING[0])
    return split_rows(faces, name)


def held_out_rows(faces: FaceSet) -> Rows:
    """Rows of the test splits, ascending; none where the set has no splits."""
    if "split" not in faces.column_names:
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.isin(np.char.lower(faces.values("split").astype(str)), TESTING))


def fold_view(faces: FaceSet, fold: str) -> FaceSet:
    """A view whose splits are subject-independent folds: for `2/5`, the second of five is `test`, the others `train`.

    The folds are the same for every run on these faces. Raises MienError where `fold` is no such text, or faces have no
    subjects.
    """
    number, _, folds = fold.partition("/")
    if not (number.isdigit() and folds.isdigit() and 1 <= int(number) <= int(folds)):
        raise MienError("a fold such as 1/5", repr(fold), "give its number and how many there are")
    if "subject" not in faces.column_names:
        raise MienError("a face set with subjects, to make folds", "no column subject", "import it with its subjects")
    mine = subject_folds(faces.values("subject"), int(folds), seed=0) == int(number) - 1
    return faces.with_column("split", np.where(mine, "test", "train"))


def draw_labels(
    labels: npt.NDArray[np.int64], rows: Rows, seed: int, per_class: int | None = None, total: int | None = None
) -> Rows:
    """Labeled rows within a budget, drawn by seed, ascending; all labeled `rows` without one.

    `per_class` K takes min(K, what the class has) of each; `total` N keeps the classes' proportions, rounding by largest
    remainder and giving every class one face where N allows. The same seed's smaller budgets lie within its larger ones
    for `per_class`. Raises MienError for both at once, budgets below 1, or a total above the labels there are.
    """
    labeled = rows[labels[rows] >= 0]
    if not len(labeled):
        raise MienError("labeled faces to train on", "none", "label some, or choose another split")
    if per_class is None and total is None:
        return labeled
    if per_class is not None and total is not None:
        raise MienError("one label budget", "one per class and one in all", "give one of them")
    classes, counts = np.unique(labels[labeled], return_counts=True)
    wanted = _proportional(counts, int(total or 0)) if per_class is None else np.minimum(counts, per_class)
    if wanted.sum() < 1 or wanted.min() < 0:
        raise MienError("a label budget of at least 1", f"{per_class if per_class is not None else total}", "give more")
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(labeled[labels[labeled] == label]) for label in classes]
    return np.sort(np.concatenate([order[:count] for order, count in zip(orders, wanted, strict=True)]))


def _proportional(counts: npt.NDArray[np.int64], total: int) -> npt.NDArray[np.int64]:
    """How many of each class, summing to `total`: proportional, by largest remainder, each at least 1 where possible."""
    if total > counts.sum():
        raise MienError(f"a budget of at most {counts.sum()} labels", f"{total}", "give fewer, or leave it out")
    least = 1 if total >= len(counts) else 0
    shares = (total - least * len(counts)) * (counts - least) / max(1, (counts - least).sum())
    wanted = np.floor(shares).astype(np.int64)
    rest = int(total - least * len(counts) - wanted.sum())
    wanted[np.argsort(wanted - shares, kind="stable")[:rest]] += 1
    proportional: npt.NDArray[np.int64] = wanted + least
    return proportional


def carve_validation(labels: npt.NDArray[np.int64], rows: Rows, share: float, seed: int) -> Budget:
    """Splits labeled rows into train and validation, class by class: `share` of each class validates, rounded to nearest.

    A class of two faces or more gives at least one and keeps at least one; a class of one trains.
    """
    if not 0 <= share < 1:
        raise MienError("a validation share from 0 to below 1", f"{share}", "give another")
    generator = np.random.default_rng((seed, 1))
    chosen = []
    for label in np.unique(labels[rows]):
        order = generator.permutation(rows[labels[rows] == label])
        count = round(share * len(order))
        if share > 0 and len(order) >= 2:
            count = min(max(count, 1), len(order) - 1)
        chosen.append(order[: count if len(order) >= 2 else 0])
    validation = np.sort(np.concatenate(chosen))
    return Budget(np.setdiff1d(rows, validation), validation)


def subject_folds(subjects: npt.NDArray[np.object_], folds: int, seed: int) -> npt.NDArray[np.int64]:
    """The fold of every face, (N,): all faces of a subject in one, folds about equal, drawn by seed.

    The largest subjects are dealt first, each to the smallest fold so far. Raises MienError for fewer subjects than folds
    or a face without subject.
    """
    if any(subject is None for subject in subjects):
        raise MienError("a subject for every face", "faces without one", "leave those out, or import subjects")
    names, index, counts = np.unique(subjects.astype(str), return_inverse=True, return_counts=True)
    if len(names) < folds or folds < 2:
        raise MienError(f"2 folds or more and as many subjects, {len(names)} at most here", f"{folds}", "give another number")
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-counts[order], kind="stable")]
    fold_of, sizes = np.zeros(len(names), np.int64), np.zeros(folds, np.int64)
    for subject in order:
        fold_of[subject] = sizes.argmin()
        sizes[fold_of[subject]] += counts[subject]
    return fold_of[index]
