"""Starting from a model: the box's, a run's, an exported one's; other classes, sides and colors; and what cannot be a start."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import Command, bright_faces, small_recipe
from mien import FaceSet, MienError, Recipe, Recognizer, TrainingSettings, export, train
from mien.recipes.overrides import recipe_with_changes
from mien.recognize.gray_and_color_weights import match_colors
from mien.recognize.saved_networks import build_network, read_weights
from mien.techniques.start.weights import matching
from runs import Heard, features

SHORT = {"stages": [{"epochs": 1, "lr": 0.0}], "average": 0.0, "draw": "shuffled"}
"""Nothing is learned: the weights stay those of the start, but what batch normalization remembers."""


def own_faces(side: int = 48, classes: int = 3, color: bool = False) -> FaceSet:
    gray = bright_faces(30, classes, side=side)
    pixels = np.repeat(gray.faces()[..., None], 3, axis=3) if color else gray.faces()
    return FaceSet.from_arrays(pixels, gray.labels, [f"mood{number}" for number in range(classes)])


def started(folder: Path, faces: FaceSet, recipe: Recipe) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The weights of a run that learns nothing, and what it said."""
    heard = Heard()
    train(faces, recipe.with_settings(SHORT), folder, TrainingSettings(threads=1), progress=heard)
    return read_weights(folder), heard.lines


@pytest.mark.parametrize("classes", [2, 8, 11])
def test_the_box_is_a_start_for_own_classes(tmp_path: Path, classes: int) -> None:
    """The blocks are the model's, the last layer another, however many classes there are."""
    recipe = Recipe.load("supervised").with_start("mien-s")
    assert (recipe.model, recipe.normalize) == ({"network": "mien_s"}, "face")
    mine, said = started(tmp_path / "run", own_faces(classes=classes), recipe)
    theirs = read_weights(Recognizer.load("mien-s").folder or Path())
    for name in theirs:
        if name.startswith("blocks.") and name.endswith("weight"):
            assert torch.equal(mine[name], theirs[name].float()), name
    assert mine["head.3.weight"].shape == (classes, 128)
    assert f"starts from mien-s: the last layer begins anew, for {classes} classes" in said
    card = Recognizer.load(tmp_path / "run").card
    assert card.sources[0]["weights"] == Recognizer.load("mien-s").card.weights


@pytest.mark.parametrize("name", ["fixmatch_small", "alt_small", "pl_alrao_small", "face_finetune", "linear_head"])
def test_any_recipe_starts_from_it(name: str) -> None:
    recipe = Recipe.load(name)
    made = recipe.with_start("mien-s")
    assert made.start == {"technique": "weights", "path": "mien-s"}
    assert made.model == {"network": "mien_s", **({"copies": recipe.model["copies"]} if "copies" in recipe.model else {})}
    assert (made.unlabeled, made.step, made.stages) == (recipe.unlabeled, recipe.step, recipe.stages)


def test_a_run_and_an_exported_model_are_starts(tmp_path: Path) -> None:
    """With the run's classes its last layer too; an exported model has half precision."""
    faces = bright_faces(60)
    train(faces, small_recipe(), tmp_path / "first", TrainingSettings(threads=1))
    export(tmp_path / "first", tmp_path / "given")
    known = read_weights(tmp_path / "first")
    for number, model in enumerate((tmp_path / "first", tmp_path / "given")):
        recipe = Recipe.load("supervised").with_start(model)
        assert recipe.model == small_recipe().model
        mine, said = started(tmp_path / f"run{number}", faces, recipe)
        for name in ("head.3.weight", "blocks.stem.0.weight"):
            assert torch.allclose(mine[name], known[name], atol=1e-3), name
        assert "starts from the model's weights, its last layer too" in said


def test_other_faces_are_said(tmp_path: Path) -> None:
    faces = own_faces(side=64, color=True)
    faces = replace(faces, info=replace(faces.info, alignment="box margin=0.1; mtcnn; largest"))
    _, said = started(tmp_path / "run", faces, Recipe.load("supervised").with_start("mien-s"))
    for told in (
        "mien-s learned from faces of 48 pixels, these have 64: faces of its size start better",
        "mien-s learned from faces in gray: its first layer is converted, as these are in color",
    ):
        assert told in said
    assert [
        line for line in said if line.startswith("warning: the model") and "these were cut out by box margin=0.1; mtcnn" in line
    ]
    alike, quiet = own_faces(), Heard()
    alike = replace(alike, info=replace(alike.info, alignment=Recognizer.load().card.faces.alignment))
    train(alike, Recipe.load("supervised").with_start("mien-s").with_settings(SHORT), tmp_path / "same", progress=quiet)
    assert not [line for line in quiet.lines if "cut out" in line or "learned from faces" in line]
    fixed = small_recipe(model={"network": "mien_s"}, start={"technique": "weights", "path": "mien-s"})
    _, said = started(tmp_path / "fixed", alike, fixed)
    assert "mien-s saw faces under normalize = face, this run is fixed" in said


def test_a_gray_network_sees_a_gray_face_in_color_as_before() -> None:
    gray, color = (build_network({"network": "mien_s", "width": 8}, 3, own_faces(color=c).info).eval() for c in (False, True))
    weights = matching(gray.state_dict(), color.state_dict())
    assert weights.keys() == color.state_dict().keys()
    color.load_state_dict(weights)
    faces = torch.randn(4, 1, 48, 48)
    with torch.no_grad():
        assert torch.allclose(gray(faces), color(faces.expand(-1, 3, -1, -1)), atol=1e-5)
    back = matching(color.state_dict(), gray.state_dict())
    assert torch.allclose(back["blocks.stem.0.weight"], gray.state_dict()["blocks.stem.0.weight"], atol=1e-6)
    assert match_colors(torch.zeros(8, 1, 3, 3), (4, 3, 3, 3))[0] is None


def test_what_cannot_be_a_start_is_one_sentence(tmp_path: Path) -> None:
    recipe = Recipe.load("supervised").with_start("mien-s").with_settings(SHORT)
    with pytest.raises(MienError, match="expected faces for mien_s; found features"):
        train(features(), recipe, tmp_path / "run", TrainingSettings(threads=1))
    for settings in ({"model": "resnet18", "normalize": "face"}, {"model": {"network": "mien_s", "width": 16}}):
        with pytest.raises(MienError, match="weights in mien-s for every block"):
            train(own_faces(), recipe.with_settings(settings), tmp_path / "run", TrainingSettings(threads=1))
    assert not (tmp_path / "run").exists()
    with pytest.raises(MienError, match="a run or a model at"):
        recipe.with_start(tmp_path / "nowhere")
    (tmp_path / "own").mkdir()
    card = (Recognizer.load("mien-s").folder or Path()) / "model.json"
    (tmp_path / "own" / "model.json").write_text(card.read_text().replace('"mien_s"', '"mine:Net"'))
    with pytest.raises(MienError, match=r"give --model mine:Net too if you trust it, or in Python import mine before"):
        recipe.with_start(tmp_path / "own")


def test_train_starts_from_the_box(mien: Command, tmp_path: Path) -> None:
    own_faces().save(tmp_path / "set")
    words = ["train", tmp_path / "set", "--start", "mien-s", "--epochs", 1, "--threads", 1, "--set", "draw=shuffled"]
    done = mien(*words, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "starts from mien-s: the last layer begins anew, for 3 classes" in done.err
    done = mien(*words, "--out", tmp_path / "other", "--model", "resnet18")
    assert (done.code, "--model resnet18; leave --model out" in done.err) == (1, True)
    heard = Heard()
    assert recipe_with_changes("sw", heard.say, None, None, "mien-s").model == {"network": "mien_s"}
    assert f"sw trains mien_s, the network of mien-s, in place of {Recipe.load('sw').model['network']}" in heard.lines
    made = recipe_with_changes("fn2en_small", heard.say, None, None, "mien-s", {"batch": 8})
    assert "fn2en_small starts from mien-s, and leaves out its own start, distill" in heard.lines
    assert (made.start["technique"], made.batch) == ("weights", 8)
