"""FixMatch and FreeMatch's thresholds against loops over faces, classes and batches."""

import math
from collections import defaultdict
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from conftest import small_recipe
from mien import TrainingSettings
from mien.techniques.unlabeled import fixmatch
from mien.techniques.unlabeled.fixmatch import Fixmatch, aligned, class_expectation, class_thresholds, global_threshold
from mien.training.face_loader import Batch
from mien.training.memory import Memory
from mien.training.run import Run
from runs import begun, changed, dim_faces, fake_run, techniques, tensors

BATCH = Batch(torch.arange(6), torch.zeros(6, 2, 2, dtype=torch.uint8))
few = settings(max_examples=40, deadline=None, derandomize=True)


@pytest.fixture(autouse=True)
def _logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that answers as a test says logs its pseudo-labels."""

    def log(run: Any, rows: Tensor, labels: Tensor, counted: Tensor) -> None:
        run.log.append((rows.tolist(), labels.tolist(), counted.tolist()))

    monkeypatch.setattr(fixmatch, "note_pseudo_labels", log)


def run_with(weak: Tensor, strong: Tensor, notes: list[Any] | None = None, state: defaultdict[str, Memory] | None = None) -> Run:
    """Just what the technique reads of a run whose network gives these logits, (H, U, K), of the two views."""
    logits = {"weak": weak, "strong": strong}
    log = notes if notes is not None else []
    return fake_run(
        classes=weak.shape[2],
        state=defaultdict(Memory) if state is None else state,
        log=log,
        view=lambda batch, strength: strength,
        heads=lambda view: logits[view],
        evaluating=lambda network: nullcontext(network or (lambda view: logits[view][-1].detach())),
        eval_network=lambda view: -logits[view][-1].detach(),
        autocast=nullcontext,
        notes=SimpleNamespace(add=lambda name, value: log.append((name, float(value)))),
    )


def softmax(scores: list[float]) -> list[float]:
    top = max(scores)
    raised = [math.exp(score - top) for score in scores]
    return [value / sum(raised) for value in raised]


def naive(weak: Tensor, strong: Tensor, thresholds: list[float]) -> float:
    """Eq. 4, summed over heads: a loop over faces."""
    total = 0.0
    for face in range(weak.shape[1]):
        q = softmax(weak[-1, face].double().tolist())
        label = q.index(max(q))
        if max(q) >= thresholds[label]:
            total -= sum(math.log(softmax(head)[label]) for head in strong[:, face].double().tolist())
    return total / weak.shape[1]


def drawn(seed: int, heads: int, faces: int = 6, classes: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    weak, strong = torch.randn(2, heads, faces, classes, generator=generator) * 2
    return weak, strong


def evaluated(technique: Fixmatch, run: Run) -> Tensor:
    loss = technique(run, BATCH)
    assert loss is not None
    return loss()


@given(st.integers(0, 10_000), st.sampled_from([1, 3]), st.floats(0, 1), st.floats(0.1, 3))
@few
def test_loss_is_the_loops(seed: int, heads: int, threshold: float, weight: float) -> None:
    weak, strong = drawn(seed, heads)
    found = evaluated(Fixmatch(weight=weight, threshold=threshold), run_with(weak, strong)).item()
    assert found == pytest.approx(weight * naive(weak, strong, [threshold] * 4), rel=1e-4, abs=1e-6)


def test_threshold_corners() -> None:
    weak, strong = drawn(3, 1)
    notes: list[Any] = []
    assert evaluated(Fixmatch(threshold=1.0), run_with(weak, strong, notes)).item() == 0
    assert notes[-1][2] == [False] * 6, "nothing is as sure as that"
    every = evaluated(Fixmatch(threshold=0.0), run_with(weak, strong, notes))
    assert notes[-1] == (BATCH.rows.tolist(), weak[-1].argmax(1).tolist(), [True] * 6)
    expected = torch.nn.functional.cross_entropy(strong[0], weak[0].argmax(1))
    assert every.item() == pytest.approx(expected.item(), rel=1e-5)


@given(st.integers(0, 10_000), st.floats(0, 1))
@few
def test_alignment_by_hand(seed: int, strength: float) -> None:
    """Each face's probabilities times (target / mean)^strength, divided by their sum; at 0 nothing moves."""
    generator = torch.Generator().manual_seed(seed)
    likely, target = torch.randn(6, 4, generator=generator).softmax(1), torch.randn(4, generator=generator).softmax(0)
    mean, found = likely.mean(dim=0), aligned(likely, target, likely.mean(dim=0), strength)
    for face in range(6):
        moved = [float(likely[face, k] * (target[k] / mean[k]) ** strength) for k in range(4)]
        assert found[face].tolist() == pytest.approx([one / sum(moved) for one in moved], rel=1e-4)
    assert torch.allclose(aligned(likely, target, mean, 0.0), likely)
    assert torch.allclose(aligned(likely, mean, mean, strength), likely, atol=1e-6), "aligned already"


def test_aligned_pseudo_labels_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class that is not there at all is no pseudo-label; its share is asked for once, before the first step."""
    asked = list[Any]()

    def shares(run: Run) -> Tensor:
        asked.append(run)
        return torch.tensor([0.5, 0.5, 0.0, 0.0])

    monkeypatch.setattr(fixmatch, "found_shares", shares)
    notes, state = list[Any](), defaultdict[str, Memory](Memory)
    for seed in range(3):
        evaluated(Fixmatch(threshold=0.0, align=1.0), run_with(*drawn(seed, 1), notes, state))
    assert {label for note in notes for label in note[1]} == {0, 1}
    assert len(asked) == 1


def test_the_averaged_network_may_teach() -> None:
    weak, strong = drawn(5, 1)
    notes = list[Any]()
    evaluated(Fixmatch(threshold=0.0, teacher="average"), run_with(weak, strong, notes))
    assert notes[-1][1] == weak[-1].argmin(1).tolist(), "this one says the contrary"


def test_the_mean_is_over_all_faces_of_the_batch() -> None:
    """Eq. 4 divides by mu B: a face below the threshold lowers the loss of the others."""
    sure, unsure = torch.tensor([9.0, 0.0]), torch.tensor([0.1, 0.0])
    weak = torch.stack([sure, unsure, unsure, unsure, unsure, unsure]).unsqueeze(0)
    found = evaluated(Fixmatch(), run_with(weak, torch.zeros(1, 6, 2)))
    assert found.item() == pytest.approx(math.log(2) / 6, rel=1e-5)


def test_no_gradient_passes_through_the_weak_view() -> None:
    weak, strong = drawn(5, 2)
    weak.requires_grad_()
    strong.requires_grad_()
    loss = evaluated(Fixmatch(threshold=0.5), run_with(weak, strong))
    ours, theirs = torch.autograd.grad(loss, [strong, weak], allow_unused=True)
    assert theirs is None
    chances = weak.detach()[-1].softmax(1)
    taught = torch.nn.functional.one_hot(chances.argmax(1), 4) * (chances.amax(1) > 0.5).unsqueeze(1)
    expected = (strong.detach().softmax(2) * taught.sum(1, keepdim=True) - taught) / 6
    assert torch.allclose(ours, expected, atol=1e-6)


def test_the_fused_head_decides_and_every_head_learns() -> None:
    weak, strong = drawn(7, 3)
    weak[-1] = torch.tensor([0.0, 8.0, 0.0, 0.0])
    strong.requires_grad_()
    (gradient,) = torch.autograd.grad(evaluated(Fixmatch(), run_with(weak, strong)), strong)
    assert (gradient[:, :, 1] < 0).all(), "all heads are taught the class of the fused one"


def test_perturbation_changes_labels_but_not_who_is_sure() -> None:
    weak, strong = drawn(9, 1)
    notes: list[Any] = []
    loss = Fixmatch(threshold=0.6)(run_with(weak, strong, notes), BATCH)
    assert loss is not None
    loss()
    plain = notes[-1]
    loss(lambda chances: 1 - chances)
    turned = notes[-1]
    assert turned[1] == weak[0].argmin(1).tolist()
    assert turned[2] == plain[2]
    assert any(plain[2])
    assert not all(plain[2])


class Averages:
    """FreeMatch's Eq. 5-7 in plain loops, over the batches that it is told of."""

    def __init__(self, classes: int, momentum: float, begin: str) -> None:
        self.momentum, self.overall, self.expectation = momentum, 1 / classes, [1 / classes] * classes
        self.empty = begin == "first"

    def after(self, logits: Tensor) -> list[float]:
        """(K,) thresholds after a batch of logits (U, K)."""
        q = [softmax(scores) for scores in logits.double().tolist()]
        sure = sum(max(row) for row in q) / len(q)
        if self.empty:
            self.overall, self.expectation = sure, [sum(row[k] for row in q) / len(q) for k in range(len(self.expectation))]
            self.empty = False
        self.overall = self.momentum * self.overall + (1 - self.momentum) * sure
        for k in range(len(self.expectation)):
            mean = sum(row[k] for row in q) / len(q)
            self.expectation[k] = self.momentum * self.expectation[k] + (1 - self.momentum) * mean
        return [self.overall * value / max(self.expectation) for value in self.expectation]


@pytest.mark.parametrize("momentum", [0.0, 0.7, 0.999])
@pytest.mark.parametrize("begin", ["first", "even"])
def test_adaptive_thresholds_are_equations_5_to_7_over_batches(momentum: float, begin: Literal["first", "even"]) -> None:
    technique = Fixmatch(adaptive=True, momentum=momentum, begin=begin)
    state, loop = defaultdict[str, Memory](Memory), Averages(4, momentum, begin)
    for seed in range(12):
        weak, strong = drawn(seed, 1)
        notes: list[Any] = []
        found = evaluated(technique, run_with(weak, strong, notes, state))
        assert found.item() == pytest.approx(naive(weak, strong, loop.after(weak[0])), rel=1e-3, abs=1e-5)
        assert notes[0] == ("threshold", pytest.approx(loop.overall, rel=1e-5))
    assert state["unlabeled"].values["global"].item() == pytest.approx(loop.overall, rel=1e-4)
    assert state["unlabeled"].values["classes"].tolist() == pytest.approx(loop.expectation, rel=1e-4)


@given(st.integers(0, 10_000), st.integers(2, 8), st.floats(0, 1))
@few
def test_class_thresholds_are_at_most_the_global_one(seed: int, classes: int, momentum: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    chances = torch.randn(9, classes, generator=generator).softmax(1)
    overall = global_threshold(torch.tensor(1 / classes), chances, momentum)
    expectation = class_expectation(torch.full((classes,), 1 / classes), chances, momentum)
    thresholds = class_thresholds(overall, expectation)
    assert 1 / classes - 1e-6 <= overall <= 1
    assert expectation.sum().item() == pytest.approx(1, abs=1e-5)
    assert thresholds.max().item() == pytest.approx(overall.item(), rel=1e-5)
    assert thresholds.argsort().tolist() == expectation.argsort().tolist()


def test_two_views_of_the_same_faces_are_drawn_before_the_loss_is_evaluated(tmp_path: Path) -> None:
    recipe = small_recipe(unlabeled={"technique": "fixmatch", "threshold": 0.0}, unlabeled_batch=6)
    run, _ = begun(tmp_path, dim_faces(), recipe, TrainingSettings(labels=60))
    run.log = []  # type: ignore[attr-defined]
    batch = run.pool.fetch(run.unlabeled[:6])
    loss = techniques(run).unlabeled(run, batch)
    assert loss is not None
    noise = run.view_rng.get_state()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = loss()
        torch.manual_seed(0)
        assert torch.equal(loss(), first), "evaluated twice, it is the same loss"
    assert torch.equal(run.view_rng.get_state(), noise), "evaluating draws no views"
    first.backward()
    assert all(parameter.grad is not None for parameter in run.network.parameters())


def test_pseudo_labels_come_of_the_network_without_dropout_and_leave_it_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the strong view passes in train mode: it alone moves the running statistics of a batch."""
    recipe = small_recipe(unlabeled={"technique": "fixmatch", "threshold": 0.0}, average=0.0)
    run, _ = begun(tmp_path, dim_faces(), recipe, TrainingSettings(labels=60))
    batch = run.pool.fetch(run.unlabeled[:32])
    views = [run.view(batch, "weak"), run.view(batch, "strong")]
    before, dropout = tensors(run), torch.get_rng_state()
    with run.evaluating() as network:
        quiet = network(views[0])
    assert changed(before, tensors(run)) == set()
    assert torch.equal(torch.get_rng_state(), dropout)
    assert not quiet.requires_grad
    assert run.network.training
    seen: list[Tensor] = []
    run.view = lambda batch, strength: views[strength == "strong"]  # type: ignore[method-assign]
    monkeypatch.setattr(fixmatch, "note_pseudo_labels", lambda run, rows, labels, counted: seen.append(labels))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        loss = evaluated_on(run, batch)
        after = tensors(run)
        torch.manual_seed(0)
        run.network.load_state_dict({name.removeprefix("network."): value for name, value in before.items()})
        expected = torch.nn.functional.cross_entropy(run.heads(views[1])[0], quiet.argmax(1))
    assert torch.equal(seen[0], quiet.argmax(1))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert changed(after, tensors(run)) == set(), "the statistics are those of one pass of the strong view"


def evaluated_on(run: Run, batch: Batch) -> Tensor:
    loss = techniques(run).unlabeled(run, batch)
    assert loss is not None
    found: Tensor = loss()
    return found
