"""A model that was exported reads as the run does, without torch."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Command
from mien import MienError, Recognizer
from mien.data.faceset import Info, Normalization
from mien.faces.cut import Geometry
from mien.models import Network
from mien.recognize.export import export
from mien.recognize.files import CARD, GRAPH, WEIGHTS, Card
from mien.recognize.graph import write_graph
from mien.recognize.in_onnx import InOnnx
from mien.recognize.networks import build_network, write_model

CLASSES = ("anger", "happiness", "sadness")
SMALL = {"network": "mien_s", "width": 8, "depths": [1, 1, 1]}
CPU = torch.device("cpu")


def network_of(settings: dict[str, Any], info: Info, seed: int = 0) -> Network:
    """Random weights, and statistics of batch normalization that matter."""
    network = build_network(settings, len(info.classes), info, seed)
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.named_buffers():
        if name.endswith("running_mean"):
            value.copy_(torch.randn(value.shape, generator=generator) / 4)
        if name.endswith("running_var"):
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    return network.eval()


def written(folder: Path, settings: dict[str, Any], info: Info, normalize: Normalization = "face", seed: int = 0) -> Path:
    weights = dict(network_of(settings, info, seed).state_dict())
    write_model(folder, weights, Card(settings, info.classes, info, normalize, temperature=1.5))
    return folder


def faces_for(info: Info, count: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    shape = (count, info.side, info.side, 3)[: 4 if info.channels == 3 else 3]
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    info = Info(CLASSES, side=16, alignment="whole")
    export(written(tmp_path / "run", SMALL, info), tmp_path / "model")
    return tmp_path / "model"


@settings(derandomize=True, deadline=None, max_examples=12)
@given(
    side=st.integers(16, 33),
    channels=st.sampled_from([1, 3]),
    normalize=st.sampled_from(["fixed", "face"]),
    width=st.sampled_from([4, 8]),
    depths=st.tuples(*[st.integers(1, 2)] * 3),
    seed=st.integers(0, 9),
)
def test_onnxruntime_gives_what_torch_gives(
    tmp_path_factory: pytest.TempPathFactory,
    side: int,
    channels: int,
    normalize: Normalization,
    width: int,
    depths: tuple[int, int, int],
    seed: int,
) -> None:
    place = tmp_path_factory.mktemp("models")
    info = Info(CLASSES, side=side, channels=channels)
    network = {"network": "mien_s", "width": width, "depths": list(depths)}
    export(written(place / "run", network, info, normalize, seed), place / "model")
    faces = faces_for(info, 70, seed)
    whole, half = Recognizer.load(place / "run", "cpu"), Recognizer.load(place / "model", "cpu")
    assert isinstance(half.runs, InOnnx)
    expected = whole.logits(faces)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(half.logits(faces), expected, atol=0.01 * scale)
    np.testing.assert_allclose(half.logits(faces, flip=True), whole.logits(faces, flip=True), atol=0.01 * scale)
    # The same half weights in torch: nothing but rounding is left.
    same = Recognizer.of(half.network, half.card, CPU)
    np.testing.assert_allclose(half.logits(faces), same.logits(faces), atol=1e-4 * scale)
    np.testing.assert_allclose(half.probabilities(faces).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("network", ["dalnet", "two_scale"])
def test_networks_of_other_layers_are_refused(network: str, tmp_path: Path) -> None:
    run = written(tmp_path / "run", {"network": network}, Info(CLASSES, side=48))
    with pytest.raises(MienError, match="to export it"):
        export(run, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(("network", "side"), [("exprnet", 48), ("resnet18", 48), ("resnet18", 100)])
def test_other_networks_of_known_layers_are_exported(network: str, side: int, tmp_path: Path) -> None:
    info = Info(CLASSES, side=side)
    run = written(tmp_path / "run", {"network": network}, info)
    export(run, tmp_path / "model")
    faces = faces_for(info, 4)
    expected = Recognizer.load(run, "cpu").logits(faces)
    np.testing.assert_allclose(Recognizer.load(tmp_path / "model").logits(faces), expected, atol=0.02 * np.abs(expected).max())


def test_it_is_half_the_size_and_its_weights_lie_there_once(exported: Path) -> None:
    whole = (exported.parent / "run" / WEIGHTS).stat().st_size
    assert (exported / WEIGHTS).stat().st_size < 0.65 * whole
    assert (exported / GRAPH).stat().st_size < 20_000


def test_a_photo_is_read_without_torch(exported: Path) -> None:
    code = (
        "import sys, numpy as np; from mien import Recognizer\n"
        f"found = Recognizer.load({str(exported)!r})(np.full((40, 40, 3), 99, np.uint8))\n"
        "assert len(found) == 1, found\n"
        "print(sorted({'torch', 'scipy', 'matplotlib', 'av'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("name", [WEIGHTS, GRAPH])
@pytest.mark.parametrize("change", [_flipped, lambda content: content[:-9], lambda content: b""])
def test_a_changed_file_is_refused(exported: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    (exported / name).write_bytes(change((exported / name).read_bytes()))
    with pytest.raises(MienError, match="sha256"):
        Recognizer.load(exported, "cpu")


@pytest.mark.parametrize("name", [WEIGHTS, GRAPH, CARD])
def test_a_missing_file_is_told(exported: Path, name: str) -> None:
    (exported / name).unlink()
    with pytest.raises(MienError, match=r"no such file|no model\.json"):
        Recognizer.load(exported, "cpu")


def test_a_card_that_is_changed_is_told(exported: Path) -> None:
    card = json.loads((exported / CARD).read_text())
    faces = dict(card["faces"], side=20)
    for change in ({"classes": ["a"]}, {"wrong": 1}, {"faces": faces}, {"classes": 1}):
        (exported / CARD).write_text(json.dumps(card | change))
        with pytest.raises(MienError):
            Recognizer.load(exported, "cpu")
    (exported / CARD).write_text(json.dumps(card | {"network": {"network": "mien_s", "width": "os.system"}}))
    with pytest.raises(MienError, match="width"):
        print(Recognizer.load(exported, "cpu").network)
    (exported / CARD).write_text("{")
    with pytest.raises(MienError, match="JSON"):
        Recognizer.load(exported, "cpu")


def test_a_pickle_is_never_read(exported: Path) -> None:
    torch.save({"weights": torch.zeros(1)}, exported / WEIGHTS)
    with pytest.raises(MienError, match="sha256"):
        Recognizer.load(exported, "cpu")


def test_export_on_the_command_line(tmp_path: Path, mien: Command) -> None:
    run = written(tmp_path / "run", SMALL, Info(CLASSES, side=16))
    done = mien("export", run, tmp_path / "model", "--align", "box margin=0; haar; largest", "--json")
    assert done.code == 0
    alignment = str(Geometry("box margin=0", "haar", "largest"))
    assert json.loads(done.out)["alignment"] == Recognizer.load(tmp_path / "model").card.faces.alignment == alignment
    again, unknown = mien("export", run, tmp_path / "model"), mien("export", run, tmp_path / "other", "--align", "round")
    assert again.code == 1
    assert "a new or an empty folder" in again.err
    assert unknown.code == 1
    assert "an alignment" in unknown.err
    shutil.rmtree(run)  # the model stands alone
    assert Recognizer.load(tmp_path / "model").network.shape == (1, 16, 16)


def test_a_sum_with_a_number_is_refused(tmp_path: Path) -> None:
    """ONNX would take it for a sum of one."""

    class Lifted(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1

    info = Info(CLASSES, side=16)
    network = network_of(SMALL, info)
    lifted = Network({**dict(network.blocks.items()), "lifted": Lifted()}, network.head, network.shape)
    with pytest.raises(MienError, match="to export it"):
        write_graph(lifted, info, "face", b"")
