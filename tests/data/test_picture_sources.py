"""People's own faces: a folder for each class, or a table that names pictures."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import collect, face, gather, write_csv, write_faces
from mien.data.faceset import FaceSet
from mien.data.importing import source_from
from mien.errors import MienError

# Folders


def test_folder_names_become_classes_and_unlabeled_has_none(tmp_path: Path) -> None:
    for place, name in enumerate(["happy", "Angry", "bored", "unlabeled", ".hidden"]):
        write_faces(tmp_path / name, 1, first=place)
    write_faces(tmp_path / "happy" / "person 1", 1, first=9)
    (tmp_path / "happy" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "readme.txt").write_text("x")
    (block,), rejected = gather("folder", input=tmp_path)
    assert source_from("folder", {"input": tmp_path}).info().classes == ("anger", "bored", "happiness")
    found = dict(zip(block.columns["id"], block.columns["label"].tolist(), strict=True))
    assert found == {
        "Angry/1.png": 0,
        "bored/2.png": 1,
        "happy/0.png": 2,
        "happy/person 1/9.png": 2,
        "unlabeled/3.png": -1,
    }
    assert "split" not in block.columns
    assert not rejected
    assert (block.faces[list(found).index("bored/2.png")] == face(2, 8)).all()


def test_folder_takes_the_users_map(tmp_path: Path) -> None:
    for name in ("1", "2", "3", "4"):
        write_faces(tmp_path / name, 1)
    source = source_from("folder", {"input": tmp_path, "classes": {"1": "surprise", "2": "fear", "3": "", "4": "fear"}})
    (block,) = source.blocks()
    assert source.info().classes == ("fear", "surprise")
    assert block.columns["label"].tolist() == [1, 0, -1, 0]
    with pytest.raises(MienError, match=r"class folders 5 in .*1, 2, 3, 4"):
        gather("folder", input=tmp_path, classes={"5": "fear"})


def test_folder_splits_get_one_spelling(tmp_path: Path) -> None:
    for name in ("Training/sad", "Training/happy", "val/sad", "test/happy", "unlabeled"):
        write_faces(tmp_path / name, 1)
    assert collect("folder", "id", input=tmp_path) == [
        "Training/happy/0.png",
        "Training/sad/0.png",
        "test/happy/0.png",
        "val/sad/0.png",
        "unlabeled/0.png",
    ]
    assert collect("folder", "split", input=tmp_path) == ["train", "train", "test", "validation", "train"]
    assert collect("folder", "label", input=tmp_path) == [0, 1, 0, 1, -1]
    write_faces(tmp_path / "fear", 1)
    with pytest.raises(MienError, match=r"either classes or splits .*Training, test, val beside fear"):
        gather("folder", input=tmp_path)


def test_folder_without_faces_in_a_class(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="a folder for each class"):
        gather("folder", input=tmp_path)
    write_faces(tmp_path / "happy", 1)
    (tmp_path / "sad").mkdir()
    with pytest.raises(MienError, match=r"a picture in every class folder; found none in .*sad"):
        gather("folder", input=tmp_path)


@pytest.mark.parametrize("above", ["images", "images/all of them"])
@pytest.mark.parametrize("inner", [("happy", "sad"), ("train/happy", "test/sad"), ("happy", "unlabeled", "bored")])
def test_one_folder_above_the_classes_is_passed_through(tmp_path: Path, above: str, inner: tuple[str, ...]) -> None:
    for name in inner:
        write_faces(tmp_path / above / name, 1)
        write_faces(tmp_path / "plain" / name, 1)
    plain = tmp_path / "plain"
    expected = [collect("folder", "label", input=plain), source_from("folder", {"input": plain}).info().classes]
    shutil.rmtree(plain)
    (tmp_path / "readme.txt").write_text("x")
    (tmp_path / "__MACOSX" / "images").mkdir(parents=True)
    found = [collect("folder", "label", input=tmp_path), source_from("folder", {"input": tmp_path}).info().classes]
    assert found == expected


def test_folders_above_the_classes_that_are_several_are_named(tmp_path: Path) -> None:
    for person in ("alice", "bob"):
        write_faces(tmp_path / person / "happy", 1)
        write_faces(tmp_path / person / "sad", 1)
    with pytest.raises(MienError, match=r"found happy, sad in .*alice; give the folder above the classes, or map this one"):
        gather("folder", input=tmp_path)
    assert collect("folder", "label", input=tmp_path, classes={"alice": "alice", "bob": "bob"}) == [0, 0, 1, 1]


def test_folders_that_may_be_classes_or_lie_above_them_are_refused(tmp_path: Path) -> None:
    for name in ("calm one", "tense"):
        write_faces(tmp_path / "mine" / name, 1)
    todo = r"give .*/mine if these are the classes, or say --classes CLASS=mine if all of it is one class"
    with pytest.raises(MienError, match=rf"found one folder, mine, with calm one, tense in it; {todo}"):
        gather("folder", input=tmp_path)
    assert collect("folder", "label", input=tmp_path / "mine") == [0, 1]
    assert collect("folder", "label", input=tmp_path, classes={"mine": "mine"}) == [0, 0]
    write_faces(tmp_path, 1)
    with pytest.raises(MienError, match=r"found one folder, mine, with calm one, tense in it"):
        gather("folder", input=tmp_path)
    write_faces(tmp_path / "others", 1)  # two folders are two classes, whatever lies in them
    assert collect("folder", "label", input=tmp_path) == [0, 0, 1]


def test_splits_below_the_classes_are_refused(tmp_path: Path) -> None:
    for name in ("happy/train", "happy/test", "sad/train"):
        write_faces(tmp_path / name, 1)
    with pytest.raises(MienError, match=r"splits above the class folders .* test, train in .*happy; put the class folders below"):
        gather("folder", input=tmp_path)


@pytest.mark.parametrize("name", ["nan", "None", "NA", "null", "Unlabeled", "unlabelled", "n_a"])
def test_folders_of_no_class_have_no_label_unless_the_users_map_says_so(tmp_path: Path, name: str) -> None:
    write_faces(tmp_path / "happy", 1)
    write_faces(tmp_path / name, 1)
    label = {"happy": "happiness", name: "own"}
    by_name = dict(zip(collect("folder", "id", input=tmp_path), collect("folder", "label", input=tmp_path), strict=True))
    assert by_name == {"happy/0.png": 0, f"{name}/0.png": -1}
    assert source_from("folder", {"input": tmp_path, "classes": label}).info().classes == ("happiness", "own")


def test_folder_reports_files_that_are_no_pictures(tmp_path: Path) -> None:
    write_faces(tmp_path / "happy", 2)
    (tmp_path / "happy" / "notes.doc").write_text("x")
    (tmp_path / "happy" / "text.png").write_text("x")
    (block,), rejected = gather("folder", input=tmp_path)
    assert len(block.faces) == 2
    assert [(Path(one.path).name, one.reason) for one in rejected] == [
        ("notes.doc", "no picture by its name"),
        ("text.png", "no picture of a known format"),
    ]


def test_folder_side_and_color(tmp_path: Path) -> None:
    write_faces(tmp_path / "happy", 1, side=8)
    write_faces(tmp_path / "sad", 1, side=10)
    with pytest.raises(MienError, match="`side`"):
        gather("folder", input=tmp_path)
    source = source_from("folder", {"input": tmp_path, "side": 6, "color": True})
    (block,) = source.blocks()
    assert block.faces.shape == (2, 6, 6, 3)
    assert (source.info().side, source.info().channels) == (6, 3)
    for side in (0, -1, 10**6):
        with pytest.raises(MienError, match="side"):
            source_from("folder", {"input": tmp_path, "side": side})


# Tables


def table_of(folder: Path, rows: Sequence[Sequence[object]], header: Sequence[str]) -> dict[str, Any]:
    write_faces(folder / "images", 3)
    return {"input": write_csv(folder / "images" / "table.csv", [header, *rows])}


def test_table_columns_are_ours_by_name_or_by_map(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["2.png", "a", "happy", 7, "0.5"],
        ["0.png", "b", "", 8, ""],
        ["1.png", "a", "SAD", "", "1"],
    ]
    given_settings = table_of(tmp_path, rows, ("file", "person", "label", "frame", "strength"))
    given_settings |= {"columns": {"path": "file", "subject": "person"}, "keep": ["strength"]}
    (block,), rejected = gather("table", **given_settings)
    faces = FaceSet.from_arrays(block.faces, block.columns["label"], ("happiness", "sadness"), block.columns)
    assert source_from("table", given_settings).info().classes == faces.classes
    assert faces.values("id").tolist() == ["2.png", "0.png", "1.png"]
    assert block.columns["label"].tolist() == [0, -1, 1]
    assert faces.column("subject").to_pylist() == ["a", "b", "a"]
    assert faces.column("frame").to_pylist() == [7, 8, None]
    assert faces.column("strength").to_pylist() == [0.5, None, 1.0]
    assert (block.faces == np.stack([face(n, 8) for n in (2, 0, 1)])).all()
    assert not rejected


def test_a_table_says_nothing_in_many_ways(tmp_path: Path) -> None:
    rows = [["0.png", "nan", "NaN", "None"], ["1.png", " None ", "p", "TEST"], ["2.png", "Happy", "NA", " Training "]]
    given_settings = table_of(tmp_path, rows, ("path", "label", "subject", "split"))
    assert collect("table", "label", **given_settings) == [-1, -1, 0]
    assert source_from("table", given_settings).info().classes == ("happiness",)
    (block,), _ = gather("table", **given_settings)
    assert block.columns["subject"].to_pylist() == [None, "p", None]
    assert block.columns["split"].to_pylist() == [None, "test", "train"]
    given_settings["classes"] = {"nan": "not a number"}
    assert source_from("table", given_settings).info().classes == ("happiness", "not a number")


def test_table_labels_nobody_knows_are_listed(tmp_path: Path) -> None:
    given_settings = table_of(tmp_path, [["0.png", "1"], ["1.png", "happy"], ["2.png", "x"]], ("path", "label"))
    with pytest.raises(MienError, match=r"that are expressions; found 1, x; map each"):
        gather("table", **given_settings)
    given_settings["classes"] = {"1": "boredom", "x": ""}
    assert source_from("table", given_settings).info().classes == ("boredom", "happiness")
    assert collect("table", "label", **given_settings) == [0, 1, -1]


def test_table_without_labels_has_to_say_so(tmp_path: Path) -> None:
    given_settings = table_of(tmp_path, [("0.png",)], ("path",))
    with pytest.raises(MienError, match=r"a column label in .*only path; .*or label= for none"):
        gather("table", **given_settings)
    assert collect("table", "label", **given_settings, columns={"label": ""}) == [-1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": {"path": "picture"}}, r"columns picture in .*only path, label, more"),
        ({"columns": {"path": ""}}, "a column path"),
        ({"columns": {"age": "more"}}, "columns among path, .*found age"),
        ({"keep": ["color"]}, r"columns color in .*only path"),
        ({"keep": ["label"]}, "other columns to keep"),
        ({"columns": {"frame": "more"}}, "CSV rows that fit"),
        ({"columns": {"id": "label"}}, "each id once .*'happy' twice"),
        ({"columns": {"id": "more"}}, "a path and an id in every row"),
        ({"unknown": 1}, "to be given input, columns"),
    ],
)
def test_table_says_which_setting_does_not_fit(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    rows = [["0.png", "happy", "x"], ["1.png", "happy", ""]]
    given_settings = table_of(tmp_path, rows, ("path", "label", "more"))
    with pytest.raises(MienError, match=message):
        gather("table", **(given_settings | changes))


def test_table_paths_stay_below_the_folder_unless_absolute(tmp_path: Path) -> None:
    (outside,) = write_faces(tmp_path / "elsewhere", 1, first=5)
    given_settings = table_of(tmp_path, [[str(outside), "sad"], ["gone.png", "sad"]], ("path", "label"))
    (block,), rejected = gather("table", **given_settings)
    assert (block.faces[0] == face(5, 8)).all()
    assert [(Path(one.path).name, one.reason) for one in rejected] == [("gone.png", "no file there")]
    given_settings = table_of(tmp_path, [["../elsewhere/5.png", "sad"]], ("path", "label"))
    with pytest.raises(MienError, match="a file within"):
        gather("table", **given_settings)
