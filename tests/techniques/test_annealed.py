"""ALT's step against Algorithm 1: its numbers, its decisions, and the bit-exact way back from a step that is not kept."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic.dataclasses import dataclass as checked
from scipy import stats
from torch import Generator, Tensor

from conftest import bright_faces, small_recipe
from mien import FaceSet, MienError, Order, Recipe, train
from mien.recognize.files import read_history
from mien.registry import STRICT
from mien.techniques import Perturb, Unevaluated, UnlabeledLoss
from mien.techniques.step.annealed import Annealed, gain, gradient_noise, label_noise, significance, temperature
from mien.training.loop import labeled_loss
from mien.training.run import Run
from mien.training.snapshot import Snapshot
from runs import begun, changed, dim_faces, fake_run, tensors

ALWAYS: dict[str, Any] = {"accept": "metropolis", "temperature": 1e12, "noise": "literal"}
NEVER: dict[str, Any] = {"slope": 1e12}
"""Settings that keep every trial step, or none."""
ACCEPT = ("budget", "literal", "metropolis", "paired")
few = settings(max_examples=60, deadline=None, derandomize=True)


def alt_recipe(epochs: int = 4, **step: Any) -> Recipe:
    """ALT on the tiny network: 20 batches an epoch, half of the labels validate."""
    return small_recipe(
        unlabeled="pseudo_label",
        step={"technique": "annealed", **step},
        stages=[{"epochs": epochs, "lr": 0.01}],
        draw={"technique": "shuffled", "at_least": 20},
        unlabeled_batch=16,
        validation=0.5,
    )


# The temperature.


@given(st.floats(0.01, 3), st.integers(1, 200))
@few
def test_temperature_is_the_loop_of_algorithm_1(first: float, epochs: int) -> None:
    hot = first
    for epoch in range(epochs):
        assert temperature(first, epoch, epochs) == pytest.approx(max(0.0, hot), abs=1e-9 * first)
        hot = max(0.0, hot - first / (0.75 * epochs))


@given(st.floats(0.01, 3), st.integers(1, 400), st.integers(0, 500))
@few
def test_temperature_begins_at_t0_and_is_0_over_the_last_quarter(first: float, epochs: int, epoch: int) -> None:
    assert temperature(first, 0, epochs) == first
    found = temperature(first, epoch, epochs)
    assert 0 <= found <= first
    assert found >= temperature(first, epoch + 1, epochs)
    if 4 * epoch >= 3 * epochs:
        assert found == 0


def test_a_run_cools_from_a_fifth_of_its_first_loss(tmp_path: Path) -> None:
    """T0 is that of the first labeled batch, frozen; where an earlier stage has another step, T begins after it."""
    first, seen = {"epochs": 1, "lr": 0.01, "answers": {"step": "descend"}}, list[float]()
    recipe = alt_recipe().set("draw.at_least", 2).table() | {"stages": [first, {"epochs": 4, "lr": 0.01}]}
    with pytest.MonkeyPatch.context() as patch:
        plain = Annealed._begin

        def watched(self: Annealed, run: Run, memory: dict[str, Any], loss: float) -> None:
            seen.append(loss)
            plain(self, run, memory, loss)

        patch.setattr(Annealed, "_begin", watched)
        train(dim_faces(), Recipe.parse(recipe), tmp_path / "run", Order(labels=60, threads=1))
    history = read_history(tmp_path / "run")
    assert len(seen) == 1
    assert "temperature" not in history[0]
    found = [epoch["temperature"] for epoch in history[1:]]
    assert found == pytest.approx([0.2 * seen[0] * share for share in (1, 2 / 3, 1 / 3, 0)], abs=1e-12)


# The noise.


@given(st.floats(1e-3, 5), st.floats(0, 3), st.integers(0, 1000))
@few
def test_gradient_noise_is_the_clamped_ratio(loss: float, hot: float, seed: int) -> None:
    found = gradient_noise(torch.tensor(loss), hot, Generator().manual_seed(seed)).item()
    xi = 2 * torch.rand((), generator=Generator().manual_seed(seed)).item() - 1
    assert 0 <= found <= 2
    assert found == pytest.approx(min(2.0, max(0.0, (loss + hot * xi) / loss)), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("hot", [0.1, 0.4, 0.8])
def test_gradient_noise_is_unbiased_and_uniform_while_unclamped(hot: float) -> None:
    generator, loss = Generator().manual_seed(0), torch.tensor(0.8)
    factors = [gradient_noise(loss, hot, generator).item() for _ in range(2000)]
    low, width = 1 - hot / 0.8, 2 * hot / 0.8
    assert stats.kstest(factors, "uniform", (low, width)).pvalue > 0.01
    assert np.mean(factors) == pytest.approx(1, abs=4 * width / math.sqrt(12 * 2000))


@given(st.floats(1e-6, 10), st.integers(0, 1000))
@few
def test_without_temperature_gradients_and_labels_are_left_alone(loss: float, seed: int) -> None:
    generator = Generator().manual_seed(seed)
    assert gradient_noise(torch.tensor(loss), 0.0, generator).item() == 1
    chances = torch.randn(4, 5, generator=generator).softmax(1)
    assert torch.equal(label_noise(chances, 0.0, generator), chances)


def test_gradient_noise_of_a_loss_of_0_is_a_number() -> None:
    factor = gradient_noise(torch.tensor(0.0), 0.3, Generator().manual_seed(0))
    assert 0 <= factor <= 2


@given(st.floats(0.01, 1), st.integers(0, 1000))
@few
def test_label_noise_moves_every_probability_by_at_most_t(hot: float, seed: int) -> None:
    generator = Generator().manual_seed(seed)
    chances = (torch.randn(200, 3, generator=generator) * 2).softmax(1)
    found = label_noise(chances, hot, Generator().manual_seed(seed))
    moved = found - chances
    assert moved.abs().max() <= hot + 1e-6
    assert len(moved.flatten().unique()) > 500, "xi_k is drawn anew for every face and class"
    top = chances.topk(2, dim=1).values
    clear = top[:, 0] - top[:, 1] > 2 * hot
    assert torch.equal(found.argmax(1)[clear], chances.argmax(1)[clear])
    # Where T is as large as the lead, some weak boundary is crossed: that is what its Fig. 1a shows.
    if hot > 0.3:
        assert (found.argmax(1) != chances.argmax(1)).any()


# What is done and what is decided, on a run that answers as the test says.


@dataclass
class Seen:
    """What a step did."""

    kept: bool
    descended: list[Any]
    notes: dict[str, float]
    rows: list[Any]


LOGITS = torch.tensor([[2.0, 0.0, 0.1], [0.3, 0.2, 0.0], [0.0, 1.0, 0.9]])


def unlabeled_loss(theta: Tensor, labels: list[Any]) -> UnlabeledLoss:
    """0.8 theta^2, whose gradient at 1 is 1.6; pseudo-labels come from LOGITS."""

    def evaluate(perturb: Perturb | None = None) -> Tensor:
        chances = LOGITS.softmax(1)
        labels.append((chances if perturb is None else perturb(chances)).argmax(1).tolist())
        return 0.8 * theta.square()

    return evaluate


def stepped(
    technique: Annealed,
    before: list[float],
    after: list[float],
    epoch: int = 0,
    first: float = 1.0,
    state: dict[str, Any] | None = None,
    seed: int = 0,
    labels: list[Any] | None = None,
) -> Seen:
    """One step in `epoch` of 4, 10 batches each, whose validation losses are `before` and `after` the trial."""
    theta = torch.ones((), requires_grad=True)
    seen = Seen(True, [], {}, [])
    losses = iter([torch.tensor(before), torch.tensor(after)])
    token = object()

    def restore(snapshot: object) -> None:
        assert snapshot is token
        seen.kept = False

    def validation_losses(rows: Any) -> Tensor:
        seen.rows.append(rows)
        return next(losses)

    def descend(loss: Tensor) -> None:
        seen.descended.append(0.0 if not loss.requires_grad else torch.autograd.grad(loss, theta)[0].item())

    run = fake_run(
        state=state if state is not None else {},
        history=[{}] * epoch if state is not None else [],
        epochs=4,
        batches=10,
        noise=Generator().manual_seed(seed),
        validation_labels=torch.zeros(len(before)),
        stratified_validation=lambda count: count,
        validation_losses=validation_losses,
        snapshot=lambda: token,
        restore=restore,
        descend=descend,
        note=lambda name, value: seen.notes.update({name: value}),
    )
    technique(run, lambda: torch.tensor(first), unlabeled_loss(theta, labels if labels is not None else []))
    return seen


def decided(technique: Annealed, before: list[float], after: list[float], share: float, seed: int = 0) -> bool:
    """Whether a step is kept at temperature `share` * T0, where T0 is 0.2."""
    epoch = round((1 - share) * 3)
    memory = {"step": {"first": 0.2, "began": 0, "faces": None}}
    seen = stepped(technique, before, after, epoch, state=memory, seed=seed)
    assert seen.notes == {"temperature": pytest.approx(0.2 * share, abs=1e-12), "acceptance": float(seen.kept)}
    return seen.kept


@pytest.mark.parametrize(("share", "beta"), [(1.0, 0.015), (2 / 3, 0.010), (1 / 3, 0.005)])
def test_budget_asks_for_an_epochs_worth_shared_among_its_batches(share: float, beta: float) -> None:
    """beta(T) = 0.75 T is 0.15 at T0 = 0.2, and there are ten batches."""
    assert decided(Annealed(), [1.0, 2.0], [1.0 - 0.9 * beta, 2.0 - 1.2 * beta], share)
    assert not decided(Annealed(), [1.0, 2.0], [1.0 - 0.9 * beta, 2.0 - beta], share)


def test_budget_at_0_keeps_what_does_no_harm() -> None:
    assert decided(Annealed(), [1.0, 2.0], [2.0, 1.0], 0)
    assert not decided(Annealed(), [1.0, 2.0], [1.001, 2.0], 0)


def test_literal_asks_for_all_of_beta_at_once_and_at_0_for_the_impossible() -> None:
    literal = Annealed(accept="literal")
    assert not decided(literal, [1.0], [0.86], 1)
    assert decided(literal, [1.0], [0.84], 1)
    for after in (0.999, 0.5, 0.0):
        assert not decided(literal, [1.0], [after], 0), "gain > beta(0) > 0 is gain > 0 > 0"


@given(st.floats(0.01, 1), st.sampled_from([0.0, 1 / 3, 2 / 3, 1.0]), st.integers(0, 50))
@few
def test_metropolis_keeps_every_gain(gained: float, share: float, seed: int) -> None:
    technique = Annealed(accept="metropolis")
    assert decided(technique, [1.0], [1.0 - gained], share, seed)
    assert decided(technique, [1.0], [1.0], share, seed)
    assert not decided(technique, [1.0], [1.0 + gained], 0, seed)


@pytest.mark.parametrize(("share", "loss"), [(1.0, 0.05), (1.0, 0.3), (1 / 3, 0.05)])
def test_metropolis_keeps_a_loss_with_its_probability(share: float, loss: float) -> None:
    kept = sum(decided(Annealed(accept="metropolis"), [1.0], [1.0 + loss], share, seed) for seed in range(600))
    assert stats.binomtest(kept, 600, math.exp(-loss / (0.2 * share))).pvalue > 0.01


@given(st.integers(0, 10_000), st.sampled_from([0.0, 1 / 3, 2 / 3, 1.0]))
@few
def test_paired_is_scipys_paired_test(seed: int, share: float) -> None:
    generator = np.random.default_rng(seed)
    before = generator.gamma(2, size=40).astype(np.float32)
    after = (before + generator.normal(-0.02, 0.1, 40)).astype(np.float32)
    statistic = float(stats.ttest_rel(before.astype(np.float64), after.astype(np.float64)).statistic)
    assert significance(torch.tensor(before), torch.tensor(after)) == pytest.approx(statistic, rel=1e-4, abs=1e-5)
    kept = decided(Annealed(accept="paired"), before.tolist(), after.tolist(), share)
    assert kept == (statistic >= 1.645 * share)


def test_gain_and_significance_at_their_corners() -> None:
    losses = torch.tensor([0.5, 2.0, 1.0])
    assert gain(losses, losses - 0.25) == pytest.approx(0.25)
    assert gain(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 1.0])) == pytest.approx(0.5)
    assert significance(losses, losses) == 0
    assert significance(losses, losses - 0.5) == math.inf
    assert significance(losses, losses + 0.5) == -math.inf
    assert significance(losses[:1], losses[:1] + 1) == -math.inf


@pytest.mark.parametrize("accept", ACCEPT)
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_step_to_what_is_no_number_is_never_kept(accept: Any, share: float) -> None:
    assert not decided(Annealed(accept=accept), [1.0, 1.0, 2.0], [0.5, math.nan, 0.5], share)
    assert not decided(Annealed(accept=accept), [1.0, 1.0, 2.0], [math.nan] * 3, share)
    assert not decided(Annealed(accept=accept), [1.0, 1.0, 2.0], [0.5, math.inf, 0.5], share)


@pytest.mark.parametrize("accept", ACCEPT)
def test_a_temperature_of_0_throughout_is_no_error(accept: Any) -> None:
    seen = stepped(Annealed(temperature=0.0, accept=accept), [1.0, 2.0], [0.5, 1.4])
    assert seen.kept == (accept != "literal")


def test_gradient_noise_scales_the_step() -> None:
    """At first loss 1, T0 is 0.2; the labeled step comes first, its loss a constant here."""
    for seed in range(5):
        seen = stepped(Annealed(), [1.0], [0.5], seed=seed)
        xi = 2 * torch.rand((), generator=Generator().manual_seed(seed)).item() - 1
        assert seen.descended == [0.0, pytest.approx(1.6 * (0.8 + 0.2 * xi) / 0.8, rel=1e-5)]


def test_literal_noise_has_no_gradient() -> None:
    for hot in (0.0, 0.2, 5.0):
        assert stepped(Annealed(noise="literal", temperature=hot), [1.0], [0.5]).descended[1] == pytest.approx(1.6)


def test_label_noise_changes_pseudo_labels_and_nothing_else() -> None:
    plain = LOGITS.argmax(1).tolist()
    found = list[list[int]]()
    for seed in range(30):
        seen = stepped(Annealed(noise="labels"), [1.0], [0.5], first=5.0, seed=seed, labels=found)
        assert seen.descended[1] == pytest.approx(1.6), "the gradient's size stays"
    assert any(labels != plain for labels in found)
    found.clear()
    for noise in ("gradient", "literal"):
        stepped(Annealed(noise=noise), [1.0], [0.5], first=5.0, labels=found)
    assert found == [plain, plain]


def test_the_validation_part_is_chosen_once(faces: FaceSet) -> None:
    state = dict[str, Any]()
    seen = stepped(Annealed(), [1.0] * 300, [0.5] * 300, state=state)
    assert seen.rows == [256, 256], "asked for by count here"
    assert stepped(Annealed(validation_faces=0), [1.0] * 300, [0.5] * 300).rows == [300, 300]
    assert stepped(Annealed(), [1.0], [0.5], epoch=2, state=state).rows == [256, 256]
    assert state["step"]["first"] == pytest.approx(0.2), "frozen"


# The way back.


def losses_of(run: Run, batches: list[Tensor], count: int) -> list[tuple[Unevaluated, UnlabeledLoss]]:
    """The unevaluated losses of the first batches; all views are drawn here, so that they are the same for every step."""
    rows = run.unlabeled[: count * 16].split(16)
    both = zip(batches[:count], rows, strict=True)
    return [(labeled_loss(run, run.pool.fetch(mine), []), run.components.unlabeled(run, run.pool.fetch(u))) for mine, u in both]


def walked(
    folder: Path, step: dict[str, Any], optimizer: str, tried: bool = True, watch: Callable[[Run], None] | None = None
) -> Run:
    """A real run after three batches; torch's own generator, which dropout draws from, is the same before each."""
    changes = {"stages": [{"epochs": 4, "lr": 0.02, "optimizer": optimizer}], "average": 0.9}
    recipe = Recipe.parse(alt_recipe(**step).table() | changes)
    run, batches = begun(folder, dim_faces(), recipe, Order(labels=120))
    if watch is not None:
        watch(run)
    for number, (labeled, unlabeled) in enumerate(losses_of(run, batches, 3)):
        with torch.random.fork_rng():
            torch.manual_seed(number)
            run.components.step(run, labeled, unlabeled if tried else None)
    return run


PARTS = ("network.blocks", "network.head", "running_mean", "running_var", "num_batches_tracked", "average.module", "n_averaged")
MEMORY = {"sgd": ("momentum_buffer",), "adam": ("exp_avg", "exp_avg_sq", "step")}


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_rejected_step_leaves_no_trace(tmp_path: Path, optimizer: str) -> None:
    """Three batches with trials that are all rejected are three labeled steps, bit for bit."""
    undone = list[set[str]]()

    def watch(run: Run) -> None:
        put_back = run.restore

        def restore(snapshot: Snapshot) -> None:
            tried = tensors(run)
            put_back(snapshot)
            undone.append(changed(tried, tensors(run)))

        run.restore = restore  # type: ignore[method-assign]

    rejected = walked(tmp_path / "a", NEVER, optimizer, watch=watch)
    never_tried = walked(tmp_path / "b", NEVER, optimizer, tried=False)
    assert len(undone) == 3
    for names in undone:
        for part in (*PARTS, *MEMORY[optimizer]):
            assert any(part in name for name in names), f"the trial had changed {part}"
    assert changed(tensors(rejected), tensors(never_tried)) == set()
    assert rejected.notes["acceptance"] == [0, 0, 0]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_an_accepted_step_is_kept(tmp_path: Path, optimizer: str) -> None:
    kept = walked(tmp_path / "a", ALWAYS, optimizer)
    names = changed(tensors(kept), tensors(walked(tmp_path / "b", ALWAYS, optimizer, tried=False)))
    for part in (*PARTS, *MEMORY[optimizer]):
        assert any(part in name for name in names), part
    assert kept.notes["acceptance"] == [1, 1, 1]


def test_what_an_optimizer_began_to_remember_is_forgotten(tmp_path: Path) -> None:
    run, batches = begun(tmp_path, dim_faces(), alt_recipe(), Order(labels=60))
    before, snapshot = tensors(run), run.snapshot()
    loss = labeled_loss(run, run.pool.fetch(batches[0]), [])
    for _ in range(2):
        run.descend(loss())
        assert run.optimizer.state
        run.restore(snapshot)
        assert not run.optimizer.state
        assert changed(before, tensors(run)) == set()


def test_a_snapshot_can_be_put_back_again(tmp_path: Path) -> None:
    """What was put back is a copy: going on changes neither the snapshot nor what comes of putting it back again."""
    run, batches = begun(tmp_path, dim_faces(), alt_recipe(), Order(labels=60))
    loss = labeled_loss(run, run.pool.fetch(batches[0]), [])
    run.descend(loss())
    before, snapshot = tensors(run), run.snapshot()
    for _ in range(3):
        run.descend(loss())
        assert changed(before, tensors(run))
        run.restore(snapshot)
        assert changed(before, tensors(run)) == set()


# Validation.


def test_validation_losses_are_those_of_a_loop_and_change_nothing(tmp_path: Path) -> None:
    run, batches = begun(tmp_path, dim_faces(), alt_recipe(), Order(labels=60))
    loss = labeled_loss(run, run.pool.fetch(batches[0]), [])
    for _ in range(2):
        run.descend(loss())
    before, rows = tensors(run), torch.tensor([4, 0, 17, 29])
    found = run.validation_losses(rows)
    assert changed(before, tensors(run)) == set()
    assert run.network.training
    run.network.eval()
    with torch.no_grad():
        logits = run.network(run.views.clean(run.validation.fetch(rows).faces)).double()
        averaged = run.kept_network.eval()(run.views.clean(run.validation.fetch(rows).faces))
    for value, scores, row in zip(found.tolist(), logits.tolist(), rows.tolist(), strict=True):
        label = int(run.validation_labels[row])
        expected = math.log(sum(map(math.exp, scores))) - scores[label]
        assert value == pytest.approx(expected, rel=1e-4)
    plain = torch.nn.functional.cross_entropy(averaged, run.validation_labels[rows], reduction="none")
    assert not torch.allclose(found, plain), "of the present weights, not of the average"


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.integers(1, 220), st.integers(0, 100))
@few
def test_the_validation_part_keeps_the_classes_proportions(labels: list[int], count: int, seed: int) -> None:
    run = fake_run(validation_labels=torch.tensor(labels), generator=Generator().manual_seed(seed))
    rows = Run.stratified_validation(run, count).tolist()
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
    plain = Run.validation_losses
    with pytest.MonkeyPatch.context() as patch:

        def watched(run: Run, part: Tensor) -> Tensor:
            rows.append(part.tolist())
            return plain(run, part)

        patch.setattr(Run, "validation_losses", watched)
        recipe = alt_recipe(2, validation_faces=faces_asked).set("draw.at_least", 4)
        recognizer = train(dim_faces(), recipe, tmp_path / f"{faces_asked}", Order(labels=90, threads=1))
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
        train(bright_faces(), recipe, tmp_path / "run", Order(labels=30, threads=1))
    assert not (tmp_path / "run").exists()


# Whole runs: what papers/README.md says of each reading.


def acceptance(tmp_path: Path, **step: Any) -> tuple[list[float], list[float]]:
    """Acceptance rates of the epochs while hot, and of those at T = 0."""
    train(dim_faces(), alt_recipe(**step), tmp_path / "run", Order(labels=120, threads=1))
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
class TwoSteps:
    """A step for tests: labeled, then unlabeled, without noise and without a question."""

    def __call__(self, run: Run, labeled: Unevaluated, unlabeled: UnlabeledLoss | None) -> None:
        """As ALT would with every trial kept; generators are drawn from as it does, so that batches and views are the same."""
        if "drawn" not in run.state.setdefault("step", {}):
            run.state["step"]["drawn"] = run.stratified_validation(256)
        run.descend(labeled())
        if unlabeled is not None:
            run.descend(unlabeled())
            torch.rand((), generator=run.noise)


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
        made = train(dim_faces(), recipe.set("draw.at_least", 5), tmp_path / name, Order(labels=60, threads=1))
        weights[name] = {key: value.clone() for key, value in made.network.named_parameters()}
    for name in ("literal", "hotter"):
        assert changed(weights["plain"], weights[name]) == set(), name
    assert changed(weights["plain"], weights["gradient"])


@pytest.mark.parametrize(
    ("key", "value"), [("temperature", -1), ("slope", -0.1), ("validation_faces", -1), ("critical", "nan"), ("accept", "often")]
)
def test_settings_that_mean_nothing_are_refused(key: str, value: Any) -> None:
    with pytest.raises(MienError, match=key):
        alt_recipe(4, **{key: value})
