"""Draws synthetic gray faces: from the numbers of scenes to pixels, whole batches at once.

A face is painted back to front with soft-edged shapes (ellipses, parabolas and bands) in its own coordinates: x to the right
and y down, the head about 0.7 wide and 0.9 high to either side of its middle. Muscles are named after the action units of the
Facial Action Coding System (Ekman & Friesen 1978) that they imitate.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mien.data.synthetic_faces.canvas import Canvas, SceneNumbers, blurred, paint_where
from mien.data.synthetic_faces.face_features import (
    paint_beard,
    paint_brows,
    paint_dark_glasses,
    paint_eyes,
    paint_glasses,
    paint_hair,
    paint_head,
    paint_mouth,
    paint_nose,
    paint_sockets,
    paint_wrinkles,
)
from mien.data.synthetic_faces.scenes import NOISE_VALUES, SCENE_COLUMNS, Scenes
from mien.data.synthetic_faces.surroundings import (
    paint_backdrop,
    paint_bar,
    paint_boxes,
    paint_from_behind,
    paint_hand,
    paint_stripes,
)

PAINTERS = (
    paint_sockets,
    paint_wrinkles,
    paint_nose,
    paint_beard,
    paint_mouth,
    paint_eyes,
    paint_brows,
    paint_hair,
    paint_glasses,
)
"""What paints the parts of a face on its head, in this order."""

_PIXELS = 1 << 16
"""Pixels painted at once: few enough that all shapes of a chunk stay in the processor's cache."""


def draw_scenes(scenes: Scenes, side: int = 48) -> npt.NDArray[np.uint8]:
    """Pictures of scenes, uint8 (N, side, side)."""
    bank = torch.from_numpy(np.random.default_rng(0).standard_normal(NOISE_VALUES, np.float32))
    out = np.empty((len(scenes), side, side), np.uint8)
    chunk = max(1, _PIXELS // side**2)
    with _one_thread():
        for start in range(0, len(scenes), chunk):
            values = torch.from_numpy(scenes.values[start : start + chunk])
            numbers = {name: values[:, column].reshape(-1, 1, 1) for column, name in enumerate(SCENE_COLUMNS)}
            out[start : start + len(values)] = _picture(numbers, side, bank).numpy()
    return out


@contextmanager
def _one_thread() -> Iterator[None]:
    """A context with one thread of torch: in hundreds of short operations, waiting for each other would take longer."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _picture(p: SceneNumbers, side: int, bank: Tensor) -> Tensor:
    """Pictures, uint8 (B, side, side), of the numbers (B, 1, 1) of a chunk of scenes."""
    canvas = Canvas.ruled(p, side)
    paint_backdrop(canvas, p)
    paint_head(canvas, p)
    for paint in PAINTERS:
        paint(canvas, p)
    paint_where(p["cover"] == 1, canvas, p, paint_dark_glasses)
    paint_where(p["cover"] == 2, canvas, p, paint_hand)
    paint_where(p["cover"] == 3, canvas, p, paint_bar)
    paint_where(p["thing"] == 1, canvas, p, paint_stripes)
    paint_where(p["thing"] == 2, canvas, p, paint_boxes)
    paint_where(p["thing"] == 3, canvas, p, paint_from_behind)
    return _photograph(canvas, p, bank)


def _photograph(canvas: Canvas, p: SceneNumbers, bank: Tensor) -> Tensor:
    """Light from one side, a soft lens, the camera's tone curve and its noise; uint8 (B, S, S)."""
    lit = canvas.tone.mul_(p["light_x"] * canvas.x0 + p["light_y"] * canvas.y0 + 1)
    for _ in range(max(1, round(lit.shape[1] / 48))):
        lit = lit + p["blur"] * (blurred(lit) - lit)
    lit = (lit * p["exposure"] - 0.5) * p["contrast"] + 0.5
    lit = lit.clamp_(0, 1)
    lit = lit + p["curve"] * (lit * (1 - lit))
    grain = bank[p["grain"].long().reshape(-1, 1) + torch.arange(lit[0].numel())].view(lit.shape)
    return (lit + p["noise"] * grain).clamp_(0, 1).mul_(255).round_().to(torch.uint8)
