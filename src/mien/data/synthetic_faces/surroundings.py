"""What is around or before a synthetic face, or there in place of one: backdrops, a hand, a bar, patterns."""

import torch

from mien.data.synthetic_faces.canvas import Canvas, SceneNumbers, cosine_and_sine, soft_hill


def _wall(page: Canvas, p: SceneNumbers) -> None:
    page.tone.copy_(p["backdrop"] + p["slope_x"] * page.u + p["slope_y"] * page.v)


def paint_backdrop(page: Canvas, p: SceneNumbers) -> None:
    _wall(page, p)
    page.paint(p["blob_tone"], soft_hill(page.u - p["blob_x"], page.v - p["blob_y"], p["blob_size"], p["blob_size"]).sqrt_())
    low = page.rows(0.5, 1.5)
    low.paint(p["skin"] * 0.75, low.soft(0.4 * p["head_width"] + 0.1 - low.x0.abs()).mul_(low.soft(low.y0 - 0.5)))
    low.paint(p["clothes"], low.soft(low.y0 - 1.12 + 0.25 * (0.6 - low.x0.abs()).clamp(min=0)))


def paint_hand(page: Canvas, p: SceneNumbers) -> None:
    cos, sin = cosine_and_sine(p["cover_angle"])
    x, y = page.x0 - p["cover_x"], page.y0 - p["cover_y"]
    across, along = x * cos + y * sin, y * cos - x * sin
    for finger in range(4):
        center = (finger - 1.5) * 0.15
        reach = 0.3 + 0.05 * (1.5 - abs(finger - 1.5))
        rod = page.ellipse(across - center, along + 0.2, 0.082, reach)
        page.shade(0.45, page.soft(rod + 0.02))
        page.paint(p["cover_tone"], page.soft(rod))
    page.paint(p["cover_tone"] * 0.95, page.soft(page.ellipse(across, along - 0.2, 0.32, 0.3)))


def paint_bar(page: Canvas, p: SceneNumbers) -> None:
    cos, sin = cosine_and_sine(p["cover_angle"])
    distance = (page.u - p["cover_x"]) * cos + (page.v - p["cover_y"]) * sin
    page.paint(p["cover_tone"], page.soft(p["cover_size"] - distance.abs_()))


def paint_stripes(page: Canvas, p: SceneNumbers) -> None:
    _wall(page, p)
    cos, sin = cosine_and_sine(p["thing_angle"])
    for across, down in ((cos, sin), (-sin, cos)):
        wave = ((page.u * across + page.v * down) * (0.6 / p["thing_size"])).remainder(1.0).sub_(0.5).abs_()
        page.paint(p["thing_tone"], page.soft((wave - 0.25) * p["thing_size"]).mul_(0.7))


def paint_boxes(page: Canvas, p: SceneNumbers) -> None:
    _wall(page, p)
    for number, tone in enumerate(("thing_tone", "skin", "clothes", "hair")):
        x = page.x0 - p["blob_x"] * (1 - 0.6 * number)
        y = page.y0 + p["blob_y"] * (1 - 0.5 * number)
        size = p["thing_size"] * (1.6 - 0.25 * number)
        page.paint(p[tone], page.soft(torch.minimum(size - x.abs_(), size * 0.7 - y.abs_())))


def paint_from_behind(page: Canvas, p: SceneNumbers) -> None:
    volume = p["hair_volume"]
    hull = page.ellipse(page.x0, page.y0 + 0.06, p["head_width"] + volume, p["head_height"] + volume)
    page.paint(p["hair"], page.soft(hull))
    wave = (page.x0 * (2 / p["thing_size"])).remainder(1.0).sub_(0.5).abs_()
    page.shade(-0.5, wave.mul_(soft_hill(page.x0, page.y0, p["head_width"], p["head_height"])))
