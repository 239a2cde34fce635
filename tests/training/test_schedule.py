"""Learning rates against torch's own schedulers, and the average of the weights against a loop."""

import warnings

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, OneCycleLR

from mien.recipes.recipe import Stage
from mien.training.optimization import make_average, make_optimizer
from mien.training.schedule import rate

STEPS = 40


def torch_rates(scheduler: LRScheduler) -> list[float]:
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # No optimizer step is taken: only the rates are wanted.
        for _ in range(STEPS):
            rates.append(float(scheduler.get_last_lr()[0]))
            scheduler.step()
    return rates


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)


def test_cosine_is_torchs() -> None:
    expected = torch_rates(CosineAnnealingLR(optimizer(), STEPS))
    stage = Stage(epochs=1, lr=0.3, schedule="cosine")
    assert [rate(stage, n / STEPS) for n in range(STEPS)] == pytest.approx(expected)


def test_step_is_torchs() -> None:
    expected = torch_rates(MultiStepLR(optimizer(), [20, 30]))
    stage = Stage(epochs=1, lr=0.3, schedule="step", drops=(0.5, 0.75))
    assert [rate(stage, n / STEPS) for n in range(STEPS)] == pytest.approx(expected)


def test_one_cycle_is_torchs_but_for_the_linear_rise() -> None:
    """torch's rises and falls by cosine and counts steps from 0 to N - 1; the fall is compared at the same progress."""
    stage = Stage(epochs=1, lr=0.3, schedule="one_cycle", warmup=0.25)
    torchs = torch_rates(OneCycleLR(optimizer(), 0.3, total_steps=STEPS, pct_start=0.25, final_div_factor=1e9))
    for n in range(12, STEPS):
        # The peak of torch's cycle lies at step 0.25 N - 1, its end at N - 1.
        progress = 0.25 + 0.75 * (n - 9) / 30
        assert rate(stage, progress) == pytest.approx(torchs[n], abs=1e-6)
    assert rate(stage, 0.0) == pytest.approx(0.3 / 25)
    assert rate(stage, 0.125) == pytest.approx((0.3 / 25 + 0.3) / 2)
    assert rate(stage, 0.25) == pytest.approx(0.3)
    assert rate(stage, 1.0) == pytest.approx(0)


def test_constant() -> None:
    assert {rate(Stage(epochs=1, lr=0.3), n / 7) for n in range(7)} == {0.3}


@pytest.mark.parametrize(("name", "kind"), [("sgd", "SGD"), ("adam", "Adam"), ("adamw", "AdamW")])
def test_only_matrices_decay_and_frozen_ones_stay_out(name: str, kind: str) -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    network[0].requires_grad_(False)
    made = make_optimizer(network, Stage(epochs=1, lr=0.1, optimizer=name, weight_decay=0.5))  # type: ignore[arg-type]
    assert type(made).__name__ == kind
    decays = {tuple(p.shape): group["weight_decay"] for group in made.param_groups for p in group["params"]}
    assert decays == {(2, 4): 0.5, (4,): 0.0, (2,): 0.0}


def test_the_average_is_that_of_a_loop() -> None:
    torch.manual_seed(0)
    linear, norm = nn.Linear(2, 2), nn.BatchNorm1d(2)
    network = nn.Sequential(linear, norm)
    average = make_average(network, 0.6)
    expected: list[torch.Tensor] = []
    for count in range(30):
        with torch.no_grad():
            linear.weight.normal_()
            network(torch.randn(5, 2))
        average.update_parameters(network)
        assert norm.running_mean is not None
        values = [linear.weight.detach().clone(), norm.running_mean.clone()]
        kept = min(0.6, (1 + count) / (10 + count)) if expected else 0.0
        expected = [kept * old + (1 - kept) * new for old, new in zip(expected or values, values, strict=True)]
    found = average.module.state_dict()
    assert torch.allclose(found["0.weight"], expected[0], atol=1e-5)
    assert torch.allclose(found["1.running_mean"], expected[1], atol=1e-5)
    assert found["1.num_batches_tracked"] == 30
