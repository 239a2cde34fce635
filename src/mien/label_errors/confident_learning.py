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
import torch
from torch.nn import functional as F

from mien.data.convert import alike, is_alike, shape_in_words
from mien.data.faceset import FaceSet
from mien.data.identities import find_people
from mien.errors import MienError
from mien.evaluation.neighborhood_stability import RecognizerInputs, face_batches
from mien.progress import Progress
from mien.recognize.alignment import alignment_note
from mien.recognize.divergence import last_features
from mien.recognize.recognizer import Recognizer

Floats = npt.NDArray[np.float64]
Features = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

DECAY = 0.01
"""L2 penalty of a head beside the mean loss of its faces, for features of unit variance."""


def deal_folds(labels: Integers, people: Integers | None, folds: int, seed: int) -> Integers:
    """The fold of every face, (N,), of `labels` (N,) and `people` (N,): stratified by label, no person in two folds.

    Raises MienError for fewer than two folds, or more than there are people or faces of the most common class.
    """
    most = int(np.bincount(labels).max())
    most = most if people is None else min(most, len(np.unique(people)))
    if not 2 <= folds <= most:
        limit = f"folds from 2 to {most}, the faces of the most common class or the people in all"
        raise MienError(limit, f"{folds}", "change --folds" if most > 1 else "label more faces")
    sklearn = _library("sklearn.model_selection")
    kind = sklearn.StratifiedKFold if people is None else sklearn.StratifiedGroupKFold
    fold = np.zeros(len(labels), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # That a class has fewer faces than folds; what follows from it is said elsewhere.
        dealt = kind(folds, shuffle=True, random_state=seed).split(labels, labels, people)
        for number, (_, held_out) in enumerate(dealt):
            fold[held_out] = number
    return fold


def people_of(faces: FaceSet) -> Integers | None:
    """(N,) who is on each face, a face of nobody being a person of its own; None where the set names no subject."""
    if "subject" not in faces.column_names:
        return None
    people, names = find_people(faces)
    nobody = people < 0
    people[nobody] = len(names) + np.arange(nobody.sum())
    return people if names else None


@dataclass(frozen=True, eq=False)
class Seen:
    """Features of N faces."""

    features: Features
    """(N, D)."""
    source: str
    """Where they are from, in words."""
    warnings: tuple[str, ...] = ()


def look_at(recognizer: Recognizer | None, faces: FaceSet, bar: Progress) -> Seen:
    """What the recognizer's last block makes of every face, of its side and color; None: the features that the set holds.

    Raises MienError where a recognizer of faces is given features, or the other way round.
    """
    if recognizer is None:
        own: Features = faces.faces(np.arange(len(faces)))[:, 0].astype(np.float32)
        return Seen(own, "of the set")
    card, info, said = recognizer.card, faces.info, list[str]()
    if card.faces.kind != info.kind and info.kind == "features":
        raise MienError(
            f"{card.faces.kind}, for this model", info.kind, "leave --model out: the set's own features are taken then"
        )
    if card.faces.kind == info.kind == "faces":
        if not is_alike(faces, card.faces):
            said += [f"faces are converted for the model: {shape_in_words(info)} to {shape_in_words(card.faces)}"]
            faces = alike(faces, card.faces)
        said += [text for text in [alignment_note(card.faces, info)] if text]
    return Seen(embed_faces(recognizer, faces, bar), f"of block {list(recognizer.network.blocks)[-1]}", tuple(said))


@torch.inference_mode()
def embed_faces(recognizer: Recognizer, faces: FaceSet, bar: Progress) -> Features:
    """(N, D) what the recognizer's last block makes of every face, its maps averaged."""
    sight, found = RecognizerInputs.of(recognizer, faces.info), []
    bar.begin("features", len(faces))
    for pixels in face_batches(faces, recognizer.device):
        with sight.precision():
            made = last_features(recognizer.network, sight.of_faces(pixels)).float()
        found.append((F.adaptive_avg_pool2d(made, 1) if made.ndim == 4 else made).flatten(1).cpu())
        bar.advance(len(pixels))
    features: Features = torch.cat(found).numpy()
    return features


def predict_held_out(features: Features, labels: Integers, fold: Integers, bar: Progress) -> Floats:
    """(N, K) probabilities of the classes of every face, by a head fitted on the faces of the other folds.

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
    """Logistic regression on features (N, D) scaled to unit variance, labels (N,); its `predict_proba` gives (M, K)."""
    scale = _library("sklearn.preprocessing").StandardScaler()
    regression = _library("sklearn.linear_model").LogisticRegression(C=1 / (DECAY * len(labels)), max_iter=1000)
    return _library("sklearn.pipeline").make_pipeline(scale, regression).fit(features, labels)


@dataclass(frozen=True, eq=False)
class ConfidentLearning:
    """What cleanlab says of N labels of K classes."""

    quality: Floats
    """(N,) from 0, wrong, to 1, right."""
    flagged: Bools
    joint: Floats
    """(K, K) estimated share of all faces that have the label in the row and are of the class in the column."""


def judge_labels(labels: Integers, probabilities: Floats) -> ConfidentLearning:
    """cleanlab on labels (N,), two of every class or more, and held-out probabilities (N, K)."""
    count, search, rank = (_library(f"cleanlab.{name}") for name in ("count", "filter", "rank"))
    confident = count.compute_confident_joint(labels, probabilities)
    return ConfidentLearning(
        quality=np.asarray(rank.get_label_quality_scores(labels, probabilities, method="self_confidence"), np.float64),
        flagged=np.asarray(search.find_label_issues(labels, probabilities, confident_joint=confident, n_jobs=1), bool),
        joint=np.asarray(count.estimate_joint(labels, probabilities, confident_joint=confident), np.float64),
    )


def require_cleanlab() -> None:
    """Raises MienError where cleanlab is not installed."""
    _library("cleanlab")


def _library(name: str) -> Any:
    """A module of cleanlab, or of scikit-learn, which comes with it. Raises MienError where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MienError("cleanlab, which finds doubtful labels", str(error), "pip install 'mien[doubts]'") from error
