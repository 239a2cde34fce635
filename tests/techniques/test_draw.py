"""Draws: every face its turn, every class its share."""

from types import SimpleNamespace
from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from mien.techniques.draw.balanced import Balanced
from mien.techniques.draw.shuffled import Shuffled
from mien.training.run import Run

LABELS = st.lists(st.integers(-1, 3), min_size=4, max_size=80).filter(lambda labels: max(labels) >= 0)
few = settings(max_examples=50, deadline=None, derandomize=True)


def fake_run(labels: list[int], batch: int) -> Run:
    tensor = torch.tensor(labels)
    labeled = torch.nonzero(tensor >= 0).squeeze(1)
    run = SimpleNamespace(labels=tensor, labeled=labeled, batch=batch, generator=Generator().manual_seed(0))
    return cast(Run, run)


@given(LABELS, st.integers(1, 20), st.integers(1, 9))
@few
def test_shuffled_draws_labeled_faces_evenly(labels: list[int], batch: int, at_least: int) -> None:
    run = fake_run(labels, batch)
    batches = Shuffled(at_least=at_least)(run)
    size = min(batch, len(run.labeled))
    assert {len(rows) for rows in batches} == {size}
    assert len(batches) == max(at_least, len(run.labeled) // size)
    counts = torch.bincount(torch.cat(batches), minlength=len(labels))
    assert counts[torch.tensor(labels) < 0].sum() == 0
    seen = counts[run.labeled]
    assert seen.max() - seen.min() <= 1


@pytest.mark.parametrize(("classes", "batch", "share"), [(7, 63, 9), (8, 63, 7), (8, 64, 8), (7, 5, 1)])
def test_a_balanced_batch_is_as_large_as_can_be(classes: int, batch: int, share: int) -> None:
    """63 of SNA's 7 classes, 56 of 8; one of each where the batch is smaller than that."""
    (first, *_) = Balanced()(fake_run(list(range(classes)) * 30, batch))
    assert len(first) == share * classes


@given(LABELS, st.integers(1, 20), st.integers(1, 9))
@few
def test_balanced_gives_every_class_its_share_of_every_batch(labels: list[int], batch: int, at_least: int) -> None:
    run = fake_run(labels, batch)
    tensor, present = torch.tensor(labels), {label for label in labels if label >= 0}
    batches = Balanced(at_least=at_least)(run)
    size = max(1, min(batch, len(run.labeled)) // len(present)) * len(present)
    assert {len(rows) for rows in batches} == {size}
    assert len(batches) == max(at_least, len(run.labeled) // size)
    for rows in batches:
        shares = {label: int((tensor[rows] == label).sum()) for label in present}
        assert len(set(shares.values())) == 1
        assert sum(shares.values()) == len(rows)
    counts = torch.bincount(torch.cat(batches), minlength=len(labels))
    for label in present:
        mine = counts[tensor == label]
        assert mine.max() - mine.min() <= 1


def test_two_epochs_differ() -> None:
    run = fake_run([0, 1] * 40, 16)
    first, second = Shuffled()(run), Shuffled()(run)
    assert not torch.equal(torch.cat(first), torch.cat(second))
