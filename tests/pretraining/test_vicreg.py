"""VICReg: each term against sums written out, what it does to features, and a run that starts from it."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from conftest import Interrupted, StopAfter, bright_faces, small_recipe
from mien import MienError, Recipe, TrainingSettings, resume, train
from mien.pretraining.vicreg import EPSILON, Agree, covariance, invariance, variance
from mien.recognize.run_records import read_history
from mien.recognize.saved_networks import build_network

WEIGHTS = {"invariance": 25.0, "variance": 25.0, "covariance": 1.0}
START = {"technique": "self_supervised", "epochs": 4, "batch": 32, "width": 16, "layers": 2}


def features(seed: int, faces: int = 7, width: int = 5, scale: float = 0.6) -> Tensor:
    return scale * torch.randn(faces, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 9), st.integers(1, 6))
def test_terms_as_the_paper_sums_them(seed: int, n: int, d: int) -> None:
    z, other = features(seed, n, d), features(seed + 1, n, d)
    mean = [sum(float(z[i, j]) for i in range(n)) / n for j in range(d)]

    def c(j: int, k: int) -> float:
        return sum(float((z[i, j] - mean[j]) * (z[i, k] - mean[k])) for i in range(n)) / (n - 1)

    spread = sum(max(0.0, 1 - (c(j, j) + EPSILON) ** 0.5) for j in range(d)) / d
    repeated = sum(c(j, k) ** 2 for j in range(d) for k in range(d) if j != k) / d
    apart = sum(float((z[i, j] - other[i, j]) ** 2) for i in range(n) for j in range(d)) / n
    assert float(variance(z)) == pytest.approx(spread)
    assert float(covariance(z)) == pytest.approx(repeated, abs=1e-12)
    assert float(invariance(z, other)) == pytest.approx(apart / d)


def published(x: Tensor, y: Tensor) -> Tensor:
    """The loss as the authors' code and lightly compute it: torch.var, a matrix without its diagonal, weights 25, 25 and 1."""
    centered = [z - z.mean(dim=0) for z in (x, y)]
    spread = [F.relu(1 - torch.sqrt(z.var(dim=0) + 0.0001)).mean() for z in centered]
    away = ~torch.eye(x.shape[1], dtype=torch.bool)
    repeated = [torch.einsum("bc,bd->cd", z, z).div(len(z) - 1)[away].pow(2).sum() / z.shape[1] for z in centered]
    return 25.0 * F.mse_loss(x, y) + 25.0 * 0.5 * (spread[0] + spread[1]) + 1.0 * (repeated[0] + repeated[1])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_the_sum_as_published_and_in_any_order(seed: int) -> None:
    one, other, objective = features(seed, 8, 6), features(seed + 5, 8, 6), Agree(WEIGHTS, "strong")
    loss = float(objective.total(objective.terms(one, other)))
    assert loss == pytest.approx(float(published(one, other)))
    order = torch.randperm(8, generator=torch.Generator().manual_seed(seed))
    assert float(objective.total(objective.terms(one[order], other[order]))) == pytest.approx(loss)
    assert float(objective.total(objective.terms(one, other[order.roll(1)]))) != pytest.approx(loss), "faces are matched"


def test_what_each_term_forbids() -> None:
    collapsed, spread = torch.ones(6, 3, dtype=torch.float64), features(0, 400, 3, scale=2.0)
    assert float(variance(collapsed)) == pytest.approx(1 - EPSILON**0.5)
    assert float(variance(spread)) == 0
    assert float(covariance(spread[:, :1].repeat(1, 3))) > 10 > 1 > float(covariance(spread))
    assert float(invariance(spread, spread)) == 0


def run_on(tmp_path: Path, name: str, recipe: Recipe, labels: int | None = None) -> dict[str, Tensor]:
    faces = bright_faces(120)
    return dict(train(faces, recipe, tmp_path / name, TrainingSettings(threads=1, labels=labels)).network.state_dict())


def test_the_loss_falls_on_faces_held_out(tmp_path: Path) -> None:
    recipe = small_recipe(
        start=START | {"epochs": 12, "held_out": 0.3, "views": "weak", "lr": 0.005}, stages=[{"epochs": 1, "lr": 0.0}]
    )
    weights = run_on(tmp_path, "run", recipe, labels=9)
    epochs = read_history(tmp_path / "run" / "parts" / "self_supervised")
    assert len(epochs) == 12
    assert min(one["validation_loss"] for one in epochs) < 0.8 * epochs[0]["validation_loss"]
    for one in epochs:
        assert one["loss"] == pytest.approx(sum(WEIGHTS[name] * one[name] for name in WEIGHTS), rel=1e-4)
    begun = build_network(recipe.model, 3, bright_faces().info, 0).state_dict()
    assert not torch.equal(weights["blocks.stage3_1.first.0.weight"], begun["blocks.stage3_1.first.0.weight"])
    assert {key for key in weights if key.startswith("head")} == {"head.3.weight", "head.3.bias"}, "no expander is left"


def test_labels_are_not_looked_at(tmp_path: Path) -> None:
    """Other labels behind the same faces give the same start; validation faces are not learned from."""
    recipe = small_recipe(start=START, stages=[{"epochs": 1, "lr": 0.0}], validation=0.0, average=0.0)
    plain = run_on(tmp_path, "plain", recipe)
    faces = bright_faces(120)
    turned = faces.with_column("label", (faces.labels + 1) % 3).with_column("votes", [None] * 120)
    other = train(turned, recipe, tmp_path / "turned", TrainingSettings(threads=1)).network.state_dict()
    for key, value in plain.items():
        if key.endswith("weight"):
            assert torch.equal(value, other[key]), key


def test_blocks_above_stay_as_they_were(tmp_path: Path) -> None:
    recipe = small_recipe(start=START | {"block": "stage1_1"}, stages=[{"epochs": 1, "lr": 0.0}], average=0.0)
    weights = run_on(tmp_path, "run", recipe)
    begun = build_network(recipe.model, 3, bright_faces().info, 0).state_dict()
    same = {key.split(".")[1] for key, value in weights.items() if key.endswith("0.weight") and torch.equal(value, begun[key])}
    assert same == {"stage2_1", "stage3_1"}


@pytest.mark.usefixtures("checkpoint_each_batch")
def test_resumed_within_the_start(tmp_path: Path) -> None:
    bright_faces(120).save(tmp_path / "set")
    recipe = small_recipe(start=START)
    whole = train(tmp_path / "set", recipe, tmp_path / "whole", TrainingSettings(threads=1, labels=60))
    with pytest.raises(Interrupted):
        train(tmp_path / "set", recipe, tmp_path / "killed", TrainingSettings(threads=1, labels=60), progress=StopAfter(5))
    assert (tmp_path / "killed" / "parts" / "self_supervised" / "checkpoint.safetensors").is_file()
    assert not read_history(tmp_path / "killed")
    again = resume(tmp_path / "killed").network.state_dict()
    for key, value in whole.network.state_dict().items():
        assert torch.equal(value, again[key]), key


def test_what_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="a block among stem, "):
        run_on(tmp_path, "block", small_recipe(start=START | {"block": "nowhere"}))
    with pytest.raises(MienError, match="at least 4 faces"):
        train(bright_faces(6).select([0, 1, 2]), small_recipe(start=START), tmp_path / "few", TrainingSettings(threads=1))
    with pytest.raises(MienError, match="batch"):
        small_recipe(start=START | {"batch": 1})
