"""DAL's loss: its value and both gradients by hand and by autograd, its costs by a loop; and the regression loss."""

import math
from pathlib import Path
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from mien import MienError, TrainingSettings, train
from mien.recognize.run_records import read_history
from mien.techniques.loss.cross_entropy import CrossEntropy
from mien.techniques.loss.softmax_mse import SoftmaxMse
from mien.techniques.loss.squared import Squared
from runs import alt_recipe, dim_faces

COSTS = ((0.0, 2.0, 0.5, 1.0), (1.0, 0.0, 3.0, 0.25), (0.0, 1.0, 0.0, 1.0), (4.0, 0.0, 1.0, 0.0))


def drawn(seed: int, faces: int = 6, classes: int = 4) -> tuple[Tensor, Tensor]:
    """Logits and labels."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(faces, classes, generator=generator, dtype=torch.float64) * 2
    return logits, torch.randint(classes, (faces,), generator=generator)


def one_hot(labels: Tensor, classes: int = 4) -> Tensor:
    return F.one_hot(labels, classes).double()


def gradient(loss: SoftmaxMse | CrossEntropy, logits: Tensor, target: Tensor) -> Tensor:
    """Of the mean over the batch."""
    logits = logits.clone().requires_grad_()
    loss(logits, target).mean().backward()
    assert logits.grad is not None
    return logits.grad


def naive(logits: Tensor, labels: Tensor) -> tuple[list[list[float]], list[float]]:
    """Probabilities (Eq. 3) and yhat (Eq. 4), by loops."""
    every, expected = [], []
    for scores in logits.tolist():
        exponentials = [math.exp(score - max(scores)) for score in scores]
        p = [value / sum(exponentials) for value in exponentials]
        every.append(p)
        expected.append(sum(k * value for k, value in enumerate(p)))
    return every, expected


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_value_and_gradients_by_hand(seed: int) -> None:
    """Eq. 5 is displayed for both; Eq. 6 and the true derivative, each over n for the mean."""
    logits, labels = drawn(seed)
    p, expected = naive(logits, labels)
    n, target = len(labels), one_hot(labels)
    squared = [(yhat - y) ** 2 for yhat, y in zip(expected, labels.tolist(), strict=True)]
    eq6 = [[(p_i - (i == y)) / n for i, p_i in enumerate(row)] for row, y in zip(p, labels.tolist(), strict=True)]
    eq5 = [
        [2 / n * (yhat - y) * p_i * (i - yhat) for i, p_i in enumerate(row)]
        for row, yhat, y in zip(p, expected, labels.tolist(), strict=True)
    ]
    for kind, wanted in (("paper", eq6), ("true", eq5)):
        loss = SoftmaxMse(gradient=kind)  # type: ignore[arg-type]
        assert loss.displayed(logits, target).tolist() == pytest.approx(squared, rel=1e-9, abs=1e-12)
        assert torch.allclose(gradient(loss, logits, target), torch.tensor(wanted, dtype=torch.float64), atol=1e-12)


def test_the_value_is_that_of_the_loss_that_trains() -> None:
    """Whoever reads how large a loss is gets the one whose gradient is followed; Eq. 6 is not that of Eq. 5."""
    logits, labels = drawn(3)
    target = one_hot(labels)
    for loss in (SoftmaxMse(), SoftmaxMse(gradient="true"), SoftmaxMse(gradient="cost", costs=COSTS)):
        assert torch.autograd.gradcheck(lambda x, loss=loss: loss(x, target), (logits.clone().requires_grad_(),))
    shown = logits.clone().requires_grad_()
    SoftmaxMse().displayed(shown, target).mean().backward()
    assert shown.grad is not None
    assert not torch.allclose(shown.grad, gradient(SoftmaxMse(), logits, target), atol=1e-3)
    assert torch.equal(SoftmaxMse(gradient="cost").displayed(logits, target), SoftmaxMse(gradient="cost")(logits, target))


def test_it_learns_as_cross_entropy_does_bit_for_bit() -> None:
    logits = torch.randn(8, 5)
    target = torch.softmax(torch.randn(8, 5), dim=1)
    assert torch.equal(gradient(SoftmaxMse(), logits, target), gradient(CrossEntropy(), logits, target))
    assert torch.equal(SoftmaxMse()(logits, target), CrossEntropy()(logits, target))
    assert not torch.equal(SoftmaxMse().displayed(logits, target), CrossEntropy()(logits, target))


def test_a_run_differs_from_one_of_cross_entropy_in_its_curve_alone(tmp_path: Path) -> None:
    """ALT's first temperature is a share of the loss and sample weights go by it: both read the loss that trains."""
    recipe = alt_recipe(2).set("draw.at_least", 2).set("weigh", {"technique": "importance", "when": "always"})
    runs = {
        name: train(dim_faces(), recipe.set("loss", name), tmp_path / name, TrainingSettings(labels=60, threads=1))
        for name in ("cross_entropy", "softmax_mse")
    }
    histories = [read_history(tmp_path / name) for name in runs]
    for mine, theirs in zip(*histories, strict=True):
        assert mine.keys() == theirs.keys()
        assert mine["weight"] < 1 or mine["epoch"] == 0
        for key in mine.keys() - {"seconds", "loss"}:
            assert mine[key] == theirs[key], key
        assert mine["loss"] != theirs["loss"]
    weights, others = (run.network.state_dict() for run in runs.values())
    assert all(torch.equal(value, others[name]) for name, value in weights.items())


@pytest.mark.parametrize("costs", [(), COSTS])
def test_the_expected_cost_by_a_loop(costs: tuple[tuple[float, ...], ...]) -> None:
    logits, labels = drawn(5)
    p, _ = naive(logits, labels)
    wanted = []
    for row, y in zip(p, labels.tolist(), strict=True):
        charged = [costs[y][j] if costs else float(j != y) for j in range(4)]
        wanted.append(-math.log(row[y]) + 0.7 * sum(c * p_j for c, p_j in zip(charged, row, strict=True)))
    loss = SoftmaxMse(gradient="cost", weight=0.7, costs=costs)
    assert loss(logits, one_hot(labels)).tolist() == pytest.approx(wanted, rel=1e-9)
    target = one_hot(labels)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), (logits.clone().requires_grad_(),))
    free = SoftmaxMse(gradient="cost", weight=0.0, costs=costs)
    assert torch.allclose(free(logits, target), CrossEntropy()(logits, target))


@pytest.mark.parametrize("kind", ["paper", "true", "cost"])
def test_it_stays_finite(kind: Literal["paper", "true", "cost"]) -> None:
    logits = torch.tensor([[300.0, -300.0, 0.0]])
    found = gradient(SoftmaxMse(gradient=kind), logits, torch.tensor([[0.0, 1.0, 0.0]]))
    assert found.isfinite().all()


def test_costs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(MienError, match=r"loss.costs of 2 rows of as many costs; found rows of 2, 1"):
        SoftmaxMse(costs=((0.0, 1.0), (1.0,)))
    with pytest.raises(MienError, match=r"loss.costs for 3 classes; found for 4"):
        SoftmaxMse(gradient="cost", costs=COSTS)(torch.zeros(2, 3), torch.eye(3)[:2])


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("shape", [(4, 3), (4, 2, 3, 3)])
def test_the_regression_loss_by_a_loop(p: float, shape: tuple[int, ...]) -> None:
    output, target = torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)
    wanted = []
    for one, other in zip(output.flatten(1).tolist(), target.flatten(1).tolist(), strict=True):
        wanted.append(sum(abs(a - b) ** p for a, b in zip(one, other, strict=True)) / len(one))
    assert Squared(p=p)(output, target).tolist() == pytest.approx(wanted)


def test_the_regression_loss_has_a_gradient_where_it_is_zero() -> None:
    output = torch.zeros(2, 3, requires_grad=True)
    for p in (1.0, 1.5, 2.0):
        Squared(p=p)(output, torch.zeros(2, 3)).sum().backward()
    assert output.grad is not None
    assert not output.grad.any(), "and none that is no number"
