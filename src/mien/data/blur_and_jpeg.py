"""What cameras and files do to a face, for a whole batch on its device: a blurred one, and one stored as a JPEG."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
CHROMINANCE = (
    (17, 18, 24, 47), (18, 21, 26, 66), (24, 26, 56, 99), (47, 66, 99, 99),
)  # fmt: skip
"""Quantization tables of JPEG's standard, Annex K, at quality 50; beyond its corner all of the second is 99."""
TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
"""From red, green and blue to brightness and two differences of color, as JFIF has it."""


def blur(faces: Tensor, deviation: Tensor, most: float) -> Tensor:
    """Faces (B, C, S, S) under Gaussians of these standard deviations (B,), in pixels; 0 leaves a face as it is.

    `most`: the largest deviation that is possible. Beyond the edge the outermost pixels go on.
    """
    count, channels, side = faces.shape[:3]
    radius = max(1, math.ceil(3 * most))
    steps = torch.arange(-radius, radius + 1, device=faces.device, dtype=faces.dtype)
    # At deviation 0 all weight is on the middle: the others' exponent is beyond what a float holds.
    weights = torch.exp(-(steps**2) / (2 * deviation.view(-1, 1) ** 2).clamp_min(1e-6))
    kernels = (weights / weights.sum(dim=1, keepdim=True)).repeat_interleave(channels, 0).view(count * channels, 1, 1, -1)
    rows = F.pad(faces.reshape(1, count * channels, side, side), (radius,) * 4, mode="replicate")
    across = F.conv2d(rows, kernels, groups=count * channels)
    return F.conv2d(across, kernels.transpose(2, 3), groups=count * channels).view_as(faces)


def jpeg(faces: Tensor, quality: Tensor) -> Tensor:
    """Faces (B, C, S, S) in [0, 1], of one channel or RGB, as they are after a JPEG of these qualities (B,), 1 to 100.

    Colors keep their resolution (4:4:4). Codes are not written: they lose nothing.
    """
    side = faces.shape[-1]
    more = -side % 8
    shown = F.pad(faces * 255, (0, more, 0, more), mode="replicate") if more else faces * 255
    mixed = shown.new_tensor(TO_YCC)
    if faces.shape[1] == 3:
        shown = torch.einsum("dc,bchw->bdhw", mixed, shown)
        shown[:, 1:] += 128
    coded = _quantized(shown.round_() - 128, quality) + 128
    if faces.shape[1] == 3:
        coded[:, 1:] -= 128
        coded = torch.einsum("dc,bchw->bdhw", torch.linalg.inv(mixed), coded)
    return coded[..., :side, :side].round().clamp_(0, 255) / 255


def _quantized(values: Tensor, quality: Tensor) -> Tensor:
    """Values (B, C, H, W) as JPEG keeps them at these qualities: cosines in blocks of 8 x 8, rounded. 8 divides H and W."""
    count, channels, height, width = values.shape
    number = torch.arange(8, device=values.device, dtype=values.dtype)
    cosines = 0.5 * torch.cos((2 * number + 1) * number.view(-1, 1) * math.pi / 16)
    cosines[0] /= math.sqrt(2)
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality).view(-1, 1, 1, 1)
    tables = torch.full((channels, 8, 8), 99.0, device=values.device)
    tables[0] = tables.new_tensor(LUMINANCE)
    tables[1:, :4, :4] = tables.new_tensor(CHROMINANCE)
    steps = torch.floor((tables * percent + 50) / 100).clamp(1, 255).view(-1, channels, 1, 1, 8, 8)
    blocks = values.view(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    found = torch.round(cosines @ blocks @ cosines.T / steps) * steps
    return (cosines.T @ found @ cosines).transpose(3, 4).reshape(values.shape)
