"""Converts the faces of one set to the size and color of another's, so that both can be trained on together."""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

from mien.data.faceset import FaceSet
from mien.data.format import Info
from mien.errors import MienError

CHUNK = 4096
GRAY_WEIGHTS = (0.299, 0.587, 0.114)
"""The weights of red, green and blue in a gray value (ITU-R BT.601), as Pillow has them."""


def has_shape_of(faces: FaceSet, info: Info) -> bool:
    """Whether the faces have the side and the color of `info`."""
    return (faces.info.side, faces.info.channels) == (info.side, info.channels)


def shape_in_words(info: Info) -> str:
    """The size and color of faces in words: `48 pixels, gray`."""
    return f"{info.side} pixels, {'gray' if info.channels == 1 else 'color'}"


def in_shape_of(faces: FaceSet, info: Info) -> FaceSet:
    """The faces of a set in memory, uint8, with the side and channels of `info`; all columns stay.

    Raises MienError where one set holds features, which cannot be converted.
    """
    if faces.info.kind != "faces" or info.kind != "faces":
        raise MienError(
            f"{info.kind} of dimension {info.channels}" if info.kind == "features" else "faces",
            f"{faces.info.kind}" + (f" of dimension {faces.info.channels}" if faces.info.kind == "features" else ""),
            "make both sets with the same mien features",
        )
    rows = np.arange(len(faces))
    chunks = [_converted(torch.from_numpy(faces.faces(part)), info) for part in np.split(rows, rows[CHUNK::CHUNK])]
    columns = {name: faces.column(name) for name in faces.column_names if name != "label"}
    made = FaceSet.from_arrays(torch.cat(chunks).numpy(), faces.labels, faces.classes, columns)
    return replace(made, info=replace(faces.info, side=info.side, channels=info.channels))


def _converted(pixels: torch.Tensor, info: Info) -> torch.Tensor:
    """Pixels, uint8 (B, S, S[, 3]), with the side and channels of `info`; averaged where smaller, interpolated where larger."""
    stacked = (pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)).float()
    if stacked.shape[1] > info.channels:
        stacked = torch.einsum("bchw,c->bhw", stacked, torch.tensor(GRAY_WEIGHTS)).unsqueeze(1)
    stacked = F.interpolate(stacked, (info.side, info.side), mode="bilinear", antialias=True, align_corners=False)
    whole = stacked.round().clamp(0, 255).to(torch.uint8).expand(-1, info.channels, -1, -1)
    return whole.squeeze(1) if info.channels == 1 else whole.permute(0, 2, 3, 1).contiguous()
