"""The papers' tables: every entry is whole, its commands can be given, and one is made, killed and gone on with."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from conftest import Command
from mien import MienError, Recipe
from mien.cli import app
from mien.cli.compare import _axes
from mien.cli.options import comma_list, key_values
from mien.cli.tables_of_papers import _measured
from mien.data.importing import source_from
from mien.experiments.paper_tables import entries
from mien.experiments.paper_tables.commands import TableRequest, commands_of, merged, small_form
from mien.experiments.paper_tables.entries import PaperTable, PrintedFigure, TableStep, find_table, read_tables, readable
from mien.experiments.paper_tables.made_table import MadeTable
from mien.experiments.paper_tables.measured import measure_figures
from mien.experiments.paper_tables.report import table_html
from mien.experiments.paper_tables.run_table import make_table
from mien.json_toml import parse_word
from mien.recipes.recipe_files import recipe_names

WRITTEN = {"jaffe", "kdef", "rafd", "oulu_casia", "sfew", "affectnet", "tfd", "expw", "cafe", "anxiety"}
WRITTEN |= {"imdb_wiki", "casia_webface", "megaface", "liris_cse", "rafdb", "ckplus", "fer2013", "ferplus"}
"""Names of databases, whether this mien reads them or not."""
TABLES = [pytest.param(table, id=table.id) for table in read_tables()]
GROUP = typer.main.get_group(app)


def _parsed(words: tuple[str, ...]) -> dict[str, Any]:
    """What a command's options are. A wrong one is an error."""
    command: Any = GROUP
    left = list(words)
    while hasattr(command, "commands"):
        command = command.commands[left.pop(0)]
    found: dict[str, Any] = command.make_context(words[0], left).params
    return found


def _require_source(asked: dict[str, Any], changes: dict[str, str]) -> None:
    """A database that mien reads takes what the command tells it."""
    if asked["source"] in readable():
        told = {name: asked[name] for name in ("rule", "side", "color") if asked[name]}
        given = {name: parse_word(value) for name, value in changes.items()}
        assert source_from(asked["source"], {"input": asked["paths"][0], **told, **given})


def test_there_is_an_entry_for_each_numbered_table() -> None:
    ids = [table.id for table in read_tables()]
    wanted = ["alt-1a", "alt-1b", "alt-2", "alt-3", *(f"st-sw-{number}" for number in range(1, 7))]
    wanted += [f"sna-{number}" for number in range(3, 9)] + [f"fn2en-{number}" for number in range(1, 7)]
    assert ids == wanted + [f"dal-{number}" for number in range(3, 12)]
    assert len(set(ids)) == 31


def test_a_cluster_is_named_to_each_comparison() -> None:
    table = find_table("alt-1b")
    asked = TableRequest(there=(*table.databases, *table.further))
    plain, given = commands_of(table, asked), commands_of(table, replace(asked, cluster="head:6379"))
    for one, other in zip(plain, given, strict=True):
        assert other.words == one.words + (("--cluster", "head:6379") if one.words[0] == "compare" else ())
    assert any(one.words[0] == "compare" for one in plain)


@pytest.mark.parametrize("table", TABLES)
def test_an_entry_is_whole(table: PaperTable) -> None:
    assert table.title
    assert table.protocol
    used = {*table.databases, *table.further}
    assert used
    assert used <= WRITTEN
    named = {name for step in table.steps for name in (*step.needs, *step.where_there, *step.where_missing)}
    assert named <= used, "a step needs a database that the entry does not name"
    asked = TableRequest(there=tuple(used))
    text = " ".join(map(str, commands_of(table, asked)))
    assert {name for name in used if f"import {name} " in text} == used
    assert {figure.database for figure in table.figures} <= used
    for figure in table.figures:
        assert figure.method
        assert bool(figure.file) <= bool(figure.value)
        assert not figure.recipe or figure.recipe in recipe_names()
    assert len({(one.method, one.what, one.setting, one.database) for one in table.figures}) == len(table.figures)


@pytest.mark.parametrize("small", [False, True], ids=["full", "small"])
@pytest.mark.parametrize("table", TABLES)
def test_its_commands_can_be_given(table: PaperTable, small: bool) -> None:
    for there in (table.databases + table.further, table.databases):
        for command in commands_of(table, TableRequest(there=there, small=small, seeds=2)):
            asked = _parsed(command.words)
            changes = key_values(asked.get("set_"), "--set")
            if command.words[0] == "import":
                _require_source(asked, changes)
                continue
            for name in comma_list(asked.get("recipes") or asked.get("recipe") or ""):
                recipe = Recipe.load(name).with_settings(changes)
                recipe = recipe.with_network(asked["model"]) if asked.get("model") else recipe
                for axis in _axes(asked.get("vary") or []):
                    for value in axis["values"]:
                        recipe.with_settings({axis["key"]: value})
                if small and recipe.model["network"] not in ("facenet_dlib", "embedding"):
                    assert name.endswith("_small")


@pytest.mark.parametrize("small", [False, True], ids=["full", "small"])
@pytest.mark.parametrize("table", TABLES)
def test_every_file_that_is_read_is_left_by_a_command(table: PaperTable, small: bool) -> None:
    asked = TableRequest(there=table.databases + table.further, small=small, seeds=1)
    left = set[str]()
    for command in commands_of(table, asked):
        out = str(_parsed(command.words).get("out"))
        left |= {f"{out}/table.csv", f"{out}/metrics.json", str(command.prints)}
    only_full = {"vgg16", "ferplus-vgg16", "fer2013-vgg16"}
    for figure in table.figures:
        file = f"OUT/{figure.file}".replace("{seed}", "0").replace("{fold}", "1")
        if figure.file and not (small and (figure.file.split("/")[0] in only_full or figure.network == "VGG-16")):
            assert file in left, figure


@pytest.mark.parametrize(
    ("table", "method", "what", "setting", "figure"),
    [
        ("alt-1b", "AlexNet + ALT", "accuracy", "", "82.38"),
        ("alt-1a", "VGG-16 + ALT", "average accuracy", "transfer", "76.5"),
        ("alt-2", "AlexNet + ALT", "recognized of anxiety", "", "56.41"),
        ("alt-3", "AlexNet + ALT", "accuracy", "", "99.29"),
        ("st-sw-1", "with both ST and SW", "average accuracy", "", "99.43"),
        ("st-sw-2", "with both ST and SW", "average accuracy", "unlabeled: RaFD", "84.94"),
        ("sna-4", "Our Method", "average accuracy", "", "98.58"),
        ("sna-6", "Ours(T)", "average accuracy", "BS:63 LR:1x", "62.1"),
        ("sna-7", "with Ours", "failure cases", "", "9"),
        ("fn2en-3", "FN2EN", "average accuracy", "six classes", "98.6"),
        ("fn2en-6", "FN2EN", "average accuracy", "with FER2013", "55.15"),
        ("dal-3", "3 frozen layers", "accuracy", "stage 2", "65.04"),
        ("dal-10", "Round 2", "accuracy", "stage 2", "67.08"),
    ],
)
def test_figures_are_those_of_the_papers(table: str, method: str, what: str, setting: str, figure: str) -> None:
    found = [
        one.figure for one in find_table(table).figures if (one.method, one.what) == (method, what) and one.setting == setting
    ]
    assert figure in found


def test_a_confusion_matrix_has_all_its_cells() -> None:
    figures = find_table("dal-6").figures
    assert len(figures) == 49
    known = {one.method: one.figure for one in figures}
    assert (known["Happy called Happy"], known["Disgust called Angry"]) == ("0.85", "0.46")
    for name in ("Angry", "Fear", "Surprise"):
        assert sum(float(one.figure) for one in figures if one.method.startswith(f"{name} ")) == pytest.approx(1, abs=0.03)


def test_a_small_form() -> None:
    words = ["compare", "x", "--recipes", "pl,face_finetune", "--model", "vgg16_bn", "--set", "stages.0.lr=1", "--color"]
    assert small_form(words) == ["compare", "x", "--recipes", "pl_small,face_finetune", "--color", "--epochs", "4"]
    assert small_form(["import", "rafdb", "a", "b", "--side", "224"]) == ["import", "rafdb", "a", "b", "--side", "48"]
    assert merged(["a", "--set", "x=1", "--set", "y=2"], ["--set", "x=3"]) == ["a", "--set", "y=2", "--set", "x=3"]
    assert merged(["a", "--flag", "--n", "2"], ["--flag", "--n", "3"]) == ["a", "--flag", "--n", "3"]


def test_figures_of_json_files_and_of_folds(tmp_path: Path) -> None:
    for seed, failed in enumerate((4, 6, 8)):
        (tmp_path / f"{seed}.json").write_text(json.dumps({"counts": {"a": {"x": failed}, "b": {"x": 1}}, "confusion": [[1, 3]]}))
    for fold, accuracy in ((1, 0.5), (2, 0.7)):
        (tmp_path / f"fold{fold}").mkdir()
        (tmp_path / f"fold{fold}" / "table.csv").write_text(
            f'recipe,layers,seeds,accuracy\npl,"[""a""]",3,{accuracy}\npl,[],3,\n'
        )
    figures = (
        PrintedFigure("cases", "5", "faces", "", file="{seed}.json", value="counts.*.x"),
        PrintedFigure("share", "0.70", "share", "share", file="{seed}.json", value="confusion.0.1"),
        PrintedFigure(
            "folds", "50", "accuracy", recipe="pl", file="fold{fold}/table.csv", value="accuracy", where={"layers": ["a"]}
        ),
        PrintedFigure(
            "empty", "50", "accuracy", recipe="pl", file="fold{fold}/table.csv", value="accuracy", where={"layers": []}
        ),
        PrintedFigure("absent", "50", "accuracy", file="none.json", value="accuracy"),
    )
    table = replace(find_table("alt-1b"), figures=figures, folds=2)
    found = measure_figures(table, TableRequest(out=str(tmp_path), seeds=3))
    assert [one.mean for one in found[:3]] == pytest.approx([7, 0.75, 60])
    assert [one.seeds for one in found] == [3, 3, 3, 0, 0]
    assert found[0].low < 7 < found[0].high
    assert [one.over for one in found] == ["seeds", "seeds", "", "", ""]
    assert [one.mean == one.mean for one in found[3:]] == [False, False]
    assert found[0].difference == pytest.approx(2)


def test_an_interval_over_folds_is_called_so(tmp_path: Path) -> None:
    table = find_table("fn2en-5")
    for fold in range(1, 6):
        (tmp_path / f"fold{fold}").mkdir()
        (tmp_path / f"fold{fold}" / "table.csv").write_text(f"recipe,seeds,average_accuracy\nfn2en,1,{0.5 + fold / 50}\n")
    asked = TableRequest(out=str(tmp_path), seeds=1)
    made = MadeTable(table, asked, tuple(measure_figures(table, asked)), ())
    (row,) = [row for row in made.rows() if row["low"] == row["low"]]
    assert (row["over"], row["seeds"], made.intervals) == ("folds", 1, "folds")
    assert "t-intervals over folds" in table_html(made)
    assert _measured(made).title == "fn2en-5, with 95 % intervals over folds"
    assert "intervals" not in table_html(replace(made, figures=()))


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


TINY = "--epochs 1 --set model.width=4 --set batch=16 --set unlabeled_batch=16 --set draw.at_least=1 --set precision=float32"


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a FER2013 of a few faces; ALT's Table 1b with networks as small."""
    draw = np.random.default_rng(0)
    (tmp_path / "data" / "fer2013").mkdir(parents=True)
    with (tmp_path / "data" / "fer2013" / "fer2013.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["emotion", "pixels", "Usage"])
        for split, count in (("Training", 12), ("PublicTest", 3), ("PrivateTest", 6)):
            for number in range(7 * count):
                pixels = draw.integers(0, 60, 48 * 48) + 25 * (number % 7)
                writer.writerow([number % 7, " ".join(map(str, pixels)), split])
    table = find_table("alt-1b")
    steps = tuple(
        replace(step, small=f"{step.small} {TINY}") if step.words.startswith("compare") else step for step in table.steps
    )
    small = replace(table, steps=(*steps, TableStep("describe {out}/fer2013 --json", needs=("fer2013",), prints="seen.json")))
    monkeypatch.setattr(entries, "find_table", lambda name: small)
    return tmp_path


def test_a_table_is_made_and_gone_on_with(tiny: Path, mien: Command) -> None:
    words = ["tables", "run", "alt-1b", "--data", tiny / "data", "--out", tiny / "out", "--small"]
    done = mien(*words, "--seeds", 1)
    assert done.code == 0, done.err
    assert "small recipes, faces of 48 pixels" in done.out.replace("\n", " ")
    assert "not at hand: ferplus, megaface" in done.out.replace("\n", " ")
    rows, compared = (_rows(tiny / "out" / name) for name in ("table.csv", "fer2013-alexnet/table.csv"))
    accuracy = {row["recipe"]: float(row["accuracy"]) for row in compared}
    assert set(accuracy) == {"supervised_small", "pl_small", "pl_alrao_small", "alt_small"}
    measured = {row["recipe"]: row for row in rows if row["measured"]}
    assert set(measured) == set(accuracy)
    for name, row in measured.items():
        assert float(row["measured"]) == pytest.approx(100 * accuracy[name], abs=1e-3)
        assert float(row["difference"]) == pytest.approx(float(row["measured"]) - float(row["published"]), abs=1e-3)
        assert (row["network"], row["database"], row["seeds"], row["low"]) == ("mien_s", "fer2013", "1", "")
    assert {row["published"] for row in rows if row["recipe"] == "alt_small"} == {"69.62"}
    assert len(rows) == len(find_table("alt-1b").figures)
    page = (tiny / "out" / "report.html").read_text("utf-8")
    assert "69.62" in page
    assert "mien compare" in page
    assert json.loads((tiny / "out" / "seen.json").read_text())["counts"]["PrivateTest"]["anger"] == 6

    before = {path: path.stat().st_mtime_ns for path in (tiny / "out" / "fer2013-alexnet" / "runs").rglob("model.json")}
    done = mien(*words, "--seeds", 2, "--json")
    assert done.code == 0, done.err
    assert "done already: mien import fer2013" in done.err
    assert {path: path.stat().st_mtime_ns for path in before} == before
    found = json.loads(done.out)
    assert {figure["seeds"] for figure in found["figures"] if figure["recipe"]} == {2}
    done = mien(*words[:-1])
    assert done.code == 1
    assert re.search("small = true; found small = false", done.err.lower())


def test_a_copy_without_private_test_is_tested_on_another_split(tiny: Path, mien: Command) -> None:
    file = tiny / "data" / "fer2013" / "fer2013.csv"
    file.write_text("".join(line for line in file.read_text().splitlines(True) if "PrivateTest" not in line))
    words = ["tables", "run", "alt-1b", "--data", tiny / "data", "--out", tiny / "out", "--small", "--seeds", 1]
    refused = mien(*words)
    assert refused.code == 1
    assert "PrivateTest, on which the paper tests; found PublicTest, Training" in refused.err.replace("\n", " ")
    assert "--split" in refused.err
    done = mien(*words[:5], "--out", tiny / "other", *words[7:], "--split", "PublicTest")
    assert done.code == 0, done.err
    assert "tested on PublicTest, the paper on PrivateTest" in done.out.replace("\n", " ")
    compared = _rows(tiny / "other" / "fer2013-alexnet" / "table.csv")
    assert {row["tested_split"] for row in compared} == {"PublicTest"}
    assert "tested on PublicTest" in (tiny / "other" / "report.html").read_text("utf-8")
    again = mien(*words[:5], "--out", tiny / "other", *words[7:])
    assert (again.code, "split" in again.err) == (1, True)


@pytest.mark.parametrize("name", ["dal-3", "alt-1b", "dal-5", "dal-6", "dal-9", "dal-10", "dal-11"])
def test_another_split_takes_the_place_of_private_test(name: str) -> None:
    table = find_table(name)
    asked = TableRequest(there=(*table.databases, *table.further), seeds=1)
    words = [word for command in commands_of(table, replace(asked, split="PublicTest")) for word in command.words]
    assert "PublicTest" in words
    assert "PrivateTest" not in words


def test_another_split_is_for_tables_that_test_on_private_test(mien: Command, tmp_path: Path) -> None:
    (tmp_path / "rafdb" / "EmoLabel").mkdir(parents=True)
    (tmp_path / "rafdb" / "EmoLabel" / "list_patition_label.txt").touch()
    refused = mien("tables", "run", "alt-1a", "--data", tmp_path, "--out", tmp_path / "out", "--split", "PublicTest")
    assert (refused.code, "a table that tests on PrivateTest" in refused.err) == (1, True)


def test_what_cannot_be_made_is_refused_before_anything_is_written(mien: Command, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name, why in (("alt-1a", "rafdb at"), ("alt-1b", "one of ferplus, fer2013, megaface"), ("alt-9", "the id of a table")):
        done = mien("tables", "run", name, "--data", tmp_path / "data", "--out", tmp_path / "out")
        assert done.code == 1
        assert why in done.err
    assert not (tmp_path / "out").exists()
    with pytest.raises(MienError, match=r"did you mean alt-1a"):
        find_table("alt1a")


def test_they_are_listed_and_shown(mien: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rafdb" / "EmoLabel").mkdir(parents=True)
    (tmp_path / "rafdb" / "EmoLabel" / "list_patition_label.txt").touch()
    (tmp_path / "megaface").mkdir()
    (tmp_path / "fer2013").mkdir()
    (tmp_path / "fer2013" / ".fer2013.csv").touch()
    listed = json.loads(mien("tables", "list", "--data", tmp_path, "--json").out)["tables"]
    assert next(one for one in listed if one["id"] == "alt-1a")["there"] == ["rafdb"]
    assert next(one for one in listed if one["id"] == "dal-3")["missing"] == ["fer2013"]
    assert "fn2en-5" in mien("tables", "list").out
    shown = json.loads(mien("tables", "show", "dal-5", "--json", "--seeds", 2).out)
    assert [command.split()[1] for command in shown["commands"]] == ["import", "train", "train", "evaluate", "evaluate"]
    assert "Ours(BT)" in mien("tables", "show", "sna-6").out
    monkeypatch.setattr(entries, "readable", lambda: frozenset({"rafdb"}))
    assert [find_table(name).can_be_made for name in ("alt-1a", "st-sw-1", "dal-3")] == ["in part", "in part", "no"]
    done = mien("tables", "run", "dal-3", "--data", tmp_path, "--out", tmp_path / "out")
    assert "databases that mien reads" in done.err


@pytest.mark.parametrize("table", read_tables(), ids=lambda table: table.id)
def test_no_two_commands_write_into_one_folder(table: PaperTable) -> None:
    """A comparison does not go into the folder of a face set that was made before it."""
    out = re.compile(r"^(?:import|peaks|convert|features|identities) .* ({out}/\S+)|--out ({out}/\S+)")
    made = [next(filter(None, found)) for step in table.steps for found in out.findall(" ".join(step.words.split()))]
    assert len(set(made)) == len(made), made


def test_ids_are_found_in_capital_letters() -> None:
    assert find_table("ALT-1b").id == "alt-1b"


@pytest.mark.parametrize("code", [130, 143])
def test_an_interrupted_command_interrupts_the_table(tiny: Path, code: int) -> None:
    """Nothing is written as if it were finished."""
    asked = TableRequest(str(tiny / "data"), str(tiny / "out"), 1, 1, True)
    with pytest.raises(KeyboardInterrupt):
        make_table(find_table("alt-1b"), asked, lambda words: code, lambda text: None)
    assert not (tiny / "out" / "table.csv").exists()
