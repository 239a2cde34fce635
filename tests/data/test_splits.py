"""Splits and budgets are exact: no face in two roles, no subject in two folds, noise at its rate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien import FaceSet, MienError
from mien.data.noise import flip_by_matrix, flip_uniform
from mien.data.splits import carve_validation, draw_labels, held_out_rows, split_rows, subject_folds, training_rows

LABELS = st.lists(st.integers(-1, 4), min_size=1, max_size=200).filter(lambda labels: max(labels) >= 0)
few = settings(max_examples=60, deadline=None, derandomize=True)


@given(LABELS, st.integers(1, 30), st.integers(0, 5))
@few
def test_k_per_class_is_exact(given_labels: list[int], k: int, seed: int) -> None:
    labels = np.array(given_labels)
    rows = draw_labels(labels, np.arange(len(labels)), seed, per_class=k)
    for label in range(5):
        assert (labels[rows] == label).sum() == min(k, (labels == label).sum())
    assert len(set(rows)) == len(rows)
    assert set(rows) <= set(draw_labels(labels, np.arange(len(labels)), seed, per_class=k + 1))


@given(LABELS, st.integers(0, 5), st.data())
@few
def test_n_in_all_is_exact_and_proportional(given_labels: list[int], seed: int, data: st.DataObject) -> None:
    labels = np.array(given_labels)
    total = data.draw(st.integers(1, int((labels >= 0).sum())))
    rows = draw_labels(labels, np.arange(len(labels)), seed, total=total)
    classes, counts = np.unique(labels[labels >= 0], return_counts=True)
    got = np.array([(labels[rows] == label).sum() for label in classes])
    assert got.sum() == total
    assert (got <= counts).all()
    if total >= len(classes):
        assert (got >= 1).all()
        free = (total - len(classes)) * (counts - 1) / max(1, (counts - 1).sum())
        assert (np.abs(got - 1 - free) < 1).all()


@given(LABELS, st.floats(0, 0.9), st.integers(0, 5))
@few
def test_validation_is_carved_from_the_budget(given_labels: list[int], share: float, seed: int) -> None:
    labels = np.array(given_labels)
    rows = np.flatnonzero(labels >= 0)
    budget = carve_validation(labels, rows, share, seed)
    assert sorted([*budget.train, *budget.validation]) == list(rows)
    for label in np.unique(labels[rows]):
        has = (labels == label).sum()
        validates = (labels[budget.validation] == label).sum()
        assert validates < has
        if share > 0 and has >= 2:
            assert validates >= 1
            assert abs(validates - share * has) <= 1


@given(st.lists(st.integers(0, 30), min_size=40, max_size=120), st.integers(2, 5), st.integers(0, 5))
@few
def test_no_subject_in_two_folds(numbers: list[int], folds: int, seed: int) -> None:
    subjects = np.array([f"p{n}" for n in numbers], dtype=object)
    if len(set(numbers)) < folds:
        return
    fold = subject_folds(subjects, folds, seed)
    for subject in set(subjects):
        assert len(set(fold[subjects == subject])) == 1
    sizes = np.bincount(fold, minlength=folds)
    assert sizes.min() > 0
    assert sizes.max() - sizes.min() <= max(np.unique(numbers, return_counts=True)[1])


def test_folds_need_subjects(faces: FaceSet) -> None:
    with pytest.raises(MienError, match="a subject for every face"):
        subject_folds(np.array(["a", None], dtype=object), 2, 0)
    with pytest.raises(MienError, match="as many subjects"):
        subject_folds(faces.values("subject"), 200, 0)


def test_official_splits(faces: FaceSet) -> None:
    assert len(training_rows(faces)) == 96
    assert len(np.intersect1d(training_rows(faces), split_rows(faces, "test"))) == 0
    with pytest.raises(MienError, match="test, train"):
        split_rows(faces, "PublicTest")


@given(st.lists(st.sampled_from(["train", "validation", "test", "Training", "PublicTest"]), min_size=1, max_size=40))
@few
def test_no_face_in_two_splits(splits: list[str]) -> None:
    faces = FaceSet.from_arrays(np.zeros((len(splits), 2, 2), np.uint8), columns={"split": splits})
    parts = [split_rows(faces, split) for split in set(splits)]
    assert sorted(np.concatenate(parts)) == list(range(len(splits)))
    trained = training_rows(faces) if {"train", "Training"} & set(splits) else np.zeros(0, np.int64)
    assert set(trained).isdisjoint(held_out_rows(faces))


def test_wrong_budgets_are_refused(faces: FaceSet) -> None:
    labels, rows = faces.labels, np.arange(len(faces))
    for budget in ({"per_class": 0}, {"total": 0}, {"total": 121}, {"per_class": 1, "total": 1}, {"per_class": -3}):
        with pytest.raises(MienError):
            draw_labels(labels, rows, 0, **budget)
    with pytest.raises(MienError, match="labeled faces"):
        draw_labels(np.full(5, -1), np.arange(5), 0)


@given(LABELS, st.floats(0, 1), st.integers(0, 5))
@few
def test_uniform_noise_is_exact(given_labels: list[int], rate: float, seed: int) -> None:
    labels = np.array(given_labels)
    flipped = flip_uniform(labels, rate, 5, seed)
    assert (flipped != labels).sum() == round(rate * (labels >= 0).sum())
    assert ((flipped == -1) == (labels == -1)).all()
    assert flipped.max() < 5


def test_uniform_noise_reaches_every_other_class() -> None:
    flipped = flip_uniform(np.full(4000, 2), 1.0, 5, 0)
    counts = np.bincount(flipped, minlength=5)
    assert counts[2] == 0
    assert (np.abs(counts[[0, 1, 3, 4]] - 1000) < 120).all()


def test_matrix_noise_follows_the_matrix() -> None:
    matrix = np.array([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.25, 0.25, 0.5]])
    labels = np.repeat([0, 1, 2, -1], 3000)
    flipped = flip_by_matrix(labels, matrix, 0)
    found = np.array([np.bincount(flipped[labels == label], minlength=3) / 3000 for label in range(3)])
    assert np.abs(found - matrix).max() < 0.03
    assert (found[matrix == 0] == 0).all()
    assert (flipped[labels == -1] == -1).all()
    with pytest.raises(MienError, match="sum to 1"):
        flip_by_matrix(labels, matrix * 2, 0)
    with pytest.raises(MienError, match="labels below 3"):
        flip_by_matrix(np.array([3]), matrix, 0)
