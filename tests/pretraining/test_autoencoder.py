"""Training an autoencoder of semantic neighbors, alone and within a run: going on, the cache, what is refused, whose labels."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from conftest import TINY_AUTOENCODER, Interrupted, StopAfter, bright_faces, small_recipe
from mien import FaceSet, MienError, Recipe, TrainingSettings, evaluate, resume, train
from mien.data.splits import training_rows
from mien.folders import exclusive
from mien.neighbors.kinds.pca import components_error
from mien.neighbors.semantic_neighbors import DEVIATION, SemanticNeighbors
from mien.pretraining.autoencoder.cache import cache_folder, fetch, keep_for_others
from mien.pretraining.autoencoder.digests import faces_digest, labels_digest
from mien.pretraining.autoencoder.of_run import run_neighbors
from mien.pretraining.autoencoder.settings import PRESETS, AutoencoderSettings, autoencoder_settings, settings_key
from mien.pretraining.autoencoder.train import TrainingFolder, train_perception
from mien.pretraining.autoencoder.train_alone import FILE, train_autoencoder
from mien.pretraining.pretrain import portions
from mien.recognize.device import choose_device
from mien.recognize.model_card import read_card
from mien.recognize.run_records import read_history, read_used_ids
from mien.recognize.saved_networks import read_weights
from mien.training.checkpoint import read_state
from mien.training.prepare_run import prepare_run
from runs import Heard, begun, features

ORDER = TrainingSettings(threads=1)
CPU = choose_device("cpu")


@pytest.fixture
def refining(tmp_path: Path) -> dict[str, Any]:
    """Settings of both phases, with a small expression network."""
    file = tmp_path / "expression.toml"
    file.write_text('model = { network = "mien_s", width = 8, depths = [1, 1, 1] }\ndraw = "shuffled"\nbatch = 16\n'
        'average = 0.0\nstages = [ { epochs = 2, lr = 0.05 } ]\n')  # fmt: skip
    refined = [{"epochs": 3, "lr": 1e-4, "optimizer": "rmsprop", "weight_decay": 0.0}]
    more = {"refine": "wgan", "refine_stages": refined, "refine_batch": 32, "critic_every": 3}
    longer = [TINY_AUTOENCODER["stages"][0] | {"epochs": 2}]
    return TINY_AUTOENCODER | more | {"stages": longer, "expression": str(file), "perceptual": {"stem": 100.0, "stage2_1": 0.1}}


def masked(autoencoder: str | dict[str, Any] | Path = TINY_AUTOENCODER, **changed: Any) -> Recipe:
    """A recipe with the mask, an epoch long."""
    given = autoencoder if isinstance(autoencoder, dict) else str(autoencoder)
    weigh = {"technique": "neighborhood", "autoencoder": given}
    return small_recipe(weigh=weigh, stages=[{"epochs": 1, "lr": 0.05}], **changed)


def same(one: Path, other: Path) -> bool:
    """Whether two models have the same weights, bit for bit."""
    first, second = read_weights(one), read_weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# Alone.


def test_an_autoencoder_that_blurs_more_than_as_many_components_is_warned_of(tmp_path: Path) -> None:
    """After an epoch in a moment it does; the error of components is that of a decomposition, on faces held out."""
    faces, heard = bright_faces(), Heard()
    card = train_autoencoder(faces, tmp_path / "made", autoencoder_settings(TINY_AUTOENCODER), ORDER, heard)
    learned, parts = faces.select(training_rows(faces)), portions(torch.arange(96), 0.05, 0)
    taught, others = (learned.faces(rows).reshape(-1, 256) / 255.0 for rows in (parts.taught, parts.held_out))
    axes = np.linalg.svd(taught - taught.mean(axis=0), full_matrices=False)[2][:8]
    moved = others - taught.mean(axis=0)
    lost = 255 * float(np.abs(moved - moved @ axes.T @ axes).mean())
    assert components_error(learned.select(parts.taught), learned.select(parts.held_out), 8) == pytest.approx(lost, rel=0.02)
    assert card.metrics["pixel_error"] > 1.5 * lost
    assert any("with 8 principal components" in line and "the neighbors pca" in line for line in heard.lines)


def test_what_it_leaves(tmp_path: Path) -> None:
    faces = bright_faces()
    card = train_autoencoder(faces, tmp_path / "made", autoencoder_settings(TINY_AUTOENCODER), ORDER)
    assert card == read_card(tmp_path / "made")
    learned = faces.select(training_rows(faces))
    assert (card.classes, card.faces.count, card.faces.checksum, card.budget) == ((), 96, faces_digest(learned), {})
    kept = read_history(tmp_path / "made" / "parts" / "autoencoder")[-1]
    parts = portions(torch.arange(len(learned)), 0.05, 0)
    mean = learned.faces(parts.taught).mean(axis=0)
    plain = np.mean([np.abs(face - mean).mean() for face in learned.faces(parts.held_out)])
    assert card.metrics == kept | {"mean_face_error": pytest.approx(plain)}
    assert {path.name for path in (tmp_path / "made").iterdir()} == {"neighbors.json", "parts", "pictures", "model"}
    made = SemanticNeighbors.load(tmp_path / "made", CPU)
    assert made.codes(torch.from_numpy(learned.faces())).shape == (96, 8)
    again = train_autoencoder(faces, tmp_path / "made", autoencoder_settings(TINY_AUTOENCODER), ORDER)
    assert again == card, "what is done is not done again"


def test_the_codes_deviation_is_that_of_the_faces_it_learned_from(tmp_path: Path) -> None:
    """Without those held out to measure it: here half of the 96."""
    faces = bright_faces()
    train_autoencoder(faces, tmp_path / "made", autoencoder_settings(TINY_AUTOENCODER | {"held_out": 0.5}), ORDER)
    learned = faces.select(training_rows(faces))
    order = np.random.default_rng((0, 4)).permutation(96)
    made = SemanticNeighbors.load(tmp_path / "made", CPU)
    taught = torch.from_numpy(learned.faces(np.sort(order[48:])))
    codes = np.stack([made.codes(face[None])[0].numpy() for face in taught])
    assert np.allclose(read_weights(tmp_path / "made")[DEVIATION], codes.std(axis=0), rtol=1e-3, atol=1e-5)


def test_of_several_stages_the_last_ones_best_epoch_is_told(tmp_path: Path) -> None:
    """A last stage that makes it worse: its figures are those of the weights that are kept."""
    first = {"epochs": 3, "lr": 5e-3, "optimizer": "adamw"}
    settings = TINY_AUTOENCODER | {"stages": [first, {"epochs": 2, "lr": 0.1, "optimizer": "adamw"}]}
    card = train_autoencoder(bright_faces(), tmp_path / "made", autoencoder_settings(settings), ORDER)
    assert card.metrics["stage"] == 1
    history = read_history(tmp_path / "made" / "parts" / "autoencoder")
    assert min(epoch["validation_loss"] for epoch in history) < card.metrics["validation_loss"]


@pytest.mark.usefixtures("checkpoint_each_batch")
def test_interrupted_in_either_phase_it_goes_on(tmp_path: Path, refining: dict[str, Any]) -> None:
    """Expression network (2 epochs of 4 batches), autoencoder (2 of 2), refinement (3 of 2: the critic's memory)."""
    faces, settings = bright_faces(), autoencoder_settings(refining)
    train_autoencoder(faces, tmp_path / "whole", settings, ORDER)
    reached = []
    for batches in (5, 11, 17):
        killed = tmp_path / f"killed{batches}"
        with pytest.raises(Interrupted):
            train_autoencoder(faces, killed, settings, ORDER, StopAfter(batches))
        assert not (killed / "model").exists()
        parts = sorted((killed / "parts").glob("*/checkpoint.safetensors"))
        reached += [path.parent.name for path in parts]
        with pytest.raises(MienError, match=r"face_weight = 4\.0; found autoencoding.face_weight = 3\.0"):
            train_autoencoder(faces, killed, replace(settings, face_weight=3.0), ORDER)
        train_autoencoder(faces, killed, settings, ORDER)
        assert same(killed, tmp_path / "whole"), batches
        for part in ("expression", "autoencoder", "refined"):
            histories = [read_history(tmp_path / name / "parts" / part) for name in ("whole", killed.name)]
            timeless = [[{k: v for k, v in epoch.items() if k != "seconds"} for epoch in history] for history in histories]
            assert timeless[0] == timeless[1], part
    assert reached == ["expression", "autoencoder", "refined"]


def test_the_expression_network_learns_from_labeled_faces_alone(tmp_path: Path, refining: dict[str, Any]) -> None:
    """Other pixels and labels where none is given change the autoencoder, but not what it is judged by."""
    faces = bright_faces()
    prepared = prepare_run(faces, None, Recipe.load(refining["expression"]), TrainingSettings(labels=30), Heard())
    used = np.concatenate([prepared.budget.train, prepared.budget.validation])
    others = np.setdiff1d(np.arange(120), used)
    pixels, labels = faces.faces().copy(), faces.labels.copy()
    pixels[others] = 255 - pixels[others]
    columns = {name: faces.column(name).to_pylist() for name in ("split", "subject")}
    changed = FaceSet.from_arrays(pixels, labels, faces.classes, columns)
    for name, given in (("one", faces), ("other", changed)):
        card = train_autoencoder(given, tmp_path / name, autoencoder_settings(refining), TrainingSettings(labels=30, threads=1))
        budget = prepared.budget
        assert (card.budget["train"], card.budget["validation"]) == (len(budget.train), len(budget.validation))
    one, other = (load_file(tmp_path / name / "parts" / "expression" / "weights.safetensors") for name in ("one", "other"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not same(tmp_path / "one", tmp_path / "other")


def test_the_expression_network_is_a_constant(tmp_path: Path, refining: dict[str, Any]) -> None:
    """No gradient for it, no dropout, the normalization of its recipe; what it sees has a gradient."""
    recipe, settings = Recipe.load(refining["expression"]), autoencoder_settings(refining)
    data = prepare_run(bright_faces(), None, recipe, ORDER, Heard()).data
    seen = train_perception(TrainingFolder(tmp_path, 0, CPU, Heard()), settings, data)
    assert not any(parameter.requires_grad for parameter in seen.network.parameters())
    assert not any(module.training for module in seen.network.modules())
    assert (seen.normalize, seen.weights) == (recipe.normalize, settings.perceptual)
    made = torch.randn(2, 1, 16, 16, requires_grad=True)
    seen.distance(made, torch.randn(2, 1, 16, 16)).backward()
    assert made.grad is not None
    assert made.grad.any()


def test_refinement_leaves_the_encoder_alone(tmp_path: Path, refining: dict[str, Any]) -> None:
    """Bit for bit, batch statistics included; the decoder is another one."""
    card = train_autoencoder(bright_faces(), tmp_path / "made", autoencoder_settings(refining), ORDER)
    before = read_state(tmp_path / "made" / "parts" / "autoencoder" / "weights.safetensors")
    after = read_weights(tmp_path / "made")
    for name, value in before.items():
        encoder = name.startswith(("blocks.conv_", "blocks.code"))
        assert torch.equal(value, after[name]) == encoder, name
    history = read_history(tmp_path / "made" / "parts" / "refined")
    assert {k: v for k, v in card.metrics.items() if k != "mean_face_error"} == history[-1], "the last epoch's"
    assert {"autoencoding", "adversarial", "reconstruction", "critic"} <= history[-1].keys()


def unlabeled_set() -> FaceSet:
    return FaceSet.from_arrays(bright_faces(40).faces(), columns={"split": ["train"] * 40})


def test_labels_are_not_needed_without_refinement(tmp_path: Path) -> None:
    card = train_autoencoder(unlabeled_set(), tmp_path / "made", autoencoder_settings(TINY_AUTOENCODER), ORDER)
    assert card.faces.count == 40


@pytest.mark.parametrize(
    ("faces", "changed", "reason"),
    [
        (features, {}, "faces, whose pixels an autoencoder can learn; found features"),
        (lambda: bright_faces(side=24), {}, "a multiple of 16"),
        (lambda: bright_faces(side=24), {"refine": "wgan"}, "a multiple of 16"),
        (lambda: bright_faces(side=8), {}, "at least 16 pixels"),
        (lambda: bright_faces(1), {}, "two faces or more"),
        (bright_faces, {"model": {"network": "mien_s"}}, "the settings of an autoencoder; found 'mien_s'"),
        (bright_faces, {"refine": "wgan", "perceptual": {"conv3_b": 1.0}}, "perceptual blocks among stem, .*found conv3_b"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_trained(
    faces: Callable[[], FaceSet], changed: dict[str, Any], reason: str, tmp_path: Path, refining: dict[str, Any]
) -> None:
    given = refining | {"refine": "none"} | changed
    view = faces()
    view = FaceSet.from_arrays(view.faces(), view.labels, info=replace(view.info, checksum=""))  # without splits
    with pytest.raises(MienError, match=reason):
        train_autoencoder(view, tmp_path / "made", autoencoder_settings(given), replace(ORDER, split="all"))
    assert not (tmp_path / "made").exists(), "so that other settings can be given"


def test_other_faces_in_memory_get_no_card_of_the_first(tmp_path: Path) -> None:
    """They have no checksum; an earlier version wrote no digest beside the settings, but one of the faces on the card."""
    faces, others, settings = bright_faces(), bright_faces(seed=4), autoencoder_settings(TINY_AUTOENCODER)
    folder, stopped, old = tmp_path / "made", tmp_path / "stopped", tmp_path / "old"
    card = train_autoencoder(faces, folder, settings, ORDER)
    with pytest.raises(Interrupted):
        train_autoencoder(faces, stopped, settings, ORDER, StopAfter(1))
    shutil.copytree(folder, old)
    written = json.loads((old / FILE).read_text())
    assert written.pop("faces") == {"digest": card.faces.checksum}
    (old / FILE).write_text(json.dumps(written))
    new = "was begun with, faces.digest"
    for place, told in ((folder, new), (stopped, new), (old, "was trained on, of checksum")):
        with pytest.raises(MienError, match=f"{told} .*; found .*choose another --out"):
            train_autoencoder(others, place, settings, ORDER)
    for place in (folder, stopped, old):
        assert train_autoencoder(faces, place, settings, ORDER).weights == card.weights
    assert json.loads((old / FILE).read_text()) == written


def test_one_that_an_earlier_version_began_goes_on(tmp_path: Path) -> None:
    """Nothing tells of which faces in memory it was begun with."""
    faces, settings, folder = bright_faces(), autoencoder_settings(TINY_AUTOENCODER), tmp_path / "begun"
    with pytest.raises(Interrupted):
        train_autoencoder(faces, folder, settings, ORDER, StopAfter(1))
    written = json.loads((folder / FILE).read_text())
    del written["faces"]
    (folder / FILE).write_text(json.dumps(written))
    assert train_autoencoder(faces, folder, settings, ORDER).faces.checksum


def test_labels_in_memory_that_judge_it_are_told_apart(tmp_path: Path, refining: dict[str, Any]) -> None:
    faces, settings = bright_faces(60), autoencoder_settings(refining)
    train_autoencoder(faces, tmp_path / "made", settings, ORDER)
    with pytest.raises(MienError, match=r"was begun with, faces\.digest"):
        train_autoencoder(faces.with_column("label", faces.labels[::-1].copy()), tmp_path / "made", settings, ORDER)


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(MienError, match="choose another --out"):
        train_autoencoder(bright_faces(), tmp_path / "mine", autoencoder_settings(TINY_AUTOENCODER), ORDER)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


# Settings.


def test_a_finished_one_is_read_without_a_lock(tmp_path: Path) -> None:
    """It may lie in a folder that nobody can write into: nothing is written there, even while somebody holds it."""
    faces, settings = bright_faces(40), autoencoder_settings(TINY_AUTOENCODER)
    folder = tmp_path / "made"
    card = train_autoencoder(faces, folder, settings, ORDER)
    places = (folder, folder / "neighbors.json", folder / "model")
    with exclusive(folder):
        for place in places:
            os.utime(place, (1, 1))
        assert train_autoencoder(faces, folder, settings, ORDER) == card
        with pytest.raises(MienError, match=r"what .* was begun with, autoencoding.seed = 0"):
            train_autoencoder(faces, folder, replace(settings, seed=1), ORDER)
        train(faces, masked(folder), tmp_path / "run", ORDER)
        assert [place.stat().st_mtime for place in places] == [1, 1, 1]


def test_the_papers_settings() -> None:
    """As ../shared/papers/README.md gives them."""
    paper = autoencoder_settings("paper")
    assert paper == AutoencoderSettings()
    (first,), (second,) = paper.stages, paper.refine_stages
    assert (first.epochs, first.lr, first.weight_decay, first.optimizer, paper.batch) == (50, 1e-3, 4e-4, "sgd", 256)
    assert [round(drop * first.epochs) for drop in first.drops] == [10, 20, 30, 40]
    assert (second.epochs, second.lr, second.weight_decay, second.optimizer) == (100, 1e-4, 0.0, "rmsprop")
    assert (paper.refine, paper.refine_batch, paper.face_weight, paper.critic_rate, paper.critic_every) == (
        "wgan",
        64,
        4,
        2e-5,
        10,
    )
    assert (paper.autoencoding, paper.adversarial, paper.reconstruction) == (1e-3, 5, 1)
    assert paper.perceptual == {"conv3_b": 100, "conv4": 0.1, "conv5": 0.001}
    assert paper.expression == "two_scale"
    assert set(PRESETS) == {"paper", "small"}


def test_settings_by_name_by_table_and_by_key() -> None:
    small = autoencoder_settings("small")
    assert autoencoder_settings({"preset": "small"}) == small
    assert (
        autoencoder_settings({"preset": "small", "batch": 7})
        == autoencoder_settings("small", {"batch": 7})
        == replace(small, batch=7)
    )
    assert autoencoder_settings("small", {"stages.0.epochs": 3}).stages == (replace(small.stages[0], epochs=3),)
    assert autoencoder_settings({"batch": 7}) == replace(AutoencoderSettings(), batch=7), "SNA's unless a preset is named"
    with pytest.raises(MienError, match="among paper, small; found 'big'"):
        autoencoder_settings("big")
    with pytest.raises(MienError, match="'bach'"):
        autoencoder_settings({"preset": "small", "bach": 7})
    with pytest.raises(MienError, match="a key among"):
        autoencoder_settings("small", {"stages.0": 3, "batches.x": 3})


# Within a run.


def test_another_seed_finds_it_in_the_cache(tmp_path: Path) -> None:
    """Who trained it and who copied it go on the same way; other settings are trained for themselves."""
    faces, heard = bright_faces(), [Heard() for _ in range(4)]
    train(faces, masked(), tmp_path / "trained", ORDER, progress=heard[0])
    train(faces, masked(), tmp_path / "copied", ORDER, progress=heard[1])
    train(faces, masked(), tmp_path / "other_seed", replace(ORDER, seed=1, labels=30), progress=heard[2])
    trained = ["an autoencoder of 96 faces is trained first" in " ".join(one.lines) for one in heard]
    assert trained[:3] == [True, False, False]
    parts = {name: tmp_path / name / "parts" / "neighbors" for name in ("trained", "copied", "other_seed")}
    assert [(folder / "parts").exists() for folder in parts.values()] == [True, False, False]
    assert all(same(folder, parts["trained"]) for folder in parts.values())
    assert same(tmp_path / "trained", tmp_path / "copied")
    assert not same(tmp_path / "trained", tmp_path / "other_seed")
    train(faces, masked(TINY_AUTOENCODER | {"face_weight": 1.0}), tmp_path / "settings", ORDER, progress=heard[3])
    assert "is trained first" in " ".join(heard[3].lines)
    assert not same(tmp_path / "settings" / "parts" / "neighbors", parts["trained"])
    assert len(list(cache_folder().iterdir())) == 2
    assert cache_folder().is_relative_to(tmp_path)


def test_what_was_trained_alone_is_there_for_runs(tmp_path: Path) -> None:
    faces, heard = bright_faces(), Heard()
    train_autoencoder(faces, tmp_path / "alone", autoencoder_settings(TINY_AUTOENCODER), ORDER)
    train(faces, masked(), tmp_path / "run", ORDER, progress=heard)
    assert not any("is trained first" in line for line in heard.lines)
    assert same(tmp_path / "run" / "parts" / "neighbors", tmp_path / "alone")


def test_it_learns_from_all_faces_of_the_training_split(tmp_path: Path) -> None:
    """Validation faces among them, and those beyond the label budget; none of the test split."""
    faces = bright_faces()
    train(faces, masked(), tmp_path / "run", replace(ORDER, labels=30))
    card = read_card(tmp_path / "run" / "parts" / "neighbors")
    assert card.faces.checksum == faces_digest(faces.select(training_rows(faces)))
    assert card.faces.count == 96


def test_labels_that_judged_it_are_part_of_its_name(tmp_path: Path, refining: dict[str, Any]) -> None:
    """The same classes in the same order, of other faces: without a second phase it is the same autoencoder, with it another."""
    faces = bright_faces(120)
    by_class = faces.select(np.argsort(faces.labels, kind="stable"))
    recipe = masked()
    materials = [
        prepare_run(by_class, None, recipe, TrainingSettings(seed=seed, labels_per_class=10), Heard()).data for seed in (0, 1)
    ]
    assert torch.equal(materials[0].labels, materials[1].labels)
    assert labels_digest(materials[0]) != labels_digest(materials[1])
    assert labels_digest(materials[0]) == labels_digest(materials[0])
    heard = [Heard(), Heard(), Heard()]
    for number, seed in enumerate((0, 0, 1)):
        order = replace(ORDER, seed=seed, labels_per_class=10)
        train(by_class, masked(refining), tmp_path / str(number), order, progress=heard[number])
    assert [any("is trained first" in line for line in one.lines) for one in heard] == [True, False, True]
    assert same(tmp_path / "0", tmp_path / "1")
    assert read_card(tmp_path / "0" / "parts" / "neighbors").budget == {"train": 24, "validation": 6}


def test_an_expression_networks_recipe_is_part_of_its_name(refining: dict[str, Any]) -> None:
    settings = autoencoder_settings(refining)
    before = settings_key(settings, "faces", "labels")
    assert settings_key(settings, "faces", "labels") == before
    file = Path(refining["expression"])
    file.write_text(file.read_text().replace("0.05", "0.06"))
    assert settings_key(settings, "faces", "labels") != before
    plain = replace(settings, refine="none", expression="no such recipe")
    assert settings_key(plain, "faces", "") != before, "and is not looked at where there is no second phase"


@pytest.mark.usefixtures("checkpoint_each_batch")
def test_interrupted_while_it_is_trained_or_written(tmp_path: Path, stored: Path) -> None:
    settings = TINY_AUTOENCODER | {"stages": [TINY_AUTOENCODER["stages"][0] | {"epochs": 3}]}
    train(stored, masked(settings), tmp_path / "whole", ORDER)
    for batches, written in ((4, False), (6, True)):
        shutil.rmtree(cache_folder())
        killed = tmp_path / f"killed{batches}"
        with pytest.raises(Interrupted):
            train(stored, masked(settings), killed, ORDER, progress=StopAfter(batches))
        assert (killed / "parts" / "neighbors" / "model").is_dir() == written
        if written:
            # As it is before the card, which comes last, and the cache's copy.
            (killed / "parts" / "neighbors" / "model" / "model.json").unlink()
            shutil.rmtree(cache_folder())
        resume(killed)
        assert same(killed, tmp_path / "whole"), batches


def test_a_copy_that_was_interrupted_is_made_again(tmp_path: Path) -> None:
    train_autoencoder(bright_faces(), tmp_path / "made", autoencoder_settings(TINY_AUTOENCODER), ORDER)
    folder = tmp_path / "run" / "parts" / "neighbors"
    for half in (folder / ".model.abc", folder / "model"):
        half.mkdir(parents=True)
        (half / "model.safetensors").write_bytes(b"half a mod")
    fetch(tmp_path / "made", folder)
    assert [path.name for path in folder.iterdir()] == ["model"]
    assert same(folder, tmp_path / "made")
    keep_for_others(tmp_path / "made", "key")
    before = (cache_folder() / "key" / "model" / "model.json").stat().st_mtime_ns
    keep_for_others(tmp_path / "made", "key")
    assert (cache_folder() / "key" / "model" / "model.json").stat().st_mtime_ns == before, "another run was faster"


def test_a_resumed_run_draws_on_as_if_it_had_not_read_it_again(tmp_path: Path) -> None:
    """Reading an autoencoder builds a network: torch's own generator, which dropout draws from, is left as it was."""
    train_autoencoder(bright_faces(), tmp_path / "made", autoencoder_settings(TINY_AUTOENCODER), ORDER)
    before = torch.get_rng_state()
    SemanticNeighbors.load(tmp_path / "made", CPU)
    assert torch.equal(torch.get_rng_state(), before)


# A folder that is given.


@pytest.fixture
def made(tmp_path: Path) -> Path:
    train_autoencoder(bright_faces(), tmp_path / "made", autoencoder_settings(TINY_AUTOENCODER), ORDER)
    return tmp_path / "made"


def test_a_folder_is_copied(tmp_path: Path, made: Path) -> None:
    recognizer = train(bright_faces(), masked(made), tmp_path / "run", ORDER)
    assert same(tmp_path / "run" / "parts" / "neighbors", made)
    assert recognizer.card.sources == (), "it looked at no label"
    assert train(bright_faces(), masked(), tmp_path / "named", ORDER).card.metrics["loss"] == recognizer.card.metrics["loss"]


def other_alignment() -> FaceSet:
    faces = bright_faces()
    return replace(faces, info=replace(faces.info, alignment="eyes"))


@pytest.mark.parametrize(
    ("faces", "reason"),
    [
        (lambda: bright_faces(side=32), "faces of side 16, as the model was trained on; found 32"),
        (lambda: bright_faces(seed=1), "an autoencoder made for these faces, checksum"),
        (other_alignment, "faces aligned as the autoencoder's"),
        (features, 'found features; take the neighbors "features"'),
    ],
)
def test_one_made_for_other_faces_is_refused_with_the_reason(
    faces: Callable[[], FaceSet], reason: str, tmp_path: Path, made: Path
) -> None:
    model = {"model": {"network": "embedding"}} if faces is features else {}
    view = faces()
    order = ORDER if "split" in view.column_names else replace(ORDER, split="all")
    with pytest.raises(MienError, match=reason):
        train(view, masked(made, **model), tmp_path / "run", order)
    assert not (tmp_path / "run").exists()


def test_a_recognizer_is_no_autoencoder_and_the_other_way_round(tmp_path: Path, made: Path) -> None:
    faces = bright_faces()
    train(faces, small_recipe(stages=[{"epochs": 1, "lr": 0.01}]), tmp_path / "run", ORDER)
    with pytest.raises(MienError, match=r"an autoencoder at .*found a model of mien_s; make one with mien autoencoder train"):
        train(faces, masked(tmp_path / "run"), tmp_path / "masked", ORDER)
    with pytest.raises(MienError, match=r"a recognizer at .*found an autoencoder"):
        evaluate(made, faces)
    with pytest.raises(MienError, match="no model"):
        train(faces, masked(tmp_path / "nothing"), tmp_path / "masked", ORDER)
    weights = made / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"abcd")
    with pytest.raises(MienError, match="it was changed"):
        train(faces, masked(made), tmp_path / "masked", ORDER)


def test_labels_that_it_was_judged_by_count_for_the_run(tmp_path: Path, refining: dict[str, Any]) -> None:
    faces = bright_faces().save(tmp_path / "set")
    card = train_autoencoder(faces, tmp_path / "judged", autoencoder_settings(refining), replace(ORDER, labels=30))
    recognizer = train(faces, masked(tmp_path / "judged"), tmp_path / "run", replace(ORDER, labels=10))
    (told,) = json.loads((tmp_path / "run" / "parts" / "neighbors" / "sources.json").read_text())
    assert told["faces"] == faces.info.checksum
    assert len(told["used"]) == 30
    used = set(told["used"]) | read_used_ids(tmp_path / "run")
    assert f"{len(used)} of these faces gave the run their labels" in evaluate(recognizer, faces, split="train").notes["warning"]
    (source,) = recognizer.card.sources
    assert (source["weights"], source["budget"]["train"], source["budget"]["validation"]) == (card.weights, 24, 6)
    assert "30 more labels" in evaluate(recognizer, faces).notes["began with"]


def test_threads_are_those_that_it_was_begun_with(tmp_path: Path, stored: Path) -> None:
    """Where none are named; others are refused, by name."""
    first = train_autoencoder(stored, tmp_path / "out", autoencoder_settings(TINY_AUTOENCODER), TrainingSettings(threads=1))
    assert train_autoencoder(stored, tmp_path / "out", autoencoder_settings(TINY_AUTOENCODER), TrainingSettings()) == first
    with pytest.raises(MienError, match=r"threads = 1; found order\.threads = 2; give the same again"):
        train_autoencoder(stored, tmp_path / "out", autoencoder_settings(TINY_AUTOENCODER), TrainingSettings(threads=2))


def test_a_batch_without_statistics_is_refused(tmp_path: Path) -> None:
    """One face, whose last maps are a single number each."""
    recipe = masked(TINY_AUTOENCODER, model={"network": "two_scale", "width": 0.05}, batch=1)
    with pytest.raises(MienError, match=r"batches that batch normalization has statistics of; found 1, .*; raise batch"):
        train(bright_faces(12, side=32), recipe, tmp_path / "run", TrainingSettings(split="all", threads=1))


def test_the_digest_is_of_pixels_however_they_were_selected(tmp_path: Path, stored: Path) -> None:
    faces, rows = bright_faces(), np.arange(0, 120, 3)
    taken = FaceSet.from_arrays(faces.faces(rows))
    assert faces_digest(faces.select(rows)) == faces_digest(FaceSet.open(stored).select(rows)) == faces_digest(taken)
    assert faces_digest(faces.select(rows)) != faces_digest(faces.select(rows[::-1]))


def test_a_runs_neighbors_are_read_once(tmp_path: Path) -> None:
    run, _ = begun(tmp_path / "run", bright_faces(), masked())
    assert run_neighbors(run, TINY_AUTOENCODER) is run_neighbors(run, TINY_AUTOENCODER)
    with pytest.raises(MienError, match=r"one autoencoder for all masks of a run, .*; found 'another'"):
        run_neighbors(run, "another")
    told = json.loads((tmp_path / "run" / "parts" / "neighbors" / "model" / "model.json").read_text())
    assert told["recipe"]["autoencoding"]["batch"] == 32
