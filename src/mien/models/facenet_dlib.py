"""dlib's face-recognition network, a ResNet with 29 convolutions (King 2017, "High quality face recognition with deep metric
learning"), and the weights that dlib publishes for it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from mien.errors import MienError
from mien.installed import missing_extra, package_folder
from mien.models import Architecture, FacePixels, Network, Origin, blocks_until, grid_head, require_side
from mien.settings import STRICT, GridSide, PixelsOrZero, Share

WIDTHS = (32,) * 3 + (64,) * 4 + (128,) * 3 + (256,) * 4
"""Channels of block1 to block14."""
HALVING = (4, 8, 11, 14)
"""Numbers of the blocks that halve the map."""
BLOCKS = ("stem", *(f"block{n + 1}" for n in range(len(WIDTHS))), "descriptor")
MEAN, DIVISOR = (122.782, 117.001, 104.298), 256.0
PACKAGE, FILE = "face_recognition_models", "dlib_face_recognition_resnet_model_v1.dat"
SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
LICENSE = "CC0, public domain (dlib); trained on three million faces collected from several sets and the web"


class ZeroPaddedSum(nn.Module):
    """The sum of what a block's convolutions made and of its shortcut; zeros take the place of what either lacks.

    Lacking may be rows and columns at the end of what was made, and channels at the end of the shortcut.
    """

    def forward(self, made: Tensor, short: Tensor) -> Tensor:
        """(B, C, S, S), of maps (B, C, S or less, the same) and (B, C or less, S, S)."""
        missing = short.shape[-1] - made.shape[-1]
        made = F.pad(made, (0, missing, 0, missing)) if missing else made
        made[:, : short.shape[1]] += short
        return made


class DlibResidual(nn.Module):
    """dlib's residual block: two 3x3 convolutions and a shortcut without weights.

    Where the shortcut lacks channels, or the convolutions lack a row and a column, zeros take their place.
    """

    def __init__(self, inputs: int, outputs: int, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        self.first = nn.Conv2d(inputs, outputs, 3, 2, 0) if halves else nn.Conv2d(inputs, outputs, 3, 1, 1)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.shrink, self.add = nn.AvgPool2d(2), ZeroPaddedSum()

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, inputs, S, S) to (B, outputs, S, S), or to (B, outputs, S // 2, S // 2) where the block halves them."""
        made = self.second(torch.relu_(self.first(x)))
        if not self.halves:
            return torch.relu_(made.add_(x))
        # Without padding the convolution makes S // 2 - 1 of an even S.
        return torch.relu_(self.add(made, self.shrink(x)))


@dataclass(frozen=True, config=STRICT)
class FacenetDlib(Architecture):
    """dlib's face network: a 7x7 convolution, 14 residual blocks and a descriptor of 128 numbers.

    Its output equals dlib's to 1e-5 on dlib's faces of 150 pixels.

    Departures: dlib's affine layers (batch normalizations whose statistics are frozen) are folded into the convolutions
    before them, which is exact; faces of another size are resized, and side = 112 leaves half of the work.
    """

    takes_gray_values: ClassVar[bool] = True
    side: PixelsOrZero = 150
    """Side to which faces are resized, 112 to 150 pixels; dlib's is 150."""
    until: str = "descriptor"
    """The last block kept: stem, block1 to block14, or descriptor."""
    grid: GridSide = 1
    """Side to which the last block's map, where it is one, is averaged before the last layer; it is also normalized."""
    dropout: Share = 0.0
    """Share of the features before the last layer that training leaves out."""

    @override
    def build(self, classes: int, channels: int, side: int) -> Network:
        """The network; 5.6 M parameters with the defaults.

        Raises MienError for an unknown block, and for sides that do not fit.
        """
        require_side("facenet_dlib", side, 16)
        if not 112 <= self.side <= 150:
            raise MienError("model.side from 112 to 150", f"{self.side}", "choose one of those")
        wide = (32, *WIDTHS)
        pixels = FacePixels(self.side, MEAN, DIVISOR)
        made: dict[str, nn.Module] = {
            "stem": nn.Sequential(pixels, nn.Conv2d(3, 32, 7, 2, 0), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2))
        }
        for n, outputs in enumerate(WIDTHS, 1):
            made[f"block{n}"] = DlibResidual(wide[n - 1], outputs, n in HALVING)
        made["descriptor"] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 128, bias=False))
        kept = blocks_until(BLOCKS, self.until)
        head = nn.Linear(128, classes) if kept == BLOCKS else grid_head(wide[len(kept) - 1], self.grid, classes, self.dropout)
        return Network({name: made[name] for name in kept}, head, (channels, side, side))

    @override
    def published(self) -> dict[str, Tensor]:
        """dlib's weights of the blocks that are kept. Raises MienError where their package is missing, or holds another file."""
        kept = tuple(f"blocks.{name}." for name in blocks_until(BLOCKS, self.until))
        return {name: value for name, value in _read_weights(weights_file()).items() if name.startswith(kept)}

    @override
    def origin(self) -> Origin:
        """dlib's file."""
        return Origin(SHA256, LICENSE)


def weights_file() -> Path:
    """The file of dlib's weights in its package, which is not imported. Raises MienError where it is not installed."""
    folder = package_folder(PACKAGE)
    if folder is None:
        raise missing_extra("facenet", "dlib's weights for facenet_dlib", "no package that holds them")
    return folder / "models" / FILE


def _read_weights(file: Path) -> dict[str, Tensor]:
    """The state dict of the whole network without its head. Raises MienError where the file has another hash than is known."""
    content = file.read_bytes() if file.is_file() else b""
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise MienError(f"sha256 {SHA256[:12]}… of {file}", f"{found[:12]}…", "pip install 'mien[facenet]' again")
    convolutions, affine = list(_tensors(content, b"\x05con_4", 0)), list(_tensors(content, b"\x07affine_", 0))
    names = ["stem.1", *(f"{block}.{part}" for block in BLOCKS[1:-1] for part in ("first", "second"))]
    wide, inputs = [32, *(width for width in WIDTHS for _ in "ab")], 3
    weights = {}
    for name, width, flat, both in zip(names, wide, convolutions, affine, strict=True):
        scale, shift = both.view(2, width)  # gamma, then beta
        kernel = flat[:-width].view(width, inputs, *([7, 7] if inputs == 3 else [3, 3]))  # then the biases
        weights[f"blocks.{name}.weight"] = kernel * scale.view(-1, 1, 1, 1)
        weights[f"blocks.{name}.bias"] = flat[-width:] * scale + shift
        inputs = width
    (full,) = _tensors(content, b"\x04fc_2", 2)  # after its numbers of outputs and of inputs
    weights["blocks.descriptor.2.weight"] = full.view(256, 128).t().contiguous()
    return weights


def _tensors(content: bytes, mark: bytes, skipped: int) -> Iterator[Tensor]:
    """The tensors of dlib's file: each comes after `mark` and `skipped` whole numbers, as version, four dimensions and values."""
    at = content.find(mark)
    while at >= 0:
        at += len(mark)
        header = []
        for _ in range(skipped + 5):  # a byte says how many follow; the lowest comes first
            size = content[at]
            header.append(int.from_bytes(content[at + 1 : at + 1 + size], "little"))
            at += 1 + size
        count = int(np.prod(header[-4:]))
        yield torch.from_numpy(np.frombuffer(content, "<f4", count, at).astype(np.float32))
        at = content.find(mark, at + 4 * count)
