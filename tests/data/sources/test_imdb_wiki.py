"""IMDB-WIKI in its published layout."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from published import each_missing, facts_are_whole, imported, labels_by_id, write_picture
from scipy.io import savemat

from mien import MienError
from mien.data.sources.imdb_wiki import ages_in_july

INF, NAN = float("inf"), float("nan")
IMDB = [  # path, born, photo, score, second score
    ("01/nm0000001_rm1_1990-5-10_1998.jpg", date(1990, 5, 10), 1998, 3.5, NAN),
    ("02/nm0000002_rm2_1990-8-1_1991.jpg", date(1990, 8, 1), 1991, 3.5, NAN),  # not yet one
    ("02/nm0000002_rm3_1990-8-1_2020.jpg", date(1990, 8, 1), 2020, 3.5, NAN),
    ("03/nm0000003_rm4_1990-1-1_1995.jpg", date(1990, 1, 1), 1995, -INF, NAN),
    ("03/nm0000003_rm5_1990-1-1_1995.jpg", date(1990, 1, 1), 1995, 0.5, NAN),
    ("03/nm0000003_rm6_1990-1-1_1995.jpg", date(1990, 1, 1), 1995, 4.5, 2.0),
    ("03/nm0000003_rm7_0-0-0_1995.jpg", 47, 1995, 4.5, NAN),
]
WIKI = [("17/10000217_1981-05-05_1991.jpg", date(1981, 5, 5), 1991, 1.0, NAN)]


def write_mat(folder: Path, part: str, rows: list[Any], **other: Any) -> None:
    """The table of a part as MATLAB writes it; `other`: columns that are written instead."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = np.empty((1, len(rows)), object)
    paths[0] = [row[0] for row in rows]
    born = [row[1] if isinstance(row[1], int) else row[1].toordinal() + 366 for row in rows]
    columns = {
        "dob": np.array([born], np.int32),
        "photo_taken": np.array([[row[2] for row in rows]], np.uint16),
        "full_path": paths,
        "gender": np.ones((1, len(rows))),
        "face_score": np.array([[row[3] for row in rows]], float),
        "second_face_score": np.array([[row[4] for row in rows]], float),
    }
    savemat(folder / f"{part}.mat", {part: columns | other})


def write(folder: Path, **other: Any) -> None:
    """Faces from both parts."""
    for part, rows in (("imdb", IMDB), ("wiki", WIKI)):
        write_mat(folder / f"{part}_crop", part, rows, **(other if part == "imdb" else {}))
        for row in rows:
            write_picture(folder / f"{part}_crop/{row[0]}", (24, 30), 99, "RGB")


def test_children_who_are_alone_on_a_photo(tmp_path: Path) -> None:
    write(tmp_path / "tree")
    found = imported("imdb_wiki", tmp_path / "tree", tmp_path / "set")
    assert labels_by_id(found.faces) == {
        "imdb/01/nm0000001_rm1_1990-5-10_1998": "",
        "wiki/17/10000217_1981-05-05_1991": "",
    }
    assert found.faces.values("subject").tolist() == ["imdb/nm0000001", "wiki/10000217"]
    assert found.faces.classes == ()
    assert found.differences == ()


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"part": "wiki"}, ["10000217"]),
        ({"part": "imdb"}, ["rm1"]),
        ({"part": "imdb", "youngest": 0}, ["rm1", "rm2"]),
        ({"part": "imdb", "youngest": 29, "oldest": 29}, ["rm3"]),
        ({"part": "imdb", "least_score": 0}, ["rm1", "rm5"]),
        ({"part": "imdb", "alone": False}, ["rm1", "rm6"]),
        ({"oldest": 9}, ["rm1"]),
    ],
)
def test_settings(settings: dict[str, Any], names: list[str], tmp_path: Path) -> None:
    write(tmp_path / "tree")
    faces = imported("imdb_wiki", tmp_path / "tree", tmp_path / "set", **settings).faces
    assert len(faces) == len(names)
    assert all(name in str(id_) for name, id_ in zip(names, faces.values("id"), strict=True))


def test_ages() -> None:
    """Whole years on the first of July; nothing for days that are none."""
    born = [date(2000, 7, 1), date(2000, 7, 2), date(2000, 2, 29), date(1999, 12, 31), date(1, 1, 1), date(2009, 1, 1)]
    days = np.array([*(float(one.toordinal() + 366) for one in born), NAN, INF, 0, -5, 1e18], float)
    taken = np.array([2008, 2008, 2001, 2000, 1999, 2008, *[2000] * 5], float)
    assert ages_in_july(days, taken).tolist() == [8, 7, 1, 0, 1998, -1, *[-1] * 5]
    assert ages_in_july(days[:3], np.array([NAN, INF, 0])).tolist() == [-1, -1, -1]


def test_each_missing_thing_is_named(tmp_path: Path) -> None:
    left_out = tuple(f"imdb_crop/{row[0]}" for row in IMDB[1:])
    each_missing("imdb_wiki", write, tmp_path, (*left_out, "imdb_crop/02", "imdb_crop/03"))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"full_path": np.array([["../../x.jpg"] * len(IMDB)], object)}, r"paths such as 01/name.jpg"),
        ({"full_path": np.array([["/etc/x.jpg"] * len(IMDB)], object)}, r"paths such as 01/name.jpg"),
        ({"full_path": np.array([[5.0] * len(IMDB)], object)}, "texts in full_path"),
        ({"full_path": np.ones((1, len(IMDB)))}, "texts in full_path"),
        ({"dob": np.ones((1, 2))}, "columns of 2, 7 values"),
        ({"dob": np.array([["x"] * len(IMDB)], object)}, "something else"),
        ({"face_score": "good"}, "something else"),
    ],
)
def test_columns_that_are_none(other: dict[str, Any], said: str, tmp_path: Path) -> None:
    write(tmp_path, **other)
    with pytest.raises(MienError, match=said) as refused:
        imported("imdb_wiki", tmp_path, tmp_path / "out")
    assert "imdb.mat" in str(refused.value)


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    write(tmp_path)
    file = tmp_path / "imdb_crop/imdb.mat"
    whole = file.read_bytes()
    broken = [b"", b"path,dob\n", whole[:100], whole[:300], whole[:-200]]
    for content in broken:
        file.write_bytes(content)
        with pytest.raises(MienError, match=r"imdb\.mat"):
            imported("imdb_wiki", tmp_path, tmp_path / "out")
    file.write_bytes((tmp_path / "wiki_crop/wiki.mat").read_bytes())
    with pytest.raises(MienError, match=r"imdb\.mat"):
        imported("imdb_wiki", tmp_path, tmp_path / "out")


def test_facts() -> None:
    facts_are_whole("imdb_wiki")
