"""Oulu-CASIA in its published layout."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from published import each_missing, facts_are_whole, imported, labels_by_id, write_picture, write_text

from mien import MienError
from mien.data.sources.oulu_casia import OuluCasia

EXPRESSIONS = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise")
PLACES = {"VL_Acropped/Strong": 10, "NI_Acropped/Dark": 60, "VL/Weak": 110}
"""Folders of a camera and light, and the shade of their first frames."""


def write(folder: Path, places: tuple[str, ...] = tuple(PLACES)) -> None:
    """Two people, each with six sequences of five frames, in some of the places."""
    for place in places:
        shade = PLACES[place]
        for person in ("P001", "P080"):
            for expression in EXPRESSIONS:
                for frame in range(5):
                    write_picture(folder / place / person / expression / f"{frame:03d}.jpeg", (20, 20), shade + 8 * frame)
        write_text(folder / place / "P001/Thumbs.db", "Windows")


def test_the_last_frames_are_the_expression(tmp_path: Path) -> None:
    write(tmp_path / "tree")
    found = imported("oulu_casia", tmp_path / "tree", tmp_path / "set")
    names = [name.lower() for name in EXPRESSIONS for _ in range(3)] * 2
    assert list(labels_by_id(found.faces).values()) == names
    assert found.faces.values("id")[2:4].tolist() == ["P001/Anger/004", "P001/Disgust/002"]
    assert found.faces.values("subject").tolist() == ["P001"] * 18 + ["P080"] * 18
    assert found.faces.values("sequence")[-1] == "P080/Surprise"
    assert found.faces.values("frame").tolist() == [2, 3, 4] * 12
    assert "anger: 6, published 240" in found.differences


@pytest.mark.parametrize(
    ("settings", "shade"),
    [
        ({}, 42),
        ({"camera": "infrared", "light": "dark"}, 92),
        ({"crops": "original", "light": "weak"}, 142),
    ],
)
def test_cameras_lights_and_crops(settings: dict[str, object], shade: int, tmp_path: Path) -> None:
    write(tmp_path / "tree")
    faces = imported("oulu_casia", tmp_path / "tree", tmp_path / "set", last=1, **settings).faces
    assert len(faces) == 12
    assert abs(int(np.median(faces.faces([0])[0])) - shade) < 3


def test_published_numbers_of_frames() -> None:
    """1,440 frames, 240 of each class, in FN2EN."""
    counts = OuluCasia(Path()).published_counts()[""]
    assert (sum(counts.values()), set(counts.values()), OuluCasia(Path()).total()) == (1440, {240}, 1440)


def test_each_missing_thing_is_named(tmp_path: Path) -> None:
    strong = "VL_Acropped/Strong"
    each_missing("oulu_casia", lambda folder: write(folder, (strong,)), tmp_path / "trees", (f"{strong}/P",))
    with pytest.raises(MienError, match="VL_Acropped/Dark"):
        imported("oulu_casia", tmp_path / "trees/whole", tmp_path / "out", light="dark")


def test_sequences_that_a_copy_lacks_are_said(tmp_path: Path) -> None:
    write(tmp_path / "tree")
    people = tmp_path / "tree/VL_Acropped/Strong"
    shutil.rmtree(people / "P001/Anger")
    for frame in (people / "P080/Fear").iterdir():
        frame.unlink()
    found = imported("oulu_casia", tmp_path / "tree", tmp_path / "set")
    assert len(found.faces) == 30
    assert {"anger: 3, published 240", "fear: 3, published 240"} <= set(found.differences)


def test_what_does_not_fit(tmp_path: Path) -> None:
    write(tmp_path / "tree")
    place = tmp_path / "tree/VL_Acropped/Strong"
    with pytest.raises(MienError, match="at least 6 frames"):
        imported("oulu_casia", tmp_path / "tree", tmp_path / "out", last=6)
    write_picture(place / "P001/Anger/last.jpeg", (20, 20))
    with pytest.raises(MienError, match=r"last\.jpeg"):
        imported("oulu_casia", tmp_path / "tree", tmp_path / "out")
    (place / "P001/Anger").rename(place / "P001/Joy")
    with pytest.raises(MienError, match="Joy"):
        imported("oulu_casia", tmp_path / "tree", tmp_path / "out")
    for person in place.iterdir():
        person.rename(place / f"x{person.name}")
    with pytest.raises(MienError, match="folders such as P001"):
        imported("oulu_casia", tmp_path / "tree", tmp_path / "out")


def test_facts() -> None:
    facts_are_whole("oulu_casia")
