"""Temperature scaling (Guo et al. 2017, section 4.2): one number that makes confidence mean what it says.

It works on logits: log-probabilities do as well, since they are logits up to a constant per face.
"""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from mien.errors import MienError

SURE_RIGHT = 0.95
"""Share of sure answers that are right on the faces by which that is set: with nine of ten, every second of those that were just
sure enough was wrong (mien-s on FER+)."""
LOG_RANGE = (-3.0, 3.0)
"""The logarithm of the temperature is looked for here: 0.05 to 20."""


def fit_temperature(logits: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """The temperature T that minimizes the cross-entropy of softmax(logits / T), (N, K), against labels (N,).

    Fit it on validation, never on the faces that are measured. Convex in 1 / T, so one minimum. Where every face is right
    the cross-entropy falls without end as T goes to 0 and says nothing about confidence: T is then 1. Raises MienError
    without faces, for logits that are not finite and for labels that are no class.
    """
    scores = _checked(logits)
    wanted = class_indices(labels, scores.shape[1], "labels")
    if len(wanted) != len(scores):
        raise MienError(f"a label for each of {len(scores)} faces", f"{len(wanted)}", "give both for the same faces")
    faces = np.arange(len(scores))
    if (scores.argmax(1) == wanted).all():
        return 1.0

    def cross_entropy(log_temperature: float) -> float:
        return -float(log_softmax(scores / np.exp(log_temperature), axis=1)[faces, wanted].mean())

    found = minimize_scalar(cross_entropy, bounds=LOG_RANGE, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def apply_temperature(logits: npt.ArrayLike, temperature: float) -> npt.NDArray[np.float64]:
    """Probabilities (N, K), softmax(logits / temperature). Raises MienError for logits or a temperature of no use."""
    if not 0 < temperature < float("inf"):
        raise MienError("a temperature above 0", f"{temperature}", "give the one that was fitted, or 1")
    probabilities: npt.NDArray[np.float64] = softmax(_checked(logits) / temperature, axis=1)
    return probabilities


def fit_least(
    probabilities: npt.ArrayLike, labels: npt.ArrayLike, coverage: float = 0.9, weights: npt.ArrayLike | None = None
) -> float:
    """The probability from which a class is possible: split conformal prediction (Sadinle et al. 2019, "Least ambiguous
    set-valued classifiers with bounded error levels"; Angelopoulos and Bates 2021, arXiv 2107.07511, section 1).

    Of new faces like those given, the classes with at least that probability hold the true one for a share of at least
    `coverage`. 0, so that every class is possible, where there are too few faces to say. Takes probabilities (N, K), labels
    (N,), and weights (N,): how much more frequent faces like each are among new ones (Tibshirani et al. 2019, "Conformal
    prediction under covariate shift"; the weight of the new face is their mean here). Raises MienError for labels that are no
    class.
    """
    values = np.asarray(probabilities, np.float64)
    wanted = class_indices(labels, values.shape[1], "labels")
    true = values[np.arange(len(wanted)), wanted]
    frequent = np.ones(len(true)) if weights is None else np.asarray(weights, np.float64)
    order, count = np.argsort(true, kind="stable"), len(true)
    below = np.cumsum(frequent[order]) * count / frequent.sum() if count else frequent
    beyond = int((below <= (1 - coverage) * (count + 1) + 1e-9).sum())  # 0.1 * 20 is 2, and no less
    return float(true[order[beyond - 1]]) if beyond else 0.0


def are_sure(probabilities: npt.ArrayLike, least: float, sure: float) -> npt.NDArray[np.bool_]:
    """(N,) whether answers of probabilities (N, K) are sure: one class alone is possible, from `least` on, and it has at least
    the probability `sure`. Where that is 1 none is."""
    values = np.asarray(probabilities)
    alone = (values >= least).sum(axis=1) == 1
    found: npt.NDArray[np.bool_] = alone & (values.max(axis=1) >= sure) & (sure < 1)
    return found


def fit_sure(
    probabilities: npt.ArrayLike,
    labels: npt.ArrayLike,
    least: float,
    right: float = SURE_RIGHT,
    weights: npt.ArrayLike | None = None,
) -> float:
    """The probability from which an answer is sure: the lowest from which sure answers are right for a share of at least `right`.

    Of the faces given, with one more mistake counted than there is, so that few faces promise nothing (as knockoffs are chosen,
    Barber and Candes 2015, eq. 1.9): without a mistake there have to be 20 for 0.95. 1, so that no answer is sure, where no
    probability will do. Takes probabilities (N, K), labels (N,), the probability `least` from which a class is possible, and
    weights (N,) as `fit_least` does. Raises MienError for labels that are no class.
    """
    values = np.asarray(probabilities, np.float64)
    wanted = class_indices(labels, values.shape[1], "labels")
    frequent = np.ones(len(wanted)) if weights is None else np.asarray(weights, np.float64) * len(wanted) / np.sum(weights)
    alone = np.flatnonzero(are_sure(values, least, 0.0)) if len(wanted) else np.zeros(0, np.int64)
    top = values[alone].max(axis=1, initial=0.0)
    order = np.argsort(-top, kind="stable")
    top, alone = top[order], alone[order]
    wrong = (values[alone].argmax(axis=1) != wanted[alone]) * frequent[alone] if len(alone) else np.zeros(0)
    enough = 1 + np.cumsum(wrong) <= (1 - right) * np.cumsum(frequent[alone]) + 1e-9
    enough[:-1] &= top[:-1] > top[1:]  # of equal ones all are sure, or none
    return float(top[np.flatnonzero(enough)[-1]]) if enough.any() else 1.0


def _checked(logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
    scores = np.asarray(logits, np.float64)
    if scores.ndim != 2 or not scores.size:
        raise MienError("logits (N, K) of at least one face", f"shape {scores.shape}", "give a row per face")
    if not np.isfinite(scores).all():
        count = int((~np.isfinite(scores).all(1)).sum())
        raise MienError("finite logits", f"{count} faces with others", "train with a lower learning rate")
    return scores


def class_indices(values: npt.ArrayLike, classes: int, what: str) -> npt.NDArray[np.int64]:
    """`values` as an array (N,) of integers from 0 to `classes` - 1; raises MienError, which calls them `what`, for others."""
    given = np.asarray(values)
    whole = given.ndim == 1 and (np.issubdtype(given.dtype, np.integer) or not given.size)
    if not whole or (given.size and not (given.min() >= 0 and given.max() < classes)):
        found = f"{given.min()} to {given.max()}" if whole else f"{given.dtype} of shape {given.shape}"
        raise MienError(f"{what} (N,), integers from 0 to {classes - 1}", found, "leave out faces without a label")
    return given.astype(np.int64)
