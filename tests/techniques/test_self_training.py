"""ST+SW: replacement (Eq. 3) and successive label smoothing (Eq. 4-5), against loops."""

import math
from collections import Counter
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from conftest import bright_faces, small_recipe
from mien import MienError, TrainingSettings, train
from mien.recognize.run_records import read_history
from mien.techniques.draw import replace
from mien.techniques.draw.replace import Replace, balanced, per_class, sure
from mien.techniques.targets.successive import Successive, floor, successive
from mien.training.run import Predictions
from runs import begun, fake_run, labeled_loss, refresh, taught_hard, techniques

few = settings(max_examples=60, deadline=None, derandomize=True)


def chances_of(seed: int, rows: int, classes: int, sharp: float = 3.0) -> Tensor:
    """Random probabilities (N, K), many of them sure."""
    return (torch.randn(rows, classes, generator=Generator().manual_seed(seed)) * sharp).softmax(1)


# Replacement.


class Pretended:
    """A run whose network says these probabilities, and that remembers what it was told."""

    def __init__(self, labels: list[int], chances: Tensor, batch: int = 8, seed: int = 0) -> None:
        tensor = torch.tensor(labels)
        self.notes: list[tuple[str, Any]] = []
        self.run = fake_run(
            labels=tensor,
            labeled=torch.nonzero(tensor >= 0).squeeze(1),
            unlabeled=torch.nonzero(tensor < 0).squeeze(1),
            classes=chances.shape[1],
            device=torch.device("cpu"),
            batch=batch,
            generator=Generator().manual_seed(seed),
            targets=torch.zeros_like(chances),
            predictions=lambda: Predictions(chances, torch.zeros(len(chances))),
            notes=SimpleNamespace(add=lambda name, value: self.notes.append((name, value))),
            data=SimpleNamespace(truth=None),
        )

    def drawn(self, technique: Replace) -> list[int]:
        """Rows of an epoch of one batch, which is every face once."""
        self.notes.clear()
        self.run.targets.zero_()
        batches = technique(self.run)
        assert len(batches) == 1
        return sorted(batches[0].tolist())


def naive_counts(labels: list[int], chances: Tensor, share: str, threshold: float, up: bool, fill: bool) -> list[int]:
    """How many unlabeled faces of every predicted class come in; where classes fill up, sorted, since chance says which."""
    classes, labeled = chances.shape[1], sum(label >= 0 for label in labels)
    exact = Fraction(share) * labeled / classes
    wanted = math.ceil(exact) if up else math.floor(exact)
    have = [0] * classes
    for label, row in zip(labels, chances.tolist(), strict=True):
        if label < 0 and max(row) > threshold:
            have[row.index(max(row))] += 1
    if not fill:
        return [min(wanted, count) for count in have]
    came = [0] * classes
    for _ in range(min(wanted * classes, sum(have))):
        fewest = min((count, label) for label, count in enumerate(came) if count < have[label])[1]
        came[fewest] += 1
    return sorted(came)


@given(
    st.lists(st.integers(-1, 3), min_size=2, max_size=150).filter(lambda labels: max(labels) >= 0),
    st.sampled_from(["0.02", "0.1", "0.5", "1.0"]),
    st.sampled_from([0.3, 0.7, 0.9]),
    st.integers(0, 1000),
    st.booleans(),
    st.booleans(),
)
@few
def test_replacement_counts(labels: list[int], share: str, threshold: float, seed: int, up: bool, fill: bool) -> None:
    """share N_l / K of every predicted class above tau, or what it has, or others in its place; as many labeled faces go."""
    chances, labeled = chances_of(seed, len(labels), 4), sum(label >= 0 for label in labels)
    pretended = Pretended(labels, chances, batch=1000, seed=seed)
    technique = Replace(share=float(share), threshold=threshold, rounding="up" if up else "down", fill=fill)
    rows = pretended.drawn(technique)
    assert len(set(rows)) == len(rows) == labeled
    came = [row for row in rows if labels[row] < 0]
    expected = naive_counts(labels, chances, share, threshold, up, fill)
    most = max(labeled // 2, math.floor(Fraction(share) * labeled))
    if sum(expected) <= most:
        counts = Counter(int(chances[row].argmax()) for row in came)
        found = [counts[label] for label in range(4)]
        assert (sorted(found) if fill else found) == expected
    else:
        assert len(came) == most, "rounding up takes no more than half of the labels away"
    assert all(chances[row].max() > threshold for row in came)
    for row, target in enumerate(pretended.run.targets):
        assert torch.equal(target, chances[row] if row in came else torch.zeros(4)), "q_u is p_u"


def test_few_labels_are_a_face_of_every_class_and_not_none() -> None:
    """2 % of 180 labels of 8 classes is less than half a face: the paper's floor replaces nothing."""
    labels = [label for label in range(8) for _ in range(22)] + [-1] * 200
    chances = torch.full((376, 8), 0.005)
    chances[torch.arange(376), torch.arange(376) % 8] = 0.965
    letter, mended = (
        Pretended(labels, chances, batch=1000).drawn(Replace(rounding=rounding, fill=False)) for rounding in ("down", "up")
    )
    assert sum(labels[row] < 0 for row in letter) == 0
    assert Counter(row % 8 for row in mended if labels[row] < 0) == dict.fromkeys(range(8), 1)


@pytest.mark.parametrize("quantile", [0.0, 0.5, 0.9, 1.0])
def test_tau_as_a_quantile_takes_the_surest_share(quantile: float) -> None:
    """However unsure the network is; at 1 the surest face alone, and those as sure as it."""
    labels, chances = [0, 1] * 50 + [-1] * 101, chances_of(3, 201, 2, sharp=0.1)
    chances[100:103] = chances[100:].amax(0) * torch.tensor([1.0, 0.0])
    pretended = Pretended(labels, chances, batch=1000)
    rows = pretended.drawn(Replace(share=1.0, threshold=quantile, by="quantile"))
    came = {row for row in rows if row >= 100}
    top = chances[100:].amax(1)
    least = sorted(top.tolist())[round(quantile * 100)]
    allowed = {row for row in range(100, 201) if float(top[row - 100]) >= least}
    assert came <= allowed
    assert len(came) == min(100, len(allowed))
    assert ("threshold", pytest.approx(least, abs=1e-6)) in pretended.notes


def test_tau_as_a_precision_is_the_lowest_that_validation_allows() -> None:
    """At 0.8 with a mistake more than is seen: 1 + wrong <= 0.2 n. The five surest are right, so that they are few enough."""
    sureness = torch.tensor([0.99, 0.98, 0.97, 0.96, 0.95, 0.9, 0.8, 0.7, 0.6])
    validation = torch.stack([sureness, 1 - sureness], dim=1)
    right = torch.tensor([0, 0, 0, 0, 0, 1, 0, 1, 0])
    labels = [0, 1] * 10 + [-1] * 20
    chances = torch.tensor([[0.949, 0.051]]).repeat(40, 1)
    chances[30:] = torch.tensor([0.04, 0.96])
    pretended = Pretended(labels, chances, batch=1000)
    pretended.run.validation = None  # type: ignore[assignment]
    vars(pretended.run)["predict"] = lambda faces: validation.log()
    pretended.run.data = SimpleNamespace(truth=None, validation_labels=right)  # type: ignore[assignment]
    technique = Replace(share=1.0, threshold=0.8, by="precision")
    rows = pretended.drawn(technique)
    assert sorted(row for row in rows if row >= 20) == list(range(30, 40))
    assert dict(pretended.notes)["threshold"] == pytest.approx(0.95)
    right[0] = 1
    assert [row for row in pretended.drawn(technique) if row >= 20] == [], "nobody is sure"
    assert dict(pretended.notes)["threshold"] == 1
    pretended.run.data = SimpleNamespace(truth=None, validation_labels=right[:0])  # type: ignore[assignment]
    with pytest.raises(MienError, match=r"draw\.by"):
        technique(pretended.run)


@pytest.mark.parametrize(("by", "threshold"), [("quantile", 0.9), ("precision", 0.4)])
def test_in_a_run_tau_follows_the_network(tmp_path: Path, by: str, threshold: float) -> None:
    """It is noted; the surest are there from the first epoch on, of those who are sure by validation nobody may be."""
    draw = {"technique": "replace", "share": 0.3, "threshold": threshold, "by": by, "at_least": 4}
    recipe = small_recipe(draw=draw, validation=0.3)
    train(bright_faces(), recipe, tmp_path / "run", TrainingSettings(labels=60, threads=1))
    history = read_history(tmp_path / "run")
    assert all(0.3 < epoch["threshold"] <= 1 for epoch in history)
    assert by == "precision" or all(epoch["replaced"] > 0 for epoch in history)


def test_who_comes_and_who_goes_is_drawn_afresh_each_epoch() -> None:
    labels = [0, 1] * 50 + [-1] * 60
    chances = torch.tensor([0.95, 0.05]).repeat(160, 1)
    chances[130:] = torch.tensor([0.05, 0.95])
    pretended = Pretended(labels, chances, batch=1000)
    epochs = [pretended.drawn(Replace(share=0.2)) for _ in range(12)]
    came = [{row for row in rows if row >= 100} for rows in epochs]
    left = [set(range(100)) - set(rows) for rows in epochs]
    for new, gone in zip(came, left, strict=True):
        assert sum(row < 130 for row in new) == sum(row >= 130 for row in new) == 10
        assert len(gone) == 20
    assert len({frozenset(new) for new in came}) == 12
    assert len({frozenset(gone) for gone in left}) == 12
    assert len(set.union(*came)) > 50, "over the epochs nearly every sure face has its turn"
    assert len(set.union(*left)) > 90


def test_a_class_that_nobody_is_predicted_to_be_gives_none() -> None:
    labels = [0, 1, 2] * 100 + [-1] * 100
    chances = torch.tensor([0.96, 0.03, 0.01]).repeat(400, 1)
    chances[397:] = torch.tensor([0.01, 0.96, 0.03])
    for fill, expected in ((False, {0: 10, 1: 3}), (True, {0: 27, 1: 3})):
        rows = Pretended(labels, chances, batch=1000).drawn(Replace(share=0.1, fill=fill))
        came = [row for row in rows if row >= 300]
        assert Counter(int(chances[row].argmax()) for row in came) == expected


def test_tau_has_to_be_exceeded() -> None:
    chances = torch.tensor([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75], [1.0, 0.0]])
    assert sure(chances, 0.75).tolist() == [3]
    assert sure(chances, 0.5).tolist() == [0, 2, 3]
    assert sure(chances, 1.0).tolist() == []


@given(st.integers(1, 30_000), st.integers(2, 8), st.sampled_from(["0.01", "0.02", "0.05", "0.1", "0.2"]))
@few
def test_per_class_is_the_floor_or_the_ceiling(labeled: int, classes: int, share: str) -> None:
    assert per_class(labeled, classes, float(share)) == math.floor(Fraction(share) * labeled / classes)
    assert per_class(labeled, classes, float(share), up=True) == math.ceil(Fraction(share) * labeled / classes)


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(0, 12), st.integers(0, 100))
@few
def test_balanced_takes_as_many_of_every_class(predicted: list[int], count: int, seed: int) -> None:
    chosen = balanced(torch.tensor(predicted, dtype=torch.int64), 4, count, Generator().manual_seed(seed)).tolist()
    assert len(set(chosen)) == len(chosen)
    found = Counter(predicted[row] for row in chosen)
    assert all(found[label] == min(count, predicted.count(label)) for label in range(4))
    filled = balanced(torch.tensor(predicted, dtype=torch.int64), 4, count, Generator().manual_seed(seed), fill=True).tolist()
    assert len(set(filled)) == len(filled) == min(4 * count, len(predicted))
    shares = Counter(predicted[row] for row in filled)
    for label in range(4):
        assert shares[label] >= min(count, predicted.count(label))
        assert shares[label] == predicted.count(label) or max(shares.values(), default=0) <= shares[label] + 1, (
            "as evenly as can be"
        )


@given(st.integers(1, 40), st.integers(1, 12), st.booleans())
@few
def test_epochs_are_batches_of_equal_size(batch: int, at_least: int, unlabeled: bool) -> None:
    labels = [0, 1] * 25 + [-1] * (30 if unlabeled else 0)
    pretended = Pretended(labels, chances_of(1, len(labels), 2), batch)
    batches = Replace(share=0.2, threshold=0.6, at_least=at_least)(pretended.run)
    assert {len(rows) for rows in batches} == {batch}
    assert len(batches) == max(at_least, 50 // batch)


def test_without_unlabeled_faces_all_labeled_ones_are_drawn(tmp_path: Path) -> None:
    pretended = Pretended([0, 1, 2] * 20, chances_of(0, 60, 3), batch=1000)
    assert pretended.drawn(Replace(share=0.5, threshold=0.1)) == list(range(60))
    made = train(
        bright_faces(), small_recipe(draw={"technique": "replace", "share": 0.5}), tmp_path / "run", TrainingSettings(threads=1)
    )
    assert made.card.budget["unlabeled"] == 0
    assert [epoch["replaced"] for epoch in read_history(tmp_path / "run")] == [0, 0, 0]


def test_what_is_replaced_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = [0, 1] * 20 + [-1] * 20
    chances = chances_of(4, 60, 2)
    pretended, noted = Pretended(labels, chances, batch=1000), list[tuple[list[int], list[int]]]()
    monkeypatch.setattr(replace, "note_pseudo_labels", lambda run, rows, given: noted.append((rows.tolist(), given.tolist())))
    rows = pretended.drawn(Replace(share=0.2, threshold=0.6))
    came = sorted(row for row in rows if row >= 40)
    assert len(came) == 8
    assert pretended.notes == [("replaced", 8)]
    ((given_rows, labels_given),) = noted
    assert sorted(given_rows) == came
    assert labels_given == [int(chances[row].argmax()) for row in given_rows]


def test_in_a_run_drawn_faces_are_taught_the_networks_prediction(tmp_path: Path) -> None:
    """Rows of a batch, labeled or not, go through one loss: their targets and weights are what counts."""
    recipe = small_recipe(draw={"technique": "replace", "share": 0.5, "threshold": 0.0}, average=0.0)
    run, batches = begun(tmp_path, bright_faces().with_column("subject", [None] * 120), recipe, TrainingSettings(labels=60))
    drawn = torch.cat(batches)
    came = drawn[run.labels[drawn] < 0]
    assert 0 < len(came) <= 24
    run.network.eval()
    with torch.no_grad():
        chances = run.network(run.views.clean(run.pool.fetch(came).faces)).softmax(1)
    assert torch.allclose(run.targets[came], chances, atol=1e-5)
    assert torch.equal(run.targets[run.labeled], run.one_hot()[run.labeled])
    assert run.targets.sum(1).count_nonzero() == len(run.labeled) + len(came.unique())
    run.train_mode()
    assert labeled_loss(run, run.pool.fetch(batches[0]))().isfinite()
    refresh(run)
    again = torch.nonzero((run.labels < 0) & (run.targets.sum(1) > 0)).squeeze(1)
    assert again.tolist() != came.sort().values.tolist(), "others in the next epoch, and nobody else has a target"


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_history_holds_numbers_even_where_nobody_is_sure(tmp_path: Path, threshold: float) -> None:
    recipe = small_recipe(draw={"technique": "replace", "share": 0.5, "threshold": threshold})
    train(bright_faces(), recipe, tmp_path / "run", TrainingSettings(labels=60, threads=1))
    history = read_history(tmp_path / "run")
    assert all(math.isfinite(value) for epoch in history for value in epoch.values())
    assert all((epoch["replaced"] > 0) == (threshold == 0) for epoch in history)


# Successive label smoothing.


def naive_successive(chances: list[list[float]], labels: list[int], alpha: float) -> list[list[float]]:
    """Eq. 4 and 5, face by face and class by class."""
    out = []
    for p, y in zip(chances, labels, strict=True):
        classes = len(p)
        if y < 0:
            out.append([0.0] * classes)
        elif max(p) > alpha and p.index(max(p)) == y:
            out.append(p)
        else:
            out.append([alpha if k == y else (1 - alpha) / (classes - 1) for k in range(classes)])
    return out


@given(st.integers(0, 10_000), st.integers(2, 7), st.floats(0.2, 0.95))
@few
def test_successive_targets_are_equations_4_and_5(seed: int, classes: int, alpha: float) -> None:
    chances = chances_of(seed, 40, classes)
    labels = torch.randint(-1, classes, (40,), generator=Generator().manual_seed(seed))
    found = successive(chances, labels, alpha)
    for row, expected in zip(found.tolist(), naive_successive(chances.tolist(), labels.tolist(), alpha), strict=True):
        assert row == pytest.approx(expected, abs=1e-6)
    labeled = labels >= 0
    assert found[labeled].sum(1).tolist() == pytest.approx([1.0] * int(labeled.sum()), abs=1e-5)
    assert found[labeled, labels[labeled]].min().item() >= alpha - 1e-6 if labeled.any() else True
    assert (found[~labeled] == 0).all()


def test_successive_targets_at_their_corners() -> None:
    chances = torch.tensor([[0.75, 0.25, 0.0], [0.75, 0.25, 0.0], [0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    found = successive(chances, torch.tensor([0, 1, 0, -1]), 0.75)
    g = [0.75, 0.125, 0.125]
    assert found.tolist() == [g, [0.125, 0.75, 0.125], g, [0.0] * 3], "alpha itself is not above alpha"
    assert successive(chances, torch.tensor([0, 1, 0, -1]), 0.7)[0].tolist() == [0.75, 0.25, 0.0]
    assert floor(torch.tensor([1, -1]), 3, 0.6).tolist()[0] == pytest.approx([0.2, 0.6, 0.2])


def test_targets_of_an_epoch_come_of_the_predictions_before_it(tmp_path: Path) -> None:
    recipe = small_recipe(targets={"technique": "successive", "alpha": 0.4}, average=0.0)
    run, batches = begun(tmp_path, bright_faces(), recipe, TrainingSettings(labels=60))
    taught_hard(run, batches)
    refresh(run)
    run.network.eval()
    with torch.no_grad():
        chances = run.network(run.views.clean(run.pool.fetch(torch.arange(len(run.labels))).faces)).softmax(1)
    expected = naive_successive(chances.tolist(), run.labels.tolist(), 0.4)
    assert torch.allclose(run.targets, torch.tensor(expected), atol=1e-5)
    assert isinstance(techniques(run).targets, Successive)
    assert len(run.targets.unique(dim=0)) > 4, "some faces are taught predictions, not g"
