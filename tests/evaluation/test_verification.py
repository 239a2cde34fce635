"""Whether two faces are of one person: against a naive reference, and what holds for any people."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import bright_faces, small_recipe
from mien import FaceSet, MienError, TrainingSettings, train
from mien.data.identities import write_identities
from mien.evaluation.verification import FacePairs, accuracy_by_fold, best_threshold, draw_pairs, unit_features, verify
from mien.progress import Silent
from mien.recognize.features import tap

People = npt.NDArray[np.int64]


def crowd(seed: int, people: int = 40, most: int = 6) -> People:
    """Who is on each face: ten people have two faces, others from one up."""
    generator = np.random.default_rng(seed)
    sizes = generator.integers(1, most + 1, people)
    sizes[:10] = 2
    person: People = generator.permutation(np.repeat(np.arange(people), sizes))
    return person


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(20, 400), st.integers(2, 8))
def test_pairs_are_what_they_claim(seed: int, count: int, folds: int) -> None:
    person = np.concatenate([crowd(seed), [-1, -1]])
    pairs = draw_pairs(person, count, folds, seed)
    first, second = person[pairs.first], person[pairs.second]
    assert (first >= 0).all()
    assert (second >= 0).all()
    assert ((first == second) == pairs.same).all()
    assert (pairs.first != pairs.second).all()
    assert len({frozenset(pair) for pair in zip(pairs.first, pairs.second, strict=True)}) == len(pairs.first)
    met = [set(first[pairs.fold == fold]) | set(second[pairs.fold == fold]) for fold in range(folds)]
    assert not any(one & other for one, other in combinations(met, 2))
    for fold in range(folds):
        same = pairs.same[pairs.fold == fold]
        assert same.sum() * 2 == len(same)
        assert 0 < same.sum() <= count // (2 * folds)


def test_every_pair_is_found_where_all_are_asked_for() -> None:
    """Two folds of two people; the scarcer kind decides how many there are of both."""
    person = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3])
    pairs = draw_pairs(person, 1000, folds=2)
    assert pairs.same.sum() == 12, "three for each person"
    assert len(pairs.same) == 24


def test_people_count_alike() -> None:
    """Someone with many faces gives no more pairs than others; someone with one face gives different pairs alone."""
    person = np.repeat(np.arange(6), [1, 40, 40, 40, 200, 40])
    pairs = draw_pairs(person, 200, folds=2)
    alike = np.bincount(person[pairs.first[pairs.same]], minlength=6)
    assert alike[0] == 0
    assert alike.sum() == 100
    for fold in range(2):
        mine = np.bincount(person[pairs.first[pairs.same & (pairs.fold == fold)]])
        assert np.ptp(mine[mine > 0]) <= 1
    assert (person[pairs.first[~pairs.same]] == 0).any() or (person[pairs.second[~pairs.same]] == 0).any()


def test_the_seed_draws_pairs() -> None:
    person = crowd(3)
    first, again, other = (draw_pairs(person, 100, 5, seed) for seed in (0, 0, 1))
    assert np.array_equal(first.first, again.first)
    assert not np.array_equal(first.first, other.first)


def naive_accuracy(scores: npt.NDArray[np.float64], same: npt.NDArray[np.bool_], threshold: float) -> float:
    right = [(float(score) > threshold) == bool(truth) for score, truth in zip(scores, same, strict=True)]
    return sum(right) / len(right)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=30))
def test_no_threshold_is_better(rows: list[tuple[int, bool]]) -> None:
    scores, same = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows])
    found = naive_accuracy(scores, same, best_threshold(scores, same))
    assert found == max(naive_accuracy(scores, same, value) for value in np.arange(-3.5, 4))


def test_judged_fold_by_fold() -> None:
    generator = np.random.default_rng(0)
    pairs = draw_pairs(crowd(1), 200, 5)
    scores = generator.normal(size=len(pairs.same)) + pairs.same
    accuracies, thresholds = accuracy_by_fold(scores, pairs)
    for fold in range(5):
        rest, mine = pairs.fold != fold, pairs.fold == fold
        values = np.sort(scores[rest])
        best = max(naive_accuracy(scores[rest], pairs.same[rest], v) for v in (values[0] - 1, *values))
        assert naive_accuracy(scores[rest], pairs.same[rest], thresholds[fold]) == best
        assert accuracies[fold] == pytest.approx(naive_accuracy(scores[mine], pairs.same[mine], thresholds[fold]))


def judged(vectors: npt.NDArray[np.float64], pairs: FacePairs) -> float:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return float(accuracy_by_fold((unit[pairs.first] * unit[pairs.second]).sum(axis=1), pairs)[0].mean())


def test_perfect_and_random_features() -> None:
    generator, person = np.random.default_rng(0), crowd(5, people=200)
    pairs = draw_pairs(person, 2000)
    assert judged(generator.normal(size=(200, 16))[person], pairs) == 1.0
    assert abs(judged(generator.normal(size=(len(person), 16)), pairs) - 0.5) < 0.05


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 people, each a pattern of their own under noise; 8 of them held out."""
    generator = np.random.default_rng(0)
    person = np.repeat(np.arange(24), 6)
    patterns = generator.integers(0, 200, (24, 16, 16))
    faces = (patterns[person] + generator.integers(0, 55, (144, 16, 16))).astype(np.uint8)
    whole = FaceSet.from_arrays(faces, columns={"subject": [f"p{n:02d}" for n in person]})
    folder = tmp_path_factory.mktemp("people") / "set"
    write_identities(whole, folder, test=0.34)
    return folder


def test_people_never_seen_are_told_apart(known: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    train(known, small_recipe(stages=[{"epochs": 2, "lr": 0.05}]), tmp_path / "run", TrainingSettings(threads=1))
    found = verify(tmp_path / "run", known, pairs=120, folds=4, flip=True)
    assert found.accuracy > 0.8
    assert found.auc > 0.85
    assert found.people == 8
    assert found.trained_on == 0
    assert found.error == pytest.approx(np.std(found.folds, ddof=1) / 2)
    assert json.loads(json.dumps(found.to_json()))["pairs"] == found.pairs
    again = verify(tmp_path / "run", known, pairs=120, folds=4, flip=True)
    assert again == found
    own = verify(tmp_path / "run", known, split="train", pairs=120, folds=4)
    assert own.trained_on == (FaceSet.open(known).labels >= 0).sum()
    start = {"technique": "weights", "path": str(tmp_path / "run")}
    train(bright_faces(60), small_recipe(start=start, stages=[{"epochs": 1, "lr": 0.0}]), tmp_path / "second")
    later = verify(tmp_path / "second", known, split="train", pairs=120, folds=4)
    assert later.trained_on == own.trained_on, "of the model that it began with"


def test_features_are_means_of_maps(known: Path) -> None:
    faces = FaceSet.open(known)
    source = tap("mien_s", "stage2_1", faces.info, 0, torch.device("cpu"))
    inputs = [source.views.clean(torch.from_numpy(faces.faces())), source.views.mirror(torch.from_numpy(faces.faces()))]
    with torch.inference_mode():
        clean, mirror = (source.network.features(shown, "stage2_1").mean(dim=(2, 3)).numpy() for shown in inputs)
    for flip, wanted in ((False, clean), (True, clean + mirror)):
        got = unit_features(source, faces, flip, Silent())
        assert np.linalg.norm(got, axis=1) == pytest.approx(1)
        cosine = (got * wanted).sum(axis=1) / np.linalg.norm(wanted, axis=1)
        assert cosine == pytest.approx(1, abs=1e-3)


def test_what_cannot_be(known: Path) -> None:
    with pytest.raises(MienError, match="at least 2 people in each of 10 folds"):
        verify("mien_s", known)
    with pytest.raises(MienError, match="a block among"):
        verify("mien_s", known, block="nowhere", folds=2)
    with pytest.raises(MienError, match="a split among test, train"):
        verify("mien_s", known, split="dev")
    with pytest.raises(MienError, match="at least 20 pairs"):
        verify("mien_s", known, pairs=10)
    with pytest.raises(MienError, match="known people"):
        verify("mien_s", FaceSet.from_arrays(np.zeros((4, 16, 16), np.uint8), columns={"subject": ["", None] * 2}), split="all")
    with pytest.raises(MienError, match="no column subject"):
        verify("mien_s", FaceSet.from_arrays(np.zeros((4, 16, 16), np.uint8)), split="all")
