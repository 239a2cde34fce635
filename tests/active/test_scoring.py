"""What is seen of a pool, against the recognizer and loops over faces and crops; never more than a block of it in memory."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.special import softmax

from conftest import StopAfter, bright_faces, small_recipe
from mien import FaceSet, MienError, Recognizer, TrainingSettings, train
from mien.active import scoring
from mien.active.acquire import Acquire
from mien.active.acquire.diverse import Diverse
from mien.active.acquire.entropy import Entropy
from mien.active.acquire.margin import Margin
from mien.active.acquire.random import Random
from mien.active.acquire.worthiness import Worthiness
from mien.active.scoring import patch_crops, score_pool
from mien.data.format import Info
from mien.recognize.model_card import ModelCard
from mien.recognize.saved_networks import build_network
from mien.registry import build_component, component_names
from moving import CLASSES, MIEN_S, told
from runs import features as cached_features

CPU = torch.device("cpu")
LARGEST = 8 * 9 * 9
"""Numbers in the largest map that MIEN_S makes of a face of 18 pixels."""


def noise(count: int = 7, side: int = 18, channels: int = 1) -> FaceSet:
    shape = (count, side, side) if channels == 1 else (count, side, side, channels)
    return FaceSet.from_arrays(np.random.default_rng(0).integers(0, 256, shape, np.uint8), classes=CLASSES)


def recognizer_of(faces: FaceSet, network: dict[str, Any] | None = None, **card: Any) -> Recognizer:
    """One with random weights, whose predictions differ, at a temperature that shows."""
    settings = network or MIEN_S
    made = build_network(settings, len(faces.classes), faces.info, seed=1).eval()
    with torch.no_grad():
        for head in (module for module in made.head.modules() if isinstance(module, torch.nn.Linear)):
            head.weight.mul_(60)
    whole = {"recipe": {"precision": "float32"}, "temperature": 1.7, **card}
    return Recognizer.of(made, ModelCard(settings, faces.classes, faces.info, **whole), CPU)


def enlarged(crop: npt.NDArray[Any], side: int) -> npt.NDArray[np.float64]:
    """Bilinear, number by number: pixel centers of the one lie among those of the other."""
    found = np.zeros((side, side))
    scale = len(crop) / side
    for y in range(side):
        for x in range(side):
            down, across = max(0.0, (y + 0.5) * scale - 0.5), max(0.0, (x + 0.5) * scale - 0.5)
            top, left = int(down), int(across)
            bottom, right = min(top + 1, len(crop) - 1), min(left + 1, len(crop) - 1)
            v, u = down - top, across - left
            upper = (1 - u) * crop[top, left] + u * crop[top, right]
            lower = (1 - u) * crop[bottom, left] + u * crop[bottom, right]
            found[y, x] = (1 - v) * upper + v * lower
    return found


@torch.no_grad()
def patches_by_loops(recognizer: Recognizer, faces: FaceSet) -> npt.NDArray[np.float64]:
    """(N, 9, K): every crop of every face cut, enlarged, normalized and predicted on its own."""
    found = []
    for face in faces.faces().astype(np.float64) / 255:
        side, rows = len(face), []
        for down in (0, 2, 4):
            for across in (0, 2, 4):
                planes = face[down : down + side - 4, across : across + side - 4]
                planes = planes[None] if face.ndim == 2 else planes.transpose(2, 0, 1)
                shown = np.stack([enlarged(plane, side) for plane in planes])
                if recognizer.card.normalize == "fixed":
                    shown = (shown - 0.5) * 4
                else:
                    shown = (shown - shown.mean()) / (shown.std(ddof=1) + 0.02)
                logits = recognizer.network(torch.from_numpy(shown).float()[None])[0].double().numpy()
                rows.append(softmax(logits / recognizer.card.temperature))
        found.append(rows)
    return np.array(found)


def test_a_crop_is_as_large_as_is_said() -> None:
    faces = torch.zeros(1, 1, 16, 16)
    faces[0, 0, 5:11, 5:11] = 1  # in all crops
    faces[0, 0, 0, 15] = 9  # in the upper right one alone
    found = patch_crops(faces, 0.75)
    assert found.shape == (1, 9, 1, 16, 16)
    assert [float(crop.max()) > 1 for crop in found[0]] == [number == 2 for number in range(9)]
    # 12 of 16 pixels, so that 6 become 8.
    assert [int((crop.clamp(max=1) > 0.5)[0, :, 8].sum()) for crop in found[0]] == [8] * 9
    assert torch.equal(patch_crops(faces, 1.0), faces[:, None].expand(-1, 9, -1, -1, -1))


@pytest.mark.parametrize(("channels", "normalize"), [(1, "fixed"), (1, "face"), (3, "fixed"), (3, "face")])
def test_patches_are_those_of_loops(channels: int, normalize: str) -> None:
    faces = noise(3, channels=channels)
    recognizer = recognizer_of(faces, normalize=normalize)
    found = score_pool(recognizer, faces, Worthiness(patch_side=0.75))
    expected = patches_by_loops(recognizer, faces)
    assert found.patches.shape == (3, 9, 3)
    assert np.abs(found.patches - expected).max() < 1e-4
    assert np.ptp(expected, axis=1).max() > 0.05, "patches that all look the same would test nothing"
    wider = score_pool(recognizer, faces, Worthiness()).patches
    assert np.abs(wider - found.patches).max() > 0.01, "by default they are larger"
    assert found.features is None


def test_a_face_is_seen_as_it_is_recognized() -> None:
    faces = noise()
    recognizer = recognizer_of(faces)
    found = score_pool(recognizer, faces, Margin())
    assert found.patches.dtype == np.float32
    assert np.abs(found.patches[:, 0] - recognizer.probabilities(faces)).max() < 1e-6
    assert found.patches.shape == (7, 1, 3)
    warm = replace(recognizer, card=replace(recognizer.card, temperature=50.0))
    assert score_pool(warm, faces, Margin()).patches.max() < found.patches.max()


@torch.no_grad()
def test_features_are_averaged_maps_and_the_face_comes_with_them() -> None:
    faces, known = noise(), noise(3).select([2, 0])
    recognizer = recognizer_of(faces)
    found = score_pool(recognizer, faces, Diverse(), known)
    inputs = (torch.from_numpy(faces.faces()).float()[:, None] / 255 - 0.5) * 4
    maps = recognizer.network.features(inputs, "stage3_1").numpy()
    assert found.features is not None
    assert found.features.dtype == np.float32
    assert np.abs(found.features - maps.reshape(7, 32, -1).mean(axis=2)).max() < 1e-5
    assert np.abs(found.patches[:, 0] - recognizer.probabilities(faces)).max() < 1e-6
    assert found.known is not None
    assert np.abs(found.known - found.features[[2, 0]]).max() < 1e-6
    for nobody in (None, faces.select(np.array([], np.int64))):
        assert score_pool(recognizer, faces, Diverse(), nobody).known is None
    assert score_pool(recognizer, faces, Margin(), known).known is None, "what nobody asks for is not computed"


@pytest.mark.parametrize("network", [{"network": "two_scale", "width": 0.1}, {**MIEN_S, "copies": 3}], ids=["heads", "copies"])
@pytest.mark.parametrize("strategy", [Margin(), Diverse()])
def test_of_several_heads_the_last_decides(network: dict[str, Any], strategy: Acquire) -> None:
    faces = noise(side=32)
    recognizer = recognizer_of(faces, network)
    found = score_pool(recognizer, faces, strategy)
    assert np.abs(found.patches[:, 0] - recognizer.probabilities(faces)).max() < 1e-6


def test_nothing_is_computed_for_random(monkeypatch: pytest.MonkeyPatch) -> None:
    faces = noise()
    recognizer = recognizer_of(faces)
    monkeypatch.setattr(FaceSet, "faces", lambda *_: pytest.fail("pixels were read"))
    found = score_pool(recognizer, faces, Random())
    assert found.patches.shape == (7, 0, 3)
    assert sorted(Random()(found, 7, np.random.default_rng(0))) == list(range(7))


def three_views() -> FaceSet:
    """Cached features whose first view is not the face."""
    values = np.random.default_rng(0).normal(size=(5, 3, 3)).astype(np.float16)
    return FaceSet.from_arrays(values, info=Info(CLASSES, "features", channels=3, views=("mirror", "clean", "weak")))


def test_of_cached_features_the_clean_view_is_the_face_and_all_views_are_patches() -> None:
    recognizer, faces = told([0, 1, 2])[0], three_views()
    face, patches = score_pool(recognizer, faces, Entropy()).patches, score_pool(recognizer, faces, Worthiness()).patches
    assert patches.shape == (5, 3, 3)
    assert np.abs(face[:, 0] - recognizer.probabilities(faces)).max() < 1e-6
    assert np.abs(face[:, 0] - patches[:, 1]).max() < 1e-6
    # That recognizer gives four times what it sees.
    assert np.abs(patches - softmax(4 * faces.faces().astype(np.float64), axis=2)).max() < 1e-4


def test_of_cached_features_the_clean_view_has_the_features() -> None:
    recognizer, faces = told([0, 1, 2])[0], three_views()
    found = score_pool(recognizer, faces, Diverse(), faces.select([0]))
    assert found.features is not None
    assert found.known is not None
    assert np.abs(found.features - faces.faces()[:, 1].astype(np.float32)).max() < 1e-4
    assert np.abs(found.known - found.features[:1]).max() < 1e-6


@pytest.mark.parametrize("strategy", [Margin(), Worthiness(), Diverse()])
@pytest.mark.parametrize("values", [1, 2 * 9 * LARGEST, 3 * 9 * LARGEST])
def test_blocks_of_any_size_give_the_same(strategy: Acquire, values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = noise()
    recognizer, known = recognizer_of(faces), faces.select([1, 3])
    whole = score_pool(recognizer, faces, strategy, known)
    monkeypatch.setattr(scoring, "VALUES", values)
    found = score_pool(recognizer, faces, strategy, known)
    assert np.allclose(found.patches, whole.patches, atol=1e-5)
    for key in ("features", "known"):
        one, other = getattr(found, key), getattr(whole, key)
        assert (one is None) == (other is None)
        assert one is None or np.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize(("strategy", "most"), [(Margin(), 18), (Worthiness(), 2), (Diverse(), 18)])
def test_no_more_than_a_block_is_ever_read(strategy: Acquire, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise(50).save(tmp_path / "set")
    rows = np.random.default_rng(1).permutation(50)[:41]
    faces, asked, given = FaceSet.open(tmp_path / "set").select(rows), [], []
    recognizer, read = recognizer_of(faces), FaceSet.faces

    def spied(self: FaceSet, rows: npt.ArrayLike | None = None) -> npt.NDArray[Any]:
        assert rows is not None
        asked.append(len(np.asarray(rows)))
        return read(self, rows)

    recognizer.network.blocks["stem"].register_forward_hook(lambda _, inputs, __: given.append(len(inputs[0])))
    monkeypatch.setattr(FaceSet, "faces", spied)
    monkeypatch.setattr(scoring, "VALUES", 18 * LARGEST)
    found = score_pool(recognizer, faces, strategy)
    assert sum(asked) == 41
    assert max(asked) == most
    assert max(given) == 18
    monkeypatch.undo()
    one = score_pool(recognizer, noise(50).select(rows), strategy)
    assert np.allclose(found.patches, one.patches, atol=1e-5), "a view of a stored set is what it is in memory"


def test_progress_counts_every_face() -> None:
    class Counted(StopAfter):
        def __init__(self) -> None:
            super().__init__(1000)
            self.begun: list[int] = []
            self.done = 0

        def begin(self, title: str, total: int) -> None:
            self.begun.append(total)

        def advance(self, faces: int) -> None:
            self.done += faces

    faces, counted = noise(), Counted()
    score_pool(recognizer_of(faces), faces, Diverse(), faces.select([0, 1]), counted)
    assert counted.begun == [2, 7]
    assert counted.done == 9


def test_what_cannot_be_seen_is_refused() -> None:
    faces = noise()
    recognizer = recognizer_of(faces)
    for strategy in (Random(), Margin()):
        with pytest.raises(MienError, match="an empty pool"):
            score_pool(recognizer, faces.select(np.array([], np.int64)), strategy)
        for others in (noise(side=20), noise(channels=3), cached_features()):
            with pytest.raises(MienError, match="as the model was trained on"):
                score_pool(recognizer, others, strategy)
    with pytest.raises(MienError, match="as the model was trained on"):
        score_pool(recognizer, faces, Diverse(), noise(side=20))
    with torch.no_grad():
        for weights in recognizer.network.head.parameters():
            weights.fill_(torch.nan)
    with pytest.raises(MienError, match="add up to 1; found 7 faces"):
        score_pool(recognizer, faces, Margin())


def test_a_trained_recognizer_asks_about_the_faces_it_cannot_tell(tmp_path: Path) -> None:
    recipe = small_recipe(stages=[{"epochs": 12, "lr": 0.05, "schedule": "one_cycle"}])
    recognizer = train(bright_faces(), recipe, tmp_path / "run", TrainingSettings(threads=1))
    clear = bright_faces(60, seed=5)
    mixed = clear.faces()[:30].astype(np.float32)
    mixed = ((mixed + mixed[np.r_[1:30, 0]]) / 2).astype(np.uint8)  # of two classes each
    pool = FaceSet.from_arrays(np.concatenate([clear.faces(), mixed]), classes=clear.classes)
    shares = {}
    for name in component_names("mien.active.acquire"):
        strategy: Acquire = build_component("mien.active.acquire", {"strategy": name}, "strategy")
        chosen = strategy(score_pool(recognizer, pool, strategy, clear), 20, np.random.default_rng(0))
        shares[name] = float((chosen >= 60).mean())
    # A third of the pool is mixed, and so is about a third of what chance takes.
    assert shares.pop("random") < 0.6
    del shares["typical"]  # It looks at no prediction.
    assert min(shares.values()) > 0.7, shares
