"""VGG-Face's published files become a model: every kernel where it belongs, and other files are one sentence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.io import savemat
from torch import Tensor
from torch.nn import functional as F
from typer.testing import CliRunner

from conftest import bright_faces
from mien import MienError
from mien.cli import app
from mien.models import vgg16
from mien.recognize.convert_vgg_face import convert_weights
from mien.recognize.saved_networks import read_network
from teachers import FEW, vgg_face

MEAN = torch.tensor([129.1863, 104.7624, 93.5940]).view(3, 1, 1)
LAYERS = vgg_face(people=3, hidden=2)


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vgg16, "STAGES", FEW)


def matlab(path: Path, older: bool) -> Path:
    """A file like MatConvNet's: a cell of layers, each with a name and its weights; the older kind says filters and biases."""
    cells: list[dict[str, Any]] = []
    for name, (kernel, bias) in LAYERS.items():
        both = np.empty((1, 2), object)
        both[0, 0], both[0, 1] = kernel, bias[None]
        cells += [{"name": name, **({"filters": kernel, "biases": bias[None]} if older else {"weights": both})}]
        cells += [{"name": f"relu_{name}", "type": "relu"}]
    layers = np.empty((1, len(cells)), object)
    layers[0, :] = cells
    people = np.array([["Ada", "Bela", "Carl"]], object)
    content = {"layers": layers, "meta": {"classes": {"description": people}}}
    savemat(path, {"net": content} if older else content)
    return path


def reference(pixels: Tensor) -> Tensor:
    """fc8 of VGG-Face for pixels (3, 224, 224), computed from MatConvNet's kernels, layer by layer."""
    x = (pixels - MEAN).unsqueeze(0)
    for name, (kernel, bias) in LAYERS.items():
        ours = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        x = F.conv2d(x, ours, torch.from_numpy(bias), padding=1 if name.startswith("conv") else 0)
        x = x if name == "fc8" else x.relu()
        if name in ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3"):
            x = F.max_pool2d(x, 2)
    return x.flatten(1)


@pytest.mark.parametrize("older", [False, True])
def test_matlab_weights_compute_what_they_did(tmp_path: Path, older: bool) -> None:
    card = convert_weights(matlab(tmp_path / "vgg_face.mat", older), tmp_path / "model")
    assert card.classes == ("Ada", "Bela", "Carl")
    pixels = torch.randint(0, 256, (3, 224, 224)).float()
    with torch.inference_mode():
        found = read_network(tmp_path / "model")(((pixels / 255 - 0.5) * 4).unsqueeze(0))
        expected = reference(pixels)
    assert expected.std() > 0
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_safetensors_of_common_names(tmp_path: Path) -> None:
    weights: dict[str, Tensor] = {}
    for name, (kernel, bias) in LAYERS.items():
        ours = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        weights |= {f"{name}.weight": ours.flatten(1) if name == "fc6" else ours, f"{name}.bias": torch.from_numpy(bias)}
    save_file(weights, tmp_path / "vgg.safetensors")
    card = convert_weights(tmp_path / "vgg.safetensors", tmp_path / "model", side=48, channels=1)
    assert (card.classes[0], card.faces.side, card.faces.channels) == ("person 1", 48, 1)
    network = read_network(tmp_path / "model")
    assert torch.equal(network.get_parameter("blocks.stage1.conv1_1.weight"), weights["conv1_1.weight"])
    assert torch.equal(network.get_parameter("head.bias"), weights["fc8.bias"])
    del weights["fc7.bias"]
    save_file(weights, tmp_path / "part.safetensors")
    with pytest.raises(MienError, match=r"no fc7\.bias \(1 absent\)"):
        convert_weights(tmp_path / "part.safetensors", tmp_path / "other")
    save_file(weights | {"fc7.bias": torch.zeros(5)}, tmp_path / "odd.safetensors")
    with pytest.raises(MienError, match=r"fc7\.bias of shape \(2,\)"):
        convert_weights(tmp_path / "odd.safetensors", tmp_path / "other")
    last = {name: value.permute(2, 3, 1, 0).contiguous() if value.ndim == 4 else value for name, value in weights.items()}
    save_file(last | {"fc7.bias": torch.zeros(2)}, tmp_path / "last.safetensors")
    with pytest.raises(MienError, match=r"conv1_1\.weight of shape"):
        convert_weights(tmp_path / "last.safetensors", tmp_path / "other")
    full = torch.from_numpy(LAYERS["fc6"][0].transpose(3, 0, 1, 2).copy())
    save_file(weights | {"fc7.bias": torch.zeros(2), "fc6.weight": full}, tmp_path / "full.safetensors")
    with pytest.raises(MienError, match=r"fc6\.weight of shape"):
        convert_weights(tmp_path / "full.safetensors", tmp_path / "other")


def test_the_command_and_what_starts_from_it(tmp_path: Path) -> None:
    words = [
        "convert",
        str(matlab(tmp_path / "vgg_face.mat", False)),
        str(tmp_path / "model"),
        "--side",
        "16",
        "--gray",
        "--json",
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["people"] == 3
    bright_faces(count=6).save(tmp_path / "faces")
    words = ["features", f"{tmp_path / 'model'}:stage5", str(tmp_path / "faces"), str(tmp_path / "maps"), "--grid", "0", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["dimension"] == 10 * 7 * 7


def test_other_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="no such file"):
        convert_weights(tmp_path / "none.mat", tmp_path / "model")
    for name in ("text.mat", "text.pth"):
        (tmp_path / name).write_text("nothing of the kind " * 20)
        with pytest.raises(MienError, match=r"take vgg_face\.mat"):
            convert_weights(tmp_path / name, tmp_path / "model")
    savemat(tmp_path / "other.mat", {"x": np.zeros(3)})
    with pytest.raises(MienError, match="MatConvNet's layers"):
        convert_weights(tmp_path / "other.mat", tmp_path / "model")
    with pytest.raises(MienError, match="nothing at"):
        convert_weights(tmp_path / "other.mat", tmp_path)
    assert not (tmp_path / "model").exists()
