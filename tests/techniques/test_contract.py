"""One contract for every technique: it trains, it remembers, and interrupted and resumed it gives the same weights."""

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import TINY_AUTOENCODER, Interrupted, StopAfter, bright_faces, small_recipe
from mien import FaceSet, MienError, Recipe, TrainingSettings, resume, train
from mien.recipes.recipe import QUESTIONS
from mien.registry import component_names, find_component
from mien.settings import setting_docs
from mien.training.components import PROTOCOLS

TECHNIQUES = [(question, name) for question in QUESTIONS for name in component_names(f"mien.techniques.{question}")]
AND_A_USERS_OWN = [*TECHNIQUES, ("unlabeled", "conftest:Agree")]


def recipe_with(question: str, name: str, tmp_path: Path) -> Recipe:
    answer: dict[str, Any] = {"technique": name}
    if name in ("weights", "transfer", "soft_targets", "teachers"):
        small = small_recipe(stages=[{"epochs": 1, "lr": 0.01}])
        train(bright_faces(seed=9), small, tmp_path / "before", TrainingSettings(threads=1))
    if name in ("weights", "transfer"):
        answer["path" if name == "weights" else "source"] = str(tmp_path / "before")
    if name == "teachers":
        answer["models"] = [str(tmp_path / "before")]
    if name in ("distill", "regression"):
        teacher = {"network": "mien_s", "width": 8, "depths": [1, 1, 1]}
        distill = {"technique": "distill", "teacher": teacher, "block": "stage2_1", "stages": [{"epochs": 2, "lr": 0.01}]}
        answer |= distill if name == "distill" else {}
    if name == "self_supervised":
        answer |= {"epochs": 12, "width": 16}
    if name == "given":
        answer["column"] = "label"  # which has numbers
    if name == "neighborhood":
        answer["autoencoder"] = TINY_AUTOENCODER
    changed: dict[str, Any] = {question: answer}
    if name == "regression":
        changed["start"] = distill | {"keep_maps": True}
    if name == "soft_targets":
        taught = {"teacher": str(tmp_path / "before"), "block": "stage3_1", "keep_logits": True}
        changed["start"] = {"technique": "distill", "stages": [{"epochs": 2, "lr": 0.01}]} | taught
    if name == "random_rates":
        changed["model"] = {"network": "mien_s", "width": 8, "depths": [1, 1, 1], "copies": 3}
    if question == "step":
        changed["unlabeled"] = "pseudo_label"
    return small_recipe(**changed)


@pytest.mark.parametrize(("question", "name"), AND_A_USERS_OWN)
@pytest.mark.usefixtures("checkpoint_each_batch")
def test_trains_and_resumes_identically(question: str, name: str, tmp_path: Path, stored: Path) -> None:
    recipe = recipe_with(question, name, tmp_path)
    order = TrainingSettings(seed=3, labels=60, threads=1)
    whole = train(stored, recipe, tmp_path / "whole", order)
    with pytest.raises(Interrupted):
        train(stored, recipe, tmp_path / "killed", order, progress=StopAfter(8))
    again = resume(tmp_path / "killed")
    for key, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[key]), key
    assert whole.card.metrics["loss"] == again.card.metrics["loss"]
    assert FaceSet.open(stored).info.checksum == whole.card.faces.checksum


@pytest.mark.parametrize(("question", "name"), TECHNIQUES)
def test_sees_the_run_but_neither_the_recipe_nor_the_truth(question: str, name: str) -> None:
    kind = find_component(f"mien.techniques.{question}", name)
    assert PROTOCOLS[question] in kind.__mro__
    tree = ast.parse(inspect.getsource(inspect.getmodule(kind) or kind))
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    assert "recipe" not in {node.attr for node in attributes if ast.unparse(node.value) == "run"}
    assert "truth" not in {node.attr for node in attributes}


@pytest.mark.parametrize(("question", "name"), TECHNIQUES)
def test_is_documented(question: str, name: str) -> None:
    kind = find_component(f"mien.techniques.{question}", name)
    assert kind.__doc__
    assert kind.__call__.__doc__
    assert all(setting_docs(kind).values()), "every setting has a line of documentation"


REQUIRED = [
    (room, name, setting)
    for room in (*(f"mien.techniques.{question}" for question in QUESTIONS), "mien.models")
    for name in component_names(room)
    for setting, field in find_component(room, name).__pydantic_fields__.items()
    if field.is_required()
]


@pytest.mark.parametrize(("room", "name", "setting"), REQUIRED)
def test_a_setting_that_is_missing_is_named_with_what_it_wants(room: str, name: str, setting: str) -> None:
    question, key = room.rpartition(".")[2], "technique"
    if room == "mien.models":
        question, key = "model", "network"
    about = setting_docs(find_component(room, name))[setting].removesuffix(".")
    with pytest.raises(MienError) as caught:
        Recipe.load("supervised").with_settings({question: {key: name}})
    said = str(caught.value)
    assert f"to be given {question}.{setting} ({about}); found none; give it: --set {question}.{setting}=VALUE" in said
