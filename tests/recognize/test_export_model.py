"""A model that was exported reads as the run does, without torch."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic.dataclasses import dataclass
from typing_extensions import override

from conftest import Command
from mien import MienError, Recognizer
from mien.data.faceset import Normalization
from mien.data.format import Info
from mien.faces.crop import CropSpec
from mien.faces.detect import Detector
from mien.faces.face import Face
from mien.media.photos import Photo
from mien.models import Network
from mien.recognize.export_model import export
from mien.recognize.model_card import ModelCard, read_card
from mien.recognize.model_folder import CARD, GRAPH, WEIGHTS
from mien.recognize.onnx_backend import OnnxBackend
from mien.recognize.onnx_export import write_graph
from mien.recognize.saved_networks import build_network, read_network, write_model
from mien.settings import STRICT
from teachers import tiny_onnx

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
    write_model(folder, weights, ModelCard(settings, info.classes, info, normalize, temperature=1.5))
    return folder


def faces_for(info: Info, count: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    shape = (count, info.side, info.side, 3)[: 4 if info.channels == 3 else 3]
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@dataclass(frozen=True, config=STRICT)
class Boxes(Detector):
    """A detector for tests: in every photo a face without landmarks."""

    @override
    def __call__(self, photos: Sequence[Photo]) -> list[tuple[Face, ...]]:
        """One box each."""
        return [(Face((5.0, 5.0, 30.0, 30.0), None, 1.0),) for _ in photos]


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
    assert isinstance(half.backend, OnnxBackend)
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


def test_thresholds_keep_their_keys_in_the_file(exported: Path) -> None:
    stored = json.loads((exported / CARD).read_text())
    assert not {"conformal_threshold", "confidence_threshold"} & set(stored)
    card = read_card(changed(exported, {"least": 0.25, "sure": 0.75}))
    assert (card.conformal_threshold, card.confidence_threshold) == (0.25, 0.75)
    assert (card.to_json()["least"], card.to_json()["sure"]) == (0.25, 0.75)
    with pytest.raises(MienError, match="conformal_threshold"):
        read_card(changed(exported, {"conformal_threshold": 0.25}))


def changed(folder: Path, values: Mapping[str, Any]) -> Path:
    """The model, whose card says something else."""
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(card | values))
    return folder


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"temperature": 0}, "temperature = 0"),
        ({"temperature": -1.5}, "temperature = -1.5"),
        ({"temperature": float("nan")}, "temperature = nan"),
        ({"temperature": float("inf")}, "temperature = inf"),
        ({"least": 7}, "least = 7"),
        ({"least": -0.1}, "least = -0.1"),
        ({"least": float("nan")}, "least = nan"),
        ({"version": 99}, "a model of version 1; found version 99"),
        ({"version": 99, "fresh": 1}, "a model of version 1; found version 99"),
        ({"version": "new"}, "a model of version 1; found version new"),
        ({"classes": ["anger"] * 3}, "classes that differ in"),
        ({"classes": [*CLASSES[:2], "joy"]}, "found anger, happiness, joy and anger, happiness, sadness"),
        ({"classes": CLASSES[::-1]}, "found sadness, happiness, anger and anger"),
        ({"classes": []}, "found none and anger"),
    ],
)
def test_a_card_of_no_sense_is_refused(exported: Path, values: Mapping[str, Any], found: str) -> None:
    for folder in (exported, exported.parent / "run"):
        with pytest.raises(MienError, match=found):
            Recognizer.load(changed(folder, values), "cpu")


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"width": 16}, r"blocks\.stem\.0\.weight of shape \(16, 1, 3, 3\) by its card .*; found \(8, 1, 3, 3\)"),
        ({"width": 1 << 9}, r"shape \(512, 1, 3, 3\).*; found \(8, 1, 3, 3\)"),
        ({"width": 1 << 16}, "at most 1,000,000,000 parameters"),
        ({"width": 10**9}, "value should be less than or equal to 65536.*found width = 1000000000"),
        ({"width": -8}, "value should be greater than or equal to 1.*found width = -8"),
        ({"width": True}, "a number, not true or false.*found width = True"),
        ({"width": float("nan")}, "found width = nan"),
        ({"width": 8.5}, "found width = 8.5"),
        ({"width": "9" * 10**6}, r"found width = '9+\.\.\.9+'"),
        ({"dropout": 7}, "value should be less than or equal to 1.*found dropout = 7"),
        ({"dropout": float("inf")}, "found dropout = inf"),
        ({"depths": [10**9, 1, 1]}, r"value should be less than or equal to 64.*found depths\.0 = 1000000000"),
        ({"depths": [1, -1, 1]}, r"found depths\.1 = -1"),
        ({"depths": [1, 1, 2]}, r"stage3_2.*; found none"),
        ({"depths": [1, 1, 0]}, r"head\.3\.weight of shape"),
        ({"wide": 16}, "to be given width, depths, grid, dropout; found 'wide'"),
        ({"copies": 2}, r"head\..* of shape"),
        ({"copies": 10**9}, "1 to 1000; found 1000000000"),
        ({"copies": True}, "1 to 1000; found True"),
        ({"copies": "3"}, "1 to 1000; found '3'"),
        ({"network": None}, "the name of a network"),
    ],
)
def test_weights_of_other_shapes_are_refused_before_memory_is_taken(exported: Path, settings: dict[str, Any], found: str) -> None:
    for folder in (exported, exported.parent / "run"):
        with pytest.raises(MienError, match=found):
            read_network(changed(folder, {"network": SMALL | settings}))


def test_weights_that_are_too_many_are_refused(tmp_path: Path) -> None:
    run = written(tmp_path / "run", SMALL | {"depths": [1, 1, 2]}, Info(CLASSES, side=16))
    with pytest.raises(MienError, match=r"expected no blocks\.stage3_2.* by its card"):
        read_network(changed(run, {"network": SMALL}))


EVIL = "open({mark!r}, 'w').close()\nfrom mien.models.mien_s import MienS as Net\nfrom mien.faces.align.box import Box as Way\n"


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that a module `evil_mod`, which can be imported, makes when it is."""
    mark = tmp_path / "imported"
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "evil_mod.py").write_text(EVIL.format(mark=str(mark)))
    monkeypatch.syspath_prepend(tmp_path / "there")
    monkeypatch.delitem(sys.modules, "evil_mod", raising=False)
    return mark


@pytest.mark.parametrize("kind", ["run", "model"])
def test_a_card_imports_no_network(exported: Path, evil: Path, kind: str) -> None:
    folder = changed(exported.parent / kind, {"network": SMALL | {"network": "evil_mod:Net"}})
    (folder / "run.json").write_text("{}")  # a run may be given away, too
    with pytest.raises(MienError, match="whose module is imported already; found 'evil_mod:Net'; import evil_mod before, if you"):
        print(Recognizer.load(folder, "cpu").network)
    assert not evil.exists()
    assert "evil_mod" not in sys.modules


@pytest.mark.parametrize("kind", ["run", "model"])
@pytest.mark.parametrize(
    "alignment", ["evil_mod:Way; mtcnn; largest", " evil_mod:Way  margin=0 ;mtcnn;all", "box margin=0; evil_mod:Finder; largest"]
)
def test_a_card_imports_no_way_and_no_detector(exported: Path, evil: Path, kind: str, alignment: str, mien: Command) -> None:
    faces = dict(json.loads((exported / CARD).read_text())["faces"], alignment=alignment)
    recognizer = Recognizer.load(changed(exported.parent / kind, {"faces": faces}), "cpu")
    for read in (lambda: recognizer(np.zeros((40, 40, 3), np.uint8)), lambda: recognizer.crop_spec):
        with pytest.raises(MienError, match="whose module is imported already; found 'evil_mod:"):
            read()
    assert len(recognizer.read([np.zeros((40, 40, 3), np.uint8)], CropSpec("whole"))[0]) == 1  # the caller's own words
    done = mien("export", recognizer.folder, evil.parent / "replaced", "--align", "whole")
    assert (done.code, done.err) == (0, "")
    assert not evil.exists()


@pytest.mark.parametrize(
    "name", ["subprocess:Popen", "json:JSONDecoder", "pathlib:Path", "json:nothing", "json:loads", ":", "json:"]
)
def test_what_is_no_part_of_a_model_is_told(exported: Path, name: str) -> None:
    with pytest.raises(MienError):
        read_network(changed(exported, {"network": {"network": name, "args": "true"}}))


def test_what_is_imported_already_is_trusted(exported: Path, evil: Path) -> None:
    __import__("evil_mod")
    assert evil.exists()
    run = changed(exported.parent / "run", {"network": SMALL | {"network": "evil_mod:Net"}})
    faces = dict(json.loads((run / CARD).read_text())["faces"], alignment="evil_mod:Way; mtcnn; largest")
    recognizer = Recognizer.load(changed(run, {"faces": faces}), "cpu")
    assert recognizer.crop_spec == CropSpec("evil_mod:Way", "mtcnn", "all")
    assert recognizer.network.shape == (1, 16, 16)
    assert recognizer(np.zeros((40, 40, 3), np.uint8)) == ()


def test_a_users_own_network_is_read_by_a_command_that_imports_it(exported: Path, evil: Path, mien: Command) -> None:
    run, out = changed(exported.parent / "run", {"network": SMALL | {"network": "evil_mod:Net"}}), evil.parent / "out"
    refused = mien("export", run, out)
    assert (refused.code, "import evil_mod before, if you trust it" in refused.err) == (1, True)
    assert not evil.exists()
    words = [sys.executable, "-c", "import evil_mod; from mien.cli import main; main()", "export", str(run), str(out)]
    environment = os.environ | {"PYTHONPATH": str(evil.parent / "there"), "OMP_NUM_THREADS": "1"}
    subprocess.run(words, env=environment, capture_output=True, check=True)
    # What was exported needs the module no more, but in torch.
    assert Recognizer.load(out, "cpu").logits(faces_for(Info(CLASSES, side=16), 2)).shape == (2, 3)
    with pytest.raises(MienError, match="import evil_mod before"):
        print(Recognizer.load(out, "cpu").network)


def test_a_file_beside_the_model_is_read_for_a_run_alone(tmp_path: Path) -> None:
    network = {"network": "onnx_facenet", "path": str(tiny_onnx(tmp_path / "net.onnx", side=32)), "output": "map"}
    folder = written(tmp_path / "run" / "model", network, Info(CLASSES, side=32))
    with pytest.raises(MienError, match=r"a model that reads no file beyond its folder.*net\.onnx; name its run"):
        Recognizer.load(folder, "cpu")
    (tmp_path / "run" / "run.json").write_text("{}")
    expected = Recognizer.load(folder, "cpu").logits(faces_for(Info(CLASSES, side=32), 2))
    np.testing.assert_array_equal(Recognizer.load(tmp_path / "run", "cpu").logits(faces_for(Info(CLASSES, side=32), 2)), expected)


def test_a_way_that_cannot_work_is_refused(tmp_path: Path, mien: Command) -> None:
    run = written(tmp_path / "run", SMALL, Info(CLASSES, side=16, alignment="eyes; haar; largest"))
    done = mien("export", run, tmp_path / "model", "--align", "eyes; haar; largest")
    assert (done.code, "a detector that gives landmarks, for eyes" in done.err) == (1, True)
    assert not (tmp_path / "model").exists()
    recognizer = Recognizer.load(run, "cpu")
    with pytest.raises(MienError, match="a detector that gives landmarks, for eyes"):
        recognizer(np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(MienError, match="a detector that gives landmarks, for eyes"):
        recognizer.read([], CropSpec("eyes", "haar"))


def test_a_face_without_landmarks_is_not_no_face(tmp_path: Path) -> None:
    """A user's own detector does not say beforehand what it gives."""
    card = ModelCard(SMALL, CLASSES, Info(CLASSES, side=16))
    recognizer = Recognizer.of(network_of(SMALL, card.faces), card, CPU)
    photo = np.zeros((40, 40, 3), np.uint8)
    with pytest.raises(MienError, match=r"cut out by eyes .*Boxes; all; found one with no landmarks to align it by; take a det"):
        recognizer.read([photo], CropSpec("eyes", "test_export_model:Boxes", "all"))
    assert len(recognizer.read([photo], CropSpec("box", "test_export_model:Boxes", "all"))[0]) == 1


def test_a_pickle_is_never_read(exported: Path) -> None:
    torch.save({"weights": torch.zeros(1)}, exported / WEIGHTS)
    with pytest.raises(MienError, match="sha256"):
        Recognizer.load(exported, "cpu")


def test_export_on_the_command_line(tmp_path: Path, mien: Command) -> None:
    run = written(tmp_path / "run", SMALL, Info(CLASSES, side=16))
    done = mien("export", run, tmp_path / "model", "--align", "box margin=0; haar; largest", "--json")
    assert done.code == 0
    alignment = str(CropSpec("box margin=0", "haar", "largest"))
    assert json.loads(done.out)["alignment"] == Recognizer.load(tmp_path / "model").card.faces.alignment == alignment
    again, unknown = mien("export", run, tmp_path / "model"), mien("export", run, tmp_path / "other", "--align", "round")
    assert again.code == 1
    assert "a new or an empty folder" in again.err
    assert unknown.code == 1
    assert "expected WAY; DETECTOR; WHICH, such as 'eyes; mtcnn; largest'" in unknown.err
    assert (
        "found 'round'; choose a way of box, eyes, outline, whole, a detector of dlib, haar, mtcnn, and faces of" in unknown.err
    )
    assert done.err == ""
    changed = mien("export", tmp_path / "model", tmp_path / "changed", "--align", "box margin=0; mtcnn; largest")
    assert (changed.code, "in the new model faces are cut out by 'mtcnn" in changed.err) == (0, True), changed.err
    assert "as the model's card says" in changed.err
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
