"""A recognizer in another process, and copies of one."""

import copy
import multiprocessing
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from conftest import bright_faces, small_recipe
from mien import MienError, Recognizer, TrainingSettings, export, train
from mien.recognize.onnx_backend import OnnxBackend
from processes import WAIT

FACES = np.random.default_rng(0).integers(0, 256, (3, 32, 32), dtype=np.uint8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("made")
    train(bright_faces(), small_recipe(), place / "run", TrainingSettings(threads=1, device="cpu"))
    export(place / "run", place / "model")
    return {"run": place / "run", "model": place / "model"}


def _answers(recognizer: Recognizer) -> Any:
    side = recognizer.card.faces.side
    return recognizer.probabilities(np.resize(FACES, (3, side, side)))


@pytest.mark.parametrize("name", ["mien-s", "run", "model"])
def test_copies_answer_the_same(folders: dict[str, Path], name: str) -> None:
    recognizer = Recognizer.load(folders.get(name, name), "cpu")
    expected = _answers(recognizer)
    for made in (pickle.loads(pickle.dumps(recognizer)), copy.deepcopy(recognizer), copy.copy(recognizer)):
        assert np.array_equal(_answers(made), expected)
        assert (made.card, made.folder) == (recognizer.card, recognizer.folder)
    assert len(pickle.dumps(Recognizer.load("mien-s", "cpu"))) < 50_000, "the card alone, with the centers of the training faces"


def test_another_process_reads_it_again(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folders["run"].parent)
    recognizers = [Recognizer.load(name, "cpu") for name in ("mien-s", "run", "model")]
    expected = list(map(_answers, recognizers))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(_answers, recognizers, timeout=WAIT))
    assert [np.allclose(one, other, atol=1e-6) for one, other in zip(found, expected, strict=True)] == [True] * 3
    found = joblib.Parallel(1)(joblib.delayed(_answers)(one) for one in recognizers)
    assert len(found) == 3


def test_another_model_in_the_meantime_is_said(folders: dict[str, Path], tmp_path: Path) -> None:
    model = shutil.copytree(folders["model"], tmp_path / "model")
    sent = pickle.dumps(Recognizer.load(model, "cpu"))
    assert isinstance(pickle.loads(sent).backend, OnnxBackend)
    train(bright_faces(), small_recipe(), tmp_path / "other", TrainingSettings(seed=1, threads=1, device="cpu"))
    shutil.rmtree(model)
    with pytest.raises(MienError, match="a run or a model at"):
        pickle.loads(sent)
    export(tmp_path / "other", model)
    with pytest.raises(MienError, match="as it was when it was sent here"):
        pickle.loads(sent)
