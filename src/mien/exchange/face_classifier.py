"""An estimator of scikit-learn that trains by mien's recipes, for its grid search, cross-validation and calibration."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.data.faceset import FaceSet
from mien.data.format import Info, is_pixels
from mien.errors import MienError

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise MienError("scikit-learn", str(error), "pip install 'mien[sklearn]'") from error

WEIGHTS = "given"
"""The technique that weighs labels by the column `sample_weight`."""


class FaceClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc, unused-ignore]
    """A classifier of faces, or of their cached features, that a recipe of mien trains on the CPU.

    `X`: faces, uint8 (N, S, S) or (N, S, S, 3), or features, numbers (N, D), which are kept in half precision. `y`: (N,) classes
    of any kind; the number -1 is a face without a label, from which recipes such as `fixmatch_small` learn. What mien refuses is
    a `ValueError` here, as scikit-learn asks.

    Attributes after `fit`: `classes_` (K,), for features `n_features_in_` (D), and `recognizer_`, the trained
    `mien.Recognizer`, whose probabilities are calibrated where the recipe keeps validation faces.
    """

    def __init__(
        self,
        recipe: str | None = None,
        settings: Mapping[str, Any] | None = None,
        epochs: int | None = None,
        random_state: Any = 0,
        threads: int | None = None,
        out: str | Path | None = None,
    ) -> None:
        """`recipe`: a recipe's name, its TOML file, or `auto`; unless given, `supervised_small` for faces and `linear_head` for
        features. `settings`: values of the recipe by key, such as `{"batch": 32}`. `epochs`: of each stage; unless given, the
        recipe's. `random_state`: a seed, a generator, or None. `threads`: of the processor. `out`: a new folder that keeps the
        run; unless given, nothing is kept on disk.
        """
        self.recipe = recipe
        self.settings = settings
        self.epochs = epochs
        self.random_state = random_state
        self.threads = threads
        self.out = out

    def fit(self, X: npt.ArrayLike, y: Any, sample_weight: npt.ArrayLike | None = None) -> "FaceClassifier":
        """Train on `X` and `y`. `sample_weight`: (N,) how much each label counts, from 0 up.

        Raises ValueError for other shapes, kinds or lengths, for fewer than two classes, and where the recipe does not fit.
        """
        pixels = _require_faces_or_features(X)
        checked: Any = validate_data(self, X, y, **_checks(pixels))
        given, y = checked
        check_classification_targets(y)
        unlabeled: npt.NDArray[np.bool_] = y == -1 if y.dtype.kind in "iuf" else np.zeros(len(y), bool)
        self.classes_, labels = np.unique(y[~unlabeled], return_inverse=True)
        if len(self.classes_) < 2:
            todo = "; -1 means no label here: give both classes other numbers, such as 0 and 1" if unlabeled.any() else ""
            raise ValueError(f"expected labels of two classes or more; found {len(self.classes_)} class{todo}")
        numbers = np.full(len(y), -1)
        numbers[~unlabeled] = labels
        columns = {} if sample_weight is None else {"sample_weight": _check_sample_weight(sample_weight, given, dtype=np.float64)}
        self.pixels_ = pixels
        try:
            faces = self._faces(given).with_column("label", numbers)
            for name, values in columns.items():
                faces = faces.with_column(name, values)
            self.recognizer_ = self._train(faces, bool(columns))
        except MienError as error:
            raise ValueError(str(error)) from error
        return self

    def predict_proba(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Probabilities (N, K) of `classes_`, in their order. Raises ValueError for faces or features of another kind."""
        check_is_fitted(self)
        _require_faces_or_features(X)
        given: Any = validate_data(self, X, reset=False, **_checks(self.pixels_))
        try:
            scores = self.recognizer_.probabilities(self._faces(given)).astype(np.float64)
        except MienError as error:
            raise ValueError(str(error)) from error
        found: npt.NDArray[np.float64] = scores / scores.sum(axis=1, keepdims=True)
        return found

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """The likeliest class (N,) of each face. Raises ValueError for faces or features of another kind."""
        scores = self.predict_proba(X)
        found: npt.NDArray[Any] = self.classes_[scores.argmax(axis=1)]
        return found

    def _train(self, faces: FaceSet, weighted: bool) -> Any:
        """The recognizer of a run by the recipe."""
        from mien.recipes.recipe import Recipe
        from mien.training.settings import TrainingSettings
        from mien.training.train import require_new_run, train

        name = self.recipe or ("supervised_small" if self.pixels_ else "linear_head")
        seed = self.random_state
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31 - 1)
        order = TrainingSettings(seed=int(seed), device="cpu", threads=self.threads)
        chosen: Recipe | str = name
        if name != "auto" or self.settings or self.epochs is not None or weighted:
            chosen = Recipe.load(name).with_settings(self.settings or {})
            chosen = chosen if self.epochs is None else chosen.with_epochs(self.epochs)
            chosen = _weighing(chosen) if weighted else chosen
        if self.out is not None:
            try:
                require_new_run(self.out)
            except MienError as error:
                todo = "leave `out` away for cross-validation and searches, which train several times, or name another folder"
                raise MienError(error.expected, error.found, todo) from error
            return train(faces, chosen, self.out, order)
        with tempfile.TemporaryDirectory(prefix="mien-") as folder:
            return replace(train(faces, chosen, Path(folder, "run"), order), folder=None)

    def _faces(self, X: npt.NDArray[Any]) -> FaceSet:
        """Faces or features without labels. Raises MienError for numbers beyond half precision."""
        names = [str(name) for name in getattr(self, "classes_", ())]
        if self.pixels_:
            return FaceSet.from_arrays(X, classes=names)
        with np.errstate(over="ignore"):
            features = X.astype(np.float16)[:, None]
        if not np.isfinite(features).all():
            raise MienError("features up to 65504, which half precision holds", "larger ones", "scale them first")
        info = Info(tuple(names), kind="features", channels=X.shape[1], views=("clean",))
        return FaceSet.from_arrays(features, classes=names, info=info)


def _require_faces_or_features(X: Any) -> bool:
    """Whether `X` holds faces. Raises ValueError for an array, or lists, of more dimensions than features have, but no faces."""
    if isinstance(X, list | tuple):
        try:
            X = np.asarray(X)
        except ValueError:  # of several lengths: scikit-learn says so
            return False
        given = "lists"
    elif isinstance(X, np.ndarray):
        given = f"{X.dtype} {X.shape}"
    else:
        return False
    if X.ndim <= 2:
        return False
    if given == "lists" or not is_pixels(X):
        raise ValueError(f"expected faces as an array, uint8 (N, S, S) or (N, S, S, 3), or features (N, D); found {given}")
    return True


def _checks(pixels: bool) -> dict[str, Any]:
    """How scikit-learn checks faces or features."""
    return {"dtype": None, "allow_nd": True, "ensure_2d": False} if pixels else {"dtype": np.float64}


def _weighing(recipe: Any) -> Any:
    """The recipe with labels weighed as given, beside what it weighs them by."""
    own = recipe.table()["weigh"]
    return recipe.with_settings({"weigh": [*(own if isinstance(own, list | tuple) else [own]), {"technique": WEIGHTS}]})
