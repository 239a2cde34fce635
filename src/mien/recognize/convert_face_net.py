"""Converts published face nets from their ONNX files into model folders of mien, from which recipes start."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mien.data.format import Info
from mien.errors import MienError
from mien.folders import require_absent
from mien.models import architecture
from mien.onnx_file import read_model
from mien.recognize.model_card import ModelCard
from mien.recognize.saved_networks import write_model
from mien.settings import Count, require_fitting


@dataclass(frozen=True)
class PublishedNet:
    """A face net that mien knows: the network that it is, where its file lies, and under which license."""

    network: str
    name: str
    license: str
    citation: str


KNOWN = {
    "87aacdfe57510db2af90c0251df680e8eec88f122ee94712121d09bcaaaf3581": PublishedNet(
        "facenet_mobile",
        "fr_feature.onnx of the npm package faceplugin-face-recognition-js 0.0.1",
        "MIT; the training data is not stated",
        "Chen et al. 2018, MobileFaceNets: Efficient CNNs for accurate real-time face verification on mobile devices",
    )
}
"""Published face nets by the sha256 of their file."""


def convert_face_net(file: Path, out: Path, side: int, channels: int) -> ModelCard:
    """Write the weights in the ONNX `file` of a known face net as a model into the folder `out`, and return its card.

    The model takes faces of `side` pixels and 1 or 3 `channels`; it resizes and colors them itself. It names no classes, and has
    no last layer. Raises MienError where `file` is none of the known ones, or `out` exists.
    """
    require_fitting(Count, side=side)
    require_absent(out)
    model, sha256 = read_model(file, "")
    if sha256 not in KNOWN:
        names = " or ".join(f"{net.name} ({known[:12]}…)" for known, net in KNOWN.items())
        raise MienError(f"{names} at {file}", f"a file of sha256 {sha256[:12]}…", "take that file, or onnx_facenet for any other")
    net = KNOWN[sha256]
    info = Info((), side=side, channels=channels, name=net.name, license=net.license, citation=net.citation)
    card = ModelCard({"network": net.network}, (), info)
    write_model(out, _weights(model, net.network, file), card)
    return card


def _weights(model: Any, network: str, file: Path) -> dict[str, Tensor]:
    """The state dict of the network's blocks. The file has the same layers in the same order: convolutions and PReLUs."""
    from onnx import numpy_helper

    arrays = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type in ("Conv", "PRelu")]
    found = [torch.from_numpy(numpy_helper.to_array(arrays[name]).copy()) for node in nodes for name in node.input[1:]]
    with torch.device("meta"):
        blocks = architecture({"network": network}).build(2, 1, 48).blocks
    wanted = {f"blocks.{name}": tuple(value.shape) for name, value in blocks.named_parameters()}
    if [value.numel() for value in found] != [torch.Size(shape).numel() for shape in wanted.values()]:
        raise MienError(f"the layers of {network} in {file}", f"{len(found)} others", "take the published file")
    return {name: value.reshape(shape) for (name, shape), value in zip(wanted.items(), found, strict=True)}
