"""Consistency with neighbors: its loss against a naive reference, its gradient, its ramp, and that answers flip less."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import runs
from conftest import TINY_AUTOENCODER, bright_faces, refused, small_recipe
from mien import Recipe, TrainingSettings, train
from mien.data.augment import normalize
from mien.evaluation.flip_rates import MoveSizes, measure_flip_rates
from mien.neighbors.look import draw_neighbors
from mien.pretraining.run_neighbors import fit_neighbors
from mien.recognize.run_records import read_history
from mien.techniques.unlabeled.neighbor_consistency import NeighborConsistency, apart, ramped
from mien.training.batch_statistics import leaving_statistics
from mien.training.components import looks_at_unlabeled
from mien.training.loop import unlabeled_losses
from mien.training.run import Run
from runs import begun, tensors

ORDER = TrainingSettings(labels=40, seed=1, threads=1)


def consistent(**changed: Any) -> Recipe:
    """A recipe with the loss, at its full weight at once unless said, and dropout in its network."""
    more = {key: changed.pop(key) for key in ("model", "stages", "control") if key in changed}
    return small_recipe(unlabeled={"technique": "neighbor_consistency", "ramp": 0.0} | changed, unlabeled_batch=8, **more)


def naive(own: Tensor, near: Tensor, symmetric: bool) -> float:
    """The mean divergence of logits (B, K) and (D, B, K), term by term."""
    found = []
    for draw in near.double().softmax(dim=2).tolist():
        for p, q in zip(own.double().softmax(dim=1).tolist(), draw, strict=True):
            there = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
            back = sum(b * math.log(b / a) for a, b in zip(p, q, strict=True))
            found.append((there + back) / 2 if symmetric else there)
    return float(np.mean(found))


@pytest.mark.parametrize("by", ["symmetric", "kl"])
def test_the_divergence_against_a_loop(by: str) -> None:
    generator = torch.Generator().manual_seed(0)
    own, near = torch.randn(5, 4, generator=generator), torch.randn(3, 5, 4, generator=generator)
    assert float(apart(own, near, by)) == pytest.approx(naive(own, near, by == "symmetric"), rel=1e-5)
    assert float(apart(own, own.unsqueeze(0), by)) == pytest.approx(0, abs=1e-7)


def test_the_weight_rises_over_a_share_of_the_epochs() -> None:
    assert [ramped(epoch, 10, 0.4) for epoch in range(6)] == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])
    assert [ramped(epoch, 10, 0.0) for epoch in (0, 9)] == [1, 1]
    assert ramped(9, 10, 1.0) == 1


def test_the_ramp_in_a_run(tmp_path: Path) -> None:
    run, _ = begun(tmp_path / "run", bright_faces(), consistent(ramp=1.0, weight=3.0), ORDER)
    found = []
    for epochs in (0, 2):
        run.history = [{}] * epochs
        run.view_rng.manual_seed(5)
        torch.manual_seed(0)
        found.append(float(evaluated(run, NeighborConsistency(ramp=1.0, weight=3.0)).detach()))
    assert 0 < found[0] == pytest.approx(found[1] / 3, rel=1e-5), "one of three epochs, and the third"


def evaluated(run: Run, technique: NeighborConsistency) -> Tensor:
    """The loss of the first eight faces at the present weights."""
    loss = technique(run, run.pool.fetch(torch.arange(8)))
    assert loss is not None
    return leaving_statistics(run.network, loss)()


@pytest.mark.parametrize("neighbors", ["views", "features"])
@pytest.mark.parametrize("gradient", ["neighbor", "both"])
def test_a_loss_by_hand(neighbors: str, gradient: str, tmp_path: Path) -> None:
    """Without dropout, and with still statistics: where faces and neighbors are seen then makes no difference to the logits."""
    still = {"network": "mien_s", "width": 8, "depths": [1, 1, 1], "dropout": 0.0}
    run, _ = begun(tmp_path / "run", bright_faces(), consistent(model=still), ORDER)
    run.network.eval()
    technique = NeighborConsistency(2.0, 0.0, "kl", gradient, neighbors, draws=2)  # type: ignore[arg-type]
    batch, noise = run.pool.fetch(torch.arange(8)), run.view_rng.get_state()
    run.network.zero_grad()
    found = evaluated(run, technique)
    found.backward()
    mine = {name: value.grad.clone() for name, value in run.network.named_parameters() if value.grad is not None}
    run.view_rng.set_state(noise)
    drawn = draw_neighbors(fit_neighbors(run, technique.kind()), run.views, batch.rows, batch.faces, 2, run.view_rng)
    own = run.network(drawn.inputs)
    if drawn.move is not None:
        near = torch.stack([run.network.decide(one) for one in drawn.move(run.network.last_features(drawn.inputs))])
    else:
        assert drawn.near is not None
        near = torch.stack([run.network(normalize(one, run.views.normalization)) for one in drawn.near])
    target = own if gradient == "both" else own.detach()
    assert float(found.detach()) == pytest.approx(2 * naive(target.detach(), near.detach(), False), rel=1e-3)
    run.network.zero_grad()
    (2 * torch.stack([F.kl_div(one.log_softmax(1), target.log_softmax(1), reduction="batchmean", log_target=True)
                      for one in near]).mean()).backward()  # fmt: skip
    for name, value in run.network.named_parameters():
        assert value.grad is not None
        assert torch.allclose(mine[name], value.grad, rtol=1e-3, atol=1e-6), name


def test_labeled_and_unlabeled_faces_alike(tmp_path: Path) -> None:
    recipe = consistent()
    run, _ = begun(tmp_path / "run", bright_faces(), recipe, ORDER)
    assert looks_at_unlabeled(recipe)
    assert len(run.unlabeled)
    assert sorted(NeighborConsistency().rows(run).tolist()) == sorted([*run.labeled.tolist(), *run.unlabeled.tolist()])
    assert NeighborConsistency(faces="labeled").rows(run).tolist() == run.labeled.tolist()
    assert not looks_at_unlabeled(consistent(faces="labeled"))


def test_it_needs_no_face_without_label(tmp_path: Path) -> None:
    train(bright_faces(), consistent(), tmp_path / "run", TrainingSettings(threads=1))
    for epoch in read_history(tmp_path / "run"):
        assert epoch["neighbor_divergence"] > 0
        assert 0 <= epoch["neighbors_kept"] <= 1


@pytest.mark.parametrize("gradient", ["neighbor", "both"])
def test_it_leaves_no_trace_but_a_gradient(gradient: str, tmp_path: Path) -> None:
    """Statistics are still where the loop asks for it; weights do not move by themselves."""
    recipe = consistent(gradient=gradient)
    run, _ = begun(tmp_path / "run", bright_faces(), recipe, ORDER)
    before = tensors(run)
    (loss,) = unlabeled_losses(run, runs.techniques(run).unlabeled, 1)
    assert loss is not None
    loss().backward()
    assert runs.changed(before, tensors(run)) == set()
    assert any(value.grad is not None and bool(value.grad.any()) for value in run.network.parameters())
    assert run.network.training


@pytest.mark.parametrize(
    "neighbors",
    [{"kind": "views", "shift": 0.2}, "mirror", "pca", "features", {"kind": "autoencoder", "source": TINY_AUTOENCODER}],
)
def test_any_kind_of_neighbor_will_do(neighbors: str | dict[str, Any], tmp_path: Path) -> None:
    train(bright_faces(), consistent(neighbors=neighbors, stages=[{"epochs": 1, "lr": 0.01}]), tmp_path / "run", ORDER)
    (epoch,) = read_history(tmp_path / "run")
    assert epoch["neighbor_divergence"] > 0


def test_cached_features_have_near_features(tmp_path: Path) -> None:
    order = TrainingSettings(split="all", threads=1)
    embedding = {"network": "embedding"}
    train(runs.features(), consistent(neighbors="features", model=embedding), tmp_path / "run", order)
    assert read_history(tmp_path / "run")[0]["neighbor_divergence"] > 0
    with refused("cached features with a weak view; found clean"):
        train(runs.features(), consistent(model=embedding), tmp_path / "other", order)


def test_what_cannot_be(tmp_path: Path) -> None:
    with refused("shfit"):
        consistent(neighbors={"kind": "views", "shfit": 1})
    run, _ = begun(tmp_path / "run", bright_faces(), consistent(), ORDER)
    run.network.requires_grad_(False)
    with refused("a divergence with a gradient; found none: no weight of the network moves it; unfreeze some blocks"):
        evaluated(run, NeighborConsistency())
    with torch.no_grad():
        assert float(evaluated(run, NeighborConsistency())) > 0, "of a control nothing is asked"


def test_answers_flip_less_often_where_they_are_asked_not_to(tmp_path: Path) -> None:
    """Against its control, the same batches and views with a loss that counts 0, on faces that are not distorted otherwise."""
    faces = runs.dim_faces(180, lift=20)
    faces = faces.with_column("split", ["test" if row % 3 == row // 3 % 3 else "train" for row in range(180)])
    changed = {"unlabeled_batch": 32, "choose": "last", "draw.at_least": 30, "model.dropout": 0.0}
    still = {f"augment.weak.{name}": 0.0 for name in ("flip", "rotation", "shift", "zoom", "contrast", "brightness", "erase")}
    rates, right = {}, {}
    for control in (False, True):
        recipe = consistent(ramp=1.0, control=control).with_settings(changed | still)
        made = train(faces, recipe, tmp_path / str(control), TrainingSettings(labels=60, threads=1))
        rates[control] = measure_flip_rates(made, faces, sizes=MoveSizes(pixels=1.5, degrees=8)).overall["all"].share
        tested = faces.where(split="test")
        right[control] = float((made.logits(tested).argmax(axis=1) == tested.labels).mean())
    assert rates[False] < 0.6 * rates[True]
    assert right[False] > right[True] - 0.1, "not by giving one answer to all"
