"""SNA's mask: Eq. 9-11 and 14 against naive references, gradients by hand, what it leaves untouched, what it notes."""

import copy
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageColor
from torch import Tensor
from torch.nn import functional as F

import runs
from conftest import TINY_AUTOENCODER, Interrupted, StopAfter, bright_faces, small_recipe
from mien import MienError, Recipe, TrainingSettings, evaluate, resume, train
from mien.data.augment import normalize
from mien.data.face_grid import RED
from mien.neighbors.choose import kind_from
from mien.neighbors.divergence import divergence
from mien.neighbors.look import draw_neighbors
from mien.neighbors.mask import reliable, remember
from mien.neighbors.mask_notes import MaskedFaces, count_masked
from mien.pretraining.autoencoder.of_run import run_neighbors
from mien.pretraining.mask_memory import memory_of
from mien.pretraining.run_neighbors import fit_neighbors, look_in_run, note_masked
from mien.recognize.run_records import read_history
from mien.registry import build_component
from mien.techniques.weigh.neighborhood import Neighborhood
from mien.training.face_loader import Batch
from mien.training.memory import Memory
from mien.training.notes import Notes
from mien.training.run import Run
from runs import begun, fake_run, features, labeled_loss, techniques, tensors

TWO_SCALE: dict[str, Any] = {"network": "two_scale", "width": 0.05}
ORDER = TrainingSettings(threads=1)


def masked(**changed: Any) -> Recipe:
    """A recipe with the mask, and dropout in its network."""
    more = {key: changed.pop(key) for key in ("model", "draw", "stages", "loss") if key in changed}
    weigh = {"technique": "neighborhood", "autoencoder": TINY_AUTOENCODER} | changed
    return small_recipe(**({"weigh": weigh} | more))


def technique(run: Run, place: int = 0) -> Neighborhood:
    found = techniques(run).weigh[place]
    assert isinstance(found, Neighborhood)
    return found


def set_scores(monkeypatch: pytest.MonkeyPatch, *scores: float) -> None:
    """Every batch's divergences are these, in order."""
    monkeypatch.setattr("mien.techniques.weigh.neighborhood.stability", lambda own, near: torch.tensor(scores[: len(own)]))


# Eq. 11 and 14.


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.floats(0, 10, width=32), min_size=1, max_size=12))
def test_the_batchs_mean_against_a_loop(values: list[float]) -> None:
    scores = torch.tensor(values)
    mean = float(scores.mean())
    wanted = [value < mean for value in values]
    found = reliable(scores, scores.mean()).tolist()
    assert found == (wanted if any(wanted) else [True] * len(values))
    assert any(found)


@pytest.mark.parametrize(
    ("scores", "threshold"),
    [([0.3], 0.3), ([0.3], 0.1), ([0.2] * 5, 0.2), ([0.0] * 4, 0.0), ([0.5, 0.9, 0.7], 0.1), ([0.1] * 7, 0.7 / 7)],
)
def test_nobody_is_left_out_where_all_would_be(scores: list[float], threshold: float) -> None:
    """One face, equal scores, a threshold below all of them."""
    assert reliable(torch.tensor(scores), torch.tensor(threshold)).all()


def test_a_threshold_for_each_face() -> None:
    assert reliable(torch.tensor([1.0, 1.0, 3.0]), torch.tensor([2.0, 1.0, 4.0])).tolist() == [True, False, True]


def test_a_fixed_threshold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = begun(tmp_path / "run", bright_faces(), masked(threshold="fixed", value=0.25))
    for scores, wanted in (((0.1, 0.25, 0.2, 0.9), [1, 0, 1, 0]), ((0.3, 0.9, 0.8, 2.0), [1, 1, 1, 1])):
        set_scores(monkeypatch, *scores)
        assert technique(run).of_batch(run, run.pool.fetch(torch.arange(4)))().tolist() == wanted


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 5, width=32)), min_size=1, max_size=9), max_size=6))
def test_a_classs_quantile_against_lists(batches: list[list[tuple[int, float]]]) -> None:
    """Of its last four scores, those of the batch among them, by linear interpolation; scores of a batch in its order."""
    weigh, run = (
        Neighborhood(threshold="class_quantile", quantile=0.6, window=4),
        fake_run(state=defaultdict(Memory), classes=3, device="cpu"),
    )
    known: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for batch in batches:
        labels = torch.tensor([label for label, _ in batch])
        found = weigh._threshold(run, run.state["weigh"], torch.tensor([score for _, score in batch]), labels)
        for label in known:
            known[label] = ([score for mine, score in batch if mine == label] + known[label])[:4]
        wanted = [
            float(np.quantile(np.array(known[label], np.float32), 0.6)) if len(known[label]) > 1 else np.inf for label, _ in batch
        ]
        assert found.tolist() == pytest.approx(wanted, rel=1e-5, abs=1e-6)


def test_scores_that_are_remembered() -> None:
    recent = torch.full((2, 3), torch.nan)
    remember(recent, torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1, 0, 1]))
    assert recent[1, :2].tolist() == [1, 3]
    assert recent[0].isnan().tolist() == [False, True, True]
    remember(recent, torch.tensor([4.0, 5.0]), torch.tensor([1, 1]))
    assert recent[1].tolist() == [4, 5, 1]


def test_faces_without_labels_count_for_the_class_that_they_are_taught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A draw may show them (ST+SW): their scores are not those of the last class."""
    draw = {"technique": "replace", "share": 0.3, "threshold": 0.34}
    run, _ = begun(tmp_path / "run", bright_faces(), masked(threshold="class_quantile", draw=draw), TrainingSettings(labels=30))
    rows = run.unlabeled[:4].cpu()
    run.targets[rows] = torch.tensor([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.4, 0.0], [0.3, 0.5, 0.2]])
    set_scores(monkeypatch, 1.0, 2.0, 3.0, 4.0)
    technique(run).of_batch(run, run.pool.fetch(rows))()
    ring = memory_of(run, technique(run)).values["neighborhood"]
    assert [row[~row.isnan()].tolist() for row in ring] == [[1, 3], [2, 4], []]
    assert "masked_share_wrong" not in run.notes.take(), "they have no labels that could be wrong"


# Eq. 9-10.


def naive_scores(run: Run, batch: Batch, sigma: float, against: str) -> list[float]:
    """Face by face: encode, add noise, decode, look at both in eval mode."""
    neighbors = run_neighbors(run, TINY_AUTOENCODER)
    noise = torch.randn(len(batch.rows), 8, generator=run.view_rng)
    found = []
    run.network.eval()
    with torch.no_grad():
        for face, shift in zip(batch.faces, noise, strict=True):
            x = (face.float()[None, None] / 255 - 0.5) * 4
            code, shown = neighbors.network.features(x, "code"), [run.views.clean(face[None])]
            for made in (code, code + sigma * neighbors.deviation * shift):
                for name in ("from_code", "tconv_c", "tconv_b", "tconv_a", "tconv_t"):
                    made = neighbors.network.blocks[name](made)
                gray = (neighbors.network.head(made) / 4 + 0.5).clamp(0, 1)
                other = (gray - gray.mean()) / (gray.std() + 0.02) if run.recipe.normalize == "face" else (gray - 0.5) * 4
                shown.append(other)
            itself, reconstruction, neighbor = (run.network.heads(inputs)[-1] for inputs in shown)
            found.append(float(divergence(itself if against == "face" else reconstruction, neighbor)))
    run.train_mode()
    return found


@pytest.mark.parametrize(
    ("normalization", "heads", "against"),
    [("fixed", 1, "face"), ("face", 1, "face"), ("face", 3, "face"), ("fixed", 1, "reconstruction")],
)
def test_scores_against_a_loop(normalization: str, heads: int, against: str, tmp_path: Path) -> None:
    """Of the head that decides."""
    model = {"model": TWO_SCALE} if heads == 3 else {}
    recipe = masked(sigma=2.0, threshold="fixed", value=1e-4, against=against, **model).set("normalize", normalization)
    run, batches = begun(tmp_path / "run", bright_faces(60, side=32 if heads == 3 else 16), recipe)
    batch, noise = run.pool.fetch(batches[0]), run.view_rng.get_state()
    mask = technique(run).of_batch(run, batch)()
    notes = run.notes.take()
    run.view_rng.set_state(noise)
    wanted = naive_scores(run, batch, 2.0, against)
    assert notes["divergence"] == pytest.approx(np.mean(wanted), rel=1e-3)
    assert np.std(wanted) > 0
    expected = [float(score < 1e-4) for score in wanted] if min(wanted) < 1e-4 else [1.0] * len(wanted)
    assert mask.tolist() == expected
    assert notes["masked_share"] == pytest.approx(1 - np.mean(expected))


@pytest.mark.parametrize("heads", [1, 3])
def test_scores_by_the_statistics_of_faces_and_of_neighbors(heads: int, tmp_path: Path) -> None:
    """Against a network that has no other statistics than those of what it is given, and no dropout."""
    model = {"model": TWO_SCALE} if heads == 3 else {}
    run, batches = begun(
        tmp_path / "run", bright_faces(60, side=32 if heads == 3 else 16), masked(sigma=2.0, scoring="batch", **model)
    )
    batch, noise = run.pool.fetch(batches[0]), run.view_rng.get_state()
    technique(run).of_batch(run, batch)()
    run.view_rng.set_state(noise)
    neighbors, forgetful = run_neighbors(run, TINY_AUTOENCODER), copy.deepcopy(run.network).eval()
    for module in forgetful.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean = module.running_var = None
    around = neighbors.moved(neighbors.codes(batch.faces), 2.0, run.view_rng)
    with torch.no_grad():
        found = [forgetful(x) for x in (run.views.clean(batch.faces), normalize(neighbors.faces(around), run.recipe.normalize))]
    assert run.notes.take()["divergence"] == pytest.approx(float(divergence(*found).mean()), rel=1e-4)
    one = run.pool.fetch(batches[0][:1])
    assert technique(run).of_batch(run, one)().tolist() == [1], "one face has no statistics of its own, and stays"


def test_no_face_is_left_out_in_the_first_epochs(tmp_path: Path) -> None:
    """Nor scored: of four epochs, those after the second."""
    stages = [{"epochs": 1, "lr": 0.05}, {"epochs": 3, "lr": 0.05}]
    train(bright_faces(), masked(after=0.5, stages=stages), tmp_path / "run", ORDER)
    shares = [epoch.get("masked_share") for epoch in read_history(tmp_path / "run")]
    assert shares[:2] == [None, None]
    assert all(share is not None and 0 < share < 1 for share in shares[2:])


def test_neighbors_are_fresh_at_every_step(tmp_path: Path) -> None:
    """Drawn when the batch is, scored when the loss is evaluated."""
    run, batches = begun(tmp_path / "run", bright_faces(), masked(sigma=2.0))
    batch, found = run.pool.fetch(batches[0]), []
    for _ in range(2):
        technique(run).of_batch(run, batch)()
        found.append(run.notes.take()["divergence"])
    assert found[0] != found[1]
    share = technique(run).of_batch(run, batch)
    noise = run.view_rng.get_state()
    share()
    share()
    assert torch.equal(run.view_rng.get_state(), noise), "evaluated again, it is the same neighbors"
    both = run.notes.values["divergence"]
    assert both[0] == both[1]


def test_no_noise_moves_no_code(tmp_path: Path) -> None:
    run, _ = begun(tmp_path / "run", bright_faces(), masked())
    neighbors = run_neighbors(run, TINY_AUTOENCODER)
    codes = neighbors.codes(torch.from_numpy(bright_faces().faces()))
    assert torch.equal(neighbors.moved(codes, 0.0, run.view_rng), codes)
    far = neighbors.moved(codes.repeat(50, 1), 0.5, run.view_rng) - codes.repeat(50, 1)
    assert torch.allclose(far.std(dim=0), 0.5 * neighbors.deviation, rtol=0.05)
    made = neighbors.faces(codes)
    assert made.shape == (120, 1, 16, 16)
    assert 0 <= made.min() < made.max() <= 1


# The loss.


@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
def test_gradients_of_a_batch_of_four_by_hand(loss: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Algorithm 1: divergences .1, .5, .2, .4 have the mean .3, so the second and fourth face teach none of the three heads."""
    recipe = masked(model=TWO_SCALE, loss=loss)
    run, _ = begun(tmp_path / "run", bright_faces(60, side=32), recipe)
    set_scores(monkeypatch, 0.1, 0.5, 0.2, 0.4)
    batch = run.pool.fetch(torch.arange(4))
    noise, torch_noise, buffers = run.view_rng.get_state(), torch.get_rng_state(), dict(tensors(run))
    labeled = labeled_loss(run, batch)
    labeled().backward()
    found = {name: p.grad.clone() for name, p in run.network.named_parameters() if p.grad is not None}
    assert labeled.heads.shape == (3,)
    run.network.zero_grad()
    run.network.load_state_dict({n.removeprefix("network."): v for n, v in buffers.items() if n.startswith("network.")})
    run.view_rng.set_state(noise)
    torch.set_rng_state(torch_noise)
    total = torch.zeros(())
    for head in run.network.heads(run.view(batch, "weak")):
        for face in (0, 2):
            likely = F.log_softmax(head[face], dim=0)[run.labels[batch.rows[face]]]
            factor = (1 - likely.exp()) ** 2 if loss == "focal" else 1.0
            total = total - factor * likely / 4
    total.backward()
    wanted = {name: p.grad for name, p in run.network.named_parameters() if p.grad is not None}
    assert found.keys() == wanted.keys() == {name for name, _ in run.network.named_parameters()}
    for name, slope in wanted.items():
        assert torch.allclose(found[name], slope, rtol=1e-3, atol=1e-6), name


def test_a_face_that_is_left_out_teaches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is taught, in a network without batch statistics to carry it over."""
    run, _ = begun(tmp_path / "run", bright_faces(), masked(model={"network": "mien_s", "width": 8, "depths": [1, 1, 1]}))
    set_scores(monkeypatch, 0.1, 0.5, 0.2, 0.4)
    batch, gradients = run.pool.fetch(torch.arange(4)), []
    for label in range(3):
        noise, torch_noise = run.view_rng.get_state(), torch.get_rng_state()
        run.targets[1] = F.one_hot(torch.tensor(label), 3).float()
        run.network.zero_grad()
        labeled_loss(run, batch)().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in run.network.parameters() if p.grad is not None]))
        run.view_rng.set_state(noise)
        torch.set_rng_state(torch_noise)
    assert torch.equal(gradients[0], gradients[1])
    assert torch.equal(gradients[0], gradients[2])
    assert gradients[0].any()


def test_two_ways_to_weigh_are_a_product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of the epoch times those of the batch."""
    weigh = [{"technique": "neighborhood", "autoencoder": TINY_AUTOENCODER}, "by_class"]
    faces = bright_faces()
    uneven = faces.select(np.flatnonzero((faces.labels != 2) | (np.arange(120) % 2 == 0)))
    run, _ = begun(tmp_path / "run", uneven, small_recipe(weigh=weigh))
    assert len(run.weights.unique()) > 1
    set_scores(monkeypatch, *(0.1 * n for n in range(8)))
    batch, noise, torch_noise = run.pool.fetch(torch.arange(8)), run.view_rng.get_state(), torch.get_rng_state()
    found = float(labeled_loss(run, batch)().detach())
    run.view_rng.set_state(noise)
    torch.set_rng_state(torch_noise)
    output = run.heads(run.view(batch, "weak"))[0].detach()
    each = F.cross_entropy(output, run.labels[:8], reduction="none")
    wanted = sum(float(each[n]) * float(run.weights[n]) for n in range(4)) / 8
    assert found == pytest.approx(wanted, rel=1e-4)


# What it leaves untouched.


@pytest.mark.parametrize("how", [{}, {"space": "features"}, {"scoring": "batch"}])
def test_scoring_leaves_no_trace(how: dict[str, Any], tmp_path: Path) -> None:
    """Weights, batch statistics, the average, the optimizer, modes (of frozen blocks too), torch's own generators."""
    stages = [{"epochs": 2, "lr": 0.05, "frozen": ["stem"]}]
    run, batches = begun(tmp_path / "run", bright_faces(), masked(stages=stages, **how))
    run.descend(labeled_loss(run, run.pool.fetch(batches[1]))())
    before, states = tensors(run), torch.get_rng_state()
    modes = [module.training for module in run.network.modules()]
    share = technique(run).of_batch(run, run.pool.fetch(batches[0]))
    mask = share()
    assert 0 < mask.sum() < len(mask)
    assert runs.changed(before, tensors(run)) == set()
    assert torch.equal(torch.get_rng_state(), states), "no dropout was drawn"
    assert [module.training for module in run.network.modules()] == modes
    assert not all(modes)
    assert not mask.requires_grad


def test_scoring_in_train_mode_counts_in_the_batch_statistics(tmp_path: Path) -> None:
    """As the paper writes it; dropout alone then makes divergences."""
    run, batches = begun(tmp_path / "run", bright_faces(), masked(scoring="train"))
    before = tensors(run)
    technique(run).of_batch(run, run.pool.fetch(batches[0]))()
    moved = runs.changed(before, tensors(run))
    assert moved
    assert all("running" in name or "num_batches" in name for name in moved)
    assert run.notes.take()["divergence"] > 0


# Features.


def test_neighbors_among_features_by_hand(tmp_path: Path) -> None:
    """What the last block gives, moved by a share of each number's deviation within the batch; the deciding head looks."""
    recipe = masked(space="features", sigma=0.5, model=TWO_SCALE)
    run, batches = begun(tmp_path / "run", bright_faces(60, side=32), recipe)
    batch, noise = run.pool.fetch(batches[0]), run.view_rng.get_state()
    fitted = fit_neighbors(run, technique(run).kind())
    drawn = draw_neighbors(fitted, run.views, batch.rows, batch.faces, 1, run.view_rng)
    one, (other,) = look_in_run(run, drawn, "eval")
    assert run.network.training
    run.view_rng.set_state(noise)
    run.network.eval()
    with torch.no_grad():
        fc = run.network.features(run.views.clean(batch.faces), "fc")
        deviation = torch.tensor(fc.numpy().std(axis=0))
        seed = int(torch.randint(2**62, (), generator=run.view_rng))
        shifted = fc + 0.5 * deviation * torch.randn(fc.shape, generator=torch.Generator().manual_seed(seed))
        fused = run.network.head.get_submodule("fused")
        assert torch.allclose(one, fused(fc), atol=1e-5)
        assert torch.allclose(other, fused(shifted), atol=1e-5)
    assert not torch.allclose(one, other)


def test_one_face_has_no_deviation_within_its_batch(tmp_path: Path) -> None:
    run, _ = begun(tmp_path / "run", bright_faces(), masked(space="features"))
    assert technique(run).of_batch(run, run.pool.fetch(torch.arange(1)))().tolist() == [1]
    assert run.notes.take()["divergence"] == 0


def test_a_features_set_learns_with_features_and_is_refused_with_an_autoencoder(tmp_path: Path) -> None:
    faces, model = features(), {"network": "embedding"}
    stages = [{"epochs": 8, "lr": 0.05}]
    recognizer = train(
        faces, masked(space="features", model=model, stages=stages), tmp_path / "run", TrainingSettings(split="all", threads=1)
    )
    assert evaluate(recognizer, faces, split="all").accuracy > 0.8
    assert all(0 < epoch["masked_share"] < 1 for epoch in read_history(tmp_path / "run"))
    with pytest.raises(MienError, match=r"found features; take the neighbors \"features\""):
        train(faces, masked(model=model), tmp_path / "other", TrainingSettings(split="all", threads=1))
    assert not (tmp_path / "other").exists()
    assert not (tmp_path / "run" / "parts").exists()


# Settings and notes.


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"space": "features", "scoring": "train"}, "for neighbors among features; found scoring = train"),
        ({"space": "features", "against": "reconstruction"}, "for neighbors among features"),
        ({"autoencoder": {"preset": "large"}}, "among paper, small; found 'large'"),
        ({"autoencoder": {"bach": 3}}, "'bach'"),
        ({"threshold": "median"}, "'median'"),
        ({"value": 0.0}, "greater than or equal to 1e-30"),
        ({"window": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_are_refused_with_the_recipe(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(MienError, match=reason):
        small_recipe(weigh={"technique": "neighborhood", **wrong})


def test_as_the_paper_unless_told() -> None:
    made = build_component("mien.techniques.weigh", {"technique": "neighborhood"}, "technique")
    assert (made.threshold, made.space, made.scoring, made.against) == ("batch", "autoencoder", "eval", "face")
    assert made.sigma == 0.22


def quiet() -> dict[str, Any]:
    """What of a run is needed to count who was left out."""
    return {"state": defaultdict(Memory), "epochs": 1, "history": [], "device": torch.device("cpu")}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.integers(-1, 2), st.integers(-1, 2), st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 2.0])),
        min_size=1,
        max_size=10,
    )
)
def test_notes_of_wrong_labels_against_loops(faces: list[tuple[int, int, bool, float]]) -> None:
    """(label, truth, masked, score) of each; whose truth or label is not known is not counted."""
    labels, truth, masked_out, scores = zip(*faces, strict=True)
    run = runs.fake_run(notes=Notes(), labels=torch.tensor(labels), data=SimpleNamespace(truth=torch.tensor(truth)), **quiet())
    note_masked(run, Memory(), "divergence", torch.arange(len(faces)), torch.tensor(masked_out), torch.tensor(scores))
    found = run.notes.take()
    assert found["masked_share"] == pytest.approx(np.mean(masked_out))
    assert found["divergence"] == pytest.approx(np.mean(scores))
    known = [face for face in faces if face[0] >= 0 and face[1] >= 0]
    wrong, right = ([face for face in known if (face[0] != face[1]) == which] for which in (True, False))
    if not wrong or not right:
        assert found.keys() == {"masked_share", "divergence"}
        return
    assert found["masked_share_wrong"] == pytest.approx(np.mean([face[2] for face in wrong]))
    assert found["masked_share_right"] == pytest.approx(np.mean([face[2] for face in right]))
    wins = [1.0 if w[3] > r[3] else 0.5 if w[3] == r[3] else 0.0 for w in wrong for r in right]
    assert found["divergence_auroc"] == pytest.approx(np.mean(wins))


def test_a_run_notes_who_was_left_out(tmp_path: Path) -> None:
    """With flipped labels, and with faces whose labels are as good as known."""
    train(bright_faces(), masked(), tmp_path / "noisy", TrainingSettings(noise=0.4, threads=1))
    for epoch in read_history(tmp_path / "noisy"):
        assert 0 < epoch["masked_share"] < 1
        assert all(0 <= epoch[name] <= 1 for name in ("masked_share_wrong", "masked_share_right", "divergence_auroc"))
    train(bright_faces(), masked(), tmp_path / "clean", ORDER)
    assert not any("masked_share_wrong" in epoch for epoch in read_history(tmp_path / "clean"))


@pytest.mark.parametrize(
    "how",
    [
        {"threshold": "class_quantile", "window": 20},
        {"space": "features"},
        {"scoring": "train"},
        {"scoring": "batch", "after": 0.5},
        {"neighbors": "pca", "threshold": "calibrated", "draws": 2},
        {"neighbors": "views", "score": "label", "scoring": "average", "after_accuracy": 0.05},
        {"neighbors": "views", "score": "random", "control_of": "label"},
    ],
)
@pytest.mark.usefixtures("checkpoint_each_batch")
def test_interrupted_it_goes_on_with_what_it_remembers(how: dict[str, Any], tmp_path: Path, stored: Path) -> None:
    if "neighbors" in how:
        how = how | {"autoencoder": "small"}
    recipe, order = masked(**how), TrainingSettings(seed=2, labels=60, threads=1)
    whole = train(stored, recipe, tmp_path / "whole", order)
    with pytest.raises(Interrupted):
        train(stored, recipe, tmp_path / "killed", order, progress=StopAfter(5))
    again = resume(tmp_path / "killed")
    assert runs.changed(whole.network.state_dict(), again.network.state_dict()) == set()
    assert whole.card.metrics["masked_share"] == again.card.metrics["masked_share"]
    tables = [read_masked(tmp_path / name) for name in ("whole", "killed")]
    assert tables[0] == tables[1]


def test_a_mask_in_small_learns(tmp_path: Path) -> None:
    """Classes that can be told apart are, in every class, though about half of every batch is left out."""
    recipe = masked(draw="balanced", loss="focal", stages=[{"epochs": 6, "lr": 0.05, "schedule": "one_cycle"}])
    recognizer = train(bright_faces(240), recipe, tmp_path / "run", ORDER)
    result = evaluate(recognizer, bright_faces(240), split="test")
    assert result.accuracy > 0.9
    shares = [epoch["masked_share"] for epoch in read_history(tmp_path / "run")]
    assert 0.1 < float(Tensor(shares).mean()) < 0.7


# Other neighbors and scores.


def by_views(**changed: Any) -> Recipe:
    return masked(**({"neighbors": {"kind": "views", "rotation": 40}, "autoencoder": "small"} | changed))


def read_masked(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / "masked.parquet").to_pylist()
    return rows


@pytest.mark.parametrize("score", ["label", "own_label"])
def test_a_labels_loss_against_a_loop(score: str, tmp_path: Path) -> None:
    """Mean over three neighbors, or of the face itself; of an unlabeled face that is shown, of the class that it is taught."""
    draw = {"technique": "replace", "share": 0.3, "threshold": 0.34}
    recipe = by_views(score=score, draws=3, draw=draw)
    run, _ = begun(tmp_path / "run", bright_faces(), recipe, TrainingSettings(labels=30))
    rows = torch.cat([run.labeled[:5], run.unlabeled[:3]]).cpu()
    run.targets[rows] = F.one_hot(torch.tensor([0, 0, 0, 0, 0, 2, 1, 2]), 3).float()
    batch, noise = run.pool.fetch(rows), run.view_rng.get_state()
    mask = technique(run).of_batch(run, batch)()
    run.view_rng.set_state(noise)
    near = fit_neighbors(run, technique(run).kind()).near(rows, batch.faces, 3, run.view_rng)
    run.network.eval()
    wanted = []
    with torch.no_grad():
        for place, row in enumerate(rows.tolist()):
            label = int(run.labels[row]) if run.labels[row] >= 0 else [0, 0, 0, 0, 0, 2, 1, 2][place]
            seen = near[:, place] if score == "label" else batch.faces[place].float().expand(1, 1, 16, 16) / 255
            likely = [run.network((one[None] - 0.5) * 4).log_softmax(dim=1)[0, label] for one in seen]
            wanted.append(-float(torch.stack(likely).mean()))
    assert mask.tolist() == [float(loss < np.mean(wanted)) for loss in wanted]
    noted = run.notes.take()
    assert noted["neighbor_label_loss" if score == "label" else "label_loss"] == pytest.approx(np.mean(wanted), rel=1e-4)
    assert "divergence" not in noted


def test_a_faces_own_loss_needs_no_neighbors(tmp_path: Path) -> None:
    """So that cached features, and an autoencoder that would have to be trained, make no difference."""
    train(bright_faces(), masked(score="own_label"), tmp_path / "run", ORDER)
    assert not (tmp_path / "run" / "parts").exists()
    assert all(0 < epoch["masked_share"] < 1 for epoch in read_history(tmp_path / "run"))


def test_the_control_leaves_out_as_many_by_lot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = begun(tmp_path / "run", bright_faces(), by_views(score="random"))
    set_scores(monkeypatch, *(float(n) for n in range(12)))
    batch, drawn = run.pool.fetch(torch.arange(12)), []
    for _ in range(20):
        share = technique(run).of_batch(run, batch)
        drawn.append(share())
        assert torch.equal(share(), drawn[-1]), "evaluated again, it is the same lot"
    assert {int(mask.sum()) for mask in drawn} == {6}
    assert float(torch.stack(drawn).mean(dim=0).min()) > 0.2, "no score decides"
    assert float(torch.stack(drawn).mean(dim=0).max()) < 0.8


def test_at_a_quantile_of_one_nobody_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = begun(tmp_path / "run", bright_faces(), by_views(threshold="class_quantile", quantile=1.0))
    set_scores(monkeypatch, *(float(n) for n in range(12)))
    assert technique(run).of_batch(run, run.pool.fetch(torch.arange(12)))().tolist() == [1] * 12


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"score": "label"}, "; the label's loss at neighbors finds wrong labels with an AUROC of 0."),
        ({"score": "own_label"}, "; the label's loss finds wrong labels with an AUROC of 0."),
        ({}, "; S finds wrong labels with an AUROC of 0."),
        ({"score": "random"}, ""),
    ],
)
def test_an_epochs_line_has_the_score_that_decides(how: dict[str, Any], told: str, tmp_path: Path) -> None:
    heard = runs.Heard()
    stages = [{"epochs": 1, "lr": 0.05}]
    train(
        bright_faces(), by_views(stages=stages, **how), tmp_path / "run", TrainingSettings(noise=0.4, threads=1), progress=heard
    )
    (line,) = (line for line in heard.lines if line.startswith("epoch 1 of 1"))
    assert "of the wrong labels known by heart" in line
    assert (told in line, line.count("AUROC")) == (True, 1 if told else 0)


def test_a_number_is_found_in_the_first_epoch_that_is_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = begun(tmp_path / "run", bright_faces(), by_views(threshold="calibrated", quantile=0.5))
    batch = run.pool.fetch(torch.arange(4))
    for scores in ((1.0, 2.0, 3.0, 4.0), (5.0, 6.0, 7.0, 8.0)):
        set_scores(monkeypatch, *scores)
        assert technique(run).of_batch(run, batch)().tolist() == [1, 1, 1, 1]
    run.history.append({})
    set_scores(monkeypatch, 1.0, 4.4, 4.6, 9.0)
    assert technique(run).of_batch(run, batch)().tolist() == [1, 1, 0, 0], "the median of those eight is 4.5"
    set_scores(monkeypatch, 9.0, 9.0, 9.0, 1.0)
    assert technique(run).of_batch(run, batch)().tolist() == [0, 0, 0, 1], "and stays"


def test_it_begins_when_enough_labels_are_predicted(tmp_path: Path) -> None:
    """Not before the first epoch is over, and for good."""
    stages = [{"epochs": 8, "lr": 0.05}]
    train(bright_faces(240), by_views(after_accuracy=0.9, stages=stages), tmp_path / "run", ORDER)
    history = read_history(tmp_path / "run")
    first = next(number for number, epoch in enumerate(history) if "masked_share" in epoch)
    assert first > 0
    assert [epoch.get("labels_predicted", 1) >= 0.9 for epoch in history[1 : first + 1]] == [False] * (first - 1) + [True]
    assert all("masked_share" in epoch and "labels_predicted" not in epoch for epoch in history[first + 1 :])


def test_averaged_weights_may_score(tmp_path: Path) -> None:
    run, batches = begun(tmp_path / "run", bright_faces(), by_views(scoring="average"))
    for rows in batches[:3]:
        run.descend(labeled_loss(run, run.pool.fetch(rows))())
    run.notes.take()
    batch, found = run.pool.fetch(batches[0]), []
    noise = run.view_rng.get_state()
    for how in ("average", "eval"):
        run.view_rng.set_state(noise)
        drawn = draw_neighbors(fit_neighbors(run, technique(run).kind()), run.views, batch.rows, batch.faces, 1, run.view_rng)
        found.append(look_in_run(run, drawn, how)[0])
    with torch.no_grad():
        assert torch.allclose(found[0], run.eval_network(run.views.clean(batch.faces)), atol=1e-5)
    assert not torch.allclose(found[0], found[1])
    assert run.network.training


def test_a_face_net_that_gives_no_numbers_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A score that is no number masks nobody in silence."""
    run, _ = begun(tmp_path / "run", bright_faces(), by_views())
    set_scores(monkeypatch, 0.1, float("nan"), 0.2, float("inf"))
    with pytest.raises(MienError, match=r"a finite score of every face; found 2 faces of 4 whose score is no number"):
        technique(run).of_batch(run, run.pool.fetch(torch.arange(4)))()


def test_a_loss_that_is_no_number_is_refused_even_where_it_is_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.techniques.loss.cross_entropy.CrossEntropy.__call__", _no_number)
    with pytest.raises(MienError, match=r"a finite (loss|score)"):
        train(bright_faces(), by_views(), tmp_path / "run", ORDER)


def _no_number(self: object, logits: Tensor, targets: Tensor) -> Tensor:
    """nan of every second face, masked or not."""
    found = F.cross_entropy(logits, targets, reduction="none")
    return torch.where(torch.arange(len(found)) % 2 == 0, found, found * torch.nan)


def test_a_class_of_one_face_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against its own score alone it would be left out whenever it comes."""
    run, _ = begun(tmp_path / "run", bright_faces(), by_views(threshold="class_quantile"))
    set_scores(monkeypatch, 0.1, 5.0, 0.3)
    several, (one, *_) = (torch.nonzero(run.labels == label).squeeze(1) for label in (0, 1))
    rows = torch.stack([several[0], one, several[1]])
    assert technique(run).of_batch(run, run.pool.fetch(rows))().tolist() == [1, 1, 0]


def test_where_all_labels_are_wrong_nothing_is_compared(tmp_path: Path) -> None:
    train(bright_faces(), by_views(score="label"), tmp_path / "run", TrainingSettings(noise=1.0, threads=1))
    for epoch in read_history(tmp_path / "run"):
        assert 0 < epoch["masked_share"] < 1
        assert not {"masked_share_wrong", "neighbor_label_loss_auroc"} & epoch.keys()


@pytest.mark.parametrize(
    ("neighbors", "reason"),
    [
        ("frames", "in the columns sequence and frame; found no column sequence"),
        ("twins", "faces that have near-duplicates"),
        ("nothing", "one of autoencoder, features"),
        ({"kind": "views", "far": 1}, "far"),
    ],
)
def test_faces_without_such_neighbors_are_refused(neighbors: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(MienError, match=reason):
        train(bright_faces(), by_views(neighbors=neighbors), tmp_path / "run", ORDER)
    assert not (tmp_path / "run").exists()


def test_either_way_of_naming_neighbors_and_no_mixture() -> None:
    old = build_component("mien.techniques.weigh", {"technique": "neighborhood", "space": "features", "sigma": 0.5}, "technique")
    new = {"technique": "neighborhood", "neighbors": {"kind": "features", "sigma": 0.5}}
    assert old.kind() == build_component("mien.techniques.weigh", new, "technique").kind()
    plain = build_component("mien.techniques.weigh", {"technique": "neighborhood"}, "technique")
    assert plain.kind() == kind_from("autoencoder")
    paper = {"technique": "neighborhood", "autoencoder": "paper", "neighbors": {"kind": "autoencoder", "residual": True}}
    assert build_component("mien.techniques.weigh", paper, "technique").kind() == kind_from(
        {"kind": "autoencoder", "source": "paper", "residual": True}
    )
    moved = build_component("mien.techniques.weigh", paper | {"neighbors": "views"}, "technique")
    assert moved.kind() == kind_from("views"), "sna with other neighbors needs no further change"
    for wrong in ({"neighbors": "views", "sigma": 0.5}, {"neighbors": "features", "space": "features"}):
        with pytest.raises(MienError, match=r"put those into weigh\.neighbors"):
            build_component("mien.techniques.weigh", {"technique": "neighborhood", **wrong}, "technique")
    with pytest.raises(MienError, match="for neighbors among features; found scoring = train"):
        small_recipe(weigh={"technique": "neighborhood", "neighbors": "features", "scoring": "train"})


def test_who_was_left_out_is_kept(tmp_path: Path) -> None:
    """Of every face how often, and in which epochs; a picture, which stands in the report."""
    faces = bright_faces()
    recognizer = train(faces, by_views(score="label"), tmp_path / "run", TrainingSettings(noise=0.4, threads=1))
    rows, epochs = read_masked(tmp_path / "run"), read_history(tmp_path / "run")
    assert {row["id"] for row in rows} <= set(faces.values("id"))
    assert all(0 <= row["masked"] <= row["seen"] and set(row["epochs"]) <= {1, 2, 3} for row in rows)
    assert all((row["masked"] > 0) == bool(row["epochs"]) for row in rows)
    total = sum(row["masked"] for row in rows) / sum(row["seen"] for row in rows)
    assert total == pytest.approx(np.mean([epoch["masked_share"] for epoch in epochs]), abs=0.05)
    assert (tmp_path / "run" / "masked.png").is_file()
    evaluate(recognizer, faces, split="test", out=tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "Faces left out in training" in page
    plain = train(faces, small_recipe(), tmp_path / "plain", ORDER)
    assert not list((tmp_path / "plain").glob("masked.*"))
    evaluate(plain, faces, split="test", out=tmp_path / "other")
    assert "left out in training" not in (tmp_path / "other" / "report.html").read_text("utf-8")


def test_counts_of_who_was_left_out_by_hand() -> None:
    counts = torch.zeros(2, 2, 5, dtype=torch.uint8)
    count_masked(counts[0], torch.tensor([1, 1, 3]), torch.tensor([True, False, True]))
    count_masked(counts[1], torch.tensor([1]).repeat(300), torch.ones(300, dtype=torch.bool))
    faces = bright_faces(5)
    found = MaskedFaces.of(faces, torch.tensor([0, 1, 2, 0, -1]), torch.tensor([0, 2, 2, 0, 1]), counts)
    assert found.table().drop(["id"]).to_pylist() == [
        {"label": 1, "seen": 2 + 255, "masked": 1 + 255, "epochs": [1, 2]},
        {"label": 0, "seen": 1, "masked": 1, "epochs": [1]},
    ]
    with_wrong = np.asarray(found.picture())
    assert (with_wrong == ImageColor.getrgb(RED)).all(axis=2).any(), "face 1 is known to be another class"
    nobody = MaskedFaces.of(faces, torch.tensor([0, 1, 2, 0, -1]), None, counts * 0)
    assert nobody.table().num_rows == 0
    assert nobody.picture().height > 0
