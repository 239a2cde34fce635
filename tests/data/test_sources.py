"""The databases that can be imported, on inputs of a few faces made here; the FER+ counts on the real votes."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mien.data.faceset import FaceSet, to_table
from mien.data.importing import ROOM, import_source, source_from
from mien.data.source import Block, Rejected
from mien.data.sources.ferplus import VOTES, Rule, kept_votes, label_by
from mien.errors import MienError
from mien.expressions import ANXIETY, BASIC, FERPLUS, SYNONYMS, canonical, rename, translation
from mien.registry import names

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "fer2013" / "labels.csv"
VOTES_HEADER = ("Usage", "Image name", *VOTES)


def face(seed: int, side: int = 48) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)


def write_csv(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def write_faces(folder: Path, count: int, side: int = 8, first: int = 0) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{n}.png" for n in range(first, first + count)]
    for n, path in enumerate(paths, first):
        Image.fromarray(face(n, side)).save(path)
    return paths


def pixels(seed: int) -> str:
    return " ".join(map(str, face(seed).ravel()))


def fer_rows(emotions: Sequence[object], usage: str = "Training") -> list[list[object]]:
    return [[emotion, pixels(n), usage] for n, emotion in enumerate(emotions)]


def write_fer(
    folder: Path, rows: Sequence[Sequence[object]], header: Sequence[str] = ("emotion", "pixels", "Usage")
) -> Path:
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


@pytest.mark.parametrize("name", names(ROOM))
def test_every_source_makes_a_set_that_opens_and_verifies(name: str, tmp_path: Path) -> None:
    assert name in TINY, f"give {name} a tiny input in this file"
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


def gather(name: str, **given_settings: Any) -> tuple[list[Block], list[Rejected]]:
    blocks = list(source_from(name, given_settings).blocks())
    return blocks, [one for block in blocks for one in block.rejected]


def collect(name: str, column: str, **given_settings: Any) -> list[Any]:
    blocks = [block for block in gather(name, **given_settings)[0] if len(block.faces)]
    return [value for block in blocks for value in to_table(block.columns).column(column).to_pylist()]


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


def test_fer2013_counts_rows_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.data.csv_files.BLOCK_BYTES", 30_000)
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


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    for name in ("fer2013", "table"):
        with pytest.raises(MienError, match="a CSV file at"):
            gather(name, input=tmp_path / "nothing.csv")
    for name in ("ferplus", "folder"):
        with pytest.raises(MienError, match="nothing"):
            gather(name, input=tmp_path / "nothing")


# FER+


def naive_rule(rule: Rule, raw: Sequence[int]) -> tuple[int, list[float]]:
    """Label and kept votes of one face, written from the paper's description with plain lists."""
    votes = [0 if rule != "argmax" and count <= 1 else count for count in raw]
    kept, total = [0] * 10, sum(votes)
    if rule == "argmax":
        kept = votes
    elif rule == "majority":
        if max(votes) * 2 > total:
            kept[votes.index(max(votes))] = max(votes)
    else:
        covered = number = 0
        stop = False
        while not stop and covered * 4 < total * 3 and number < 3:
            top = max(votes)
            for i in [i for i in range(10) if votes[i] == top]:
                earlier = sum(kept)
                kept[i], votes[i], covered, number = top, 0, covered + top, number + 1
                if i >= 8:
                    stop = True
                    if earlier:
                        kept[i], number = 0, number - 1
                    break
        if sum(kept) * 2 <= total or number > 3:
            kept = [0] * 10
    label = kept.index(max(kept)) if max(kept) else 8
    return (-1, [0.0] * 8) if label >= 8 else (label, [float(count) for count in kept[:8]])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 6, 10]), min_size=10, max_size=10))
def test_ferplus_rules_equal_a_naive_reading(votes: list[int]) -> None:
    rules: tuple[Rule, ...] = ("majority", "probability", "argmax")
    for rule in rules:
        label, kept = naive_rule(rule, votes)
        assert label_by(rule, [votes]).tolist() == [label], rule
        assert kept_votes(rule, [votes])[0].tolist() == kept, rule


@pytest.mark.parametrize(
    ("rule", "votes", "label", "kept"),
    [
        ("majority", (6, 4), 0, (6,)),
        ("majority", (5, 5), -1, ()),
        ("majority", (3, 2, 1, 1, 1, 1, 1), 0, (3,)),  # single votes are removed first: 3 of 5
        ("majority", (1, 1, 1, 1, 1, 1, 1, 1, 1, 1), -1, ()),
        ("majority", (2, 0, 0, 0, 0, 0, 0, 0, 8, 0), -1, ()),  # unknown has the majority
        ("probability", (8, 2), 0, (8,)),
        ("probability", (5, 3, 2), 0, (5, 3)),
        ("probability", (5, 5), 0, (5, 5)),  # ties are taken together
        ("probability", (4, 2, 2, 2), -1, ()),  # more than three classes
        ("probability", (6, 0, 0, 0, 0, 0, 0, 0, 4, 0), 0, (6,)),  # unknown after an emotion is dropped
        ("probability", (3, 2, 2, 0, 0, 0, 0, 0, 0, 3), -1, ()),  # dropped, but 3 of 10 do not suffice
        ("probability", (3, 0, 0, 0, 0, 0, 0, 0, 5, 2), -1, ()),  # unknown comes first
        ("probability", (1, 1, 1, 1, 1), -1, ()),
        ("argmax", (2, 3, 1, 1, 1, 1, 1), 1, (2, 3, 1, 1, 1, 1, 1)),
        ("argmax", (5, 5), 0, (5, 5)),
        ("argmax", (4, 0, 0, 0, 0, 0, 0, 0, 0, 6), -1, ()),
        ("argmax", (), -1, ()),
    ],
)
def test_ferplus_rules_case_by_case(rule: Rule, votes: Sequence[int], label: int, kept: Sequence[int]) -> None:
    raw = [some_votes(*votes)]
    assert label_by(rule, raw).tolist() == [label]
    assert kept_votes(rule, raw)[0].tolist() == some_votes(*kept)[:8]


def test_ferplus_counts_of_the_public_test_split() -> None:
    if not SHARED.is_file():
        pytest.skip("the votes of FER+ are not beside the repository (shared/data/fer2013/labels.csv)")
    with SHARED.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["usage"] == "PublicTest"]
    votes = np.array([[int(row[name]) for name in VOTES] for row in rows])
    rules: tuple[Rule, ...] = ("majority", "probability", "argmax")
    counts = [int((label_by(rule, votes) >= 0).sum()) for rule in rules]
    assert (len(votes), *counts) == (3579, 3199, 3505, 3553)


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
    with pytest.raises(MienError, match="rule = 'most'"):
        source_from("ferplus", {"input": tmp_path, "rule": "most"})


# Folders


def test_folder_names_become_classes_and_unlabeled_has_none(tmp_path: Path) -> None:
    for place, name in enumerate(["happy", "Angry", "bored", "unlabeled", ".hidden"]):
        write_faces(tmp_path / name, 1, first=place)
    write_faces(tmp_path / "happy" / "person 1", 1, first=9)
    (tmp_path / "happy" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "readme.txt").write_text("x")
    (block,), rejected = gather("folder", input=tmp_path)
    assert source_from("folder", {"input": tmp_path}).info().classes == ("anger", "bored", "happiness")
    found = dict(zip(block.columns["id"], block.columns["label"].tolist(), strict=True))
    assert found == {
        "Angry/1.png": 0,
        "bored/2.png": 1,
        "happy/0.png": 2,
        "happy/person 1/9.png": 2,
        "unlabeled/3.png": -1,
    }
    assert "split" not in block.columns
    assert not rejected
    assert (block.faces[list(found).index("bored/2.png")] == face(2, 8)).all()


def test_folder_takes_the_users_map(tmp_path: Path) -> None:
    for name in ("1", "2", "3", "4"):
        write_faces(tmp_path / name, 1)
    source = source_from("folder", {"input": tmp_path, "classes": {"1": "surprise", "2": "fear", "3": "", "4": "fear"}})
    (block,) = source.blocks()
    assert source.info().classes == ("fear", "surprise")
    assert block.columns["label"].tolist() == [1, 0, -1, 0]
    with pytest.raises(MienError, match=r"class folders 5 in .*1, 2, 3, 4"):
        gather("folder", input=tmp_path, classes={"5": "fear"})


def test_folder_splits_get_one_spelling(tmp_path: Path) -> None:
    for name in ("Training/sad", "Training/happy", "val/sad", "test/happy", "unlabeled"):
        write_faces(tmp_path / name, 1)
    assert collect("folder", "id", input=tmp_path) == [
        "Training/happy/0.png",
        "Training/sad/0.png",
        "test/happy/0.png",
        "val/sad/0.png",
        "unlabeled/0.png",
    ]
    assert collect("folder", "split", input=tmp_path) == ["train", "train", "test", "validation", "train"]
    assert collect("folder", "label", input=tmp_path) == [0, 1, 0, 1, -1]
    write_faces(tmp_path / "fear", 1)
    with pytest.raises(MienError, match=r"either classes or splits .*Training, test, val beside fear"):
        gather("folder", input=tmp_path)


def test_folder_without_faces_in_a_class(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="a folder for each class"):
        gather("folder", input=tmp_path)
    write_faces(tmp_path / "happy", 1)
    (tmp_path / "sad").mkdir()
    with pytest.raises(MienError, match=r"a picture in every class folder; found none in .*sad"):
        gather("folder", input=tmp_path)


def test_folder_one_level_too_high(tmp_path: Path) -> None:
    write_faces(tmp_path / "images" / "happy", 1)
    with pytest.raises(MienError, match=r"found happy in .*images"):
        gather("folder", input=tmp_path)


def test_folder_reports_files_that_are_no_pictures(tmp_path: Path) -> None:
    write_faces(tmp_path / "happy", 2)
    (tmp_path / "happy" / "notes.doc").write_text("x")
    (tmp_path / "happy" / "text.png").write_text("x")
    (block,), rejected = gather("folder", input=tmp_path)
    assert len(block.faces) == 2
    assert [(Path(one.path).name, one.reason) for one in rejected] == [
        ("notes.doc", "no picture by its name"),
        ("text.png", "no picture of a known format"),
    ]


def test_folder_side_and_color(tmp_path: Path) -> None:
    write_faces(tmp_path / "happy", 1, side=8)
    write_faces(tmp_path / "sad", 1, side=10)
    with pytest.raises(MienError, match="--side"):
        gather("folder", input=tmp_path)
    source = source_from("folder", {"input": tmp_path, "side": 6, "color": True})
    (block,) = source.blocks()
    assert block.faces.shape == (2, 6, 6, 3)
    assert (source.info().side, source.info().channels) == (6, 3)
    for side in (0, -1, 10**6):
        with pytest.raises(MienError, match="side"):
            source_from("folder", {"input": tmp_path, "side": side})


# Tables


def table_of(folder: Path, rows: Sequence[Sequence[object]], header: Sequence[str]) -> dict[str, Any]:
    write_faces(folder / "images", 3)
    return {"input": write_csv(folder / "images" / "table.csv", [header, *rows])}


def test_table_columns_are_ours_by_name_or_by_map(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["2.png", "a", "happy", 7, "0.5"],
        ["0.png", "b", "", 8, ""],
        ["1.png", "a", "SAD", "", "1"],
    ]
    given_settings = table_of(tmp_path, rows, ("file", "person", "label", "frame", "strength"))
    given_settings |= {"columns": {"path": "file", "subject": "person"}, "keep": ["strength"]}
    (block,), rejected = gather("table", **given_settings)
    faces = FaceSet.from_arrays(block.faces, block.columns["label"], ("happiness", "sadness"), block.columns)
    assert source_from("table", given_settings).info().classes == faces.classes
    assert faces.values("id").tolist() == ["2.png", "0.png", "1.png"]
    assert block.columns["label"].tolist() == [0, -1, 1]
    assert faces.column("subject").to_pylist() == ["a", "b", "a"]
    assert faces.column("frame").to_pylist() == [7, 8, None]
    assert faces.column("strength").to_pylist() == [0.5, None, 1.0]
    assert (block.faces == np.stack([face(n, 8) for n in (2, 0, 1)])).all()
    assert not rejected


def test_table_labels_nobody_knows_are_listed(tmp_path: Path) -> None:
    given_settings = table_of(tmp_path, [["0.png", "1"], ["1.png", "happy"], ["2.png", "x"]], ("path", "label"))
    with pytest.raises(MienError, match=r"that are expressions; found 1, x; map each"):
        gather("table", **given_settings)
    given_settings["classes"] = {"1": "boredom", "x": ""}
    assert source_from("table", given_settings).info().classes == ("boredom", "happiness")
    assert collect("table", "label", **given_settings) == [0, 1, -1]


def test_table_without_labels_has_to_say_so(tmp_path: Path) -> None:
    given_settings = table_of(tmp_path, [("0.png",)], ("path",))
    with pytest.raises(MienError, match=r'a column label in .*only path; .*or "" for none'):
        gather("table", **given_settings)
    assert collect("table", "label", **given_settings, columns={"label": ""}) == [-1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": {"path": "picture"}}, r"columns picture in .*only path, label, more"),
        ({"columns": {"path": ""}}, "a column path"),
        ({"columns": {"age": "more"}}, "columns among path, .*found age"),
        ({"keep": ["color"]}, r"columns color in .*only path"),
        ({"keep": ["label"]}, "other columns to keep"),
        ({"columns": {"frame": "more"}}, "CSV rows that fit"),
        ({"columns": {"id": "label"}}, "every id once .*'happy' again"),
        ({"columns": {"id": "more"}}, "a path and an id in every row"),
        ({"unknown": 1}, "to be given input, columns"),
    ],
)
def test_table_says_which_setting_does_not_fit(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    rows = [["0.png", "happy", "x"], ["1.png", "happy", ""]]
    given_settings = table_of(tmp_path, rows, ("path", "label", "more"))
    with pytest.raises(MienError, match=message):
        gather("table", **(given_settings | changes))


def test_table_paths_stay_below_the_folder_unless_absolute(tmp_path: Path) -> None:
    (outside,) = write_faces(tmp_path / "elsewhere", 1, first=5)
    given_settings = table_of(tmp_path, [[str(outside), "sad"], ["gone.png", "sad"]], ("path", "label"))
    (block,), rejected = gather("table", **given_settings)
    assert (block.faces[0] == face(5, 8)).all()
    assert [(Path(one.path).name, one.reason) for one in rejected] == [("gone.png", "no file there")]
    given_settings = table_of(tmp_path, [["../elsewhere/5.png", "sad"]], ("path", "label"))
    with pytest.raises(MienError, match="a file within"):
        gather("table", **given_settings)


# Expressions


def test_every_name_leads_to_one_of_ours() -> None:
    assert set(SYNONYMS.values()) == {*BASIC, *FERPLUS, *ANXIETY}
    assert tuple(sorted(BASIC)) == BASIC
    assert [canonical(name) for name in ("Happy", "No_Expression", "scared", "bored")] == [
        "happiness",
        "neutral",
        "fear",
        None,
    ]


def test_the_users_map_comes_first() -> None:
    assert rename(["happy", "calm", "x"], {"calm": "calm", "x": ""}) == ["happiness", "calm", ""]


def test_translation_between_vocabularies() -> None:
    index = translation(FERPLUS, BASIC)
    labels = np.array([0, 7, -1, 4])
    assert index[labels].tolist() == [BASIC.index("neutral"), -1, -1, BASIC.index("anger")]
    back = translation(BASIC, FERPLUS)
    assert all(index[back[label]] == label for label in range(len(BASIC)))
    assert translation(["happy", "bored"], ["bored", "happiness"]).tolist() == [1, 0, -1]
