"""Drawing gray faces: from numbers that say who, which muscles and which light, to pixels, whole batches at once.

A face is painted back to front with soft-edged shapes (ellipses, parabolas and bands) in its own coordinates: x to the
right and y down, the head about 0.7 wide and 0.9 high to either side of its middle. Muscles are named after the action
units of the Facial Action Coding System (Ekman & Friesen 1978) that they imitate.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mien.data.canvas import Numbers, Page, blurred, bump, line, turn

Values = npt.NDArray[np.float32]

ACTIONS = (
    "inner_brow",  # AU 1: inner brows up
    "outer_brow",  # AU 2: outer brows up
    "frown",  # AU 4: brows down and together
    "upper_lid",  # AU 5: eyes wide
    "cheek",  # AU 6 and 7: cheeks up, eyes narrow
    "nose",  # AU 9: nose wrinkled
    "upper_lip",  # AU 10: upper lip up
    "smile",  # AU 12: mouth corners up and out
    "corners",  # AU 15: mouth corners down
    "chin",  # AU 17: chin and lower lip up
    "stretch",  # AU 20: mouth wide
    "press",  # AU 23 and 24: lips thin
    "part",  # AU 25: lips apart
    "jaw",  # AU 26 and 27: jaw down
    "droop",  # AU 43: upper lids down
)
"""What a face's muscles do, each from 0 (rest) to about 1 (as far as it goes)."""

TRAITS = (
    *("head_width", "head_height", "jaw_narrow", "skin", "hair", "hair_volume", "hairline", "hair_curve", "hair_part"),
    *("hair_length", "eye_x", "eye_y", "eye_width", "eye_open", "eye_slant", "iris", "socket", "brow_y", "brow_width"),
    *("brow_thick", "brow_arch", "brow_slope", "brow_dark", "nose_width", "nose_length", "nose_dark", "mouth_y"),
    *("mouth_width", "upper_thick", "lower_thick", "lip_dark", "mouth_curve", "age", "beard", "mustache", "glasses"),
)
"""What stays with a person; lengths in face coordinates, tones between black 0 and white 1."""

CONDITIONS = (
    *("roll", "yaw", "pitch", "scale", "shift_x", "shift_y", "gaze", "mouth_tilt", "brow_tilt"),
    *("light_x", "light_y", "exposure", "contrast", "curve", "blur", "noise", "grain", "stroke", "outline"),
    *("backdrop", "slope_x", "slope_y", "clothes", "blob_x", "blob_y", "blob_size", "blob_tone"),
    *("cover", "cover_x", "cover_y", "cover_angle", "cover_size", "cover_tone"),
    *("thing", "thing_angle", "thing_size", "thing_tone"),
)
"""What changes from picture to picture. `cover`: 0 nothing, 1 dark glasses, 2 a hand, 3 a bar in front of
the face; `thing`: 0 a face, 1 stripes, 2 boxes, 3 a head from behind; `roll`, `yaw` and `pitch` in degrees; `noise` as a
deviation of tone; `grain` where in the bank of noise the picture's begins."""

NAMES = TRAITS + CONDITIONS + ACTIONS
BANK = 1 << 18
"""Values in the bank of noise; `grain` is below BANK - 128 * 128."""

_PIXELS = 1 << 16
"""Pixels painted at once: few enough that all shapes of a chunk stay in the processor's cache."""


@dataclass(frozen=True)
class Scenes:
    """What to draw: `values`, float32 (N, P), a row per picture and a column per name in NAMES."""

    values: Values

    def __len__(self) -> int:
        return len(self.values)

    def of(self, name: str) -> Values:
        """(N,) values of one name."""
        column: Values = self.values[:, NAMES.index(name)]
        return column

    def having(self, **given: float | Values) -> "Scenes":
        """A copy in which these names have these values, one for all or (N,)."""
        values = self.values.copy()
        for name, value in given.items():
            values[:, NAMES.index(name)] = value
        return Scenes(values)


def render(scenes: Scenes, side: int = 48) -> npt.NDArray[np.uint8]:
    """Pictures of these scenes, uint8 (N, side, side)."""
    bank = torch.from_numpy(np.random.default_rng(0).standard_normal(BANK, np.float32))
    out = np.empty((len(scenes), side, side), np.uint8)
    chunk = max(1, _PIXELS // side**2)
    with _one_thread():
        for start in range(0, len(scenes), chunk):
            values = torch.from_numpy(scenes.values[start : start + chunk])
            numbers = {name: values[:, column].reshape(-1, 1, 1) for column, name in enumerate(NAMES)}
            out[start : start + len(values)] = _picture(numbers, side, bank).numpy()
    return out


@contextmanager
def _one_thread() -> Iterator[None]:
    """Hundreds of short operations: threads that wait for each other after each one cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _picture(p: Numbers, side: int, bank: Tensor) -> Tensor:
    """One chunk: numbers (B, 1, 1) to uint8 (B, side, side)."""
    page = Page.ruled(p, side)
    _backdrop(page, p)
    _head(page, p)
    for feature in (_sockets, _wrinkles, _nose, _beard, _mouth, _eyes, _brows, _hair, _glasses):
        feature(page, p)
    _where(p["cover"] == 1, page, p, _dark_glasses)
    _where(p["cover"] == 2, page, p, _hand)
    _where(p["cover"] == 3, page, p, _bar)
    _where(p["thing"] == 1, page, p, _stripes)
    _where(p["thing"] == 2, page, p, _boxes)
    _where(p["thing"] == 3, page, p, _from_behind)
    return _photograph(page, p, bank)


def _where(chosen: Tensor, page: Page, p: Numbers, feature: Callable[[Page, Numbers], None]) -> None:
    """Paint a feature on the pictures where `chosen` (B, 1, 1) is true."""
    rows = torch.nonzero(chosen.reshape(-1)).reshape(-1)
    if len(rows):
        part = page.of(rows)
        feature(part, {name: value[rows] for name, value in p.items()})
        page.tone[rows] = part.tone


def _wall(page: Page, p: Numbers) -> None:
    page.tone.copy_(p["backdrop"] + p["slope_x"] * page.u + p["slope_y"] * page.v)


def _backdrop(page: Page, p: Numbers) -> None:
    _wall(page, p)
    page.paint(p["blob_tone"], bump(page.u - p["blob_x"], page.v - p["blob_y"], p["blob_size"], p["blob_size"]).sqrt_())
    low = page.rows(0.5, 1.5)
    low.paint(p["skin"] * 0.75, low.soft(0.4 * p["head_width"] + 0.1 - low.x0.abs()).mul_(low.soft(low.y0 - 0.5)))
    low.paint(p["clothes"], low.soft(low.y0 - 1.12 + 0.25 * (0.6 - low.x0.abs()).clamp(min=0)))


def _head(page: Page, p: Numbers) -> None:
    volume = p["hair_volume"]
    back = page.ellipse(page.x0, page.y0 + 0.12, p["head_width"] + volume, p["head_height"] + volume)
    long = torch.minimum(p["head_width"] + volume - page.x0.abs(), p["hair_length"] - page.y0)
    back = torch.maximum(back, torch.minimum(long, page.y0 + 0.2))
    page.paint(p["hair"], page.soft(back))
    ears = page.ellipse(page.x0.abs() - p["head_width"] * 0.98, page.y0 + 0.02, 0.09, 0.17)
    page.paint(p["skin"] * 0.85, page.soft(ears))
    head = _outline(page, p)
    page.shade(p["outline"], page.soft(0.05 - head.abs()))
    page.paint(p["skin"], page.soft(head))


def _outline(page: Page, p: Numbers) -> Tensor:
    """Distance to the outline of the head, positive inside: an ellipse, narrow at the jaw, which drops."""
    below = page.y0.clamp(min=0)
    width = p["head_width"] * (1 - p["jaw_narrow"] * below * below)
    height = p["head_height"] + (0.13 * p["jaw"] - 0.03 * p["chin"]) * below
    across, down = page.x0 / width, page.y0 / height
    return (1 - across.mul_(across) - down.mul_(down)).mul_(p["head_width"] / 2)


def _sockets(page: Page, p: Numbers) -> None:
    band = page.rows(-0.5, 0.3)
    band.shade(p["socket"], bump(band.x.abs() - p["eye_x"], band.y - p["eye_y"] + 0.03, 0.24, 0.2))
    low = page.rows(-0.1, 0.6)
    apple = bump(low.x.abs() - 0.38, low.y - 0.2 + 0.06 * p["cheek"], 0.22, 0.16)
    low.shade(-0.1 - 0.16 * p["cheek"] - 0.06 * p["smile"], apple)


def _wrinkles(page: Page, p: Numbers) -> None:
    top = page.rows(-0.75, -0.2)
    raised = (p["inner_brow"] + p["outer_brow"]) * 0.5
    wave = ((top.y * 7.5 + 0.4 * top.x * top.x).remainder(1.0) - 0.5).abs_().mul_(2)
    reach = bump(top.x, top.y + 0.58, 0.25 + 0.3 * p["outer_brow"].clamp(0, 1), 0.16).sqrt_()
    top.shade((0.08 * p["age"] + 0.4 * raised).clamp(0, 0.6), (wave - 0.55).clamp_(min=0).mul_(2.2).mul_(reach))
    between = page.rows(-0.55, 0.05)
    upright = line(between, between.x.abs() - 0.05, 0.014 * p["stroke"])
    upright.mul_(bump(between.x, between.y - p["brow_y"] - 0.06, 0.2, 0.15).sqrt_())
    between.shade((0.06 * p["age"] + 0.55 * p["frown"]).clamp(0, 0.7), upright)
    bridge = ((between.y * 11 + between.x.abs() * 4).remainder(1.0) - 0.5).abs_().mul_(2)
    bridge.mul_(bump(between.x, between.y + 0.1, 0.13, 0.16).sqrt_())
    between.shade((0.65 * p["nose"]).clamp(0, 0.7), bridge)
    _feet_and_folds(page, p)


def _feet_and_folds(page: Page, p: Numbers) -> None:
    """Crow's feet beside the eyes and the folds from the nose to the mouth's corners."""
    band = page.rows(-0.4, 0.15)
    out = band.x.abs() - p["eye_x"] - p["eye_width"] * 1.15
    rays = ((band.y - p["eye_y"]) * 9 + out * 2).remainder(1.0).sub_(0.5).abs_().mul_(2)
    rays.mul_(bump(out - 0.06, band.y - p["eye_y"], 0.11, 0.16))
    band.shade((0.12 * p["age"] + 0.6 * p["cheek"] * (0.5 + 0.5 * p["smile"])).clamp(0, 0.7), rays)
    low = page.rows(0.1, 0.7)
    down = low.y - 0.2 + 0.05 * p["nose"]
    fold = low.x.abs() - p["nose_width"] - 0.06 - (0.32 + 0.2 * p["smile"]) * down
    cover = line(low, fold, 0.018 * p["stroke"]).mul_(low.soft(down.clone()).mul_(low.soft(0.3 - down)))
    depth = 0.1 * p["age"] + 0.35 * p["smile"] + 0.35 * p["upper_lip"] + 0.3 * p["nose"] + 0.1 * p["stretch"]
    low.shade(depth.clamp(0, 0.6), cover)


def _nose(page: Page, p: Numbers) -> None:
    band = page.rows(-0.3, 0.45)
    tip = p["eye_y"] + p["nose_length"] + 0.14 - 0.06 * p["nose"] - 0.02 * p["upper_lip"]
    width = p["nose_width"] * (1 + 0.18 * p["nose"] + 0.12 * p["smile"] + 0.1 * p["upper_lip"])
    side = line(band, band.x.abs() - 0.055 - 0.08 * (band.y - p["eye_y"]).clamp_(min=0), 0.02)
    side.mul_(band.soft(band.y - p["eye_y"] + 0.1).mul_(band.soft(tip - 0.02 - band.y)))
    band.shade(p["nose_dark"], side)
    band.shade(-0.12, bump(band.x, band.y - tip + 0.1, 0.06, 0.2))
    wing = line(band, band.ellipse(band.x.abs() - width * 0.75, band.y - tip + 0.02, 0.055, 0.06), 0.011 * p["stroke"])
    band.shade(p["nose_dark"] + 0.2 * p["nose"], wing.mul_(band.soft(band.x.abs() - width * 0.7)))
    hole = band.ellipse(band.x.abs() - width * 0.5, band.y - tip - 0.025, width * 0.3, 0.024 * p["stroke"])
    band.paint(p["skin"] * 0.28, band.soft(hole))
    band.shade(0.25, bump(band.x, band.y - tip - 0.065, width, 0.06))


def _beard(page: Page, p: Numbers) -> None:
    low = page.rows(0.2, 1.2)
    cheeks = low.soft(low.y - 0.3 - 0.25 * (0.55 - low.x.abs()).clamp_(min=0)).mul_(low.soft(_outline(low, p)))
    low.paint(p["hair"] * 0.9 + 0.05, cheeks.mul_(p["beard"]))
    lip = p["mouth_y"] - 0.13 - 0.05 * p["upper_lip"]
    hair = low.ellipse(low.x, low.y - lip - 0.25 * low.x * low.x, p["mouth_width"] * 0.95, 0.05)
    low.paint(p["hair"] * 0.9 + 0.05, low.soft(hair).mul_(p["mustache"]))


def _mouth(page: Page, p: Numbers) -> None:
    low = page.rows(0.25, 1.0)
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
    seam = line(low, dy + (rise * 0.5 - fall * 0.5) * span, (0.014 + 0.01 * p["press"]) * p["stroke"])
    shut = (1 - 9 * (rise + fall)).clamp(0, 1)
    low.shade(0.62 * shut, seam.mul_(low.soft(within)))
    _around_mouth(low, p, (middle + bend, middle + fall + lower, width))


def _around_mouth(low: Page, p: Numbers, mouth: tuple[Tensor, Tensor, Tensor]) -> None:
    """Dimples at the corners (first: their y), shadow and chin below the lower lip (second: its y); third: half width."""
    corner, bottom, width = mouth
    dimple = bump(low.x.abs() - width - 0.02, low.y - corner, 0.05, 0.07)
    low.shade((0.25 + 0.25 * p["smile"] + 0.3 * p["corners"] + 0.25 * p["press"] + 0.2 * p["stretch"]).clamp(0, 0.8), dimple)
    low.shade(0.18 + 0.12 * p["chin"], bump(low.x, low.y - bottom - 0.045, width * 0.8, 0.06))
    boss = line(low, low.y - bottom - 0.1 - 1.2 * low.x * low.x, 0.02 * p["stroke"])
    low.shade((0.5 * p["chin"]).clamp(0, 0.6), boss.mul_(low.soft(0.17 - low.x.abs())))


def _eyes(page: Page, p: Numbers) -> None:
    band = page.rows(-0.45, 0.15)
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
    band.shade(0.75, line(band, lid, 0.02 * p["stroke"]).mul_(near))
    crease = line(band, ey + (upper + 0.045) * span + 0.01, 0.013 * p["stroke"])
    band.shade(0.3 - 0.15 * p["upper_lid"].clamp(0, 1), crease.mul_(near))
    pouch = line(band, lower * span - ey + 0.015, 0.013 * p["stroke"])
    band.shade((0.15 + 0.1 * p["age"] + 0.4 * p["cheek"]).clamp(0, 0.7), pouch.mul_(near))


def _brows(page: Page, p: Numbers) -> None:
    band = page.rows(-0.7, 0.0)
    inner = 0.1 * p["inner_brow"] - 0.115 * p["frown"] - 0.04 * p["nose"]
    outer = 0.11 * p["outer_brow"] - 0.05 * p["frown"] - 0.02 * p["cheek"] - 0.02 * p["inner_brow"]
    out = band.x.abs() - p["eye_x"] - 0.01 + 0.04 * p["frown"]
    t = out / p["brow_width"]
    line = p["brow_y"] - (inner + outer) / 2 + p["brow_tilt"] * band.x
    line = line + (p["brow_slope"] + (inner - outer) / 2) * t + p["brow_arch"] * (t * t)
    thick = p["brow_thick"] * p["stroke"] * (1 - 0.3 * t.clamp(-1, 1))
    cover = band.soft(thick - (band.y - line).abs_()).mul_(band.soft((1 - t.abs()) * p["brow_width"]))
    band.paint(p["hair"] * 0.6, cover.mul_(p["brow_dark"]))


def _hair(page: Page, p: Numbers) -> None:
    top = page.rows(-1.2, 0.0)
    edge = p["hairline"] + p["hair_curve"] * top.x0 * top.x0 + p["hair_part"] * top.x0
    hull = top.ellipse(top.x0, top.y0 + 0.12, p["head_width"] + p["hair_volume"], p["head_height"] + p["hair_volume"])
    top.paint(p["hair"], top.soft(torch.minimum(edge - top.y0, hull)))


def _glasses(page: Page, p: Numbers) -> None:
    _where(p["glasses"] > 0.5, page, p, partial(_lenses, fill=0.06, tone=0.12))


def _dark_glasses(page: Page, p: Numbers) -> None:
    _lenses(page, p, 0.95, 0.08)


def _lenses(page: Page, p: Numbers, fill: float, tone: float) -> None:
    f, y = page.x.abs() - p["eye_x"], page.y - p["eye_y"] - 0.01
    lens = page.ellipse(f, y, 0.24, 0.17)
    ring = line(page, lens.clone(), 0.014 * p["stroke"])
    bridge = line(page, y + 0.03, 0.016).mul_(page.soft(0.09 - page.x.abs()))
    arms = line(page, y + 0.05, 0.016).mul_(page.soft(f - 0.22).mul_(page.soft(p["head_width"] - page.x0.abs())))
    page.paint(tone, page.soft(lens).mul_(fill))
    page.paint(tone, torch.maximum(torch.maximum(ring, bridge), arms))


def _hand(page: Page, p: Numbers) -> None:
    cos, sin = turn(p["cover_angle"])
    x, y = page.x0 - p["cover_x"], page.y0 - p["cover_y"]
    across, along = x * cos + y * sin, y * cos - x * sin
    for finger in range(4):
        center = (finger - 1.5) * 0.15
        reach = 0.3 + 0.05 * (1.5 - abs(finger - 1.5))
        rod = page.ellipse(across - center, along + 0.2, 0.082, reach)
        page.shade(0.45, page.soft(rod + 0.02))
        page.paint(p["cover_tone"], page.soft(rod))
    page.paint(p["cover_tone"] * 0.95, page.soft(page.ellipse(across, along - 0.2, 0.32, 0.3)))


def _bar(page: Page, p: Numbers) -> None:
    cos, sin = turn(p["cover_angle"])
    distance = (page.u - p["cover_x"]) * cos + (page.v - p["cover_y"]) * sin
    page.paint(p["cover_tone"], page.soft(p["cover_size"] - distance.abs_()))


def _stripes(page: Page, p: Numbers) -> None:
    _wall(page, p)
    cos, sin = turn(p["thing_angle"])
    for across, down in ((cos, sin), (-sin, cos)):
        wave = ((page.u * across + page.v * down) * (0.6 / p["thing_size"])).remainder(1.0).sub_(0.5).abs_()
        page.paint(p["thing_tone"], page.soft((wave - 0.25) * p["thing_size"]).mul_(0.7))


def _boxes(page: Page, p: Numbers) -> None:
    _wall(page, p)
    for number, tone in enumerate(("thing_tone", "skin", "clothes", "hair")):
        x = page.x0 - p["blob_x"] * (1 - 0.6 * number)
        y = page.y0 + p["blob_y"] * (1 - 0.5 * number)
        size = p["thing_size"] * (1.6 - 0.25 * number)
        page.paint(p[tone], page.soft(torch.minimum(size - x.abs_(), size * 0.7 - y.abs_())))


def _from_behind(page: Page, p: Numbers) -> None:
    volume = p["hair_volume"]
    hull = page.ellipse(page.x0, page.y0 + 0.06, p["head_width"] + volume, p["head_height"] + volume)
    page.paint(p["hair"], page.soft(hull))
    wave = (page.x0 * (2 / p["thing_size"])).remainder(1.0).sub_(0.5).abs_()
    page.shade(-0.5, wave.mul_(bump(page.x0, page.y0, p["head_width"], p["head_height"])))


def _photograph(page: Page, p: Numbers, bank: Tensor) -> Tensor:
    """Light from one side, a soft lens, the camera's tone curve and its noise; uint8 (B, S, S)."""
    lit = page.tone.mul_(p["light_x"] * page.x0 + p["light_y"] * page.y0 + 1)
    for _ in range(max(1, round(lit.shape[1] / 48))):
        lit = lit + p["blur"] * (blurred(lit) - lit)
    lit = (lit * p["exposure"] - 0.5) * p["contrast"] + 0.5
    lit = lit.clamp_(0, 1)
    lit = lit + p["curve"] * (lit * (1 - lit))
    grain = bank[p["grain"].long().reshape(-1, 1) + torch.arange(lit[0].numel())].view(lit.shape)
    return (lit + p["noise"] * grain).clamp_(0, 1).mul_(255).round_().to(torch.uint8)
