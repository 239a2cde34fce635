"""Frames of LIRIS-CSE, by video."""

from pathlib import Path

import numpy as np
import pytest
from published import each_missing, facts_are_whole, imported, labels_by_id, write_picture

from mien import MienError
from mien.data.importing import source_from


def write(folder: Path) -> None:
    """Three frames of two videos, the tenth after the second."""
    for name, shade in (("S1_happy_1/image2", 20), ("S1_happy_1/image10", 100), ("S12_fear_3/1", 60)):
        write_picture(folder / f"frames/{name}.png", (30, 30), shade)


def test_frames_have_a_child_a_video_and_a_number(tmp_path: Path) -> None:
    write(tmp_path / "tree")
    found = imported("liris_cse", tmp_path / "tree", tmp_path / "set")
    faces = found.faces
    assert list(labels_by_id(faces)) == ["S12_fear_3/1", "S1_happy_1/image2", "S1_happy_1/image10"]
    assert (faces.labels == -1).all()
    assert faces.classes == ()
    assert faces.values("subject").tolist() == ["S12", "S1", "S1"]
    assert faces.values("sequence").tolist() == ["S12_fear_3", "S1_happy_1", "S1_happy_1"]
    assert faces.values("frame").tolist() == [1, 2, 10]
    assert [int(np.median(face)) for face in faces.faces([0, 1, 2])] == [60, 20, 100]
    assert found.differences == ()


def test_its_files_are_looked_at_for_whole_photos(tmp_path: Path) -> None:
    write(tmp_path)
    files = source_from("liris_cse", {"input": tmp_path}).pictures()
    assert files is not None
    assert [file.name for file in files] == ["1.png", "image2.png", "image10.png"]


def test_each_missing_thing_is_named(tmp_path: Path) -> None:
    each_missing("liris_cse", write, tmp_path, ("frames/",))
    (tmp_path / "videos/frames").mkdir(parents=True)
    with pytest.raises(MienError, match=r"folders of pictures in .*frames"):
        imported("liris_cse", tmp_path / "videos", tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "said"), [("happy/1", "'happy'"), ("S1_happy_1/first", "first.png"), ("s1_happy/1", "'s1_happy'")]
)
def test_names_that_say_nothing(name: str, said: str, tmp_path: Path) -> None:
    write(tmp_path)
    write_picture(tmp_path / f"frames/{name}.png")
    with pytest.raises(MienError, match=said):
        imported("liris_cse", tmp_path, tmp_path / "out")


def test_facts() -> None:
    facts_are_whole("liris_cse")
