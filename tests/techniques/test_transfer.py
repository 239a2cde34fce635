"""Copying what fits from another network: every tensor accounted for, and what cannot be copied said."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import bright_faces, small_recipe
from mien import FaceSet, MienError, Recipe, Recognizer, TrainingSettings, evaluate, train
from mien.models import Origin
from mien.models.mien_s import MienS
from mien.progress import Silent
from mien.recognize.model_card import read_card
from mien.recognize.run_records import read_sources
from mien.recognize.saved_networks import build_network, read_weights
from mien.techniques.start import transfer
from mien.techniques.start.distill import Distill
from mien.techniques.start.transfer import Transfer
from mien.training.prepare_run import prepare_run
from mien.training.run import Run
from runs import changed


class Says:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def begin(self, title: str, total: int) -> None:
        """Nothing."""

    def advance(self, faces: int) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Another line."""
        self.lines.append(text)


def run_of(folder: Path, faces: FaceSet, recipe: Recipe) -> tuple[Run, Says]:
    """A run that has not begun."""
    folder.mkdir(parents=True, exist_ok=True)
    says = Says()
    data = prepare_run(faces, None, recipe, TrainingSettings(), Says()).data
    return Run(recipe, data, 5, torch.device("cpu"), folder, says), says


def listed(folder: Path) -> dict[str, dict[str, Any]]:
    table = json.loads((folder / "transfer.json").read_text())
    return {entry["name"]: entry for entry in table["tensors"]}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch."""
    folder = tmp_path_factory.mktemp("source") / "run"
    train(bright_faces(seed=9), small_recipe(stages=[{"epochs": 1, "lr": 0.01}]), folder, TrainingSettings(threads=1))
    return folder


def other_classes() -> FaceSet:
    """As many as bright_faces have."""
    faces = bright_faces()
    return FaceSet.from_arrays(faces.faces(range(len(faces))), faces.column("label").to_pylist(), ["other0", "other1", "other2"])


def test_everything_fits_the_same_network(source: Path, tmp_path: Path) -> None:
    run, says = run_of(tmp_path, bright_faces(), small_recipe())
    Transfer(source=str(source))(run)
    assert changed(read_weights(source), run.network.state_dict()) == set()
    count = len(run.network.state_dict())
    assert says.lines == [f"copied {count} of {count} tensors from {source}"]
    assert all(entry["copied"] for entry in listed(tmp_path).values())


def test_a_head_for_other_classes_starts_afresh(source: Path, tmp_path: Path) -> None:
    run, says = run_of(tmp_path, other_classes(), small_recipe())
    before = {name: value.clone() for name, value in run.network.state_dict().items()}
    Transfer(source=str(source))(run)
    heads = {"head.3.weight", "head.3.bias"}
    kept = changed(before, run.network.state_dict())
    assert not heads & kept
    assert changed(read_weights(source), run.network.state_dict()) == heads
    assert says.lines[0].endswith("not copied: head.3.weight, head.3.bias")
    assert {name for name, entry in listed(tmp_path).items() if entry["note"] == "other classes"} == heads


def test_shape_by_shape(source: Path, tmp_path: Path) -> None:
    """A network with one stage wider and one block more: the others are copied, and each shape stands in the list."""
    recipe = small_recipe(model={"network": "mien_s", "width": 8, "depths": [2, 1, 1]})
    run, says = run_of(tmp_path, bright_faces(), recipe)
    before = {name: value.clone() for name, value in run.network.state_dict().items()}
    Transfer(source=str(source))(run)
    theirs, mine = read_weights(source), run.network.state_dict()
    table = listed(tmp_path)
    assert table.keys() == theirs.keys() | mine.keys()
    for name, entry in table.items():
        assert entry["here"] == (list(mine[name].shape) if name in mine else None)
        assert entry["there"] == (list(theirs[name].shape) if name in theirs else None)
        assert entry["copied"] == (name in theirs and name in mine and theirs[name].shape == mine[name].shape)
        if name in mine:
            assert torch.equal(mine[name], theirs[name] if entry["copied"] else before[name])
    assert table["blocks.stage1_2.first.0.weight"]["note"] == "not in the source"
    assert " more" in says.lines[0]


def test_only_some_blocks(source: Path, tmp_path: Path) -> None:
    run, _ = run_of(tmp_path, bright_faces(), small_recipe())
    before = {name: value.clone() for name, value in run.network.state_dict().items()}
    Transfer(source=str(source), blocks=("stem", "stage2_1"))(run)
    moved = changed(before, run.network.state_dict())
    assert {name.split(".")[1] for name in moved} == {"stem", "stage2_1"}
    assert listed(tmp_path)["head.3.bias"]["note"] == "not among the blocks"


def test_color_is_summed_for_gray_faces(tmp_path: Path) -> None:
    """The copied network says of a gray face what the source says of it in three equal colors."""
    gray = bright_faces()
    pixels = gray.faces(range(len(gray)))
    colored = FaceSet.from_arrays(pixels[..., None].repeat(3, axis=3), gray.column("label").to_pylist(), gray.classes)
    train(colored, small_recipe(stages=[{"epochs": 1, "lr": 0.01}]), tmp_path / "colored", TrainingSettings(threads=1))
    before, _ = run_of(tmp_path / "before", colored, small_recipe())
    before.network.load_state_dict(read_weights(tmp_path / "colored"))
    run, _ = run_of(tmp_path / "run", gray, small_recipe())
    Transfer(source=str(tmp_path / "colored"))(run)
    x = torch.randn(4, 1, 16, 16)
    with torch.no_grad():
        expected = before.network.eval()(x.expand(4, 3, 16, 16))
        assert torch.allclose(run.network.eval()(x), expected, atol=1e-5)
    assert listed(tmp_path / "run")["blocks.stem.0.weight"]["note"] == "summed over colors"


def test_published_weights_by_the_networks_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the run's own settings where it is the same network."""
    run, says = run_of(tmp_path, bright_faces(), small_recipe())
    asked = []

    def published(network: dict[str, Any]) -> dict[str, torch.Tensor]:
        asked.append(network)
        return {"blocks.stem.0.weight": torch.full((8, 1, 3, 3), 0.5), "blocks.tail.weight": torch.ones(2)}

    monkeypatch.setattr(transfer, "published", published)
    Transfer(source="mien_s")(run)
    assert asked == [run.recipe.model]
    assert run.network.state_dict()["blocks.stem.0.weight"].eq(0.5).all()
    assert listed(tmp_path)["blocks.tail.weight"]["note"] == "not in this network"
    assert "copied 1 of" in says.lines[0]
    Transfer(source="resnet18")(run)
    assert asked[1] == {"network": "resnet18"}


def test_bad_sources_are_refused_in_a_sentence(source: Path, tmp_path: Path) -> None:
    run, _ = run_of(tmp_path, bright_faces(), small_recipe())
    with pytest.raises(MienError, match=r"published weights; found mien_s"):
        Transfer(source="mien_s")(run)
    with pytest.raises(MienError, match="a run or a model at nowhere"):
        Transfer(source="nowhere")(run)
    with pytest.raises(MienError, match=r"start.blocks among stem, .*; found conv1"):
        Transfer(source=str(source), blocks=("conv1",))(run)
    other, _ = run_of(tmp_path / "other", bright_faces(), small_recipe(model={"network": "dalnet", "width": 0.1}))
    with pytest.raises(MienError, match=r"that fit this network; found none \(blocks"):
        Transfer(source=str(source))(other)
    assert not (tmp_path / "other" / "transfer.json").exists()


def test_another_normalization_is_said(tmp_path: Path) -> None:
    train(bright_faces(60), small_recipe(normalize="face", stages=[{"epochs": 1, "lr": 0.01}]), tmp_path / "source")
    heard = Says()
    start = {"technique": "transfer", "source": str(tmp_path / "source")}
    train(bright_faces(60), small_recipe(start=start, stages=[{"epochs": 1, "lr": 0.01}]), tmp_path / "run", progress=heard)
    assert any("normalize = face" in line for line in heard.lines)


def test_a_face_net_refuses_faces_normalized_one_by_one(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="normalize = fixed for facenet_dlib"):
        train(bright_faces(60), small_recipe(model="facenet_dlib", normalize="face"), tmp_path / "run")


def test_the_sources_labels_are_remembered(tmp_path: Path) -> None:
    """A run that begins with a model trained on the test split is told from one that does not; through two hands as well."""
    faces = bright_faces(120).save(tmp_path / "set")
    plain = small_recipe(stages=[{"epochs": 1, "lr": 0.01}])
    train(faces, plain, tmp_path / "leaky", TrainingSettings(split="test", labels=12))
    for source, out in (("leaky", "second"), ("second", "third")):
        train(
            faces,
            plain.set("start", {"technique": "transfer", "source": str(tmp_path / source)}),
            tmp_path / out,
            TrainingSettings(labels=30),
        )
    notes = evaluate(Recognizer.load(tmp_path / "third"), faces, "test").notes
    assert notes["warning"].startswith("12 of these faces")
    assert "30 more labels" in notes["began with"]
    assert "12 more labels" in notes["began with"]
    assert [source["budget"]["train"] for source in read_card(tmp_path / "third").sources] == [24, 9]
    assert "warning" not in evaluate(train(faces, plain, tmp_path / "clean", TrainingSettings(labels=30)), faces, "test").notes


def test_the_box_is_a_source_and_gray_is_spread_over_colors(tmp_path: Path) -> None:
    gray = bright_faces(30, side=48)
    faces = FaceSet.from_arrays(np.repeat(gray.faces()[..., None], 3, axis=3), gray.labels, gray.classes)
    start = {"technique": "transfer", "source": "mien-s"}
    recipe = small_recipe(model={"network": "mien_s"}, start=start, stages=[{"epochs": 1, "lr": 0.0}], normalize="face")
    train(faces, recipe, tmp_path / "run", TrainingSettings(threads=1))
    told = json.loads((tmp_path / "run" / "transfer.json").read_text("utf-8"))["tensors"]
    notes = {entry["name"]: (entry["copied"], entry["note"]) for entry in told}
    assert notes["blocks.stem.0.weight"] == (True, "spread over colors")
    assert notes["head.3.weight"] == (False, "other classes")
    assert Recognizer.load(tmp_path / "run").card.sources[0]["weights"] == Recognizer.load("mien-s").card.weights


def test_published_weights_stand_on_the_card_with_their_license(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces, recipe = bright_faces(60), small_recipe(stages=[{"epochs": 1, "lr": 0.01}])
    given = build_network(recipe.model, 2, faces.info, 5).state_dict()
    monkeypatch.setattr(MienS, "published", lambda _: given)
    monkeypatch.setattr(MienS, "origin", lambda _: Origin("ab" * 32, "CC0"))
    recognizer = train(faces, recipe.set("start", {"technique": "transfer", "source": "mien_s"}), tmp_path / "run")
    (source,) = recognizer.card.sources
    assert (source["network"], source["weights"], source["license"]) == ({"network": "mien_s"}, "ab" * 32, "CC0")
    began = evaluate(recognizer, faces, "all").notes["began with"]
    assert began == "mien_s, weights abababababab: labels unknown, license CC0"


def test_a_published_teacher_stands_on_the_card_with_its_license(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken as it is, not fine-tuned."""
    faces, recipe = bright_faces(60), small_recipe()
    given = build_network({"network": "mien_s"}, 2, faces.info, 5).state_dict()
    monkeypatch.setattr(MienS, "published", lambda _: given)
    monkeypatch.setattr(MienS, "origin", lambda _: Origin("ab" * 32, "CC0"))
    for teacher in ("mien_s", {"network": "mien_s"}):
        folder = tmp_path / type(teacher).__name__
        folder.mkdir()
        run = Run(recipe, prepare_run(faces, None, recipe, TrainingSettings(), Silent()).data, 0, torch.device("cpu"), folder)
        Distill(teacher=teacher, block="stem").face_net(run)
        (source,) = read_sources(folder)
        assert (source["network"], source["weights"], source["license"]) == ({"network": "mien_s"}, "ab" * 32, "CC0")
