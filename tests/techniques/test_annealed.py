"""ALT's step against Algorithm 1: its numbers and its decisions."""

import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Generator, Tensor

from mien import FaceSet, MienError, Recipe, TrainingSettings, train
from mien.recognize.run_records import read_history
from mien.techniques.step import annealed
from mien.techniques.step.annealed import Annealed, gradient_noise, label_noise, temperature
from mien.training.losses import BatchLoss, LabeledLoss, Perturb, UnlabeledLoss
from mien.training.memory import Memory
from mien.training.run import Run
from mien.training.validation_part import gain, significance
from runs import alt_recipe, dim_faces, fake_run

ACCEPT = ("budget", "epoch", "literal", "metropolis", "paired")
few = settings(max_examples=60, deadline=None, derandomize=True)


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
        plain = Annealed.__call__

        def watched(self: Annealed, run: Run, labeled: LabeledLoss, unlabeled: UnlabeledLoss | None) -> None:
            plain(self, run, labeled, unlabeled)
            seen.append(float(labeled.heads))

        patch.setattr(Annealed, "__call__", watched)
        train(dim_faces(), Recipe.parse(recipe), tmp_path / "run", TrainingSettings(labels=60, threads=1))
    history = read_history(tmp_path / "run")
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
    labeled: list[float]
    tried: list[float]
    """The step of the trial: learning rate times gradient."""
    notes: dict[str, float]
    rows: list[Any]


LOGITS = torch.tensor([[2.0, 0.0, 0.1], [0.3, 0.2, 0.0], [0.0, 1.0, 0.9]])


def unlabeled_loss(theta: Tensor, labels: list[Any], scale: float) -> UnlabeledLoss:
    """scale theta^2, whose gradient at 1 is 2 scale; pseudo-labels come from LOGITS."""

    def evaluate(perturb: Perturb | None = None) -> Tensor:
        chances = LOGITS.softmax(1)
        labels.append((chances if perturb is None else perturb(chances)).argmax(1).tolist())
        return scale * theta.square()

    return evaluate


def stepped(
    technique: Annealed,
    before: list[float],
    after: list[float],
    epoch: int = 0,
    first: float = 1.0,
    state: defaultdict[str, Memory] | None = None,
    seed: int = 0,
    labels: list[Any] | None = None,
    scale: float = 0.8,
) -> Seen:
    """One step in `epoch` of 4, 10 batches each, whose validation losses are `before` and `after` the trial.

    The unlabeled loss is `scale`, its gradient twice that.
    """
    theta = torch.ones((), requires_grad=True)
    seen = Seen(True, [], [], {}, [])
    losses = iter([torch.tensor(before), torch.tensor(after)])
    token = object()

    def restore(snapshot: object) -> None:
        assert snapshot is token
        seen.kept = False

    def validation_losses(run: Run, rows: Tensor) -> Tensor:
        seen.rows.append(len(rows))
        return next(losses)

    def plain_step(loss: Tensor, rate: float) -> None:
        seen.tried.append(rate * torch.autograd.grad(loss, theta)[0].item())

    run = fake_run(
        state=state if state is not None else defaultdict(Memory),
        history=[{}] * epoch if state is not None else [],
        epochs=4,
        batches=10,
        view_rng=Generator().manual_seed(seed),
        generator=Generator().manual_seed(seed),
        data=SimpleNamespace(validation_labels=torch.zeros(len(before))),
        network=torch.nn.Identity(),
        optimization=SimpleNamespace(snapshot=lambda: token, restore=restore, plain_step=plain_step, rate=1.0),
        descend=lambda loss: seen.labeled.append(float(loss)),
        notes=SimpleNamespace(add=lambda name, value: seen.notes.update({name: value})),
    )
    labeled = LabeledLoss(lambda: BatchLoss.of_one(torch.tensor(first)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(annealed, "validation_losses", validation_losses)
        technique(run, labeled, unlabeled_loss(theta, labels if labels is not None else [], scale))
    return seen


def decided(
    technique: Annealed, before: list[float], after: list[float], share: float, seed: int = 0, control: bool | None = None
) -> bool:
    """Whether a step is kept at temperature `share` * T0, where T0 is 0.2 and gains were of size 0.02 before.

    A trial that changes nothing is kept where nothing is asked for, unless `control` says what becomes of it.
    """
    epoch = round((1 - share) * 3)
    memory = defaultdict(Memory, step=Memory({"first": 0.2, "began": 0, "faces": torch.zeros(0), "size": 0.02}))
    seen = stepped(technique, before, after, epoch, state=memory, seed=seed)
    expected = float(share == 0 if control is None else control)
    if math.isfinite(before[0]):
        assert seen.notes.pop("acceptance_control") == expected
    seen.notes.pop("acceptance_control", None)
    assert seen.notes == {"temperature": pytest.approx(0.2 * share, abs=1e-12), "acceptance": float(seen.kept)}
    return seen.kept


@pytest.mark.parametrize(("share", "beta"), [(1.0, 0.015), (2 / 3, 0.010), (1 / 3, 0.005)])
def test_budget_asks_for_a_share_of_what_recent_trials_gained(share: float, beta: float) -> None:
    """At T0 three quarters of the size of gains, which was 0.02 and moves by a twentieth towards this one."""
    asked = 0.95 * beta / (1 - 0.05 * 0.75 * share)
    assert decided(Annealed(), [1.0, 2.0], [1.0 - 1.01 * asked, 2.0 - 1.01 * asked], share)
    assert not decided(Annealed(), [1.0, 2.0], [1.0 - 0.99 * asked, 2.0 - 0.99 * asked], share)


@given(st.lists(st.tuples(st.floats(-1, 1), st.sampled_from([1e-5, 1e-3, 0.1])), min_size=1, max_size=40))
@few
def test_the_size_of_gains_is_an_average_for_the_rate_of_the_moment(gains: list[tuple[float, float]]) -> None:
    """Gains are in proportion to the learning rate: after a fall of the rate, none is measured by those before."""
    memory, size = Memory(), abs(gains[0][0])
    for each, rate in gains:
        size = 0.95 * size + 0.05 * abs(each)
        assert annealed.recent_size(memory, each * rate, rate) == pytest.approx(size * rate, abs=1e-12)
        assert annealed.recent_size(memory, math.nan, rate) == pytest.approx(size * rate, abs=1e-12), "no number is left out"
        assert annealed.recent_size(memory, 0.0, 0.0) == 0


@pytest.mark.parametrize(("share", "beta"), [(1.0, 0.015), (2 / 3, 0.010), (1 / 3, 0.005)])
def test_epoch_asks_for_an_epochs_worth_shared_among_its_batches(share: float, beta: float) -> None:
    """beta(T) = 0.75 T is 0.15 at T0 = 0.2, and there are ten batches."""
    assert decided(Annealed(accept="epoch"), [1.0, 2.0], [1.0 - 0.9 * beta, 2.0 - 1.2 * beta], share)
    assert not decided(Annealed(accept="epoch"), [1.0, 2.0], [1.0 - 0.9 * beta, 2.0 - beta], share)


def test_budget_at_0_keeps_what_does_no_harm() -> None:
    assert decided(Annealed(), [1.0, 2.0], [2.0, 1.0], 0)
    assert not decided(Annealed(), [1.0, 2.0], [1.001, 2.0], 0)


def test_literal_asks_for_all_of_beta_at_once_and_at_0_for_the_impossible() -> None:
    literal = Annealed(accept="literal")
    assert not decided(literal, [1.0], [0.86], 1, control=False)
    assert decided(literal, [1.0], [0.84], 1, control=False)
    for after in (0.999, 0.5, 0.0):
        assert not decided(literal, [1.0], [after], 0, control=False), "gain > beta(0) > 0 is gain > 0 > 0"


@given(st.floats(0.01, 1), st.sampled_from([0.0, 1 / 3, 2 / 3, 1.0]), st.integers(0, 50))
@few
def test_metropolis_keeps_every_gain(gained: float, share: float, seed: int) -> None:
    technique = Annealed(accept="metropolis")
    assert decided(technique, [1.0], [1.0 - gained], share, seed, control=True)
    assert decided(technique, [1.0], [1.0], share, seed, control=True)
    assert not decided(technique, [1.0], [1.0 + gained], 0, seed, control=True)


@pytest.mark.parametrize(("share", "loss"), [(1.0, 0.05), (1.0, 0.3), (1 / 3, 0.05)])
def test_metropolis_keeps_a_loss_with_its_probability(share: float, loss: float) -> None:
    kept = sum(decided(Annealed(accept="metropolis"), [1.0], [1.0 + loss], share, seed, True) for seed in range(600))
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
    control = {"literal": False, "metropolis": True}.get(accept)
    for after in ([0.5, math.nan, 0.5], [math.nan] * 3, [0.5, math.inf, 0.5]):
        assert not decided(Annealed(accept=accept), [1.0, 1.0, 2.0], after, share, control=control)


@pytest.mark.parametrize("accept", ACCEPT)
def test_a_temperature_of_0_throughout_is_no_error(accept: Any) -> None:
    seen = stepped(Annealed(temperature=0.0, accept=accept), [1.0, 2.0], [0.5, 1.4])
    assert seen.kept == (accept != "literal")


def test_gradient_noise_scales_the_step() -> None:
    """T0 is a fifth of the labeled loss, and so the step moves by up to a fifth, however small its own loss is."""
    for seed in range(5):
        xi = 2 * torch.rand((), generator=Generator().manual_seed(seed)).item() - 1
        for first, scale in ((1.0, 0.8), (3.0, 0.01), (0.5, 4.0)):
            seen = stepped(Annealed(), [1.0], [0.5], seed=seed, first=first, scale=scale)
            assert seen.labeled == [pytest.approx(first)]
            assert seen.tried == [pytest.approx(2 * scale * (1 + 0.2 * xi), rel=1e-5)]


def test_additive_noise_is_a_coin_where_the_unlabeled_loss_is_small() -> None:
    """To the letter T is a share of the labeled loss: L_u + T xi."""
    factors = []
    for seed in range(40):
        xi = 2 * torch.rand((), generator=Generator().manual_seed(seed)).item() - 1
        seen = stepped(Annealed(noise="additive"), [1.0], [0.5], seed=seed)
        assert seen.tried == [pytest.approx(1.6 * (0.8 + 0.2 * xi) / 0.8, rel=1e-5)]
        small = stepped(Annealed(noise="additive"), [1.0], [0.5], seed=seed, scale=0.002)
        factors.append(small.tried[0] / 0.004)
    assert sum(min(factor, 2 - factor) < 1e-4 for factor in factors) > 30


@given(st.floats(1e-4, 10), st.floats(1e-4, 10), st.sampled_from([0, 1, 2, 3]), st.integers(0, 1000))
@few
def test_the_factor_is_within_a_fifth_of_1_and_cools(first: float, scale: float, epoch: int, seed: int) -> None:
    memory = defaultdict(Memory, step=Memory({"first": 0.2 * first, "began": 0, "faces": torch.zeros(0)}))
    seen = stepped(Annealed(), [1.0], [0.5], epoch, first, memory, seed, scale=scale)
    assert abs(seen.tried[0] / (2 * scale) - 1) <= 0.2 * max(0.0, 1 - epoch / 3) + 1e-5


def test_literal_noise_has_no_gradient() -> None:
    for hot in (0.0, 0.2, 5.0):
        assert stepped(Annealed(noise="literal", temperature=hot), [1.0], [0.5]).tried == [pytest.approx(1.6)]


def test_a_rate_multiplies_that_of_the_moment() -> None:
    assert stepped(Annealed(noise="literal", rate=10.0), [1.0], [0.5]).tried == [pytest.approx(16.0)]


def test_a_batch_that_teaches_nothing_is_no_trial_and_begins_no_clock() -> None:
    state = defaultdict[str, Memory](Memory)
    seen = stepped(Annealed(), [1.0], [0.5], epoch=1, state=state, scale=0.0)
    assert (seen.notes, seen.tried) == ({}, [])
    assert seen.kept
    assert "began" not in state["step"]
    stepped(Annealed(), [1.0], [0.5], epoch=2, first=3.0, state=state)
    assert (state["step"].values["began"], state["step"].values["first"]) == (2, pytest.approx(0.6))


def test_label_noise_changes_pseudo_labels_and_nothing_else() -> None:
    plain = LOGITS.argmax(1).tolist()
    found = list[list[int]]()
    for seed in range(30):
        seen = stepped(Annealed(noise="labels"), [1.0], [0.5], first=5.0, seed=seed, labels=found)
        assert seen.tried == [pytest.approx(1.6)], "the gradient's size stays"
    assert any(labels != plain for labels in found)
    found.clear()
    for noise in ("gradient", "literal"):
        stepped(Annealed(noise=noise), [1.0], [0.5], first=5.0, labels=found)
    assert found == [plain, plain]


def test_the_validation_part_is_chosen_once(faces: FaceSet) -> None:
    state = defaultdict[str, Memory](Memory)
    seen = stepped(Annealed(), [1.0] * 300, [0.5] * 300, state=state)
    assert seen.rows == [256, 256]
    assert stepped(Annealed(validation_faces=0), [1.0] * 300, [0.5] * 300).rows == [300, 300]
    assert stepped(Annealed(), [1.0], [0.5], epoch=2, state=state).rows == [256, 256]
    assert state["step"].values["first"] == pytest.approx(0.2), "frozen"


@pytest.mark.parametrize(
    ("key", "value"), [("temperature", -1), ("slope", -0.1), ("validation_faces", -1), ("critical", "nan"), ("accept", "often")]
)
def test_settings_that_mean_nothing_are_refused(key: str, value: Any) -> None:
    with pytest.raises(MienError, match=key):
        alt_recipe(4, **{key: value})
