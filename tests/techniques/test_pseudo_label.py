"""Pseudo-labels against a loop, and Lee's ramp at its corners."""

import math
from types import SimpleNamespace
from typing import cast

import pytest
import torch

from mien.techniques.unlabeled.pseudo_label import PseudoLabel, alpha
from mien.training.face_loader import Batch
from mien.training.notes import Notes
from mien.training.run import Run

BATCH = Batch(torch.arange(5), torch.zeros(5, 2, 2, dtype=torch.uint8))


def run_with(heads: torch.Tensor, epochs: int) -> Run:
    """Just what the technique reads of a run whose network gives these logits, (H, 5, K)."""
    fake = SimpleNamespace(
        history=[{}] * epochs,
        view=lambda batch, strength: batch.faces,
        heads=lambda inputs: heads,
        notes=Notes(),
        data=SimpleNamespace(truth=None),
    )
    return cast(Run, fake)


def naive(heads: torch.Tensor, threshold: float) -> float:
    total = 0.0
    for row in range(heads.shape[1]):
        fused = heads[-1, row].tolist()
        chances = [math.exp(value) / sum(map(math.exp, fused)) for value in fused]
        if max(chances) < threshold:
            continue
        label = chances.index(max(chances))
        for head in heads[:, row].tolist():
            total -= math.log(math.exp(head[label]) / sum(map(math.exp, head)))
    return total / heads.shape[1]


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("threshold", [0.0, 0.6, 1.0])
def test_loss_is_the_loops(heads: int, threshold: float) -> None:
    logits = torch.randn(heads, 5, 4, generator=torch.Generator().manual_seed(heads)) * 2
    loss = PseudoLabel(weight=0.5, threshold=threshold)(run_with(logits, 0), BATCH)
    assert loss is not None
    assert loss().item() == pytest.approx(0.5 * naive(logits, threshold), rel=1e-5, abs=1e-7)


def test_the_ramp_is_equation_16() -> None:
    assert [alpha(epoch, 3.0, start=2, ramp=4) for epoch in range(8)] == [0, 0, 0, 0.75, 1.5, 2.25, 3, 3]
    assert [alpha(epoch, 1.0, start=0, ramp=0) for epoch in range(3)] == [1, 1, 1]


def test_nothing_is_drawn_while_the_weight_is_0() -> None:
    assert PseudoLabel(start=2)(run_with(torch.zeros(1, 5, 4), 1), BATCH) is None
    assert PseudoLabel(start=2)(run_with(torch.zeros(1, 5, 4), 2), BATCH) is not None


def test_no_gradient_passes_through_the_label() -> None:
    logits = torch.tensor([[[2.0, 0.0], [0.0, 1.0], [0.5, 0.0], [0.0, 3.0], [1.0, 0.0]]], requires_grad=True)
    loss = PseudoLabel()(run_with(logits, 0), BATCH)
    assert loss is not None
    (gradient,) = torch.autograd.grad(loss(), logits)
    hard = torch.nn.functional.one_hot(logits[0].argmax(1), 2)
    assert torch.allclose(gradient[0], (logits[0].softmax(1) - hard) / 5, atol=1e-6)
