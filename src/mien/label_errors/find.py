"""Labels that are probably wrong, as a list: by confident learning, by ST+SW's sample weights, or by SNA's S."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.data.noise import flip_uniform
from mien.data.splits import split_rows, training_rows
from mien.errors import MienError
from mien.evaluation.consistency import FEW
from mien.evaluation.evaluate import count_known
from mien.evaluation.neighborhood_stability import find_space, score_faces
from mien.evaluation.sample_weights import flip_auroc, read_weighted_faces
from mien.evaluation.stability_summary import known_labels
from mien.label_errors.confident_learning import deal_folds, judge_labels, look_at, people_of, predict_held_out, require_cleanlab
from mien.plain import counted, plain_values
from mien.progress import Progress, Silent
from mien.recognize.recognizer import Recognizer
from mien.recognize.semantic_neighbors import SIGMA
from mien.registry import Count, Seed, Share, meant, require
from mien.tabular.parquet_files import LABELS, read_table

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

METHODS = ("confident", "weights", "neighborhood")
"""What faces are ordered by."""
FIRST = (25, 50, 100, 200, 500, 1000)
"""Lengths of the list's beginning at which known mistakes are counted."""
DRAWS = 8
"""Neighbors of each face, as in `mien consistency`."""
UNKNOWN = -2
"""The truth of a face of which nobody knows more than its label."""
ROW = "_row"


@dataclass(frozen=True)
class KnownWrong:
    """How well the list finds the labels that are known to be wrong."""

    wrong: int
    """Of all faces in the list."""
    first: Mapping[int, int]
    """How many of the first n are wrong, by n."""
    auroc: float
    """The probability that a wrong label stands before another, equal doubts counting half; nan without either."""

    @property
    def precision(self) -> dict[int, float]:
        """The share of the first n that is wrong, by n."""
        return {count: wrong / count for count, wrong in self.first.items()}


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """The labels of N faces, the most doubtful first: flagged ones before others, then by score. Arrays have N values."""

    dataset: str
    split: str
    by: str
    """One of METHODS."""
    how: str
    """How it was done, in words."""
    classes: tuple[str, ...]
    """Of the set for `confident`, of the recognizer for others; labels and suggestions are indices into them."""
    faces: FaceSet
    ids: tuple[str, ...]
    rows: Rows
    """Of the set that was given."""
    given: Integers
    suggested: Integers
    """`confident`: what the head that never saw the face says; `neighborhood`: what the recognizer says; -1: nothing."""
    scores: Floats
    """Higher is more doubtful. `confident`: 1 - probability of the label; `weights`: 1 - weight; `neighborhood`: S in nats."""
    flagged: Bools
    """Whether cleanlab takes the label for wrong; the other methods order faces and decide nothing."""
    noise: float
    """Share of the labels that were flipped on purpose."""
    seed: int
    noise_rate: float
    """cleanlab's estimate of the share of wrong labels; nan for the other methods."""
    likely: Floats | None
    """(K, K) cleanlab's estimate of how many faces of the label in the row are of the class in the column."""
    known: KnownWrong | None
    """None where no label is known to be right or wrong."""
    wrong: Bools | None
    """Whether a label is known to be wrong."""
    warnings: tuple[str, ...]
    """What may be wrong with this list, and which faces are not in it."""

    def to_json(self) -> dict[str, Any]:
        """The figures as plain values for JSON, under the names above; nan is null."""
        names = ("dataset", "split", "by", "how", "classes", "noise", "seed", "noise_rate", "likely", "known", "warnings")
        values = {name: plain_values(getattr(self, name)) for name in names}
        if self.known is not None:
            values["known"]["precision"] = plain_values(self.known.precision)
        return values | {"faces": len(self.ids), "flagged": int(self.flagged.sum())}


@dataclass(frozen=True, eq=False)
class Labeled:
    """The N faces whose labels are asked about, in the set's order."""

    recognizer: Recognizer | None
    """None: nothing but the features that the set holds."""
    classes: tuple[str, ...]
    whole: FaceSet
    split: str
    rows: Rows
    """(N,) of `whole`, ascending."""
    given: Integers
    """(N,) labels, flips included, by their places among `classes`."""
    wrong: Bools | None
    """(N,) whether a label is known to be wrong; None where nothing is known."""
    noise: float
    seed: int
    warnings: tuple[str, ...]

    @property
    def faces(self) -> FaceSet:
        """A view of them."""
        return self.whole.select(self.rows)

    @property
    def model(self) -> Recognizer:
        """The recognizer. Raises MienError where there is none."""
        if self.recognizer is None:
            raise MienError("a model, by which labels are judged", "none", "give a run")
        return self.recognizer


@dataclass(frozen=True, eq=False)
class Judged:
    """What a method says of M of these faces, in their order; arrays have M values."""

    how: str
    at: Rows
    """Places among the labeled faces."""
    given: Integers
    suggested: Integers
    scores: Floats
    flagged: Bools
    wrong: Bools | None
    noise_rate: float = math.nan
    likely: Floats | None = None
    warnings: tuple[str, ...] = field(default=())


def find_label_errors(
    recognizer: Recognizer | Path | str | None,
    faces: FaceSet | Path | str,
    split: str | None = None,
    by: str = "confident",
    folds: int = 5,
    noise: float = 0.0,
    seed: int = 0,
    neighbors: Path | str | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> LabelErrors:
    """The labeled faces of a split (None: the training split), those whose label is most doubtful first.

    `recognizer`: for `confident` any model, of whatever classes, as its features alone are looked at; mien-s is one. None: the
    features that the set holds.
    `folds` of `confident` are stratified by label and drawn by `seed`; where the set has subjects no person is in two. `noise`
    flips this share of the labels first, for experiments: the very flips of a run that was trained on all labels of this split
    with the same noise and seed. `neighbors`: for `neighborhood`, a folder of `mien neighbors train`.
    Raises MienError without cleanlab for `confident`, for others without a recognizer, or one that knows none of the classes or
    was trained on other faces, fewer than two classes to tell apart, and where the set has not as many people or faces as folds.
    """
    require(Seed, seed=seed)
    require(Share, noise=noise)
    require(Count, folds=folds)
    bar = progress or Silent()
    if by not in METHODS:
        raise MienError(f"doubts by one of {', '.join(METHODS)}", meant(by, METHODS), "choose one of those")
    if noise and by != "confident":
        found = f"--by {by}, which the run's own training decides"
        raise MienError("--by confident, to flip labels for an experiment", found, "train a run with --noise instead")
    if by == "confident":
        require_cleanlab()
    if not isinstance(faces, FaceSet):
        faces = FaceSet.open(faces, verify=True)
    if recognizer is None and (by != "confident" or faces.info.kind != "features"):
        raise MienError("a model, by which labels are judged", "none", "give --model mien-s, or a run")
    if recognizer is not None and not isinstance(recognizer, Recognizer):
        recognizer = Recognizer.load(recognizer, device)
    asked = labeled_faces(recognizer, by, faces, split, noise, seed)
    if by == "confident":
        judged = by_confidence(asked, folds, bar)
    elif by == "weights":
        judged = by_weights(asked)
    else:
        judged = by_neighborhood(asked, neighbors, bar)
    return order_faces(asked, judged, by)


def labeled_faces(recognizer: Recognizer | None, by: str, faces: FaceSet, split: str | None, noise: float, seed: int) -> Labeled:
    """The labeled faces of a split, after flips; unless by `confident` those of the recognizer's classes alone.

    Raises MienError where there is none.
    """
    names = faces.classes if recognizer is None or by == "confident" else recognizer.classes
    rows = training_rows(faces) if split is None else split_rows(faces, split)
    before = np.full(len(faces), -1)
    before[rows] = faces.labels[rows]
    if noise and len(faces.classes) < 2:
        raise MienError("a face set of two classes or more, to flip labels", f"{len(faces.classes)}", "leave --noise out")
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
    left_out = [f"left out: {counted(unlabeled, 'face')} without label"] if unlabeled else []
    left_out += [f"left out: {counted(others, 'face')} of classes that the recognizer does not know"] if others else []
    return Labeled(recognizer, names, faces, split or "train", kept, classes[kept], wrong, noise, seed, tuple(left_out))


def known_truth(faces: FaceSet, otherwise: Integers) -> Integers:
    """(N,) what faces are known to be by the column `true_label`, -1 for none of the classes; elsewhere `otherwise` (N,)."""
    if "true_label" not in faces.column_names:
        return otherwise
    column = faces.column("true_label")
    if not pa.types.is_integer(column.type):
        raise MienError("a column true_label of class numbers", str(column.type), "import the set again")
    told = pc.fill_null(column.cast(pa.int64()), UNKNOWN).to_numpy()
    return np.where(told == UNKNOWN, otherwise, told)


def by_confidence(asked: Labeled, folds: int, bar: Progress) -> Judged:
    """cleanlab's confident learning on the predictions of heads that never saw the face, its label or its person.

    Faces of a class that lies in one fold (a single face, a single person) cannot be judged and are left out. Of cleanlab's
    scores it is the label's own probability (`self_confidence`): on FER+ labels that were flipped it finds more of them than
    the margin to the likeliest other class, which faces between two expressions fill.
    """
    people = people_of(asked.faces)
    fold = deal_folds(asked.given, people, folds, asked.seed)
    # (K, folds): faces of a class by fold.
    spread = np.zeros((len(asked.classes), folds), np.int64)
    np.add.at(spread, (asked.given, fold), 1)
    single = (spread > 0).sum(axis=1) == 1
    at = np.flatnonzero(~single[asked.given])
    present, labels = np.unique(asked.given[at], return_inverse=True)
    if len(present) < 2:
        raise MienError("two classes or more that several folds have faces of", f"{len(present)}", "label more faces")
    seen = look_at(asked.recognizer, asked.whole.select(asked.rows[at]), bar)
    probabilities = predict_held_out(seen.features, labels, fold[at], bar)
    judged = judge_labels(labels, probabilities)
    likely = np.zeros((len(asked.classes),) * 2)
    likely[np.ix_(present, present)] = (judged.joint * len(at)).round(6)
    names = [f"{asked.classes[label]} {spread[label].sum()}" for label in np.flatnonzero(single)]
    left_out = (f"left out: classes whose faces all fell into one fold: {', '.join(names)}",) if names else ()
    by = f"{counted(folds, 'fold')}{'' if people is None else ' of people'}"
    how = f"{by}, heads on {counted(seen.features.shape[1], 'feature')} {seen.source}"
    return Judged(
        how=f"cleanlab's confident learning: {how}",
        at=at,
        given=asked.given[at],
        suggested=present[probabilities.argmax(axis=1)],
        scores=1 - judged.quality,
        flagged=judged.flagged,
        wrong=None if asked.wrong is None else asked.wrong[at],
        noise_rate=1 - float(np.trace(judged.joint)),
        likely=likely,
        warnings=(*left_out, *seen.warnings, *_taught(asked)),
    )


def by_weights(asked: Labeled) -> Judged:
    """The sample weights with which the run ended (ST+SW), lowest first; labels are those that it was taught.

    Raises MienError where the run has none, or of no face of this split.
    """
    recognizer = asked.model
    if recognizer.folder is None:
        raise MienError("a run's folder, which has its sample weights", "a recognizer in memory", "give the folder")
    weighed = read_weighted_faces(recognizer.folder, asked.whole.with_column(ROW, np.arange(len(asked.whole))))
    rows = weighed.faces.values(ROW)
    mine = np.flatnonzero(np.isin(rows, asked.rows))
    mine = mine[np.argsort(rows[mine])]
    if not len(mine):
        raise MienError(f"faces of {asked.split} that the run trained on", "none", "choose the split that it trained on")
    left_out, weights = len(asked.rows) - len(mine), weighed.weights[mine]
    said = [f"left out: {counted(left_out, 'labeled face')} that the run did not train on"] if left_out else []
    said += ["this run weighed all faces the same: the order says nothing"] if np.ptp(weights) == 0 else []
    here, there = asked.whole.info, recognizer.card.faces
    strange = here.checksum and there.checksum and here.checksum != there.checksum and here.kind == there.kind
    said += ["this is not the set that the run trained on: check that ids mean the same faces"] if strange else []
    return Judged(
        how="sample weights of the run's last epoch",
        at=np.searchsorted(asked.rows, rows[mine]),
        given=weighed.labels[mine],
        suggested=np.full(len(mine), -1),
        scores=1 - weights,
        flagged=np.zeros(len(mine), bool),
        wrong=weighed.flipped[mine] if weighed.truth_known else None,
        warnings=tuple(said),
    )


def by_neighborhood(asked: Labeled, neighbors: Path | str | None, bar: Progress) -> Judged:
    """S of every face (SNA), highest first: how far the prediction moves where the face moves a little. It reads no label."""
    recognizer, faces = asked.model, asked.faces
    space, told = find_space(recognizer, faces, neighbors, SIGMA, bar)
    moves = score_faces(space, faces, DRAWS, asked.seed, recognizer.device, bar)
    kept = float(moves.kept.mean())
    few = (f"only {kept:.0%} of the neighbors are predicted as their face is: S may say more of them",) if kept < FEW else ()
    return Judged(
        how=f"S of {DRAWS} neighbors, sigma {SIGMA:g}, by {told}",
        at=np.arange(len(asked.rows)),
        given=asked.given,
        suggested=moves.predicted,
        scores=moves.scores,
        flagged=np.zeros(len(asked.rows), bool),
        wrong=asked.wrong,
        warnings=(*few, *_taught(asked)),
    )


def order_faces(asked: Labeled, judged: Judged, by: str) -> LabelErrors:
    """The list: flagged faces first, then by score; equal ones in the set's order."""
    order = np.lexsort((-judged.scores, ~judged.flagged))
    rows = asked.rows[judged.at[order]]
    faces, wrong = asked.whole.select(rows), None if judged.wrong is None else judged.wrong[order]
    scores, flagged = judged.scores[order], judged.flagged[order]
    return LabelErrors(
        dataset=asked.whole.info.name or "unnamed",
        split=asked.split,
        by=by,
        how=judged.how,
        classes=asked.classes,
        faces=faces,
        ids=tuple(faces.column("id").to_pylist()),
        rows=rows,
        given=judged.given[order],
        suggested=judged.suggested[order],
        scores=scores,
        flagged=flagged,
        noise=asked.noise,
        seed=asked.seed,
        noise_rate=judged.noise_rate,
        likely=judged.likely,
        known=None if wrong is None else count_wrong(scores, flagged, wrong),
        wrong=wrong,
        warnings=(*asked.warnings, *judged.warnings),
    )


def count_wrong(scores: Floats, flagged: Bools, wrong: Bools) -> KnownWrong:
    """Known mistakes among the first faces of a list in its order, (N,) each, and how well the order finds them."""
    # Faces of equal doubt share a place.
    place = np.cumsum(np.concatenate([[0], (np.diff(scores) != 0) | (np.diff(flagged) != 0)]))
    first = {count: int(wrong[:count].sum()) for count in FIRST if count <= len(wrong)}
    return KnownWrong(int(wrong.sum()), first, flip_auroc(place, wrong))


def _taught(asked: Labeled) -> tuple[str, ...]:
    """That the run learned from these labels, and from how many as they are not given here."""
    if asked.recognizer is None:
        return ()
    faces, folder = asked.faces, asked.recognizer.folder
    used = count_known(asked.recognizer, faces, asked.whole)
    if not used or folder is None:
        return ()
    said = f"{used} of these {len(faces)} labels taught the run: what it says of these faces is not wholly out of sample"
    file = folder / "budget.parquet"
    rows = read_table(file, LABELS, "train again").to_pylist() if file.is_file() else []
    taught = {row["id"]: row["label"] for row in rows}
    ids = faces.column("id").to_pylist()
    other = sum(taught.get(name, label) != label for name, label in zip(ids, asked.given.tolist(), strict=True))
    if not other:
        return (said,)
    flatters = ": figures flatter, unless it is trained with the same --noise and --seed" if asked.noise else ""
    return (said, f"the run was taught {other} of them otherwise than they are labeled here{flatters}")
