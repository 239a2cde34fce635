"""Confident learning (Northcutt et al. 2021) on a recognizer's features: which labels disagree with held-out predictions.

Training the recognizer once for every fold would take hours. Here its features are computed once, and a regularized linear head
for each fold, which saw neither the fold's labels nor its people, predicts the fold. cleanlab then counts how often labels
disagree with confident predictions, says which labels it takes for wrong, and scores all of them.
"""

import importlib
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.data.faceset import FaceSet
from mien.data.identities import find_people
from mien.errors import MienError
from mien.installed import missing_extra
from mien.label_errors.face_features import Features, features_of
from mien.label_errors.labeled_faces import Judgment, LabeledFaces, training_notes
from mien.progress import Progress
from mien.wording import quantity

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

DECAY = 0.01
"""L2 penalty of a head, added to the mean loss of its faces, for features of unit variance."""


def deal_folds(labels: Integers, people: Integers | None, folds: int, seed: int) -> Integers:
    """(N,) the fold of every face, by `labels` (N,) and `people` (N,): stratified by label, no person in two folds.

    Raises MienError for fewer than two folds, and for more than there are people, or faces of the most common class.
    """
    most = int(np.bincount(labels).max())
    most = most if people is None else min(most, len(np.unique(people)))
    if not 2 <= folds <= most:
        limit = f"folds from 2 to {most}, the faces of the most common class or the people in all"
        raise MienError(limit, f"{folds}", "change `folds`" if most > 1 else "label more faces")
    sklearn = _library("sklearn.model_selection")
    kind = sklearn.StratifiedKFold if people is None else sklearn.StratifiedGroupKFold
    fold = np.zeros(len(labels), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # That a class has fewer faces than folds; what follows from it is said elsewhere.
        dealt = kind(folds, shuffle=True, random_state=seed).split(labels, labels, people)
        for number, (_, held_out) in enumerate(dealt):
            fold[held_out] = number
    return fold


def person_numbers(faces: FaceSet) -> Integers | None:
    """(N,) the number of the person on each face; None where the set names no subjects. A face of nobody has its own number."""
    if "subject" not in faces.column_names:
        return None
    people, names = find_people(faces)
    nobody = people < 0
    people[nobody] = len(names) + np.arange(nobody.sum())
    return people if names else None


def predict_held_out(features: Features, labels: Integers, fold: Integers, bar: Progress) -> Floats:
    """(N, K) the probabilities of the classes of every face, by a head fitted on the faces of the other folds.

    `features` (N, D), `labels` (N,) from 0 to K - 1, `fold` (N,); every class has faces in two folds or more.
    """
    probabilities = np.zeros((len(labels), int(labels.max()) + 1))
    bar.begin("heads", len(labels))
    for number in np.unique(fold):
        mine = fold == number
        probabilities[mine] = fit_head(features[~mine], labels[~mine]).predict_proba(features[mine])
        bar.advance(int(mine.sum()))
    return probabilities


def fit_head(features: Features, labels: Integers) -> Any:
    """A logistic regression on features (N, D), scaled to unit variance, and labels (N,). `predict_proba` gives (M, K)."""
    scale = _library("sklearn.preprocessing").StandardScaler()
    regression = _library("sklearn.linear_model").LogisticRegression(C=1 / (DECAY * len(labels)), max_iter=1000)
    return _library("sklearn.pipeline").make_pipeline(scale, regression).fit(features, labels)


@dataclass(frozen=True, eq=False)
class LabelQuality:
    """What cleanlab says of N labels of K classes."""

    scores: Floats
    """(N,) the quality of each label, from 0 (wrong) to 1 (right)."""
    flagged: Bools
    """(N,) whether cleanlab takes the label for wrong."""
    joint: Floats
    """(K, K) estimated share of all faces that have the label in the row and are of the class in the column."""


def judge_labels(labels: Integers, probabilities: Floats) -> LabelQuality:
    """Judge labels (N,), two or more of every class, by cleanlab on held-out probabilities (N, K)."""
    count, search, rank = (_library(f"cleanlab.{name}") for name in ("count", "filter", "rank"))
    confident = count.compute_confident_joint(labels, probabilities)
    return LabelQuality(
        scores=np.asarray(rank.get_label_quality_scores(labels, probabilities, method="self_confidence"), np.float64),
        flagged=np.asarray(search.find_label_issues(labels, probabilities, confident_joint=confident, n_jobs=1), bool),
        joint=np.asarray(count.estimate_joint(labels, probabilities, confident_joint=confident), np.float64),
    )


def by_confident_learning(labeled: LabeledFaces, folds: int, bar: Progress) -> Judgment:
    """Judge labels by confident learning, on predictions of heads that never saw the face, its label or its person.

    Faces of a class that lies in one fold (a single face, a single person) cannot be judged and are left out. The score is the
    label's own probability (`self_confidence`): on flipped labels of FER+ it finds more of them than the margin to the likeliest
    other class, which faces between two expressions fill. Raises MienError for fewer than two classes or too many folds.
    """
    people = person_numbers(labeled.faces)
    fold = deal_folds(labeled.given, people, folds, labeled.seed)
    # (K, folds): faces of a class by fold.
    spread = np.zeros((len(labeled.classes), folds), np.int64)
    np.add.at(spread, (labeled.given, fold), 1)
    single = (spread > 0).sum(axis=1) == 1
    at = np.flatnonzero(~single[labeled.given])
    present, labels = np.unique(labeled.given[at], return_inverse=True)
    if len(present) < 2:
        raise MienError("two classes or more that several folds have faces of", f"{len(present)}", "label more faces")
    found = features_of(labeled.recognizer, labeled.face_set.select(labeled.rows[at]), bar)
    probabilities = predict_held_out(found.features, labels, fold[at], bar)
    quality = judge_labels(labels, probabilities)
    likely = np.zeros((len(labeled.classes),) * 2)
    likely[np.ix_(present, present)] = (quality.joint * len(at)).round(6)
    names = [f"{labeled.classes[label]} {spread[label].sum()}" for label in np.flatnonzero(single)]
    left_out = (f"left out: classes whose faces all fell into one fold: {', '.join(names)}",) if names else ()
    by = f"{quantity(folds, 'fold')}{'' if people is None else ' of people'}"
    how = f"{by}, heads on {quantity(found.features.shape[1], 'feature')} {found.source}"
    return Judgment(
        how=f"cleanlab's confident learning: {how}",
        at=at,
        given=labeled.given[at],
        suggested=present[probabilities.argmax(axis=1)],
        scores=1 - quality.scores,
        flagged=quality.flagged,
        wrong=None if labeled.wrong is None else labeled.wrong[at],
        noise_rate=1 - float(np.trace(quality.joint)),
        likely=likely,
        warnings=(*left_out, *found.warnings, *training_notes(labeled)),
    )


def require_cleanlab() -> None:
    """Raises MienError where cleanlab is not installed."""
    _library("cleanlab")


def _library(name: str) -> Any:
    """A module of cleanlab, or of scikit-learn, which comes with it. Raises MienError where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise missing_extra("doubts", "cleanlab, which finds label errors", str(error)) from error
