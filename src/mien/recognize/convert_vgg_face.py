"""Converts VGG-Face's published weights, from its authors' file or a copy, into a model folder of mien."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mien.data.format import Info
from mien.errors import MienError
from mien.folders import require_absent
from mien.models import architecture
from mien.models.vgg16 import STAGES
from mien.recognize.model_card import ModelCard
from mien.recognize.saved_networks import write_model
from mien.settings import Count, require_fitting

CITATION = "O. M. Parkhi, A. Vedaldi, A. Zisserman: Deep Face Recognition. BMVC 2015."
ANOTHER = "take vgg_face.mat, or a .safetensors with conv1_1.weight to fc8.bias"
PLACES = {
    **{f"conv{stage}_{n + 1}": f"blocks.stage{stage}" for stage, widths in enumerate(STAGES, 1) for n in range(len(widths))},
    "fc6": "blocks.fc6",
    "fc7": "blocks.fc7",
    "fc8": "",
}
"""The published layers and the blocks that they belong to; fc8 is the head."""


def convert_weights(file: Path, out: Path, side: int = 224, channels: int = 3) -> ModelCard:
    """Write the VGG-Face weights in `file` as a vgg16 model into the folder `out`, and return its card.

    `file`: MatConvNet's .mat, or a .safetensors with the published layers' names; colors in the order red, green, blue. The model
    takes faces of `side` pixels and 1 or 3 `channels`; it resizes and colors them itself, so that both change no weight. Raises
    MienError where `file` holds anything else, or `out` exists.
    """
    require_fitting(Count, side=side)
    require_absent(out)
    if not file.is_file():
        raise MienError(f"weights at {file}", "no such file", "check the path")
    layers, people = _read_matlab(file) if file.suffix == ".mat" else (_read_safetensors(file), ())
    absent = [name for layer in PLACES for name in (f"{layer}.weight", f"{layer}.bias") if name not in layers]
    if absent:
        raise MienError(f"VGG-Face's layers in {file}", f"no {absent[0]} ({len(absent)} absent)", ANOTHER)
    hidden, count = len(layers["fc6.bias"]), len(layers["fc8.bias"])
    network = {"network": "vgg16", "hidden": hidden}
    with torch.device("meta"):
        expected = architecture(network).build(count, channels, side).state_dict()
    weights = {}
    for name, value in layers.items():
        ours = _our_name(name)
        if ours in expected:
            weights[ours] = _fit(value, tuple(expected[ours].shape), name, file)
    named = people if len(people) == count else tuple(f"person {n + 1}" for n in range(count))
    info = Info(named, side=side, channels=channels, name="VGG-Face", citation=CITATION)
    card = ModelCard(network, named, info)
    write_model(out, weights, card)
    return card


def _our_name(name: str) -> str:
    layer, _, kind = name.rpartition(".")
    place = PLACES.get(layer)
    if place is None:
        return ""
    return f"{place}.{layer}.{kind}" if place else f"head.{kind}"


def _fit(value: Tensor, shape: tuple[int, ...], name: str, file: Path) -> Tensor:
    """A full layer's weights may come as a convolution's, (N, C, H, W), in the same order; any other order is refused."""
    kernel = value.ndim == 4 and value.shape[2] == value.shape[3]  # not so where the channels come last
    as_full = value.flatten(1) if kernel and len(shape) == 2 else value
    if tuple(as_full.shape) != shape:
        raise MienError(f"{name} of shape {tuple(shape)} in {file}", f"{tuple(value.shape)}", ANOTHER)
    return as_full.float()


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (SafetensorError, ValueError) as error:
        raise MienError(f"MatConvNet's .mat or a .safetensors at {file}", str(error), ANOTHER) from error


def _read_matlab(file: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Layers, in torch's order of dimensions, and the people's names."""
    from scipy.io import loadmat

    try:
        content: dict[str, Any] = loadmat(file, simplify_cells=True)
        net = content.get("net", content)
        entries = [layer for layer in net["layers"] if layer["name"] in PLACES]
        layers = {}
        for layer in entries:
            kernel, bias = layer["weights"] if "weights" in layer else (layer["filters"], layer["biases"])
            layers[f"{layer['name']}.weight"], layers[f"{layer['name']}.bias"] = _kernel(kernel), _floats(bias).flatten()
        people = tuple(map(str, net.get("meta", net).get("classes", {}).get("description", ())))
    except (NotImplementedError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise MienError(f"MatConvNet's layers in {file}", f"something else ({error!r})", ANOTHER) from error
    return layers, people


def _kernel(kernel: npt.NDArray[Any]) -> Tensor:
    """(H, W, C, N) to (N, C, H, W); of a layer on one vector, whose H and W of 1 are not kept, (C, N) to (N, C)."""
    values = _floats(kernel)
    return values.t().contiguous() if values.ndim == 2 else values.permute(3, 2, 0, 1).contiguous()


def _floats(values: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
