"""FaceNet2ExpNet's networks: parameters counted by hand, what they cost at every side, where their maps are."""

import itertools

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mien import MienError
from mien.data.format import Info
from mien.models import Network
from mien.recognize.saved_networks import build_network


def made(name: str, side: int, colors: int = 3, **settings: object) -> Network:
    return build_network({"network": name, **settings}, 7, Info(classes=("a", "b"), side=side, channels=colors))


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def by_hand(side: int, channels: int, matched: int = 512, classes: int = 7) -> int:
    """Weights and biases of every layer of exprnet."""
    widths = (channels, 64, 128, 256, 512, 512)
    convolutions = sum(9 * before * after + after for before, after in itertools.pairwise(widths))
    grid = side
    for _ in range(5):
        grid = max(1, -(-(grid - 3) // 2) + 1)
    return convolutions + (512 + 1) * matched + (grid**2 * matched + 1) * 256 + (256 + 1) * classes


@pytest.mark.parametrize(("side", "channels"), [(224, 3), (224, 1), (112, 3), (63, 1), (48, 1), (32, 1)])
def test_parameters_are_those_counted_by_hand(side: int, channels: int) -> None:
    with torch.device("meta"):
        network = made("exprnet", side, channels)
    assert parameters(network) == by_hand(side, channels)


def test_it_is_as_large_as_the_paper_says() -> None:
    with torch.device("meta"):
        network = made("exprnet", 224)
    assert parameters(network) == 10_598_023
    assert network.features(torch.zeros(1, 3, 224, 224, device="meta"), "match").shape == (1, 512, 7, 7)


def test_one_pixel_is_left_of_32() -> None:
    network = made("exprnet", 32, 1)
    assert network.shapes()["match"] == (512, 1, 1)
    with pytest.raises(MienError, match="at least 32 pixels"):
        made("exprnet", 31, 1)


@pytest.mark.parametrize("name", ["exprnet", "exprnet_small"])
def test_blocks_and_settings(name: str) -> None:
    network = made(name, 48, 1, channels=96, batch_norm=False)
    assert list(network.blocks) == ["conv1", "conv2", "conv3", "conv4", "conv5", "match", "fc"]
    assert network.shapes()["match"][0] == 96
    assert network.shapes()["fc"] == (256,)
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    assert not any(isinstance(module, norms) for module in network.modules())
    normalized = made(name, 48, 1, batch_norm=True)
    assert sum(isinstance(module, norms) for module in normalized.modules()) == 6
    assert isinstance(normalized.blocks["match"], nn.Conv2d), "what is regressed is not normalized"
    assert [module.p for module in normalized.modules() if isinstance(module, nn.Dropout)] == [0.5]


@pytest.mark.parametrize("name", ["exprnet", "exprnet_small"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_what_is_regressed_has_negative_values_and_a_size(name: str, batch_norm: bool) -> None:
    """No ReLU after the 1x1 convolution; and the signal of a normalized face neither fades nor grows on its way there."""
    network = made(name, 64, 1, batch_norm=batch_norm).train()
    maps = network.features(torch.randn(16, 1, 64, 64), "match").detach()
    assert (maps < 0).float().mean() > 0.2
    assert 0.1 < float(maps.std()) < 10


@pytest.mark.parametrize("side", range(48, 113))
def test_a_small_face_costs_25_million_multiply_adds_at_most(side: int) -> None:
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network = made("exprnet_small", side).eval()
        network(torch.zeros(1, 3, side, side))
    products = counter.get_total_flops() / 2
    assert 8e6 < products <= 25e6


@pytest.mark.parametrize("side", [48, 72, 96])
def test_its_map_is_6_by_6(side: int) -> None:
    assert made("exprnet_small", side, 1).shapes()["match"] == (128, 6, 6)
