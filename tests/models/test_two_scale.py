"""SNA's two-scale network: Table II, three heads, and what looks at its blocks, which hand on two maps."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from conftest import bright_faces, small_recipe
from mien import MienError, Recognizer, TrainingSettings, train
from mien.data.format import Info
from mien.data.views import Views
from mien.evaluation.grad_cam import explain, grad_cam
from mien.evaluation.neurons import inspect_neurons
from mien.models import Network
from mien.recognize.features import write_features
from mien.recognize.model_card import ModelCard
from mien.recognize.saved_networks import build_network, read_weights

TINY = {"network": "two_scale", "width": 0.05}
TABLE = [
    ("conv1_a", 5, 64, 56, 28), ("conv1_b", 5, 64, 56, 28), ("conv2_a", 3, 128, 28, 14), ("conv2_b", 3, 128, 28, 14),
    ("conv3_a", 3, 256, 14, 7), ("conv3_b", 3, 256, 14, 7), ("conv4", 3, 512, 7, 3), ("conv5", 1, 128, 7, 3),
]  # fmt: skip
"""Table II: layer, kernel, channels, side of the maps of the whole face of 112 pixels, and of the one at half size."""


def built(side: int, channels: int = 1, **settings: object) -> Network:
    return build_network({"network": "two_scale", **settings}, 7, Info(tuple("abcdefg"), side=side, channels=channels))


def streams(network: Network, x: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """What each block but the last hands on."""
    found = {}
    for name in list(network.blocks)[:-1]:
        x = network.blocks[name](x)
        found[name] = x
    return found  # type: ignore[return-value]


@torch.no_grad()
def test_shapes_are_those_of_table_ii() -> None:
    found = streams(built(112).eval(), torch.zeros(1, 1, 112, 112))
    for name, _, channels, whole, half in TABLE:
        assert [tuple(maps.shape[1:]) for maps in found[name]] == [(channels, whole, whole), (channels, half, half)], name
    assert built(112).shapes()["fc"] == (64 + 32,)


@pytest.mark.parametrize(("side", "channels"), [(112, 1), (64, 1), (48, 3)])
def test_parameters_by_hand(side: int, channels: int) -> None:
    """Kernels, a weight and a bias of each batch normalization, 64 and 32 numbers, three predictions of 7 classes."""
    stream, inputs = 0, channels
    for _, kernel, outputs, *_ in TABLE:
        stream += kernel**2 * inputs * outputs + 2 * outputs
        inputs = outputs
    fc = (128 * (side // 16) ** 2 + 1) * 64 + (128 * (side // 32) ** 2 + 1) * 32
    heads = (64 + 1) * 7 + (32 + 1) * 7 + (96 + 1) * 7
    with torch.device("meta"):
        network = built(side, channels)
    assert sum(p.numel() for p in network.parameters()) == 2 * stream + fc + heads
    if (side, channels) == (112, 1):
        assert 2 * stream + fc + heads == 5_356_085


@torch.no_grad()
def test_the_second_stream_sees_the_face_at_half_size() -> None:
    network = built(48, width=0.1).eval()
    x = torch.randn(2, 1, 48, 48)
    half = torch.zeros(2, 1, 24, 24)
    for row in range(24):
        for column in range(24):
            half[:, 0, row, column] = x[:, 0, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].mean(dim=(1, 2))
    first: Network = network.blocks["conv1_a"][1]  # type: ignore[index]
    found = network.blocks["conv1_a"](x)
    assert torch.allclose(found[1], first.small(half), atol=1e-6)  # type: ignore[operator]
    assert torch.equal(found[0], first.whole(x))  # type: ignore[operator]


def test_three_heads_of_which_the_fused_one_decides() -> None:
    torch.manual_seed(0)
    network = built(48, width=0.1).eval()
    x = torch.randn(4, 1, 48, 48)
    heads, fc = network.heads(x), network.features(x, "fc")
    assert heads.shape == (3, 4, 7)
    assert torch.equal(network(x), heads[2])
    for number, (name, part) in enumerate((("whole", fc[:, :64]), ("small", fc[:, 64:]), ("fused", fc))):
        layer = network.head.get_submodule(name)
        assert torch.allclose(heads[number], part @ layer.weight.T + layer.bias, atol=1e-6), name  # type: ignore[operator]


@pytest.mark.parametrize(("number", "taught"), [(0, {"whole"}), (1, {"small"}), (2, {"whole", "small"})])
def test_a_heads_loss_reaches_its_stream_alone(number: int, taught: set[str]) -> None:
    network = built(48, width=0.1).train()
    network.heads(torch.randn(4, 1, 48, 48))[number].square().sum().backward()
    reached = {
        part
        for name, parameter in network.blocks.named_parameters()
        for part in ("whole", "small")
        if f".{part}." in name and parameter.grad is not None and bool(parameter.grad.any())
    }
    assert reached == taught


def test_copies_of_the_last_layer_are_refused() -> None:
    """They are averages of one head; here there are three."""
    with pytest.raises(MienError, match=r"one head for model\.copies"):
        built(48, copies=2)


# What looks at its blocks.


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    info = bright_faces(6, side=32).info
    return Recognizer.of(build_network(TINY, 3, info, 1).eval(), ModelCard(TINY, info.classes, info), torch.device("cpu"))


@pytest.mark.parametrize("block", ["conv1_a", "conv3_b", "conv5"])
def test_explained_by_the_maps_of_the_whole_face(recognizer: Recognizer, block: str) -> None:
    """Slopes by hand: the other stream's maps are constants."""
    network, inputs = recognizer.network, torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    maps, small = (part.detach() for part in streams(network, inputs)[block])
    leaf = maps.clone().requires_grad_()
    x: object = (leaf.clone(), small)
    for name in list(network.blocks)[list(network.blocks).index(block) + 1 :]:
        x = network.blocks[name](x)
    fused, hot = network.head(x)[2], 0
    for label in range(3):
        (slopes,) = torch.autograd.grad(fused[:, label].sum(), leaf, retain_graph=True)
        heat = torch.zeros(2, 1, *maps.shape[2:])
        for face in range(2):
            for slope, channel in zip(slopes[face], maps[face], strict=True):
                heat[face, 0] += slope.mean() * channel
        heat = F.interpolate(heat.clamp(min=0), (32, 32), mode="bilinear")[:, 0]
        found = grad_cam(network, inputs, block, label)
        hot += int(found.any())
        assert torch.allclose(found, heat / heat.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12), atol=1e-4)
    assert hot, "nothing speaks for any class"


def test_explains_a_face(recognizer: Recognizer) -> None:
    found = explain(recognizer, bright_faces(6, side=32).faces([0])[0])
    assert (found.block, found.heat.shape) == ("conv5", (32, 32)), "the last block whose maps have places"
    with pytest.raises(MienError, match="a block with maps among conv1_a"):
        explain(recognizer, bright_faces(6, side=32).faces([0])[0], block="fc")


def test_neurons_are_those_of_the_whole_face() -> None:
    faces = bright_faces(30, side=32)
    found = inspect_neurons(TINY, faces, ["conv3_b", "fc"], top=5, drawn=1).after
    network = build_network(TINY, 2, faces.info, 0).eval()
    with torch.no_grad():
        inputs = Views(faces.info).clean(torch.from_numpy(faces.faces()))
        maps, numbers = network.features(inputs, "conv3_b"), network.features(inputs, "fc")
    for layer, responses in zip(found.layers, (maps.amax(dim=(2, 3)), numbers), strict=True):
        assert len(layer.top) == responses.shape[1]
        wanted = responses.topk(5, dim=0).values.T
        assert np.allclose(responses.T.gather(1, torch.from_numpy(layer.top)), wanted, atol=1e-5)
    assert [drawn.pictures.shape for drawn in found.drawn] == [(1, 32, 32)] * 2


def test_cached_features_are_those_of_the_whole_face(tmp_path: Path) -> None:
    faces = bright_faces(12, side=32)
    network = build_network(TINY, 2, faces.info, 0).eval()
    inputs = Views(faces.info).clean(torch.from_numpy(faces.faces()))
    for block, dimension in (("conv5", 6), ("fc", 96)):
        found = write_features(f"two_scale:{block}", faces, tmp_path / block, views=1, settings={"width": 0.05})
        made = network.features(inputs, block).detach()
        made = made.mean(dim=(2, 3)) if made.ndim == 4 else made
        assert found.info.channels == dimension
        assert np.allclose(found.faces()[:, 0].astype(np.float32), made.numpy(), atol=1e-3)


def test_every_tensor_is_transferred(tmp_path: Path) -> None:
    """To other classes all but the heads."""
    order = TrainingSettings(threads=1)
    first = small_recipe(model=TINY, stages=[{"epochs": 1, "lr": 0.01}])
    train(bright_faces(60, side=32), first, tmp_path / "first", order)
    start = {"technique": "transfer", "source": str(tmp_path / "first")}
    second = small_recipe(model=TINY, start=start, stages=[{"epochs": 1, "lr": 0.0}], average=0.0)
    faces = bright_faces(60, side=32, classes=4)
    before, after = read_weights(tmp_path / "first"), train(faces, second, tmp_path / "second", order).network.state_dict()
    for name in before:
        copied = torch.equal(before[name], after[name])
        if "running" not in name and "num_batches" not in name:
            assert copied == (not name.startswith("head.")), name
