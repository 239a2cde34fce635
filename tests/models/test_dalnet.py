"""DAL-Net: max feature maps by a loop, Table 1's parameters counted by hand, what its options change."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mien.data.format import Info
from mien.models import Network
from mien.models.dalnet import MaxFeatureMap
from mien.recognize.saved_networks import build_network


def made(side: int = 48, **settings: object) -> Network:
    info = Info(classes=("a", "b"), side=side, channels=1)
    return build_network({"network": "dalnet", **settings}, 7, info).eval()


def naive(x: Tensor, double: bool) -> Tensor:
    half = x.shape[1] // 2
    out = torch.empty(x.shape[0], half, *x.shape[2:])
    for face in range(x.shape[0]):
        for channel in range(half):
            larger = torch.where(x[face, channel] > x[face, channel + half], x[face, channel], x[face, channel + half])
            out[face, channel] = larger.clamp(min=0) if double else larger
    return out


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("shape", [(3, 10, 4, 5), (3, 10)])
def test_the_larger_half(double: bool, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    assert torch.equal(MaxFeatureMap(double)(x), naive(x, double))


def test_only_the_larger_of_two_learns() -> None:
    x = torch.tensor([[[[1.0]], [[-2.0]], [[3.0]], [[-1.0]]]], requires_grad=True)
    MaxFeatureMap(double=True)(x).sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [0, 0, 1, 0], "the second pair is negative: max(X1, X2, 0) leaves nothing of it"


def test_table_1() -> None:
    with torch.device("meta"):
        network = made(144)
    table = [(96, 1, 5), (192, 48, 3), (384, 96, 3), (384, 192, 3), (256, 192, 3)]
    by_hand = sum(maps * (inputs * kernel**2 + 1) for maps, inputs, kernel in table)
    by_hand += 512 * (128 * 9 * 9 + 1) + 7 * (256 + 1)
    assert sum(parameter.numel() for parameter in network.parameters()) == by_hand == 6_835_079
    assert [maps for maps, *_ in table] == [network.blocks[f"conv{n}"][0].out_channels for n in range(1, 6)]  # type: ignore[index]


def smallest(network: Network, block: str) -> float:
    """Of the activations of a block before dropout: negative unless something like ReLU came last."""
    with torch.no_grad():
        return float(network.features(torch.randn(8, *network.shape, generator=torch.Generator().manual_seed(2)), block).min())


def test_where_the_activation_is_double() -> None:
    kinds = {kind: made(double_activation=kind) for kind in ("last_conv", "first_fc", "none")}
    for kind, network in kinds.items():
        assert (smallest(network, "conv5") >= 0) == (kind == "last_conv")
        assert (smallest(network, "ip1") >= 0) == (kind == "first_fc")
    sizes = {sum(p.numel() for p in network.parameters()) for network in kinds.values()}
    assert len(sizes) == 1, "the second activation has no weights"


def test_relu_in_place_of_max_feature_maps() -> None:
    """Table 9's plain network: every layer sees as many maps, so only the maps to choose from are gone."""
    plain, paired = made(activation="relu"), made()
    assert not any(isinstance(module, MaxFeatureMap) for module in plain.modules())
    assert plain.shapes() == paired.shapes()
    assert smallest(plain, "ip1") == 0
    weights = [p.numel() for p in plain.blocks.parameters()]
    assert [2 * count for count in weights] == [p.numel() for p in paired.blocks.parameters()]


@pytest.mark.parametrize("activation", ["max_feature_map", "relu"])
def test_with_batch_normalization(activation: str) -> None:
    """Between every layer and its activation; the layers' biases go, since the normalization has its own."""
    plain, normal = made(activation=activation), made(activation=activation, batch_norm=True)
    assert plain.shapes() == normal.shapes()
    for name, block in normal.blocks.items():
        layers = [module for module in block.children() if not isinstance(module, nn.Flatten)]
        assert layers[0].bias is None, name
        assert isinstance(layers[1], nn.BatchNorm2d if name.startswith("conv") else nn.BatchNorm1d), name
        assert isinstance(layers[2], nn.ReLU if activation == "relu" else MaxFeatureMap), name
    weights = sum(layer.weight.numel() for layer in plain.modules() if isinstance(layer, nn.Conv2d | nn.Linear))
    assert weights == sum(layer.weight.numel() for layer in normal.modules() if isinstance(layer, nn.Conv2d | nn.Linear))


def test_small_settings_are_affordable() -> None:
    network = made(48, width=0.5)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 1, 48, 48))
    assert counter.get_total_flops() / 2 <= 60e6
    assert network.shapes()["conv5"] == (64, 3, 3)


@pytest.mark.parametrize("activation", ["max_feature_map", "relu"])
def test_the_signal_keeps_its_size(activation: str) -> None:
    network = made(48, activation=activation)
    with torch.no_grad():
        maps = network.features(torch.randn(16, 1, 48, 48), "conv5")
    assert 0.2 < float(maps.square().mean().sqrt()) < 8
    assert isinstance(network.head, nn.Linear)
