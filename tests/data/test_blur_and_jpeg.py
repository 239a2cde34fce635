"""Blur and JPEG of a batch against loops over pixels and against Pillow; recipes from before them stay as they were."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator

from mien import Recipe
from mien.data.augment import Distortion, distort
from mien.data.blur_and_jpeg import LUMINANCE, blur, jpeg

STILL = Distortion(flip=0, rotation=0, shift=0, zoom=0, contrast=0, brightness=0)


def faces(side: int = 24, channels: int = 1, count: int = 3) -> torch.Tensor:
    """Smooth faces with some noise, (B, C, S, S), in steps of 1 / 255."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side] / side
    drawn = [
        np.sin(6 * rows * rng.random() + 9 * columns) * 90 + 128 + rng.normal(0, 6, (side, side)) for _ in range(count * channels)
    ]
    return torch.from_numpy(np.round(np.clip(drawn, 0, 255)) / 255).float().view(count, channels, side, side)


@pytest.mark.parametrize("channels", [1, 3])
def test_blur_is_that_of_a_loop(channels: int) -> None:
    given, deviations = faces(12, channels), torch.tensor([0.0, 0.4, 1.1])
    made = blur(given, deviations, 1.2)
    torch.testing.assert_close(made[0], given[0])
    for b, c, y, x in ((1, 0, 5, 5), (2, channels - 1, 0, 11), (2, 0, 7, 1)):
        total = value = 0.0
        for dy in range(-4, 5):
            for dx in range(-4, 5):
                weight = math.exp(-(dy * dy + dx * dx) / (2 * float(deviations[b]) ** 2))
                total += weight
                value += weight * float(given[b, c, min(max(y + dy, 0), 11), min(max(x + dx, 0), 11)])
        assert float(made[b, c, y, x]) == pytest.approx(value / total, abs=1e-5)


def quantized_block(block: np.ndarray, quality: int) -> np.ndarray:
    """A block of 8 x 8 gray values after JPEG, by the sums of its definition."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality

    def part(k: int) -> float:
        return math.sqrt(1 / 8) if k == 0 else 0.5

    def wave(k: int, at: int) -> float:
        return part(k) * math.cos((2 * at + 1) * k * math.pi / 16)

    made = np.zeros((8, 8))
    for v in range(8):
        for u in range(8):
            found = sum((block[y, x] - 128) * wave(v, y) * wave(u, x) for y in range(8) for x in range(8))
            step = min(max((LUMINANCE[v][u] * percent + 50) // 100, 1), 255)
            kept = round(found / step) * step
            made += [[kept * wave(v, y) * wave(u, x) for x in range(8)] for y in range(8)]
    return np.clip(np.round(made + 128), 0, 255)


@pytest.mark.parametrize("quality", [10, 40, 80])
def test_jpeg_of_a_block_is_that_of_its_definition(quality: int) -> None:
    given = faces(16, count=2)
    made = jpeg(given, torch.tensor([float(quality), 90.0]))[0, 0, 8:, :8].numpy() * 255
    wanted = quantized_block(given[0, 0, 8:, :8].numpy().astype(np.float64) * 255, quality)
    # A coefficient in the middle between two steps may be rounded either way.
    assert np.abs(made - wanted).mean() < 0.5


@pytest.mark.parametrize(("channels", "side"), [(1, 48), (1, 20), (3, 48)])
def test_jpeg_is_that_of_pillow(channels: int, side: int) -> None:
    given = faces(side, channels)
    for quality in (10, 50, 90):
        made = jpeg(given, torch.full((3,), float(quality)))
        for face, mine in zip(given, made, strict=True):
            stored = np.round(face.numpy() * 255).astype(np.uint8)
            content = io.BytesIO()
            picture = Image.fromarray(stored[0] if channels == 1 else stored.transpose(1, 2, 0))
            picture.save(content, "JPEG", quality=quality, subsampling=0)
            theirs = np.asarray(Image.open(content), float).reshape(side, side, channels).transpose(2, 0, 1)
            assert np.abs(mine.numpy() * 255 - theirs).mean() < 1.0


def test_each_face_draws_its_own() -> None:
    given = faces(48, count=1).repeat(200, 1, 1, 1)
    for by in (Distortion(0, 0, 0, 0, 0, 0, blur=0.3), Distortion(0, 0, 0, 0, 0, 0, jpeg=0.3)):
        made = distort(given.clone(), by, Generator().manual_seed(0))
        apart = (made - given).abs().mean(dim=(1, 2, 3))
        changed = apart[apart > 1e-4]
        assert 0.2 < len(changed) / 200 < 0.4
        assert changed.max() > 1.5 * changed.min()
        assert 0 <= float(made.min()) <= float(made.max()) <= 1 + 1e-6


def after_draws_of_before() -> torch.Tensor:
    """The state of a generator after what a distortion drew before there was blur: seven numbers for each of three faces."""
    generator = Generator().manual_seed(1)
    for _ in range(7):
        torch.rand(3, generator=generator)
    return generator.get_state()


def test_recipes_that_ask_for_neither_stay_as_they_were() -> None:
    table = Recipe.load("supervised").table()
    assert not {"blur", "jpeg"} & {*table["augment"]["weak"], *table["augment"]["strong"]}
    asked = Recipe.load("supervised").set("augment.weak.blur", 0.25)
    assert asked.table()["augment"]["weak"]["blur"] == 0.25
    assert Recipe.parse(asked.table()) == asked
    drawn = Generator().manual_seed(1)
    distort(faces(), STILL, drawn)
    assert drawn.get_state().equal(after_draws_of_before())
