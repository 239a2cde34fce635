"""Parts of a synthetic face, painted on a canvas: head, hair, eyes, brows, nose, mouth, wrinkles, beard and glasses."""

from functools import partial

import torch
from torch import Tensor

from mien.data.synthetic_faces.canvas import Canvas, SceneNumbers, paint_where, soft_hill, soft_line


def paint_head(canvas: Canvas, p: SceneNumbers) -> None:
    """Paint the hair behind the head, the ears and the head itself."""
    volume = p["hair_volume"]
    back = canvas.ellipse(canvas.x0, canvas.y0 + 0.12, p["head_width"] + volume, p["head_height"] + volume)
    long = torch.minimum(p["head_width"] + volume - canvas.x0.abs(), p["hair_length"] - canvas.y0)
    back = torch.maximum(back, torch.minimum(long, canvas.y0 + 0.2))
    canvas.paint(p["hair"], canvas.soft(back))
    ears = canvas.ellipse(canvas.x0.abs() - p["head_width"] * 0.98, canvas.y0 + 0.02, 0.09, 0.17)
    canvas.paint(p["skin"] * 0.85, canvas.soft(ears))
    head = _outline(canvas, p)
    canvas.shade(p["outline"], canvas.soft(0.05 - head.abs()))
    canvas.paint(p["skin"], canvas.soft(head))


def _outline(canvas: Canvas, p: SceneNumbers) -> Tensor:
    """Distance to the outline of the head, positive inside: an ellipse, narrow at the jaw, which drops."""
    below = canvas.y0.clamp(min=0)
    width = p["head_width"] * (1 - p["jaw_narrow"] * below * below)
    height = p["head_height"] + (0.13 * p["jaw"] - 0.03 * p["chin"]) * below
    across, down = canvas.x0 / width, canvas.y0 / height
    return (1 - across.mul_(across) - down.mul_(down)).mul_(p["head_width"] / 2)


def paint_sockets(canvas: Canvas, p: SceneNumbers) -> None:
    """Paint the shadows around the eyes and the light on the cheeks."""
    band = canvas.rows(-0.5, 0.3)
    band.shade(p["socket"], soft_hill(band.x.abs() - p["eye_x"], band.y - p["eye_y"] + 0.03, 0.24, 0.2))
    low = canvas.rows(-0.1, 0.6)
    apple = soft_hill(low.x.abs() - 0.38, low.y - 0.2 + 0.06 * p["cheek"], 0.22, 0.16)
    low.shade(-0.1 - 0.16 * p["cheek"] - 0.06 * p["smile"], apple)


def paint_wrinkles(canvas: Canvas, p: SceneNumbers) -> None:
    """Paint wrinkles on the forehead, between the brows and beside the nose, eyes and mouth."""
    top = canvas.rows(-0.75, -0.2)
    raised = (p["inner_brow"] + p["outer_brow"]) * 0.5
    wave = ((top.y * 7.5 + 0.4 * top.x * top.x).remainder(1.0) - 0.5).abs_().mul_(2)
    reach = soft_hill(top.x, top.y + 0.58, 0.25 + 0.3 * p["outer_brow"].clamp(0, 1), 0.16).sqrt_()
    top.shade((0.08 * p["age"] + 0.4 * raised).clamp(0, 0.6), (wave - 0.55).clamp_(min=0).mul_(2.2).mul_(reach))
    between = canvas.rows(-0.55, 0.05)
    upright = soft_line(between, between.x.abs() - 0.05, 0.014 * p["stroke"])
    upright.mul_(soft_hill(between.x, between.y - p["brow_y"] - 0.06, 0.2, 0.15).sqrt_())
    between.shade((0.06 * p["age"] + 0.55 * p["frown"]).clamp(0, 0.7), upright)
    bridge = ((between.y * 11 + between.x.abs() * 4).remainder(1.0) - 0.5).abs_().mul_(2)
    bridge.mul_(soft_hill(between.x, between.y + 0.1, 0.13, 0.16).sqrt_())
    between.shade((0.65 * p["nose"]).clamp(0, 0.7), bridge)
    _feet_and_folds(canvas, p)


def _feet_and_folds(canvas: Canvas, p: SceneNumbers) -> None:
    """Crow's feet beside the eyes and the folds from the nose to the mouth's corners."""
    band = canvas.rows(-0.4, 0.15)
    out = band.x.abs() - p["eye_x"] - p["eye_width"] * 1.15
    rays = ((band.y - p["eye_y"]) * 9 + out * 2).remainder(1.0).sub_(0.5).abs_().mul_(2)
    rays.mul_(soft_hill(out - 0.06, band.y - p["eye_y"], 0.11, 0.16))
    band.shade((0.12 * p["age"] + 0.6 * p["cheek"] * (0.5 + 0.5 * p["smile"])).clamp(0, 0.7), rays)
    low = canvas.rows(0.1, 0.7)
    down = low.y - 0.2 + 0.05 * p["nose"]
    fold = low.x.abs() - p["nose_width"] - 0.06 - (0.32 + 0.2 * p["smile"]) * down
    cover = soft_line(low, fold, 0.018 * p["stroke"]).mul_(low.soft(down.clone()).mul_(low.soft(0.3 - down)))
    depth = 0.1 * p["age"] + 0.35 * p["smile"] + 0.35 * p["upper_lip"] + 0.3 * p["nose"] + 0.1 * p["stretch"]
    low.shade(depth.clamp(0, 0.6), cover)


def paint_nose(canvas: Canvas, p: SceneNumbers) -> None:
    """Paint the nose."""
    band = canvas.rows(-0.3, 0.45)
    tip = p["eye_y"] + p["nose_length"] + 0.14 - 0.06 * p["nose"] - 0.02 * p["upper_lip"]
    width = p["nose_width"] * (1 + 0.18 * p["nose"] + 0.12 * p["smile"] + 0.1 * p["upper_lip"])
    side = soft_line(band, band.x.abs() - 0.055 - 0.08 * (band.y - p["eye_y"]).clamp_(min=0), 0.02)
    side.mul_(band.soft(band.y - p["eye_y"] + 0.1).mul_(band.soft(tip - 0.02 - band.y)))
    band.shade(p["nose_dark"], side)
    band.shade(-0.12, soft_hill(band.x, band.y - tip + 0.1, 0.06, 0.2))
    wing = soft_line(band, band.ellipse(band.x.abs() - width * 0.75, band.y - tip + 0.02, 0.055, 0.06), 0.011 * p["stroke"])
    band.shade(p["nose_dark"] + 0.2 * p["nose"], wing.mul_(band.soft(band.x.abs() - width * 0.7)))
    hole = band.ellipse(band.x.abs() - width * 0.5, band.y - tip - 0.025, width * 0.3, 0.024 * p["stroke"])
    band.paint(p["skin"] * 0.28, band.soft(hole))
    band.shade(0.25, soft_hill(band.x, band.y - tip - 0.065, width, 0.06))


def paint_beard(canvas: Canvas, p: SceneNumbers) -> None:
    """Paint a beard and a mustache."""
    low = canvas.rows(0.2, 1.2)
    cheeks = low.soft(low.y - 0.3 - 0.25 * (0.55 - low.x.abs()).clamp_(min=0)).mul_(low.soft(_outline(low, p)))
    low.paint(p["hair"] * 0.9 + 0.05, cheeks.mul_(p["beard"]))
    lip = p["mouth_y"] - 0.13 - 0.05 * p["upper_lip"]
    hair = low.ellipse(low.x, low.y - lip - 0.25 * low.x * low.x, p["mouth_width"] * 0.95, 0.05)
    low.paint(p["hair"] * 0.9 + 0.05, low.soft(hair).mul_(p["mustache"]))


def paint_mouth(canvas: Canvas, p: SceneNumbers) -> None:
    """Paint the mouth with lips and teeth, and what moves around it."""
    low = canvas.rows(0.25, 1.0)
    stretch = 1 + 0.34 * p["smile"] + 0.36 * p["stretch"] - 0.3 * p["jaw"] - 0.14 * p["press"] - 0.08 * p["chin"]
    width = p["mouth_width"] * stretch
    across = low.x / width
    square = across * across
    span = 1 - square
    within = span * (width / 2)
    span = span.clamp_(min=0)
    # A dropped jaw makes the lens an oval.
    span = span + p["jaw"].clamp(0, 1) * (span.sqrt() - span)
    bend = p["mouth_curve"] + 0.15 * p["corners"] - 0.14 * p["smile"] + 0.03 * p["stretch"]
    middle = p["mouth_y"] + 0.06 * p["smile"] - 0.04 * p["corners"] - 0.05 * p["chin"] - 0.02 * p["upper_lip"]
    dy = low.y - middle - p["mouth_tilt"] * low.x - bend * square.clamp(max=1.3)
    rise = (0.028 + 0.01 * p["smile"]) * p["part"] + 0.075 * p["upper_lip"] * (0.4 + p["part"]) + 0.05 * p["jaw"]
    fall = (0.04 + 0.09 * p["smile"] + 0.03 * p["stretch"]) * p["part"] + 0.21 * p["jaw"]
    thin = (1 - 0.62 * p["press"] - 0.2 * p["smile"] - 0.15 * p["stretch"]).clamp(min=0.2)
    upper, lower = (
        p["upper_thick"] * thin * (1 - 0.3 * p["upper_lip"]),
        p["lower_thick"] * thin * (1 + 0.35 * p["chin"]),
    )
    lips = torch.minimum(torch.minimum(dy + (rise + upper) * span, (fall + lower) * span - dy), within)
    low.shade(p["outline"] * 0.6, low.soft(lips + 0.03))
    low.paint(p["skin"] * p["lip_dark"], low.soft(lips))
    inside = torch.minimum(torch.minimum(dy + rise * span, fall * span - dy), within)
    teeth = low.soft(0.06 - (dy + rise * span))
    hollow = low.soft(inside)
    teeth.mul_(hollow).mul_((0.4 + p["smile"] + p["stretch"] + p["upper_lip"] - 0.4 * p["jaw"]).clamp_(0, 1))
    low.paint(p["skin"] * 0.18, hollow)
    low.paint(0.25 + 0.65 * p["skin"], teeth)
    seam = soft_line(low, dy + (rise * 0.5 - fall * 0.5) * span, (0.014 + 0.01 * p["press"]) * p["stroke"])
    shut = (1 - 9 * (rise + fall)).clamp(0, 1)
    low.shade(0.62 * shut, seam.mul_(low.soft(within)))
    _around_mouth(low, p, (middle + bend, middle + fall + lower, width))


def _around_mouth(low: Canvas, p: SceneNumbers, mouth: tuple[Tensor, Tensor, Tensor]) -> None:
    """Dimples at the corners (first: their y), shadow and chin below the lower lip (second: its y); third: half width."""
    corner, bottom, width = mouth
    dimple = soft_hill(low.x.abs() - width - 0.02, low.y - corner, 0.05, 0.07)
    low.shade((0.25 + 0.25 * p["smile"] + 0.3 * p["corners"] + 0.25 * p["press"] + 0.2 * p["stretch"]).clamp(0, 0.8), dimple)
    low.shade(0.18 + 0.12 * p["chin"], soft_hill(low.x, low.y - bottom - 0.045, width * 0.8, 0.06))
    boss = soft_line(low, low.y - bottom - 0.1 - 1.2 * low.x * low.x, 0.02 * p["stroke"])
    low.shade((0.5 * p["chin"]).clamp(0, 0.6), boss.mul_(low.soft(0.17 - low.x.abs())))


def paint_eyes(canvas: Canvas, p: SceneNumbers) -> None:
    """Paint the eyes with lids, irises and the folds around them."""
    band = canvas.rows(-0.45, 0.15)
    f = band.x.abs() - p["eye_x"]
    ey = band.y - p["eye_y"] - p["eye_slant"] * f
    across = f / p["eye_width"]
    span = 1 - across * across
    closing = (1 - 0.55 * p["droop"] - 0.35 * p["cheek"]).clamp(min=0.12)
    upper = p["eye_open"] * (closing + 0.75 * p["upper_lid"]) * 1.1
    lower = p["eye_open"] * (1 - 0.5 * p["cheek"] + 0.15 * p["upper_lid"]).clamp(min=0.1)
    lid = ey + upper * span
    inside = torch.minimum(torch.minimum(lid, lower * span - ey), span * (p["eye_width"] / 2))
    cover = band.soft(inside)
    gaze = f - band.x.sign() * p["gaze"]
    ball = band.soft(band.ellipse(gaze, ey, p["eye_open"] * 1.15, p["eye_open"] * 1.15)).mul_(cover)
    band.paint(0.2 + 0.7 * p["skin"], cover)
    band.paint(p["iris"], ball)
    near = band.soft(span * p["eye_width"] * 0.5 + 0.02)
    band.shade(0.75, soft_line(band, lid, 0.02 * p["stroke"]).mul_(near))
    crease = soft_line(band, ey + (upper + 0.045) * span + 0.01, 0.013 * p["stroke"])
    band.shade(0.3 - 0.15 * p["upper_lid"].clamp(0, 1), crease.mul_(near))
    pouch = soft_line(band, lower * span - ey + 0.015, 0.013 * p["stroke"])
    band.shade((0.15 + 0.1 * p["age"] + 0.4 * p["cheek"]).clamp(0, 0.7), pouch.mul_(near))


def paint_brows(canvas: Canvas, p: SceneNumbers) -> None:
    """Paint the brows."""
    band = canvas.rows(-0.7, 0.0)
    inner = 0.1 * p["inner_brow"] - 0.115 * p["frown"] - 0.04 * p["nose"]
    outer = 0.11 * p["outer_brow"] - 0.05 * p["frown"] - 0.02 * p["cheek"] - 0.02 * p["inner_brow"]
    out = band.x.abs() - p["eye_x"] - 0.01 + 0.04 * p["frown"]
    t = out / p["brow_width"]
    middle = p["brow_y"] - (inner + outer) / 2 + p["brow_tilt"] * band.x
    middle = middle + (p["brow_slope"] + (inner - outer) / 2) * t + p["brow_arch"] * (t * t)
    thick = p["brow_thick"] * p["stroke"] * (1 - 0.3 * t.clamp(-1, 1))
    cover = band.soft(thick - (band.y - middle).abs_()).mul_(band.soft((1 - t.abs()) * p["brow_width"]))
    band.paint(p["hair"] * 0.6, cover.mul_(p["brow_dark"]))


def paint_hair(canvas: Canvas, p: SceneNumbers) -> None:
    """Paint the hair above the forehead."""
    top = canvas.rows(-1.2, 0.0)
    edge = p["hairline"] + p["hair_curve"] * top.x0 * top.x0 + p["hair_part"] * top.x0
    hull = top.ellipse(top.x0, top.y0 + 0.12, p["head_width"] + p["hair_volume"], p["head_height"] + p["hair_volume"])
    top.paint(p["hair"], top.soft(torch.minimum(edge - top.y0, hull)))


def paint_glasses(canvas: Canvas, p: SceneNumbers) -> None:
    """Paint clear glasses on the people who wear them."""
    paint_where(p["glasses"] > 0.5, canvas, p, partial(_lenses, fill=0.06, tone=0.12))


def paint_dark_glasses(canvas: Canvas, p: SceneNumbers) -> None:
    """Paint dark glasses."""
    _lenses(canvas, p, 0.95, 0.08)


def _lenses(canvas: Canvas, p: SceneNumbers, fill: float, tone: float) -> None:
    f, y = canvas.x.abs() - p["eye_x"], canvas.y - p["eye_y"] - 0.01
    lens = canvas.ellipse(f, y, 0.24, 0.17)
    ring = soft_line(canvas, lens.clone(), 0.014 * p["stroke"])
    bridge = soft_line(canvas, y + 0.03, 0.016).mul_(canvas.soft(0.09 - canvas.x.abs()))
    arms = soft_line(canvas, y + 0.05, 0.016).mul_(canvas.soft(f - 0.22).mul_(canvas.soft(p["head_width"] - canvas.x0.abs())))
    canvas.paint(tone, canvas.soft(lens).mul_(fill))
    canvas.paint(tone, torch.maximum(torch.maximum(ring, bridge), arms))
