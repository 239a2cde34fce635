"""Finds labels that are probably wrong, and lists them: by confident learning, sample weights (ST+SW), or neighbors (SNA)."""

from pathlib import Path

from mien.data.faceset import FaceSet
from mien.errors import MienError
from mien.label_errors.confident_learning import by_confident_learning, require_cleanlab
from mien.label_errors.labeled_faces import select_labeled_faces
from mien.label_errors.neighborhood import by_neighborhood
from mien.label_errors.ranking import LabelErrors, rank_faces
from mien.label_errors.sample_weights import by_sample_weights
from mien.progress import Progress, Silent
from mien.recognize.recognizer import Recognizer
from mien.settings import Count, Seed, Share, require_fitting
from mien.wording import with_suggestion

METHODS = ("confident", "weights", "neighborhood")
"""The methods by which labels are judged."""


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
    score: str | None = None,
) -> LabelErrors:
    """The labeled faces of a split (None: the training split), those whose label is most probably wrong first.

    `by`: the method, one of METHODS. `recognizer`: for `confident` any model, of whatever classes, since only its features are
    used; mien-s is one. None: the features that the set holds. `folds`: for `confident`, stratified by label and drawn by `seed`;
    where the set has subjects, no person is in two. `neighbors`: for `neighborhood`, a kind with its settings, or the folder of
    an autoencoder. `score`: what neighbors are asked, `label` (unless said) or `divergence` (S of SNA). `noise`: flips this share
    of the labels first, for experiments, as a run does that is trained on all labels of this split with this noise and seed; for
    `neighborhood` give such a run. Raises MienError without cleanlab for `confident`; for the others without a recognizer, or
    with one that knows none of the classes or was trained on other faces; for `neighbors` or `score` with another method than
    `neighborhood`; for fewer than two classes; and for more folds than people or faces.
    """
    require_fitting(Seed, seed=seed)
    require_fitting(Share, noise=noise)
    require_fitting(Count, folds=folds)
    bar = progress or Silent()
    if by not in METHODS:
        raise MienError(f"a method among {', '.join(METHODS)}", with_suggestion(by, METHODS), "choose one of those")
    if noise and by == "weights":
        found = "--by weights, which the run's own training decides"
        raise MienError("another `by`, to flip labels for an experiment", found, "train a run with `noise` instead")
    asked = [name for name, value in (("neighbors", neighbors), ("score", score)) if value is not None]
    if asked and by != "neighborhood":
        raise MienError(
            f"`by` neighborhood with {' and '.join(f'`{name}`' for name in asked)}", f"--by {by}", "add it, or leave that out"
        )
    if by == "confident":
        require_cleanlab()
    faces = FaceSet.of(faces)
    if recognizer is None and (by != "confident" or faces.info.kind != "features"):
        raise MienError("a model, by which labels are judged", "none", "give `model` mien-s, or a run")
    if recognizer is not None and not isinstance(recognizer, Recognizer):
        recognizer = Recognizer.load(recognizer, device)
    labeled = select_labeled_faces(recognizer, by, faces, split, noise, seed)
    if by == "confident":
        judgment = by_confident_learning(labeled, folds, bar)
    elif by == "weights":
        judgment = by_sample_weights(labeled)
    else:
        judgment = by_neighborhood(labeled, neighbors, score or "label", bar)
    return rank_faces(labeled, judgment, by)
