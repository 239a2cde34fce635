"""Baselines against wrong labels: SCN, EAC, confident learning and small losses against naive references; what they note."""

import math
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

import runs
from conftest import Interrupted, StopAfter, bright_faces, refused, small_recipe
from mien import TrainingSettings, resume, train
from mien.models import Network
from mien.recognize.run_records import read_history
from mien.techniques.targets.relabeled import Relabeled, relabeled, unimportant
from mien.techniques.unlabeled.attention_consistency import AttentionConsistency, class_maps
from mien.techniques.weigh.pruned import class_thresholds, confident_class, wrong
from mien.techniques.weigh.self_cure import SelfCure, importance, rank_loss, weighted_loss
from mien.techniques.weigh.small_loss import SmallLoss, kept_share, smallest
from mien.training.label_quality import memorized, weights_of_labeled
from mien.training.loop import unlabeled_losses
from mien.training.memory import Memory
from mien.training.notes import Notes
from mien.training.run import Run
from runs import begun, fake_run, techniques

NOISY = TrainingSettings(noise=0.3, seed=1, threads=1)


def judged(count: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """Probabilities (N, K) and labels (N,) that agree more often than not."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    logits = torch.randn(count, classes, generator=generator) + 1.5 * F.one_hot(labels, classes)
    return logits.softmax(dim=1), labels


# SCN.


def test_attention_and_its_losses_by_hand() -> None:
    features, attention = torch.tensor([[1.0, 2.0], [0.0, -1.0]]), torch.tensor([0.5, -1.0, 0.25])
    alpha = importance(features, attention)
    assert alpha.tolist() == pytest.approx([1 / (1 + math.exp(1.25)), 1 / (1 + math.exp(-1.25))])
    logits, targets = torch.tensor([[1.0, 3.0], [2.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    wanted = [-math.log(math.exp(a * row[1]) / sum(math.exp(a * z) for z in row)) for a, row in zip(alpha, logits, strict=True)]
    assert float(weighted_loss(alpha, logits, targets)) == pytest.approx(np.mean(wanted))


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20), st.floats(0, 1), st.floats(0, 0.5))
def test_rank_regularization_against_a_loop(values: list[float], beta: float, margin: float) -> None:
    ordered, high = sorted(values, reverse=True), int(beta * len(values))
    groups = ordered[:high], ordered[high:]
    wanted = max(0.0, margin - (np.mean(groups[0]) - np.mean(groups[1]))) if all(groups) else 0.0
    assert float(rank_loss(torch.tensor(values), beta, margin)) == pytest.approx(wanted, abs=1e-5)


def test_faces_whose_labels_fit_badly_become_unimportant() -> None:
    """Two kinds of features: the logits of one contradict what it is taught."""
    wrongly = torch.arange(40) % 4 == 0
    features = torch.where(wrongly, -1.0, 1.0).unsqueeze(1)
    logits = torch.tensor([[2.0, 0.0]]).repeat(40, 1)
    run = fake_run(
        state=defaultdict(Memory),
        targets=F.one_hot(wrongly.long(), 2).float(),
        labeled=torch.arange(40),
        batch=10,
        generator=torch.Generator().manual_seed(0),
        device=torch.device("cpu"),
    )
    first = SelfCure(lr=0.1)._learn(run, features, logits)
    alpha = importance(features, SelfCure(lr=0.1)._learn(run, features, logits))
    assert alpha[wrongly].max() < 0.45 < 0.6 < alpha[~wrongly].min()
    assert not torch.equal(first, run.state["weigh"].values["self_cure"]), "it goes on where it was"
    assert run.targets.grad is None


def test_importance_is_of_the_features_that_the_network_decides_by(tmp_path: Path) -> None:
    """Mean maps, standardized over the labeled faces; no trace in the network; weights of mean 1."""
    run, _ = begun(tmp_path / "run", bright_faces(), small_recipe(weigh="self_cure"), TrainingSettings(labels=40))
    technique = techniques(run).weigh[0]
    assert isinstance(technique, SelfCure)
    assert technique(run).unique().tolist() == [1], "nothing is known before the first epoch"
    run.history.append({"stage": 0})
    before = runs.tensors(run)
    features, logits = technique._seen(run)
    with run.evaluating(run.eval_network) as network:
        maps = network.last_features(run.views.clean(run.pool.fetch(run.labeled.cpu()).faces))
        mean = maps.mean(dim=(2, 3)).numpy()
        assert torch.allclose(logits, network(run.views.clean(run.pool.fetch(run.labeled.cpu()).faces)), atol=1e-5)
    assert features.numpy() == pytest.approx((mean - mean.mean(axis=0)) / (mean.std(axis=0) + 1e-6), abs=1e-3)
    weights = technique(run)
    assert runs.changed(before, runs.tensors(run)) == set()
    assert float(weights[run.labeled].mean()) == pytest.approx(1)
    assert len(weights[run.labeled].unique()) > 1
    assert weights[run.unlabeled].unique().tolist() in ([], [1])


@given(st.integers(1, 30), st.integers(2, 4), st.floats(0, 1), st.integers(0, 5))
def test_relabeling_against_a_loop(count: int, classes: int, threshold: float, seed: int) -> None:
    probabilities, labels = judged(count, classes, seed)
    wanted = []
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        likeliest = int(np.argmax(row))
        wanted.append(likeliest if np.float32(row[likeliest]) - np.float32(row[label]) > threshold else label)
    assert relabeled(probabilities, labels, threshold).tolist() == wanted


def test_who_is_unimportant() -> None:
    assert unimportant(torch.tensor([3.0, 1.0, 2.0, 1.0]), 0.25).tolist() == [False, True, False, True]
    assert unimportant(torch.ones(4), 0.3).all(), "where all weigh the same, everyone"
    assert not unimportant(torch.ones(4), 0.0).any()


def test_a_changed_label_stays_until_it_is_changed_again() -> None:
    shown: list[Any] = [[[0.9, 0.1], [0.1, 0.9], [0.3, 0.7]], [[0.45, 0.55]] * 3, [[0.2, 0.8], [0.9, 0.1], [0.9, 0.1]]]
    run: Run = fake_run(
        state=defaultdict(Memory),
        labels=torch.tensor([1, 0, -1]),
        labeled=torch.tensor([0, 1]),
        weights=torch.tensor([0.5, 0.5, 1.0]),
        classes=2,
        history=[],
        epochs=4,
        notes=Notes(),
        data=SimpleNamespace(truth=torch.tensor([0, 0, 1])),
        predictions=lambda: SimpleNamespace(probabilities=torch.tensor(shown[len(run.history) - 1])),
    )
    taught = []
    for _ in range(4):
        targets = Relabeled(after=0.25)(run)
        taught.append((targets[:2].argmax(dim=1).tolist(), targets[2].sum().item()))
        run.history.append({})
    assert taught == [([1, 0], 0), ([0, 1], 0), ([0, 1], 0), ([1, 0], 0)]
    assert run.labels.tolist() == [1, 0, -1]
    assert run.notes.take()["pseudo_label_share"] == pytest.approx(4 / 6), "two faces in two of three epochs"


# EAC.


def test_class_maps_are_cam_where_one_linear_layer_follows_the_pooling(tmp_path: Path) -> None:
    run, _ = begun(tmp_path / "run", bright_faces(), small_recipe(model={"network": "mien_s", "width": 8, "dropout": 0.0}))
    network = run.network.eval()
    inputs = run.views.clean(run.pool.fetch(torch.arange(3)).faces)
    maps, layer = network.last_features(inputs), cast(Any, network.head)[-1]
    wanted = torch.einsum("bchw,kc->bkhw", maps, layer.weight)
    found = class_maps(network, inputs)
    assert torch.allclose(found, wanted, atol=1e-5)
    assert torch.allclose(found.mean(dim=(2, 3)) + layer.bias, network(inputs), atol=1e-5)
    assert found.requires_grad


def test_class_maps_of_two_streams_add_up_to_what_the_whole_face_says(tmp_path: Path) -> None:
    """Linear layers without pooling: a place's own weights; the stream at half size is left out of it."""
    recipe = small_recipe(model={"network": "two_scale", "width": 0.05, "dropout": 0.0})
    run, _ = begun(tmp_path / "run", bright_faces(60, side=48), recipe)
    network = run.network.eval()
    inputs = run.views.clean(run.pool.fetch(torch.arange(4)).faces)
    found = class_maps(network, inputs)
    assert found.shape == (4, 3, 3, 3)
    by_half = network(inputs) - found.mean(dim=(2, 3))
    whole, small = inputs.clone(), F.avg_pool2d(inputs, 2)
    maps = network.features(whole, "conv5")
    assert maps.shape[-2:] == (3, 3)
    assert small.shape[-1] == 24
    fc, fused = cast(Any, network.blocks["fc"])[0], cast(Any, network.head).fused
    of_whole = (fc.whole[2].weight.T @ fused.weight[:, :64].T).T
    assert torch.allclose(found.mean(dim=(2, 3)), maps.flatten(1) @ of_whole.T, atol=1e-4)
    assert by_half.abs().max() > 0


def test_a_difference_of_maps_by_hand(tmp_path: Path) -> None:
    """Of one view and its mirror image, on labeled faces, though there are others."""
    recipe = small_recipe(unlabeled={"technique": "attention_consistency", "weight": 2.0}, unlabeled_batch=8)
    run, _ = begun(tmp_path / "run", bright_faces(), recipe, TrainingSettings(labels=40))
    technique = techniques(run).unlabeled
    assert isinstance(technique, AttentionConsistency)
    batch, noise = run.pool.fetch(run.labeled[:8].cpu()), run.view_rng.get_state()
    loss = technique(run, batch)
    assert loss is not None
    run.network.eval()
    found = loss()
    run.view_rng.set_state(noise)
    view = run.view(batch, "weak")
    one, other = (class_maps(run.network, inputs) for inputs in (view, view.flip(3)))
    assert float(found.detach()) == pytest.approx(2 * float((one - other.flip(3)).square().mean().detach()), rel=1e-4)
    found.backward()
    assert cast(Any, run.network.head)[-1].weight.grad is None, "as the authors: no gradient for the last layer"
    assert any(p.grad is not None and bool(p.grad.any()) for p in run.network.blocks.parameters())
    seen = _shown(run)
    assert set(torch.cat(seen).tolist()) <= set(run.labeled.tolist())
    assert len(seen[0]) == 8


def _shown(run: Any) -> list[Tensor]:
    """The rows that a technique is shown in three batches."""
    rows = list[Tensor]()

    class Watch(AttentionConsistency):
        def __call__(self, run: Any, batch: Any) -> None:
            rows.append(batch.rows)

    list(unlabeled_losses(run, Watch(), 3))
    return rows


def test_maps_that_mirror_images_share_cost_nothing() -> None:
    """Faces that are their own mirror image, in a network that treats left as right."""
    conv = torch.nn.Conv2d(1, 4, 3, padding=1)
    with torch.no_grad():
        conv.weight.copy_((conv.weight + conv.weight.flip(3)) / 2)
    head = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(4, 3))
    network = Network({"conv": conv}, head, (1, 8, 8))
    face = torch.rand(2, 1, 8, 8)
    maps = class_maps(network, torch.cat([face, face.flip(3)]))
    one, mirrored = maps.chunk(2)
    assert torch.allclose(one, mirrored.flip(3), atol=1e-6)
    assert not torch.allclose(one, mirrored, atol=1e-4)


def test_features_have_no_maps(tmp_path: Path) -> None:
    recipe = small_recipe(unlabeled="attention_consistency", model={"network": "embedding"})
    with refused("a network of faces, for unlabeled = attention_consistency; found one without maps; take another one"):
        train(runs.features(), recipe, tmp_path / "run", TrainingSettings(split="all", threads=1))
    assert not (tmp_path / "run").exists()


# Confident learning and small losses.


@given(st.integers(1, 40), st.integers(2, 5), st.integers(0, 20))
def test_the_confident_joint_against_loops(count: int, classes: int, seed: int) -> None:
    probabilities, labels = judged(count, classes, seed)
    rows, given_labels = probabilities.tolist(), labels.tolist()
    own = [[row[label] for row, label in zip(rows, given_labels, strict=True) if label == j] for j in range(classes)]
    limits = [float(np.mean(np.array(values, np.float32))) if values else math.inf for values in own]
    found = class_thresholds(probabilities, labels)
    assert found.tolist() == pytest.approx(limits, rel=1e-5)
    off = []
    for row, label in zip(rows, given_labels, strict=True):
        sure = [j for j in range(classes) if row[j] >= float(found[j])]
        off.append(bool(sure) and max(sure, key=lambda j: row[j]) != label)
    emptied = [all(off[n] for n in range(count) if given_labels[n] == j) for j in range(classes)]
    wanted = [flag and not emptied[label] for flag, label in zip(off, given_labels, strict=True)]
    assert wrong(probabilities, labels).tolist() == wanted
    if set(given_labels) == set(range(classes)):
        assert all((wrong(probabilities, labels) & (labels == j)).sum() < (labels == j).sum() for j in range(classes))


def test_faces_off_the_diagonal_are_those_of_cleanlab() -> None:
    search = pytest.importorskip("cleanlab.filter")
    probabilities, labels = judged(300, 4, 3)
    theirs = search.find_label_issues(labels.numpy(), probabilities.numpy(), filter_by="confident_learning", n_jobs=1)
    assert wrong(probabilities, labels).tolist() == theirs.tolist()
    assert 5 < theirs.sum() < 200


def test_no_class_is_sure() -> None:
    assert confident_class(torch.tensor([[0.5, 0.5], [0.9, 0.1]]), torch.tensor([0.6, 0.7])).tolist() == [-1, 0]


def test_small_losses_by_hand() -> None:
    assert [kept_share(0.4, progress) for progress in (0.0, 0.5, 1.0, 3.0)] == pytest.approx([1, 0.8, 0.6, 0.6])
    assert smallest(torch.tensor([3.0, 1.0, 2.0, 1.0]), 0.5).tolist() == [False, True, False, True]
    assert smallest(torch.tensor([2.0, 1.0]), 0.0).tolist() == [False, True], "one is kept"
    probabilities = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.5, 0.5]])
    run = fake_run(
        labels=torch.tensor([1, 1, 0, -1]),
        labeled=torch.arange(3),
        device=torch.device("cpu"),
        history=[{}, {}],
        epochs=4,
        predictions=lambda: SimpleNamespace(probabilities=probabilities),
        notes=Notes(),
        data=SimpleNamespace(truth=None),
    )
    assert SmallLoss(wrong=1 / 3, ramp=0.5)(run).tolist() == [0, 1, 1, 1]


# What is noted, and learned.


@given(
    st.lists(st.tuples(st.integers(-1, 2), st.integers(-1, 2), st.sampled_from([0.0, 0.2, 1.0, 1.5])), min_size=1, max_size=12)
)
def test_notes_of_weights_against_loops(faces: list[tuple[int, int, float]]) -> None:
    """(label, truth, weight) of each; faces without a label weigh something, and are not counted."""
    labels, truth, weights = (list(values) for values in zip(*faces, strict=True))
    labeled = [n for n, label in enumerate(labels) if label >= 0]
    if not labeled:
        return
    run = fake_run(
        notes=Notes(),
        labels=torch.tensor(labels),
        labeled=torch.tensor(labeled),
        device=torch.device("cpu"),
        data=SimpleNamespace(truth=torch.tensor(truth)),
    )
    wanted = [weights[n] if n in labeled else 1 for n in range(len(labels))]
    assert weights_of_labeled(run, torch.tensor(weights)[labeled]).tolist() == pytest.approx(wanted)
    found = run.notes.take()
    assert found["left_out_share"] == pytest.approx(np.mean([weights[n] == 0 for n in labeled]))
    known = [n for n in labeled if truth[n] >= 0]
    false, true = ([weights[n] for n in known if (truth[n] != labels[n]) == which] for which in (True, False))
    wins = [1.0 if w < r else 0.5 if w == r else 0.0 for w in false for r in true]
    assert found.get("weight_auroc") == (pytest.approx(np.mean(wins)) if wins else None)


def test_wrong_labels_known_by_heart_by_hand() -> None:
    said = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    run = fake_run(
        labels=torch.tensor([1, 1, 0, -1]),
        labeled=torch.arange(3),
        data=SimpleNamespace(truth=torch.tensor([0, 0, 0, 1])),
        pool=None,
        predict=lambda pool, rows: said[rows],
    )
    assert memorized(run) == {"memorized_share": 0.5}
    for truth in (torch.tensor([1, 1, 0, 0]), None):
        run.data = cast(Any, SimpleNamespace(truth=truth))
        assert memorized(run) == {}


def test_a_run_says_how_many_wrong_labels_it_knows_by_heart(tmp_path: Path) -> None:
    """Where labels are known to be wrong; and it learns the same for it."""
    heard, once = runs.Heard(), small_recipe(stages=[{"epochs": 2, "lr": 0.05}])
    train(bright_faces(), once, tmp_path / "noisy", NOISY, progress=heard)
    shares = [epoch["memorized_share"] for epoch in read_history(tmp_path / "noisy")]
    assert all(0 <= share <= 1 for share in shares)
    assert sum("of the wrong labels known by heart" in line for line in heard.lines) == 2
    train(bright_faces(), once, tmp_path / "clean", TrainingSettings(threads=1))
    assert not any("memorized_share" in epoch for epoch in read_history(tmp_path / "clean"))


@pytest.mark.parametrize(
    "how",
    [{"weigh": "self_cure", "targets": "relabeled"}, {"weigh": "pruned"}, {"weigh": {"technique": "small_loss", "wrong": 0.3}}],
)
@pytest.mark.usefixtures("checkpoint_each_batch")
def test_wrong_labels_weigh_less_and_a_killed_run_goes_on(how: dict[str, Any], tmp_path: Path, stored: Path) -> None:
    recipe = small_recipe(stages=[{"epochs": 6, "lr": 0.05, "schedule": "one_cycle"}], **how)
    whole = train(stored, recipe, tmp_path / "whole", NOISY)
    with pytest.raises(Interrupted):
        train(stored, recipe, tmp_path / "killed", NOISY, progress=StopAfter(20))
    again = resume(tmp_path / "killed")
    assert runs.changed(whole.network.state_dict(), again.network.state_dict()) == set()
    last = read_history(tmp_path / "whole")[-1]
    assert last["weight_auroc"] > 0.6
    assert "left_out_share" in last
