"""Splits and budgets are exact: no face in two roles, no subject in two folds, noise at its rate."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien import FaceSet, MienError
from mien.data import splits
from mien.data.face_groups import group_by_names, validation_groups
from mien.data.identities import write_identities
from mien.data.label_budget import carve_validation, draw_labels
from mien.data.label_noise import flip_by_matrix, flip_uniform
from mien.data.splits import draw_test, held_out_rows, no_splits, split_rows, subject_folds, training_rows
from mien.experiments.tested_set import choose_tested_set

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


def test_validation_by_face_is_what_it_always_was() -> None:
    labels = np.random.default_rng(5).integers(-1, 4, 40)
    rows = np.flatnonzero(labels >= 0)
    for groups in (None, np.arange(40), np.random.default_rng(0).permutation(40)):
        assert carve_validation(labels, rows, 0.2, 0, groups).validation.tolist() == [4, 8, 10, 22, 37]
        assert carve_validation(labels, rows, 0.2, 3, groups).validation.tolist() == [4, 11, 19, 36, 37]


GROUPED = st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 25)), min_size=1, max_size=150)


@given(GROUPED.filter(lambda pairs: max(pairs)[0] >= 0), st.floats(0, 0.9), st.integers(0, 5))
@few
def test_whole_groups_validate(pairs: list[tuple[int, int]], share: float, seed: int) -> None:
    labels, groups = np.array(pairs).T
    rows = np.flatnonzero(labels >= 0)
    budget = carve_validation(labels, rows, share, seed, groups)
    assert sorted([*budget.train, *budget.validation]) == list(rows)
    assert set(groups[budget.train]).isdisjoint(groups[budget.validation])
    again = carve_validation(labels, rows, share, seed, groups)
    assert (again.validation == budget.validation).all()
    if len(set(groups[rows])) == len(rows):
        return
    wanted, validates = dict[int, int](), dict[int, int]()
    for label in set(labels[rows]):
        mine = rows[labels[rows] == label]
        several = len(set(groups[mine])) > 1
        assert np.isin(mine, budget.train).any(), "every class keeps faces to train with"
        assert several or np.isin(mine, budget.train).all(), "a class of one group trains"
        wanted[label] = min(max(round(share * len(mine)), 1), len(mine) - 1) if several and share > 0 else 0
        validates[label] = int(np.isin(mine, budget.validation).sum())
    assert share > 0 or not len(budget.validation)
    # Within reason: no group that may be drawn would bring the classes nearer to their shares.
    for group in set(groups[budget.train]):
        mine = budget.train[groups[budget.train] == group]
        rest = np.setdiff1d(budget.train, mine)
        if set(labels[mine]) <= set(labels[rest]):
            more = {label: validates[label] + int((labels[mine] == label).sum()) for label in set(labels[mine])}
            before = sum((validates[label] - wanted[label]) ** 2 / max(1, wanted[label]) for label in more)
            after = sum((count - wanted[label]) ** 2 / max(1, wanted[label]) for label, count in more.items())
            assert after >= before - 1e-9
            missed = [label for label in set(labels[mine]) if wanted[label] and not validates[label]]
            assert not missed, "a class that can gives a group"


def test_groups_of_one_size_give_each_class_its_share() -> None:
    """60 people of four faces of each of two classes: twelve validate, a fifth of each."""
    people, labels = np.repeat(np.arange(60), 8), np.tile(np.arange(8) % 2, 60)
    drawn = set()
    for seed in range(3):
        validation = carve_validation(labels, np.arange(480), 0.2, seed, people).validation
        assert np.bincount(labels[validation]).tolist() == [48, 48]
        drawn.add(tuple(sorted(set(people[validation]))))
    assert len(drawn) == 3


def test_large_groups_give_the_smallest() -> None:
    """Of three videos of a class the largest would be most of it; of the other class there is one, which trains."""
    videos, labels = np.repeat([0, 1, 2, 3], [60, 30, 50, 10]), np.repeat([0, 1], [140, 10])
    for seed in range(5):
        assert set(videos[carve_validation(labels, np.arange(150), 0.1, seed, videos).validation]) == {1}


def columned(**columns: list[str | None]) -> FaceSet:
    count = len(next(iter(columns.values())))
    return FaceSet.from_arrays(np.zeros((count, 2, 2), np.uint8), [0] * count, ["calm"], columns)


def test_people_before_sequences_before_faces() -> None:
    subject = ["ann", None, " ann", "", "bob", None, None]
    sequence = ["a", "b", "c", "b", "a", None, ""]
    assert validation_groups(columned(source=subject)) is None
    groups = validation_groups(columned(subject=subject, sequence=sequence))
    assert groups is not None
    assert groups.of[0] == groups.of[2], "spaces aside"
    assert groups.of[1] == groups.of[3], "who has no subject goes by the sequence"
    assert len(set(groups.of)) == 5, "bob is not ann though both have a sequence a, and nobody is the same as nobody"
    assert groups.tell(np.array([0, 1, 3]), np.arange(7)) == "1 of 2 people, 1 of 1 sequences"
    assert groups.mates(np.array([0, 5]), np.arange(7)).tolist() == [0, 2, 5]
    groups = validation_groups(columned(sequence=sequence))
    assert groups is not None
    assert groups.tell(np.array([0]), np.arange(7)) == "1 of 3 sequences"
    groups = validation_groups(columned(subject=[None] * 7))
    assert groups is not None
    assert (len(set(groups.of)), groups.tell(np.array([0]), np.arange(7))) == (7, "")


def test_where_people_are_the_classes_they_part_nothing(tmp_path: Path) -> None:
    people = [f"p{n // 6}" for n in range(60)]
    faces = FaceSet.from_arrays(np.zeros((60, 2, 2), np.uint8), columns={"subject": people})
    assert validation_groups(write_identities(faces, tmp_path / "known")) is None
    faces = faces.with_column("sequence", [f"s{n // 3}" for n in range(60)])
    groups = validation_groups(write_identities(faces, tmp_path / "moving"))
    assert groups is not None
    assert set(groups.named) == {"sequences"}


def test_a_test_split_takes_unlabeled_faces_along() -> None:
    names = pa.chunked_array([[f"p{n // 4}" for n in range(80)]])
    labels, groups = np.tile([0, 1, -1, -1], 20), group_by_names({"people": names}).of
    labels[-4:] = -1
    test = draw_test(labels, groups, 0.25, 0)
    assert test.sum() == 20
    assert set(groups[test]).isdisjoint(groups[~test])
    assert not test[-4:].any(), "somebody without a label trains"
    assert draw_test(np.full(80, -1), groups, 0.25, 0).sum() == 20
    assert (draw_test(labels, groups, 0.25, 1) != test).any()


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


@pytest.mark.parametrize(("written", "asked"), [("TEST", "test"), ("Testing", "test"), ("test", "Test"), ("val", "validation")])
def test_a_split_is_found_however_it_is_written(written: str, asked: str) -> None:
    splits = ["Train", written, None, "PUBLICTEST", written]
    faces = FaceSet.from_arrays(np.zeros((5, 2, 2), np.uint8), columns={"split": splits})
    assert split_rows(faces, asked).tolist() == [1, 4]
    assert training_rows(faces).tolist() == [0]
    assert split_rows(faces, "PublicTest").tolist() == split_rows(faces, "publictest").tolist() == [3]
    assert held_out_rows(faces).tolist() == ([1, 3, 4] if asked.lower() == "test" else [3])
    with pytest.raises(MienError, match=r"a split among PUBLICTEST, .*; found 'none'"):
        split_rows(faces, "none")


def test_sets_without_splits_are_told_what_to_do(faces: FaceSet) -> None:
    bare = FaceSet.from_arrays(faces.faces(), faces.labels, faces.classes)
    with pytest.raises(MienError, match="or take all by `split`"):
        splits.test_split(bare)
    with pytest.raises(MienError, match="or test on each fold of people in turn by `folds`"):
        choose_tested_set(bare, None, None, None)
    assert "or take --folds" in str(no_splits("test", "take `folds`").with_flags({"folds": "--folds"}))
