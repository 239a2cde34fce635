"""Named splits of a face set (train, validation, test), a test split drawn by seed, and subject-independent folds."""

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from mien.class_words import split_name
from mien.data.face_groups import GROUP_COLUMNS, group_by_names
from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.data.label_budget import carve_validation
from mien.errors import MienError
from mien.wording import with_suggestion

TESTING = ("test", "PublicTest", "PrivateTest")
"""The names of test splits: ours, and FER2013's."""


def split_rows(faces: FaceSet, split: str) -> Rows:
    """The rows of a split, ascending; of `all`, every row. Raises MienError where the split has no faces.

    Other spellings of train, validation and test are found where no split is written in just this way: `test` finds TEST.
    """
    if split == "all":
        return np.arange(len(faces))
    if "split" not in faces.column_names:
        raise no_splits(split)
    written = faces.values("split")
    lower = np.array([(name or "").casefold() for name in written], object)
    for found, wanted in ((written, split), (_splits(faces), split_name(split)), (lower, split.casefold())):
        rows = np.flatnonzero(found == wanted)
        if wanted and len(rows):
            return rows
    known = sorted({str(value) for value in written if value})
    raise MienError(f"a split among {', '.join(known)}", with_suggestion(split, known), "choose one of those")


ALL = "take all by `split`"
"""What else to do with a set without splits."""


def no_splits(split: str, instead: str = ALL) -> MienError:
    """The error about a set without splits, to take `split` of. `instead`: what else may be done than to give it some."""
    todo = f"import or prepare it with --test 0.2, or {instead}"
    return MienError(f"a face set with splits, to take {split!r}", "no column split", todo)


def test_split(faces: FaceSet) -> str:
    """The name of the split to test on: `test`, or what the database calls it, such as PublicTest.

    Raises MienError where the set has none, and tells what to give.
    """
    if "split" not in faces.column_names:
        raise no_splits(TESTING[0])
    present = sorted({str(value) for value in faces.values("split") if value})
    for name in TESTING:
        found = [written for written in present if split_name(written) == name]
        if found:
            return name if name in found else found[0]
    known = ", ".join(present)
    raise MienError(
        "a split to test on, such as test or PublicTest", f"{known or 'no faces'}", "name the one to test on by `split`"
    )


def require_untrained(faces: FaceSet, split: str, option: str = "--split") -> None:
    """Raises MienError where faces of a split to test on are also trained on. `option`: the option to name in the message."""
    if np.intersect1d(split_rows(faces, split), training_rows(faces)).size:
        raise MienError("a split to test on that nothing is trained on", repr(split), f"name another {option}")


def training_rows(faces: FaceSet) -> Rows:
    """The rows of the training split; all rows where the set has no splits. Raises MienError where it is empty."""
    return split_rows(faces, "train") if "split" in faces.column_names else np.arange(len(faces))


def held_out_rows(faces: FaceSet) -> Rows:
    """The rows of the test splits, ascending; none where the set has no splits."""
    if "split" not in faces.column_names:
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.isin(_splits(faces), TESTING))


def validation_rows(faces: FaceSet) -> Rows:
    """The rows of the split `validation`, in any spelling, ascending; none where the set does not have it."""
    if "split" not in faces.column_names:
        return np.zeros(0, np.int64)
    return np.flatnonzero(_splits(faces) == "validation")


def _splits(faces: FaceSet) -> npt.NDArray[np.object_]:
    """Our names of the splits of all faces, (N,), "" where a face has none."""
    column = faces.column("split")
    ours = {name: split_name(name) for name in pc.unique(column).to_pylist()}
    return np.array([ours[name] for name in column.to_pylist()], object)


def fold_view(faces: FaceSet, fold: str) -> FaceSet:
    """A view whose splits are subject-independent folds: for `2/5`, the second of five is `test`, the others are `train`.

    The folds are the same for every run on these faces: of about equal size, or, for `2/5 ascending`, groups of people in the
    order of their names (FN2EN, Section IV-C). Raises MienError for any other text, and where faces have no subjects.
    """
    number, _, rest = fold.partition("/")
    folds, _, order = rest.partition(" ")
    plain = all(part.isascii() and part.isdigit() and len(part) < 10 for part in (number, folds))
    if not (plain and 1 <= int(number) <= int(folds) and order in ("", "ascending")):
        raise MienError("a fold such as 1/5 or 1/5 ascending", repr(fold), "give its number and how many there are")
    if "subject" not in faces.column_names:
        raise MienError("a face set with subjects, to make folds", "no column subject", "import it with its subjects")
    people = faces.values("subject")
    dealt = ascending_folds(people, int(folds)) if order else subject_folds(people, int(folds), seed=0)
    return faces.with_column("split", np.where(dealt == int(number) - 1, "test", "train"))


def draw_test(labels: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Which faces, (N,), become a test split: about `share` of each class, in whole groups, drawn by seed.

    Faces without label (-1) go where their group goes, else they train; where no face has a label, all count as one class.
    """
    rows = np.flatnonzero(labels >= 0)
    rows = rows if len(rows) else np.arange(len(labels))
    held_out: npt.NDArray[np.bool_] = np.isin(groups, groups[carve_validation(labels, rows, share, seed, groups).validation])
    return held_out


def with_test_split(faces: FaceSet, share: float, seed: int) -> FaceSet:
    """A view with the splits `train` and `test`: about `share` of each class's labeled faces test, whole people, sequences and
    photos.

    Earlier splits are replaced. Raises MienError for a share that is not from 0 to below 1.
    """
    columns = {kind: name for kind, name in {**GROUP_COLUMNS, "photos": "photo"}.items() if name in faces.column_names}
    names = {kind: faces.column(name) for kind, name in columns.items()}
    of = group_by_names(names).of if names else np.arange(len(faces))
    return faces.with_column("split", np.where(draw_test(faces.labels, of, share, seed), "test", "train"))


def subject_folds(subjects: npt.NDArray[np.object_], folds: int, seed: int) -> npt.NDArray[np.int64]:
    """The fold of every face, (N,): all faces of a subject in one fold, folds about equal, drawn by seed.

    The largest subjects are dealt first, each to the smallest fold so far. Raises MienError for fewer subjects than folds, or a
    face without subject.
    """
    index, counts = _people(subjects, folds)
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-counts[order], kind="stable")]
    fold_of, sizes = np.zeros(len(counts), np.int64), np.zeros(folds, np.int64)
    for subject in order:
        fold_of[subject] = sizes.argmin()
        sizes[fold_of[subject]] += counts[subject]
    return fold_of[index]


def ascending_folds(subjects: npt.NDArray[np.object_], folds: int) -> npt.NDArray[np.int64]:
    """The fold of every face, (N,): people in the order of their names, cut into `folds` groups of as many people.

    Raises MienError as `subject_folds` does.
    """
    index, counts = _people(subjects, folds)
    groups = np.array_split(np.arange(len(counts)), folds)
    fold_of: npt.NDArray[np.int64] = np.repeat(np.arange(folds), [len(group) for group in groups])
    return fold_of[index]


def _people(subjects: npt.NDArray[np.object_], folds: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The number of each face's person, (N,), people in the order of their names, and the number of faces of each person."""
    if any(subject is None for subject in subjects):
        raise MienError("a subject for every face", "faces without one", "leave those out, or import subjects")
    names, index, counts = np.unique(subjects.astype(str), return_inverse=True, return_counts=True)
    if len(names) < folds or folds < 2:
        raise MienError(f"2 folds or more and as many subjects, {len(names)} at most here", f"{folds}", "give another number")
    return index, counts
