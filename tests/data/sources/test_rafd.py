"""RaFD in its published layout."""

from pathlib import Path

import pytest
from published import each_missing, facts_are_whole, imported, labels_by_id, write_picture

from mien import MienError
from mien.data.sources.rafd import Rafd

NAMES = {
    "Rafd090_01_Caucasian_female_angry_frontal": "anger",
    "Rafd090_01_Caucasian_female_contemptuous_frontal": "contempt",
    "Rafd090_01_Caucasian_female_happy_left": "happiness",
    "Rafd045_01_Caucasian_female_sad_frontal": "sadness",
    "Rafd090_39_Kid_male_surprised_frontal": "surprise",
    "Rafd180_73_Moroccan_male_fearful_right": "fear",
}


def write(folder: Path) -> None:
    """Six pictures of three people."""
    for name in NAMES:
        write_picture(folder / f"{name}.jpg", (34, 51), mode="RGB")


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ["anger", "surprise"]),
        ({"contempt": True}, ["anger", "contempt", "surprise"]),
        ({"gaze": "all"}, ["anger", "happiness", "surprise"]),
        ({"views": "all"}, ["anger", "sadness", "surprise"]),
        ({"views": "all", "gaze": "all", "contempt": True}, sorted(NAMES.values())),
    ],
)
def test_views_gazes_and_contempt(settings: dict[str, object], names: list[str], tmp_path: Path) -> None:
    write(tmp_path / "tree")
    faces = imported("rafd", tmp_path / "tree", tmp_path / "set", **settings).faces
    labels = labels_by_id(faces)
    assert labels == {id_: name for id_, name in NAMES.items() if id_ in labels}
    assert sorted(labels.values()) == names
    assert faces.values("subject").tolist() == [id_.split("_")[1] for id_ in labels]


def test_published_numbers() -> None:
    """8,040 pictures in all; 1,407 frontal ones of seven classes in ST+SW."""
    assert Rafd(Path(), views="all", gaze="all", contempt=True).total() == 8040
    assert Rafd(Path(), gaze="all").total() == sum(Rafd(Path(), gaze="all").published_counts()[""].values()) == 1407
    assert Rafd(Path()).published_counts()[""]["anger"] == 67


@pytest.mark.parametrize(
    "name",
    [
        "Rafd090_01_Caucasian_female_joyful_frontal",
        "Rafd091_01_Caucasian_female_angry_frontal",
        "Rafd090_1_Caucasian_female_angry_frontal",
        "Rafd090_01_Caucasian_female_angry_up",
        "Rafd090_01_Caucasian_angry_frontal",
        "picture",
    ],
)
def test_names_that_say_nothing(name: str, tmp_path: Path) -> None:
    write(tmp_path)
    write_picture(tmp_path / f"{name}.jpg", (34, 51))
    with pytest.raises(MienError) as refused:
        imported("rafd", tmp_path, tmp_path / "out")
    assert f"{name}.jpg" in str(refused.value)


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    write(tmp_path / "RaFD")
    with pytest.raises(MienError, match="Rafd090_28_Caucasian_male_angry_frontal"):
        imported("rafd", tmp_path, tmp_path / "out")
    with pytest.raises(MienError, match="mien databases rafd"):
        imported("rafd", tmp_path / "elsewhere", tmp_path / "out")


def test_each_missing_thing_is_named(tmp_path: Path) -> None:
    """Pictures are not counted: only where there is none, one is missing."""
    each_missing(
        "rafd",
        lambda folder: write_picture(folder / "Rafd090_28_Caucasian_male_angry_frontal.jpg", (34, 51), mode="RGB"),
        tmp_path,
    )


def test_facts() -> None:
    facts_are_whole("rafd")
