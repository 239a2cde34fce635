"""The databases that can be imported, on inputs of a few faces made here; FER2013 and FER+ in detail."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import collect, face, gather, write_csv, write_faces
from mien.data.faceset import FaceSet
from mien.data.importing import ROOM, import_source, source_from
from mien.data.sources.ferplus import VOTES
from mien.errors import MienError
from mien.expressions import BASIC, FERPLUS
from mien.media.rejections import Rejected
from mien.registry import component_names

VOTES_HEADER = ("Usage", "Image name", *VOTES)


def pixels(seed: int) -> str:
    return " ".join(map(str, face(seed).ravel()))


def fer_rows(emotions: Sequence[object], usage: str = "Training") -> list[list[object]]:
    return [[emotion, pixels(n), usage] for n, emotion in enumerate(emotions)]


def write_fer(folder: Path, rows: Sequence[Sequence[object]], header: Sequence[str] = ("emotion", "pixels", "Usage")) -> Path:
    return write_csv(folder / "fer2013.csv", [header, *rows])


def some_votes(*counts: int) -> list[int]:
    return [*counts, *[0] * (10 - len(counts))]


def tiny_fer2013(folder: Path) -> dict[str, Any]:
    rows = [*fer_rows(range(7)), *fer_rows([3, 6], "PublicTest")]
    return {"input": str(write_fer(folder, rows))}


def tiny_ferplus(folder: Path) -> dict[str, Any]:
    tiny_fer2013(folder)
    rows = [["Training" if n < 7 else "PublicTest", f"fer{n:07d}.png", *some_votes(9 - n, n)] for n in range(9)]
    write_csv(folder / "fer2013new.csv", [VOTES_HEADER, *rows])
    return {"input": str(folder)}


def tiny_folder(folder: Path) -> dict[str, Any]:
    for split in ("train", "test"):
        for name in ("happy", "Sad"):
            write_faces(folder / "faces" / split / name, 2)
    return {"input": str(folder / "faces")}


def tiny_table(folder: Path) -> dict[str, Any]:
    paths = write_faces(folder / "images", 4)
    rows = [[path.name, label, "train"] for path, label in zip(paths, ["happy", "sad", "", "happy"], strict=True)]
    table = write_csv(folder / "labels.csv", [("path", "label", "split"), *rows])
    return {"input": str(table), "images": str(folder / "images")}


def tiny_synthetic(_: Path) -> dict[str, Any]:
    return {"people": 4, "faces": 12, "side": 32}


TINY: Mapping[str, Callable[[Path], dict[str, Any]]] = {
    "fer2013": tiny_fer2013,
    "ferplus": tiny_ferplus,
    "folder": tiny_folder,
    "table": tiny_table,
    "synthetic": tiny_synthetic,
}


def test_every_source_has_a_test() -> None:
    """In this file, or in one of its own, as published databases have."""
    own = {file.stem.removeprefix("test_") for file in (Path(__file__).parent / "sources").glob("test_*.py")}
    assert set(component_names(ROOM)) <= set(TINY) | own


@pytest.mark.parametrize("name", TINY)
def test_every_source_makes_a_set_that_opens_and_verifies(name: str, tmp_path: Path) -> None:
    source = source_from(name, TINY[name](tmp_path / "input"))
    result = import_source(source, tmp_path / "set")
    faces = FaceSet.open(tmp_path / "set", verify=True)
    assert len(faces) == len(result.faces) == source.total() > 0
    assert result.rejected == ()
    assert faces.faces().dtype == np.uint8
    assert faces.labels.min() >= -1
    assert 0 <= faces.labels.max() < len(faces.classes)
    assert len(set(faces.values("id"))) == len(faces)
    assert all(isinstance(split, str) and split for split in faces.values("split"))
    assert faces.votes is None or (faces.votes.argmax(axis=1) == faces.labels)[faces.labels >= 0].all()
    assert faces.info.name.startswith(name)


# FER2013


def test_fer2013_codes_become_our_labels(tmp_path: Path) -> None:
    path = write_fer(tmp_path, fer_rows(range(7)))
    (block,), rejected = gather("fer2013", input=path)
    expected = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
    assert [BASIC[label] for label in block.columns["label"]] == expected
    assert list(block.columns["id"])[5:] == ["fer0000005", "fer0000006"]
    assert (block.faces == np.stack([face(n) for n in range(7)])).all()
    assert not rejected


def test_fer2013_rejects_rows_by_number_and_keeps_the_others(tmp_path: Path) -> None:
    rows = fer_rows([0, 1, 2, 7, 4, "x", 6, 0, ""])
    rows[1][1] = str(rows[1][1]).rsplit(" ", 1)[0]
    rows[2][1] = str(rows[2][1]).replace(" ", " 256 ", 1).rsplit(" ", 1)[0]
    rows[7][1] = ""
    (block,), rejected = gather("fer2013", input=write_fer(tmp_path, rows))
    assert list(block.columns["id"]) == ["fer0000000", "fer0000004", "fer0000006"]
    assert (block.faces == np.stack([face(n) for n in (0, 4, 6)])).all()
    assert [(one.path, one.reason) for one in rejected] == [
        ("fer2013.csv row 1", "2303 pixels instead of 2304"),
        ("fer2013.csv row 2", "pixel values that are not 0 to 255"),
        ("fer2013.csv row 3", "an emotion that is not 0 to 6"),
        ("fer2013.csv row 5", "an emotion that is not 0 to 6"),
        ("fer2013.csv row 7", "0 pixels instead of 2304"),
        ("fer2013.csv row 8", "an emotion that is not 0 to 6"),
    ]


def test_fer2013_without_one_row_that_fits(tmp_path: Path) -> None:
    rows = [[0, "1 2 3", "Training"], [1, "", "Training"]]
    blocks, rejected = gather("fer2013", input=write_fer(tmp_path, rows))
    assert [len(block.faces) for block in blocks] == [0]
    assert [one.reason for one in rejected] == ["3 pixels instead of 2304", "0 pixels instead of 2304"]


def test_fer2013_counts_rows_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.tabular.csv_files.BLOCK_BYTES", 30_000)
    rows = fer_rows([n % 7 for n in range(20)])
    rows[17][1] = "1 2"
    blocks, rejected = gather("fer2013", input=write_fer(tmp_path, rows))
    assert len(blocks) > 3
    found = [one for block in blocks for one in block.columns["id"]]
    assert found == [f"fer{n:07d}" for n in range(20) if n != 17]
    assert [one.path for one in rejected] == ["fer2013.csv row 17"]


def test_fer2013_takes_the_file_or_its_folder_and_other_spacing(tmp_path: Path) -> None:
    path = write_fer(tmp_path, [], header=("emotion", " Usage", " pixels"))
    text = "\ufeff" + path.read_text() + f" 3 , PrivateTest,  {pixels(5).replace(' ', '  ', 1)} "
    path.write_text(text, encoding="utf-8")
    source = source_from("fer2013", {"input": tmp_path})
    assert source.total() == 1
    (block,) = source.blocks()
    assert (block.faces[0] == face(5)).all()
    assert list(block.columns["split"]) == ["PrivateTest"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a line with column names"),
        (b"emotion,pixels\n0,1 2 3\n", r"columns Usage in .*only emotion, pixels"),
        (b"emotion,pixels,Usage\n0,1 2 3\n", "CSV rows that fit"),
        (b"\xff\xfe\x00,b\n", "UTF-8"),
        (b"emotion,pixels,Usage\n0,\xff\xfe,Training\n", "CSV rows that fit"),
    ],
)
def test_fer2013_says_what_is_wrong_with_a_file(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "fer2013.csv").write_bytes(content)
    with pytest.raises(MienError, match=message):
        gather("fer2013", input=tmp_path)


def test_a_table_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_csv(tmp_path / "a.csv", [["path", "label"], ["a.png", "happy"]])
    size = path.stat().st_size
    monkeypatch.setattr("mien.tabular.csv_files.MOST_BYTES", size - 1)
    with pytest.raises(MienError, match=rf"a CSV file of at most {size - 1} bytes at .*a\.csv; found {size}; part it"):
        gather("table", input=path, side=8)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    for name in ("fer2013", "table"):
        with pytest.raises(MienError, match="a CSV file at"):
            gather(name, input=tmp_path / "nothing.csv")
    for name in ("ferplus", "folder"):
        with pytest.raises(MienError, match="nothing"):
            gather(name, input=tmp_path / "nothing")


# FER+


def ferplus_pair(folder: Path, rows: Sequence[Sequence[object]], header: Sequence[object] = VOTES_HEADER) -> Path:
    write_fer(folder, fer_rows([0, 1, 9]))
    write_csv(folder / "fer2013new.csv", [header, *rows])
    return folder


GOOD = [
    ["Training", "fer0000000.png", *some_votes(1, 9)],
    ["Training", "", *[0] * 9, 10],
    ["Training", "fer0000012.png", *some_votes(5, 5)],
]


def test_ferplus_pairs_rows_and_leaves_out_those_without_a_name(tmp_path: Path) -> None:
    folder = ferplus_pair(tmp_path, GOOD)
    source = source_from("ferplus", {"input": folder})
    (block,) = source.blocks()
    assert source.total() == 2
    assert list(block.columns["id"]) == ["fer0000000", "fer0000012"]
    assert block.columns["label"].tolist() == [FERPLUS.index("happiness"), -1]
    assert (block.faces == np.stack([face(0), face(2)])).all()
    assert block.columns["raw_votes"].tolist() == [some_votes(1, 9), some_votes(5, 5)]
    assert block.columns["votes"].tolist() == [some_votes(0, 9)[:8], [0] * 8]
    assert collect("ferplus", "label", input=folder, rule="probability") == [1, 0]


def test_ferplus_reads_the_folders_of_the_authors_scripts(tmp_path: Path) -> None:
    for name, rows in {"FER2013Train": 2, "FER2013Test": 1}.items():
        paths = write_faces(tmp_path / name, rows, side=48)
        box = ["(0, 0, 48, 48)"] if name == "FER2013Train" else []
        write_csv(tmp_path / name / "label.csv", [[path.name, *box, *some_votes(0, 0, 8)] for path in paths])
    write_csv(tmp_path / "FER2013Test" / "label.csv", [["0.png", *some_votes(9)], ["gone.png", *some_votes(9)]])
    blocks, rejected = gather("ferplus", input=tmp_path)
    assert collect("ferplus", "split", input=tmp_path) == ["Training", "Training", "PrivateTest"]
    assert collect("ferplus", "label", input=tmp_path) == [2, 2, 0]
    assert (blocks[0].faces[1] == face(1)).all()
    assert [(Path(one.path).name, one.reason) for one in rejected] == [("gone.png", "no file there")]
    (tmp_path / "FER2013Test" / "label.csv").unlink()
    with pytest.raises(MienError, match=r"a CSV file at .*FER2013Test"):
        gather("ferplus", input=tmp_path)


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (GOOD[:2], VOTES_HEADER, "row by row"),
        ([*GOOD, GOOD[0]], VOTES_HEADER, "row by row.*3 rows and 4 rows of votes"),
        ([GOOD[0], ["PublicTest", *GOOD[1][1:]], GOOD[2]], VOTES_HEADER, "row by row.*other splits"),
        ([[*row[:-1], -1] for row in GOOD], VOTES_HEADER, "ten counts of votes"),
        ([[*row[:-1], ""] for row in GOOD], VOTES_HEADER, "ten counts of votes"),
        ([[*row[:-1], "many"] for row in GOOD], VOTES_HEADER, "CSV rows that fit"),
        ([[*row[:-1], "1e308"] for row in GOOD], VOTES_HEADER, "ten counts of votes"),
        (GOOD, [*VOTES_HEADER[:-1], "other"], "columns NF in .*only Usage, Image name, neutral"),
    ],
)
def test_ferplus_says_where_its_files_do_not_fit(
    tmp_path: Path, rows: Sequence[Sequence[object]], header: Sequence[object], message: str
) -> None:
    with pytest.raises(MienError, match=message):
        gather("ferplus", input=ferplus_pair(tmp_path, rows, header))


def test_ferplus_rejects_a_broken_row_only_where_it_has_a_name(tmp_path: Path) -> None:
    ferplus_pair(tmp_path, GOOD)
    rows = fer_rows([0, 1, 2])
    rows[1][1] = rows[2][1] = "1 2 3"
    write_fer(tmp_path, rows)
    (block,), rejected = gather("ferplus", input=tmp_path)
    assert list(block.columns["id"]) == ["fer0000000"]
    assert rejected == [Rejected("fer2013.csv row 2", "3 pixels instead of 2304")]


def test_an_unknown_rule_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="`rule` = 'most'"):
        source_from("ferplus", {"input": tmp_path, "rule": "most"})
