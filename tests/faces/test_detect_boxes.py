"""Boxes against loops over pairs, and averages of photos against torch's."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from mien.faces.mtcnn.boxes import Places, corrected, squared, suppress
from mien.faces.mtcnn.integral_image import IntegralImage
from mien.media.photos import Photo

Over = Literal["union", "smaller"]


def greedy(
    boxes: npt.NDArray[np.float32], scores: npt.NDArray[np.float32], groups: Places, threshold: float, over: Over
) -> list[int]:
    """Suppression as it is defined: the best that is left is kept, and what overlaps it goes."""
    left, kept = sorted(range(len(boxes)), key=lambda n: (-scores[n], n)), []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [n for n in left if groups[n] != groups[best] or share(boxes[best], boxes[n], over) <= threshold]
    return kept


def share(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32], over: Over) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    if wide <= 0 or high <= 0:
        return 0.0
    areas = [float((box[2] - box[0]) * (box[3] - box[1])) for box in (one, other)]
    common = float(wide * high)
    return common / (sum(areas) - common if over == "union" else min(areas))


@given(
    st.integers(0, 40), st.integers(1, 4), st.sampled_from(["union", "smaller"]), st.floats(0.05, 0.95), st.integers(0, 10_000)
)
@settings(deadline=None, derandomize=True, max_examples=150)
def test_suppression_is_that_of_loops(count: int, groups: int, over: Over, threshold: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    corners = generator.integers(-10, 20, (count, 2))
    boxes = np.concatenate([corners, corners + generator.integers(1, 15, (count, 2))], axis=1).astype(np.float32)
    scores = generator.integers(0, 6, count).astype(np.float32)  # many are equal
    owners = generator.integers(0, groups, count)
    assert suppress(boxes, scores, owners, threshold, over).tolist() == greedy(boxes, scores, owners, threshold, over)


def test_chains_are_followed_to_their_end() -> None:
    """Each box overlaps the next: of 200 every other one is kept, since one that is gone suppresses nothing."""
    left = 6 * np.arange(200, dtype=np.float32)
    boxes = np.stack([left, 0 * left, left + 10, 0 * left + 10], axis=1)
    assert suppress(boxes, -left, np.zeros(200, np.int64), 0.2).tolist() == list(range(0, 200, 2))


def test_squares_keep_the_center_and_the_longer_side() -> None:
    boxes = np.array([[0, 0, 4, 10], [2, 3, 12, 5]], np.float32)
    assert squared(boxes).tolist() == [[-3, 0, 7, 10], [2, -1, 12, 9]]


def test_sides_move_by_parts_of_the_box() -> None:
    boxes, offsets = np.array([[10, 20, 30, 60]], np.float32), np.array([[0.5, -0.25, 1, 0]], np.float32)
    assert corrected(boxes, offsets, 0).tolist() == [[20, 10, 50, 60]]
    assert corrected(boxes, offsets, 1).tolist() == [[20.5, 9.75, 51, 60]]


def noise(height: int, width: int, seed: int = 0) -> Photo:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def close(found: npt.NDArray[np.float32], expected: Tensor) -> bool:
    """Whether pixels are float32, and those of maps (1, 3, H, W)."""
    return found.dtype == np.float32 and np.allclose(found, expected[0].permute(1, 2, 0), atol=1e-3)


def as_maps(photo: Photo) -> Tensor:
    return torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].double()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9), st.integers(1, 50), st.integers(1, 50), st.integers(0, 99))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_levels_are_means_over_areas(high: int, wide: int, frame: int, rows: int, columns: int, seed: int) -> None:
    shown = [noise(5, 7, seed), noise(high, wide, seed + 1), noise(high, wide, seed + 2)]
    made = IntegralImage.of(shown).level(range(1, 3), frame, (rows, columns), (slice(None), slice(None)))
    for photo, found in zip(shown[1:], made, strict=True):
        assert close(found, F.interpolate(F.pad(as_maps(photo), [frame] * 4), (rows, columns), mode="area"))
    part = IntegralImage.of(shown).level(range(1, 2), frame, (rows, columns), (slice(1, 3), slice(2, 5)))
    assert np.array_equal(part[0], made[0, 1:3, 2:5])


@given(
    st.lists(st.tuples(st.integers(-9, 20), st.integers(-9, 20), st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=6)
)
@settings(deadline=None, derandomize=True, max_examples=60)
def test_crops_are_means_over_areas_and_black_beyond(boxes: list[tuple[int, int, int, int]]) -> None:
    shown = [noise(17, 23), noise(9, 30)]
    owners = [n % 2 for n in range(len(boxes))]
    edges = np.array([(x, y, x + w, y + h) for x, y, w, h in boxes])
    made = IntegralImage.of(shown).crops(edges, np.array(owners), 12)
    for (x, y, w, h), owner, found in zip(boxes, owners, made, strict=True):
        whole = F.pad(as_maps(shown[owner]), [60] * 4)[:, :, y + 60 : y + h + 60, x + 60 : x + w + 60]
        assert close(found, F.interpolate(whole, 12, mode="area"))


def test_sums_that_wrap_around_give_the_same_means() -> None:
    photo = np.full((2050, 4200, 3), 255, np.uint8)
    photo[-40:, -40:] = 100
    sums = IntegralImage.of([photo])
    assert int(sums.values.min()) < 0, "the table is beyond 2^31"
    found = sums.crops(np.array([[4160, 2010, 4200, 2050], [0, 0, 4200, 2010]]), np.array([0, 0]), 4)
    assert (found[0] == 100).all()
    assert np.allclose(found[1], 255)
    level = sums.level(range(1), 0, (205, 420), (slice(201, None), slice(416, None)))
    assert np.allclose(level, 100)


def test_any_memory_order_is_read() -> None:
    photo = noise(20, 30)
    turned = photo[::-1, ::-1]
    assert np.array_equal(IntegralImage.of([turned]).values, IntegralImage.of([turned.copy()]).values)
    fixed = photo.copy()
    fixed.setflags(write=False)
    assert np.array_equal(IntegralImage.of([fixed]).values, IntegralImage.of([photo]).values)


@pytest.mark.parametrize("over", ["union", "smaller"])
def test_nothing_stays_nothing(over: Over) -> None:
    empty = np.empty((0, 4), np.float32)
    assert suppress(empty, np.empty(0, np.float32), np.empty(0, np.int64), 0.5, over).shape == (0,)
    assert squared(empty).shape == corrected(empty, empty, 1).shape == (0, 4)
