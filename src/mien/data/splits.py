"""Which faces train, validate and test: official splits, label budgets, subject-independent folds."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mien.class_words import split_name
from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.errors import MienError
from mien.wording import quantity, with_suggestion

TESTING = ("test", "PublicTest", "PrivateTest")
"""Test splits, by our names and FER2013's."""

TOGETHER = {"people": "subject", "sequences": "sequence"}
"""What validates whole, and the column that names it; a face goes by the first that it has."""


@dataclass(frozen=True)
class Budget:
    """The labeled faces of a run, as rows of the face set: all that it may learn from or choose by."""

    train: Rows
    validation: Rows

    def __str__(self) -> str:
        total = len(self.train) + len(self.validation)
        return f"{len(self.train)} train + {len(self.validation)} validation = {quantity(total, 'label')}"


@dataclass(frozen=True, eq=False)
class FaceGroups:
    """Which of N faces are kept on one side of a split."""

    of: Rows
    """(N,) numbers; those with the same number stay together."""
    named: Mapping[str, range]
    """The numbers of people, of sequences and so on; any other is that of a face alone."""

    def mates(self, some: Rows, among: Rows) -> Rows:
        """Those of the rows `among` in whose group one of the rows `some` is."""
        return among[np.isin(self.of[among], self.of[some])]

    def tell(self, some: Rows, among: Rows) -> str:
        """`12 of 60 people`: how many groups of the rows `among` are those of the rows `some`; empty where none has a name."""
        here, there = np.unique(self.of[some]), np.unique(self.of[among])
        parts = []
        for kind, numbers in self.named.items():
            part, whole = (int(((each >= numbers.start) & (each < numbers.stop)).sum()) for each in (here, there))
            parts += [f"{part} of {whole} {kind}"] if whole else []
        return ", ".join(parts)


def group_by_names(names: Mapping[str, pa.ChunkedArray]) -> FaceGroups:
    """Groups by columns of names, (N,) each, under what they name: a face goes by the first that is neither null nor empty.

    A face without any is a group of its own.
    """
    of, first, named = np.full(len(next(iter(names.values()))), -1), 0, dict[str, range]()
    for kind, column in names.items():
        texts = _trimmed(column)
        known = pc.unique(texts)
        known = known.filter(pc.greater(pc.utf8_length(known), 0))
        index = pc.index_in(texts, value_set=known).fill_null(-1).to_numpy()
        mine = (of < 0) & (index >= 0)
        of[mine] = first + index[mine]
        named[kind] = range(first, first + len(known))
        first += len(known)
    alone = of < 0
    of[alone] = first + np.arange(alone.sum())
    return FaceGroups(of, named)


def validation_groups(faces: FaceSet) -> FaceGroups | None:
    """The faces that validate together, by subject, else by sequence; None where the set has neither column.

    In a set whose classes are its people (`mien identities`) subjects part nothing: each is a class.
    """
    names = {kind: faces.column(name) for kind, name in TOGETHER.items() if name in faces.column_names}
    if "people" in names and not set(faces.classes).isdisjoint(pc.unique(_trimmed(names["people"])).to_pylist()):
        del names["people"]
    return group_by_names(names) if names else None


def _trimmed(names: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_trim_whitespace(names.cast(pa.string()))


def split_rows(faces: FaceSet, split: str) -> Rows:
    """Rows of a split, ascending; of `all`, every row. Where no split is written like that, `test` finds TEST and testing, as
    `train` and `validation` find their like. Raises MienError where it has no faces.
    """
    if split == "all":
        return np.arange(len(faces))
    if "split" not in faces.column_names:
        raise _no_splits(split)
    written = faces.values("split")
    lower = np.array([(name or "").casefold() for name in written], object)
    for found, wanted in ((written, split), (_splits(faces), split_name(split)), (lower, split.casefold())):
        rows = np.flatnonzero(found == wanted)
        if wanted and len(rows):
            return rows
    known = sorted({str(value) for value in written if value})
    raise MienError(f"a split among {', '.join(known)}", with_suggestion(split, known), "choose one of those")


def _no_splits(split: str) -> MienError:
    return MienError(
        f"a face set with splits, to take {split!r}", "no column split", "import or prepare it with --test 0.2, or take all"
    )


def test_split(faces: FaceSet) -> str:
    """The name of the split to test on: `test`, or what the database calls it, such as PublicTest.

    Raises MienError where the set has none, and says what to give.
    """
    if "split" not in faces.column_names:
        raise _no_splits(TESTING[0])
    present = sorted({str(value) for value in faces.values("split") if value})
    for name in TESTING:
        found = [written for written in present if split_name(written) == name]
        if found:
            return name if name in found else found[0]
    known = ", ".join(present)
    raise MienError("a split to test on, such as test or PublicTest", f"{known or 'no faces'}", "name the one to test on")


def require_untrained(faces: FaceSet, split: str, option: str = "--split") -> None:
    """Raises MienError where faces of a split to test on are trained on."""
    if np.intersect1d(split_rows(faces, split), training_rows(faces)).size:
        raise MienError("a split to test on that nothing is trained on", repr(split), f"name another {option}")


def training_rows(faces: FaceSet) -> Rows:
    """Rows of the training split; all rows where the set has no splits. Raises MienError where none is for training."""
    return split_rows(faces, "train") if "split" in faces.column_names else np.arange(len(faces))


def held_out_rows(faces: FaceSet) -> Rows:
    """Rows of the test splits, ascending; none where the set has no splits."""
    if "split" not in faces.column_names:
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.isin(_splits(faces), TESTING))


def _splits(faces: FaceSet) -> npt.NDArray[np.object_]:
    """(N,) our names of the splits, "" where a face has none."""
    column = faces.column("split")
    ours = {name: split_name(name) for name in pc.unique(column).to_pylist()}
    return np.array([ours[name] for name in column.to_pylist()], object)


def fold_view(faces: FaceSet, fold: str) -> FaceSet:
    """A view whose splits are subject-independent folds: for `2/5`, the second of five is `test`, the others `train`.

    The folds are the same for every run on these faces. Raises MienError where `fold` is no such text, or faces have no
    subjects.
    """
    number, _, folds = fold.partition("/")
    plain = all(part.isascii() and part.isdigit() and len(part) < 10 for part in (number, folds))
    if not (plain and 1 <= int(number) <= int(folds)):
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


def carve_validation(
    labels: npt.NDArray[np.int64], rows: Rows, share: float, seed: int, groups: npt.NDArray[np.int64] | None = None
) -> Budget:
    """Splits labeled rows into train and validation, class by class: `share` of each class validates, rounded to nearest.

    A class of two faces or more gives at least one and keeps at least one; a class of one trains. `groups` (N,): faces of one
    number stay together, so that classes come as near to their shares as whole groups allow; a class of two groups or more
    keeps at least one to train with, and gives at least one where no other class then has none; a class of one group trains.
    """
    if not 0 <= share < 1:
        raise MienError("a validation share from 0 to below 1", f"{share}", "give another")
    generator = np.random.default_rng((seed, 1))
    if groups is None or len(np.unique(groups[rows])) == len(rows):
        validation = _draw_faces(labels, rows, share, generator)
    else:
        validation = np.sort(rows[_draw_groups(labels[rows], groups[rows], share, generator)])
    return Budget(np.setdiff1d(rows, validation), validation)


def _draw_faces(labels: npt.NDArray[np.int64], rows: Rows, share: float, generator: np.random.Generator) -> Rows:
    """A share of the rows of each class."""
    chosen = []
    for label in np.unique(labels[rows]):
        order = generator.permutation(rows[labels[rows] == label])
        count = round(share * len(order))
        if share > 0 and len(order) >= 2:
            count = min(max(count, 1), len(order) - 1)
        chosen.append(order[: count if len(order) >= 2 else 0])
    return np.sort(np.concatenate(chosen))


def _draw_groups(
    labels: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], share: float, generator: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """(n,) whether a face is in a group that is drawn, of `labels` (n,) and `groups` (n,).

    In an order drawn by seed a group is taken where it brings its classes nearer to their shares: by the sum of the squares
    of what they lack, each by its share. A class that has got none then, since its groups are large, gives the best of them.
    """
    _, label, totals = np.unique(labels, return_inverse=True, return_counts=True)
    names, group = np.unique(groups, return_inverse=True)
    pairs, counts = np.unique(group * len(totals) + label, return_counts=True)
    owner, kind = np.divmod(pairs, len(totals))
    left = np.bincount(kind)
    wanted = np.where((left > 1) & (share > 0), np.clip(np.round(share * totals), 1, totals - 1), 0).astype(np.int64)
    starts = np.searchsorted(owner, np.arange(len(names) + 1)).tolist()
    held: list[list[tuple[int, int]]] = [
        list(zip(kind[i:j].tolist(), counts[i:j].tolist(), strict=True)) for i, j in pairwise(starts)
    ]
    due, missing, drawn = list[int](wanted.tolist()), list[int](wanted.tolist()), np.zeros(len(names), bool)
    training = list[int](left.tolist())

    def nearer(one: int) -> float:
        """By how much; minus infinity where one of its classes has no other group to train with."""
        if any(training[its] < 2 for its, _ in held[one]):
            return -np.inf
        return sum(count * (2 * missing[its] - count) / max(1, due[its]) for its, count in held[one])

    def draw(one: int) -> None:
        drawn[one] = True
        for its, count in held[one]:
            missing[its] -= count
            training[its] -= 1

    order = generator.permutation(len(names))
    for one in order.tolist():
        if nearer(one) > 0:
            draw(one)
    by_class = np.lexsort((np.argsort(order)[owner], kind))
    for its, ones in enumerate(np.split(owner[by_class], np.cumsum(left)[:-1])):
        best = max(ones.tolist(), key=nearer) if 0 < due[its] == missing[its] else None
        if best is not None and nearer(best) > -np.inf:
            draw(best)
    chosen: npt.NDArray[np.bool_] = drawn[group]
    return chosen


def draw_test(labels: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], share: float, seed: int) -> npt.NDArray[np.bool_]:
    """(N,) which faces become a test split: about `share` of each class, whole groups, drawn by seed.

    Faces without label (-1) go where their group goes, or train; where no face has one, they are drawn like a class.
    """
    rows = np.flatnonzero(labels >= 0)
    rows = rows if len(rows) else np.arange(len(labels))
    held_out: npt.NDArray[np.bool_] = np.isin(groups, groups[carve_validation(labels, rows, share, seed, groups).validation])
    return held_out


def with_test_split(faces: FaceSet, share: float, seed: int) -> FaceSet:
    """A view with the splits `train` and `test`, which about `share` of the labeled faces of each class become, whole people,
    sequences and photos; splits that were there are gone. Raises MienError for a share that is none.
    """
    columns = {kind: name for kind, name in {**TOGETHER, "photos": "photo"}.items() if name in faces.column_names}
    names = {kind: faces.column(name) for kind, name in columns.items()}
    of = group_by_names(names).of if names else np.arange(len(faces))
    return faces.with_column("split", np.where(draw_test(faces.labels, of, share, seed), "test", "train"))


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
