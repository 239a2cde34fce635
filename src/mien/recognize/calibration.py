"""Temperature scaling (Guo et al. 2017, section 4.2), and two thresholds on probabilities.

The temperature makes a confidence mean what it says. The conformal threshold decides which classes are possible. The confidence
threshold decides which answers are sure (selective prediction). Log-probabilities do as well as logits: they are logits up to a
constant per face.
"""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from mien.errors import MienError

SURE_RIGHT = 0.95
"""Share of sure answers that have to be right on the faces that set the confidence threshold.

With 0.9, every second of the answers that were just sure enough was wrong (mien-s on FER+)."""
LEAST_OF_CLASS = 30
"""Fewest faces of a class from which it gets a conformal threshold of its own."""
LOG_RANGE = (-3.0, 3.0)
"""Bounds of the search for the temperature's logarithm: temperatures from 0.05 to 20."""


def fit_temperature(logits: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """The temperature T that minimizes the cross-entropy of softmax(logits / T), (N, K), against labels (N,).

    `weights` (N,): how much each face counts; alike unless given. Fit it on validation faces, never on the faces that are
    measured. The loss is convex in 1 / T, so there is one minimum. Where every face is right, the loss falls without end as T
    goes to 0 and says nothing about confidence: T is then 1. Raises MienError without faces, for logits that are not finite, and
    for labels that are no class.
    """
    scores = _checked(logits)
    wanted = class_indices(labels, scores.shape[1], "labels")
    if len(wanted) != len(scores):
        raise MienError(f"a label for each of {len(scores)} faces", f"{len(wanted)}", "give both for the same faces")
    faces, counts = np.arange(len(scores)), None if weights is None else np.asarray(weights, np.float64)
    if (scores.argmax(1) == wanted).all():
        return 1.0

    def cross_entropy(log_temperature: float) -> float:
        return -float(np.average(log_softmax(scores / np.exp(log_temperature), axis=1)[faces, wanted], weights=counts))

    found = minimize_scalar(cross_entropy, bounds=LOG_RANGE, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def apply_temperature(logits: npt.ArrayLike, temperature: float) -> npt.NDArray[np.float64]:
    """Calibrated probabilities (N, K): softmax(logits / temperature).

    Raises MienError for logits that are not finite and for a temperature that is not above 0.
    """
    if not 0 < temperature < float("inf"):
        raise MienError("a temperature above 0", f"{temperature}", "give the one that was fitted, or 1")
    probabilities: npt.NDArray[np.float64] = softmax(_checked(logits) / temperature, axis=1)
    return probabilities


def fit_conformal_threshold(
    probabilities: npt.ArrayLike, labels: npt.ArrayLike, coverage: float = 0.9, weights: npt.ArrayLike | None = None
) -> float:
    """The conformal threshold: the probability from which a class is possible.

    For a share of at least `coverage` of new faces like these, the true class is among the possible ones. This is split
    conformal prediction (Sadinle et al. 2019, "Least ambiguous set-valued classifiers with bounded error levels"; Angelopoulos
    and Bates 2021, arXiv 2107.07511, section 1). Too few faces give 0: every class is possible then.

    `probabilities` (N, K), `labels` (N,). `weights` (N,): how much more frequent faces like each one are among new faces
    (Tibshirani et al. 2019, "Conformal prediction under covariate shift"; the new face's weight is the mean here). Raises
    MienError for labels that are no class.
    """
    values = np.asarray(probabilities, np.float64)
    wanted = class_indices(labels, values.shape[1], "labels")
    true = values[np.arange(len(wanted)), wanted]
    frequent = np.ones(len(true)) if weights is None else np.asarray(weights, np.float64)
    order, count = np.argsort(true, kind="stable"), len(true)
    below = np.cumsum(frequent[order]) * count / frequent.sum() if count else frequent
    beyond = int((below <= (1 - coverage) * (count + 1) + 1e-9).sum())  # 0.1 * 20 is 2, and no less
    return float(true[order[beyond - 1]]) if beyond else 0.0


def fit_class_thresholds(
    probabilities: npt.ArrayLike, labels: npt.ArrayLike, coverage: float = 0.9, weights: npt.ArrayLike | None = None
) -> tuple[float, ...]:
    """A conformal threshold for each class, (K,): of each class's own new faces, a share of at least `coverage` has it possible.

    This is label-conditional conformal prediction (Vovk 2012, "Conditional validity of inductive conformal predictors", section
    3), where `fit_conformal_threshold` lets frequent classes pay for rare ones. A class with fewer than 30 of these faces gets
    the threshold that all classes have together, and so no promise of its own. `weights` and errors as there.
    """
    values = np.asarray(probabilities, np.float64)
    wanted = class_indices(labels, values.shape[1], "labels")
    frequent = np.ones(len(wanted)) if weights is None else np.asarray(weights, np.float64)
    together = fit_conformal_threshold(values, wanted, coverage, weights)
    own = [wanted == number for number in range(values.shape[1])]
    return tuple(
        fit_conformal_threshold(values[mine], wanted[mine], coverage, frequent[mine])
        if mine.sum() >= LEAST_OF_CLASS
        else together
        for mine in own
    )


def are_sure(
    probabilities: npt.ArrayLike,
    conformal_threshold: npt.ArrayLike,
    confidence_threshold: float,
    unlike: npt.ArrayLike | None = None,
) -> npt.NDArray[np.bool_]:
    """Whether each answer is sure, (N,), by probabilities (N, K).

    An answer is sure where exactly one class reaches the conformal threshold (one for all, or (K,) by class), and reaches the
    confidence threshold, too. At a confidence threshold of 1 no answer is sure. Neither are those of faces `unlike` the training
    faces, (N,).
    """
    values = np.asarray(probabilities)
    alone = (values >= conformal_threshold).sum(axis=1) == 1
    if unlike is not None:
        alone &= ~np.asarray(unlike, bool)
    found: npt.NDArray[np.bool_] = alone & (values.max(axis=1) >= confidence_threshold) & (confidence_threshold < 1)
    return found


def fit_confidence_threshold(
    probabilities: npt.ArrayLike,
    labels: npt.ArrayLike,
    conformal_threshold: npt.ArrayLike,
    right: float = SURE_RIGHT,
    weights: npt.ArrayLike | None = None,
    unlike: npt.ArrayLike | None = None,
    most_unsure: float = 1.0,
) -> float:
    """The confidence threshold: the lowest probability from which a share of at least `right` of the sure answers is right.

    One mistake more is counted than these faces show, so that few faces promise nothing (as knockoffs are chosen, Barber and
    Candes 2015, eq. 1.9): without any mistake, 0.95 takes 20 sure answers. Where no probability will do, the threshold is 1: no
    answer is sure then.

    Where more than a share of `most_unsure` of all answers would be unsure so, the threshold is lower, and fewer sure answers
    are right: the highest at which enough are sure, or the lowest that leaves all sure that can be.

    `probabilities` (N, K), `labels` (N,). `weights` (N,): how much more frequent faces like each one are among new faces.
    `conformal_threshold` and `unlike` as `are_sure` takes them. Raises MienError for labels that are no class.
    """
    values = np.asarray(probabilities, np.float64)
    wanted = class_indices(labels, values.shape[1], "labels")
    frequent = np.ones(len(wanted)) if weights is None else np.asarray(weights, np.float64) * len(wanted) / np.sum(weights)
    alone = np.flatnonzero(are_sure(values, conformal_threshold, 0.0, unlike)) if len(wanted) else np.zeros(0, np.int64)
    top = values[alone].max(axis=1, initial=0.0)
    order = np.argsort(-top, kind="stable")
    top, alone = top[order], alone[order]
    wrong = (values[alone].argmax(axis=1) != wanted[alone]) * frequent[alone] if len(alone) else np.zeros(0)
    enough = 1 + np.cumsum(wrong) <= (1 - right) * np.cumsum(frequent[alone]) + 1e-9
    enough[:-1] &= top[:-1] > top[1:]  # of equal ones all are sure, or none
    found = float(top[np.flatnonzero(enough)[-1]]) if enough.any() else 1.0
    if most_unsure >= 1 or not len(top):
        return found
    many = np.cumsum(frequent[alone]) >= (1 - most_unsure) * frequent.sum() - 1e-9
    return min(found, float(top[many.argmax()] if many.any() else top[-1]))


def _checked(logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
    scores = np.asarray(logits, np.float64)
    if scores.ndim != 2 or not scores.size:
        raise MienError("logits (N, K) of at least one face", f"shape {scores.shape}", "give a row per face")
    if not np.isfinite(scores).all():
        count = int((~np.isfinite(scores).all(1)).sum())
        raise MienError("finite logits", f"nan or infinite ones for {count} faces", "train with a lower learning rate")
    return scores


def class_indices(values: npt.ArrayLike, classes: int, what: str) -> npt.NDArray[np.int64]:
    """`values` as an array (N,) of integers from 0 to `classes` - 1.

    Raises MienError for any other values; its message calls them `what`.
    """
    given = np.asarray(values)
    whole = given.ndim == 1 and (np.issubdtype(given.dtype, np.integer) or not given.size)
    if not whole or (given.size and not (given.min() >= 0 and given.max() < classes)):
        found = f"{given.min()} to {given.max()}" if whole else f"{given.dtype} of shape {given.shape}"
        raise MienError(f"{what} (N,), integers from 0 to {classes - 1}", found, "leave out faces without a label")
    return given.astype(np.int64)
