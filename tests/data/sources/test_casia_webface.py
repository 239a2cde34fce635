"""CASIA-WebFace in its published layout."""

from pathlib import Path

import pytest
from published import each_missing, facts_are_whole, imported, labels_by_id, write_picture

from mien import MienError
from mien.data.sources.casia_webface import CasiaWebface


def write(folder: Path) -> None:
    """Two people with two pictures and one."""
    for number, name in enumerate(["0000045/001.jpg", "0000045/002.jpg", "0000099/001.jpg"]):
        write_picture(folder / name, (30, 30), 50 + number, "RGB")


def test_faces_have_a_person_and_no_label(tmp_path: Path) -> None:
    write(tmp_path / "tree")
    (tmp_path / "tree/0000045/Thumbs.db").write_bytes(b"x")
    (tmp_path / "tree/names.txt").write_text("0000045 Somebody\n")
    found = imported("casia_webface", tmp_path / "tree", tmp_path / "set")
    assert labels_by_id(found.faces) == {"0000045/001": "", "0000045/002": "", "0000099/001": ""}
    assert found.faces.values("subject").tolist() == ["0000045", "0000045", "0000099"]
    assert found.faces.classes == ()
    assert found.differences == ("all faces: 3, published 494,414",)


def test_the_folder_above_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "CASIA-WebFace")
    with pytest.raises(MienError, match=r"folders named by numbers in .*; found 'CASIA-WebFace'"):
        imported("casia_webface", tmp_path, tmp_path / "out")


def test_an_empty_folder_and_none(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    for place in ("tree", "none"):
        with pytest.raises(MienError, match=str(tmp_path / place)):
            imported("casia_webface", tmp_path / place, tmp_path / "out")
    each_missing("casia_webface", write, tmp_path, ("0000",))


def test_pictures_are_asked_for_as_they_are_read(tmp_path: Path) -> None:
    write(tmp_path)
    source = CasiaWebface(tmp_path, side=8)
    pictures = source._pictures()
    assert next(pictures).id == "0000045/001"
    (tmp_path / "0000099/000.png").write_bytes((tmp_path / "0000099/001.jpg").read_bytes())
    assert [picture.id for picture in pictures] == ["0000045/002", "0000099/000", "0000099/001"]


def test_facts() -> None:
    facts_are_whole("casia_webface")
