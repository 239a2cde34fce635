"""Each layer that an exported graph may have gives in onnxruntime what it gives in torch, and passes the graph's check."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from mien import MienError
from mien.data.augment import normalize
from mien.data.format import Info
from mien.models import FacePixels, Network
from mien.models.facenet_dlib import ZeroPaddedSum
from mien.onnx_file import open_session
from mien.recognize.model_card import ModelCard
from mien.recognize.model_folder import FACES, WEIGHTS
from mien.recognize.onnx_export import write_graph
from mien.recognize.onnx_graph_check import check_graph
from mien.recognize.saved_networks import build_network
from mien.recognize.weights_file import check_weights

CLASSES = ("anger", "happiness", "sadness")


def made_random(network: Network) -> Network:
    """Random weights, statistics and slopes that matter; the largest logit of random inputs is about 10."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, -0.5, 0.5)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for value in (module.running_mean, module.running_var, module.weight, module.bias):
                if value is not None:
                    nn.init.uniform_(value, 0.5, 1.5)
    network.eval()
    with torch.no_grad():
        largest = network(torch.randn(2, *network.shape)).abs().max()
        last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
        for value in last.parameters():
            value.mul_(10 / largest)
    return network


def both(network: Network, info: Info) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The logits of three faces in onnxruntime, of a graph that was written and checked, and in torch."""
    shape = (3, info.side, info.side, 3)[: 4 if info.channels == 3 else 3]
    faces = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    content = save(network.state_dict())
    weights = check_weights(content, Path(WEIGHTS))
    checked = check_graph(write_graph(network, info, "fixed", content), ModelCard({}, info.classes, info), weights)
    found, *_ = open_session(checked.content, 1, {WEIGHTS: weights.content}).run(None, {FACES: faces.numpy()})
    with torch.no_grad():
        inputs = faces.permute(0, 3, 1, 2) if info.channels == 3 else faces[:, None]
        return found, network(normalize(inputs.float() / 255, "fixed")).numpy()


def require_equal(network: Network, info: Info) -> None:
    found, expected = both(network, info)
    assert np.ptp(expected, axis=0).max() > 0.01  # faces differ
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)  # processors differ in the order of sums


FACE_NETS: list[tuple[dict[str, Any], int, int]] = [
    ({"network": "facenet_dlib", "until": "block4", "side": 112, "grid": 3}, 48, 1),  # larger, a row and channels of zeros
    ({"network": "facenet_dlib", "until": "block8", "side": 112, "grid": 4}, 120, 3),  # smaller, channels of zeros alone
    ({"network": "facenet_dlib", "until": "descriptor", "side": 113}, 113, 1),  # as it is, to the end
    ({"network": "facenet_mobile", "until": "block2", "side": 64, "grid": 3}, 48, 1),
    ({"network": "facenet_mobile", "until": "block6", "side": 64, "grid": 1}, 75, 3),
    ({"network": "facenet_mobile"}, 112, 3),
    ({"network": "vgg16", "side": 32, "hidden": 16}, 40, 1),
]


@pytest.mark.parametrize(("settings", "side", "channels"), FACE_NETS)
def test_face_nets_give_what_they_give_in_torch(settings: dict[str, Any], side: int, channels: int) -> None:
    info = Info(CLASSES, side=side, channels=channels)
    require_equal(made_random(build_network(settings, len(CLASSES), info)), info)


def small(head: nn.Module, **blocks: nn.Module) -> Network:
    """A network for gray faces of 16 pixels, of which a convolution makes maps of six channels and 14 pixels."""
    return made_random(Network({"stem": nn.Conv2d(1, 6, 3), **blocks}, nn.Sequential(head, nn.LazyLinear(3)), (1, 16, 16)))


HEADS: Mapping[str, nn.Module] = {
    "slope of all": nn.Sequential(nn.PReLU(), nn.Flatten()),
    "slopes of channels": nn.Sequential(nn.PReLU(6), nn.Flatten()),
    "slopes of features": nn.Sequential(nn.Flatten(), nn.PReLU(1176)),
    "normalized features": nn.Sequential(nn.Flatten(), nn.BatchNorm1d(1176)),
    "normalized alone": nn.Sequential(nn.Flatten(), nn.BatchNorm1d(1176, affine=False)),
    "normalized maps alone": nn.Sequential(nn.BatchNorm2d(6, affine=False), nn.Flatten()),
    "each channel": nn.Sequential(nn.Conv2d(6, 12, 3, 2, groups=6), nn.Flatten()),
    "grid that divides": nn.Sequential(nn.AdaptiveAvgPool2d(7), nn.Flatten()),
    "grid that does not": nn.Sequential(nn.AdaptiveAvgPool2d(5), nn.Flatten()),
    "larger grid": nn.Sequential(nn.AdaptiveAvgPool2d(20), nn.Flatten()),
    "means of channels": nn.Sequential(FacePixels(9, [1.0] * 6, 2.0), nn.Flatten()),
}


@pytest.mark.parametrize("head", HEADS)
def test_layers_give_what_they_give_in_torch(head: str) -> None:
    require_equal(small(HEADS[head]), Info(CLASSES, side=16))


class Sums(nn.Module):
    """Six channels and 14 pixels: less of them, smaller, are added to more."""

    def __init__(self, wide: int, lacking: int) -> None:
        super().__init__()
        self.widen, self.sum = nn.Conv2d(6, wide, lacking + 1), ZeroPaddedSum()

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.sum(self.widen(x), x)
        return made


@pytest.mark.parametrize(("wide", "lacking"), [(6, 0), (6, 2), (9, 0), (12, 1)])
def test_sums_with_zeros(wide: int, lacking: int) -> None:
    network = small(nn.Flatten(), sums=Sums(wide, lacking))
    maps = network.features(torch.randn(2, 1, 16, 16), "stem")
    convolved = F.pad(network.blocks["sums"].widen(maps), (0, lacking) * 2)  # type: ignore[operator]
    expected = convolved + torch.cat([maps, torch.zeros(2, wide - 6, 14, 14)], 1)
    torch.testing.assert_close(network.blocks["sums"](maps), expected)
    require_equal(network, Info(CLASSES, side=16))


class Changed(nn.Module):
    """Changes its input in place, and reads it again."""

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        return self.change(x) + x


@pytest.mark.parametrize("change", [nn.ReLU(inplace=True), torch.relu_])
def test_values_that_are_changed_and_read_again_are_refused(change: Callable[[Tensor], Tensor]) -> None:
    """In a graph nothing changes: the sum would be another one."""
    network = small(nn.Flatten(), changed=Changed(change))
    with pytest.raises(MienError, match="changes, and that are read again; use the run"):
        write_graph(network, Info(CLASSES, side=16), "fixed", save(network.state_dict()))
    require_equal(small(nn.Flatten(), kept=Changed(torch.relu)), Info(CLASSES, side=16))
