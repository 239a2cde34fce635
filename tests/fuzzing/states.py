"""What runs, autoencoders, comparisons and rounds keep on disk, damaged, exchanged or from elsewhere; and then gone on with."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from fuzzing.sets import RECIPE, cut, flip, odd_json, swap_kind
from mien import FaceSet, Recipe, TrainingSettings, resume, train
from mien.evaluation.evaluate import evaluate
from mien.evaluation.sample_weights import inspect_weights
from mien.experiments import compare as comparing
from mien.training import loop

SIDE, CLASSES = 16, ("anger", "joy", "calm")
AUTOENCODER: dict[str, Any] = {
    "preset": "small",
    "model": {"network": "asymmetric_autoencoder", "latent": 8, "residuals": [1, 0, 0, 0, 0]},
    "stages": [{"epochs": 1, "lr": 2e-3, "optimizer": "adamw"}],
    "batch": 16,
    "at_least": 1,
}
TOML = """
model = { network = "mien_s", width = 8, depths = [1, 1, 1] }
stages = [ { epochs = 1, lr = 0.05 } ]
batch = 8
precision = "float32"
"""


class Interrupted(Exception):
    """Stands for a kill."""


class StopAfter:
    """Progress that interrupts at the n-th batch."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def begin(self, title: str, total: int) -> None:
        """Nothing."""

    def advance(self, faces: int) -> None:
        """One batch less."""
        self.left -= 1
        if self.left < 0:
            raise Interrupted

    def say(self, text: str) -> None:
        """Nothing."""


def make(generator: np.random.Generator, folder: Path) -> None:
    """A state in `folder`/out, and beside it in `kind` what it is of; one or two of its files are damaged or another's."""
    # How long it took is part of a state, and would be another each time.
    still = SimpleNamespace(monotonic=lambda: 0.0)
    with patch.object(loop, "time", still), patch.object(comparing, "time", still):
        _make(generator, folder)


def _make(generator: np.random.Generator, folder: Path) -> None:
    torch.set_num_threads(1)
    labels = np.arange(24) % len(CLASSES)
    split = ["test" if n % 4 == 3 else "train" for n in range(24)]
    for name in ("set", "other"):
        faces = generator.integers(0, 256, (24, SIDE, SIDE), np.uint8)
        FaceSet.from_arrays(faces, labels, CLASSES, {"split": split}).save(folder / name)
    (folder / "tiny.toml").write_text(TOML)
    kind = list(KINDS)[generator.integers(len(KINDS))]
    (folder / "kind").write_text(kind)
    begin, mine, theirs = KINDS[kind][0], *(int(generator.integers(1, 4)) for _ in range(2))
    begin(folder, "set", mine)

    def make_theirs() -> None:
        """What another set gives, where it is wanted: that takes as long as all else."""
        if not (folder / "theirs").exists():
            shutil.move(folder / "out", folder / "mine")
            begin(folder, "other", theirs)
            shutil.move(folder / "out", folder / "theirs")
            shutil.move(folder / "mine", folder / "out")

    touched = {_damage(generator, folder, make_theirs) for _ in range(int(generator.integers(1, 3)))}
    shutil.rmtree(folder / "theirs", ignore_errors=True)
    if kind in RUNS and "run.json" not in touched:
        whole = train(folder / "set", RUNS[kind], folder / "whole", TrainingSettings(threads=1))
        (folder / "expected").write_text(whole.card.weights)


def read(folder: Path) -> None:
    """What resume, compare, rounds or autoencoder train make of it; and what measures a run that is done."""
    torch.set_num_threads(1)
    KINDS[(folder / "kind").read_text()][1](folder)


def _damage(generator: np.random.Generator, folder: Path, make_theirs: Callable[[], None]) -> str:
    """Damages a file; its name."""
    files = sorted(path for path in (folder / "out").rglob("*") if path.is_file() and not path.is_symlink())
    if not files:
        return ""
    file = files[generator.integers(len(files))]
    chance, others = generator.random(), list[Path]()
    if chance < 0.3:
        make_theirs()
        others = [path for path in (folder / "theirs").rglob(file.name) if path.is_file()]
    if others:
        shutil.copyfile(others[generator.integers(len(others))], file)
    elif file.suffix == ".json" and chance < 0.8:
        try:
            odd_json(generator, file)
        except (ValueError, LookupError, RecursionError):
            return file.name  # it was damaged before
    else:
        (cut, flip, flip, swap_kind)[generator.integers(4)](generator, file)
    return file.name


# A run, alone, with a second stage, with parts, and finished.


def _recipe(**changed: Any) -> Recipe:
    return Recipe.parse(RECIPE | changed)


def _interrupted(recipe: Recipe) -> Callable[[Path, str, int], None]:
    def begin(folder: Path, name: str, batches: int) -> None:
        with patch.object(loop, "CHECKPOINT_SECONDS", 0.0), suppress(Interrupted):
            train(folder / name, recipe, folder / "out", TrainingSettings(threads=1), progress=StopAfter(2 + batches))

    return begin


def _go_on(folder: Path) -> None:
    recognizer = resume(folder / "out")
    if (folder / "expected").is_file():
        assert recognizer.card.weights == (folder / "expected").read_text(), "other weights than without a fault"
    logits = recognizer.logits(FaceSet.open(folder / "set"))
    assert np.isfinite(logits).all()
    evaluate(recognizer, folder / "set")
    inspect_weights(folder / "out", folder / "set")


# An autoencoder, a comparison, rounds.


def _neighbors(folder: Path, name: str, batches: int) -> None:
    from mien.pretraining.autoencoder.settings import autoencoder_settings
    from mien.pretraining.autoencoder.train_alone import train_autoencoder

    train_autoencoder(folder / name, folder / "out", autoencoder_settings(AUTOENCODER), TrainingSettings(threads=1))
    if batches == 1:
        shutil.rmtree(folder / "out" / "model")


def _go_on_with_neighbors(folder: Path) -> None:
    from mien.neighbors.semantic_neighbors import SemanticNeighbors

    _neighbors(folder, "set", 0)
    SemanticNeighbors.load(folder / "out", torch.device("cpu"))


def _compare(folder: Path, name: str, batches: int) -> None:
    from mien.experiments.compare import compare
    from mien.experiments.settings import Grid

    compare(folder / name, Grid((str(folder / "tiny.toml"),), seeds=1, threads=1), folder / "out")
    if batches == 1:
        for result in (folder / "out").glob("runs/*/result.json"):
            result.unlink()


def _rounds(folder: Path, name: str, batches: int) -> None:
    from mien.active.rounds import rounds
    from mien.active.rounds_settings import RoundsSettings

    plan = RoundsSettings(str(folder / "tiny.toml"), ("random",), 4, 1, start_labels_per_class=2, oracle=0.0, threads=1)
    rounds(folder / name, plan, folder / "out")
    if batches == 1:
        for point in (folder / "out").rglob("point.json"):
            point.unlink()


def _again(begin: Callable[[Path, str, int], None]) -> Callable[[Path], None]:
    return lambda folder: begin(folder, "set", 0)


SHORT, LONG = {"epochs": 1, "lr": 0.05}, {"epochs": 3, "lr": 0.01}
SELF = {"technique": "self_supervised", "epochs": 1, "batch": 8, "width": 8}
RUNS = {
    "run": _recipe(stages=[LONG]),
    "stages": _recipe(stages=[SHORT, LONG], average=0.9),
    "parts": _recipe(stages=[LONG], start=SELF),
    "weights": _recipe(stages=[LONG], weigh={"technique": "importance", "when": "always"}),
    "done": _recipe(stages=[SHORT]),
}
KINDS: dict[str, tuple[Callable[[Path, str, int], None], Callable[[Path], None]]] = {
    **{name: (_interrupted(recipe), _go_on) for name, recipe in RUNS.items()},
    "neighbors": (_neighbors, _go_on_with_neighbors),
    "compare": (_compare, _again(_compare)),
    "rounds": (_rounds, _again(_rounds)),
}
