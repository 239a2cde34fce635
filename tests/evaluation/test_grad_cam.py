"""Grad-CAM: by hand on a linear toy network, and the row by which faces were told apart; photos, files, bad input."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from conftest import bright_faces, small_recipe
from mien import FaceSet, MienError, Recognizer, TrainingSettings, train
from mien.data.format import Info
from mien.evaluation.grad_cam import SIDE, explain, explain_photo, explained_path, grad_cam, overlay
from mien.models import Network
from mien.recognize.model_card import ModelCard
from mien.recognize.saved_networks import build_network
from runs import Heard, features
from teachers import tiny_onnx


class Sum(nn.Module):
    """A linear head over maps: logit k is the sum over channels and places of weight[k] * maps."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, S, S) to (B, K)."""
        return torch.einsum("bcij,kcij->bk", maps, self.weight)


def toy(weight: Tensor) -> Network:
    conv = nn.Conv2d(1, 2, 1)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([2.0, -1.0]).view(2, 1, 1, 1))
        conv.bias.copy_(torch.tensor([0.5, 1.0]))  # type: ignore[union-attr]
    # The block after the maps works in place, as real ones may.
    return Network({"maps": conv, "inplace": nn.ReLU(inplace=True)}, Sum(weight), (1, 4, 4))


@pytest.mark.parametrize("label", [0, 1])
def test_a_linear_network_by_hand(label: int) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs, weight = torch.randn(3, 1, 4, 4, generator=generator), torch.randn(2, 2, 4, 4, generator=generator)
    found = grad_cam(toy(weight), inputs, "maps", label)
    assert found.shape == (3, 4, 4)
    for x, heat in zip(inputs[:, 0], found, strict=True):
        maps = torch.stack([2 * x + 0.5, 1 - x])
        slope = weight[label] * (maps > 0)  # of the logit, through the ReLU
        worth = slope.mean(dim=(1, 2))
        wanted = (worth[0] * maps[0] + worth[1] * maps[1]).clamp(min=0)
        assert torch.allclose(heat, wanted / wanted.max().clamp(min=1e-12), atol=1e-5)
        assert heat.max() == pytest.approx(1)


def test_a_face_that_nothing_speaks_for_stays_cold() -> None:
    weight = torch.full((2, 2, 4, 4), -1.0)
    found = grad_cam(toy(weight), torch.zeros(1, 1, 4, 4), "inplace", 0)
    assert torch.equal(found, torch.zeros(1, 4, 4))


def spots(count: int, seed: int) -> tuple[FaceSet, npt.NDArray[np.float64]]:
    """Noise, every second face of it with a bright square anywhere, and the square's middle (N, 2)."""
    generator, labels = np.random.default_rng(seed), np.arange(count) % 2
    pixels = generator.integers(0, 120, (count, 32, 32), dtype=np.uint8)
    corners = generator.integers(0, 26, (count, 2))
    for face, label, (y, x) in zip(pixels, labels, corners, strict=True):
        if label:
            face[y : y + 6, x : x + 6] += 130
    return FaceSet.from_arrays(pixels, labels, ["noise", "spot"]), corners.astype(np.float64) + 2.5


def trained(faces: FaceSet, folder: Path) -> Recognizer:
    torch.set_num_threads(1)
    recipe = small_recipe(stages=[{"epochs": 8, "lr": 0.05, "schedule": "one_cycle"}])
    return train(faces, recipe, folder, TrainingSettings(threads=1))


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return trained(bright_faces(120, side=32), tmp_path_factory.mktemp("explained") / "run")


def test_the_planted_square_is_hot(tmp_path: Path) -> None:
    recognizer = trained(spots(300, 0)[0], tmp_path / "run")
    faces, middles = spots(60, 5)
    far = []
    for face, middle in zip(faces.faces()[1::2], middles[1::2], strict=True):
        found = explain(recognizer, face)
        assert (found.explained, found.block, found.heat.shape) == ("spot", "stage3_1", (32, 32))
        assert found.probabilities.sum() == pytest.approx(1, abs=1e-5)
        assert found.heat.max() == pytest.approx(1)
        far.append(np.abs(np.array(np.unravel_index(int(found.heat.argmax()), (32, 32))) - middle).max())
    assert np.mean(np.array(far) <= 8) > 0.9, "a place of the last block's maps is 8 pixels wide"


def test_another_class_and_another_block(recognizer: Recognizer) -> None:
    face = bright_faces(side=32).faces([0])[0]
    default, other = explain(recognizer, face), explain(recognizer, face, "class1")
    assert (default.explained, default.block) == ("class0", "stage3_1")
    assert other.explained == "class1"
    assert not np.array_equal(default.heat, other.heat)
    assert np.array_equal(default.probabilities, other.probabilities)
    finer = explain(recognizer, face, block="stem")
    assert finer.block == "stem"
    assert not np.array_equal(default.heat, finer.heat)
    with pytest.raises(MienError, match="a class among class0, class1, class2; found 'joy'"):
        explain(recognizer, face, "joy")
    with pytest.raises(MienError, match="a block with maps among stem"):
        explain(recognizer, face, block="fc7")


def test_the_photo_is_colored_where_it_is_hot_and_gray_elsewhere() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    heat = np.zeros((8, 8), np.float32)
    heat[1, 6] = 1
    drawn = overlay(photo, heat).astype(int)
    spread = np.ptp(drawn, axis=2)
    row, column = np.unravel_index(int(spread.argmax()), spread.shape)
    assert abs(row - 12) <= 4
    assert abs(column - 52) <= 4
    assert spread[32:, :32].max() == 0
    assert np.abs(drawn[40, 10] - photo[40, 10].mean()).max() <= 0.5


def test_a_photo_of_any_size_is_drawn_beside_it_once(recognizer: Recognizer, tmp_path: Path) -> None:
    face = bright_faces(side=32).faces([1])[0]
    photo = tmp_path / "me.jpg.png"
    Image.fromarray(face).resize((320, 320), Image.Resampling.NEAREST).convert("RGB").save(photo)
    found = explain_photo(recognizer, photo)
    assert np.array_equal(found.face, face), "resized and gray as the model wants it"
    assert found.explained == "class1"
    assert explained_path(photo) == tmp_path / "me.jpg_explained.png"
    with Image.open(tmp_path / "me.jpg_explained.png") as picture:
        assert picture.width > 2 * SIDE
        assert np.ptp(np.asarray(picture)[:, SIDE : 2 * SIDE], axis=2).max() > 60, "no color"
    with pytest.raises(MienError, match=r"nothing at .*_explained\.png yet"):
        explain_photo(recognizer, photo)
    explain_photo(recognizer, photo, tmp_path / "new" / "other.png")
    assert (tmp_path / "new" / "other.png").is_file()


def test_what_cannot_be_explained_is_one_sentence(recognizer: Recognizer, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(MienError, match="no picture of a known format; give another photo"):
        explain_photo(recognizer, tmp_path / "broken.png")
    with pytest.raises(MienError, match="no file there; give another photo"):
        explain_photo(recognizer, tmp_path / "nowhere.png")
    Image.fromarray(bright_faces(side=32).faces([0])[0]).save(tmp_path / "face.png")
    with pytest.raises(MienError, match=r"a picture named \*.png"):
        explain_photo(recognizer, tmp_path / "face.png", tmp_path / "face.pdf")
    with pytest.raises(MienError, match="a class among"):
        explain_photo(recognizer, tmp_path / "face.png", name="joy")
    assert {path.name for path in tmp_path.iterdir()} == {"broken.png", "face.png"}, "nothing is written of what failed"
    head = train(features(), small_recipe(model={"network": "embedding"}), tmp_path / "head", TrainingSettings(threads=1))
    with pytest.raises(MienError, match="one that learned from features"):
        explain_photo(head, tmp_path / "face.png")


def test_a_photo_that_is_upscaled_is_said(tmp_path: Path) -> None:
    network = {"network": "onnx_facenet", "path": str(tiny_onnx(tmp_path / "net.onnx", side=32)), "output": "map"}
    card = ModelCard(network, ("a", "b"), Info(("a", "b"), side=16, channels=1))
    recognizer = Recognizer.of(build_network(network, 2, card.faces).eval(), card, torch.device("cpu"))
    Image.fromarray(bright_faces().faces([0])[0]).save(tmp_path / "face.png")
    heard = Heard()
    explain_photo(recognizer, tmp_path / "face.png", progress=heard)
    assert heard.lines == ["faces of 16 pixels are upscaled to 32 for onnx_facenet"]
