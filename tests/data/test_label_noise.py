"""Flips within the classes' proportions: every class keeps its number of labels, and the same share of wrong ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import bright_faces, refused, small_recipe
from mien import MienError, TrainingSettings, train
from mien.data.label_noise import flip_proportionally
from mien.experiments.grid import make_plan
from mien.experiments.settings import Grid
from mien.recognize.model_card import read_card

COUNTS = st.lists(st.integers(0, 30), min_size=2, max_size=6).filter(lambda n: sum(n) > 0 and 2 * max(n) <= sum(n))


@given(COUNTS, st.floats(0, 1), st.integers(0, 5))
def test_every_class_keeps_its_number_and_has_its_share_of_wrong_ones(counts: list[int], rate: float, seed: int) -> None:
    labels = np.concatenate([np.repeat(np.arange(len(counts)), counts), [-1, -1]])
    labels = np.random.default_rng(seed).permutation(labels)
    flipped = flip_proportionally(labels, rate, seed)
    assert (np.bincount(flipped[flipped >= 0], minlength=len(counts)) == counts).all()
    assert ((flipped == -1) == (labels == -1)).all()
    asked = np.array([round(rate * count) for count in counts])
    wrong = np.bincount(labels[flipped != labels], minlength=len(counts))
    # Only where rounding gives one class more than all others together, it has as many as they.
    assert wrong.tolist() == np.minimum(asked, asked.sum() - asked).tolist()
    assert (flip_proportionally(labels, rate, seed) == flipped).all()


def test_a_rare_class_keeps_mostly_right_labels() -> None:
    """Flips to any class alike would make most of its labels wrong."""
    labels = np.repeat([0, 1, 2], [500, 500, 20])
    flipped = flip_proportionally(labels, 0.2, 0)
    assert [int(((flipped == n) & (labels != n)).sum()) for n in range(3)] == [100, 100, 4]


def test_one_class_of_more_than_half_is_refused() -> None:
    with pytest.raises(MienError, match="found one with 3 of 5; flip to any class"):
        flip_proportionally(np.array([0, 0, 0, 1, 1]), 0.2, 0)
    with pytest.raises(MienError, match="a noise rate from 0 to 1"):
        flip_proportionally(np.array([0, 1]), 1.5, 0)
    assert flip_proportionally(np.array([-1, -1]), 0.5, 0).tolist() == [-1, -1]


def test_a_run_and_a_comparison_flip_so(tmp_path: Path) -> None:
    once = small_recipe(stages=[{"epochs": 1, "lr": 0.01}])
    train(bright_faces(), once, tmp_path / "run", TrainingSettings(noise=0.25, proportional_noise=True, threads=1))
    budget = read_card(tmp_path / "run").budget
    assert (budget["noise"], budget["proportional_noise"]) == (0.25, True)
    asked: dict[str, Any] = {"recipes": ("supervised_small",), "noise": (0.0, 0.2), "seeds": 1}
    jobs, plain = (make_plan(Grid(**asked, proportional_noise=how), bright_faces(), None).jobs for how in (True, False))
    assert [job.settings.proportional_noise for job in jobs] == [False, True]
    assert [one.folder == other.folder for one, other in zip(jobs, plain, strict=True)] == [True, False]
    with refused("found one with 60 of 90"):
        faces = bright_faces(90).with_column("label", np.repeat([0, 1, 2], [60, 20, 10]))
        train(faces, once, tmp_path / "none", TrainingSettings(split="all", noise=0.2, proportional_noise=True, threads=1))
