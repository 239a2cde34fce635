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
from mien.training import validation_part
from mien.training.losses import LabeledLoss, Perturb, UnlabeledLoss
from mien.training.run import Run
from mien.training.snapshot import Snapshot, still_buffers
from runs import alt_recipe, begun, changed, dim_faces, labeled_loss, techniques, tensors

ALWAYS: dict[str, Any] = {"accept": "metropolis", "temperature": 1e12, "noise": "literal"}
NEVER: dict[str, Any] = {"slope": 1e12}
"""Settings that keep every trial step, or none."""
STILL_NETWORK = {"network": "mien_s", "width": 8, "depths": [1, 1, 1], "dropout": 0.0}
"""The tiny network without dropout: it answers the same again."""
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


STILL = ("running_mean", "running_var", "num_batches_tracked")


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
            assert all(parameter.grad is not None for parameter in run.network.parameters()), "that of the labeled step"

        run.optimization.restore = restore  # type: ignore[method-assign]

    rejected = walked(tmp_path / "a", NEVER, optimizer, watch=watch)
    never_tried = walked(tmp_path / "b", NEVER, optimizer, tried=False)
    assert len(undone) == 3
    weights = {f"network.{name}" for name, _ in rejected.network.named_parameters()}
    for names in undone:
        assert names == weights, "the trial had changed all weights, and neither statistics nor momentum nor average"
    assert changed(tensors(rejected), tensors(never_tried)) == set()
    assert rejected.notes.values["acceptance"] == [0, 0, 0]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_an_accepted_step_is_kept(tmp_path: Path, optimizer: str) -> None:
    kept = walked(tmp_path / "a", ALWAYS, optimizer)
    names = changed(tensors(kept), tensors(walked(tmp_path / "b", ALWAYS, optimizer, tried=False)))
    for part in ("network.blocks", "network.head", "average.module"):
        assert any(part in name for name in names), part
    assert kept.notes.values["acceptance"] == [1, 1, 1]
    assert kept.optimization.average is not None
    assert int(kept.optimization.average.n_averaged) == 3, "the average moves once a batch, as in a control"


@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 1.0), ("adamw", 1.0), ("sgd", 10.0)])
def test_a_trial_is_a_plain_step_down_the_unlabeled_gradient(tmp_path: Path, optimizer: str, rate: float) -> None:
    """theta - rate lr g exactly, whatever the optimizer remembers of labeled steps, and its decay; frozen blocks stay."""
    stages = [{"epochs": 4, "lr": 0.02, "optimizer": optimizer, "weight_decay": 0.3, "frozen": ["stem"]}]
    recipe = Recipe.parse(alt_recipe(**ALWAYS, rate=rate).table() | {"stages": stages, "model": STILL_NETWORK})
    run, batches = begun(tmp_path, dim_faces(), recipe, TrainingSettings(labels=120))
    for labeled, unlabeled in losses_of(run, batches, 3):
        assert unlabeled is not None
        reached, plain = list[dict[str, Tensor]](), run.optimization.plain_step

        def watched(loss: Tensor, rate: float, reached: list[dict[str, Tensor]] = reached, plain: Any = plain) -> None:
            reached.append({name: value.detach().clone() for name, value in run.network.state_dict().items()})
            plain(loss, rate)

        run.optimization.plain_step = watched  # type: ignore[method-assign]
        techniques(run).step(run, labeled, unlabeled)
        run.optimization.plain_step = plain  # type: ignore[method-assign]
        after = {name: value.detach().clone() for name, value in run.network.state_dict().items()}
        (start,) = reached
        run.network.load_state_dict(start)
        learned = {name: value for name, value in run.network.named_parameters() if value.requires_grad}
        slopes = torch.autograd.grad(unlabeled(), list(learned.values()))
        for (name, value), slope in zip(learned.items(), slopes, strict=True):
            assert torch.equal(after[name], value.detach() - rate * 0.02 * slope), name
        others = [name for name, value in run.network.named_parameters() if not value.requires_grad]
        assert others
        assert all(torch.equal(after[name], start[name]) for name in others)
        run.network.load_state_dict(after)


def test_a_trial_moves_no_running_statistics(tmp_path: Path) -> None:
    """Kept or not, unlabeled faces leave batch statistics to the labeled ones."""
    runs = [walked(tmp_path / "a", ALWAYS | {"rate": 1e-9}, "sgd"), walked(tmp_path / "b", NEVER, "sgd", tried=False)]
    first, second = ({name: value for name, value in tensors(run).items() if "network" in name} for run in runs)
    still = [name for name in first if any(part in name for part in STILL)]
    assert still
    for name in still:
        assert torch.allclose(first[name], second[name], rtol=1e-5, atol=1e-6), name


@pytest.mark.parametrize("accept", ["budget", "epoch", "literal", "metropolis", "paired"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_unlabeled_gradient_of_zero_moves_nothing_and_gains_nothing(tmp_path: Path, accept: str, precision: str) -> None:
    """No momentum and no drift of statistics is judged: the gain is 0, and the verdict the control's."""
    recipe = Recipe.parse(alt_recipe(accept=accept).table() | {"precision": precision})
    run, batches = begun(tmp_path, dim_faces(), recipe, TrainingSettings(labels=120))
    for labeled, unlabeled in losses_of(run, batches, 3):
        assert unlabeled is not None

        def without(perturb: Perturb | None = None, unlabeled: UnlabeledLoss = unlabeled) -> Tensor:
            loss = unlabeled(perturb)
            return 0 * loss + loss.detach()

        gains, plain = list[float](), validation_part.gain

        def watched(before: Tensor, after: Tensor, gains: list[float] = gains, plain: Any = plain) -> float:
            gains.append(plain(before, after))
            return gains[-1]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(annealed, "gain", watched)
            techniques(run).step(run, labeled, without)
        assert set(gains) == {0.0}
    assert len(run.notes.values["acceptance"]) == 3
    assert run.notes.values["acceptance"] == run.notes.values["acceptance_control"]


def test_the_clock_begins_with_pseudo_labels(tmp_path: Path) -> None:
    """Three epochs of labels alone: T0 is of the loss then, and T falls over the five epochs that are left."""
    seen = list[float]()
    recipe = alt_recipe(8).set("unlabeled.start", 3).set("draw.at_least", 2)
    with pytest.MonkeyPatch.context() as patch:
        plain = annealed.Annealed.__call__

        def watched(self: annealed.Annealed, run: Run, labeled: LabeledLoss, unlabeled: UnlabeledLoss | None) -> None:
            plain(self, run, labeled, unlabeled)
            seen.append(float(labeled.heads))

        patch.setattr(annealed.Annealed, "__call__", watched)
        train(dim_faces(), recipe, tmp_path / "run", TrainingSettings(labels=60, threads=1))
    history = read_history(tmp_path / "run")
    assert all("temperature" not in epoch and "acceptance" not in epoch for epoch in history[:3])
    shares = [1 - epoch / 3.75 for epoch in range(4)] + [0]
    assert [epoch["temperature"] for epoch in history[3:]] == pytest.approx([0.2 * seen[6] * share for share in shares])


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
    found = validation_part.validation_losses(run, rows)
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
    rows = validation_part.stratified(torch.tensor(labels), count, Generator().manual_seed(seed)).tolist()
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
    plain = validation_part.validation_losses
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
        run.state["step"].get("drawn", Tensor, lambda: validation_part.stratified(run.data.validation_labels, 256, run.generator))
        run.descend(labeled())
        if unlabeled is not None:
            with still_buffers(run.network):
                run.optimization.plain_step(unlabeled(), run.optimization.rate)
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
