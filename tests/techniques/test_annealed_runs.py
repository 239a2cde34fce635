"""ALT in real runs: the bit-exact way back from a step that is not kept, validation, and what each reading does."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic.dataclasses import dataclass as checked
from torch import Generator, Tensor

from conftest import bright_faces
from mien import MienError, Recipe, TrainingSettings, train
from mien.recognize.run_records import read_history
from mien.settings import STRICT
from mien.techniques import Step
from mien.techniques.step import annealed
from mien.training.losses import LabeledLoss, UnlabeledLoss
from mien.training.run import Run
from mien.training.snapshot import Snapshot
from runs import alt_recipe, begun, changed, dim_faces, labeled_loss, techniques, tensors

ALWAYS: dict[str, Any] = {"accept": "metropolis", "temperature": 1e12, "noise": "literal"}
NEVER: dict[str, Any] = {"slope": 1e12}
"""Settings that keep every trial step, or none."""
few = settings(max_examples=60, deadline=None, derandomize=True)


# The way back.


def losses_of(run: Run, batches: list[Tensor], count: int) -> list[tuple[LabeledLoss, UnlabeledLoss | None]]:
    """The unevaluated losses of the first batches; all views are drawn here, so that they are the same for every step."""
    rows = run.unlabeled[: count * 16].split(16)
    both = zip(batches[:count], rows, strict=True)
    return [(labeled_loss(run, run.pool.fetch(mine)), techniques(run).unlabeled(run, run.pool.fetch(u))) for mine, u in both]


def walked(
    folder: Path, step: dict[str, Any], optimizer: str, tried: bool = True, watch: Callable[[Run], None] | None = None
) -> Run:
    """A real run after three batches; torch's own generator, which dropout draws from, is the same before each."""
    changes = {"stages": [{"epochs": 4, "lr": 0.02, "optimizer": optimizer}], "average": 0.9}
    recipe = Recipe.parse(alt_recipe(**step).table() | changes)
    run, batches = begun(folder, dim_faces(), recipe, TrainingSettings(labels=120))
    if watch is not None:
        watch(run)
    for number, (labeled, unlabeled) in enumerate(losses_of(run, batches, 3)):
        with torch.random.fork_rng():
            torch.manual_seed(number)
            techniques(run).step(run, labeled, unlabeled if tried else None)
    return run


PARTS = ("network.blocks", "network.head", "running_mean", "running_var", "num_batches_tracked", "average.module", "n_averaged")
MEMORY = {"sgd": ("momentum_buffer",), "adam": ("exp_avg", "exp_avg_sq", "step")}


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_rejected_step_leaves_no_trace(tmp_path: Path, optimizer: str) -> None:
    """Three batches with trials that are all rejected are three labeled steps, bit for bit."""
    undone = list[set[str]]()

    def watch(run: Run) -> None:
        put_back = run.optimization.restore

        def restore(snapshot: Snapshot) -> None:
            tried = tensors(run)
            put_back(snapshot)
            undone.append(changed(tried, tensors(run)))

        run.optimization.restore = restore  # type: ignore[method-assign]

    rejected = walked(tmp_path / "a", NEVER, optimizer, watch=watch)
    never_tried = walked(tmp_path / "b", NEVER, optimizer, tried=False)
    assert len(undone) == 3
    for names in undone:
        for part in (*PARTS, *MEMORY[optimizer]):
            assert any(part in name for name in names), f"the trial had changed {part}"
    assert changed(tensors(rejected), tensors(never_tried)) == set()
    assert rejected.notes.values["acceptance"] == [0, 0, 0]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_an_accepted_step_is_kept(tmp_path: Path, optimizer: str) -> None:
    kept = walked(tmp_path / "a", ALWAYS, optimizer)
    names = changed(tensors(kept), tensors(walked(tmp_path / "b", ALWAYS, optimizer, tried=False)))
    for part in (*PARTS, *MEMORY[optimizer]):
        assert any(part in name for name in names), part
    assert kept.notes.values["acceptance"] == [1, 1, 1]


def test_what_an_optimizer_began_to_remember_is_forgotten(tmp_path: Path) -> None:
    run, batches = begun(tmp_path, dim_faces(), alt_recipe(), TrainingSettings(labels=60))
    before, snapshot = tensors(run), run.optimization.snapshot()
    loss = labeled_loss(run, run.pool.fetch(batches[0]))
    for _ in range(2):
        run.descend(loss())
        assert run.optimization.optimizer.state
        run.optimization.restore(snapshot)
        assert not run.optimization.optimizer.state
        assert changed(before, tensors(run)) == set()


def test_a_snapshot_can_be_put_back_again(tmp_path: Path) -> None:
    """What was put back is a copy: going on changes neither the snapshot nor what comes of putting it back again."""
    run, batches = begun(tmp_path, dim_faces(), alt_recipe(), TrainingSettings(labels=60))
    loss = labeled_loss(run, run.pool.fetch(batches[0]))
    run.descend(loss())
    before, snapshot = tensors(run), run.optimization.snapshot()
    for _ in range(3):
        run.descend(loss())
        assert changed(before, tensors(run))
        run.optimization.restore(snapshot)
        assert changed(before, tensors(run)) == set()


# Validation.


def test_validation_losses_are_those_of_a_loop_and_change_nothing(tmp_path: Path) -> None:
    run, batches = begun(tmp_path, dim_faces(), alt_recipe(), TrainingSettings(labels=60))
    loss = labeled_loss(run, run.pool.fetch(batches[0]))
    for _ in range(2):
        run.descend(loss())
    before, rows = tensors(run), torch.tensor([4, 0, 17, 29])
    found = annealed.validation_losses(run, rows)
    assert changed(before, tensors(run)) == set()
    assert run.network.training
    run.network.eval()
    with torch.no_grad():
        logits = run.network(run.views.clean(run.validation.fetch(rows).faces)).double()
        averaged = run.eval_network.eval()(run.views.clean(run.validation.fetch(rows).faces))
    for value, scores, row in zip(found.tolist(), logits.tolist(), rows.tolist(), strict=True):
        label = int(run.data.validation_labels[row])
        expected = math.log(sum(map(math.exp, scores))) - scores[label]
        assert value == pytest.approx(expected, rel=1e-4)
    plain = torch.nn.functional.cross_entropy(averaged, run.data.validation_labels[rows], reduction="none")
    assert not torch.allclose(found, plain), "of the present weights, not of the average"


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.integers(1, 220), st.integers(0, 100))
@few
def test_the_validation_part_keeps_the_classes_proportions(labels: list[int], count: int, seed: int) -> None:
    rows = annealed.stratified(torch.tensor(labels), count, Generator().manual_seed(seed)).tolist()
    assert rows == sorted(set(rows))
    assert len(rows) == min(count, len(labels))
    drawn = [labels[row] for row in rows]
    for label in set(labels):
        share = labels.count(label) * len(rows) / len(labels)
        # Every class is rounded up, at the expense of all in proportion.
        least = share - len(set(labels)) * labels.count(label) / len(labels)
        assert least - 1e-9 <= drawn.count(label) <= share + 1 + 1e-9
        if count >= len(set(labels)):
            assert label in drawn


def asked_for(tmp_path: Path, faces_asked: int) -> tuple[list[list[int]], int]:
    """The validation rows of every evaluation in a run of 2 epochs, and how many validation faces there are."""
    rows = list[list[int]]()
    plain = annealed.validation_losses
    with pytest.MonkeyPatch.context() as patch:

        def watched(run: Run, part: Tensor) -> Tensor:
            rows.append(part.tolist())
            return plain(run, part)

        patch.setattr(annealed, "validation_losses", watched)
        recipe = alt_recipe(2, validation_faces=faces_asked).set("draw.at_least", 4)
        recognizer = train(dim_faces(), recipe, tmp_path / f"{faces_asked}", TrainingSettings(labels=90, threads=1))
    return rows, int(recognizer.card.budget["validation"])


@pytest.mark.parametrize(("asked", "found"), [(9, 9), (0, 45), (256, 45)])
def test_one_part_serves_the_whole_run(tmp_path: Path, asked: int, found: int) -> None:
    rows, validation = asked_for(tmp_path, asked)
    assert validation == 45
    assert len(rows) == 2 * 2 * 4, "before and after each of four batches in two epochs"
    assert len(rows[0]) == found
    assert all(part == rows[0] for part in rows)


@pytest.mark.parametrize("unlabeled", ["pseudo_label", "nothing"])
def test_without_validation_faces_it_is_refused(tmp_path: Path, unlabeled: str) -> None:
    recipe = alt_recipe().set("validation", 0.0).set("unlabeled", unlabeled)
    with pytest.raises(MienError, match="validation faces"):
        train(bright_faces(), recipe, tmp_path / "run", TrainingSettings(labels=30, threads=1))
    assert not (tmp_path / "run").exists()


# Whole runs: what papers/README.md says of each reading.


def acceptance(tmp_path: Path, **step: Any) -> tuple[list[float], list[float]]:
    """Acceptance rates of the epochs while hot, and of those at T = 0."""
    train(dim_faces(), alt_recipe(**step), tmp_path / "run", TrainingSettings(labels=120, threads=1))
    history = read_history(tmp_path / "run")
    hot = [epoch["acceptance"] for epoch in history if epoch["temperature"] > 0]
    cold = [epoch["acceptance"] for epoch in history if epoch["temperature"] == 0]
    assert len(hot) == 3
    assert len(cold) == 1
    return hot, cold


def test_by_default_some_steps_are_kept_while_hot(tmp_path: Path) -> None:
    hot, cold = acceptance(tmp_path)
    assert all(0 < rate < 1 for rate in hot)
    assert all(0 < rate < 1 for rate in cold)


def test_literal_acceptance_keeps_nothing_hot_or_cold(tmp_path: Path) -> None:
    hot, cold = acceptance(tmp_path, accept="literal")
    assert hot == [0, 0, 0]
    assert cold == [0]


@checked(frozen=True, config=STRICT)
class TwoSteps(Step):
    """A step for tests: labeled, then unlabeled, without noise and without a question."""

    def __call__(self, run: Run, labeled: LabeledLoss, unlabeled: UnlabeledLoss | None) -> None:
        """As ALT would with every trial kept; generators are drawn from as it does, so that batches and views are the same."""
        run.state["step"].get("drawn", Tensor, lambda: annealed.stratified(run.data.validation_labels, 256, run.generator))
        run.descend(labeled())
        if unlabeled is not None:
            run.descend(unlabeled())
            torch.rand((), generator=run.view_rng)


def test_literal_noise_gives_the_weights_of_no_noise(tmp_path: Path) -> None:
    """Whatever T is: a constant has no gradient. The default noise gives others."""
    steps = {
        "plain": {"technique": f"{__name__}:TwoSteps"},
        "literal": {"technique": "annealed", **ALWAYS},
        "hotter": {"technique": "annealed", **ALWAYS, "temperature": 1e15},
        "gradient": {"technique": "annealed", **ALWAYS, "noise": "gradient"},
    }
    weights = {}
    for name, step in steps.items():
        # The last epoch, in which T is 0, would ask whether validation gained.
        stages = [{"epochs": 2, "lr": 0.01}, {"epochs": 1, "lr": 0.0}]
        recipe = Recipe.parse(alt_recipe().table() | {"stages": stages, "step": step, "choose": "last", "average": 0.0})
        made = train(dim_faces(), recipe.set("draw.at_least", 5), tmp_path / name, TrainingSettings(labels=60, threads=1))
        weights[name] = {key: value.clone() for key, value in made.network.named_parameters()}
    for name in ("literal", "hotter"):
        assert changed(weights["plain"], weights[name]) == set(), name
    assert changed(weights["plain"], weights["gradient"])
