"""CAFE in the layout in which Databrary gives it."""

from collections import Counter
from pathlib import Path

import pytest
from published import each_missing, facts_are_whole, imported, labels_by_id, write_picture, write_text

from mien import MienError

NAMES = {
    "6280": ["9977-angry_F-AA-01", "9978-angryopen_F-AA-01", "9979-neutral_F-AA-01"],
    "6401": ["10541-happy_F-EA-14", "10542-fearfulopen_F-EA-14"],
    "6402": ["10551-sad_M-LA-02", "10552-surprise_M-LA-02", "10553-disgust-tongue_M-LA-02"],
}


def write(folder: Path) -> None:
    """Photos of three children."""
    for room, names in NAMES.items():
        for name in names:
            write_picture(folder / f"sessions/{room}/{name}.jpg", (30, 24), 80, "RGB")


def test_labels_and_children(tmp_path: Path) -> None:
    write(tmp_path / "tree")
    write_text(tmp_path / "tree/sessions/6402/notes.txt", "no picture")
    found = imported("cafe", tmp_path / "tree", tmp_path / "set")
    said = ["anger", "anger", "neutral", "happiness", "fear", "sadness", "surprise", "disgust"]
    assert labels_by_id(found.faces) == dict(zip([name for names in NAMES.values() for name in names], said, strict=True))
    assert found.faces.values("subject").tolist() == ["F-AA-01"] * 3 + ["F-EA-14"] * 2 + ["M-LA-02"] * 3
    assert found.differences == ("all faces: 8, published 1,192",)


def test_children_are_divided_45_10_45(tmp_path: Path) -> None:
    for number in range(20):
        for word in ("happy", "sad"):
            write_picture(tmp_path / f"sessions/{6280 + number}/{9000 + number}-{word}_M-EA-{number:02d}.jpg", (8, 8))
    drawn = list[set[tuple[str, str]]]()
    for seed in (0, 0, 1):
        faces = imported("cafe", tmp_path, tmp_path / f"set{len(drawn)}", seed=seed).faces
        pairs = set(zip(faces.values("subject"), faces.values("split"), strict=True))
        assert Counter(split for _, split in pairs) == {"train": 9, "validation": 2, "test": 9}
        drawn.append(pairs)
    assert drawn[0] == drawn[1] != drawn[2]


def test_each_missing_thing_is_named(tmp_path: Path) -> None:
    each_missing("cafe", write, tmp_path, tuple(f"sessions/{room}" for room in NAMES))


@pytest.mark.parametrize("name", ["happy", "10543-joyful_F-EA-14", "10543-happy_14", "happy_F-EA-14", "10543-happy F-EA-14"])
def test_names_that_are_none(name: str, tmp_path: Path) -> None:
    write(tmp_path)
    write_picture(tmp_path / f"sessions/6401/{name}.jpg")
    with pytest.raises(MienError, match=f"{name}.jpg"):
        imported("cafe", tmp_path, tmp_path / "out")


def test_facts() -> None:
    facts_are_whole("cafe")
