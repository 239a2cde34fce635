"""The model in the box: small, whole, and able to read."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import Command
from mien import MienError, Recognizer
from mien.faces.crop import CropSpec
from mien.recognize.bundled import BUNDLED, find_model
from mien.recognize.model_folder import CARD, GRAPH, WEIGHTS
from mien.recognize.onnx_backend import OnnxBackend

FOLDER = BUNDLED["mien-s"]
MOST_BYTES = {"mien-s": 2_000_000, "mien-xs": 600_000}
CLASSES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")


@pytest.mark.parametrize("model", BUNDLED)
def test_it_is_small_and_its_hashes_are_right(model: str) -> None:
    folder = BUNDLED[model]
    assert sum(file.stat().st_size for file in folder.iterdir()) < MOST_BYTES[model]
    assert {file.name for file in folder.iterdir()} == {CARD, WEIGHTS, GRAPH, "README.md"}
    card = json.loads((folder / CARD).read_text())
    for name, key in ((WEIGHTS, "weights"), (GRAPH, "graph")):
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == card[key]
    assert "/" not in json.dumps({key: card[key] for key in ("recipe", "budget", "sources")})  # no path of a machine


@pytest.mark.parametrize("model", BUNDLED)
def test_it_reads_faces_alike_in_onnxruntime_and_in_torch(model: str) -> None:
    recognizer = Recognizer.load(model, "cpu")
    assert isinstance(recognizer.backend, OnnxBackend)
    assert recognizer.classes == CLASSES
    assert recognizer.crop_spec.gives_landmarks
    faces = np.random.default_rng(0).integers(0, 256, (70, 48, 48), np.uint8)
    logits = recognizer.logits(faces)
    torch_s = Recognizer.of(recognizer.network, recognizer.card, recognizer.device).logits(faces)
    np.testing.assert_allclose(logits, torch_s, atol=1e-3)


def test_the_first_one_is_taken_unless_told_otherwise() -> None:
    assert Recognizer.load(device="cpu").card == Recognizer.load("mien-s", "cpu").card


@pytest.mark.parametrize("model", BUNDLED)
def test_its_readme_says_what_its_card_says(model: str) -> None:
    card, text = Recognizer.load(model, "cpu").card, (BUNDLED[model] / "README.md").read_text()
    assert text.startswith(f"# {model}\n")
    assert f"{card.temperature:.3f}" in text
    assert f"{card.conformal_threshold:.3f}" in text
    assert f"a probability of {card.confidence_threshold:.3f} or more" in text
    assert 0.5 < card.confidence_threshold < 0.95
    assert card.faces.alignment in text
    assert f"{card.budget['train']:,}" in text
    for name in CLASSES:
        assert re.search(rf"^\| {name} \| \d+ \|", text, re.MULTILINE), name
    assert "rights are not cleared" in text
    assert "2024/1689" in text


def test_a_box_is_found_by_its_name_alone(tmp_path: Path) -> None:
    assert find_model("mien-s") == find_model(Path("mien-s")) == FOLDER
    assert find_model(tmp_path / "mien-s") == tmp_path / "mien-s"
    with pytest.raises(MienError, match="no model"):
        Recognizer.load("mien-xl", "cpu")


def test_photos_are_read_by_it_unless_told_otherwise(tmp_path: Path, mien: Command) -> None:
    """Nothing but gray: no face, said."""
    from PIL import Image

    Image.new("RGB", (64, 64), (90, 90, 90)).save(tmp_path / "a.png")
    done = mien("predict", tmp_path / "a.png", "--json")
    assert done.code == 0
    assert json.loads(done.out)["faces"] == []
    assert Recognizer.load(device="cpu").read([np.zeros((64, 64, 3), np.uint8)], CropSpec("whole"))[0][0].top in CLASSES


def test_it_starts_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from mien import Recognizer\n"
        "Recognizer.load('mien-s', 'cpu')(np.zeros((64, 64, 3), np.uint8))\n"
        "print(sorted({'torch', 'scipy', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
