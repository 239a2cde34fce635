"""The two lessons of SNA's autoencoder, Eq. 2-8: against naive references, and who learns from what."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from conftest import TINY_AUTOENCODER, bright_faces
from mien import FaceSet, Recipe
from mien.models.asymmetric_autoencoder import ENCODER, critic
from mien.neighbors.semantic_neighbors import autoencoder, decode, encode
from mien.pretraining.autoencoder.objectives import (
    CLIP,
    FACE,
    Perception,
    Reconstruct,
    Refine,
    clean_scales,
    either_side,
    loss_ae,
    reconstruction_figures,
    recovered_scales,
)
from mien.pretraining.autoencoder.pictures import NeighborPictures, code_deviation, one_of_each
from mien.pretraining.pretrain import portions
from mien.recognize.saved_networks import build_network
from mien.training.face_loader import Batch
from mien.training.loop import begin, fit
from mien.training.run import Run
from runs import fake_run

MODEL: dict[str, Any] = TINY_AUTOENCODER["model"]
EXPRESSION: dict[str, Any] = {"network": "mien_s", "width": 8, "depths": [1, 1, 1]}
WEIGHTS = {"stem": 100.0, "stage2_1": 0.1}


class NoPictures(NeighborPictures):
    """Draws none."""

    def draw(self, run: Run) -> None:
        """Nothing."""


NOWHERE = NoPictures(Path(), "none", torch.zeros(0), (), 0.2)


def perception(faces: FaceSet) -> Perception:
    network = build_network(EXPRESSION, 3, faces.info, 5).eval().requires_grad_(False)
    return Perception(network, "face", WEIGHTS)


def refine(faces: FaceSet, **changed: Any) -> Refine:
    torch.manual_seed(7)
    judge = critic(faces.info.channels, faces.info.side).requires_grad_(False)
    settings = {
        "face_weight": 4.0, "autoencoding": 1e-3, "adversarial": 5.0, "reconstruction": 1.0,
        "critic_rate": 1e-3, "critic_every": 10, "pictures": NOWHERE,
    } | changed  # fmt: skip
    return Refine(judge, perception(faces), **settings)  # type: ignore[arg-type]


def running(folder: Path, faces: FaceSet, stages: tuple[dict[str, Any], ...], **model: Any) -> Run:
    """A run of an autoencoder within its first epoch."""
    data = portions(torch.arange(len(faces)), 0.1, 0).data(faces)
    torch.manual_seed(3)
    network = autoencoder(MODEL | model, faces.info)
    table = {"model": MODEL | model, "stages": stages, "batch": 32, "choose": "last", "draw": "shuffled", "average": 0.0}
    recipe = Recipe.parse(table | {"precision": "float32"})
    folder.mkdir(exist_ok=True)
    run = Run(recipe, data, 0, torch.device("cpu"), folder, network=network)
    begin(run, 0)
    run.train_mode()
    return run


def batch_of(run: Run, count: int) -> Batch:
    return run.pool.fetch(torch.arange(count))


def stage(epochs: int = 1, **changed: Any) -> dict[str, Any]:
    return {"epochs": epochs, "lr": 1e-3, "optimizer": "rmsprop", "weight_decay": 0.0} | changed


FROZEN = stage(frozen=list(ENCODER))


# Eq. 2-4.


def test_equation_4_against_loops() -> None:
    generator = np.random.default_rng(0)
    shapes = {FACE: (1, 8, 8), "conv_a": (4, 4, 4), "conv_d": (6, 1, 1)}
    clean = {name: generator.normal(size=(3, *shape)) for name, shape in shapes.items()}
    made = {name: generator.normal(size=(3, *shape)) for name, shape in shapes.items()}
    wanted = []
    for face in range(3):
        total = 0.0
        for name in shapes:
            squares = [(a - b) ** 2 for a, b in zip(clean[name][face].ravel(), made[name][face].ravel(), strict=True)]
            total += (4.0 if name == FACE else 1.0) * sum(squares) / len(squares)
        wanted.append(total)
    goal, answer = ({name: torch.from_numpy(x) for name, x in given.items()} for given in (clean, made))
    found = loss_ae(goal, answer, 4.0)
    assert found.tolist() == pytest.approx(wanted, rel=1e-5)


def test_scales_are_the_maps_of_the_encoder_and_the_decoders_answers() -> None:
    """Five with the face; every answer has the form of its map."""
    network = autoencoder(MODEL, bright_faces().info).eval()
    x = torch.randn(2, 1, 16, 16)
    clean, recovered = clean_scales(network, x), recovered_scales(network, x)
    assert set(clean) == set(recovered) == {FACE, "conv_a", "conv_b", "conv_c", "conv_d"}
    assert torch.equal(clean[FACE], x)
    for name in set(clean) - {FACE}:
        assert torch.equal(clean[name], network.features(x, name))
    goals = {"conv_d": "from_code", "conv_c": "tconv_c", "conv_b": "tconv_b", "conv_a": "tconv_a"}
    for name, block in goals.items():
        assert torch.equal(recovered[name], network.features(x, block))
        assert recovered[name].shape == clean[name].shape
    assert torch.equal(recovered[FACE], decode(network, encode(network, x)))
    assert not any(maps.requires_grad for maps in clean.values()), "the encoder cannot make its maps easy"


def test_what_is_left_out_is_to_be_given_back(tmp_path: Path) -> None:
    """The goal is the clean pass of an encoder in eval mode, the answer a pass in which dropout and batch statistics are on."""
    objective = Reconstruct(4.0, NOWHERE)
    run = running(tmp_path / "run", bright_faces(60), (stage(),), dropout=0.5)
    batch, noise, torch_noise = batch_of(run, 12), run.view_rng.get_state(), torch.get_rng_state()
    before = {name: value.clone() for name, value in run.network.named_buffers() if "num_batches" not in name}
    loss = objective.loss(run, batch)().total
    after = dict(run.network.named_buffers())
    assert all(not torch.equal(value, after[name]) for name, value in before.items()), "one pass in train mode"
    run.network.load_state_dict(before, strict=False)
    run.view_rng.set_state(noise)
    mirrored = torch.rand(12, generator=run.view_rng) < 0.5
    assert 0 < int(mirrored.sum()) < 12
    x = torch.stack([face.flip(-1) if flip else face for face, flip in zip(batch.faces, mirrored, strict=True)])
    x = (x.float()[:, None] / 255 - 0.5) * 4
    goal = clean_scales(run.network.eval(), x)
    torch.set_rng_state(torch_noise)
    run.network.train()
    wanted = loss_ae(goal, recovered_scales(run.network, x), 4.0).mean()
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
    assert loss.item() > loss_ae(goal, recovered_scales(run.network.eval(), x), 4.0).mean().item()


def test_figures_by_hand(tmp_path: Path) -> None:
    run = running(tmp_path / "run", bright_faces(60), (stage(),))
    with torch.no_grad():
        found = reconstruction_figures(run, 4.0)
    assert run.network.training, "training goes on"
    run.network.eval()
    losses, errors = [], []
    for face in torch.from_numpy(run.data.validation.faces()):
        x = (face.float()[None, None] / 255 - 0.5) * 4
        made = recovered_scales(run.network, x)
        losses.append(loss_ae(clean_scales(run.network, x), made, 4.0).item())
        errors.append(((made[FACE] - x).abs().mean() / 4 * 255).item())
    assert found["validation_loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert found["pixel_error"] == pytest.approx(np.mean(errors), rel=1e-4)


def test_faces_become_better_known(tmp_path: Path) -> None:
    stages = (stage(12, optimizer="adamw", lr=3e-3),)
    run = running(tmp_path / "run", bright_faces(240), stages)
    fit(run, lambda _: None, Reconstruct(4.0, NOWHERE))
    errors = [epoch["pixel_error"] for epoch in run.history]
    assert errors[-1] < 0.6 * errors[0]


# Eq. 5-8.


def test_what_the_expression_network_sees() -> None:
    """Eq. 5: weighted mean squares of its maps' differences; faces are normalized as it was trained."""
    faces = bright_faces(12)
    seen = perception(faces)
    made, real = torch.randn(3, 1, 16, 16, requires_grad=True), torch.randn(3, 1, 16, 16)
    found = seen.distance(made, real)
    wanted = 0.0
    for block, weight in WEIGHTS.items():
        pair = []
        for x in (made, real):
            unit = x / 4 + 0.5
            deviation, mean = torch.std_mean(unit, dim=(1, 2, 3), keepdim=True)
            pair.append(seen.network.features((unit - mean) / (deviation + 0.02), block))
        wanted += weight * (pair[0] - pair[1]).square().mean().item()
    assert found.item() == pytest.approx(wanted, rel=1e-4)
    found.backward()
    assert made.grad is not None
    assert made.grad.any()
    assert all(parameter.grad is None for parameter in seen.network.parameters())


def test_equation_8_term_by_term(tmp_path: Path) -> None:
    """After the critic's step, since it comes first; the encoder is frozen, so its maps are those of the clean pass."""
    faces = bright_faces(60)
    objective = refine(faces)
    run = running(tmp_path / "run", faces, (FROZEN,))
    batch, noise = batch_of(run, 8), run.view_rng.get_state()
    total = objective.loss(run, batch)().total
    run.view_rng.set_state(noise)
    x = either_side(run, batch)
    frozen = {name: module for name, module in run.network.blocks.items() if name in ENCODER}
    assert not any(module.training for module in frozen.values())
    notes = run.notes.take()
    # In train mode what the decoder makes depends on the batch, not on running statistics.
    made = run.network.heads(x)[0]
    recovered = recovered_scales(run.network, x)
    wanted = {
        "autoencoding": 1e-3 * loss_ae(clean_scales(run.network, x), recovered, 4.0).mean(),
        "adversarial": -5.0 * objective.critic(made).mean(),
        "reconstruction": (made - x).square().mean() + objective.perception.distance(made, x),
    }
    for name, value in wanted.items():
        assert notes[name] == pytest.approx(value.item(), rel=1e-4), name
    assert total.item() == pytest.approx(sum(value.item() for value in wanted.values()), rel=1e-4)


def test_who_learns_in_refinement(tmp_path: Path) -> None:
    """The decoder from Eq. 8, the critic from Eq. 6 alone, the encoder and the expression network from nothing."""
    faces = bright_faces(60)
    objective = refine(faces)
    run = running(tmp_path / "run", faces, (FROZEN,))
    before, seen = copies(run.network), copies(objective.perception.network)
    for rows in (torch.arange(32), torch.arange(32, 54)):
        run.descend(objective.loss(run, run.pool.fetch(rows))().total)
    after = copies(run.network)
    for name, value in before.items():
        frozen = name.split(".")[1] in ENCODER
        assert torch.equal(value, after[name]) == frozen, name
    assert not [name for name, value in copies(objective.perception.network).items() if not torch.equal(value, seen[name])]
    assert all(p.grad is None for p in objective.perception.network.parameters())
    assert not any(p.requires_grad for p in objective.critic.parameters()), "between its steps it is a constant"
    for weight in objective.critic.parameters():
        assert weight.abs().max() <= CLIP
    assert any(weight.abs().max() == CLIP for weight in objective.critic.parameters())


def copies(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def test_equation_6_by_hand(tmp_path: Path) -> None:
    """The critic's first step: RMSprop down D(made) - D(real), then clipping."""
    faces = bright_faces(60)
    objective = refine(faces)
    run = running(tmp_path / "run", faces, (FROZEN,))
    twin = critic(1, 16)
    twin.load_state_dict(objective.critic.state_dict())
    batch, noise = batch_of(run, 8), run.view_rng.get_state()
    loss = objective.loss(run, batch)().total
    decoder = [p for p in run.network.parameters() if p.requires_grad]
    assert all(p.grad is None for p in decoder), "its step leaves the decoder nothing"
    run.view_rng.set_state(noise)
    x = either_side(run, batch)
    made = run.network.heads(x)[0].detach()
    wanted = twin(made).mean() - twin(x).mean()
    wanted.backward()
    with torch.no_grad():
        for weight in twin.parameters():
            assert weight.grad is not None
            average = 0.01 * weight.grad**2
            weight.copy_((weight - 1e-3 * weight.grad / (average.sqrt() + 1e-8)).clamp(-CLIP, CLIP))
    assert run.notes.take()["critic"] == pytest.approx(wanted.item(), rel=1e-4, abs=1e-7)
    for mine, theirs in zip(objective.critic.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)
    loss.backward()
    assert any(p.grad is not None and p.grad.any() for p in decoder)


@pytest.mark.parametrize("stages", [(3,), (1, 2)])
def test_the_critic_learns_at_every_tenth_step_after_the_first_epoch(stages: tuple[int, ...], tmp_path: Path) -> None:
    """4 batches an epoch: steps 1 to 4 all, of 5 to 12 the tenth. A second stage begins no new count."""
    faces, turns = bright_faces(150), list[int]()
    objective = refine(faces)
    run = running(tmp_path / "run", faces, tuple(FROZEN | {"epochs": epochs} for epochs in stages))
    step = 0
    before = copies(objective.critic)
    original = run.descend

    def counted(loss: Tensor) -> None:
        nonlocal step, before
        step += 1
        after = copies(objective.critic)
        if any(not torch.equal(before[name], after[name]) for name in after):
            turns.append(step)
        before = after
        original(loss)

    run.descend = counted  # type: ignore[method-assign,assignment]
    fit(run, lambda _: None, objective)
    assert step == 12
    assert turns == [1, 2, 3, 4, 10]


@pytest.mark.parametrize("stages", [(100,), (40, 60)])
def test_lambda_ae_falls_to_a_tenth_every_fifth_of_the_way(stages: tuple[int, ...]) -> None:
    objective = refine(bright_faces(12))
    for epoch in range(100):
        run = fake_run(history=[{}] * epoch, epochs=sum(stages))
        assert objective._share(run) == pytest.approx(1e-3 * 0.1 ** (epoch // 20))


# Pictures.


def test_pictures_are_drawn_on_the_way(tmp_path: Path) -> None:
    """One face of every class, eight times at most, the first and the last epoch among them, whatever the stages."""
    faces = bright_faces(60)
    pictures = one_of_each(faces, tmp_path / "pictures", "autoencoder", 0.2)
    assert list(pictures.titles) == ["class0", "class1", "class2"]
    assert torch.equal(pictures.faces, torch.from_numpy(faces.faces([0, 1, 2])))
    run = running(tmp_path / "run", faces, (stage(8), stage(3)))
    fit(run, lambda _: None, Reconstruct(4.0, pictures))
    found = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert len(found) == 8
    assert (found[0], found[-1]) == ("autoencoder-001.png", "autoencoder-011.png")
    with Image.open(tmp_path / "pictures" / found[-1]) as sheet:
        assert sheet.width > 6 * 96
        assert sheet.height > 3 * 96


def test_without_labels_the_first_faces_are_shown(tmp_path: Path) -> None:
    unlabeled = FaceSet.from_arrays(bright_faces(30).faces())
    assert list(one_of_each(unlabeled, tmp_path, "x", 0.2).titles) == [f"face {n}" for n in range(1, 11)]
    assert len(one_of_each(unlabeled.select(np.arange(2)), tmp_path, "x", 0.2).faces) == 2


def test_pictures_leave_no_trace(tmp_path: Path) -> None:
    """Neither in the weights nor in what is drawn after them."""
    faces = bright_faces(60)
    run = running(tmp_path / "run", faces, (stage(),))
    before, noise, states = copies(run.network), run.view_rng.get_state(), torch.get_rng_state()
    with torch.no_grad():
        one_of_each(faces, tmp_path / "pictures", "autoencoder", 0.2).draw(run)
        deviation = code_deviation(run.network.eval(), run)
    assert not [name for name, value in copies(run.network).items() if not torch.equal(value, before[name])]
    assert torch.equal(run.view_rng.get_state(), noise)
    assert torch.equal(torch.get_rng_state(), states)
    held_out = (torch.from_numpy(run.data.validation.faces()).float()[:, None] / 255 - 0.5) * 4
    with torch.no_grad():
        codes = torch.cat([encode(run.network, x[None]) for x in held_out]).numpy()
    assert np.allclose(deviation, codes.std(axis=0), atol=1e-5)


def test_each_face_or_its_mirror_image(tmp_path: Path) -> None:
    run = running(tmp_path / "run", bright_faces(60), (stage(),))
    batch = batch_of(run, 40)
    shown, plain = either_side(run, batch), run.views.clean(batch.faces)
    same = [torch.equal(a, b) for a, b in zip(shown, plain, strict=True)]
    mirrored = [torch.equal(a, b.flip(2)) for a, b in zip(shown, plain, strict=True)]
    assert all(a != b for a, b in zip(same, mirrored, strict=True))
    assert 8 < sum(same) < 32
