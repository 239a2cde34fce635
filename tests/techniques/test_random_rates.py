"""ALRAO's rates, its average of last layers and its step, against formulas and steps made by hand."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Generator, Tensor, nn

from conftest import bright_faces, small_recipe
from mien import FaceSet, MienError, Recipe, Recognizer, TrainingSettings, train
from mien.models import Copies, Network
from mien.recognize.saved_networks import build_network
from mien.techniques.step.random_rates import copy_rates, feature_rates, posterior, scale_gradients
from mien.training import loop
from mien.training.objective import Classes
from mien.training.run import Run
from runs import begun, changed, dim_faces, features, labeled_loss, techniques, tensors

few = settings(max_examples=50, deadline=None, derandomize=True)
TINY = {"network": "mien_s", "width": 8, "depths": [1, 1, 1], "copies": 4}


def alrao_recipe(model: dict[str, Any], **step: Any) -> Recipe:
    """Rates are ALRAO's alone: constant, without decay of weights."""
    return small_recipe(
        model=model,
        step={"technique": "random_rates", **step},
        stages=[{"epochs": 2, "lr": 0.5, "weight_decay": 0.0}],
        unlabeled="pseudo_label",
        average=0.0,
    )


# The rates.


@pytest.mark.parametrize(("low", "high"), [(1e-5, 10.0), (1e-4, 1.0), (0.1, 0.2)])
def test_rates_are_log_uniform(low: float, high: float) -> None:
    rates = feature_rates(nn.Linear(3, 4000), low, high, Generator().manual_seed(0))
    assert rates.shape == (4000,)
    assert low * (1 - 1e-6) <= rates.min()
    assert rates.max() <= high * (1 + 1e-6)
    places = (rates.double().log() - math.log(low)) / math.log(high / low)
    assert stats.kstest(places.numpy(), "uniform").pvalue > 0.01


@pytest.mark.parametrize("module", [nn.Conv2d(3, 7, 3), nn.Conv2d(3, 7, 3, bias=False), nn.Linear(5, 7), nn.BatchNorm2d(7)])
def test_a_feature_is_an_output_of_its_layer(module: nn.Module) -> None:
    assert feature_rates(module, 1e-3, 1.0, Generator().manual_seed(0)).shape == (7,)


@given(st.integers(2, 20), st.floats(1e-6, 0.1), st.floats(0.2, 10))
@few
def test_copies_rates_are_evenly_spread_on_a_log_scale(copies: int, low: float, high: float) -> None:
    expected = [low * (high / low) ** (number / (copies - 1)) for number in range(copies)]
    assert copy_rates(copies, low, high).tolist() == pytest.approx(expected, rel=1e-4)


def test_every_feature_has_one_rate_for_the_whole_run(tmp_path: Path) -> None:
    """Weight and bias of a layer share it; another layer, another seed has others."""
    drawn = list[dict[str, Tensor]]()
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        run, batches = begun(tmp_path / folder, dim_faces(), alrao_recipe(TINY), TrainingSettings(labels=60, seed=seed))
        seen = list[dict[str, Tensor]]()
        for rows in batches[:2]:
            techniques(run).step(run, labeled_loss(run, run.pool.fetch(rows)), None)
            seen.append({name: rate.clone() for name, rate in run.state["step"].values["rates"].items()})
        assert seen[0].keys() == {name for name, _ in run.network.named_parameters()}
        assert all(torch.equal(seen[0][name], seen[1][name]) for name in seen[0])
        drawn.append(seen[0])
    rates = drawn[0]
    assert torch.equal(rates["blocks.stem.1.weight"], rates["blocks.stem.1.bias"])
    assert len({tuple(rate.tolist()) for name, rate in rates.items() if name.endswith("weight")}) == sum(
        name.endswith("weight") for name in rates
    )
    assert all(torch.equal(rates[name], drawn[1][name]) for name in rates)
    blocks = [name for name in rates if name.startswith("blocks")]
    assert all(not torch.equal(rates[name], drawn[2][name]) for name in blocks)
    assert [float(rates[f"head.copies.{n}.3.bias"]) for n in range(4)] == pytest.approx(copy_rates(4, 1e-5, 10.0).tolist())


# The average of the last layers.


def head_and_inputs(seed: int, copies: int = 3) -> tuple[Copies, Tensor, Tensor]:
    torch.manual_seed(seed)
    head = Copies(nn.Linear(4, 5), copies)
    head.shares.copy_(torch.rand(copies).softmax(0))
    return head, torch.randn(6, 4), torch.randint(5, (6,))


def bounded(logits: Tensor) -> Tensor:
    """Copies' logits are softly bounded."""
    return 30 * torch.tanh(logits / 30)


def naive_average(head: Copies, x: Tensor) -> list[list[float]]:
    """log sum_j a_j p_j, by a loop over faces, classes and copies."""
    found = []
    for row in x:
        chances = []
        for copy in head.copies:
            assert isinstance(copy, nn.Linear)
            layer = zip(copy.weight.tolist(), copy.bias.tolist(), strict=True)
            scores = [bias + sum(w * v for w, v in zip(unit, row.tolist(), strict=True)) for unit, bias in layer]
            scores = [30 * math.tanh(score / 30) for score in scores]
            raised = [math.exp(score) for score in scores]
            chances.append([value / sum(raised) for value in raised])
        shares = head.shares.tolist()
        found.append([math.log(sum(a * p[k] for a, p in zip(shares, chances, strict=True))) for k in range(5)])
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_last_head_is_the_average_in_probability(seed: int) -> None:
    head, x, _ = head_and_inputs(seed)
    with torch.no_grad():
        out = head(x)
        assert out.shape == (4, 6, 5)
        for number, copy in enumerate(head.copies):
            assert torch.allclose(out[number], bounded(copy(x)), atol=1e-5)
    for found, expected in zip(out[-1].tolist(), naive_average(head, x), strict=True):
        assert found == pytest.approx(expected, abs=1e-5)
    assert torch.allclose(out[-1].exp().sum(1), torch.ones(6), atol=1e-5)


def test_each_copy_learns_from_its_own_loss_and_what_is_below_from_the_averages() -> None:
    head, x, labels = head_and_inputs(1)
    x.requires_grad_()
    total = sum((F.cross_entropy(logits, labels) for logits in head(x)), start=torch.zeros(()))
    total.backward()
    for copy in head.copies:
        own = F.cross_entropy(bounded(copy(x.detach())), labels)
        for parameter, expected in zip(copy.parameters(), torch.autograd.grad(own, list(copy.parameters())), strict=True):
            assert parameter.grad is not None
            assert torch.allclose(parameter.grad, expected, atol=1e-6)
    chances = sum(share * bounded(copy(x)).softmax(1) for share, copy in zip(head.shares, head.copies, strict=True))
    assert isinstance(chances, Tensor)
    (below,) = torch.autograd.grad(-chances[torch.arange(6), labels].log().mean(), x)
    assert x.grad is not None
    assert torch.allclose(x.grad, below, atol=1e-6)
    assert below.abs().sum() > 0


def test_copies_begin_with_weights_of_their_own() -> None:
    head, _, _ = head_and_inputs(2)
    weights = [next(copy.parameters()) for copy in head.copies]
    assert not any(torch.equal(a, b) for n, a in enumerate(weights) for b in weights[:n])
    assert torch.equal(Copies(nn.Linear(4, 5), 4).shares, torch.full((4,), 0.25))


@given(st.lists(st.tuples(st.floats(0.01, 1), st.floats(0, 8)), min_size=2, max_size=6), st.floats(0, 0.5))
@few
def test_the_posterior_is_bayes_plus_a_share(copies: list[tuple[float, float]], switch: float) -> None:
    prior = [share / sum(share for share, _ in copies) for share, _ in copies]
    raised = [share * math.exp(-loss) for share, (_, loss) in zip(prior, copies, strict=True)]
    expected = [(1 - switch) * value / sum(raised) + switch / len(copies) for value in raised]
    found = posterior(torch.tensor(prior), torch.tensor([loss for _, loss in copies]), switch)
    assert found.tolist() == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert found.sum().item() == pytest.approx(1, abs=1e-5)
    assert found.min().item() >= switch / len(copies) - 1e-6


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_copy_whose_loss_is_no_number_keeps_only_its_dealt_share(bad: float) -> None:
    found = posterior(torch.tensor([0.5, 0.3, 0.2]), torch.tensor([1.0, bad, 1.0]), 0.03)
    assert found.tolist() == pytest.approx([0.97 * 5 / 7 + 0.01, 0.01, 0.97 * 2 / 7 + 0.01], rel=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30])
def test_a_diverged_copy_leaves_the_average_finite(bad: float) -> None:
    head, x, labels = head_and_inputs(3)
    with torch.no_grad():
        next(head.copies[1].parameters()).fill_(bad)
    out = head(x)
    assert out.isfinite().all()
    assert torch.allclose(out[-1].exp().sum(1), torch.ones(6), atol=1e-5)
    assert all(F.cross_entropy(logits, labels).isfinite() for logits in out)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30])
def test_a_diverged_copy_leaves_what_is_below_finite(bad: float) -> None:
    head, x, labels = head_and_inputs(3)
    with torch.no_grad():
        next(head.copies[1].parameters()).fill_(bad)
    x.requires_grad_()
    (below,) = torch.autograd.grad(F.cross_entropy(head(x)[-1], labels), x)
    assert below.isfinite().all()


# The step.


def hidden_run(folder: Path, **step: Any) -> tuple[Run, list[Tensor]]:
    """Features, one hidden layer, three copies of the last."""
    model = {"network": "embedding", "hidden": 5, "copies": 3}
    return begun(folder, features(), alrao_recipe(model, low=1e-2, high=2.0, **step), TrainingSettings(labels=60))


def named_gradients(network: Network, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """By hand: of the hidden layer through the average's loss, of each copy through its own."""
    weights = {name: value.detach().clone().requires_grad_() for name, value in network.named_parameters()}
    normal = network.features(x, "input").detach()
    hidden = F.relu(F.linear(normal, weights["blocks.hidden.0.weight"], weights["blocks.hidden.0.bias"]))
    assert isinstance(network.head, Copies)
    average, gradients = torch.zeros(()), dict[str, Tensor]()
    for number, share in enumerate(network.head.shares):
        names = [f"head.copies.{number}.weight", f"head.copies.{number}.bias"]
        own = bounded(F.linear(hidden, *(weights[name] for name in names)))
        loss = F.cross_entropy(own, labels)
        gradients |= dict(zip(names, torch.autograd.grad(loss, [weights[n] for n in names], retain_graph=True), strict=True))
        average = average + share * own.softmax(1)
    below = ["blocks.hidden.0.weight", "blocks.hidden.0.bias"]
    loss = -average[torch.arange(len(labels)), labels].log().mean()
    return gradients | dict(zip(below, torch.autograd.grad(loss, [weights[name] for name in below]), strict=True))


def test_two_steps_are_those_made_by_hand(tmp_path: Path) -> None:
    """Nesterov: v = 0.9 v + r g, then w -= r g + 0.9 v, where r is the feature's own rate."""
    run, batches = hidden_run(tmp_path)
    velocity = dict[str, Tensor]()
    for rows in batches[:2]:
        batch = run.pool.fetch(rows)
        expected = {name: value.detach().clone() for name, value in run.network.named_parameters()}
        gradients = named_gradients(run.network, run.views.clean(batch.faces), run.labels[rows])
        techniques(run).step(run, labeled_loss(run, batch), None)
        rates = run.state["step"].values["rates"]
        for name, gradient in gradients.items():
            for feature in range(len(gradient)):
                own = rates[name][feature if len(rates[name]) > 1 else 0].item()
                gradient[feature] *= own
            velocity[name] = 0.9 * velocity.get(name, torch.zeros(())) + gradient
            expected[name] -= gradient + 0.9 * velocity[name]
        for name, value in run.network.named_parameters():
            assert torch.allclose(value, expected[name], rtol=1e-4, atol=1e-6), name


def test_shares_move_by_the_labeled_batchs_losses_after_the_step(tmp_path: Path) -> None:
    run, batches = hidden_run(tmp_path, switch=0.1)
    head = run.network.head
    assert isinstance(head, Copies)
    batch = run.pool.fetch(batches[0])
    run.network.eval()
    with torch.no_grad():
        before = head.shares.clone()
    run.train_mode()
    losses = list[Tensor]()
    labeled = loop.labeled_loss(run, Classes(), batch, losses)
    techniques(run).step(run, labeled, techniques(run).unlabeled(run, run.pool.fetch(run.unlabeled[:16])))
    assert labeled.heads.sum().item() == pytest.approx(losses[0].item(), rel=1e-5)
    assert torch.allclose(head.shares, posterior(before, labeled.heads[:3], 0.1))
    assert not torch.allclose(head.shares, before)


def test_scaled_gradients_follow_the_schedules_shape() -> None:
    """At half of the peak the optimizer halves every feature's step."""
    network = build_network({"network": "embedding", "hidden": 4}, 3, features().info)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    rates = {name: torch.arange(1.0, len(value) + 1) for name, value in network.named_parameters()}
    scale_gradients(network, rates, peak=0.5)
    hidden = dict(network.named_parameters())["blocks.hidden.0.weight"].grad
    assert hidden is not None
    assert hidden.tolist() == [[2.0 * (n + 1)] * 6 for n in range(4)]


def test_frozen_blocks_stay(tmp_path: Path) -> None:
    recipe = alrao_recipe(TINY).table()
    recipe["stages"][0]["frozen"] = ["stem"]
    run, batches = begun(tmp_path, dim_faces(), Recipe.parse(recipe), TrainingSettings(labels=60))
    before = tensors(run)
    techniques(run).step(run, labeled_loss(run, run.pool.fetch(batches[0])), None)
    after = tensors(run)
    assert all(torch.equal(before[name], after[name]) for name in before if ".stem." in name)
    assert not torch.equal(before["network.head.copies.0.3.weight"], after["network.head.copies.0.3.weight"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": {"network": "mien_s", "width": 8, "depths": [1, 1, 1]}}, "model.copies"),
        ({"stages": [{"epochs": 1, "lr": 0.1, "optimizer": "adam"}]}, "stages.0.optimizer"),
        ({"stages": [{"epochs": 1, "lr": 0.0}]}, "stages.0.lr"),
    ],
)
def test_what_it_cannot_work_with_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    recipe = Recipe.parse(alrao_recipe(TINY).table() | changes)
    with pytest.raises(MienError, match=words):
        train(bright_faces(), recipe, tmp_path / "run", TrainingSettings(labels=30, threads=1))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("copies", [0, -1, 2.5, "many"])
def test_copies_are_a_number(copies: object) -> None:
    with pytest.raises(MienError, match="copies"):
        small_recipe(model={"network": "mien_s", "copies": copies})


def test_a_finished_runs_model_is_the_average_of_its_copies(tmp_path: Path) -> None:
    """Read from the folder alone, it predicts what the run measured, by shares that moved."""
    faces = bright_faces()
    recipe = alrao_recipe(TINY, low=1e-3, high=0.3)
    made = train(faces, recipe, tmp_path / "run", TrainingSettings(labels=60, threads=1))
    (tmp_path / "run" / "model").rename(tmp_path / "moved")
    loaded = Recognizer.load(tmp_path / "moved")
    logits = torch.from_numpy(loaded.logits(faces))
    assert torch.equal(logits, torch.from_numpy(made.logits(faces)))
    head = loaded.network.head
    assert isinstance(head, Copies)
    assert len(head.copies) == 4
    assert head.shares.std() > 0
    assert logits.exp().sum(1).tolist() == pytest.approx([1.0] * len(faces), abs=1e-4)


def test_rates_too_great_for_most_features_do_no_harm_to_the_run(tmp_path: Path) -> None:
    """The paper's interval, up to 10, with momentum: some copies diverge, the model is one of numbers all the same."""
    recipe = alrao_recipe(TINY, low=1e-5, high=10.0)
    made = train(bright_faces(), recipe, tmp_path / "run", TrainingSettings(labels=60, threads=1))
    assert all(value.isfinite().all() for value in made.network.state_dict().values())


def test_without_unlabeled_faces_it_is_plain_alrao(tmp_path: Path, faces: FaceSet) -> None:
    recipe = alrao_recipe(TINY, high=0.3)
    made = train(faces, recipe, tmp_path / "a", TrainingSettings(threads=1))
    assert made.card.budget["unlabeled"] == 0
    plain = train(faces, recipe.set("unlabeled", "nothing"), tmp_path / "b", TrainingSettings(threads=1))
    assert changed(made.network.state_dict(), plain.network.state_dict()) == set()
