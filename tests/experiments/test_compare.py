"""The grid: what it runs and leaves, how it goes on after a kill, and what it refuses."""

import csv
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from pydantic.dataclasses import dataclass
from typer.testing import CliRunner

from conftest import Interrupted, StopAfter, bright_faces
from mien import FaceSet, MienError, evaluate
from mien.cli import app
from mien.experiments.compare import compare
from mien.experiments.comparison_result import Comparison
from mien.experiments.grid import make_plan
from mien.experiments.settings import Axis, Grid
from mien.settings import STRICT
from mien.techniques import Weigh
from mien.training.run import Run

SMALL = """
model = { network = "mien_s", width = 8, depths = [1, 1, 1] }
stages = [{ epochs = 2, lr = 0.05, schedule = "one_cycle" }]
draw = "shuffled"
batch = 16
precision = "float32"
"""


@dataclass(frozen=True, config=STRICT)
class Chance(Weigh):
    """Weights by the dice."""

    def __call__(self, run: Run) -> torch.Tensor:
        """(N,), some of them equal."""
        return torch.randint(1, 5, run.weights.shape, generator=torch.Generator().manual_seed(0)) / 4


class Heard:
    """Keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.bars: list[str] = []

    def begin(self, title: str, total: int) -> None:
        self.bars.append(title)

    def advance(self, faces: int) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def recipes(tmp_path: Path) -> dict[str, str]:
    """Recipe files by name."""
    added = {
        "plain": "",
        "balanced": 'targets = "smoothed"',
        "agree": 'unlabeled = { technique = "conftest:Agree" }',
        "broken": "",
        "dice": 'weigh = "test_compare:Chance"',
    }
    for name, line in added.items():
        text = SMALL.replace("lr = 0.05", "lr = 1e30") if name == "broken" else SMALL
        (tmp_path / f"{name}.toml").write_text(f"{text}{line}\n")
    return {name: str(tmp_path / f"{name}.toml") for name in added}


def grid_of(recipes: Iterable[str], **asked: Any) -> Grid:
    given: dict[str, Any] = {"recipes": tuple(recipes), "labels_per_class": (6,), "seeds": 1, "threads": 1}
    return Grid(**given | asked)


def stamps(out: Path) -> dict[str, int]:
    """When each file of the runs was written last."""
    return {str(path.relative_to(out)): path.stat().st_mtime_ns for path in (out / "runs").rglob("*") if path.is_file()}


def figures(found: Comparison) -> list[dict[str, object]]:
    """Results without the time they took."""
    return [{**row, "seconds": 0} for row in found.to_json()["results"]]


def test_a_grid_is_run_and_reported(stored: Path, recipes: dict[str, str], tmp_path: Path) -> None:
    heard, out = Heard(), tmp_path / "out"
    grid = grid_of((recipes["plain"], recipes["agree"]), labels_per_class=(6, None), noise=(0.0, 0.25), seeds=2)
    found = compare(stored, grid, out, heard)
    assert (found.runs, found.done, len(found.results), len(found.lines)) == (16, 16, 16, 8)
    assert not found.failed
    faces = FaceSet.open(stored).where(split="train")
    people = dict(zip(faces.column("id").to_pylist(), faces.column("subject").to_pylist(), strict=True))
    for row in found.results:
        folder = out / "runs" / row.run
        assert json.loads((folder / "result.json").read_text())["accuracy"] == row.accuracy
        assert not (folder / "checkpoint.safetensors").exists()
        budget = pq.read_table(folder / "budget.parquet")
        assert len(budget) == (row.train_labels or 0) + (row.validation_labels or 0)
        assert row.tested == 24
        used = dict(zip(budget.column("id").to_pylist(), budget.column("role").to_pylist(), strict=True))
        validate = {people[name] for name, role in used.items() if role == "validation"}
        beyond = [name for name, who in people.items() if name not in used and who not in validate]
        assert row.unlabeled_faces == (0 if row.recipe == "plain" else len(beyond))
    assert len([line for line in heard.lines if "accuracy" in line]) == 16, "one line a run"
    assert "(16 of 16, " in heard.lines[-1]
    assert " left)" in heard.lines[-2]
    assert heard.bars[0] == "1/16 plain, stage 1"
    with (out / "table.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 8
    with (out / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["recipe"] for row in rows[:4]] == ["plain", "agree", "plain", "agree"]
    page = (out / "report.html").read_text("utf-8")
    assert "curves-labels.svg" in page
    assert found.cautions == ("only 24 test faces: with fewer than 30, figures say little", "2 seeds: intervals and p need 3")
    for caution in found.cautions:
        assert f"warning: {caution}" in heard.lines
        assert f"Mind: {caution}." in page
    assert all(line.difference.low != line.difference.low for line in found.lines), "of two seeds there is no interval"
    assert "Lost to noise" in page
    assert not any(word in page for word in ("<script", "http://", "https://", "part of the comparison"))
    assert {path.name for path in out.glob("*.svg")} == {"curves-labels.svg", "curves-noise.svg", "differences.svg"}


def test_every_recipe_of_a_cell_sees_the_same_labels(stored: Path, recipes: dict[str, str], tmp_path: Path) -> None:
    grid = grid_of((recipes["plain"], recipes["balanced"]), noise=(0.0, 0.25), seeds=2)
    found = compare(stored, grid, tmp_path / "out")
    used: dict[object, list[list[tuple[str, int]]]] = {}
    for row in found.results:
        table = pq.read_table(tmp_path / "out" / "runs" / row.run / "budget.parquet").to_pydict()
        labels = sorted(zip(table["id"], table["label"], strict=True))
        used.setdefault((row.noise, row.seed), []).append(labels)
    assert all(first == second for first, second in used.values())
    assert used[0.0, 0] != [used[0.0, 1][0]] * 2
    # Another label for a face that both were given.
    file = tmp_path / "out" / "runs" / found.results[-1].run / "budget.parquet"
    table = pq.read_table(file)
    pq.write_table(table.set_column(2, "label", pa.array((table.column("label").to_numpy() + 1) % 3)), file)
    with pytest.raises(MienError, match="the same labels for every recipe of a cell"):
        compare(stored, grid, tmp_path / "out")


@pytest.mark.usefixtures("checkpoint_each_batch")
def test_a_killed_grid_goes_on(stored: Path, recipes: dict[str, str], tmp_path: Path) -> None:
    grid, out = grid_of((recipes["plain"], recipes["balanced"]), labels_per_class=(None,), seeds=2), tmp_path / "out"
    batches = 2 * (78 // 16)
    with pytest.raises(Interrupted):
        compare(stored, grid, out, StopAfter(batches + batches // 2 + 1))  # in the second epoch of the second run
    begun = {path.parent.name: path.stat().st_mtime_ns for path in out.glob("runs/*/run.json")}
    assert len(begun) == 2
    assert len(list(out.glob("runs/*/result.json"))) == 1
    assert (out / "table.csv").is_file(), "one can look while it runs"
    assert "part of the comparison" in (out / "report.html").read_text("utf-8")
    before = {name: when for name, when in stamps(out).items() if name.split("/")[1] == "plain-all-seed0" or "result" in name}
    heard = Heard()
    found = compare(stored, grid, out, heard)
    assert "1 of 4 runs are finished already" in heard.lines
    assert before.items() <= stamps(out).items(), "a finished run is not touched"
    assert all((out / "runs" / name / "run.json").stat().st_mtime_ns == when for name, when in begun.items()), "resumed"
    assert figures(found) == figures(compare(stored, grid, tmp_path / "other")), "as if it had never been killed"
    done = stamps(out)
    assert figures(compare(stored, grid, out)) == figures(found)
    assert stamps(out) == done


def test_a_grid_grows(stored: Path, recipes: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    compare(stored, grid_of((recipes["plain"],)), out)
    before = stamps(out)
    larger = grid_of((recipes["plain"], recipes["balanced"]), labels_per_class=(6, 9), seeds=3)
    found = compare(stored, larger, out)
    assert found.runs == 12
    assert before.items() <= stamps(out).items()
    asked = json.loads((out / "grid.json").read_text())["asked"]
    assert (asked["seeds"], asked["labels_per_class"]) == (3, [6, 9])
    changed = compare(stored, replace(larger, settings={"batch": 8}, seeds=1), out)
    assert not {row.run for row in changed.results} & {row.run for row in found.results}, "another recipe is another run"


def test_a_run_that_never_began_is_done_anew(stored: Path, recipes: dict[str, str], tmp_path: Path) -> None:
    grid, out = grid_of((recipes["plain"],)), tmp_path / "out"
    (job,) = make_plan(grid, FaceSet.open(stored), None).jobs
    compare(stored, grid, out)
    (out / "runs" / job.folder / "result.json").unlink()
    (out / "runs" / job.folder / "run.json").unlink()
    assert compare(stored, grid, out).done == 1
    assert (out / "runs" / job.folder / "run.json").is_file()


@pytest.mark.usefixtures("checkpoint_each_batch")
def test_a_checkpoint_stays_until_its_model_is_tested(
    stored: Path, recipes: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*words: object) -> None:
        raise MienError("figures", "none", "try again")

    grid, out = grid_of((recipes["plain"],)), tmp_path / "out"
    (job,) = make_plan(grid, FaceSet.open(stored), None).jobs
    checkpoint = out / "runs" / job.folder / "checkpoint.safetensors"
    with monkeypatch.context() as changed:
        changed.setattr("mien.experiments.one_run.evaluate", refusing)
        assert len(compare(stored, grid, out).failed) == 1
    assert checkpoint.is_file()
    assert not compare(stored, grid, out).failed
    assert not checkpoint.exists()


def test_one_failure_does_not_end_the_grid(stored: Path, recipes: dict[str, str], tmp_path: Path) -> None:
    heard, grid, out = Heard(), grid_of((recipes["broken"], recipes["plain"]), seeds=2), tmp_path / "out"
    found = compare(stored, grid, out, heard)
    assert [row.recipe for row in found.failed] == ["broken", "broken"]
    assert "a finite loss" in found.failed[0].failed
    assert sum("failed: expected a finite loss" in line for line in heard.lines) == 2
    assert [line.accuracy.count for line in found.lines] == [0, 2]
    assert "Runs that failed" in (out / "report.html").read_text("utf-8")
    done = {path: when for path, when in stamps(out).items() if "plain" in path}
    heard = Heard()
    assert len(compare(stored, grid, out, heard).failed) == 2
    assert sum("failed" in line for line in heard.lines) == 2, "failed runs are tried again"
    assert done.items() <= stamps(out).items()


def test_varied_values_are_an_axis(stored: Path, recipes: dict[str, str], tmp_path: Path) -> None:
    heard, vary = Heard(), (Axis("targets.epsilon", (0.1, 0.2)), Axis("draw", ("shuffled", "balanced")))
    found = compare(stored, grid_of((recipes["plain"], recipes["balanced"]), vary=vary), tmp_path / "out", heard)
    assert len(found.results) == 8
    assert found.runs == 6, "a recipe without the key stands at each of its values, trained once"
    assert "the same at every targets.epsilon, as they do not have it: plain" in heard.lines[0]
    shared = {row.run for row in found.results if row.recipe == "plain"}
    assert len(shared) == 2
    assert all(line.difference.pairs == 1 for line in found.lines if line.recipe == "balanced")
    assert (tmp_path / "out" / "curves-targets.epsilon.svg").is_file()
    with (tmp_path / "out" / "runs.csv").open() as file:
        assert {(row["targets.epsilon"], row["draw"]) for row in csv.DictReader(file)} == {
            (epsilon, draw) for epsilon in ("0.1", "0.2") for draw in ("shuffled", "balanced")
        }


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"vary": (Axis("targets.power", (1,)),)}, "'power'"),
        ({"vary": (Axis("targets.epsilon", (0.1, "much")),)}, "much"),
        ({"settings": {"no_such": 1}}, "no_such"),
        ({"epochs": 1, "model": "no_such"}, "no_such"),
        ({"split": "train"}, "a split to test on that nothing is trained on"),
        ({"split": "validation"}, "a split among test, train"),
    ],
)
def test_what_cannot_be_asked_leaves_nothing(
    stored: Path, recipes: dict[str, str], tmp_path: Path, asked: dict[str, object], message: str
) -> None:
    with pytest.raises(MienError, match=message):
        compare(stored, grid_of((recipes["plain"], recipes["balanced"]), **asked), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_recipes_and_keys_are_named_once(recipes: dict[str, str]) -> None:
    with pytest.raises(MienError, match="different names"):
        grid_of((recipes["plain"], "elsewhere/plain.toml"))
    with pytest.raises(MienError, match="different keys"):
        grid_of((recipes["plain"],), vary=(Axis("draw", ("shuffled",)), Axis("draw", ("balanced",))))


def test_foreign_folders_are_refused_and_untouched(stored: Path, recipes: dict[str, str], tmp_path: Path) -> None:
    grid, mine = grid_of((recipes["plain"],)), tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    with pytest.raises(MienError, match=r"an empty folder at .*, or that of an earlier grid; found other files"):
        compare(stored, grid, mine)
    assert [path.name for path in mine.iterdir()] == ["letter.txt"]
    with pytest.raises(MienError, match="a folder at"):
        compare(stored, grid, mine / "letter.txt")
    other = bright_faces(seed=1)
    with pytest.raises(MienError, match="a stored face set"):
        compare(other, grid, tmp_path / "out")
    compare(stored, grid, tmp_path / "out")
    before = stamps(tmp_path / "out")
    with pytest.raises(MienError, match="was begun with, the face set's checksum = "):
        compare(other.save(tmp_path / "other"), grid, tmp_path / "out")
    assert stamps(tmp_path / "out") == before


def test_more_labels_than_there_are(stored: Path, recipes: dict[str, str], tmp_path: Path) -> None:
    heard = Heard()
    grid = grid_of((recipes["plain"], recipes["balanced"]), labels_per_class=(500,), seeds=2)
    found = compare(stored, grid, tmp_path / "out", heard)
    given = {(row.labels_per_class, (row.train_labels or 0) + (row.validation_labels or 0)) for row in found.results}
    assert given == {(500, 96)}
    assert sum("fewer labels than 500" in line for line in heard.lines) == 1, "said once"


def test_unlabeled_faces_go_to_those_who_learn_from_them(stored: Path, recipes: dict[str, str], tmp_path: Path) -> None:
    bright_faces(60, seed=2).save(tmp_path / "others")
    grid = grid_of((recipes["plain"], recipes["agree"]), unlabeled=tmp_path / "others", unlabeled_faces=20)
    found = compare(stored, grid, tmp_path / "out")
    assert [row.unlabeled_faces for row in found.results] == [0, 20]
    asked = json.loads((tmp_path / "out" / "runs" / found.results[0].run / "run.json").read_text())["order"]
    assert asked["unlabeled"] is None
    with pytest.raises(MienError, match="a recipe that learns from unlabeled faces"):
        compare(stored, replace(grid, recipes=(recipes["plain"],)), tmp_path / "more")


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open() as opened:
        return list(csv.DictReader(opened))


def test_a_control_stands_beside_each_recipe_that_learns_from_unlabeled_faces(
    stored: Path, recipes: dict[str, str], tmp_path: Path
) -> None:
    heard, out = Heard(), tmp_path / "out"
    grid = grid_of((recipes["plain"], recipes["agree"]), seeds=3, unlabeled_faces=20, epochs=1)
    before = compare(stored, grid, out, heard)
    assert sum("with --control" in line for line in heard.lines) == 1
    done = {name: when for name, when in stamps(out).items() if "/model/" in name}
    found = compare(stored, replace(grid, control=True), out)
    assert (found.runs, found.arms) == (9, ("plain", "agree", "agree control"))
    assert done.items() <= stamps(out).items(), "what was trained before there were controls stands"
    plain, agree, control = found.lines
    assert (plain.control_difference.pairs, agree.control_difference.pairs, control.control_difference.pairs) == (0, 3, 0)
    theirs = [row.accuracy for row in found.results if row.recipe == "agree control"]
    mine = [row.accuracy for row in before.results if row.recipe == "agree"]
    apart = [a - b for a, b in zip(mine, theirs, strict=True) if a is not None and b is not None]
    assert agree.control_difference.mean == pytest.approx(float(np.mean(apart)))
    assert {row.unlabeled_faces for row in found.results if row.recipe != "plain"} == {20}
    (line,) = [row for row in rows_of(out / "table.csv") if row["recipe"] == "agree"]
    assert float(line["control_difference"]) == pytest.approx(agree.control_difference.mean, abs=1e-6)
    assert [row["control_of"] for row in rows_of(out / "runs.csv")] == ["", "", "agree"] * 3
    card = json.loads((out / "runs" / found.results[2].run / "model" / "model.json").read_text())
    assert card["recipe"]["control"]
    page = (out / "report.html").read_text("utf-8")
    assert "To its control" in page
    assert "differences-control.svg" in page
    again = compare(stored, grid, out)
    assert again.arms == ("plain", "agree")
    assert not (out / "differences-control.svg").exists()
    assert "To its control" not in (out / "report.html").read_text("utf-8")


def elsewhere(folder: Path) -> Path:
    """Other faces, larger, in color, under two of the three classes in another order and one more."""
    faces = bright_faces(90, seed=4)
    labels = np.array([1, 0, 2])[faces.labels]
    pixels = faces.faces().repeat(2, axis=1).repeat(2, axis=2)[..., None].repeat(3, axis=3)
    names = ["class1", "class0", "boredom"]
    FaceSet.from_arrays(pixels, labels, names, {"split": faces.column("split")}).save(folder)
    return folder


def test_another_set_may_be_tested_on(stored: Path, recipes: dict[str, str], tmp_path: Path) -> None:
    other, out, heard = elsewhere(tmp_path / "other"), tmp_path / "out", Heard()
    grid = grid_of((recipes["plain"], recipes["agree"]), unlabeled=other, own_unlabeled=False, epochs=1)
    here = compare(stored, grid, out)
    weights = {name: when for name, when in stamps(out).items() if "/model/" in name}
    there = compare(stored, replace(grid, test_on=other), out, heard)
    assert weights.items() <= stamps(out).items(), "tested again, not trained again"
    assert [(row.tested, row.left_out, row.tested_split) for row in there.results] == [(12, 6, "test")] * 2
    assert [row.unlabeled_faces for row in there.results] == [0, 72], "its test faces are not learned from"
    said = "; ".join(heard.lines)
    assert "test faces are converted: 32 pixels, color to 16 pixels, gray" in said
    assert "left out, as no run learns the class: 6 test faces of boredom" in said
    assert "does not have class2: such an answer is a mistake" in said
    for row in there.results:
        found = evaluate(out / "runs" / row.run, other)
        assert (found.accuracy, found.count) == (row.accuracy, 12)
    assert {(row["tested_on"], row["tested_split"]) for row in rows_of(out / "table.csv")} == {("unnamed", "test")}
    assert [row.accuracy for row in compare(stored, grid, out).results] == [row.accuracy for row in here.results], "and back"
    for split in ("train", "all"):
        with pytest.raises(MienError, match="nothing is learned from, not even without labels"):
            compare(stored, replace(grid, test_on=other, split=split), out)
    alone = grid_of((recipes["plain"],), test_on=other, split="train", epochs=1)
    assert compare(stored, alone, out).results[0].tested == 48
    FaceSet.from_arrays(bright_faces(30).faces(), [0] * 30, ["awe"], {"split": ["test"] * 30}).save(tmp_path / "strange")
    with pytest.raises(MienError, match="labeled faces of class0, class1, class2 in test"):
        compare(stored, replace(grid, test_on=tmp_path / "strange"), out)


def test_results_of_before_are_of_the_split_they_were_tested_on(stored: Path, recipes: dict[str, str], tmp_path: Path) -> None:
    """They name neither set nor split: they stand for the set's own, and are tested again on another."""
    grid, out = grid_of((recipes["plain"],), epochs=1), tmp_path / "out"
    (row,) = compare(stored, grid, out).results
    file = out / "runs" / row.run / "result.json"
    new = ("control_of", "labels", "tested_on", "tested_split", "left_out", "tested_checksum")
    file.write_text(json.dumps({key: value for key, value in json.loads(file.read_text()).items() if key not in new}))
    asked = json.loads((out / "grid.json").read_text())
    asked["asked"] = {key: value for key, value in asked["asked"].items() if key not in ("control", "labels", "test_on")}
    (out / "grid.json").write_text(json.dumps(asked))
    before = stamps(out)
    (again,) = compare(stored, grid, out).results
    assert (again.accuracy, again.tested_split) == (row.accuracy, "")
    assert stamps(out) == before
    (there,) = compare(stored, replace(grid, test_on=elsewhere(tmp_path / "other")), out).results
    assert there.tested == 12


def test_label_budgets_in_all(stored: Path, recipes: dict[str, str], tmp_path: Path) -> None:
    found = compare(stored, grid_of((recipes["plain"],), labels_per_class=(None,), labels=(20, 31)), tmp_path / "out")
    assert [(row.labels, (row.train_labels or 0) + (row.validation_labels or 0)) for row in found.results] == [(20, 20), (31, 31)]
    assert [str(line.point) for line in found.lines] == ["20 labels in all", "31 labels in all"]
    with pytest.raises(MienError, match="one kind of label budget"):
        grid_of((recipes["plain"],), labels=(20,))


def test_weights_tell_flipped_labels_as_often_as_they_do(stored: Path, recipes: dict[str, str], tmp_path: Path) -> None:
    grid = grid_of((recipes["plain"], recipes["dice"]), noise=(0.0, 0.3), labels_per_class=(None,))
    found = compare(stored, grid, tmp_path / "out")
    assert [row.weight_auroc for row in found.results[:3]] == [None, None, None], "nothing flipped, or all weigh the same"
    noisy, faces = found.results[3], FaceSet.open(stored)
    table = pq.read_table(tmp_path / "out" / "runs" / noisy.run / "weights.parquet").to_pydict()
    truth = dict(zip(faces.column("id").to_pylist(), faces.labels.tolist(), strict=True))
    rows = [
        (weight, truth[name] != label) for name, label, weight in zip(*map(table.get, ("id", "label", "weight")), strict=True)
    ]
    wins = [(a < b) + (a == b) / 2 for a, flipped in rows if flipped for b, other in rows if not other]
    assert noisy.weight_auroc == pytest.approx(float(np.mean(wins)))


def test_faces_that_share_an_id_cost_only_the_auroc(faces: FaceSet, recipes: dict[str, str], tmp_path: Path) -> None:
    heard = Heard()
    faces.with_column("id", [f"{n // 2}" for n in range(len(faces))]).save(tmp_path / "twins")
    grid = grid_of((recipes["plain"], recipes["dice"]), noise=(0.3,), labels_per_class=(None,))
    found = compare(tmp_path / "twins", grid, tmp_path / "out", heard)
    assert not found.failed
    assert [row.weight_auroc for row in found.results] == [None, None]
    assert sum("no AUROC of sample weights" in line for line in heard.lines) == 1


def test_names_are_escaped_and_drawn_as_they_are(stored: Path, recipes: dict[str, str], tmp_path: Path) -> None:
    odd = tmp_path / "$a_<b>&\u00e9.toml"
    odd.write_text(SMALL)
    compare(stored, grid_of((recipes["plain"], str(odd)), labels_per_class=(6, 9)), tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "$a_&lt;b&gt;&amp;\u00e9" in page
    assert "<b>" not in page


def test_on_the_command_line(stored: Path, recipes: dict[str, str], tmp_path: Path) -> None:
    out, run = tmp_path / "out", CliRunner().invoke
    words = ["compare", stored, "--out", out, "--labels-per-class", "6,all", "--noise", "0", "--seeds", "1", "--epochs", "2"]
    words += ["--set", "batch=8", "--vary", "draw=shuffled,balanced", "--threads", "1"]
    done = run(app, [*map(str, words), "--recipes", f"{recipes['plain']},{recipes['balanced']}", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["runs"], found["done"], len(found["table"])) == (8, 8, 8)
    assert found["results"][0]["labels_per_class"] == 6
    assert found["table"][0]["difference"] is None
    assert json.loads((out / "grid.json").read_text())["asked"]["vary"] == [{"key": "draw", "values": ["shuffled", "balanced"]}]
    done = run(app, [*map(str, words), "--recipes", f"{recipes['plain']},{recipes['broken']}"])
    assert done.exit_code == 1, "a run failed"
    assert "best seed" in done.stdout
    assert str(out / "report.html") in done.stdout.replace("\n", "")
    done = run(app, [*map(str, words), "--recipes", recipes["plain"], "--vary", "draw"])
    assert done.exit_code == 2
    done = run(app, [*map(str, words), "--recipes", recipes["plain"], "--noise", "2"])
    assert (done.exit_code, "Invalid value for '--noise'" in done.output) == (2, True)


@pytest.mark.parametrize(("named", "found"), [("PublicTest", "PublicTest"), ("TEST", "TEST"), ("privatetest", "privatetest")])
def test_the_split_to_test_is_the_sets_own(tmp_path: Path, recipes: dict[str, str], named: str, found: str) -> None:
    faces = bright_faces()
    split = np.where(faces.values("split") == "test", named, np.where(np.arange(120) % 7 == 1, "other", "Training"))
    faces.with_column("split", split).save(tmp_path / "faces")
    made = compare(tmp_path / "faces", Grid((recipes["plain"],), seeds=1, threads=1), tmp_path / "out")
    assert (made.split, {row.tested for row in made.results}) == (found, {24})
    assert f"tested on {found}" in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert json.loads((tmp_path / "out" / "grid.json").read_text())["asked"]["split"] == found


def test_without_a_split_to_test_a_sentence_says_what_to_give(tmp_path: Path, recipes: dict[str, str]) -> None:
    faces = bright_faces()
    faces.with_column("split", np.where(faces.values("split") == "test", "dev", "train")).save(tmp_path / "faces")
    with pytest.raises(
        MienError, match="a split to test on, such as test or PublicTest; found dev, train; name the one to test on by `split`"
    ):
        compare(tmp_path / "faces", Grid((recipes["plain"],), seeds=1), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_recipe_may_start_from_a_model(tmp_path: Path, recipes: dict[str, str]) -> None:
    """On its network; a recipe's file can say the same for itself alone."""
    faces, heard = bright_faces(60, side=48), Heard()
    faces.save(tmp_path / "faces")
    grid = Grid((recipes["plain"],), seeds=1, start="mien-s", epochs=1, settings={"draw": "shuffled"}, threads=1)
    made = compare(tmp_path / "faces", grid, tmp_path / "out", heard)
    assert not made.failed
    (run,) = (tmp_path / "out" / "runs").iterdir()
    card = json.loads((run / "model" / "model.json").read_text())
    assert (card["network"], card["recipe"]["start"]["path"]) == ({"network": "mien_s"}, "mien-s")
    assert any("starts from mien-s: the last layer begins anew, for 3 classes" in line for line in heard.lines)
    with pytest.raises(MienError, match="a run or a model at nowhere"):
        make_plan(replace(grid, start="nowhere"), FaceSet.open(tmp_path / "faces"), None)
