"""Folds of a comparison: the runs of one recipe and seed, each tested on people that it did not see, as one result."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mien.evaluation.evaluation_result import Evaluation
from mien.evaluation.metrics import RESAMPLES, Interval, accuracy, average_accuracy, macro_f1, percentiles
from mien.experiments.run_results import RunResult
from mien.recognize.recognizer import Recognizer


def hits_by_subject(found: Evaluation) -> dict[str, tuple[int, int]]:
    """How many faces of each person were named right, and how many there are."""
    people = [group for group in found.groups if group.column == "subject"]
    return {person.value: (round(person.accuracy * person.count), person.count) for person in people}


def subject_interval(hits: Sequence[tuple[int, int]], seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """The 95 % percentile-bootstrap interval of accuracy where people are drawn, not faces.

    `hits`: faces that were named right, and all, of each person. Faces of one person are alike: drawn one by one, they would make
    the interval too narrow. nan without people.
    """
    if not hits:
        return Interval(float("nan"), float("nan"))
    right, count = np.array(hits, np.float64).T
    drawn = np.random.default_rng(seed).multinomial(len(hits), np.full(len(hits), 1 / len(hits)), resamples)
    return percentiles((drawn @ right) / (drawn @ count))


def judged(blank: RunResult, recognizer: Recognizer, found: Evaluation) -> RunResult:
    """A run's result with the figures of its evaluation by people."""
    budget = recognizer.card.budget
    return replace(
        blank,
        train_labels=budget["train"],
        validation_labels=budget["validation"],
        unlabeled_faces=budget["unlabeled"],
        accuracy=found.accuracy,
        average_accuracy=found.average_accuracy,
        macro_f1=found.macro_f1,
        ece_after=found.ece_after,
        tested=found.count,
        validation_accuracy=recognizer.card.metrics.get("validation_accuracy"),
        transductive=bool(recognizer.card.recipe.get("transductive")),
        machine=found.notes["machine"],
        confusion=tuple(tuple(map(int, row)) for row in found.confusion),
        subjects=hits_by_subject(found),
    )


def pooled(folds: Sequence[RunResult]) -> RunResult:
    """One result of all folds of a recipe and seed: figures over the faces of all, each judged by the run that did not see it.

    Accuracy, average accuracy and macro F1 are of the summed confusion; the calibration error is the folds' mean, weighted by
    their faces. `fold_mean` and `fold_average_mean` are plain means over folds, which papers report as well. It has failed where
    a fold has.
    """
    failed = [one for one in folds if one.failed]
    if failed:
        return replace(failed[0], failed=f"fold {failed[0].fold}: {failed[0].failed}", fold="", folds=len(folds))
    confusion = np.sum([one.confusion for one in folds], axis=0)
    hits = dict(pair for one in folds for pair in one.subjects.items())
    interval = subject_interval(list(hits.values()))
    return replace(
        folds[0],
        fold="",
        folds=len(folds),
        confusion=tuple(tuple(map(int, row)) for row in confusion),
        subjects=hits,
        accuracy=float(accuracy(confusion)),
        average_accuracy=float(average_accuracy(confusion)),
        macro_f1=float(macro_f1(confusion)),
        ece_after=float(np.average([one.ece_after or 0.0 for one in folds], weights=[one.tested or 0 for one in folds])),
        accuracy_low=interval.low,
        accuracy_high=interval.high,
        fold_mean=_mean(folds, lambda one: one.accuracy),
        fold_average_mean=_mean(folds, lambda one: one.average_accuracy),
        train_labels=_whole_mean(folds, lambda one: one.train_labels),
        validation_labels=_whole_mean(folds, lambda one: one.validation_labels),
        unlabeled_faces=_whole_mean(folds, lambda one: one.unlabeled_faces),
        tested=int(confusion.sum()),
        left_out=sum(one.left_out or 0 for one in folds),
        validation_accuracy=_mean(folds, lambda one: one.validation_accuracy),
        weight_auroc=_mean(folds, lambda one: one.weight_auroc),
        seconds=sum(one.seconds or 0.0 for one in folds),
    )


def _mean(folds: Sequence[RunResult], figure: Callable[[RunResult], float | None]) -> float | None:
    """The mean over the folds that have the figure; None where none has."""
    known = [value for one in folds if (value := figure(one)) is not None]
    return float(np.mean(known)) if known else None


def _whole_mean(folds: Sequence[RunResult], figure: Callable[[RunResult], int | None]) -> int | None:
    mean = _mean(folds, figure)
    return None if mean is None else round(mean)
