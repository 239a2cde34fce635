"""The demonstration: trains and tests a recognizer on rendered faces, which need no download."""

from pathlib import Path

from mien.data.describe import write_examples
from mien.data.faceset import FaceSet
from mien.data.importing import import_source, source_from
from mien.evaluation.evaluate import evaluate
from mien.evaluation.evaluation_result import Evaluation
from mien.folders import require_new
from mien.progress import Progress, Silent
from mien.recipes.recipe import Recipe
from mien.settings import Seed, require_fitting
from mien.training.settings import TrainingSettings
from mien.training.train import train


def demo(out: Path, seed: int = 0, progress: Progress | None = None) -> Evaluation:
    """Render faces, train on them and test, into the new or empty folder `out`: faces/, faces.png and run/ with its report.

    Raises MienError where anything is in `out`.
    """
    require_fitting(Seed, seed=seed)
    require_new(out)
    bar = progress or Silent()
    bar.begin("render faces", 0)
    import_source(source_from("synthetic", {"seed": seed}), out / "faces", 0, None)
    faces = FaceSet.open(out / "faces")
    write_examples(faces, out / "faces.png")
    train(faces, Recipe.load("supervised").with_epochs(15), out / "run", TrainingSettings(seed=seed), progress=bar)
    return evaluate(out / "run", faces, "test", out=out / "run" / "evaluation-test")
