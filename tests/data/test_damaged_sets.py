"""Sets that are damaged or state what cannot be: refused in a sentence that names their folder."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import bright_faces, refused
from mien import FaceSet, MienError
from mien.data.format import Info
from mien.data.writer import FaceSetWriter
from mien.tabular.parquet_files import read_table

COUNT, SIDE = 12, 16


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bright_faces(COUNT).save(tmp_path / "set")
    return tmp_path / "set"


def header(shape: str, kind: str = "|u1", version: int = 1, length: int | None = None) -> bytes:
    told = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(118)
    size = len(told) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + size.to_bytes(2 if version == 1 else 4, "little") + told


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"nothing of the kind, but long enough for a header",
        b"PK\x03\x04" + b"\0" * 200,
        header("(12, 16, 16)"),
        header("()"),
        header("(-1, 16, 16)") + b"\0" * 4096,
        header("(99999999999999999999, 16, 16)") + b"\0" * 4096,
        header("(12.0, 16, 16)") + b"\0" * 4096,
        header("None") + b"\0" * 4096,
        header("(12, 16, 16)", "|O") + b"\0" * 4096,
        header("(12, 16, 16)", "nothing") + b"\0" * 4096,
        header("(12, 16, 16)", "<f8") + b"\0" * 40960,
        header("(12, 16, 16)", version=9) + b"\0" * 4096,
        header("(12, 16, 16)", version=2, length=2**32 - 1) + b"\0" * 4096,
        b"\x93NUMPY\x01\0" + (8000).to_bytes(2, "little") + b"(" * 8000,
        b"\x93NUMPY\x01\0" + (60).to_bytes(2, "little") + b"{'descr': ('''".ljust(60),
    ],
)
def test_faces_that_are_no_array(folder: Path, content: bytes) -> None:
    (folder / "faces.npy").write_bytes(content)
    with refused(folder):
        FaceSet.open(folder)


def test_arrays_that_run_code_or_lie_otherwise_are_refused(folder: Path) -> None:
    for array in (np.array([{"a": 1}] * COUNT, object), np.asfortranarray(np.ones((COUNT, SIDE, SIDE), np.uint8))):
        np.save(folder / "faces.npy", array, allow_pickle=True)
        with pytest.raises(MienError, match="an array in"):
            FaceSet.open(folder)


def test_a_header_of_four_gigabytes_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (folder / "faces.npy").open("wb") as file:
        file.write(header("(12, 16, 16)", version=2, length=2**32 - 1))
        file.truncate(2**32)
    monkeypatch.setattr(np, "load", lambda *given, **named: pytest.fail("it was read"))
    with pytest.raises(MienError, match="no header of an array"):
        FaceSet.open(folder)


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"side": 10**9}, "side = 1000000000"),
        ({"side": -1}, "side = -1"),
        ({"side": 0}, "shape"),
        ({"side": True}, "shape"),
        ({"channels": 2}, "shape"),
        ({"channels": 10**20}, "numbers of at most 64 bits"),
        ({"kind": "sounds"}, "kind = 'sounds'"),
        ({"kind": "features"}, "features of type float16"),
        ({"checksum": 7}, "checksum = 7"),
        ({"count": float("nan")}, "count = nan"),
        ({"classes": "abc"}, "classes = 'abc'"),
        ({"classes": [str(n) for n in range(40_000)]}, "at most 32767"),
        ({"classes": ["a", "a", "b"]}, "classes of different names"),
        ({"classes": ["a", "\ud800", "b"]}, r"'\\ud800'"),
        ({"classes": ["x" * 10**6, "y", "z"]}, "at most 1000"),
        ({"version": "2"}, "version 2"),
        ({"more": 1}, "'more'"),
    ],
)
def test_what_a_set_states_is_checked(folder: Path, changed: dict[str, Any], found: str) -> None:
    file = folder / "faceset.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | changed))
    with pytest.raises(MienError, match=found):
        FaceSet.open(folder)


def test_channels_that_are_no_color_are_refused(folder: Path) -> None:
    np.save(folder / "faces.npy", np.zeros((COUNT, SIDE, SIDE, 2), np.uint8))
    file = folder / "faceset.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"channels": 2}))
    with pytest.raises(MienError, match="gray or color faces"):
        FaceSet.open(folder)


def column(folder: Path, name: str, values: pa.Array) -> None:
    table = pq.read_table(folder / "table.parquet")
    pq.write_table(table.set_column(table.column_names.index(name), name, values), folder / "table.parquet")


NO_TEXT = pa.StringArray.from_buffers(
    COUNT, pa.py_buffer(np.arange(COUNT + 1, dtype=np.int32).tobytes()), pa.py_buffer(b"\xff" * COUNT)
)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("label", pa.array([99] * COUNT)),
        ("label", pa.array([-2] * COUNT)),
        ("label", pa.array([10**12] * COUNT)),
        ("label", pa.array([0.5] * COUNT)),
        ("label", pa.array(["anger"] * COUNT)),
        ("label", pa.array([None] * COUNT, pa.int16())),
        ("label", pa.array([[0]] * COUNT)),
        ("votes", pa.array([[1.0]] * COUNT)),
        ("votes", pa.array([[1.0], [1.0] * 5] * (COUNT // 2))),
        ("votes", pa.array([[1.0, -1.0, 2.0]] * COUNT)),
        ("votes", pa.array([[1.0, float("nan"), 2.0]] * COUNT)),
        ("votes", pa.array([[1.0, None, 2.0]] * COUNT)),
        ("votes", pa.array(["many"] * COUNT)),
        ("id", pa.array([None] * COUNT, pa.string())),
        ("id", pa.array(["x" * 100_000] * COUNT)),
        ("id", NO_TEXT),
        ("split", NO_TEXT),
        ("subject", pa.array([{"a": 1}] * COUNT)),
    ],
)
def test_values_that_cannot_be_are_said_when_they_are_read(folder: Path, name: str, values: pa.Array) -> None:
    column(folder, name, values)
    faces = FaceSet.open(folder)
    with refused(folder):
        getattr(faces, "labels" if name == "label" else "votes") if name in ("label", "votes") else faces.values(name)


def change_table(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        pq.write_table(change(pq.read_table(folder / "table.parquet")), folder / "table.parquet")

    return damage


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda folder: (folder / "table.parquet").write_bytes(b"PAR1"), "a table in"),
        (lambda folder: (folder / "table.parquet").write_bytes((folder / "table.parquet").read_bytes()[:-20]), "a table in"),
        (change_table(lambda table: table.drop_columns(["id"])), "no id"),
        (change_table(lambda table: table.append_column("label", table.column("label"))), "columns of different names"),
        (change_table(lambda table: table.slice(2)), "10 rows, 12 stated"),
    ],
)
def test_a_table_that_is_none_is_refused(folder: Path, damage: Callable[[Path], None], found: str) -> None:
    damage(folder)
    with refused(found, folder):
        FaceSet.open(folder)


def test_a_text_that_is_stored_once_and_read_often_takes_no_memory(folder: Path) -> None:
    """200 MB of text in a file of some kilobytes."""
    many = 40
    faces = bright_faces(many)
    shutil.rmtree(folder)
    faces.save(folder)
    words = pa.DictionaryArray.from_arrays(pa.array([0] * many, pa.int32()), pa.array(["x" * (20 << 20)]))
    table = pq.read_table(folder / "table.parquet")
    table = table.set_column(table.column_names.index("subject"), "subject", words)
    pq.write_table(table, folder / "table.parquet", compression="zstd")
    assert (folder / "table.parquet").stat().st_size < 1 << 20
    before = pa.total_allocated_bytes()
    with pytest.raises(MienError, match=r"column subject of at most 256 MiB in .*; found 800 MiB"):
        FaceSet.open(folder).values("subject")
    assert pa.total_allocated_bytes() - before < 64 << 20


def test_features_are_numbers(tmp_path: Path) -> None:
    info = Info(("a", "b"), "features", channels=4, views=("clean",))
    features = np.ones((6, 1, 4), np.float16)
    FaceSet.from_arrays(features, [0, 1] * 3, info=info).save(tmp_path / "set")
    pixels = np.load(tmp_path / "set" / "faces.npy")
    for value in (np.nan, np.inf, -np.inf):
        pixels[3, 0, 2] = value
        np.save(tmp_path / "set" / "faces.npy", pixels)
        faces = FaceSet.open(tmp_path / "set")
        assert faces.faces([0, 1]).shape == (2, 1, 4)
        with pytest.raises(MienError, match=f"features that are numbers in {tmp_path / 'set'}"):
            faces.faces()


@pytest.mark.parametrize(
    "values",
    [
        [99] * COUNT,
        [-2] * COUNT,
        [0.5] * COUNT,
        [None] * COUNT,
        ["a"] * COUNT,
        [float("nan")] * COUNT,
        [10**20] * COUNT,
        [[0]] * COUNT,
    ],
)
def test_labels_are_classes_wherever_they_are_given(tmp_path: Path, values: list[Any]) -> None:
    faces = bright_faces(COUNT)
    with pytest.raises(MienError):
        faces.with_column("label", values)
    with pytest.raises(MienError):
        FaceSet.from_arrays(faces.faces(), np.asarray(values), faces.classes)
    with pytest.raises(MienError), FaceSetWriter(tmp_path / "set", faces.info) as writer:
        writer.add(faces.faces(), {"id": list(map(str, range(COUNT))), "label": values})
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    "given",
    [
        {"faces": [[1, 2], [3, 4]]},
        {"faces": np.zeros(3, np.uint8)},
        {"faces": np.zeros((3, 4, 5), np.uint8)},
        {"faces": np.zeros((3, 4, 4), np.float32)},
        {"faces": np.zeros((3, 4, 4, 2), np.uint8)},
        {"faces": np.zeros((3, 4, 4), np.uint8), "labels": 5},
        {"faces": np.zeros((3, 4, 4), np.uint8), "labels": [0, 1]},
        {"faces": np.zeros((3, 4, 4), np.uint8), "columns": {"subject": ["\ud800"] * 3}},
        {"faces": np.zeros((3, 4, 4), np.uint8), "columns": {"subject": [1, "a", []]}},
        {"faces": np.zeros((3, 4, 4), np.uint8), "columns": {"frame": [10**20] * 3}},
        {"faces": np.zeros((3, 4, 4), np.uint8), "columns": {"subject": 5}},
        {"faces": np.zeros((3, 4, 4), np.uint8), "classes": ["a", "a"]},
        {"faces": np.zeros((3, 4, 4), np.uint8), "classes": ["\ud800"]},
    ],
)
def test_arrays_that_do_not_fit_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(MienError):
        FaceSet.from_arrays(**given)


def test_rows_that_are_none_are_refused() -> None:
    faces = bright_faces(COUNT)
    for rows in (["a"], [10**20], [COUNT], [-1], [None]):
        with pytest.raises(MienError):
            faces.select(rows)  # type: ignore[arg-type]


def test_a_folder_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    faces, folder = bright_faces(COUNT), Path(f"{tmp_path}/\udcff")
    with pytest.raises(MienError, match="a path in UTF-8"):
        faces.save(folder)
    with pytest.raises(MienError, match="a path in UTF-8"):
        FaceSet.open(folder)
    assert not folder.exists()


def test_tables_of_runs_have_their_columns(tmp_path: Path) -> None:
    kinds, file = {"id": pa.string(), "label": pa.int64()}, tmp_path / "some.parquet"
    pq.write_table(pa.table({"label": pa.array([1, 2], pa.int16()), "id": ["a", "b"], "more": [0, 0]}), file)
    assert read_table(file, kinds, "again").to_pylist() == [{"id": "a", "label": 1}, {"id": "b", "label": 2}]
    for table, found in (
        (pa.table({"id": ["a"]}), "no label"),
        (pa.table({"id": ["a"], "label": ["b"]}), "column label"),
        (pa.table({"id": ["a", None], "label": [1, 2]}), "1 without"),
    ):
        pq.write_table(table, file)
        with pytest.raises(MienError, match=found):
            read_table(file, kinds, "again")


def test_a_whole_set_is_read_as_before(folder: Path) -> None:
    faces = FaceSet.open(folder, verify=True)
    assert faces.labels.tolist() == bright_faces(COUNT).labels.tolist()
    assert asdict(faces.info)["classes"] == ("class0", "class1", "class2")
