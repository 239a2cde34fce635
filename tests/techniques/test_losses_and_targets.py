"""Every loss and target against a loop over faces and classes, and what must hold for it."""

import math
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mien import MienError
from mien.techniques.loss.cross_entropy import CrossEntropy
from mien.techniques.loss.focal import Focal
from mien.techniques.targets.smoothed import Smoothed
from mien.techniques.targets.votes import Votes
from mien.techniques.weigh.by_class import ByClass, class_weights
from mien.training.run import Run
from mien.training.vote_shares import distribution


def softmax(logits: list[float]) -> list[float]:
    top = max(logits)
    exponentials = [math.exp(value - top) for value in logits]
    return [value / sum(exponentials) for value in exponentials]


def naive(logits: Tensor, targets: Tensor, gamma: float) -> list[float]:
    out = []
    for scores, shares in zip(logits.double().tolist(), targets.double().tolist(), strict=True):
        total = 0.0
        for p, q in zip(softmax(scores), shares, strict=True):
            total -= q * (1 - p) ** gamma * math.log(p)
        out.append(total)
    return out


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.5, 2.0, 5.0]))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_losses_equal_the_loop(seed: int, gamma: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(6, 4, generator=generator) * 3
    targets = torch.rand(6, 4, generator=generator)
    targets = targets / targets.sum(1, keepdim=True)
    assert Focal(gamma=gamma)(logits, targets).tolist() == pytest.approx(naive(logits, targets, gamma), rel=1e-4, abs=1e-6)
    assert CrossEntropy()(logits, targets).tolist() == pytest.approx(naive(logits, targets, 0), rel=1e-4, abs=1e-6)


def test_losses_are_what_torch_has_for_hard_labels() -> None:
    logits, labels = torch.randn(5, 3), torch.tensor([0, 1, 2, 1, 0])
    targets = torch.nn.functional.one_hot(labels, 3).float()
    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    assert torch.allclose(CrossEntropy()(logits, targets), expected, atol=1e-6)


@pytest.mark.parametrize("loss", [CrossEntropy(), Focal()])
def test_losses_ignore_a_common_shift_and_stay_finite(loss: CrossEntropy | Focal) -> None:
    logits, targets = torch.randn(5, 3), torch.eye(3)[[0, 1, 2, 1, 0]]
    assert torch.allclose(loss(logits, targets), loss(logits + 7, targets), atol=1e-5)
    extreme = (torch.tensor([[80.0, -80.0, 0.0]])).requires_grad_()
    value = loss(extreme, torch.tensor([[0.0, 1.0, 0.0]])).sum() + loss(extreme, torch.tensor([[1.0, 0.0, 0.0]])).sum()
    (gradient,) = torch.autograd.grad(value, extreme)
    assert value.isfinite()
    assert gradient.isfinite().all()


def fake_run(**values: Any) -> Run:
    """Just the attributes that a technique reads."""
    return cast(Run, SimpleNamespace(**values))


def test_smoothing_is_equation_2() -> None:
    targets = Smoothed(epsilon=0.05)(fake_run(labels=torch.tensor([2, -1, 0]), classes=7))
    for row, label in ((0, 2), (2, 0)):
        for k in range(7):
            assert targets[row, k].item() == pytest.approx(0.95 if k == label else 0.05 / 6)
    assert targets[1].sum() == 0
    assert targets[0].sum().item() == pytest.approx(1)


def test_votes_are_shares_and_labels_where_there_are_none() -> None:
    votes = torch.tensor([[3.0, 1.0, 0.0], [0.0, 0.0, 0.0], [2.0, 2.0, 4.0]])
    labels = torch.tensor([0, 1, -1])
    run = fake_run(
        data=SimpleNamespace(votes=votes),
        labels=labels,
        one_hot=lambda: torch.eye(3)[[0, 1, 0]] * torch.tensor([[1.0], [1.0], [0.0]]),
    )
    assert Votes()(run).tolist() == [[0.75, 0.25, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    assert distribution(votes)[2].tolist() == [0.25, 0.25, 0.5]
    with pytest.raises(MienError, match="with votes"):
        Votes()(fake_run(data=SimpleNamespace(votes=None)))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.floats(0, 2))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_class_weights_equal_the_loop(labels: list[int], power: float) -> None:
    weights = class_weights(torch.tensor(labels), 5, power).tolist()
    raw = [labels.count(label) ** -power if label in labels else 0.0 for label in range(5)]
    mean = sum(raw[label] for label in labels) / len(labels)
    assert weights == pytest.approx([value / mean for value in raw], rel=1e-4)
    assert sum(weights[label] for label in labels) / len(labels) == pytest.approx(1, rel=1e-4)


def test_weights_by_class_leave_unlabeled_faces_alone() -> None:
    labels = torch.tensor([0, 0, 0, 1, -1])
    weights = ByClass()(fake_run(labels=labels, labeled=torch.arange(4), classes=2))
    assert weights.tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2.0, 1.0])
