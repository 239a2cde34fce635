"""Runs with a budget that was chosen elsewhere: the same as drawn ones, resumed like these, and refused where they cannot be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from conftest import Interrupted, StopAfter, small_recipe
from mien import FaceSet, MienError, Recipe, Recognizer, TrainingSettings, resume, train
from mien.data.label_budget import LabelBudget
from mien.progress import Silent
from mien.training.prepare_run import prepare_run
from runs import features

HEAD = small_recipe(model="embedding", average=0.0)


def weights(run: Path) -> bytes:
    return (run / "model" / "model.safetensors").read_bytes()


def drawn(faces: FaceSet, order: TrainingSettings, recipe: Recipe = HEAD) -> LabelBudget:
    return prepare_run(faces, None, recipe, order, Silent()).budget


def test_a_given_budget_is_as_good_as_the_same_drawn(tmp_path: Path) -> None:
    faces, order = features(), TrainingSettings(labels=30, seed=3)
    first = train(faces, HEAD, tmp_path / "drawn", order)
    second = train(faces, HEAD, tmp_path / "given", TrainingSettings(seed=3), budget=drawn(faces, order))
    assert weights(tmp_path / "drawn") == weights(tmp_path / "given")
    assert (second.card.budget["train"], second.card.budget["validation"]) == (24, 6)
    assert second.card.budget["classes"] == first.card.budget["classes"]
    assert pq.read_table(tmp_path / "drawn" / "budget.parquet") == pq.read_table(tmp_path / "given" / "budget.parquet")


def test_labels_beyond_a_given_budget_are_never_seen(tmp_path: Path) -> None:
    """Not even by a recipe that looks at the other faces."""
    faces, recipe = features(), small_recipe(model="embedding", unlabeled="conftest:Agree")
    budget = drawn(faces, TrainingSettings(labels=30))
    known = np.concatenate([budget.train, budget.validation])
    labels = np.where(np.isin(np.arange(len(faces)), known), faces.labels, (faces.labels + 1) % 3)
    train(faces, recipe, tmp_path / "a", budget=budget)
    made = train(faces.with_column("label", labels), recipe, tmp_path / "b", budget=budget)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert made.card.budget["unlabeled"] == 60


@pytest.mark.usefixtures("checkpoint_each_batch")
def test_interrupted_and_resumed_with_the_same(tmp_path: Path) -> None:
    faces = features().save(tmp_path / "set")
    budget, run = drawn(faces, TrainingSettings(labels=60)), tmp_path / "killed"
    train(faces, HEAD, tmp_path / "whole", TrainingSettings(threads=1), budget=budget)
    with pytest.raises(Interrupted):
        train(faces, HEAD, run, TrainingSettings(threads=1), progress=StopAfter(5), budget=budget)
    with pytest.raises(MienError, match="faces in memory"):
        resume(run)
    with pytest.raises(MienError, match="faces in memory"):
        resume(run, budget=budget)
    other = replace(budget, train=budget.train[:-1])
    with pytest.raises(MienError, match=r"the labels that .* began with"):
        resume(run, None, faces, other)
    with pytest.raises(MienError, match=r"the labels that .* began with"):
        resume(run, None, faces.with_column("label", (faces.labels + 1) % 3), budget)
    found = resume(run, None, faces, budget)
    assert isinstance(found, Recognizer)
    assert weights(run) == weights(tmp_path / "whole")


def test_a_view_may_say_whose_faces_it_has(tmp_path: Path) -> None:
    """So that `evaluate` can warn of labels that a run has seen."""
    faces = features().save(tmp_path / "set")
    view = faces.with_column("label", faces.labels)
    order = TrainingSettings(checksums=(faces.info.checksum, ""))
    assert train(view, HEAD, tmp_path / "run", order).card.faces.checksum == faces.info.checksum
    assert train(view, HEAD, tmp_path / "unsaid").card.faces.checksum == ""


def test_what_is_no_budget_is_refused(tmp_path: Path) -> None:
    faces = features().with_column("split", ["train"] * 60 + ["test"] * 30)
    rows, out = np.arange(20), tmp_path / "run"
    good = LabelBudget(rows[:15], rows[15:])
    for budget, order, message in (
        (good, TrainingSettings(labels=20), "a budget, or settings that draw one"),
        (good, TrainingSettings(noise=0.1), "a budget, or settings that draw one"),
        (LabelBudget(rows, rows[15:]), TrainingSettings(), "one use"),
        (LabelBudget(rows[:0], rows), TrainingSettings(), "faces to train on"),
        (LabelBudget(rows, np.array([70])), TrainingSettings(), "labeled faces of the training split"),
    ):
        with pytest.raises(MienError, match=message):
            train(faces, HEAD, out, order, budget=budget)
    unlabeled = np.where(np.arange(90) == 3, -1, faces.labels)
    with pytest.raises(MienError, match="labeled faces of the training split"):
        train(faces.with_column("label", unlabeled), HEAD, out, budget=good)
    with pytest.raises(MienError, match="a budget, or a further set"):
        train(faces, small_recipe(model="embedding", unlabeled="conftest:Agree"), out, unlabeled=features(60), budget=good)
    assert not out.exists()
