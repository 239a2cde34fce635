"""SFEW 2.0 in its published layout."""

from pathlib import Path

import numpy as np
import pytest
from published import each_missing, facts_are_whole, imported, labels_by_id, write_picture

from mien import MienError
from mien.data.sources.sfew import ALIGNED, TEST, TRAIN, Sfew

FOLDERS = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
STEMS = ("HarryPotter_Half_Blood_Prince_001259094_00000033", "21_001010160_00000010")


def write(folder: Path) -> None:
    """A picture of each class and split, aligned and whole; one more is angry."""
    for room, shade in (("Train", 60), ("Val", 120)):
        for number, name in enumerate(FOLDERS):
            write_picture(folder / f"{room}/{room}_Aligned_Faces/{name}/{STEMS[0]}.png", (14, 18), shade + number, "RGB")
            write_picture(folder / f"{room}/{name}/{STEMS[0]}.png", (72, 57), shade + 20 + number, "RGB")
    write_picture(folder / f"Train/Train_Aligned_Faces/Angry/{STEMS[1]}.png", (14, 18), 40, "RGB")


@pytest.mark.parametrize(("crops", "shades", "count"), [("aligned", [40, 60, 61], 15), ("photos", [80, 81, 82], 14)])
def test_folders_are_classes_and_splits(crops: str, shades: list[int], count: int, tmp_path: Path) -> None:
    write(tmp_path / "tree")
    found = imported("sfew", tmp_path / "tree", tmp_path / "set", crops=crops)
    labels = labels_by_id(found.faces)
    assert len(labels) == count
    assert labels[f"Val/Happy/{STEMS[0]}"] == "happiness"
    assert labels[f"Train/Angry/{STEMS[0]}"] == "anger"
    splits = dict(zip(found.faces.values("id"), found.faces.values("split"), strict=True))
    assert {split for id_, split in splits.items() if id_.startswith("Val/")} == {"test"}
    assert {split for id_, split in splits.items() if id_.startswith("Train/")} == {"train"}
    assert [int(np.median(face)) for face in found.faces.faces([0, 1, 2])] == shades
    assert f"test: 7, published {TEST[crops]}" in found.differences


def test_clips_are_sequences(tmp_path: Path) -> None:
    write(tmp_path / "tree")
    write_picture(tmp_path / "tree/Train/Train_Aligned_Faces/Angry/alone.png", (14, 18), 40, "RGB")
    faces = imported("sfew", tmp_path / "tree", tmp_path / "set").faces
    assert list(faces.values("sequence")[:3]) == ["21_001010160", "HarryPotter_Half_Blood_Prince_001259094", None]
    assert faces.values("frame")[0] == 10
    assert faces.values("id")[2] == "Train/Angry/alone"


def test_published_numbers() -> None:
    """FN2EN's Table II: 1,322 aligned faces; 891 of them, as it says, to train on."""
    assert (sum(ALIGNED.values()), TRAIN["aligned"] + TEST["aligned"]) == (1322, 1322)
    assert Sfew(Path(), crops="photos").published_counts() == {"train": {"": 958}, "test": {"": 436}}
    assert Sfew(Path()).total() == 1322


def test_each_missing_thing_is_named(tmp_path: Path) -> None:
    whole = tuple(f"{room}/{name}" for room in ("Train", "Val") for name in FOLDERS)
    aligned = tuple(f"{room}/{room}_Aligned" for room in ("Train", "Val"))
    frames = tuple(f"{room}/{room}_Aligned_Faces/{name}/" for room in ("Train", "Val") for name in FOLDERS)
    each_missing("sfew", write, tmp_path / "a", (*whole, *frames))
    each_missing("sfew", write, tmp_path / "b", (*aligned, *(f"{place}/" for place in whole)), crops="photos")


def test_classes_without_pictures(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / f"Val/Val_Aligned_Faces/Sad/{STEMS[0]}.png").unlink()
    with pytest.raises(MienError, match="Val_Aligned_Faces/Sad"):
        imported("sfew", tmp_path, tmp_path / "out")


def test_facts() -> None:
    facts_are_whole("sfew")
