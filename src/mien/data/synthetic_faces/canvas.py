"""Soft-edged painting on many pictures at once, in the coordinates of a head that may be turned.

Pixels are computed by additions, products, quotients, roots and bounds alone, which IEEE 754 rounds in one way: a picture is
the same bit for bit, however many are painted at once and by however many threads.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

SceneNumbers = dict[str, Tensor]
"""The numbers of scenes by name, each (B, 1, 1): one for each picture."""


@dataclass(frozen=True)
class Canvas:
    """The tones of B pictures painted so far, and where each pixel lies, all (B, S, S).

    `u`, `v`: in the picture, -1 to 1; `x0`, `y0`: on the head's outline; `x`, `y`: on the face, which turns with the head.
    """

    pixel: float
    tone: Tensor
    u: Tensor
    v: Tensor
    x0: Tensor
    y0: Tensor
    x: Tensor
    y: Tensor

    @staticmethod
    def ruled(p: SceneNumbers, side: int) -> "Canvas":
        """An empty canvas for these scenes."""
        steps = (torch.arange(side, dtype=torch.float32) * 2 + 1 - side) / side
        u, v = steps.view(1, 1, side), steps.view(1, side, 1)
        cos, sin = cosine_and_sine(p["roll"])
        left, up = u - p["shift_x"], v - p["shift_y"]
        x0 = (left * (cos / p["scale"])) + up * (sin / p["scale"])
        y0 = (up * (cos / p["scale"])) - left * (sin / p["scale"])
        # A turned head: the middle of the face moves far, its rim stays, as on a ball.
        across, down = x0 / p["head_width"], y0 / p["head_height"]
        x = x0 - cosine_and_sine(p["yaw"])[1] * 0.45 * (1 - across * across).clamp_(min=0)
        y = y0 - cosine_and_sine(p["pitch"])[1] * 0.45 * (1 - down * down).clamp_(min=0)
        shape = x.shape
        return Canvas(2.4 / side, torch.zeros(shape), u.expand(shape), v.expand(shape), x0, y0, x, y)

    def rows(self, top: float, bottom: float) -> "Canvas":
        """The band of the canvas that things between these y of a face can reach; painting there paints here."""
        side = self.tone.shape[1]
        first = max(0, int((top - 0.4 + 1) / 2 * side))
        last = min(side, int((bottom + 0.4 + 1) / 2 * side) + 1)
        cut = slice(first, last)
        return Canvas(self.pixel, *(t[:, cut] for t in self._tensors()))

    def _tensors(self) -> tuple[Tensor, ...]:
        return self.tone, self.u, self.v, self.x0, self.y0, self.x, self.y

    def of(self, rows: Tensor) -> "Canvas":
        """A copy of some of the pictures."""
        return Canvas(self.pixel, *(t[rows] for t in self._tensors()))

    def soft(self, inside: Tensor) -> Tensor:
        """Cover in [0, 1] from a distance to an edge, positive inside; overwrites its argument."""
        return inside.mul_(1 / self.pixel).add_(0.5).clamp_(0, 1)

    def paint(self, tone: Tensor | float, cover: Tensor) -> None:
        """Lay `tone` over the canvas where `cover` (B, S, S) says; overwrites `cover`."""
        self.tone.add_(cover.mul_(tone - self.tone))

    def shade(self, depth: Tensor | float, cover: Tensor) -> None:
        """Darken by the share `depth` (lighten where negative) where `cover` says; overwrites `cover`."""
        self.tone.mul_(cover.mul_(-depth).add_(1))

    def ellipse(self, x: Tensor, y: Tensor, width: Tensor | float, height: Tensor | float) -> Tensor:
        """About the distance to the edge of an ellipse around x = y = 0; positive inside."""
        across, down = x / width, y / height
        smaller = torch.minimum(torch.as_tensor(width), torch.as_tensor(height))
        return (1 - across.mul_(across) - down.mul_(down)).mul_(smaller / 2)


def cosine_and_sine(degrees: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of a moderate angle by Taylor's series: exact operations alone, so the same on every machine."""
    a = degrees * (torch.pi / 180)
    s = a * a
    return 1 - s / 2 + s * s / 24 - s * s * s / 720, a * (1 - s / 6 + s * s / 120 - s * s * s / 5040)


def soft_hill(x: Tensor, y: Tensor, width: Tensor | float, height: Tensor | float) -> Tensor:
    """A soft hill of height 1 around x = y = 0 that ends at an ellipse."""
    across, down = x / width, y / height
    hill = (1 - across.mul_(across) - down.mul_(down)).clamp_(min=0)
    return hill.mul_(hill)


def soft_line(canvas: Canvas, distance: Tensor, width: Tensor | float) -> Tensor:
    """The cover of a line of half width `width` where `distance` is zero."""
    return canvas.soft(width - distance.abs_())


def blurred(tones: Tensor) -> Tensor:
    """Tones after the binomial filter (1, 4, 6, 4, 1) / 16 in both directions, as two passes of (1, 2, 1) / 4 each."""
    for dim in (1, 1, 2, 2):
        size = tones.shape[dim]
        before = torch.cat([tones.narrow(dim, 0, 1), tones.narrow(dim, 0, size - 1)], dim)
        after = torch.cat([tones.narrow(dim, 1, size - 1), tones.narrow(dim, size - 1, 1)], dim)
        tones = (before + after).mul_(0.25) + tones * 0.5
    return tones


def paint_where(chosen: Tensor, canvas: Canvas, p: SceneNumbers, feature: Callable[[Canvas, SceneNumbers], None]) -> None:
    """Call `feature` to paint on those pictures alone where `chosen` (B, 1, 1) is true."""
    rows = torch.nonzero(chosen.reshape(-1)).reshape(-1)
    if len(rows):
        part = canvas.of(rows)
        feature(part, {name: value[rows] for name, value in p.items()})
        canvas.tone[rows] = part.tone
