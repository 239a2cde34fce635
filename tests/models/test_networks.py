"""One contract for every network in models/."""

from pathlib import Path

import pytest
import torch
from torch import nn

from mien import MienError
from mien.data.format import Info
from mien.recognize.saved_networks import build_network
from mien.registry import component_names
from teachers import tiny_onnx

NETWORKS = component_names("mien.models")
SETTINGS: dict[str, dict[str, object]] = {"facenet_dlib": {"side": 112}, "vgg16": {"side": 0, "hidden": 64}}
"""What makes a large network small enough for tests."""
LEARNS_FROM = {"embedding": Info(classes=("a", "b"), kind="features", channels=24, views=("clean",))}


def face_info(name: str, side: int = 48, channels: int = 1) -> Info:
    return LEARNS_FROM.get(name, Info(classes=("a", "b"), side=side, channels=channels))


def settings(name: str, folder: Path) -> dict[str, object]:
    """A network's settings for tests; one that is read from a file gets a file."""
    more = {"path": str(tiny_onnx(folder / "net.onnx"))} if name == "onnx_facenet" else SETTINGS.get(name, {})
    return {"network": name, **more}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("side", "channels"), [(48, 1), (64, 3)])
def test_contract(name: str, side: int, channels: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_network(settings(name, tmp_path), 5, face_info(name, side, channels)).eval()
    inputs = torch.randn(3, *network.shape)
    with torch.no_grad():
        logits, heads = network(inputs), network.heads(inputs)
        assert logits.shape == (3, 5)
        assert heads.shape[1:] == (3, 5)
        assert torch.equal(heads[-1], logits)
        last = network.features(inputs, list(network.blocks)[-1])
        deciding = network.head(last) if len(heads) == 1 else network.head(last)[-1]
        assert torch.allclose(deciding, logits, atol=1e-5)
        alone = torch.cat([network(inputs[n : n + 1]) for n in range(3)])
        assert torch.allclose(alone, logits, atol=1e-3), "in eval mode a face's logits do not depend on its batch"
    with pytest.raises(MienError, match="a block among"):
        network.features(inputs, "no_such_block")


@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_learns(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_network(settings(name, tmp_path), 5, face_info(name)).train()
    heads = network.heads(torch.randn(4, *network.shape))
    torch.stack([nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 3])) for logits in heads]).sum().backward()
    without = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert not without


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "embedding"])
def test_small_faces_are_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(MienError, match=f"faces of at least .* pixels for {name}"):
        build_network(settings(name, tmp_path), 5, face_info(name, 8))


@pytest.mark.parametrize(
    ("name", "side", "channels", "classes", "millions"),
    [
        ("mien_s", 48, 1, 8, 0.6),
        ("resnet18", 224, 3, 1000, 11.7),
        ("vgg16_bn", 224, 3, 1000, 138.4),
        ("alexnet_bn", 224, 3, 1000, 61.1),
    ],
)
def test_sizes_are_the_published_ones(name: str, side: int, channels: int, classes: int, millions: float) -> None:
    """torch's own resnet18, vgg16_bn and alexnet have 11.69, 138.37 and 61.10 million parameters."""
    with torch.device("meta"):
        network = build_network({"network": name}, classes, face_info(name, side, channels))
    assert sum(parameter.numel() for parameter in network.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


def test_a_hidden_layer_may_be_added() -> None:
    network = build_network({"network": "embedding", "hidden": 7}, 5, face_info("embedding"))
    assert list(network.blocks) == ["input", "hidden"]
    assert network.features(torch.randn(2, 24), "hidden").shape == (2, 7)
