"""The page with a model of color, files of one model in onnxruntime-web, and the command that compares the page with Python."""

import base64
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from page_visits import Opener
from PIL import Image
from playwright.sync_api import Page

from drawn import photos
from mien import FaceSet
from mien.data.format import Info
from mien.faces.crop import CropSpec
from mien.onnx_file import open_session
from mien.recognize import int8_export
from mien.recognize.export_model import export
from mien.recognize.model_card import ModelCard
from mien.recognize.one_file import export_one_file
from mien.recognize.saved_networks import build_network, write_model

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from browser_same import differences, opened, summary
from other_browsers import ANSWERED, answer_of

pytest_plugins = ("opened_page",)

SIDE, CLASSES = 24, ("anger", "happiness", "sadness")
TINT = np.array([[0.9, 0.3, 0.1], [0.1, 0.8, 0.2], [0.3, 0.1, 0.6]], np.float32)
RUN = """async ([file, values, shape]) => {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const { network } = await import("./app/runtime.js");
  const read = await network(bytes(file));
  return [...(await read(new Float32Array(bytes(values).buffer), shape)).data];
}"""
CALLED = "(text) => new Promise((done) => (function () { %s })(text, done))"


def text(content: bytes) -> str:
    """Bytes in base64."""
    return base64.b64encode(content).decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small exported network of color faces with random weights."""
    info = Info(CLASSES, side=SIDE, channels=3, alignment=str(CropSpec("eyes distance=0.37 height=0.39")))
    settings = {"network": "mien_s", "width": 8, "depths": [1, 1, 1]}
    weights = dict(build_network(settings, 3, info, 0).state_dict())
    made = tmp_path_factory.mktemp("color")
    write_model(made / "run", weights, ModelCard(settings, CLASSES, info, "fixed"))
    export(made / "run", made / "model")
    return made / "model"


@pytest.fixture(scope="module")
def colored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with drawn photos whose colors differ."""
    made = tmp_path_factory.mktemp("photos")
    for number, photo in enumerate(photos()):
        shades = np.stack([photo[..., 0], np.roll(photo[..., 0], 2, 0), np.roll(photo[..., 0], 2, 1)], axis=2)
        Image.fromarray((0.5 * photo + 0.5 * shades @ TINT).clip(0, 255).astype(np.uint8)).save(made / f"{number}.png")
    return made


def test_crops_and_logits_of_a_color_model_are_those_of_python(opener: Opener, folder: Path, colored: Path) -> None:
    """By the command that compares both: other crops may be only where a place lies between two points of the grid."""
    found = list(differences(colored, folder, partial(opened, opener)))
    assert {name for name, *_ in found} == {f"{number}.png" for number in range(4)}
    for _, moved, gray, logits in found:
        assert moved <= 1.01 / 32
        assert logits < 1e-3 or gray > 0
    assert np.mean([gray == 0 for _, _, gray, _ in found]) > 0.5
    assert summary(found).startswith(f"{len(found)} faces, ")


def test_photos_without_a_face_are_compared_too(opener: Opener, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (60, 50), (90, 120, 40)).save(tmp_path / "photos" / "empty.png")
    found = list(differences(tmp_path / "photos", folder, partial(opened, opener)))
    assert (found, summary(found)) == ([], "no face was found, neither in the page nor in Python")


def test_errors_of_the_page_are_told_in_its_own_words(page: Page) -> None:
    script = "async (text) => { if (text) throw new Error(text); return [1]; }"
    assert answer_of(page.evaluate(CALLED % ANSWERED % script, "")) == [1]
    with pytest.raises(RuntimeError, match=r"Error: no {model} here"):
        answer_of(page.evaluate(CALLED % ANSWERED % script, "no {model} here"))


@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_one_file_gives_the_same_logits_in_onnxruntime_web(
    page: Page, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Of eight bits nearly the same: a value between two steps may go to the next one, by the processor."""
    monkeypatch.setattr(int8_export, "MOST_LOST", 1.0)  # what random weights lose is of no interest
    file, pixels = tmp_path / "model.onnx", np.random.default_rng(0).integers(0, 256, (600, 4, 4, 3), np.uint8)
    faces = pixels.repeat(SIDE // 4, axis=1).repeat(SIDE // 4, axis=2)
    if kind == "float32":
        export_one_file(folder, file)
    else:
        int8_export.export_int8(folder, file, FaceSet.from_arrays(faces, np.arange(600) % 3, CLASSES))
    shown = np.ascontiguousarray(faces[:5].transpose(0, 3, 1, 2), np.float32)
    (ours,) = open_session(file.read_bytes(), 1).run(None, {"faces": shown})
    found = page.evaluate(RUN, [text(file.read_bytes()), text(shown.tobytes()), list(shown.shape)])
    np.testing.assert_allclose(np.reshape(found, ours.shape), ours, atol=1e-3 if kind == "float32" else 0.05 * np.ptp(ours))
