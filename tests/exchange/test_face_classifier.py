"""FaceClassifier is what scikit-learn takes for a classifier, and what it trains is a run of mien."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mien import MienError, Recipe, TrainingSettings, train
from mien.data.faceset import FaceSet
from mien.data.format import Info
from mien.techniques.weigh.given import Given
from runs import fake_run

pytest.importorskip("sklearn", reason="the extra sklearn is not installed")

from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_estimator

from mien.sklearn import FaceClassifier

QUICK = {
    "draw.at_least": 1, "batch": 16, "average": 0.0, "precision": "float32", "stages.0.lr": 0.05, "model.dropout": 0.0,
}  # fmt: skip
FEATURES: Any = FaceClassifier(epochs=6, settings=QUICK, threads=1)
FAILING = {
    "check_classifiers_classes": "-1 is one of its classes, which is no label here",
    "check_sample_weight_equivalence_on_dense_data": "batches are drawn: a face twice is not a face that counts twice",
}
GENERATOR = np.random.default_rng(0)
LABELS = np.arange(60) % 3
X = GENERATOR.normal(size=(60, 5)) + 3 * LABELS[:, None] * np.array([1, 0, 0, -1, 0])


def test_scikit_learn_takes_it_for_a_classifier() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(FEATURES, expected_failed_checks=FAILING, on_skip=None)


@pytest.fixture(scope="module")
def fitted() -> Any:
    return clone(FEATURES).fit(X, np.array(["calm", "tense", "wild"])[LABELS])


def test_it_is_a_run_of_mien(fitted: Any, tmp_path: Path) -> None:
    info = Info(("calm", "tense", "wild"), kind="features", channels=5, views=("clean",))
    faces = FaceSet.from_arrays(X.astype(np.float16)[:, None], LABELS, info.classes, info=info)
    recipe = Recipe.load("linear_head").with_settings(QUICK).with_epochs(6)
    made = train(faces, recipe, tmp_path / "run", TrainingSettings(device="cpu", threads=1))
    np.testing.assert_allclose(fitted.predict_proba(X), made.probabilities(faces), atol=1e-6)
    assert fitted.classes_.tolist() == list(made.classes)
    assert fitted.score(X, fitted.predict(X)) == 1.0
    assert fitted.recognizer_.folder is None


def test_it_can_be_pickled(fitted: Any) -> None:
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(X), fitted.predict_proba(X))


def test_grid_search_and_calibration() -> None:
    search = GridSearchCV(clone(FEATURES), {"settings": [QUICK, {**QUICK, "stages.0.lr": 1e-6}]}, cv=2).fit(X, LABELS)
    assert search.best_params_ == {"settings": QUICK}
    calibrated = CalibratedClassifierCV(clone(FEATURES), cv=2).fit(X, LABELS)
    assert calibrated.score(X, LABELS) > 0.5
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)


@pytest.mark.parametrize("kind", [np.int64, np.float64])
def test_minus_one_is_no_label(tmp_path: Path, kind: type) -> None:
    some: Any = np.where(np.arange(60) < 30, LABELS, -1).astype(kind)
    made = clone(FEATURES).set_params(out=tmp_path / "run", settings={**QUICK, "unlabeled": "pseudo_label"}, epochs=1)
    made.fit(X, some)
    assert made.classes_.tolist() == [0, 1, 2]
    budget = made.recognizer_.card.budget
    assert (budget["train"] + budget["validation"], budget["unlabeled"]) == (30, 30)
    assert (tmp_path / "run" / "run.json").is_file()


def test_weights_decide_between_labels_that_disagree() -> None:
    """Every face is there with both labels, of which one does not count."""
    twice, both = np.concatenate([X, X]), np.concatenate([LABELS, (LABELS + 1) % 3])
    weights = np.repeat([1.0, 0.0], 60)
    assert clone(FEATURES).fit(twice, both, sample_weight=weights).score(X, LABELS) > 0.8


def test_faces_are_read_as_faces() -> None:
    faces = GENERATOR.integers(0, 100, (24, 16, 16, 3), dtype=np.uint8)
    quick = {key: value for key, value in QUICK.items() if not key.startswith("model")} | {"model.width": 8}
    made = FaceClassifier(epochs=1, settings=quick).fit(faces, np.arange(24) % 2)
    assert made.predict_proba(faces).shape == (24, 2)
    assert (made.recognizer_.card.faces.side, made.recognizer_.card.faces.channels) == (16, 3)
    for other in (faces[:, :8, :8], faces[..., 0]):
        with pytest.raises(ValueError, match="expected faces"):
            made.predict(other)


def test_what_does_not_fit_is_told(fitted: Any, tmp_path: Path) -> None:
    faces = np.zeros((60, 8, 8), np.uint8)
    with pytest.raises(ValueError, match="found float64"):
        fitted.predict(faces / 255)
    with pytest.raises(ValueError, match="leave `out` away for cross-validation"):
        clone(FEATURES).set_params(out=tmp_path).fit(X, LABELS)
    for given, classes, said in [
        (X, np.zeros(60, int), "two classes or more"),
        (X * 1e6, LABELS, "half precision"),
        (X, np.where(LABELS, 1, -1), "two classes or more; found 1 class; -1 means no label here"),
        (faces / 255, LABELS, r"uint8 \(N, S, S\) or \(N, S, S, 3\), or features \(N, D\); found float64 \(60, 8, 8\)"),
        (faces[:, 1:], LABELS, r"found uint8 \(60, 7, 8\)"),
        (list(faces), LABELS, "found lists"),
        (X.astype(object), np.array(["a"] * 60), "found 1 class"),
    ]:
        with pytest.raises(ValueError, match=said):
            clone(FEATURES).fit(given, classes)
    with pytest.raises(ValueError, match="at least one non-zero"):
        clone(FEATURES).fit(X, LABELS, np.zeros(60))
    with pytest.raises(ValueError, match="weights in column sample_weight"):
        clone(FEATURES).fit(X, LABELS, -np.ones(60))
    with pytest.raises(ValueError, match="did you mean"):
        clone(FEATURES).set_params(settings={"bacth": 3}).fit(X, LABELS)


def test_given_weights_by_hand() -> None:
    faces = FaceSet.from_arrays(np.zeros((4, 8, 8), np.uint8), [0, 1, -1, 0], ["a", "b"], {"worth": [1.0, 2.0, 9.0, 3.0]})
    labels = torch.from_numpy(faces.labels)
    run = fake_run(data=fake_run(faces=faces), labels=labels, labeled=torch.tensor([0, 1, 3]), device=torch.device("cpu"))
    assert Given("worth")(run).tolist() == [0.5, 1.0, 1.0, 1.5]
    for values in ([0.0, 0.0, 1.0, 0.0], [-1.0, 1.0, 1.0, 1.0], [float("nan"), 1.0, 1.0, 1.0]):
        other = fake_run(**{**vars(run), "data": fake_run(faces=faces.with_column("worth", values))})
        with pytest.raises(MienError, match="weights in column worth"):
            Given("worth")(other)
