"""Sample weights (ST+SW, Eq. 6-8) against loops, and whether they tell wrong labels from right ones."""

import math
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from conftest import bright_faces, small_recipe
from mien import FaceSet, MienError, TrainingSettings, train
from mien.data.format import to_table
from mien.data.sources.synthetic import Synthetic
from mien.evaluation.sample_weights import flip_auroc
from mien.recognize.run_records import read_history
from mien.techniques.weigh.importance import Importance, change, lowered, rises
from mien.training.memory import Memory
from mien.training.notes import Notes
from mien.training.run import Predictions, Run
from runs import begun, fake_run, labeled_loss, refresh, taught_hard

few = settings(max_examples=60, deadline=None, derandomize=True)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=12), st.integers(1, 5))
@few
def test_the_trigger_is_the_rise_of_the_average(losses: list[int], window: int) -> None:
    """The average over the last `window` epochs is above that of an epoch before: exactly L_v(t) > L_v(t - window)."""
    expected = False
    if len(losses) > window:
        now, before = losses[-window:], losses[-window - 1 : -1]
        expected = Fraction(sum(now), window) > Fraction(sum(before), window)
    assert rises([float(loss) for loss in losses], window) == expected


@given(st.lists(st.floats(0, 10), min_size=1, max_size=30), st.floats(0, 1), st.floats(0.1, 5), st.integers(0, 1000))
@few
def test_weights_move_by_equations_7_and_8(losses: list[float], c: float, sigma: float, seed: int) -> None:
    weights = torch.rand(len(losses), generator=Generator().manual_seed(seed))
    found = lowered(weights, change(torch.tensor(losses), c, sigma))
    average = sum(losses) / len(losses)
    for new, old, loss in zip(found.tolist(), weights.tolist(), losses, strict=True):
        assert new == pytest.approx(min(1.0, max(0.0, old - c * math.tanh((loss - average) / sigma))), abs=1e-5)
        assert 0 <= new <= 1
        if loss > average + 1e-4:
            assert new <= old


LABELS = [0, 1, 0, -1, 1, 0, -1]
LOSSES = torch.tensor([0.1, 2.5, 0.4, 9.0, 1.0, 6.0, 0.0])
CHANCES = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.5, 0.5], [0.4, 0.6], [0.01, 0.99], [1.0, 0.0]])


def weighing_run(validation: list[float], epoch: int = 0, epochs: int = 10, faces: int = 5) -> Run:
    """A run after epochs with these validation losses."""
    labels = torch.tensor(LABELS)
    return fake_run(
        state=defaultdict(Memory),
        labels=labels,
        labeled=torch.nonzero(labels >= 0).squeeze(1),
        device=torch.device("cpu"),
        history=[{"validation_loss": loss} for loss in validation],
        epoch=epoch,
        stage_epochs=epochs,
        data=SimpleNamespace(validation_labels=torch.zeros(faces)),
        predictions=lambda: Predictions(CHANCES, LOSSES),
        notes=Notes(),
    )


def naive_weights(f: list[float], c: float, sigma: float = 2.0) -> list[float]:
    """Once from 1; the average is over labeled faces alone, and unlabeled ones stay at 1."""
    mine = [loss for loss, label in zip(f, LABELS, strict=True) if label >= 0]
    average = sum(mine) / len(mine)
    moved = [min(1.0, max(0.0, 1 - c * math.tanh((loss - average) / sigma))) for loss in f]
    return [weight if label >= 0 else 1.0 for weight, label in zip(moved, LABELS, strict=True)]


def test_weights_move_only_when_the_validation_loss_rises() -> None:
    for validation in ([], [1.0], [1, 2, 3], [1, 2, 3, 1], [1, 2, 3, 0.9], [9, 1, 5, 7, 1.0]):
        assert Importance()(weighing_run([float(loss) for loss in validation])).tolist() == [1.0] * 7
    found = Importance()(weighing_run([1.0, 0.5, 0.2, 1.1]))
    assert found.tolist() == pytest.approx(naive_weights(LOSSES.tolist(), 0.3), abs=1e-6)
    assert found.min() < 1


def test_weights_go_on_from_where_they_were_and_stay_in_0_to_1() -> None:
    run, expected = weighing_run([1.0, 1.0, 1.0, 2.0]), [1.0] * 7
    labeled = [loss for loss, label in zip(LOSSES.tolist(), LABELS, strict=True) if label >= 0]
    average = sum(labeled) / len(labeled)
    for _ in range(6):
        found = Importance(c=0.4)(run)
        for row, (loss, label) in enumerate(zip(LOSSES.tolist(), LABELS, strict=True)):
            if label >= 0:
                expected[row] = min(1.0, max(0.0, expected[row] - 0.4 * math.tanh((loss - average) / 2)))
        assert found.tolist() == pytest.approx(expected, abs=1e-5)
    assert found[5] == 0
    assert found[0] == 1
    found.zero_()
    assert Importance(c=0.0)(run).tolist() == pytest.approx(expected, abs=1e-5), "what was given away is a copy"


def test_against_the_label_the_loss_is_that_of_the_given_label() -> None:
    run = weighing_run([1.0, 0.5, 0.2, 1.1])
    found = Importance(against="label")(run)
    losses = [-math.log(chances[max(label, 0)]) for chances, label in zip(CHANCES.tolist(), LABELS, strict=True)]
    assert found.tolist() == pytest.approx(naive_weights(losses, 0.3), abs=1e-5)


def test_a_face_that_the_network_rules_out_has_a_finite_loss() -> None:
    run = weighing_run([1.0])
    run.labels[5] = 0
    run.predictions = lambda: Predictions(torch.tensor([[0.0, 1.0]]).repeat(7, 1), LOSSES)  # type: ignore[method-assign]
    assert Importance(against="label", when="always")(run).isfinite().all()


@pytest.mark.parametrize(("epoch", "share"), [(0, 1.0), (3, 0.7), (9, 0.1)])
@pytest.mark.parametrize("against", ["target", "label"])
def test_always_anneals_c_over_the_stage(epoch: int, share: float, against: Literal["target", "label"]) -> None:
    """c falls to 0; falling validation losses, or none at all, do not matter."""
    run = weighing_run([3.0, 2.0, 1.0], epoch, 10, faces=0)
    losses = LOSSES.tolist()
    if against == "label":
        losses = [-math.log(chances[max(label, 0)]) for chances, label in zip(CHANCES.tolist(), LABELS, strict=True)]
    found = Importance(when="always", against=against)(run)
    assert found.tolist() == pytest.approx(naive_weights(losses, 0.3 * share), abs=1e-5)


def test_before_the_first_epoch_all_weights_are_1() -> None:
    assert Importance(when="always")(weighing_run([], faces=0)).tolist() == [1.0] * 7


def test_without_validation_the_trigger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"weigh\.when"):
        Importance()(weighing_run([], faces=0))
    recipe = small_recipe(weigh="importance", validation=0.0)
    with pytest.raises(MienError, match="validation faces"):
        train(bright_faces(), recipe, tmp_path / "run", TrainingSettings(threads=1))
    assert not (tmp_path / "run").exists()
    always = recipe.set("weigh.when", "always")
    assert train(bright_faces(), always, tmp_path / "run", TrainingSettings(threads=1)).card.budget["validation"] == 0


def test_the_batch_loss_divides_by_the_batch_size(tmp_path: Path) -> None:
    """Eq. 6: weights are not normalized; half of the weight is half of the loss."""
    run, batches = begun(tmp_path, bright_faces(), small_recipe(model={"network": "mien_s", "width": 8, "dropout": 0.0}))
    rows = batches[0]
    run.weights = torch.rand(len(run.labels), generator=Generator().manual_seed(0))
    noise = run.view_rng.get_state()
    loss = labeled_loss(run, run.pool.fetch(rows))()
    run.view_rng.set_state(noise)
    with torch.no_grad():
        logits = run.network(run.view(run.pool.fetch(rows), "weak")).double().tolist()
    total = 0.0
    for row, scores in zip(rows.tolist(), logits, strict=True):
        f = math.log(sum(map(math.exp, scores))) - scores[int(run.labels[row])]
        total += float(run.weights[row]) * f
    assert loss.item() == pytest.approx(total / len(rows), rel=1e-4)
    run.weights /= 2
    run.view_rng.set_state(noise)
    assert labeled_loss(run, run.pool.fetch(rows))().item() == pytest.approx(loss.item() / 2, rel=1e-5)


def test_losses_are_against_the_targets_that_were_taught(tmp_path: Path) -> None:
    """Weights come before targets: f_i of epoch t is against q of epoch t, not of t + 1."""
    recipe = small_recipe(targets={"technique": "successive", "alpha": 0.4}, weigh={"technique": "importance", "when": "always"})
    run, batches = begun(tmp_path, bright_faces(), recipe.set("average", 0.0), TrainingSettings(labels=60))
    taught_hard(run, batches)
    taught = run.targets.clone()
    run.history.append({"validation_loss": 1.0})
    refresh(run)
    assert not torch.equal(run.targets, taught)
    run.network.eval()
    with torch.no_grad():
        likely = run.network(run.views.clean(run.pool.fetch(run.labeled).faces)).log_softmax(1)
    f = -(taught[run.labeled] * likely).sum(1)
    expected = (1 - 0.3 * torch.tanh((f - f.mean()) / 2)).clamp(0, 1)
    assert torch.allclose(run.weights[run.labeled], expected, atol=1e-5)
    assert (run.weights[run.unlabeled] == 1).all()


# What it is for.


def three_expressions() -> FaceSet:
    """Drawn faces of happiness, surprise and neutral, with their true labels."""
    source, wanted = Synthetic(people=60, faces=2000, side=32), ("happiness", "neutral", "surprise")
    blocks = list(source.blocks())
    table = pa.concat_tables([to_table(block.columns) for block in blocks])
    classes = [source.info().classes.index(name) for name in wanted]
    labels = table.column("label").to_numpy()
    keep = np.isin(labels, classes)
    labels = np.searchsorted(classes, labels[keep])
    columns = {"split": table.column("split").filter(pa.array(keep)), "true_label": labels}
    return FaceSet.from_arrays(np.concatenate([block.faces for block in blocks])[keep], labels, wanted, columns)


def test_weights_tell_wrong_labels_from_right_ones(tmp_path: Path) -> None:
    """30 % of the labels are flipped: a flipped face weighs less than a true one in more than 7 of 10 pairs."""
    faces = three_expressions()
    recipe = small_recipe(
        model={"network": "mien_s", "width": 8, "depths": [1, 1, 1], "dropout": 0.0},
        weigh={"technique": "importance", "when": "always", "against": "label", "sigma": 1.0},
        stages=[{"epochs": 16, "lr": 0.05, "schedule": "one_cycle"}],
        augment={"weak": {"rotation": 5, "contrast": 0.2, "zoom": 0.05}},
        normalize="face",
        batch=32,
        validation=0.1,
    )
    train(faces, recipe, tmp_path / "run", TrainingSettings(noise=0.3, threads=1))
    found = pq.read_table(tmp_path / "run" / "weights.parquet").to_pydict()
    truth = dict(zip(faces.values("id"), faces.labels, strict=True))
    flipped = [truth[name] != label for name, label in zip(found["id"], found["label"], strict=True)]
    assert 0.25 < np.mean(flipped) < 0.35
    assert flip_auroc(found["weight"], flipped) > 0.7
    assert read_history(tmp_path / "run")[-1]["weight"] == pytest.approx(np.mean(found["weight"]), abs=1e-5)
