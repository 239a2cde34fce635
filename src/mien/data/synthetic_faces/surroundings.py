"""What is around or before a synthetic face, or there in place of one: backdrops, a hand, a bar, patterns."""

import torch

from mien.data.synthetic_faces.canvas import Canvas, SceneNumbers, cosine_and_sine, soft_hill


def _wall(canvas: Canvas, p: SceneNumbers) -> None:
    canvas.tone.copy_(p["backdrop"] + p["slope_x"] * canvas.u + p["slope_y"] * canvas.v)


def paint_backdrop(canvas: Canvas, p: SceneNumbers) -> None:
    """Paint a wall with a soft spot, and the neck and the clothes below the head."""
    _wall(canvas, p)
    canvas.paint(
        p["blob_tone"], soft_hill(canvas.u - p["blob_x"], canvas.v - p["blob_y"], p["blob_size"], p["blob_size"]).sqrt_()
    )
    low = canvas.rows(0.5, 1.5)
    low.paint(p["skin"] * 0.75, low.soft(0.4 * p["head_width"] + 0.1 - low.x0.abs()).mul_(low.soft(low.y0 - 0.5)))
    low.paint(p["clothes"], low.soft(low.y0 - 1.12 + 0.25 * (0.6 - low.x0.abs()).clamp(min=0)))


def paint_hand(canvas: Canvas, p: SceneNumbers) -> None:
    """Paint a hand before the face."""
    cos, sin = cosine_and_sine(p["cover_angle"])
    x, y = canvas.x0 - p["cover_x"], canvas.y0 - p["cover_y"]
    across, along = x * cos + y * sin, y * cos - x * sin
    for finger in range(4):
        center = (finger - 1.5) * 0.15
        reach = 0.3 + 0.05 * (1.5 - abs(finger - 1.5))
        rod = canvas.ellipse(across - center, along + 0.2, 0.082, reach)
        canvas.shade(0.45, canvas.soft(rod + 0.02))
        canvas.paint(p["cover_tone"], canvas.soft(rod))
    canvas.paint(p["cover_tone"] * 0.95, canvas.soft(canvas.ellipse(across, along - 0.2, 0.32, 0.3)))


def paint_bar(canvas: Canvas, p: SceneNumbers) -> None:
    """Paint a bar before the face."""
    cos, sin = cosine_and_sine(p["cover_angle"])
    distance = (canvas.u - p["cover_x"]) * cos + (canvas.v - p["cover_y"]) * sin
    canvas.paint(p["cover_tone"], canvas.soft(p["cover_size"] - distance.abs_()))


def paint_stripes(canvas: Canvas, p: SceneNumbers) -> None:
    """Paint crossed stripes in place of a face."""
    _wall(canvas, p)
    cos, sin = cosine_and_sine(p["thing_angle"])
    for across, down in ((cos, sin), (-sin, cos)):
        wave = ((canvas.u * across + canvas.v * down) * (0.6 / p["thing_size"])).remainder(1.0).sub_(0.5).abs_()
        canvas.paint(p["thing_tone"], canvas.soft((wave - 0.25) * p["thing_size"]).mul_(0.7))


def paint_boxes(canvas: Canvas, p: SceneNumbers) -> None:
    """Paint boxes in place of a face."""
    _wall(canvas, p)
    for number, tone in enumerate(("thing_tone", "skin", "clothes", "hair")):
        x = canvas.x0 - p["blob_x"] * (1 - 0.6 * number)
        y = canvas.y0 + p["blob_y"] * (1 - 0.5 * number)
        size = p["thing_size"] * (1.6 - 0.25 * number)
        canvas.paint(p[tone], canvas.soft(torch.minimum(size - x.abs_(), size * 0.7 - y.abs_())))


def paint_from_behind(canvas: Canvas, p: SceneNumbers) -> None:
    """Paint hair over a head, which is then seen from behind."""
    volume = p["hair_volume"]
    hull = canvas.ellipse(canvas.x0, canvas.y0 + 0.06, p["head_width"] + volume, p["head_height"] + volume)
    canvas.paint(p["hair"], canvas.soft(hull))
    wave = (canvas.x0 * (2 / p["thing_size"])).remainder(1.0).sub_(0.5).abs_()
    canvas.shade(-0.5, wave.mul_(soft_hill(canvas.x0, canvas.y0, p["head_width"], p["head_height"])))
