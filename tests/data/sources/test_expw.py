"""ExpW in its published layout."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from published import each_missing, facts_are_whole, imported, labels_by_id, write_picture, write_text

from mien import MienError
from mien.data.sources.expw import Expw

LINES = ["angry_boy_1.jpg 0 5 10 30 25 98.6 0", "angry_boy_1.jpg 1 0 0 20 20 33.1 6", "sad_girl_22.jpg 0 0 0 20 20 70.0 4"]
"""Two faces of one photo, angry and neutral, and a sad one."""


def write(folder: Path) -> None:
    """Photos of 40 x 30."""
    write_text(folder / "label/label.lst", "\n".join(LINES) + "\n")
    for number, name in enumerate(("angry_boy_1", "sad_girl_22")):
        write_picture(folder / f"image/origin/{name}.jpg", (40, 30), 60 + number, "RGB")


def test_faces_are_cut_out_by_top_left_right_bottom(tmp_path: Path) -> None:
    write(tmp_path / "tree")
    found = imported("expw", tmp_path / "tree", tmp_path / "set")
    assert labels_by_id(found.faces) == {"angry_boy_1_0": "anger", "angry_boy_1_1": "neutral", "sad_girl_22_0": "sadness"}
    assert "split" not in found.faces.column_names
    assert "fear: 0, published 1,088" in found.differences
    # the first box begins right of the white corner, the others in it
    assert [int(face[0, 0]) > 90 for face in found.faces.faces([0, 1, 2])] == [False, True, True]
    assert [int(np.median(face)) for face in found.faces.faces([0, 2])] == [60, 61]


def test_faces_that_are_listed_twice(tmp_path: Path) -> None:
    write(tmp_path)
    write_text(tmp_path / "label/label.lst", "\n".join([*LINES, LINES[0]]))
    assert "angry_boy_1_0-2" in labels_by_id(imported("expw", tmp_path, tmp_path / "set").faces)


def test_published_numbers() -> None:
    assert sum(Expw(Path()).published_counts()[""].values()) == 91_793


def test_each_missing_thing_is_named(tmp_path: Path) -> None:
    each_missing("expw", write, tmp_path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a.jpg 0 0 0 20 20 70.0 7", "'7' in line 1"),
        ("a.jpg 0 0 0 20 20 70.0 45", "'45' in line 1"),
        ("a.jpg 0 0 0 20 20 70.0 nan", "'nan' in line 1"),
        ("a.jpg 0 0 x 20 20 70.0 3", "'x' in line 1"),
        ("a.jpg 0 0 0 20 70.0 3", "7 in line 1"),
        ("angry_boy_1.jpg 0 5 30 10 25 98.6 0", "does not fit"),
        ("angry_boy_1.jpg 0 nan 0 10 25 98.6 0", "does not fit"),
        ("../angry_boy_1.jpg 0 0 0 10 25 98.6 0", "within"),
    ],
)
def test_lines_that_are_none(line: str, said: str, tmp_path: Path) -> None:
    write(tmp_path)
    write_text(tmp_path / "label/label.lst", line)
    with pytest.raises(MienError, match=said):
        imported("expw", tmp_path, tmp_path / "out")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_other_encodings(encoding: str, tmp_path: Path) -> None:
    write(tmp_path)
    write_text(tmp_path / "label/label.lst", "\r\n".join(LINES), encoding)
    assert len(imported("expw", tmp_path, tmp_path / "out").faces) == 3


@pytest.mark.parametrize(("sign", "said"), [("\t", "tabs"), (";", "semicolons"), (",", "commas")])
def test_other_separators_are_refused(sign: str, said: str, tmp_path: Path) -> None:
    write(tmp_path)
    write_text(tmp_path / "label/label.lst", "\n".join(line.replace(" ", sign) for line in LINES))
    with pytest.raises(MienError, match=f"8 words with blanks between them.*line 1, which has {said}"):
        imported("expw", tmp_path, tmp_path / "out")


def test_a_long_list_is_not_held_in_memory(tmp_path: Path) -> None:
    """The most that is held at a time, of Python's objects and numpy's arrays: 8 bytes a line, and copies of these."""
    lines = 20_000
    write_text(tmp_path / "label/label.lst", "".join(f"photo_{n // 2:08d}.jpg {n % 2} 0 0 20 20 70.0 3\n" for n in range(lines)))
    (tmp_path / "image/origin").mkdir(parents=True)
    tracemalloc.start()
    count = sum(1 for _ in Expw(tmp_path)._pictures())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == lines
    assert peak < 60 * lines


def test_facts() -> None:
    facts_are_whole("expw")
