"""CK+ in its published layout."""

from pathlib import Path

import numpy as np
import pytest
from published import each_missing, facts_are_whole, imported, labels_by_id, write_picture, write_text

from mien import MienError
from mien.data.sources.ckplus import SEQUENCES, Ckplus

SAID = {("S005", "001"): 3, ("S010", "002"): 5, ("S010", "006"): 2}
"""Codes of the labeled sequences: disgust, happiness, contempt."""


def write(folder: Path) -> None:
    """Three labeled sequences of five frames; the landmarks of a face of 20 pixels in a picture of 64 x 49."""
    for (subject, sequence), code in SAID.items():
        write_text(folder / f"Emotion/{subject}/{sequence}/{subject}_{sequence}_00000005_emotion.txt", f"   {code:.7e}\n")
        for frame in range(1, 6):
            stem = f"{subject}/{sequence}/{subject}_{sequence}_{frame:08d}"
            write_picture(folder / f"cohn-kanade-images/{stem}.png", (64, 49), 40 * frame)
            points = [(20 + 20 * n / 67, 10 + 20 * (n % 2)) for n in range(68)]
            lines = "".join(f"   {x:.7e}   {y:.7e}\n" for x, y in points)
            write_text(folder / f"Landmarks/{stem}_landmarks.txt", lines)


def test_the_last_frames_are_the_expression_and_the_first_is_neutral(tmp_path: Path) -> None:
    write(tmp_path / "tree")
    faces = imported("ckplus", tmp_path / "tree", tmp_path / "set", classes="eight").faces
    wanted = {"S005/001/00000001": "neutral", "S010/002/00000001": "neutral", "S010/006/00000001": "neutral"}
    names = {"S005/001": "disgust", "S010/002": "happiness", "S010/006": "contempt"}
    wanted |= {f"{place}/{frame:08d}": name for place, name in names.items() for frame in (3, 4, 5)}
    assert labels_by_id(faces) == wanted
    assert sorted(set(faces.values("subject"))) == ["S005", "S010"]
    assert faces.values("sequence")[0] == "S005/001"
    assert faces.values("frame").tolist() == [1, 3, 4, 5] * 3
    assert [int(np.median(face)) for face in faces.faces([0, 1])] == [40, 120]


@pytest.mark.parametrize(
    ("classes", "count", "names"),
    [("six", 6, 6), ("basic", 8, 7), ("seven", 9, 7), ("eight", 12, 8)],
)
def test_classes_that_are_left_out(classes: str, count: int, names: int, tmp_path: Path) -> None:
    write(tmp_path / "tree")
    faces = imported("ckplus", tmp_path / "tree", tmp_path / "set", classes=classes).faces
    assert (len(faces), len(faces.classes)) == (count, names)
    assert (faces.labels >= 0).all()


def test_published_numbers_of_frames() -> None:
    """FN2EN's Table II: 1,308 frames in eight classes, 327 of them neutral."""
    counts = Ckplus(Path(), classes="eight").published_counts()[""]
    assert (sum(counts.values()), counts["neutral"], counts["anger"], sum(SEQUENCES.values())) == (1308, 327, 135, 327)
    assert sum(Ckplus(Path(), classes="six").published_counts()[""].values()) == 3 * 309


def test_numbers_that_are_not_the_published_ones_are_said(tmp_path: Path) -> None:
    write(tmp_path / "tree")
    found = imported("ckplus", tmp_path / "tree", tmp_path / "set")
    assert "disgust: 3, published 177" in found.differences
    assert len(found.differences) == 6


def test_each_missing_thing_is_named(tmp_path: Path) -> None:
    unused = tuple(
        f"{room}/{place}_0000000{frame}{end}"
        for room, end in (("cohn-kanade-images", ""), ("Landmarks", ""))
        for place in ("S005/001/S005_001", "S010/002/S010_002", "S010/006/S010_006")
        for frame in range(1, 6)
    )
    sequences = ("Emotion/", *(f"Landmarks/S{n}" for n in ("005/001/S", "010/002/S", "010/006/S")))
    each_missing("ckplus", write, tmp_path, (*unused, *sequences), classes="eight")
    (tmp_path / "whole/Landmarks/S005/001/S005_001_00000004_landmarks.txt").unlink()
    with pytest.raises(MienError, match="S005_001_00000004_landmarks"):
        imported("ckplus", tmp_path / "whole", tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("9", "a label from 0 to 7"),
        ("3.5", "a label from 0 to 7"),
        ("nan", "not finite"),
        ("joy", "could not convert"),
        ("", "0 lines"),
    ],
)
def test_labels_that_are_none(text: str, said: str, tmp_path: Path) -> None:
    write(tmp_path)
    write_text(tmp_path / "Emotion/S005/001/S005_001_00000005_emotion.txt", text)
    with pytest.raises(MienError, match=said):
        imported("ckplus", tmp_path, tmp_path / "out")


def test_hidden_files_and_capital_endings(tmp_path: Path) -> None:
    """What a Mac leaves behind is passed over."""
    write(tmp_path)
    wanted = labels_by_id(imported("ckplus", tmp_path, tmp_path / "first").faces)
    for room, ending in (("Emotion", "_00000005_emotion.txt"), ("cohn-kanade-images", "_00000006.png")):
        write_text(tmp_path / f"{room}/S005/001/._S005_001{ending}", "Mac")
    write_text(tmp_path / "Emotion/.Trash/001/S005_001_00000005_emotion.txt", "Mac")
    for frame in (tmp_path / "cohn-kanade-images/S005/001").glob("[!.]*.png"):
        frame.rename(frame.with_suffix(".PNG"))
    assert labels_by_id(imported("ckplus", tmp_path, tmp_path / "second").faces) == wanted


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_other_encodings_and_separators_of_numbers(encoding: str, tmp_path: Path) -> None:
    write(tmp_path)
    place = tmp_path / "Landmarks/S005/001/S005_001_00000005_landmarks.txt"
    lines = [line.strip().replace("   ", ";") for line in place.read_text().splitlines()]
    write_text(place, "\n".join(lines), encoding)
    assert len(imported("ckplus", tmp_path, tmp_path / "out").faces) == 6


def test_facts() -> None:
    facts_are_whole("ckplus")
