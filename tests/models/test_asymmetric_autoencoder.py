"""SNA's autoencoder: Table I, the places of its dropout, its plain form, its critic, and faces that it cannot take."""

from pathlib import Path

import pytest
import torch
from torch import nn

from conftest import TINY_AUTOENCODER, bright_faces, small_recipe
from mien import MienError, TrainingSettings, train
from mien.data.format import Info
from mien.models import Residual
from mien.models.asymmetric_autoencoder import ENCODER, SCALES, AsymmetricAutoencoder, critic
from mien.neighbors.semantic_neighbors import autoencoder, decode, encode
from mien.pretraining.autoencoder.settings import autoencoder_settings
from mien.pretraining.autoencoder.train_alone import train_autoencoder
from mien.recognize.saved_networks import build_network, read_weights

ENCODED = [("conv_a", 16, 56), ("conv_b", 32, 28), ("conv_c", 64, 14), ("conv_d", 80, 7)]
DECODED = [("tconv_c", 64, 14, 2), ("tconv_b", 32, 28, 2), ("tconv_a", 16, 56, 2), ("tconv_t", 16, 112, 2)]
"""Table I: channels and side of the maps at 112 pixels; of the decoder, the residual blocks as well."""


@pytest.mark.parametrize("side", [112, 64, 48])
def test_shapes_are_those_of_table_i(side: int) -> None:
    network = AsymmetricAutoencoder().autoencoder(1, side)
    shapes = network.shapes()
    wanted: dict[str, tuple[int, ...]] = {"code": (64,), "from_code": (80, side // 16, side // 16)}
    wanted |= {name: (channels, size * side // 112, size * side // 112) for name, channels, size in ENCODED}
    wanted |= {name: (channels, size * side // 112, size * side // 112) for name, channels, size, _ in DECODED}
    assert shapes == wanted
    with torch.no_grad():
        assert network(torch.zeros(2, 1, side, side)).shape == (2, 1, side, side), "the faces themselves"
    for name, _, _, residuals in DECODED:
        assert sum(isinstance(module, Residual) for module in network.blocks[name].modules()) == residuals
    assert [type(module) for module in network.head.children()] == [Residual, nn.ConvTranspose2d]
    assert network.head[-1].stride == (1, 1), "or 112 pixels would become 224"  # type: ignore[index]


def parameters(side: int, channels: int = 1) -> int:
    """Of Table I, by hand; a convolution before a batch normalization has no bias of its own."""
    total, inputs, last = 0, channels, (side // 16) ** 2 * 80
    for _, outputs, _ in ENCODED:
        total += 9 * inputs * outputs + 2 * outputs
        inputs = outputs
    total += (last + 1) * 64 + (64 + 1) * last
    for _, outputs, _, residuals in DECODED:
        total += 9 * inputs * outputs + outputs + residuals * 2 * (9 * outputs**2 + 2 * outputs)
        inputs = outputs
    return total + 2 * (9 * 16**2 + 2 * 16) + 9 * 16 * channels + channels


@pytest.mark.parametrize(("side", "channels"), [(112, 1), (64, 1), (48, 1), (48, 3)])
def test_parameters_by_hand(side: int, channels: int) -> None:
    network = AsymmetricAutoencoder().autoencoder(channels, side)
    assert sum(p.numel() for p in network.parameters()) == parameters(side, channels)
    assert parameters(112) == 855_537


def test_what_is_left_out_and_where() -> None:
    """The pixels and the first three maps, each a tenth; no map of the decoder, no code."""
    network = AsymmetricAutoencoder().autoencoder(1, 48)
    for name, block in [*network.blocks.items(), ("head", network.head)]:
        dropped = [module.p for module in block.modules() if isinstance(module, nn.Dropout)]
        assert dropped == {"conv_a": [0.1, 0.1], "conv_b": [0.1], "conv_c": [0.1]}.get(name, []), name
    assert isinstance(network.blocks["conv_a"][0], nn.Dropout), "first the pixels"  # type: ignore[index]
    ones = torch.ones(1, 1, 200, 200)
    left = network.blocks["conv_a"][0].train()(ones)  # type: ignore[index]
    assert (left == 0).float().mean().item() == pytest.approx(0.1, abs=0.02)
    with torch.no_grad():
        assert network.eval().features(10 * torch.randn(2, 1, 48, 48), "conv_d").abs().max() <= 1, "Tanh"


def test_the_plain_form_mirrors_the_encoder() -> None:
    """Fig. 3, second row: no residual blocks and no extra layer; every map of the encoder has its counterpart all the same."""
    network = AsymmetricAutoencoder(symmetric=True).autoencoder(1, 48)
    assert not any(isinstance(module, Residual) for module in network.modules())
    assert list(network.blocks) == [*ENCODER, "from_code", "tconv_c", "tconv_b", "tconv_a"]
    shapes = network.shapes()
    assert all(shapes[name] == shapes[goal] for name, goal in SCALES.items())
    with torch.no_grad():
        assert decode(network, torch.zeros(2, 64)).shape == (2, 1, 48, 48)


def test_a_code_and_back_is_the_whole_network() -> None:
    torch.manual_seed(0)
    network = AsymmetricAutoencoder(latent=8).autoencoder(1, 32).eval()
    x = torch.randn(3, 1, 32, 32)
    with torch.no_grad():
        codes = encode(network, x)
        assert codes.shape == (3, 8)
        assert torch.allclose(decode(network, codes), network.heads(x).squeeze(0), atol=1e-6)


@pytest.mark.parametrize("side", [112, 48, 64])
def test_the_critic(side: int) -> None:
    """Four strided convolutions, no batch normalization, a number for each face."""
    made = critic(3, side)
    strides = [module.stride for module in made.modules() if isinstance(module, nn.Conv2d)]
    assert strides == [(2, 2)] * 4
    assert not any(isinstance(module, nn.BatchNorm2d) for module in made.modules())
    assert made(torch.zeros(2, 3, side, side)).shape == (2, 1)


@pytest.mark.parametrize(
    ("side", "reason"),
    [(0, "faces for asymmetric_autoencoder"), (8, "at least 16 pixels"), (50, "a multiple of 16, to be halved four times")],
)
def test_other_sides_are_refused_with_the_reason(side: int, reason: str) -> None:
    for make in (AsymmetricAutoencoder().autoencoder, lambda channels, side: AsymmetricAutoencoder().build(5, channels, side)):
        with pytest.raises(MienError, match=reason):
            make(1, side)


def test_another_network_is_no_autoencoder() -> None:
    with pytest.raises(MienError, match="the settings of an autoencoder; found 'mien_s'"):
        autoencoder({"network": "mien_s"}, Info(("a", "b"), side=32, channels=1))


def test_what_it_learned_may_begin_a_recognizer(tmp_path: Path) -> None:
    """As a recognizer it is the encoder and a linear layer, whose weights an autoencoder has by the same names."""
    faces = bright_faces(60)
    train_autoencoder(faces, tmp_path / "autoencoder", autoencoder_settings(TINY_AUTOENCODER), TrainingSettings(threads=1))
    start = {"technique": "transfer", "source": str(tmp_path / "autoencoder")}
    model = {"network": "asymmetric_autoencoder", "latent": 8}
    recipe = small_recipe(model=model, start=start, stages=[{"epochs": 1, "lr": 0.0}], average=0.0)
    made = train(faces, recipe, tmp_path / "run", TrainingSettings(threads=1)).network.state_dict()
    theirs, fresh = read_weights(tmp_path / "autoencoder"), build_network(model, 3, faces.info).state_dict()
    assert list(made) == list(fresh)
    kernels = [name for name in made if name.endswith("weight")]
    assert all(torch.equal(made[name], theirs[name]) for name in kernels if not name.startswith("head."))
    assert torch.equal(made["head.weight"], fresh["head.weight"])
