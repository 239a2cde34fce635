"""JAFFE in its published layout."""

from pathlib import Path

import numpy as np
import pytest
from published import each_missing, facts_are_whole, imported, labels_by_id, write_picture, write_text

from mien import MienError
from mien.data.sources.jaffe import Jaffe

NAMES = {"KA.AN1.39": "anger", "KA.NE3.28": "neutral", "KM.SA5.13": "sadness", "YM.FE4.70": "fear", "TM.DI1.193": "disgust"}


def write(folder: Path) -> None:
    """Five pictures, the file that tells of them, and what a Mac leaves behind."""
    for number, name in enumerate(NAMES):
        write_picture(folder / f"{name}.tiff", (32, 32), 40 + number)
    write_text(folder / "README_FIRST.txt", "N HAP SAD SUR ANG DIS FEA PIC")
    write_text(folder / "._KA.AN1.39.tiff", "Mac")
    write_text(folder / ".DS_Store", "Mac")


def test_names_tell_people_and_expressions(tmp_path: Path) -> None:
    write(tmp_path / "tree")
    found = imported("jaffe", tmp_path / "tree", tmp_path / "set")
    assert labels_by_id(found.faces) == NAMES
    assert found.faces.values("id").tolist() == sorted(NAMES)
    assert found.faces.values("subject").tolist() == ["KA", "KA", "KM", "TM", "YM"]
    assert [int(np.median(face)) for face in found.faces.faces([0, 2])] == [40, 42]
    assert "anger: 1, published 30" in found.differences


def test_published_numbers() -> None:
    """213 pictures, as its authors say."""
    assert sum(Jaffe(Path()).published_counts()[""].values()) == Jaffe(Path()).total() == 213


@pytest.mark.parametrize("name", ["KA.XX1.39", "KA.AN.39", "KA-AN1-39", "ka.AN1.39", "KA.AN1.39 (1)", "KA.AN1.39.extra"])
def test_names_that_say_nothing(name: str, tmp_path: Path) -> None:
    write(tmp_path)
    write_picture(tmp_path / f"{name}.tiff", (32, 32))
    with pytest.raises(MienError) as refused:
        imported("jaffe", tmp_path, tmp_path / "out")
    assert f"{name}.tiff" in str(refused.value)


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    write(tmp_path / "jaffe")
    with pytest.raises(MienError, match=r"KA\.AN1\.39\.tiff"):
        imported("jaffe", tmp_path, tmp_path / "out")
    with pytest.raises(MienError, match="mien databases jaffe"):
        imported("jaffe", tmp_path / "elsewhere", tmp_path / "out")


def test_each_missing_thing_is_named(tmp_path: Path) -> None:
    """Pictures are not counted: only where there is none, one is missing."""
    each_missing("jaffe", lambda folder: write_picture(folder / "KA.AN1.39.tiff", (32, 32)), tmp_path)


def test_facts() -> None:
    facts_are_whole("jaffe")
