"""VGG-16 without batch normalization."""

import pytest
import torch

from mien.data.format import Info
from mien.recognize.saved_networks import build_network

INFO = Info(classes=("a", "b"), side=48)


def test_the_size_is_the_published_one() -> None:
    with torch.device("meta"):
        network = build_network({"network": "vgg16"}, 2622, Info(classes=("a", "b"), side=224, channels=3))
        assert sum(parameter.numel() for parameter in network.parameters()) == 145_002_878
        assert network.features(torch.zeros(1, 3, 224, 224), "stage5").shape == (1, 512, 7, 7)


@pytest.mark.parametrize(("side", "maps"), [(0, (512, 1, 1)), (64, (512, 2, 2)), (112, (512, 3, 3))])
def test_faces_are_resized(side: int, maps: tuple[int, ...]) -> None:
    network = build_network({"network": "vgg16", "side": side, "hidden": 16}, 2, INFO)
    assert network.shapes()["stage5"] == maps
    assert network.shapes()["fc7"] == ((16,) if side >= 112 else (2,))


def test_random_weights_keep_the_deviation() -> None:
    network = build_network({"network": "vgg16", "side": 0}, 2, INFO).eval()
    with torch.no_grad():
        made = network.features(torch.randn(8, 1, 48, 48), "stage4")
    assert 0.1 < made.square().mean().sqrt() < 10
