"""TFD in its published file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from published import each_missing, facts_are_whole, imported, labels_by_id
from scipy.io import savemat

from mien import MienError
from mien.data.sources.tfd import Tfd

CODES = [-1, 1, 4, 7, 6]
FOLDS = [[0, 0, 0, 0, 0], [1, 2, 3, 1, 1], [2, 3, 1, 1, 1], [3, 1, 2, 1, 1], [1, 2, 3, 1, 1]]


def arrays(side: int = 48) -> dict[str, Any]:
    """Five faces of one shade each, with a white pixel below the corner; the first has no label."""
    images = np.repeat(np.arange(100, 105, dtype=np.uint8), side * side).reshape(5, side, side)
    images[:, 1, 0] = 255
    labels = {"labs_ex": np.array(CODES, np.int16)[:, None], "labs_id": np.array([-1, 0, 1, 2, 0], np.float64)[:, None]}
    return {"images": images, **labels, "folds": np.array(FOLDS, np.uint8)}


def write(folder: Path) -> None:
    folder.mkdir(parents=True)
    savemat(folder / "TFD_48x48.mat", arrays(), do_compression=True)


def test_labels_people_and_the_splits_of_a_fold(tmp_path: Path) -> None:
    write(tmp_path / "tree")
    found = imported("tfd", tmp_path / "tree", tmp_path / "set", side=48)
    said = {"tfd000000": "", "tfd000001": "anger", "tfd000002": "happiness", "tfd000003": "neutral", "tfd000004": "surprise"}
    assert labels_by_id(found.faces) == said
    assert found.faces.values("split").tolist() == ["train", "train", "validation", "test", "train"]
    assert found.faces.values("subject").tolist() == [None, "0", "1", "2", "0"]
    assert [int(np.median(face)) for face in found.faces.faces([0, 4])] == [100, 104]
    assert found.faces.faces([0])[0, 1, 0] == 255
    assert "all faces: 5, published 102,236" in found.differences


def test_other_folds_and_no_faces_without_label(tmp_path: Path) -> None:
    write(tmp_path / "tree")
    faces = imported("tfd", tmp_path / "tree", tmp_path / "set", side=48, fold=3, unlabeled=False).faces
    assert faces.values("split").tolist() == ["test", "train", "validation", "test"]
    assert (faces.labels >= 0).all()


def test_a_person_in_two_splits_is_refused(tmp_path: Path) -> None:
    """Of another fold, in which they are in one, the file is read."""
    folds = np.array(FOLDS, np.uint8)
    folds[4, 0] = 3
    savemat(tmp_path / "TFD_48x48.mat", {**arrays(), "folds": folds})
    with pytest.raises(MienError, match=r"found person 0 in train \(face 1\) and test \(face 4\)"):
        imported("tfd", tmp_path, tmp_path / "set", side=48)
    assert len(imported("tfd", tmp_path, tmp_path / "set", side=48, fold=2).faces) == 5


def test_unlabeled_faces_are_with_their_people(tmp_path: Path) -> None:
    people = np.array([2, 0, 1, 2, 0], np.float64)[:, None]
    savemat(tmp_path / "TFD_48x48.mat", {**arrays(), "labs_id": people})
    faces = imported("tfd", tmp_path, tmp_path / "set", side=48).faces
    assert faces.values("split").tolist() == ["test", "train", "validation", "test", "train"]
    assert faces.labels[0] == -1


def test_the_larger_file(tmp_path: Path) -> None:
    savemat(tmp_path / "TFD_96x96.mat", arrays(96))
    assert imported("tfd", tmp_path, tmp_path / "set", side=96).faces.info.side == 96


def test_published_numbers() -> None:
    """FN2EN's Table II: 4,178 faces."""
    counts = Tfd(Path(), unlabeled=False).published_counts()[""]
    assert counts[""] == sum(count for name, count in counts.items() if name) == 4178
    assert counts["neutral"] == 1202


def test_each_missing_thing_is_named(tmp_path: Path) -> None:
    each_missing("tfd", write, tmp_path, side=48)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"images": arrays()["images"].astype(float)}, "images of 5 x 48 x 48 bytes"),
        ({"images": arrays()["images"][:, :40]}, "5 x 40 x 48"),
        ({"images": arrays()["images"][:4]}, "labs_ex of 4 x 1"),
        ({"folds": np.zeros((5, 4))}, "folds of 5 x 5"),
        ({"folds": np.full((5, 5), 4)}, "from 0 to 3 as folds"),
        ({"folds": np.full((5, 5), 1.5)}, "from 0 to 3 as folds"),
        ({"labs_ex": np.full((5, 1), np.nan)}, "from -1 to 7 as labs_ex"),
        ({"labs_ex": np.full((5, 1), 8)}, "from -1 to 7 as labs_ex"),
        ({"labs_ex": np.full((5, 1), -1)}, "none for face 1"),
        ({"labs_id": np.array([["a"] * 5], object)}, "labs_id of 5 x 1"),
        ({"labs_id": None}, "labs_id of 5 x 1"),
        ({"images": np.zeros((0, 48, 48), np.uint8)}, "an array images"),
    ],
)
def test_arrays_that_are_none(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    kept = {name: value for name, value in {**arrays(), **changed}.items() if value is not None}
    savemat(tmp_path / "TFD_48x48.mat", kept)
    with pytest.raises(MienError, match=said):
        imported("tfd", tmp_path, tmp_path / "out", side=48)


def test_files_that_are_damaged_or_none(tmp_path: Path) -> None:
    write(tmp_path / "tree")
    whole = (tmp_path / "tree/TFD_48x48.mat").read_bytes()
    newer = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(512)
    holed, other = whole[:200] + bytes(100) + whole[300:], b"\x89HDF\r\n\x1a\n" + bytes(600)
    for content in (b"", whole[:150], whole[:-40], holed, newer, other):
        (tmp_path / "TFD_48x48.mat").write_bytes(content)
        with pytest.raises(MienError, match="TFD_48x48"):
            imported("tfd", tmp_path, tmp_path / "out", side=48)


def test_facts() -> None:
    facts_are_whole("tfd")
