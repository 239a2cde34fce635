"""How frequent classes are among unlabeled faces, and a model that expects them so."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import refused, small_recipe
from mien import Recipe, TrainingSettings, train
from mien.recognize.model_card import read_card
from mien.training.class_prior import expected_shares, label_shares
from mien.training.run import Run

SHARES = st.lists(st.floats(0.05, 1), min_size=2, max_size=5).map(lambda many: torch.tensor(many).double() / sum(many))


def by_hand(likely: np.ndarray, trained: np.ndarray, rounds: int) -> np.ndarray:
    """EM face by face, as Saerens et al. write it, with one face added to every class."""
    shares = trained.copy()
    for _ in range(rounds):
        counts = np.ones(len(trained))
        for face in likely:
            joint = [face[k] * shares[k] / trained[k] for k in range(len(trained))]
            counts += np.array(joint) / sum(joint)
        shares = counts / counts.sum()
    return shares


@given(SHARES, st.integers(0, 100))
@settings(deadline=None, max_examples=20)
def test_em_by_hand(trained: torch.Tensor, seed: int) -> None:
    logits = torch.randn(30, len(trained), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    likely = logits.softmax(dim=1)
    found = expected_shares(likely, trained)
    assert found.sum().item() == pytest.approx(1)
    assert found.numpy() == pytest.approx(by_hand(likely.numpy(), trained.numpy(), 1000), abs=1e-3)


def test_the_true_shares_are_found() -> None:
    """Faces of two kinds on a line, whose classes are known by Bayes' rule; trained on as many of each, met three to one."""
    rng = torch.Generator().manual_seed(0)
    there = torch.cat([torch.full((6000,), -1.0), torch.full((2000,), 1.0)])
    seen = there + torch.randn(8000, generator=rng)
    right = torch.sigmoid(2 * seen).double()
    found = expected_shares(torch.stack([1 - right, right], dim=1), torch.tensor([0.5, 0.5]).double())
    assert found.tolist() == pytest.approx([0.75, 0.25], abs=0.03)


def trained(folder: Path, faces: Path, **changed: object) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    """Weights and budget facts of a model of ten labels a class."""
    recognizer = train(faces, small_recipe(validation=0.0, **changed), folder, TrainingSettings(labels_per_class=10))
    return dict(recognizer.network.state_dict()), read_card(folder / "model").budget


def test_the_last_bias_alone_is_moved(tmp_path: Path, stored: Path) -> None:
    before, plain = trained(tmp_path / "plain", stored)
    after, facts = trained(tmp_path / "moved", stored, prior=0.5)
    control, _ = trained(tmp_path / "control", stored, prior=0.5, control=True)
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == [name for name in before if name.startswith("head.") and name.endswith(".bias")][-1:]
    assert all(torch.equal(before[name], control[name]) for name in before)
    assert "prior" not in plain
    found = facts["prior"]
    assert isinstance(found, dict)
    assert sum(found["found"].values()) == pytest.approx(1)
    shares = torch.tensor(list(found["found"].values()))
    even = torch.full_like(shares, 1 / len(shares))
    assert (after[changed[0]] - before[changed[0]]).tolist() == pytest.approx((0.5 * (shares / even).log()).tolist(), abs=1e-4)


def shares_of(labels: list[int], weights: list[float], draw: str, epoch: int = 1) -> list[float]:
    """`label_shares` of a run of three classes."""
    recipe = small_recipe(draw=draw)
    facts = {"labels": torch.tensor(labels), "labeled": torch.arange(len(labels)), "weights": torch.tensor(weights)}
    run = SimpleNamespace(recipe=recipe, classes=3, device=torch.device("cpu"), stage=0, epoch=epoch, **facts)
    found: list[float] = label_shares(cast(Run, run)).tolist()
    return found


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0.1, 2)), min_size=1, max_size=30))
def test_what_was_drawn_balanced_is_expected_even(faces: list[tuple[int, float]]) -> None:
    """Each class that has labels counts by its faces' mean weight, whatever their number; shuffled, by the sum."""
    labels, weights = [label for label, _ in faces], [weight for _, weight in faces]
    own = [[weight for label, weight in faces if label == each] for each in range(3)]
    for draw, counts in (
        ("shuffled", [sum(one) for one in own]),
        ("balanced", [sum(one) / len(one) if one else 0.0 for one in own]),
    ):
        added = [count + sum(counts) / len(faces) for count in counts]
        assert shares_of(labels, weights, draw) == pytest.approx([count / sum(added) for count in added])


def test_before_the_first_epoch_labels_count_as_they_are() -> None:
    """A start may have fitted a last layer to them."""
    labels, weights = [0, 0, 0, 1, 2], [1.0] * 5
    assert shares_of(labels, weights, "balanced", epoch=0) == pytest.approx([4 / 8, 2 / 8, 2 / 8])
    assert shares_of(labels, weights, "balanced") == pytest.approx([1 / 3] * 3)


def test_who_goes_on_from_a_model_begins_before_it_leaned(tmp_path: Path, stored: Path) -> None:
    before, _ = trained(tmp_path / "plain", stored)
    trained(tmp_path / "moved", stored, prior=1.0)
    still = {
        "stages": [{"epochs": 1, "lr": 0.0}],
        "start": {"technique": "weights", "path": str(tmp_path / "moved")},
        "average": 0.0,
    }
    again, _ = trained(tmp_path / "again", stored, **still)
    assert all(torch.allclose(before[name], again[name], atol=1e-5) for name in before if name.startswith("head."))


def test_without_unlabeled_faces_nothing_is_moved(tmp_path: Path, stored: Path) -> None:
    recipe = small_recipe(validation=0.0, prior=0.5)
    recognizer = train(stored, recipe, tmp_path / "run", TrainingSettings(labels_per_class=10, own_unlabeled=False))
    assert "prior" not in recognizer.card.budget


def test_several_heads_are_refused(tmp_path: Path, stored: Path) -> None:
    recipe = Recipe.load("supervised_small").with_settings(
        {"model": {"network": "mien_s", "width": 8, "copies": 2}, "prior": 0.5, "stages": [{"epochs": 1, "lr": 0.01}]}
    )
    with refused("one head"):
        train(stored, recipe, tmp_path / "run", TrainingSettings(labels_per_class=4))
