"""Runs for tests of techniques: real ones that have not begun, fake ones that answer as a test says, and what a run holds."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from conftest import small_recipe
from mien import FaceSet, Recipe, TrainingSettings
from mien.data.format import Info
from mien.progress import Silent
from mien.training import loop
from mien.training.components import Components
from mien.training.face_loader import Batch
from mien.training.losses import LabeledLoss
from mien.training.objective import Classes
from mien.training.prepare_run import prepare_run
from mien.training.run import Run


class Heard(Silent):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def fake_run(**values: Any) -> Run:
    """Just the attributes that a technique reads."""
    return cast(Run, SimpleNamespace(**values))


def dim_faces(count: int = 240, classes: int = 3, side: int = 16, lift: int = 30) -> FaceSet:
    """Gray noise in which each class has its own row, a little brighter: classes that take more than a few steps to learn."""
    generator = np.random.default_rng(0)
    labels = np.arange(count) % classes
    faces = generator.integers(0, 160, (count, side, side), dtype=np.uint8)
    for face, label in zip(faces, labels, strict=True):
        face[2 + 4 * label : 5 + 4 * label] += lift
    return FaceSet.from_arrays(faces, labels, [f"class{n}" for n in range(classes)])


def features(count: int = 90, classes: int = 3, dimension: int = 6) -> FaceSet:
    """Cached features, one view each, whose classes lie apart."""
    generator = np.random.default_rng(0)
    labels = np.arange(count) % classes
    values = generator.normal(size=(count, 1, dimension)) + 2 * np.eye(classes, dimension)[labels][:, None]
    names = tuple(f"class{n}" for n in range(classes))
    info = Info(classes=names, kind="features", channels=dimension, views=("clean",))
    return FaceSet.from_arrays(values.astype(np.float16), labels, info=info)


def begun(folder: Path, faces: FaceSet, recipe: Recipe, settings: TrainingSettings | None = None) -> tuple[Run, list[Tensor]]:
    """A run within its first epoch, before the first batch, and the rows of each batch of that."""
    settings = settings or TrainingSettings()
    run = Run(recipe, prepare_run(faces, None, recipe, settings, Silent()).data, settings.seed, torch.device("cpu"), folder)
    loop.begin(run, 0)
    return run, refresh(run)


def techniques(run: Run) -> Components:
    """The techniques of the run's present stage."""
    return Components.of(run.recipe, run.recipe.stages[run.stage])


def refresh(run: Run) -> list[Tensor]:
    """What the loop does before an epoch; the rows of each batch."""
    return loop.refresh(run, techniques(run))


def labeled_loss(run: Run, batch: Batch) -> LabeledLoss:
    """What the labeled faces of a batch teach: their classes."""
    return loop.labeled_loss(run, Classes(techniques(run).weigh), batch, [])


def tensors(run: Run) -> dict[str, Tensor]:
    """Copies of all that an update changes: weights, buffers, the optimizer's memory and the average, by name."""
    found = {f"network.{name}": value for name, value in run.network.state_dict().items()}
    if run.optimization.average is not None:
        found |= {f"average.{name}": value for name, value in run.optimization.average.state_dict().items()}
    for number, moments in run.optimization.optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in moments.items()}
    return {name: value.detach().clone() for name, value in found.items()}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """Names of the tensors that are not the same, bit for bit."""
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


def alt_recipe(epochs: int = 4, **step: Any) -> Recipe:
    """ALT on the tiny network: 20 batches an epoch, half of the labels validate."""
    return small_recipe(
        unlabeled="pseudo_label",
        step={"technique": "annealed", **step},
        stages=[{"epochs": epochs, "lr": 0.01}],
        draw={"technique": "shuffled", "at_least": 20},
        unlabeled_batch=16,
        validation=0.5,
    )


def taught_hard(run: Run, batches: list[Tensor]) -> None:
    """A few epochs of one-hot targets, after which the network is often right."""
    run.targets = run.one_hot()
    for rows in batches * 8:
        run.descend(labeled_loss(run, run.pool.fetch(rows))())
