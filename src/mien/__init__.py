"""mien trains facial-expression recognizers from few labels, doubtful labels and many faces without labels."""

import importlib
from typing import TYPE_CHECKING, Any

from mien.telemetry import switch_off_telemetry as _keep_silent

if TYPE_CHECKING:
    from mien.data.faceset import FaceSet
    from mien.errors import MienError
    from mien.evaluation.evaluate import evaluate
    from mien.experiments.adaptation.adapt import adapt
    from mien.recipes.recipe import Recipe
    from mien.recognize.export_model import export
    from mien.recognize.prediction import Prediction
    from mien.recognize.readings import Readings
    from mien.recognize.recognizer import Recognizer
    from mien.training.settings import TrainingSettings
    from mien.training.train import resume, train

__version__: str
"""The version of the installed package."""

__all__ = [
    "FaceSet",
    "MienError",
    "Prediction",
    "Readings",
    "Recipe",
    "Recognizer",
    "TrainingSettings",
    "adapt",
    "evaluate",
    "export",
    "resume",
    "train",
]

_HOMES = {
    "FaceSet": "mien.data.faceset",
    "MienError": "mien.errors",
    "TrainingSettings": "mien.training.settings",
    "Prediction": "mien.recognize.prediction",
    "Readings": "mien.recognize.readings",
    "Recipe": "mien.recipes.recipe",
    "Recognizer": "mien.recognize.recognizer",
    "adapt": "mien.experiments.adaptation.adapt",
    "evaluate": "mien.evaluation.evaluate",
    "export": "mien.recognize.export_model",
    "resume": "mien.training.train",
    "train": "mien.training.train",
}

# The one thing that importing mien does: what is imported through it, or after it, reads the environment only once.
_keep_silent()


def __getattr__(name: str) -> Any:
    """Each name is imported when first used: `import mien` alone takes no time."""
    if name == "__version__":
        return importlib.import_module("mien.installed").own_version()
    if name not in _HOMES:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        explained = importlib.import_module("mien.installed").explain_missing(error)
        if explained is None:
            raise
        raise explained from error
