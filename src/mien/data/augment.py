"""From stored faces to what a network sees: conversion, normalization and augmentation of a whole batch on its device."""

import math
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor

from mien.data.blur_and_jpeg import blur, jpeg
from mien.data.faceset import Normalization
from mien.settings import STRICT, Share

Strength = Literal["none", "weak", "strong"]
Change = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
MOST_BLUR = 0.03
"""The largest standard deviation of blur, as a share of a face's side; the least is a fifth of it."""
QUALITIES = (10, 90)
"""The lowest and the highest quality of a JPEG."""


@dataclass(frozen=True, config=STRICT)
class Distortion:
    """How far a face may be distorted; every face of a batch draws its own, uniformly up to these bounds."""

    flip: Share = 0.5
    """Probability of mirroring."""
    rotation: Annotated[float, Field(ge=0, le=360, allow_inf_nan=False)] = 10.0
    """Most degrees of rotation, either way."""
    shift: Share = 0.06
    """Largest shift in each direction, as a share of the side."""
    zoom: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0.1
    """Largest natural logarithm of the scale, either way."""
    contrast: Change = 0.25
    """Largest relative change of the distance from middle gray."""
    brightness: Change = 0.1
    """Largest change of gray, where black is 0 and white 1."""
    noise: Change = 0.0
    """Standard deviation of added noise, where black is 0 and white 1."""
    erase: Share = 0.0
    """Probability that a rectangle is painted middle gray."""
    erase_side: Share = 0.4
    """Largest side of that rectangle as a share of the face's; the smallest is a quarter of it."""
    blur: Share = 0.0
    """Probability of blurring by a Gaussian, of a deviation of up to 3 % of the side."""
    jpeg: Share = 0.0
    """Probability of storing the face as a JPEG, of a quality from 10 to 90."""

    @model_serializer(mode="wrap")
    def _written(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The values; those of 0 that came later are left out, so that recipes from before go by the same hash."""
        return {key: value for key, value in written(self).items() if value or key not in ("blur", "jpeg")}


@dataclass(frozen=True, config=STRICT)
class Augmentation:
    """The two strengths at which techniques ask for a view of a face."""

    weak: Distortion = Distortion(erase=0.5)
    """What labeled faces are trained on, and the view a pseudo-label is taken from."""
    strong: Distortion = Distortion(
        rotation=20.0, shift=0.12, zoom=0.2, contrast=0.5, brightness=0.2, noise=0.03, erase=1.0, erase_side=0.5
    )
    """The view that has to agree with the weak one."""


def to_unit(faces: Tensor) -> Tensor:
    """Faces, uint8 (B, S, S) or (B, S, S, C), as float32 (B, C, S, S) in [0, 1]."""
    stacked = faces.unsqueeze(1) if faces.ndim == 3 else faces.permute(0, 3, 1, 2)
    return stacked.float().div_(255)


def normalize(faces: Tensor, how: Normalization) -> Tensor:
    """Faces (B, C, S, S) in [0, 1], scaled as the network sees them.

    `fixed` maps black and white to -2 and 2; `face` gives every face zero mean and unit variance, as ST+SW does.
    """
    if how == "fixed":
        return (faces - 0.5) * 4.0
    deviation, mean = torch.std_mean(faces, dim=(1, 2, 3), keepdim=True)
    return (faces - mean) / (deviation + 0.02)


def distort(faces: Tensor, by: Distortion, generator: Generator) -> Tensor:
    """Each face, (B, C, S, S) in [0, 1], distorted at random, by at most `by`; rotation, shift and zoom are one resampling."""
    return _erase(_worsen(_light(_move(faces, by, generator), by, generator), by, generator), by, generator)


def _uniform(count: int, bound: float, generator: Generator, device: torch.device) -> Tensor:
    """Random numbers (count,), uniform in [-bound, bound]."""
    return (torch.rand(count, generator=generator, device=device) * 2 - 1) * bound


def _move(faces: Tensor, by: Distortion, generator: Generator) -> Tensor:
    count, device = len(faces), faces.device
    mirror = torch.where(torch.rand(count, generator=generator, device=device) < by.flip, -1.0, 1.0)
    angle = _uniform(count, math.radians(by.rotation), generator, device)
    scale = torch.exp(_uniform(count, by.zoom, generator, device))
    shift = [_uniform(count, 2 * by.shift, generator, device) for _ in "xy"]
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    across = torch.stack([cos * mirror, -sin, shift[0]], dim=1)
    down = torch.stack([sin * mirror, cos, shift[1]], dim=1)
    grid = F.affine_grid(torch.stack([across, down], dim=1), list(faces.shape), align_corners=False)
    return F.grid_sample(faces, grid, padding_mode="border", align_corners=False)


def _light(faces: Tensor, by: Distortion, generator: Generator) -> Tensor:
    count, device = len(faces), faces.device
    gain = 1 + _uniform(count, by.contrast, generator, device).view(-1, 1, 1, 1)
    lift = _uniform(count, by.brightness, generator, device).view(-1, 1, 1, 1)
    faces = torch.addcmul(0.5 - 0.5 * gain + lift, faces, gain)
    if by.noise:
        faces = faces + by.noise * torch.randn(faces.shape, generator=generator, device=device)
    return faces.clamp_(0, 1)


def _worsen(faces: Tensor, by: Distortion, generator: Generator) -> Tensor:
    """Blur first, then a JPEG, as in a camera. What is not asked for draws nothing, so that older recipes draw as before."""
    count, device = len(faces), faces.device
    if by.blur:
        most = MOST_BLUR * faces.shape[-1]
        chosen = torch.rand(count, generator=generator, device=device) < by.blur
        deviation = most * (0.2 + 0.8 * torch.rand(count, generator=generator, device=device))
        faces = blur(faces, deviation * chosen, most)
    if by.jpeg:
        low, high = QUALITIES
        chosen = torch.rand(count, generator=generator, device=device) < by.jpeg
        quality = torch.floor(low + (high + 1 - low) * torch.rand(count, generator=generator, device=device))
        faces = torch.where(chosen.view(-1, 1, 1, 1), jpeg(faces, quality), faces)
    return faces


def _erase(faces: Tensor, by: Distortion, generator: Generator) -> Tensor:
    if not by.erase:
        return faces
    count, side, device = len(faces), faces.shape[-1], faces.device
    steps = torch.arange(side, device=device)

    def span() -> Tensor:
        """(B, S): which rows (or columns) the rectangle covers."""
        length = side * by.erase_side * (0.25 + 0.75 * torch.rand(count, 1, generator=generator, device=device))
        center = side * torch.rand(count, 1, generator=generator, device=device)
        return (steps - center).abs() < length / 2

    chosen = torch.rand(count, generator=generator, device=device) < by.erase
    covered = span().unsqueeze(2) & span().unsqueeze(1) & chosen.view(-1, 1, 1)
    return faces.masked_fill_(covered.unsqueeze(1), 0.5)
