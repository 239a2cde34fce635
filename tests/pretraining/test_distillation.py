"""Distillation: a teacher's maps, computed once, are imitated by the convolutions; interrupted anywhere, it goes on."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from conftest import Interrupted, StopAfter, bright_faces, small_recipe
from mien import Recipe, TrainingSettings, resume, train
from mien.errors import MienError
from mien.models import Network
from mien.pretraining.distillation import Imitate, initialize_small, matching_layer, read_imitation
from mien.pretraining.pretrain import portions
from mien.recognize import features
from mien.recognize.run_records import read_history
from mien.recognize.saved_networks import build_network, read_weights
from mien.techniques.unlabeled.regression import decay
from mien.training.checkpoint import read_state
from mien.training.run import Run
from runs import begun, techniques

TEACHER: dict[str, Any] = {"network": "mien_s", "width": 8, "depths": [1, 1, 1]}
ORDER = TrainingSettings(seed=3, labels=60, threads=1)


def recipe(**changed: Any) -> Recipe:
    stages = [{"epochs": 3, "lr": 0.01, "optimizer": "adam"}]
    start = {
        "technique": "distill",
        "teacher": TEACHER,
        "block": "stage2_1",
        "student": "stage2_1",
        "stages": stages,
        "held_out": 0.1,
    }
    return small_recipe(start=start | changed, stages=[{"epochs": 2, "lr": 0.05}])


def with_fine_tuning(folder: Path) -> Recipe:
    """A recipe whose teacher is trained first: stage 0."""
    (folder / "teacher.toml").write_text('model = { network = "mien_s", width = 8, depths = [1, 1, 1] }\nprecision = "float32"\n'
        'draw = "shuffled"\nbatch = 16\nstages = [ { epochs = 2, lr = 0.05 } ]\n')  # fmt: skip
    return recipe(teacher=str(folder / "teacher.toml"))


def history(run: Path, part: str) -> list[dict[str, float]]:
    epochs: list[dict[str, float]] = json.loads((run / "parts" / part / "history.json").read_text())["epochs"]
    return epochs


def test_lowers_the_regression_loss_on_held_out_faces(tmp_path: Path) -> None:
    longer = {"epochs": 12, "lr": 0.01, "optimizer": "adam"}
    train(bright_faces(240), recipe(stages=[longer]), tmp_path / "run", ORDER)
    losses = [epoch["validation_loss"] for epoch in history(tmp_path / "run", "distill")]
    assert min(losses) < 0.5 * losses[0]
    assert not (tmp_path / "run" / "parts" / "maps").exists(), "the maps are gone when stage 1 is over"


@pytest.mark.usefixtures("checkpoint_each_batch")
def test_goes_on_in_every_stage(tmp_path: Path, stored: Path) -> None:
    """Killed in stage 0, after maps were written, in stage 1 and in stage 2."""
    whole = train(stored, with_fine_tuning(tmp_path), tmp_path / "whole", ORDER)
    states = set()
    for batches in (4, 6, 16, 24):
        killed = tmp_path / f"killed{batches}"
        with pytest.raises(Interrupted):
            train(stored, with_fine_tuning(tmp_path), killed, ORDER, progress=StopAfter(batches))
        states.add(tuple(sorted(path.name for path in (killed / "parts").iterdir())))
        again = resume(killed)
        for key, value in whole.network.state_dict().items():
            assert torch.equal(value, again.network.state_dict()[key]), key
    assert states == {("teacher",), ("distill", "maps", "teacher"), ("distill", "teacher")}


def test_teacher_sees_every_face_and_its_mirror_image_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, forward = list[int](), Network.features

    def counted(self: Network, x: torch.Tensor, block: str) -> torch.Tensor:
        seen.append(len(x))
        return forward(self, x, block)

    monkeypatch.setattr(Network, "features", counted)
    faces = bright_faces(120).with_column("subject", [None] * 120)  # so that no unlabeled face is left out
    train(faces, recipe(), tmp_path / "run", ORDER)
    held_back = 12 + 24  # validation faces and the test split
    assert sum(seen) == 2 * (120 - held_back)


@pytest.mark.parametrize("unlabeled", [True, False])
def test_learns_from_unlabeled_faces_unless_told(unlabeled: bool, tmp_path: Path) -> None:
    faces = bright_faces(120).with_column("subject", [None] * 120)
    run, _ = begun(tmp_path / "run", faces, recipe(unlabeled=unlabeled), ORDER)
    assert len(run.labeled) == 48
    assert len(run.unlabeled) == (36 if unlabeled else 0)


def test_a_face_and_its_mirror_image_have_maps_of_their_own(tmp_path: Path) -> None:
    """The teacher itself as the student misses nothing but what half precision leaves out."""
    run, _ = begun(tmp_path / "run", bright_faces(60), small_recipe(loss="squared"), TrainingSettings(seed=1))
    faces = run.data.faces
    source = features.Tap(run.network.eval(), "stage2_1", run.views, "itself")
    maps = features.write_taps(source, faces, tmp_path / "maps", 2, 0, 0, run.device, run.progress)
    goal = run.network.shapes()["stage2_1"]
    parts = portions(torch.arange(len(faces)), 0.2, 0)
    run.network = Network(
        {name: run.network.blocks[name] for name in ("stem", "stage1_1", "stage2_1")}, nn.Identity(), (1, 16, 16)
    )
    run._heads = run.network.eval().heads
    objective = Imitate.of(maps, parts, goal, run.device)
    batch = run.pool.fetch(torch.from_numpy(parts.taught))
    batch = type(batch)(torch.arange(len(parts.taught)), batch.faces)
    found = objective.loss(run, batch)().total
    assert found < 1e-6 < run.heads(run.views.clean(batch.faces))[-1].square().mean()


def test_r2_by_hand(tmp_path: Path) -> None:
    """1 less the errors' squares over those of the distances from each number's mean; on the faces that are held out."""
    run, _ = begun(tmp_path / "run", bright_faces(60), small_recipe(loss="squared"), TrainingSettings(seed=1))
    run.network.eval()
    source = features.Tap(run.network, "stage2_1", run.views, "itself")
    maps = features.write_taps(source, run.data.faces, tmp_path / "maps", 2, 0, 0, run.device, run.progress)
    goal, parts = run.network.shapes()["stage2_1"], portions(torch.arange(len(run.data.faces)), 0.2, 0)
    blocks = {name: run.network.blocks[name] for name in ("stem", "stage1_1", "stage2_1")}
    student = Run(
        run.recipe, parts.data(run.data.faces), 0, run.device, tmp_path / "part", network=Network(blocks, Halved(), (1, 16, 16))
    )
    student.enter(0)
    student.loss = run.loss
    found = Imitate.of(maps, parts, goal, run.device).figures(student)
    told = torch.from_numpy(maps.select(parts.held_out).faces()[:, 0]).double()
    missed, spread = (0.5 * told).square().sum(), (told - told.mean(dim=0)).square().sum()
    assert found["validation_r2"] == pytest.approx(float(1 - missed / spread), abs=1e-3)
    one = portions(torch.arange(len(run.data.faces)), 0.0, 0)
    alone = Run(run.recipe, one.data(run.data.faces), 0, run.device, tmp_path / "part", network=student.network)
    alone.enter(0)
    alone.loss = run.loss
    assert Imitate.of(maps, one, goal, run.device).figures(alone).keys() == {"validation_loss"}, "one face has no variance"


class Halved(nn.Module):
    """Half of its input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of any shape."""
        return x / 2


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3))
def test_match_gives_the_goal_from_any_size(size: int, wanted: int, inputs: int, outputs: int) -> None:
    made = matching_layer((inputs, size, size), (outputs, wanted, wanted))
    assert made(torch.zeros(2, inputs, size, size)).shape == (2, outputs, wanted, wanted)


def test_grid_one_regresses_averages(tmp_path: Path) -> None:
    """Eq. 1: the average response over the map."""
    train(bright_faces(60), recipe(grid=1), tmp_path / "run", TrainingSettings(labels=30, threads=1))
    assert history(tmp_path / "run", "distill")[-1]["validation_loss"] > 0


def test_layers_above_start_small() -> None:
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Linear(300, 200))
    initialize_small(layer, 0.01)
    weight, bias = layer.state_dict().values()
    assert weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert weight.mean().abs() < 1e-3
    assert not bias.any()


def test_only_what_lies_above_the_regressed_map_is_drawn_afresh(tmp_path: Path) -> None:
    made = recipe(deviation=1e-6)
    run, _ = begun(tmp_path / "run", bright_faces(60), made, ORDER)
    fresh = build_network(made.model, 3, run.data.faces.info, ORDER.seed)
    for name, value in run.network.state_dict().items():
        if name.endswith("weight") and value.ndim > 1:
            above = name.startswith(("head.", "blocks.stage3_1."))
            assert (value.abs().max() < 1e-4) == above, name
            assert not torch.equal(value, fresh.state_dict()[name]), name


def test_what_does_not_fit_is_refused_before_the_teacher_is_trained(tmp_path: Path) -> None:
    tuned = with_fine_tuning(tmp_path)
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"start.student": "head"}, "among stem, stage1_1, stage2_1, stage3_1"),
        ({"start.block": "pool5"}, "start.block among stem"),
        ({"start.limit_gb": 1e-6}, "start.limit_gb"),
        ({"start.head": "teacher", "model.width": 4}, "last layer has the network's form"),
    )
    for number, (changed, message) in enumerate(cases):
        with pytest.raises(MienError, match=message):
            train(bright_faces(60), tuned.with_settings(changed), tmp_path / str(number), ORDER)
        assert not (tmp_path / str(number)).exists()


def test_a_vector_may_be_imitated(tmp_path: Path) -> None:
    """A teacher's block without a map: the student's map is averaged to it."""
    teacher = {"network": "alexnet_bn", "hidden": 64}
    train(bright_faces(60, side=32), recipe(teacher=teacher, block="fc6"), tmp_path / "run", ORDER)
    assert history(tmp_path / "run", "distill")[-1]["validation_loss"] >= 0


@given(st.integers(2, 50), st.floats(0, 1), st.integers(0, 5))
def test_portions_share_out_all_rows(count: int, share: float, seed: int) -> None:
    parts = portions(torch.arange(count) * 3, share, seed)
    assert sorted([*parts.taught, *parts.held_out]) == list(range(0, 3 * count, 3))
    assert len(parts.taught)
    assert len(parts.held_out)


def test_the_teachers_last_layer_goes_on_the_students_map(tmp_path: Path) -> None:
    made = with_fine_tuning(tmp_path).with_settings(
        {"start.head": "teacher", "start.block": "stage3_1", "start.student": "stage3_1"}
    )
    run, _ = begun(tmp_path / "run", bright_faces(60), made, ORDER)
    teacher = read_state(tmp_path / "run" / "parts" / "teacher" / "weights.safetensors")
    for name, value in run.network.head.state_dict().items():
        assert torch.equal(value, teacher[f"head.{name}"]), name
    with pytest.raises(MienError, match="fine-tuned teacher"):
        begun(tmp_path / "raw", bright_faces(60), recipe(head="teacher"), ORDER)
    taught = small_recipe(stages=[{"epochs": 1, "lr": 0.01}])
    train(bright_faces(60), taught, tmp_path / "before", ORDER)
    same = made.with_settings({"start.teacher": str(tmp_path / "before")})
    (tmp_path / "again").mkdir()
    run, _ = begun(tmp_path / "again", bright_faces(60), same, ORDER)
    theirs = read_weights(tmp_path / "before")
    assert all(torch.equal(value, theirs[f"head.{name}"]) for name, value in run.network.head.state_dict().items())


def test_the_regression_may_stay_while_labels_are_learned(tmp_path: Path) -> None:
    """With it the map stays nearer to the teacher's; the term decays, and only where maps were kept."""
    near = recipe(keep_maps=True).with_settings({"unlabeled": {"technique": "regression", "weight": 100.0}, "stages.0.epochs": 4})
    train(bright_faces(120), near, tmp_path / "near", ORDER)
    train(bright_faces(120), near.with_settings({"unlabeled.weight": 1e-9}), tmp_path / "free", ORDER)
    terms = {name: [epoch["regression"] for epoch in read_history(tmp_path / name)] for name in ("near", "free")}
    assert terms["near"][-1] < 0.8 * terms["free"][-1]
    assert (tmp_path / "near" / "parts" / "maps" / "faces.npy").is_file()
    with pytest.raises(MienError, match="keeps its teacher's maps"):
        train(bright_faces(120), near.with_settings({"start.keep_maps": False}), tmp_path / "none", ORDER)


def test_regression_by_hand(tmp_path: Path) -> None:
    """weight (1 - t/T) times the mean squared difference between matched and kept maps."""
    made = recipe(keep_maps=True).with_settings({"unlabeled": {"technique": "regression", "weight": 3.0}})
    run, _ = begun(tmp_path / "run", bright_faces(120), made, ORDER)
    run.network.eval()
    batch = run.pool.fetch(run.unlabeled.cpu()[:6])
    state = run.view_rng.get_state()
    unevaluated = techniques(run).unlabeled(run, batch)
    assert unevaluated is not None
    loss = unevaluated()
    run.view_rng.set_state(state)
    mirrored = (torch.rand(6, generator=run.view_rng) < 0.5).tolist()
    known, total = read_imitation(run), 0.0
    for face, row, flipped in zip(batch.faces, batch.rows.tolist(), mirrored, strict=True):
        inputs = (run.views.mirror if flipped else run.views.clean)(face.unsqueeze(0))
        made_map = known.matching(run.network.features(inputs, "stage2_1"))
        goal = torch.from_numpy(known.maps.faces([row])[0, int(flipped)].astype("float32")).view(made_map.shape)
        total += (made_map - goal).square().mean().item() / 6
    assert loss.item() == pytest.approx(3.0 * total, rel=1e-4)
    assert [decay(epoch, 4) for epoch in range(4)] == [1.0, 0.75, 0.5, 0.25]
