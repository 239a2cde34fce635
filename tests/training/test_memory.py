"""What techniques remember: each value is made once, has one type, and stands in the checkpoint as it is."""

import pytest
import torch
from torch import Tensor

from mien.training.losses import BatchLoss, LabeledLoss
from mien.training.memory import Memory
from mien.training.notes import Notes


def test_a_value_is_made_once_and_can_be_replaced() -> None:
    memory, made = Memory(), list[int]()

    def make() -> int:
        made.append(1)
        return 7

    assert "count" not in memory
    assert (memory.get("count", int, make), memory.get("count", int, make)) == (7, 7)
    assert made == [1]
    memory.put("count", 8)
    assert memory.get("count", int, make) == 8
    assert memory.values == {"count": 8}


def test_a_value_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="weights is a list, not a Tensor"):
        Memory({"weights": [1.0]}).get("weights", Tensor, lambda: torch.ones(1))


def test_notes_are_means_and_shares_of_an_epoch_which_are_then_forgotten() -> None:
    notes = Notes()
    for value, part, whole in ((1.0, 2, 4), (2.0, 0, 0), (6.0, 1, 1)):
        notes.add("loss", value)
        notes.add_share("right", torch.tensor(part), torch.tensor(whole))
    notes.add_share("nobody", torch.tensor(0), torch.tensor(0))
    assert notes.take() == {"loss": 3.0, "right": pytest.approx(3 / 5)}
    assert notes.take() == {}


def test_the_loss_of_each_head_is_that_of_the_last_call() -> None:
    given = iter([torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0])])

    def evaluate() -> BatchLoss:
        heads = next(given)
        return BatchLoss(heads.sum(), heads)

    loss = LabeledLoss(evaluate)
    assert (loss().item(), loss.heads.tolist()) == (3, [1, 2])
    assert (loss().item(), loss.heads.tolist()) == (8, [3, 5])
