"""MegaFace in its published layout."""

import json
from pathlib import Path

import numpy as np
import pytest
from published import each_missing, facts_are_whole, imported, labels_by_id, write_picture, write_text

from mien import MienError
from mien.data.sources.megaface import Megaface

CROPS = "MegafaceIdentities_VGG"
PHOTOS = "FlickrFinal2"
BOX = {"bounding_box": {"x": 10, "y": 4.0, "width": 20, "height": 20}, "full_img_url": "none"}


def write_crops(folder: Path) -> None:
    """Two people of one account."""
    for name in ("10011748@N08_identity_0/867465917_0", "10011748@N08_identity_0/867465918_1", "10011748@N08_identity_1/5_0"):
        write_picture(folder / CROPS / f"{name}.jpg", (40, 50), 90, "RGB")


def write_photos(folder: Path) -> None:
    """Photos of two accounts, with a darker face at the left."""
    for name in ("901/9019583@N08/8032652775_0", "121/12105541@N05/4811548600_1"):
        write_picture(folder / PHOTOS / f"{name}.jpg", (80, 40), 200, "RGB")
        write_text(folder / PHOTOS / f"{name}.jpg.json", json.dumps(BOX))


def test_crops_have_a_person_and_no_label(tmp_path: Path) -> None:
    write_crops(tmp_path / "tree")
    found = imported("megaface", tmp_path / "tree", tmp_path / "set", color=True)
    people = ["10011748@N08_identity_0"] * 2 + ["10011748@N08_identity_1"]
    assert list(labels_by_id(found.faces).items()) == [
        (f"{person}/{name}", "") for person, name in zip(people, ("867465917_0", "867465918_1", "5_0"), strict=True)
    ]
    assert found.faces.values("subject").tolist() == people
    assert found.differences == ("all faces: 3, published 4,753,320",)


def test_photos_are_cut_out_around_their_boxes_or_in_the_middle(tmp_path: Path) -> None:
    write_photos(tmp_path)
    corner = {"bounding_box": {"x": 0, "y": 0, "width": 1, "height": 1}}  # the white pixel
    write_text(tmp_path / PHOTOS / "121/12105541@N05/4811548600_1.jpg.json", json.dumps(corner))
    write_text(tmp_path / PHOTOS / "901/9019583@N08/8032652775_0.jpg.json", "{}")
    found = imported("megaface", tmp_path, tmp_path / "set", part="distractors")
    assert labels_by_id(found.faces) == {"121/12105541@N05/4811548600_1": "", "901/9019583@N08/8032652775_0": ""}
    assert [np.median(face) > 220 for face in found.faces.faces([0, 1])] == [True, False]
    assert "subject" not in found.faces.column_names
    assert found.differences == ("all faces: 2, published 1,027,060",)


def test_a_share_is_the_same_each_time_and_has_no_published_number(tmp_path: Path) -> None:
    for number in range(40):
        write_picture(tmp_path / f"tree/{CROPS}/{number}@N00_identity_0/1_0.jpg", (8, 8))
    few, many = (imported("megaface", tmp_path / "tree", tmp_path / name, share=s) for name, s in (("few", 0.3), ("many", 0.7)))
    assert 4 < len(few.faces) < 20 < len(many.faces) < 36
    assert set(few.faces.values("id")) < set(many.faces.values("id"))
    assert few.differences == ()
    assert Megaface(Path(), share=0.1).total() == 475_332


def test_each_missing_thing_is_named(tmp_path: Path) -> None:
    each_missing("megaface", write_crops, tmp_path / "a", (f"{CROPS}/",))
    each_missing("megaface", write_photos, tmp_path / "b", (f"{PHOTOS}/",), part="distractors")
    file = tmp_path / "b/whole" / PHOTOS / "901/9019583@N08/8032652775_0.jpg.json"
    file.unlink()
    with pytest.raises(MienError, match=str(file)):
        imported("megaface", tmp_path / "b/whole", tmp_path / "out", part="distractors")


@pytest.mark.parametrize(
    ("folder", "said"),
    [("10011748@N08", "_identity_"), ("someone", "_identity_"), ("x_identity_0", "_identity_")],
)
def test_folders_of_another_name(folder: str, said: str, tmp_path: Path) -> None:
    write_crops(tmp_path)
    write_picture(tmp_path / CROPS / folder / "1_0.jpg")
    with pytest.raises(MienError, match=f"{said}.*{folder}"):
        imported("megaface", tmp_path, tmp_path / "out")


def test_crops_are_not_taken_for_photos(tmp_path: Path) -> None:
    write_picture(tmp_path / PHOTOS / "1/10011748@N08_identity_0/1_0.jpg")
    with pytest.raises(MienError, match="such as 9019583@N08"):
        imported("megaface", tmp_path, tmp_path / "out", part="distractors")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"bounding_box": {"x": 1, "y": 2, "width": 3}}', "a bounding_box of x, y"),
        ('{"bounding_box": {"x": 1, "y": 2, "width": "3", "height": 4}}', "a bounding_box of x, y"),
        ('{"bounding_box": [1, 2, 3, 4]}', "a bounding_box of x, y"),
        ('{"bounding_box": {"x": NaN, "y": 2, "width": 3, "height": 4}}', "8032652775_0.jpg"),
        ("[]", "a JSON object"),
        ("x: 1", "JSON in"),
    ],
)
def test_descriptions_that_are_none(text: str, said: str, tmp_path: Path) -> None:
    write_photos(tmp_path)
    write_text(tmp_path / PHOTOS / "901/9019583@N08/8032652775_0.jpg.json", text)
    with pytest.raises(MienError, match=said):
        imported("megaface", tmp_path, tmp_path / "out", part="distractors")


def test_facts() -> None:
    facts_are_whole("megaface")
