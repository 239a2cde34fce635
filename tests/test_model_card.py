"""benchmarks/model_card.py: it writes what the READMEs of the models in the box hold, and one for a model of any name."""

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import model_card
from mien import FaceSet, Recognizer
from mien.recognize.bundled import BUNDLED

RESULTS = (Path(__file__).parents[1] / "docs" / "results" / "reading-photos.md").read_text("utf-8")


def written(model: str, name: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The README that is written of a model in the box under this name, by figures of a few faces of pixels at random."""
    folder = place / name
    shutil.copytree(BUNDLED[model], folder)
    (folder / "README.md").unlink()
    recognizer = Recognizer.load(folder, "cpu")
    faces = np.random.default_rng(0).integers(0, 256, (40, 48, 48), np.uint8)
    labels = np.arange(40) % 8
    FaceSet.from_arrays(faces, labels, recognizer.classes, {"split": ["PublicTest"] * 40}).save(place / "faces")
    monkeypatch.setattr(sys, "argv", ["model_card.py", str(place / "faces"), str(folder), "--name", name])
    model_card.main()
    return (folder / "README.md").read_text("utf-8")


def words(text: str) -> list[str]:
    """The lines without numbers, and without the one that names expressions by their figures."""
    lines = [re.sub(r"\d[\d.,]*|nan|inf", "#", line) for line in text.splitlines()]
    return [line for line in lines if not line.startswith("- Rare expressions")]


@pytest.mark.parametrize("model", BUNDLED)
def test_it_writes_the_readme_in_the_box(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (BUNDLED[model] / "README.md").read_text("utf-8")
    made = written(model, model, tmp_path, monkeypatch)
    assert words(made) == words(readme)
    said = model_card.WORDS[model]
    assert all(said[key] in readme for key in ("photos", "groups", "worse"))


@pytest.mark.parametrize("model", BUNDLED)
def test_what_was_not_measured_is_said_and_nothing_else(model: str) -> None:
    text = (BUNDLED[model] / "README.md").read_text("utf-8")
    assert ("**not measured on whole photos**" in text) == (model == "mien-xs")
    assert ("81.1 % (74.9 to 86.9)" in text) == (model == "mien-s")


def test_figures_on_the_card_stand_in_the_results() -> None:
    for row in re.findall(r"^\| .*(?:studio|smiles|web).*$", model_card.MEASURED, re.MULTILINE):
        for figure in re.findall(r"\d[\d.]* (?:%|points) \([^)]+\)", row):
            assert figure in RESULTS, figure


def test_a_model_of_another_name_gets_a_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = written("mien-xs", "mien-m", tmp_path, monkeypatch)
    assert text.startswith("# mien-m\n")
    assert "`make student SIZE=m` trains it again" in text
    assert "were **not measured**" in text
    assert "`mien_s width=20 depths=[1, 2, 2]`" in text
