"""Runs in a folder are listed with what their files say; a broken file hides none of the others."""

import json
from pathlib import Path

import pytest

from conftest import Command, bright_faces, small_recipe
from mien import TrainingSettings, evaluate, train
from mien.errors import MienError
from mien.experiments.list_runs import list_runs
from mien.progress import Silent
from mien.training.tensorboard_log import TensorBoardLog


class Stop(Exception):
    """Ends a training as somebody's Ctrl-C would."""


class Stops(Silent):
    """A progress that ends the training after the second epoch."""

    def epoch(self, name: str, history: list[dict[str, float]]) -> None:
        if len(history) == 2:
            raise Stop


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a report and a log, an interrupted one, and a broken one."""
    folder = tmp_path_factory.mktemp("runs")
    faces = bright_faces().save(folder / "faces")
    done = folder / "done"
    recognizer = train(faces, small_recipe(), done, TrainingSettings(seed=3), progress=TensorBoardLog(Silent(), done))
    evaluate(recognizer, faces, "test", out=done / "evaluation-test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mien.training.loop.CHECKPOINT_SECONDS", 0.0)
        with pytest.raises(Stop):
            train(faces, small_recipe(title="My own"), folder / "below" / "cut", progress=Stops())
    (folder / "broken").mkdir()
    (folder / "broken" / "run.json").write_text("{")
    return folder


def test_runs_are_listed_with_their_figures(place: Path) -> None:
    broken, cut, done = sorted(list_runs(place), key=lambda one: ["broken", "cut", "done"].index(Path(one.run).name))
    card = json.loads((place / "done" / "model" / "model.json").read_text())
    metrics = json.loads((place / "done" / "evaluation-test" / "metrics.json").read_text())
    assert (done.seed, done.epochs, done.of_epochs, done.finished) == (3, 3, 3, True)
    assert done.labels == card["budget"]["train"] + card["budget"]["validation"]
    assert done.validation_accuracy == card["metrics"]["validation_accuracy"]
    assert done.tests == {"test": metrics["accuracy"]}
    assert (cut.recipe, cut.epochs, cut.of_epochs, cut.finished, cut.tests) == ("My own", 1, 3, False, {})
    assert cut.validation_accuracy is not None
    assert broken.fault.startswith("expected JSON in")
    assert list_runs(place / "done") == (done,)


def test_a_log_says_what_the_history_says(place: Path) -> None:
    (log,) = (place / "done" / "tensorboard").iterdir()
    assert log.read_bytes().count(b"validation_accuracy") == 3


def test_the_command_prints_a_table(mien: Command, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = mien("runs", place)
    assert shown.code == 0
    assert max(map(len, shown.out.splitlines())) <= 80
    assert all(text in shown.out for text in ("1 of 3,", "unfinished", "cannot be read"))
    assert "warning: expected JSON" in shown.err
    listed = json.loads(mien("runs", place, "--json").out)["runs"]
    assert [one["finished"] for one in listed] == [False, False, True]
    with pytest.raises(MienError, match=r"found no run\.json there or below"):
        list_runs(place / "faces")


def test_logs_that_are_unknown_are_refused(mien: Command, place: Path) -> None:
    done = mien("train", place / "faces", "--out", place / "other", "--log", "tensorbord")
    assert (done.code, "did you mean tensorboard?" in done.err, (place / "other").exists()) == (1, True, False)


def test_recipes_of_mien_are_named(place: Path) -> None:
    from mien import Recipe

    file = place / "done" / "run.json"
    values = json.loads(file.read_text())
    values["recipe"]["title"] = Recipe.load("few").title
    kept = file.read_text()
    file.write_text(json.dumps(values))
    assert list_runs(place / "done")[0].recipe == "few"
    file.write_text(kept)
