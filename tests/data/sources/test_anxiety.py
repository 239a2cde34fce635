"""RAF-DB and anxious faces, as ALT measures on them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from published import each_missing, facts_are_whole, imported, labels_by_id, write_picture, write_text

from mien import MienError
from mien.data.sources.anxiety import Anxiety
from mien.expressions import ANXIETY

LINES = ["train_00001 5", "test_0001 7"]


def write(folder: Path) -> None:
    """Two faces of RAF-DB and one anxious face in each split."""
    write_text(folder / "basic/EmoLabel/list_patition_label.txt", "".join(line.replace(" ", ".jpg ") + "\n" for line in LINES))
    for line in LINES:
        write_picture(folder / f"basic/Image/aligned/{line.split()[0]}_aligned.jpg", (100, 100), 60, "RGB")
    for number, split in enumerate(("train", "validation", "test")):
        write_picture(folder / f"anxious/{split}/face {number}.png", (50, 60), 90 + number, "RGB")


def test_anxious_faces_follow_those_of_rafdb(tmp_path: Path) -> None:
    write(tmp_path / "tree")
    found = imported("anxiety", tmp_path / "tree", tmp_path / "set", color=True)
    said = {"train_00001": "sadness", "test_0001": "neutral"}
    said |= {f"anxious/{split}/face {n}": "anxiety" for n, split in enumerate(("train", "validation", "test"))}
    assert labels_by_id(found.faces) == said
    assert found.faces.classes == ANXIETY
    assert found.faces.values("split").tolist() == ["train", "test", "train", "validation", "test"]
    assert [int(np.median(face)) for face in found.faces.faces([0, 2, 4])] == [60, 90, 92]
    assert "validation anxiety: 1, published 20" in found.differences


def test_published_numbers() -> None:
    counts = Anxiety(Path()).published_counts()
    assert {split: sum(each.values()) for split, each in counts.items()} == {"train": 12_391, "validation": 20, "test": 3_146}


def test_each_missing_thing_is_named(tmp_path: Path) -> None:
    pictures = tuple(f"anxious/{split}/face" for split in ("train", "validation", "test"))
    each_missing("anxiety", write, tmp_path, pictures)


def test_a_folder_without_pictures_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    shutil.rmtree(tmp_path / "anxious/test")
    write_text(tmp_path / "anxious/test/notes.txt", "none")
    with pytest.raises(MienError, match=r"anxious faces in .*anxious/test"):
        imported("anxiety", tmp_path, tmp_path / "out")


def test_lines_of_rafdb_that_are_none(tmp_path: Path) -> None:
    write(tmp_path)
    write_text(tmp_path / "basic/EmoLabel/list_patition_label.txt", "train_00001.jpg 8")
    with pytest.raises(MienError, match="list_patition_label"):
        imported("anxiety", tmp_path, tmp_path / "out")


def test_facts() -> None:
    facts_are_whole("anxiety")
