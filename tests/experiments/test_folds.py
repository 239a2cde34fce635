"""Folds of people in a comparison: all are run, their answers count together, and it goes on wherever it was killed."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Command, Interrupted, StopAfter, bright_faces
from mien import FaceSet, MienError, Recipe, Recognizer
from mien.data.splits import ascending_folds, fold_view
from mien.evaluation import train_test_overlap as overlap
from mien.evaluation.metrics import accuracy, average_accuracy
from mien.experiments.compare import compare
from mien.experiments.comparison_result import Comparison
from mien.experiments.evaluated_folds import _recipe_name, evaluate_folds
from mien.experiments.folds import pooled, subject_interval
from mien.experiments.report.confusions import confusions_side_by_side
from mien.experiments.run_results import RunResult, read_result
from mien.experiments.settings import Grid
from mien.folders import exclusive

SMALL = """
model = { network = "mien_s", width = 4, depths = [1, 1, 1] }
stages = [{ epochs = 1, lr = 0.05, schedule = "one_cycle" }]
draw = "shuffled"
batch = 16
precision = "float32"
validation = 0.2
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    (tmp_path / "plain.toml").write_text(SMALL)
    return str(tmp_path / "plain.toml")


def test_every_face_is_judged_once_by_who_did_not_see_its_person(stored: Path, recipe: str, tmp_path: Path) -> None:
    found = compare(stored, Grid(recipes=(recipe,), seeds=1, folds=3), tmp_path / "out")
    faces = FaceSet.open(stored)
    confusion, means = np.zeros((len(faces.classes),) * 2, int), []
    for number in range(1, 4):
        (folder,) = (tmp_path / "out" / "runs").glob(f"*fold{number}of3*")
        tested = fold_view(faces, f"{number}/3").where(split="test")
        tested = tested.select(tested.labels >= 0)
        said = Recognizer.load(folder).logits(tested.faces()).argmax(axis=1)
        np.add.at(confusion, (tested.labels, said), 1)
        means.append(float((said == tested.labels).mean()))
    (result,) = found.results
    assert confusion.sum() == (faces.labels >= 0).sum() == result.tested
    assert np.array_equal(result.confusion, confusion)
    assert result.accuracy == pytest.approx(float(accuracy(confusion)))
    assert result.average_accuracy == pytest.approx(float(average_accuracy(confusion)))
    assert result.fold_mean == pytest.approx(np.mean(means))
    assert (result.folds, result.fold, len(result.subjects)) == (3, "", len(set(faces.values("subject"))))
    assert sum(right for right, _ in result.subjects.values()) == np.trace(confusion)
    assert (result.accuracy_low or 1) <= (result.accuracy or 0) <= (result.accuracy_high or 0)
    assert found.lines[0].accuracy.mean == pytest.approx(result.accuracy)
    assert "All folds together" in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_killed_and_grown_it_is_as_if_run_at_once(stored: Path, recipe: str, tmp_path: Path) -> None:
    grid = Grid(recipes=(recipe,), seeds=1, folds=3)
    with pytest.raises(Interrupted):
        compare(stored, grid, tmp_path / "out", StopAfter(8))
    assert len(list(tmp_path.glob("out/runs/*/result.json"))) < 3
    resumed, whole = compare(stored, grid, tmp_path / "out"), compare(stored, grid, tmp_path / "whole")
    assert [one.confusion for one in resumed.results] == [one.confusion for one in whole.results]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/runs/*/model/model.safetensors")}
    assert len(before) == 3
    assert compare(stored, Grid(recipes=(recipe,), seeds=2, folds=3), tmp_path / "out").runs == 6
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())


def test_two_processes_do_not_write_in_one_folder(stored: Path, recipe: str, tmp_path: Path) -> None:
    with exclusive(tmp_path / "out"), pytest.raises(MienError, match=r"to work in .* alone; found another process that does"):
        compare(stored, Grid(recipes=(recipe,), seeds=1), tmp_path / "out", jobs=2)
    assert not (tmp_path / "out").exists()


def test_on_the_command_line(mien: Command, stored: Path, recipe: str, tmp_path: Path) -> None:
    words = [
        "compare",
        stored,
        "--recipes",
        recipe,
        "--seeds",
        1,
        "--folds",
        2,
        "--fold-order",
        "ascending",
        "--out",
        tmp_path / "out",
    ]
    done = mien(*words)
    assert done.code == 0, done.err
    assert "2 folds of people, together" in done.out
    (result,) = json.loads(mien(*words, "--json").out)["results"]
    assert (result["folds"], result["accuracy"] >= result["accuracy_low"]) == (2, True)
    for name in (tmp_path / "out" / "runs").iterdir():
        one = read_result(name)
        assert one is not None
        assert one.fold.endswith("/2 ascending")
    refused = mien(*words, "--split", "test")
    assert (refused.code, "leave --folds out" in refused.err) == (1, True)


def test_more_folds_than_people_or_no_people(stored: Path, faces: FaceSet, recipe: str, tmp_path: Path) -> None:
    with pytest.raises(MienError, match="as many subjects"):
        compare(stored, Grid(recipes=(recipe,), folds=900), tmp_path / "out")
    plain = FaceSet.from_arrays(faces.faces(), faces.labels, classes=faces.classes).save(tmp_path / "plain")
    with pytest.raises(MienError, match="import it with its subjects"):
        compare(plain, Grid(recipes=(recipe,), folds=2), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@given(st.lists(st.integers(0, 40), min_size=1, max_size=80), st.integers(2, 6))
def test_ascending_folds_cut_the_list_of_people(numbers: list[int], folds: int) -> None:
    people = np.array([f"p{n:02d}" for n in numbers], object)
    if len(set(numbers)) < folds:
        return
    found = dict(zip(people, ascending_folds(people, folds).tolist(), strict=True))
    names = sorted(found)
    assert [found[name] for name in names] == sorted(found.values())
    counts = np.bincount([found[name] for name in names], minlength=folds)
    assert counts.min() > 0
    assert counts.max() - counts.min() <= 1


def test_an_interval_over_people_by_a_loop() -> None:
    hits = [(3, 4), (0, 5), (9, 9), (2, 6)]
    generator = np.random.default_rng(0)
    shares = []
    for drawn in generator.multinomial(len(hits), np.full(4, 0.25), 1000):
        right = sum(times * one for times, (one, _) in zip(drawn, hits, strict=True))
        shares.append(right / sum(times * every for times, (_, every) in zip(drawn, hits, strict=True)))
    low, high = np.percentile(shares, [2.5, 97.5])
    found = subject_interval(hits, resamples=1000)
    assert [found.low, found.high] == pytest.approx([low, high])
    assert np.isnan(subject_interval([]).low)


def test_a_fold_that_failed_is_named() -> None:
    one = RunResult(recipe="a", network="mien_s", labels_per_class=None, noise=0, seed=0, run="a", fold="2/3", failed="no faces")
    assert pooled([one, one]).failed == "fold 2/3: no faces"


def test_confusion_matrices_stand_side_by_side(stored: Path, recipe: str, tmp_path: Path) -> None:
    """Of the first two recipes, all seeds together; old results, which kept none, have no such part."""
    (tmp_path / "other.toml").write_text(f'{SMALL}\ntargets = "smoothed"\n')
    found = compare(stored, Grid(recipes=(recipe, str(tmp_path / "other.toml")), seeds=2), tmp_path / "out")
    (at,) = confusions_side_by_side(found)
    assert [(one.recipe, one.seeds) for one in at.recipes] == [("plain", 2), ("other", 2)]
    counts = np.array([[cell.count for cell in row] for row in at.recipes[0].rows])
    assert np.array_equal(counts, np.sum([one.confusion for one in found.results if one.recipe == "plain"], axis=0))
    assert counts.sum() == 2 * 24
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert page.count('aria-label="Confusion matrix of') == 2
    old = replace(found, results=tuple(replace(one, confusion=()) for one in found.results))
    assert confusions_side_by_side(old) == []


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Comparison]:
    """A set, and beside it a comparison of all of three folds with two seeds."""
    place = tmp_path_factory.mktemp("compared")
    bright_faces().save(place / "set")
    (place / "plain.toml").write_text(SMALL)
    return place, compare(place / "set", Grid(recipes=(str(place / "plain.toml"),), seeds=2, folds=3), place / "out")


def test_runs_of_a_comparison_are_evaluated_again(compared: tuple[Path, Comparison], mien: Command, tmp_path: Path) -> None:
    place, comparison = compared
    found = evaluate_folds(place / "out", place / "set", 3, tmp_path / "again")
    for one, other in zip(found.together, comparison.results, strict=True):
        assert (one.recipe, one.seed, one.confusion, one.subjects) == (other.recipe, other.seed, other.confusion, other.subjects)
        figures = ("accuracy", "accuracy_low", "accuracy_high", "fold_mean", "average_accuracy", "fold_average_mean", "ece_after")
        assert [getattr(one, name) for name in figures] == [getattr(other, name) for name in figures]
    with (tmp_path / "again" / "folds.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["folds"], row["fold"]) for row in rows] == [("3", "")] * 2 + [("0", f"{n}/3") for n in (1, 2, 3)] * 2
    done = mien("evaluate", place / "out", place / "set", "--folds", 3, "--flip", "--out", tmp_path / "flipped")
    assert done.code == 0, done.err
    assert "3 folds of people, together" in done.out
    assert json.loads((tmp_path / "flipped/folds.json").read_text())["flip"]
    assert mien("evaluate", place / "out", place / "set", "--folds", 3, "--split", "test").code == 2


def test_warnings_of_the_folds_are_said(
    compared: tuple[Path, Comparison], mien: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, _ = compared
    monkeypatch.setattr(overlap, "have_near_duplicates", lambda tested, _: np.ones(len(tested), bool))
    done = mien("evaluate", place / "out", place / "set", "--folds", 3, "--out", tmp_path / "warned")
    assert done.err.count("figures flatter; no face is without one") == 6
    assert "warning: fold 2/3 by plain-" in done.err
    assert len(json.loads((tmp_path / "warned/folds.json").read_text())["warnings"]) == 6


def test_recipes_of_folds_are_called_by_their_names() -> None:
    assert _recipe_name(Recipe.load("few").title) == "few"
    assert _recipe_name("a recipe of somebody's own " * 5) == "a recipe of somebody's own a …"


def test_runs_that_do_not_make_up_all_folds(compared: tuple[Path, Comparison], tmp_path: Path) -> None:
    place, _ = compared
    with pytest.raises(MienError, match=r"runs of 5 folds in .*; found runs of 3 folds"):
        evaluate_folds(place / "out", place / "set", 5)
    with pytest.raises(MienError, match="found no runs"):
        evaluate_folds(tmp_path, place / "set", 3)
    with pytest.raises(MienError, match="people would be dealt otherwise"):
        evaluate_folds(place / "out", bright_faces(90).save(tmp_path / "other"), 3)
    runs = tmp_path / "runs"  # as somebody may have trained them, one by one
    for number in (1, 2, 3):
        (folder,) = (place / "out" / "runs").glob(f"*fold{number}of3-seed0*")
        shutil.copytree(folder, runs / f"own{number}", ignore=shutil.ignore_patterns("result.json"))
    (one,) = evaluate_folds(runs, place / "set", 3).together
    assert (one.tested, one.folds, one.seed) == (120, 3, 0)
    assert len(one.recipe) <= 32
    shutil.copytree(runs / "own2", runs / "twice")
    with pytest.raises(MienError, match=r"one run for each fold.*twice"):
        evaluate_folds(runs, place / "set", 3)
    shutil.rmtree(runs / "twice")
    shutil.rmtree(runs / "own2" / "model")
    with pytest.raises(MienError, match=r"not 2/3 \(own2 is not finished\)"):
        evaluate_folds(runs, place / "set", 3)
