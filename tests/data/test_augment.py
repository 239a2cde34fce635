"""Views: converted, normalized and distorted as they say, by the run's own generator."""

import numpy as np
import pytest
import torch
from torch import Generator

from mien import FaceSet, MienError
from mien.data.augment import Augmentation, Distortion, distort, normalize, to_unit
from mien.data.format import Info
from mien.data.views import Views

STILL = Distortion(flip=0, rotation=0, shift=0, zoom=0, contrast=0, brightness=0)


def some_faces(count: int = 8, side: int = 20, channels: int = 1) -> torch.Tensor:
    shape = (count, side, side) if channels == 1 else (count, side, side, channels)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=Generator().manual_seed(0))


@pytest.mark.parametrize("channels", [1, 3])
def test_conversion_is_that_of_a_loop(channels: int) -> None:
    faces = some_faces(channels=channels)
    unit = to_unit(faces)
    for b, c, y, x in ((0, 0, 0, 0), (3, channels - 1, 4, 17), (7, 0, 19, 2)):
        stored = faces[b, y, x] if channels == 1 else faces[b, y, x, c]
        assert unit[b, c, y, x].item() == pytest.approx(stored.item() / 255)


def test_no_distortion_changes_nothing() -> None:
    unit = to_unit(some_faces())
    assert torch.allclose(distort(unit.clone(), STILL, Generator().manual_seed(0)), unit, atol=1e-5)


def test_a_flip_is_a_mirror_image() -> None:
    unit = to_unit(some_faces())
    mirrored = distort(unit.clone(), Distortion(1, 0, 0, 0, 0, 0), Generator().manual_seed(0))
    assert torch.allclose(mirrored, unit.flip(3), atol=1e-5)


def test_half_the_faces_are_flipped() -> None:
    ramp = torch.linspace(0, 1, 16).expand(400, 1, 16, 16).clone()
    out = distort(ramp, Distortion(0.5, 0, 0, 0, 0, 0), Generator().manual_seed(0))
    flipped = (out[:, 0, 8, 0] > 0.5).float().mean()
    assert 0.4 < flipped < 0.6


def test_geometry_moves_the_center_of_mass_by_at_most_its_bound() -> None:
    faces = torch.zeros(200, 1, 40, 40)
    faces[:, :, 18:22, 18:22] = 1
    moved = distort(faces, Distortion(0, 0, 0.1, 0, 0, 0), Generator().manual_seed(1))[:, 0]
    steps = torch.arange(40).float()
    centers = torch.stack([(moved.sum(1) * steps).sum(1), (moved.sum(2) * steps).sum(1)], 1) / moved.sum((1, 2)).unsqueeze(1)
    offsets = (centers - 19.5).abs()
    assert offsets.max() <= 4.01
    assert offsets.max() > 3


def test_erasing_paints_gray_rectangles() -> None:
    out = distort(torch.ones(50, 1, 32, 32), Distortion(0, 0, 0, 0, 0, 0, erase=1.0), Generator().manual_seed(0))
    gray = (out == 0.5).float().mean(dim=(1, 2, 3))
    assert (gray > 0).all()
    assert gray.max() < 0.4**2 + 0.05
    assert set(out.unique().tolist()) == {0.5, 1.0}


def test_same_generator_same_view_and_the_global_one_is_untouched() -> None:
    unit, by = to_unit(some_faces()), Augmentation().strong
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = (distort(unit.clone(), by, Generator().manual_seed(3)) for _ in "ab")
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(first, distort(unit.clone(), by, Generator().manual_seed(4)))
    assert first.min() >= 0
    assert first.max() <= 1


def test_strong_views_are_farther_than_weak_ones() -> None:
    unit = torch.nn.functional.avg_pool2d(to_unit(some_faces(64, 48)), 9, 1, 4)
    far = {
        s: (distort(unit.clone(), getattr(Augmentation(), s), Generator().manual_seed(0)) - unit).abs().mean()
        for s in ("weak", "strong")
    }
    assert far["strong"] > 1.3 * far["weak"]


def test_normalization() -> None:
    unit = to_unit(some_faces())
    assert torch.allclose(normalize(unit, "fixed"), unit * 4 - 2)
    each = normalize(unit, "face")
    assert torch.allclose(each.mean((1, 2, 3)), torch.zeros(8), atol=1e-5)
    assert (each.std((1, 2, 3)) - 1).abs().max() < 0.1


def test_views_of_cached_features_are_of_their_strength() -> None:
    names = ("clean", "mirror", "weak", "strong")
    values = np.arange(4, dtype=np.float16).reshape(1, 4, 1).repeat(300, 0)
    info = Info(classes=("a",), kind="features", channels=1, views=names)
    stored = torch.from_numpy(FaceSet.from_arrays(values, info=info).faces())
    views, noise = Views(info), Generator().manual_seed(0)
    assert set(views.view(stored, "weak", noise).flatten().tolist()) == {0, 1, 2}
    assert set(views.view(stored, "strong", noise).flatten().tolist()) == {3}
    assert set(views.clean(stored).flatten().tolist()) == {0}
    assert set(views.mirror(stored).flatten().tolist()) == {1}
    alone = Views(Info(classes=("a",), kind="features", channels=1, views=("clean",)))
    with pytest.raises(MienError, match="mirror view"):
        alone.mirror(stored[:, :1])
