"""Whole protocols: a database in its published layout is imported once and compared on; sets are crossed in every order."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_folds import SMALL

from conftest import Command, bright_faces
from mien import FaceSet, MienError
from mien.data.database import PublishedProtocol
from mien.experiments.protocols import _in_its_way, cross_database, find_protocol, run_protocol
from mien.experiments.settings import Grid
from mien.experiments.tested_set import choose_tested_set

PSEUDO = f'{SMALL}\nunlabeled_batch = 16\nunlabeled = {{ technique = "pseudo_label", weight = 1.0, start = 0, ramp = 0 }}\n'
SAID = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    (tmp_path / "plain.toml").write_text(SMALL)
    return str(tmp_path / "plain.toml")


@pytest.fixture
def jaffe(tmp_path: Path) -> Path:
    """Ten people with seven expressions each, in JAFFE's layout."""
    folder, generator = tmp_path / "jaffe", np.random.default_rng(0)
    folder.mkdir()
    for person in range(10):
        for number, code in enumerate(SAID):
            pixels = generator.integers(0, 100, (32, 32), np.uint8)
            pixels[4 * number : 4 * number + 4] += 120
            Image.fromarray(pixels).save(folder / f"P{'ABCDEFGHIJ'[person]}.{code}1.{7 * person + number + 1}.tiff")
    return folder


def test_a_database_is_imported_once_and_all_folds_are_run(jaffe: Path, recipe: str, tmp_path: Path) -> None:
    grid, out, name = Grid(recipes=(recipe,), seeds=1), tmp_path / "out", "jaffe"
    found = run_protocol(name, jaffe, grid, out)
    (result,) = found.results
    folds = find_protocol(name)[2].folds
    assert (result.folds, result.tested) == (folds, 70)
    stamp = (out / "faces" / "faces.npy").stat().st_mtime_ns
    assert run_protocol(name, jaffe, grid, out).results == found.results
    assert (out / "faces" / "faces.npy").stat().st_mtime_ns == stamp
    with pytest.raises(MienError, match="choose another --out"):
        run_protocol("rafdb", jaffe, grid, out)
    jaffe.rename(tmp_path / "elsewhere")
    with pytest.raises(MienError, match="choose another --out"):
        run_protocol(name, tmp_path / "elsewhere", grid, out)


@pytest.mark.parametrize("private", [True, False])
def test_fer2013_is_measured_on_the_splits_that_its_protocol_names(
    mien: Command, recipe: str, tmp_path: Path, private: bool
) -> None:
    """Where a copy lacks one, the message names the protocol that does without."""
    draw, lines = np.random.default_rng(0), ["emotion,pixels,Usage"]
    for split, count in (("Training", 8), ("PublicTest", 3), *([("PrivateTest", 4)] if private else [])):
        for number in range(7 * count):
            pixels = draw.integers(0, 60, 48 * 48) + 25 * (number % 7)
            lines.append(f"{number % 7},{' '.join(map(str, pixels))},{split}")
    (tmp_path / "fer").mkdir()
    (tmp_path / "fer" / "fer2013.csv").write_text("\n".join(lines))
    words = [tmp_path / "fer", "--recipes", recipe, "--seeds", 1, "--out"]
    done = mien("protocol", "fer2013", *words, tmp_path / "out")
    if private:
        assert done.code == 0, done.err
        (file,) = (tmp_path / "out" / "comparison" / "runs").glob("*/result.json")
        result = json.loads(file.read_text())
        assert (result["tested_split"], result["tested"]) == ("PrivateTest", 28)
        assert (result["train_labels"], result["validation_labels"]) == (56, 21)
        assert "validation: 21, published 3,589" in done.err
    else:
        assert (done.code, "mien protocol" in done.err) == (1, False)
        said = done.err.replace("\n", " ")
        assert "the split PrivateTest for fer2013" in said
        assert "found PublicTest, Training; measure by fer2013:public instead" in said
        assert not (tmp_path / "out" / "faces").exists()
    done = mien("protocol", "fer2013:public", *words, tmp_path / "public")
    assert done.code == 0, done.err
    (file,) = (tmp_path / "public" / "comparison" / "runs").glob("*/result.json")
    result = json.loads(file.read_text())
    assert (result["tested_split"], result["tested"]) == ("PublicTest", 21)
    assert result["train_labels"] + result["validation_labels"] == 56


@pytest.mark.parametrize("name", ["casia_webface", "imdb_wiki", "liris_cse", "megaface"])
def test_databases_without_labels_are_refused_before_they_are_imported(
    mien: Command, recipe: str, tmp_path: Path, name: str
) -> None:
    done = mien("protocol", name, tmp_path, "--recipes", recipe, "--out", tmp_path / "out")
    assert (done.code, f"{name}, without any" in done.err.replace("\n", " ")) == (1, True)
    assert not (tmp_path / "out").exists()
    assert "mien protocol" not in mien("databases", name).out
    assert "mien protocol rafdb:PROTOCOL" in mien("databases", "rafdb").out


def test_databases_are_listed_with_classes_and_counts(mien: Command) -> None:
    rows = [line.replace(" ", "").split("│")[1:5] for line in mien("databases").out.splitlines() if "│" in line]
    told = {row[0]: tuple(row[2:4]) for row in rows if row[0]}
    assert told["rafdb"] == ("7", "15,339")
    assert (told["megaface"], told["imdb_wiki"]) == (("none", "4,753,320"), ("none", "-"))
    assert told["ferplus"] == ("8", "32,140+"), "of PrivateTest nobody publishes the number"
    one = mien("databases", "rafdb").out
    assert "classes: anger, disgust, fear, happiness, neutral, sadness, surprise" in one
    assert "test: 3,068 (surprise 329" in one.replace("\n", " ")
    assert "no numbers are published" in mien("databases", "imdb_wiki").out
    found = json.loads(mien("databases", "fer2013", "--json").out)
    assert (len(found["classes"]), found["counts"]["PrivateTest"]) == (7, {"": 3_589})
    assert json.loads(mien("databases", "--json").out)["databases"]["jaffe"]["counts"][""]["anger"] == 30


def test_folds_of_nobody_are_refused_before_anything_is_imported(recipe: str, tmp_path: Path) -> None:
    (tmp_path / "fer").mkdir()
    pixels = " ".join(["7"] * 48 * 48)
    (tmp_path / "fer" / "fer2013.csv").write_text(f"emotion,pixels,Usage\n3,{pixels},Training\n")
    with pytest.raises(MienError, match="who is on its faces, to make folds of fer2013"):
        run_protocol("fer2013", tmp_path / "fer", Grid((recipe,), folds=3), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_folds_are_the_protocols_or_where_it_has_none_those_asked_for(recipe: str) -> None:
    folds = PublishedProtocol("folds", folds=10, ascending=True)
    split = PublishedProtocol("the test split")
    assert _in_its_way("a:b", split, Grid((recipe,), folds=3)).folds == 3
    assert _in_its_way("a:b", split, Grid((recipe,))).folds is None
    for given in (None, 10):
        asked = _in_its_way("a:b", folds, Grid((recipe,), folds=given))
        assert (asked.folds, asked.fold_order) == (10, "ascending")
    with pytest.raises(MienError, match="the 10 folds of a:b; found 3"):
        _in_its_way("a:b", folds, Grid((recipe,), folds=3))


def test_a_wrong_recipe_is_noticed_before_anything_is_imported(recipe: str, tmp_path: Path) -> None:
    for grid in (Grid((recipe, "nothing_such")), Grid((recipe,), settings={"nothing": 1}), Grid((recipe,), device="tape")):
        with pytest.raises(MienError, match=r"nothing|tape"):
            run_protocol("jaffe", tmp_path / "not there", grid, tmp_path / "out")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nobody:six", "a database with protocols"),
        ("ckplus:nine", "ckplus:six"),
        ("ckplus", "ckplus:six"),
        ("folder", "a database"),
    ],
)
def test_names_that_are_none(name: str, said: str) -> None:
    with pytest.raises(MienError, match=said):
        find_protocol(name)


def test_every_pair_in_both_orders(recipe: str, tmp_path: Path) -> None:
    here, there = bright_faces(60, seed=1), bright_faces(40, seed=2)
    here.save(tmp_path / "here")
    # Without splits; its third class is another one.
    FaceSet.from_arrays(there.faces(), there.labels, classes=("class0", "class1", "other")).save(tmp_path / "there")
    figures = cross_database([tmp_path / "here", tmp_path / "there"], Grid(recipes=(recipe,), seeds=1), tmp_path / "out")
    assert [(one.train, one.test) for one in figures] == [("here", "there"), ("there", "here")]
    assert any("left out, as no run learns the class" in note for note in figures[0].notes)
    with (tmp_path / "out" / "cross.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["accuracy"]) for row in rows] == pytest.approx([one.line.accuracy.mean for one in figures], abs=1e-6)
    tested = json.loads(next((tmp_path / "out" / "here_to_there" / "runs").glob("*/result.json")).read_text())
    assert (tested["tested"], tested["left_out"], tested["tested_split"]) == (27, 13, "all")
    again = cross_database([tmp_path / "here", tmp_path / "there"], Grid(recipes=(recipe,), seeds=1), tmp_path / "out")
    assert [one.line.accuracy.mean for one in again] == [one.line.accuracy.mean for one in figures]


def test_sets_that_cannot_be_crossed(recipe: str, tmp_path: Path) -> None:
    bright_faces(30).save(tmp_path / "a" / "set")
    bright_faces(30).save(tmp_path / "b" / "set")
    grid = Grid(recipes=(recipe,), seeds=1)
    for sets in ([tmp_path / "a" / "set"], [tmp_path / "a" / "set", tmp_path / "b" / "set"]):
        with pytest.raises(MienError, match="two sets or more"):
            cross_database(sets, grid, tmp_path / "out")
    strange = FaceSet.from_arrays(bright_faces(30).faces(), bright_faces(30).labels, classes=("x", "y", "z"))
    strange.save(tmp_path / "strange")
    with pytest.raises(MienError, match="labeled faces of class0"):
        cross_database([tmp_path / "a" / "set", tmp_path / "strange"], grid, tmp_path / "out")


def test_all_pairs_are_looked_at_before_one_is_trained(recipe: str, tmp_path: Path) -> None:
    """Here the last set lacks, or shares no class: both names are in the message."""
    for name, seed in (("one", 1), ("two", 2)):
        bright_faces(30, seed=seed).save(tmp_path / name)
    faces = bright_faces(30, seed=3)
    FaceSet.from_arrays(faces.faces(), faces.labels, classes=("x", "y", "z")).save(tmp_path / "strange")
    for last in ("strange", "nowhere"):
        with pytest.raises(MienError, match=f"to train on one and test on {last}"):
            cross_database([tmp_path / name for name in ("one", "two", last)], Grid((recipe,), seeds=1), tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_crossed_sets_give_unlabeled_faces(tmp_path: Path) -> None:
    """Those of the set that is tested on, without its test faces; a set without splits has none to give."""
    (tmp_path / "pseudo.toml").write_text(PSEUDO)
    grid = Grid((str(tmp_path / "pseudo.toml"),), seeds=1)
    for name, seed, count in (("one", 1, 60), ("two", 2, 40)):
        bright_faces(count, seed=seed).save(tmp_path / name)
    sets = [tmp_path / "one", tmp_path / "two"]
    figures = cross_database(sets, grid, tmp_path / "out", unlabeled=True)
    trained = [int((FaceSet.open(path).values("split") == "train").sum()) for path in sets]
    assert [one.line.unlabeled_faces for one in figures] == [trained[1], trained[0]]
    figures = cross_database(sets, grid, tmp_path / "alone")
    assert [one.line.unlabeled_faces for one in figures] == [0, 0]
    faces = bright_faces(30, seed=3)
    FaceSet.from_arrays(faces.faces(), faces.labels, classes=faces.classes).save(tmp_path / "whole")
    with pytest.raises(MienError, match="to train on one and test on whole"):
        cross_database([tmp_path / "one", tmp_path / "whole"], grid, tmp_path / "none", unlabeled=True)


def test_crossed_runs_that_fail_are_told(mien: Command, recipe: str, tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 2)):
        bright_faces(40, seed=seed).save(tmp_path / name)
    words = ["--recipes", recipe, "--seeds", 1, "--set", "stages.0.lr=1e30"]
    done = mien("protocol", "cross", tmp_path / "one", tmp_path / "two", *words, "--out", tmp_path / "out")
    assert done.code == 1
    assert "one to two, plain failed: " in done.out
    assert "two to one, plain failed: " in done.out
    assert "plain failed" not in done.err
    with (tmp_path / "out" / "cross.csv").open() as file:
        assert all(row["failed"] for row in csv.DictReader(file))
    done = mien("protocol", "jaffe", tmp_path / "one", *words, "--unlabeled", "--out", tmp_path / "out2")
    assert (done.code, "--unlabeled" in done.err) == (2, True)


def test_on_the_command_line(mien: Command, jaffe: Path, recipe: str, tmp_path: Path) -> None:
    bright_faces(40, seed=1).save(tmp_path / "one")
    bright_faces(40, seed=2).save(tmp_path / "two")
    words = ["--recipes", recipe, "--seeds", 1, "--out", tmp_path / "out"]
    done = mien("protocol", "cross", tmp_path / "one", tmp_path / "two", *words)
    assert done.code == 0, done.err
    assert all(word in done.out for word in ("plain", "trained on", "one", "two", "cross.csv"))
    figures = json.loads(mien("protocol", "cross", tmp_path / "one", tmp_path / "two", *words, "--json").out)["figures"]
    assert [(one["train"], one["test"]) for one in figures] == [("one", "two"), ("two", "one")]
    refused = mien("protocol", "ckplus:six", jaffe, *words[:-1], tmp_path / "other")
    assert (refused.code, "cohn-kanade-images" in refused.err) == (1, True)
    assert not (tmp_path / "other" / "faces").exists()
    assert mien("protocol", "ckplus:six", jaffe, jaffe, *words).code == 2


def test_crossed_sets_count_the_classes_that_both_train(tmp_path: Path) -> None:
    """The first has a class of which it has no training face; of another the second has test faces alone."""
    here, there = bright_faces(60, seed=1), bright_faces(60, seed=2)
    test = here.values("split") == "test"
    here = here.select((here.labels != 2) | test).save(tmp_path / "here")
    there = there.select((there.labels != 1) | (there.values("split") == "test")).save(tmp_path / "there")
    for one, other in ((here, there), (there, here)):
        found = choose_tested_set(one, None, other, None, shared=True)
        assert found.counts == {"class0": 4, "class1": 0, "class2": 0}
        assert (found.left_out, found.checksum) == (8, f"{other.info.checksum} without class1, class2")
        assert found.notes[0] == "counted are classes that both sets have training faces of; without class1, class2"
        assert choose_tested_set(one, None, other, None).counts == {"class0": 4, "class1": 4, "class2": 4}
