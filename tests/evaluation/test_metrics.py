"""Every figure against a naive loop, its properties, and the bootstrap against scipy's."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import bootstrap

from mien.errors import MienError
from mien.evaluation import metrics
from mien.evaluation.metrics import (
    calibration_bins,
    calibration_error,
    calibration_interval,
    confusion,
    intervals,
    recall_intervals,
    second_interval,
    second_share,
    wilson,
)
from mien.recognize.calibration import (
    apply_temperature,
    are_sure,
    fit_class_thresholds,
    fit_confidence_threshold,
    fit_conformal_threshold,
    fit_temperature,
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
CLASSES = 4
few = settings(max_examples=30, deadline=None, derandomize=True)
indices = st.integers(1, 40).flatmap(
    lambda count: st.tuples(*[arrays(np.int64, count, elements=st.integers(0, CLASSES - 1))] * 2)
)


def drawn(count: int, seed: int = 0, sharp: float = 2.0) -> tuple[Floats, Ints]:
    """Logits (N, K) of a fair recognizer that is too sure of itself, and labels (N,)."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(CLASSES, size=count)
    logits = generator.normal(size=(count, CLASSES))
    logits[np.arange(count), labels] += 1.5
    return sharp * logits, labels


def naive(labels: Ints, predicted: Ints) -> dict[str, float]:
    """The figures by counting faces one by one."""
    pairs = list(zip(labels.tolist(), predicted.tolist(), strict=True))
    recalls, scores = [], []
    for label in range(CLASSES):
        faces = sum(true == label for true, _ in pairs)
        said = sum(guess == label for _, guess in pairs)
        hits = sum(true == guess == label for true, guess in pairs)
        if faces:
            recalls.append(hits / faces)
        if faces + said:
            scores.append(2 * hits / (faces + said))
    return {
        "accuracy": sum(true == guess for true, guess in pairs) / len(pairs),
        "average_accuracy": sum(recalls) / len(recalls),
        "macro_f1": sum(scores) / len(scores),
    }


def naive_error(probabilities: Floats, labels: Ints, bins: int) -> float:
    """Expected calibration error, bin by bin and face by face."""
    error = 0.0
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        sure, right = 0.0, 0
        for row, label in zip(probabilities, labels, strict=True):
            if low <= row.max() < high or (number == bins - 1 and row.max() == 1):
                sure += float(row.max())
                right += int(row.argmax() == label)
        error += abs(right - sure)
    return error / len(labels)


def contains(interval: metrics.Interval, value: float) -> bool:
    return interval.low <= value <= interval.high


def test_confusion_counts_faces_by_true_and_predicted_class() -> None:
    assert confusion([0, 0, 1, 2], [0, 1, 1, 0], 3).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize("labels", [[0, -1], [0, 3], [0], [0.0, 1.0]])
def test_confusion_refuses_what_is_no_label(labels: list[float]) -> None:
    with pytest.raises(MienError):
        confusion(labels, [0, 1], 3)


@few
@given(indices)
def test_figures_are_those_of_a_naive_count(pair: tuple[Ints, Ints]) -> None:
    matrix = confusion(*pair, CLASSES)
    for name, value in naive(*pair).items():
        assert metrics.FIGURES[name](matrix) == pytest.approx(value), name


@few
@given(indices, st.integers(0, 99))
def test_permuting_faces_changes_nothing(pair: tuple[Ints, Ints], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(pair[0]))
    assert (confusion(pair[0][order], pair[1][order], CLASSES) == confusion(*pair, CLASSES)).all()


@few
@given(indices)
def test_perfect_prediction_gives_one(pair: tuple[Ints, Ints]) -> None:
    matrix = confusion(pair[0], pair[0], CLASSES)
    assert [float(figure(matrix)) for figure in metrics.FIGURES.values()] == [1.0, 1.0, 1.0]


@few
@given(arrays(np.int64, (CLASSES, 7), elements=st.integers(0, CLASSES - 1)))
def test_average_accuracy_is_accuracy_where_classes_are_balanced(predicted: Ints) -> None:
    matrix = confusion(np.repeat(np.arange(CLASSES), 7), predicted.ravel(), CLASSES)
    assert metrics.average_accuracy(matrix) == pytest.approx(float(metrics.accuracy(matrix)))


@few
@given(indices)
def test_macro_f1_is_that_of_torchmetrics(pair: tuple[Ints, Ints]) -> None:
    labels, predicted = map(torch.from_numpy, pair)
    from torchmetrics.functional.classification import multiclass_f1_score  # here, as it takes long to load

    reference = multiclass_f1_score(predicted, labels, CLASSES, average="macro")
    assert metrics.macro_f1(confusion(*pair, CLASSES)) == pytest.approx(float(reference), abs=1e-6)


def test_leading_dimensions_are_those_of_single_matrices() -> None:
    matrices = np.random.default_rng(0).integers(0, 3, (2, 5, CLASSES, CLASSES))
    for figure in (*metrics.FIGURES.values(), metrics.recalls, metrics.precisions):
        expected = [[figure(matrix) for matrix in row] for row in matrices]
        np.testing.assert_array_equal(figure(matrices), expected)


def test_absent_classes_have_no_recall_and_no_part_in_the_mean() -> None:
    matrix = np.array([[3, 1, 0], [0, 0, 0], [0, 2, 2]])
    assert metrics.recalls(matrix)[[0, 2]].tolist() == [0.75, 0.5]
    assert math.isnan(metrics.recalls(matrix)[1])
    assert metrics.precisions(matrix).tolist() == [1.0, 0.0, 1.0]
    assert metrics.average_accuracy(matrix) == 0.625
    assert math.isnan(float(metrics.accuracy(np.zeros((3, 3), int))))


@few
@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 99))
def test_calibration_error_is_that_of_a_naive_loop(count: int, bins: int, seed: int) -> None:
    logits, labels = drawn(count, seed)
    probabilities = apply_temperature(logits, 1.0)
    assert calibration_error(probabilities, labels, bins) == pytest.approx(naive_error(probabilities, labels, bins))


def test_calibration_error_is_that_of_torchmetrics() -> None:
    from torchmetrics.functional.classification import multiclass_calibration_error

    logits, labels = drawn(500)
    probabilities = apply_temperature(logits, 1.0)
    reference = multiclass_calibration_error(torch.from_numpy(probabilities), torch.from_numpy(labels), CLASSES, n_bins=15)
    assert calibration_error(probabilities, labels) == pytest.approx(float(reference), abs=1e-6)


def test_certain_faces_fall_into_the_last_bin() -> None:
    probabilities = np.array([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]])
    found = calibration_bins(probabilities, [0, 1, 0], bins=10)
    assert found.count.tolist() == [0] * 5 + [1] + [0] * 3 + [2]
    assert (found.confidence[9], found.accuracy[9], found.confidence[5], found.accuracy[5]) == (1.0, 0.5, 0.5, 1.0)
    assert np.isnan(found.accuracy[:5]).all()
    assert calibration_error(probabilities, [0, 1, 0], bins=10) == pytest.approx((2 * 0.5 + 0.5) / 3)


@pytest.mark.parametrize(
    ("probabilities", "labels"),
    [(np.zeros((0, 3)), []), (np.full((2, 2), 0.5), [0]), (np.full((2, 2), 0.5), [0, -1]), (np.array([[3.0, -1]]), [0])],
)
def test_calibration_error_refuses_what_it_cannot_measure(probabilities: Floats, labels: list[int]) -> None:
    with pytest.raises(MienError):
        calibration_error(probabilities, labels)


@pytest.mark.parametrize("name", sorted(metrics.FIGURES))
def test_intervals_are_those_of_scipy(name: str) -> None:
    logits, labels = drawn(300)
    predicted = logits.argmax(1)

    def statistic(rows: Ints, axis: int) -> Floats:
        assert axis == -1
        cells = labels[rows] * CLASSES + predicted[rows]
        counts = np.stack([np.bincount(row, minlength=CLASSES**2) for row in cells.reshape(-1, rows.shape[-1])])
        return metrics.FIGURES[name](counts.reshape(*rows.shape[:-1], CLASSES, CLASSES))

    found = intervals(confusion(labels, predicted, CLASSES), seed=1, resamples=4000)[name]
    reference = bootstrap(
        (np.arange(300),), statistic, n_resamples=4000, method="percentile", vectorized=True, rng=2
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=0.006)


def test_calibration_interval_is_that_of_scipy() -> None:
    logits, labels = drawn(300)
    probabilities = apply_temperature(logits, 1.0)
    reference = bootstrap(
        (np.arange(300),), lambda rows: calibration_error(probabilities[rows], labels[rows]),
        n_resamples=1500, method="percentile", vectorized=False, rng=2,
    ).confidence_interval  # fmt: skip
    found = calibration_interval(probabilities, labels, seed=1, resamples=4000)
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=0.008)


def test_intervals_shrink_with_more_faces_and_hold_the_figure() -> None:
    matrix = np.array([[30, 10], [5, 15]])
    for name, interval in intervals(matrix, seed=0).items():
        large = intervals(100 * matrix, seed=0)[name]
        assert contains(interval, float(metrics.FIGURES[name](matrix)))
        assert large.high - large.low == pytest.approx((interval.high - interval.low) / 10, rel=0.15)


def test_intervals_depend_on_the_seed_alone_and_not_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, labels = drawn(200)
    probabilities, matrix = apply_temperature(logits, 1.0), confusion(labels, logits.argmax(1), CLASSES)
    whole = intervals(matrix, 3), calibration_interval(probabilities, labels, 3)
    monkeypatch.setattr(metrics, "BLOCK", 5000)
    assert (intervals(matrix, 3), calibration_interval(probabilities, labels, 3)) == whole
    assert intervals(matrix, 4) != whole[0]


def test_recall_intervals_are_wilsons() -> None:
    found = recall_intervals(np.array([[8, 2, 0], [0, 0, 0], [0, 1, 0]]))
    for interval, hits, faces in ((found[0], 8, 10), (found[2], 0, 1)):
        z, share = 1.959964, hits / faces
        center = (share + z**2 / (2 * faces)) / (1 + z**2 / faces)
        half = z / (1 + z**2 / faces) * (share * (1 - share) / faces + z**2 / (4 * faces**2)) ** 0.5
        assert (interval.low, interval.high) == pytest.approx((center - half, center + half), abs=1e-5)
    assert np.isnan([found[1].low, found[1].high]).all()
    assert found[2].high > 0.5, "one face says little"


@few
@given(arrays(np.int64, (9, CLASSES), elements=st.integers(0, 3)), st.integers(0, 99))
def test_second_share_is_a_loops(scores: Ints, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(CLASSES, size=len(scores))
    hits = []
    for row, label in zip(scores.tolist(), labels, strict=True):
        best, second, *_ = sorted(range(CLASSES), key=lambda name: -row[name])
        if best != label:
            hits.append(second == label)
    found, between = second_share(scores, labels), second_interval(scores, labels)
    if hits:
        assert found == pytest.approx(sum(hits) / len(hits))
        assert between == wilson(sum(hits), len(hits))
    else:
        assert math.isnan(found)
        assert math.isnan(between.low)


def test_second_share_refuses_what_does_not_fit() -> None:
    assert math.isnan(second_share([[2.0], [1.0]], [0, 0])), "one class cannot be mistaken"
    for scores, labels in (([0.1, 0.2], [0, 1]), ([[0.1, 0.2]], [0, 1]), ([[0.1, 0.2]], [2])):
        with pytest.raises(MienError):
            second_share(scores, labels)


def test_nothing_has_no_intervals() -> None:
    with pytest.raises(MienError, match="faces to measure"):
        intervals(np.zeros((3, 3), np.int64), seed=0)


@pytest.mark.parametrize("known", [0.4, 1.0, 3.0])
def test_temperature_is_found_again(known: float) -> None:
    generator = np.random.default_rng(0)
    logits = 2 * generator.normal(size=(20_000, CLASSES))
    chances = apply_temperature(logits, known).cumsum(1)
    labels = (generator.random((len(logits), 1)) > chances).sum(1).clip(max=CLASSES - 1)
    assert fit_temperature(logits, labels) == pytest.approx(known, rel=0.05)


def test_temperature_is_where_the_cross_entropy_is_least() -> None:
    logits, labels = drawn(400)

    def cross_entropy(temperature: float) -> float:
        return float(-np.log(apply_temperature(logits, temperature)[np.arange(400), labels]).mean())

    found = fit_temperature(logits, labels)
    assert found > 1.2
    assert cross_entropy(found) < min(map(cross_entropy, (found * 0.98, found * 1.02, 1.0)))


def test_log_probabilities_have_the_temperature_of_their_logits() -> None:
    logits, labels = drawn(300)
    shifted = np.log(apply_temperature(logits, 1.0))
    assert fit_temperature(shifted, labels) == pytest.approx(fit_temperature(logits, labels), rel=1e-4)


def test_faces_that_are_all_right_leave_the_temperature_at_one() -> None:
    assert fit_temperature([[3.0, 0.0], [0.0, 0.1]], [0, 1]) == 1.0


@few
@given(arrays(np.float64, (6, CLASSES), elements=st.integers(-20, 20), unique=True), st.floats(0.05, 20))
def test_temperature_never_changes_the_class(logits: Floats, temperature: float) -> None:
    probabilities = apply_temperature(logits, temperature)
    assert (probabilities.argmax(1) == logits.argmax(1)).all()
    np.testing.assert_allclose(probabilities.sum(1), 1)


@pytest.mark.parametrize(
    ("logits", "labels"),
    [(np.zeros((0, 3)), []), ([[1.0, float("nan")]], [0]), ([[1.0, 2.0]], [-1]), ([[1.0, 2.0]], [0, 1]), ([1.0], [0])],
)
def test_fitting_refuses_what_it_cannot_use(logits: npt.ArrayLike, labels: list[int]) -> None:
    with pytest.raises(MienError):
        fit_temperature(logits, labels)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_is_positive(temperature: float) -> None:
    with pytest.raises(MienError, match="above 0"):
        apply_temperature([[1.0, 2.0]], temperature)


def test_what_is_possible_holds_the_true_class_as_often_as_asked() -> None:
    generator = np.random.default_rng(0)

    def draw(count: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        probabilities = generator.dirichlet((0.5, 0.5, 0.5, 0.5), count)
        return probabilities, np.array([generator.choice(4, p=row) for row in probabilities])

    held = []
    for _ in range(200):
        least = fit_conformal_threshold(*draw(99), coverage=0.8)
        probabilities, labels = draw(500)
        held.append((probabilities[np.arange(500), labels] >= least).mean())
    assert np.mean(held) == pytest.approx(0.8, abs=0.01)  # (k + 1) / (n + 1) = 0.8 for continuous scores


def test_the_least_possible_probability_is_a_quantile_of_the_true_ones() -> None:
    probabilities = np.stack([np.arange(1, 20) / 20, 1 - np.arange(1, 20) / 20], axis=1)  # 19 faces, 0.05 to 0.95
    labels = np.zeros(19, np.int64)
    assert fit_conformal_threshold(probabilities, labels, 0.9) == pytest.approx(0.1)
    assert fit_conformal_threshold(probabilities, labels, 0.75) == pytest.approx(0.25)
    assert fit_conformal_threshold(probabilities[:3], labels[:3], 0.9) == 0
    many = np.repeat(np.arange(19), np.arange(1, 20))  # as if a face of weight 3 were there three times, near enough
    weighted = fit_conformal_threshold(probabilities, labels, 0.8, weights=np.arange(1, 20))
    assert weighted == pytest.approx(fit_conformal_threshold(probabilities[many], labels[many], 0.8), abs=0.051)
    assert weighted > fit_conformal_threshold(probabilities, labels, 0.8)
    with pytest.raises(MienError):
        fit_conformal_threshold(probabilities, labels + 2)


def test_sure_is_one_possible_class_that_is_probable_enough() -> None:
    rows = [[0.47, 0.2, 0.2, 0.13], [0.85, 0.05, 0.05, 0.05], [0.7, 0.3, 0.0, 0.0], [0.24, 0.26, 0.25, 0.25]]
    assert are_sure(rows, 0.268, 0.0).tolist() == [True, True, False, False], "one alone is possible"
    assert are_sure(rows, 0.268, 0.8).tolist() == [False, True, False, False]
    assert are_sure(rows, 0.268, 0.47).tolist() == [True, True, False, False], "from that probability on"
    assert not are_sure([[1.0, 0.0]], 0.268, 1.0).any(), "1: none is"


@pytest.mark.parametrize("right", [0.9, 0.95])
def test_sure_answers_are_right_as_often_as_asked(right: float) -> None:
    generator = np.random.default_rng(0)

    def draw(count: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        probabilities = generator.dirichlet((0.3, 0.3, 0.3), count)
        return probabilities, np.array([generator.choice(3, p=row) for row in probabilities])

    shares, many = [], []
    for _ in range(60):
        given, labels = draw(400)
        sure = fit_confidence_threshold(given, labels, 0.3, right)
        certain = are_sure(given, 0.3, sure)
        hits = (given.argmax(axis=1) == labels)[certain]
        assert (~hits).sum() + 1 <= (1 - right) * len(hits) + 1e-9, "with a mistake more than there is"
        lower = np.sort(given.max(axis=1)[are_sure(given, 0.3, 0.0)])
        lower = lower[lower < sure]
        for one in lower:
            others = are_sure(given, 0.3, float(one))
            wrong = (given.argmax(axis=1) != labels)[others].sum()
            assert 1 + wrong > (1 - right) * others.sum() - 1e-9, "no lower one will do"
        fresh, truth = draw(2000)
        told = are_sure(fresh, 0.3, sure)
        shares.append((fresh.argmax(axis=1) == truth)[told].mean())
        many.append(told.mean())
    assert np.mean(shares) == pytest.approx(right, abs=0.02)
    assert np.mean(many) > 0.3


def test_few_faces_promise_no_sure_answer() -> None:
    rows = np.array([[0.9, 0.1]] * 19)
    assert fit_confidence_threshold(rows, np.zeros(19, np.int64), 0.5) == 1.0
    assert fit_confidence_threshold(np.vstack([rows, rows[:1]]), np.zeros(20, np.int64), 0.5) == 0.9
    assert fit_confidence_threshold(rows, np.ones(19, np.int64), 0.5) == 1.0
    assert fit_confidence_threshold(np.zeros((0, 2)), np.zeros(0, np.int64), 0.5) == 1.0
    assert fit_confidence_threshold(rows, np.zeros(19, np.int64), 0.05) == 1.0, "two are possible"
    with pytest.raises(MienError):
        fit_confidence_threshold(rows, np.full(19, 2), 0.5)


def test_equal_probabilities_are_sure_together_or_not_at_all() -> None:
    rows = np.array([[0.9, 0.1]] * 40 + [[0.8, 0.2]] * 10)
    labels = np.array([0] * 40 + [0] * 5 + [1] * 5)
    assert fit_confidence_threshold(rows, labels, 0.5, 0.95) == 0.9


def test_weights_count_faces_as_if_there_were_more_of_them() -> None:
    rows = np.stack([np.linspace(0.6, 0.99, 40), 1 - np.linspace(0.6, 0.99, 40)], axis=1)
    labels = (np.arange(40) % 7 == 0).astype(np.int64)
    equal = fit_confidence_threshold(rows, labels, 0.5, 0.7, weights=np.full(40, 3.0))
    assert equal == fit_confidence_threshold(rows, labels, 0.5, 0.7)
    heavy = fit_confidence_threshold(rows, labels, 0.5, 0.7, weights=np.where(labels == 1, 10.0, 1.0))
    assert heavy > equal, "mistakes of frequent faces count more"


def test_class_thresholds_keep_the_promise_for_each_class() -> None:
    """Rare classes are as often possible as frequent ones; a class of few faces has the threshold of all together."""
    rng = np.random.default_rng(0)

    def drawn(count: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        labels = rng.choice(4, count, p=[0.8, 0.14, 0.058, 0.002])
        logits = rng.normal(size=(count, 4)) + np.array([2.0, 0.0, 0.0, 0.0])
        logits[np.arange(count), labels] += 1.5
        return apply_temperature(logits, 1.0), labels

    likely, labels = drawn(4000)
    found = np.array(fit_class_thresholds(likely, labels))
    assert found[3] == fit_conformal_threshold(likely, labels), "it has fewer than 30 faces"
    for number in range(3):
        mine = labels == number
        assert found[number] == fit_conformal_threshold(likely[mine], labels[mine])
    fresh, truth = drawn(20000)
    covered = (fresh >= found)[np.arange(len(truth)), truth]
    together = fresh[np.arange(len(truth)), truth] >= found[3]
    for number in range(3):
        assert covered[truth == number].mean() == pytest.approx(0.9, abs=0.04)
    assert together[truth == 1].mean() < 0.7, "frequent classes pay for it otherwise"
    sure = are_sure(fresh, found, 0.0)
    assert sure.tolist() == ((fresh >= found).sum(axis=1) == 1).tolist()
    assert not are_sure(fresh, found, 0.0, np.ones(len(fresh), bool)).any(), "unlike faces are never sure"


def test_no_more_answers_are_unsure_than_asked_for() -> None:
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(2000, 3)) * 2, rng.integers(0, 3, 2000)
    logits[np.arange(2000), labels] += 2
    likely = apply_temperature(logits, 1.0)
    strict = fit_confidence_threshold(likely, labels, 0.3, 0.99)
    unsure = [1 - are_sure(likely, 0.3, strict).mean()]
    for most in (0.9, 0.6, 0.4, 0.0):
        found = fit_confidence_threshold(likely, labels, 0.3, 0.99, most_unsure=most)
        assert found <= strict
        unsure.append(1 - are_sure(likely, 0.3, found).mean())
        reachable = 1 - are_sure(likely, 0.3, 0.0).mean()
        assert unsure[-1] <= max(most, reachable) + 1e-9
    assert unsure == sorted(unsure, reverse=True)
    assert fit_confidence_threshold(likely[:0], labels[:0], 0.3, most_unsure=0.2) == 1.0


def test_a_temperature_of_weighted_faces_is_that_of_repeated_ones() -> None:
    rng = np.random.default_rng(2)
    logits, labels, counts = rng.normal(size=(60, 3)) * 3, rng.integers(0, 3, 60), rng.integers(1, 4, 60)
    many = np.repeat(np.arange(60), counts)
    assert fit_temperature(logits, labels, counts) == pytest.approx(fit_temperature(logits[many], labels[many]), rel=1e-4)
