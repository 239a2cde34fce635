"""RAF-DB in its published layout."""

from pathlib import Path

import numpy as np
import pytest
from published import each_missing, facts_are_whole, imported, labels_by_id, write_picture, write_text

from mien import MienError
from mien.data.sources.rafdb import Rafdb

LINES = ["train_00001 5", "train_00002 1", "test_0001 7"]


def write(folder: Path) -> None:
    """Three faces: sad and surprised to train on, neutral to test on."""
    write_text(folder / "EmoLabel/list_patition_label.txt", "".join(line.replace(" ", ".jpg ") + "\n" for line in LINES))
    for number, line in enumerate(LINES):
        stem = line.split()[0]
        write_picture(folder / f"Image/aligned/{stem}_aligned.jpg", (100, 100), 60 + number, "RGB")
        write_picture(folder / f"Image/original/{stem}.jpg", (90, 60), 160 + number, "RGB")
        write_text(folder / f"Annotation/boundingbox/{stem}_boundingbox.txt", "10.5 5.0 50.5 45.0 \n")


@pytest.mark.parametrize(("crops", "shade"), [("aligned", 60), ("original", 160)])
def test_names_labels_and_splits(crops: str, shade: int, tmp_path: Path) -> None:
    write(tmp_path / "tree")
    found = imported("rafdb", tmp_path / "tree", tmp_path / "set", crops=crops)
    assert labels_by_id(found.faces) == {"train_00001": "sadness", "train_00002": "surprise", "test_0001": "neutral"}
    assert found.faces.values("split").tolist() == ["train", "train", "test"]
    assert [int(np.median(face)) for face in found.faces.faces([0, 1, 2])] == [shade, shade + 1, shade + 2]
    assert "train sadness: 1, published 1,982" in found.differences


def test_published_numbers() -> None:
    counts = Rafdb(Path()).published_counts()
    assert {split: sum(each.values()) for split, each in counts.items()} == {"train": 12_271, "test": 3_068}


def test_each_missing_thing_is_named(tmp_path: Path) -> None:
    each_missing("rafdb", write, tmp_path / "a", ("Image/original", "Annotation"), crops="aligned")
    each_missing("rafdb", write, tmp_path / "b", ("Image/aligned",), crops="original")


NO_LINES = ("train_00003.jpg 8", "train_00003.jpg 12", "dev_00001.jpg 3", "train_00003.jpg", "a b c")
TWICE = ("train_00001.jpg 3", "train_00001 5")


@pytest.mark.parametrize(
    ("line", "said"),
    [*((line, "list_patition_label") for line in NO_LINES), *((line, "train_00001 in lines 1 and 4") for line in TWICE)],
)
def test_lines_that_are_none_and_a_face_that_is_listed_twice(line: str, said: str, tmp_path: Path) -> None:
    write(tmp_path)
    with (tmp_path / "EmoLabel/list_patition_label.txt").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(MienError, match=said):
        imported("rafdb", tmp_path, tmp_path / "out")


@pytest.mark.parametrize("box", ["10 5 nan 45", "10 5 10 45", "200 5 240 45", "-9000 -9000 9000 9000", "-1e308 0 1 1e308"])
def test_boxes_that_do_not_fit(box: str, tmp_path: Path) -> None:
    write(tmp_path)
    write_text(tmp_path / "Annotation/boundingbox/train_00001_boundingbox.txt", box)
    with pytest.raises(MienError, match="train_00001"):
        imported("rafdb", tmp_path, tmp_path / "out", crops="original")


def test_facts() -> None:
    facts_are_whole("rafdb")
