"""KDEF in its published layout."""

from pathlib import Path

import numpy as np
import pytest
from published import each_missing, facts_are_whole, imported, labels_by_id, write_picture, write_text

from mien import MienError
from mien.data.sources.kdef import Kdef

NAMES = ["AF01AFFL", "AF01AFHL", "AF01AFHR", "AF01AFS", "BF01HAS", "BF01HAFR", "AM31SUS", "AF31ANS"]


def write(folder: Path) -> None:
    """Eight pictures of three people in two sessions, and the two with mangled names."""
    for number, name in enumerate([*NAMES, "AF31V", "AM31H"]):
        write_picture(folder / f"{name[:4]}/{name}.JPG", (56, 76), 40 + 10 * number, "RGB")
    write_text(folder / "AF01/Thumbs.db", "Windows")
    write_text(folder / "KDEF README.txt", "codes")


def test_the_straight_view_of_both_sessions(tmp_path: Path) -> None:
    write(tmp_path / "tree")
    found = imported("kdef", tmp_path / "tree", tmp_path / "set")
    assert labels_by_id(found.faces) == {"AF01AFS": "fear", "AF31ANS": "anger", "AM31SUS": "surprise", "BF01HAS": "happiness"}
    subjects = dict(zip(found.faces.values("id"), found.faces.values("subject"), strict=True))
    assert subjects == {"AF01AFS": "F01", "BF01HAS": "F01", "AF31ANS": "F31", "AM31SUS": "M31"}
    assert "fear: 1, published 140" in found.differences


def test_all_sides_and_the_names_that_are_mangled(tmp_path: Path) -> None:
    write(tmp_path / "tree")
    faces = imported("kdef", tmp_path / "tree", tmp_path / "set", angles="all", color=True).faces
    labels = labels_by_id(faces)
    assert set(labels) == {*NAMES, "AF31SAHL", "AM31SUHR"}
    assert (labels["AF31SAHL"], labels["AM31SUHR"], labels["AF01AFFL"]) == ("sadness", "surprise", "fear")
    shades = {id_: int(np.median(face)) for id_, face in zip(faces.values("id"), faces.faces(range(len(faces))), strict=True)}
    assert abs(shades["AF31SAHL"] - 120) < 3
    assert abs(shades["AM31SUHR"] - 130) < 3


def test_names_in_small_letters(tmp_path: Path) -> None:
    write_picture(tmp_path / "AF01/af01afs.jpg", (56, 76))
    assert labels_by_id(imported("kdef", tmp_path, tmp_path / "out").faces) == {"AF01AFS": "fear"}


def test_published_numbers() -> None:
    """4,900 pictures, 980 of them straight."""
    assert Kdef(Path(), angles="all").total() == sum(Kdef(Path(), angles="all").published_counts()[""].values()) == 4900
    assert Kdef(Path()).total() == 980


@pytest.mark.parametrize("name", ["AF01XXS", "AF01AFX", "AF02AFS", "AF1AFS", "CF01AFS", "AF01AFS copy", "AF01"])
def test_names_that_say_nothing(name: str, tmp_path: Path) -> None:
    write(tmp_path)
    write_picture(tmp_path / f"AF01/{name}.JPG", (56, 76))
    with pytest.raises(MienError) as refused:
        imported("kdef", tmp_path, tmp_path / "out")
    assert f"{name}.JPG" in str(refused.value)


def test_a_folder_without_people(tmp_path: Path) -> None:
    write(tmp_path / "KDEF")
    with pytest.raises(MienError, match=r"folders such as .*AF01"):
        imported("kdef", tmp_path, tmp_path / "out")
    with pytest.raises(MienError, match="mien databases kdef"):
        imported("kdef", tmp_path / "elsewhere", tmp_path / "out")


def test_each_missing_thing_is_named(tmp_path: Path) -> None:
    """Pictures are not counted: only where there is none, one is missing."""
    each_missing("kdef", lambda folder: write_picture(folder / "AF01/AF01AFS.JPG", (56, 76), mode="RGB"), tmp_path)


def test_facts() -> None:
    facts_are_whole("kdef")
