"""Whose statistics batch normalization keeps: of labeled batches, of all, or of the unlabeled faces (AdaBN)."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from conftest import Interrupted, StopAfter, bright_faces, small_recipe
from mien import Recipe, Recognizer, TrainingSettings, resume, train
from mien.data.augment import Strength
from mien.models.embedding import Standardization
from mien.progress import Silent
from mien.recognize.saved_networks import read_network, read_weights
from mien.settings import STRICT
from mien.techniques import Unlabeled
from mien.training.batch_statistics import fixed_running_statistics, leaving_statistics
from mien.training.components import looks_at_unlabeled
from mien.training.face_loader import Batch
from mien.training.losses import UnlabeledLoss
from mien.training.prepare_run import prepare_run
from mien.training.run import Run
from runs import Heard, features

MODEL = {"network": "mien_s", "width": 8, "depths": [1, 1, 1], "dropout": 0.0}
FEW = TrainingSettings(labels=60, threads=1)
ADAPTED = small_recipe(model=MODEL, statistics="unlabeled")


@dataclass(frozen=True, config=STRICT)
class Shown(Unlabeled):
    """The control of a technique: draws the views that it draws, and teaches nothing."""

    views: tuple[Strength, ...]
    """Strengths of the views."""

    def __call__(self, run: Run, batch: Batch) -> UnlabeledLoss | None:
        """None."""
        for strength in self.views:
            run.view(batch, strength)
        return None


TECHNIQUES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "pseudo_label": ({"technique": "pseudo_label", "weight": 1e-30}, ["weak"]),
    "fixmatch": ({"technique": "fixmatch", "weight": 0.0, "threshold": 0.0}, ["weak", "strong"]),
}


def weights(made: Recognizer) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in made.network.state_dict().items()}


def alike(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.allclose(first[name].float(), second[name].float(), atol=1e-6) for name in first | second)


def running(kept: dict[str, Tensor], own: bool = True) -> dict[str, Tensor]:
    """The running statistics among weights, or else all others."""
    return {name: value for name, value in kept.items() if ("running_" in name or "num_batches" in name) == own}


@pytest.mark.parametrize("name", TECHNIQUES)
def test_unlabeled_faces_that_teach_nothing_change_nothing(name: str, tmp_path: Path) -> None:
    """With a weight of (nearly) 0, weights, running statistics and logits are those of labels alone with the same draws."""
    technique, views = TECHNIQUES[name]
    control = {"technique": "test_batch_statistics:Shown", "views": views}
    faces = bright_faces()
    made = {
        key: train(faces, small_recipe(model=MODEL, unlabeled=answer, statistics=kept, choose="last"), tmp_path / key, FEW)
        for key, answer, kept in (("mine", technique, "labeled"), ("control", control, "labeled"), ("all", technique, "all"))
    }
    found = {key: weights(one) for key, one in made.items()}
    assert alike(found["mine"], found["control"])
    logits = [one.logits(faces.faces()) for one in made.values()]
    assert np.allclose(logits[0], logits[1], atol=1e-5)
    assert not alike(running(found["all"]), running(found["control"])), "the trap: what is kept comes of unlabeled faces as well"
    assert alike(running(found["all"], own=False), running(found["control"], own=False)), "though nothing was taught"


def test_within_a_batch_is_normalized_by_itself_and_leaves_no_trace() -> None:
    torch.manual_seed(1)
    network = nn.Sequential(nn.BatchNorm1d(3), nn.Sequential(nn.BatchNorm1d(3)))
    network[1].eval()  # as a frozen block is
    inputs, other = torch.randn(8, 3) * 4 + 2, copy.deepcopy(network)
    expected = other(inputs)
    before = copy.deepcopy(network.state_dict())
    with fixed_running_statistics(network):
        assert torch.equal(network(inputs), expected)
        network.eval()
        assert not torch.equal(network(inputs), expected), "who evaluates within reads the running ones"
        network.train()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    network(inputs)
    assert not torch.equal(network.state_dict()["0.running_mean"], before["0.running_mean"]), "afterwards they move again"
    loss = leaving_statistics(network, lambda perturb=None: inputs.sum() if perturb is None else perturb(inputs))
    assert loss(lambda given: given.max()) == inputs.max()


def test_features_are_standardized_alike_by_every_recipe(tmp_path: Path) -> None:
    """By mean and deviation of the labeled faces, whatever else is learned from, and not by batches."""
    faces = features()
    for name, changes in {"alone": {}, "pl": {"unlabeled": "pseudo_label", "statistics": "all"}}.items():
        made = train(faces, small_recipe(model="embedding", **changes), tmp_path / name, TrainingSettings(labels=30, threads=1))
        kept, budget = weights(made), pq.read_table(tmp_path / name / "budget.parquet").to_pydict()
        taught = [one for one, role in zip(budget["id"], budget["role"], strict=True) if role == "train"]
        values = torch.from_numpy(faces.faces()[np.isin(faces.values("id"), taught), 0]).double()
        assert torch.allclose(kept["blocks.input.0.running_mean"].double(), values.mean(dim=0), atol=1e-5)
        assert torch.allclose(kept["blocks.input.0.running_var"].double(), values.var(dim=0), rtol=1e-4)
    (block,) = [one for one in made.network.modules() if isinstance(one, Standardization)]
    expected = (values - values.mean(dim=0)) / (values.var(dim=0) + block.eps).sqrt()
    for mode in (True, False):
        assert torch.allclose(block.train(mode)(values.float()).double(), expected, atol=1e-4)
    assert torch.equal(weights(made)["blocks.input.0.running_mean"], kept["blocks.input.0.running_mean"])


def test_models_whose_features_were_batch_normalized_are_read(tmp_path: Path) -> None:
    made = train(features(), small_recipe(model="embedding"), tmp_path / "run", FEW)
    before = nn.BatchNorm1d(6, affine=False)
    mine = {name.removeprefix("blocks.input.0."): value for name, value in read_weights(tmp_path / "run").items()}
    before.load_state_dict({name: value for name, value in mine.items() if "." not in name})
    inputs = torch.randn(5, 6)
    assert torch.equal(read_network(tmp_path / "run").features(inputs, "input"), before.eval()(inputs))
    again = train(features(60), Recipe.load("linear_head").with_epochs(1).with_start(tmp_path / "run"), tmp_path / "two", FEW)
    key = "blocks.input.0.running_mean"
    assert torch.equal(weights(again)[key], weights(made)[key]), "who starts from a model standardizes as it does"


def test_adabn_takes_the_statistics_of_unlabeled_faces(tmp_path: Path) -> None:
    """All else is what labels alone give; the statistics are those of a pass in train mode, at the kept weights."""
    faces = bright_faces()
    alone = train(faces, ADAPTED.set("statistics", "labeled"), tmp_path / "alone", FEW)
    made = train(faces, ADAPTED, tmp_path / "made", FEW)
    assert alike(running(weights(made), own=False), running(weights(alone), own=False))
    assert made.card.metrics | {"seconds": 0} == alone.card.metrics | {"seconds": 0}
    assert made.card.temperature == alone.card.temperature, "validation faces are normalized as labeled ones"
    data = prepare_run(faces, None, ADAPTED, FEW, Silent()).data
    shown = torch.from_numpy(data.faces.select(np.flatnonzero(data.labels.numpy() < 0)).faces()).float()
    reference = copy.deepcopy(alone.network).train()
    for module in reference.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        reference((shown.unsqueeze(1) / 255 - 0.5) * 4)
    expected = {name: value for name, value in running(reference.state_dict()).items() if "num_batches" not in name}
    found = weights(made)
    assert expected
    assert all(torch.allclose(found[name], value, rtol=1e-3, atol=1e-4) for name, value in expected.items())
    assert not alike(running(found), running(weights(alone)))


def test_a_recipe_that_adapts_looks_at_unlabeled_faces() -> None:
    assert looks_at_unlabeled(ADAPTED)
    assert not looks_at_unlabeled(ADAPTED.set("statistics", "labeled"))
    small, adapted = Recipe.load("supervised_small"), Recipe.load("adabn_small")
    assert Recipe.parse(adapted.table() | {"statistics": "labeled", "title": small.title}) == small


def test_adabn_says_where_it_changes_nothing(tmp_path: Path) -> None:
    heard, faces = Heard(), bright_faces()
    made = train(faces, ADAPTED, tmp_path / "run", TrainingSettings(threads=1), progress=heard)
    alone = train(faces, ADAPTED.set("statistics", "labeled"), tmp_path / "alone", TrainingSettings(threads=1))
    assert alike(weights(made), weights(alone))
    assert 'statistics = "unlabeled" changes nothing: two faces without labels are needed; found 0' in heard.lines
    bare = ADAPTED.set("model", {"network": "dalnet", "width": 0.25}).with_epochs(1)
    train(bright_faces(side=48), bare, tmp_path / "bare", FEW, progress=heard)
    assert 'statistics = "unlabeled" changes nothing: the network has no batch normalization' in heard.lines


@pytest.mark.parametrize("kept", ["labeled", "unlabeled"])
def test_interrupted_it_ends_with_the_same_weights(kept: str, stored: Path, tmp_path: Path, checkpoint_each_batch: None) -> None:
    recipe = small_recipe(unlabeled={"technique": "fixmatch", "threshold": 0.0}, statistics=kept)
    whole = train(stored, recipe, tmp_path / "whole", FEW)
    with pytest.raises(Interrupted):
        train(stored, recipe, tmp_path / "cut", FEW, progress=StopAfter(5))
    found, expected = weights(resume(tmp_path / "cut")), weights(whole)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_a_run_of_before_goes_on_as_it_began(stored: Path, tmp_path: Path) -> None:
    """Its recipe does not say whose statistics are kept: those of all batches."""
    recipe = small_recipe(unlabeled={"technique": "fixmatch", "threshold": 0.0}, statistics="all")
    whole = train(stored, recipe, tmp_path / "whole", FEW)
    with pytest.raises(Interrupted):
        train(stored, recipe, tmp_path / "old", FEW, progress=StopAfter(1))
    file = tmp_path / "old" / "run.json"
    asked = json.loads(file.read_text())
    del asked["recipe"]["statistics"]
    file.write_text(json.dumps(asked))
    assert alike(weights(resume(tmp_path / "old")), weights(whole))
    assert resume(tmp_path / "old").card.recipe["statistics"] == "all", "finished, it is loaded"


def test_the_control_of_adabn_adapts_nothing(tmp_path: Path) -> None:
    """It holds the same faces, and keeps the statistics that labels alone give."""
    faces = bright_faces()
    control = weights(train(faces, ADAPTED.set("control", True), tmp_path / "control", FEW))
    assert alike(control, weights(train(faces, ADAPTED.set("statistics", "labeled"), tmp_path / "plain", FEW)))
    assert not alike(control, weights(train(faces, ADAPTED, tmp_path / "adapted", FEW)))
