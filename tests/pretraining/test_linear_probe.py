"""The last layer as the best linear one over what the blocks make of labeled faces."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from conftest import bright_faces, refused, small_recipe
from mien import TrainingSettings
from mien.models import grid_head
from mien.pretraining.linear_probe import best_linear_layer, fit_last_layer, parted_head
from mien.training.run import Run
from runs import begun

SETTINGS = TrainingSettings(labels=30, threads=1)


def objective(
    weight: torch.Tensor, bias: torch.Tensor, features: torch.Tensor, labels: torch.Tensor, decay: float
) -> torch.Tensor:
    """Mean cross-entropy plus decay D |w|^2, which is what the squared norm is over features divided by the root of D."""
    return F.cross_entropy(F.linear(features, weight, bias), labels) + decay * features.shape[1] * weight.square().sum()


def test_no_direction_leads_further_down() -> None:
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(40, 6, generator=generator, dtype=torch.float64), torch.arange(40) % 3
    weight, bias = (value.requires_grad_() for value in best_linear_layer(features, labels, 3, 1e-2))
    slopes = torch.autograd.grad(objective(weight, bias, features, labels, 1e-2), [weight, bias])
    assert all(slope.abs().max() < 1e-4 for slope in slopes)


def grid_run(folder: Path) -> Run:
    """A run whose network has a head as face nets have: a grid, normalized, dropout and a linear layer."""
    run, _ = begun(folder, bright_faces(60), small_recipe(), SETTINGS)
    channels = run.network.shapes()[list(run.network.blocks)[-1]][0]
    run.network.head = grid_head(channels, 2, run.classes, 0.5)
    return run


def test_the_head_is_fitted_and_blocks_stay(tmp_path: Path) -> None:
    run = grid_run(tmp_path)
    before = {name: value.clone() for name, value in run.network.blocks.state_dict().items()}
    random = run.torch_rng, run.generator.get_state(), torch.get_rng_state()
    fit_last_layer(run, 1e-3)
    assert all(torch.equal(value, before[name]) for name, value in run.network.blocks.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random[2])
    assert torch.equal(run.generator.get_state(), random[1])
    assert run.network.training
    with run.evaluating() as network:
        faces = run.pool.fetch(run.labeled.cpu()).faces
        views = [run.views.clean(faces), run.views.mirror(faces)]
        body, last = parted_head(network)
        seen = torch.cat([body(network.last_features(view)) for view in views]).double()
    assert seen.mean(dim=0).abs().max() < 0.2, "normalized by the labeled faces"
    weight, bias = (value.detach().double().requires_grad_() for value in (last.weight, last.bias))
    labels = run.labels[run.labeled].repeat(2)
    slopes = torch.autograd.grad(objective(weight, bias, seen, labels, 1e-3), [weight, bias])
    assert all(slope.abs().max() < 1e-3 for slope in slopes)
    again = grid_run(tmp_path / "again")
    fit_last_layer(again, 1e-3)
    assert torch.equal(parted_head(again.network)[1].weight, last.weight), "nothing is drawn"


def test_a_head_without_a_last_linear_layer_is_refused(tmp_path: Path) -> None:
    run = grid_run(tmp_path)
    run.network.head = torch.nn.Sequential(run.network.head, torch.nn.ReLU())
    with refused("ends in one linear layer", "ReLU", "start.head"):
        fit_last_layer(run, 1e-3)


@pytest.mark.parametrize("count", [1, 2])
def test_few_faces_do(count: int) -> None:
    features = torch.eye(4, dtype=torch.float64)[:count]
    weight, bias = best_linear_layer(features, torch.arange(count), 2, 1e-3)
    assert F.linear(features, weight, bias).argmax(dim=1).tolist() == list(range(count))
