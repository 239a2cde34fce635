"""Face sets: what goes in comes out, views copy nothing, and damage is noticed."""

import copy
import json
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import bright_faces
from memory import peak
from mien import FaceSet, MienError
from mien.data.describe import describe, examples, write_examples
from mien.data.format import Info
from mien.data.writer import FaceSetWriter


def test_saved_and_opened_again(faces: FaceSet, tmp_path: Path) -> None:
    again = faces.save(tmp_path / "set")
    again.verify()
    assert (again.faces() == faces.faces()).all()
    assert (again.labels == faces.labels).all()
    votes = again.votes
    assert votes is not None
    assert (votes == faces.votes).all()
    assert again.column("split").to_pylist() == faces.column("split").to_pylist()
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == ["faces.npy", "faceset.json", "table.parquet"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


@given(st.lists(st.integers(0, 119), max_size=40), st.lists(st.integers(0, 119), max_size=40), st.data())
@settings(max_examples=30, deadline=None, derandomize=True)
def test_selections_and_joins_are_those_of_arrays(first: list[int], second: list[int], data: st.DataObject) -> None:
    faces = bright_faces()
    joined = faces.select(first).join(faces.select(second))
    rows = first + second
    assert len(joined) == len(rows)
    assert (joined.labels == faces.labels[rows]).all()
    assert (joined.faces() == faces.faces()[rows]).all()
    if rows:
        picked = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=20))
        view = joined.select(picked)
        assert (view.faces() == joined.faces()[picked]).all()
        assert view.column("id").to_pylist() == [f"{rows[n]:07d}" for n in picked]


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((8, 8), np.uint8), np.zeros((2, 8, 9), np.uint8), np.zeros((8, 8, 8, 8), np.uint8),
        np.zeros((2, 8, 8, 1), np.uint8), np.zeros((2, 8, 8), np.float32), np.zeros((), np.uint8), [[1]],
    ],
)  # fmt: skip
def test_what_is_no_array_of_faces_is_said_as_it_is(wrong: Any) -> None:
    found = re.escape(f"{wrong.dtype} {wrong.shape}") if isinstance(wrong, np.ndarray) else "a list"
    with pytest.raises(MienError, match=rf"faces as an array, uint8 \(N, S, S\) or \(N, S, S, 3\); found {found}; give such"):
        FaceSet.from_arrays(wrong)


def test_where(faces: FaceSet) -> None:
    view = faces.where(split="test", label=[0, 2])
    expected = [n for n in range(len(faces)) if n % 5 == 4 and n % 3 in (0, 2)]
    assert view.column("id").to_pylist() == [f"{n:07d}" for n in expected]


def test_views_copy_no_pixels(stored: Path) -> None:
    faces = FaceSet.open(stored)
    view = faces.join(faces).select(np.arange(10))
    assert view.parts[0].pixels is faces.parts[0].pixels
    assert isinstance(faces.parts[0].pixels, np.memmap)


def test_writing_to_opened_pixels_never_reaches_the_file(stored: Path) -> None:
    faces = FaceSet.open(stored)
    faces.parts[0].pixels[:] = 0
    FaceSet.open(stored).verify()


def test_another_process_maps_the_file_of_a_set(stored: Path, faces: FaceSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(stored.parent)
    view = FaceSet.open(stored.name).join(faces).select(np.arange(len(faces) + 3)[::-1])
    sent = pickle.dumps(view)
    monkeypatch.undo()
    again: FaceSet = pickle.loads(sent)
    assert {type(part.pixels) for part in again.parts} == {np.memmap, np.ndarray}
    assert (again.faces() == view.faces()).all()
    opened = FaceSet.open(stored)
    sent = pickle.dumps(opened.select(np.arange(5)))
    assert opened.faces([0]).tobytes() not in sent
    assert pickle.loads(sent).values("subject").tolist() == faces.values("subject")[:5].tolist()
    shutil.rmtree(stored)
    faces.select(np.arange(7)).save(stored)
    with pytest.raises(MienError, match=r"found uint8 \(7, .*was changed"):
        pickle.loads(sent)


def test_a_set_that_was_written_anew_gives_no_other_pixels(stored: Path, faces: FaceSet) -> None:
    """The new one has as many faces of the same shape: neither they nor its labels are taken for those that were opened."""
    first = FaceSet.open(stored)
    labels, sent = first.labels, pickle.dumps(first.select([3, 1]))
    shutil.rmtree(stored)
    bright_faces(len(faces), seed=8).save(stored)
    with pytest.raises(MienError, match=r"written since; open the set again"):
        pickle.loads(sent)
    view = first.join(first.select([5, 2]), first)
    for again in (pickle.loads(pickle.dumps(view)), copy.deepcopy(view), pickle.loads(pickle.dumps(copy.deepcopy(view)))):
        assert {type(part.pixels) for part in again.parts} == {np.ndarray}
        assert (again.faces() == view.faces()).all()
        assert (again.labels[: len(labels)] == labels).all()
    assert len(pickle.dumps(view)) - len(pickle.dumps(first)) < first.faces().nbytes, "one copy for all parts"
    with pytest.raises(MienError, match=r"table\.parquet as it was opened; found written since"):
        first.values("subject")
    assert type(pickle.loads(pickle.dumps(FaceSet.open(stored))).parts[0].pixels) is np.memmap


def test_a_set_is_copied_though_its_folder_was_moved(stored: Path, faces: FaceSet) -> None:
    opened = FaceSet.open(stored)
    stored.rename(stored.with_name("elsewhere"))
    for again in (copy.deepcopy(opened), pickle.loads(pickle.dumps(opened))):
        assert (again.faces() == faces.faces()).all()


def test_joining_different_sets_is_refused(faces: FaceSet) -> None:
    with pytest.raises(MienError, match="one side"):
        faces.join(bright_faces(side=20))
    with pytest.raises(MienError, match="one classes"):
        faces.join(bright_faces(classes=2))


def test_columns_missing_in_one_part_are_null(faces: FaceSet) -> None:
    plain = FaceSet.from_arrays(faces.faces(), faces.labels, faces.classes)
    joined = plain.join(faces)
    assert joined.column("subject").null_count == len(plain)
    votes = joined.votes
    assert votes is not None
    assert votes[: len(plain)].sum() == 0
    assert (votes[len(plain) :] == faces.votes).all()


@pytest.mark.parametrize("name", ["faces.npy", "table.parquet"])
def test_a_changed_file_is_noticed(stored: Path, name: str) -> None:
    content = bytearray((stored / name).read_bytes())
    content[len(content) // 2] ^= 1
    (stored / name).write_bytes(content)
    with pytest.raises(MienError, match=r"checksum.*changed"):
        FaceSet.open(stored, verify=True)


def test_a_changed_description_is_noticed(stored: Path) -> None:
    values = json.loads((stored / "faceset.json").read_text())
    (stored / "faceset.json").write_text(json.dumps(values | {"classes": values["classes"][::-1]}))
    with pytest.raises(MienError, match=r"checksum.*changed"):
        FaceSet.open(stored, verify=True)


def test_damage_is_explained(stored: Path, tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"no faceset.json"):
        FaceSet.open(tmp_path)
    (stored / "faces.npy").write_bytes((stored / "faces.npy").read_bytes()[:-100])
    with pytest.raises(MienError, match=r"faces.npy"):
        FaceSet.open(stored)
    values = json.loads((stored / "faceset.json").read_text()) | {"version": 9}
    (stored / "faceset.json").write_text(json.dumps(values))
    with pytest.raises(MienError, match="version 9"):
        FaceSet.open(stored)


def test_an_object_array_is_not_unpickled(stored: Path) -> None:
    np.save(stored / "faces.npy", np.array([{}, {}], dtype=object), allow_pickle=True)
    with pytest.raises(MienError, match=r"faces.npy"):
        FaceSet.open(stored)


def test_labels_and_shapes_are_checked(faces: FaceSet) -> None:
    with pytest.raises(MienError, match="labels from -1 to 1"):
        FaceSet.from_arrays(faces.faces(), faces.labels, ["a", "b"])
    with pytest.raises(MienError, match="row for each"):
        FaceSet.from_arrays(faces.faces(), [0, 1], ["a", "b"])
    with pytest.raises(MienError, match="uint8"):
        FaceSet.from_arrays(faces.faces().astype(np.float32), faces.labels, faces.classes)
    with pytest.raises(MienError, match="a mask of 120"):
        faces.select([True, False])
    with pytest.raises(MienError, match="rows from 0"):
        faces.select([120])


def test_existing_folders_are_left_alone(stored: Path, faces: FaceSet) -> None:
    before = (stored / "faceset.json").read_bytes()
    with pytest.raises(MienError, match="nothing at"):
        faces.save(stored)
    assert (stored / "faceset.json").read_bytes() == before


def test_a_failed_write_leaves_nothing(tmp_path: Path, faces: FaceSet) -> None:
    def fail_on_the_way() -> None:
        with FaceSetWriter(tmp_path / "set", faces.info) as writer:
            writer.add(faces.faces(), {"id": faces.column("id"), "label": faces.labels})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_on_the_way()
    assert list(tmp_path.iterdir()) == []


def test_blocks_must_be_alike(tmp_path: Path, faces: FaceSet) -> None:
    columns = {"id": ["a"] * 120, "label": faces.labels}
    writer = FaceSetWriter(tmp_path / "set", faces.info)
    writer.add(faces.faces(), columns)
    with pytest.raises(MienError, match="blocks like the first"), writer:
        writer.add(faces.faces()[:, :8], columns)
    assert list(tmp_path.iterdir()) == []


def test_features_are_a_set_too(tmp_path: Path) -> None:
    info = Info(classes=("a", "b"), kind="features", channels=5, views=("clean", "mirror"))
    values = np.random.default_rng(0).normal(size=(6, 2, 5)).astype(np.float16)
    stored = FaceSet.from_arrays(values, [0, 1] * 3, info=info).save(tmp_path / "set")
    assert (stored.faces([4, 1]) == values[[4, 1]]).all()
    with pytest.raises(MienError, match="features"):
        examples(stored)


def test_an_empty_set_can_be_stored(tmp_path: Path, faces: FaceSet) -> None:
    assert len(faces.select([]).save(tmp_path / "set")) == 0


def test_opening_costs_no_memory(tmp_path: Path) -> None:
    info = Info(classes=("a",), side=8)
    with FaceSetWriter(tmp_path / "set", info) as writer:
        for _ in range(20):
            writer.add(np.zeros((5000, 8, 8), np.uint8), {"id": [f"{n}" for n in range(5000)], "label": np.zeros(5000)})
    assert len(FaceSet.open(tmp_path / "set")) == 100_000
    assert peak(lambda: FaceSet.open(tmp_path / "set")) < 1_000_000


def test_a_join_of_different_columns_can_be_saved(tmp_path: Path, faces: FaceSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.data.faceset.BLOCK", 50)
    plain = FaceSet.from_arrays(faces.faces(), faces.labels, faces.classes)
    saved = plain.join(faces).save(tmp_path / "both")
    assert saved.column("subject").to_pylist() == [None] * 120 + faces.column("subject").to_pylist()


def test_a_view_is_no_stored_set(stored: Path) -> None:
    faces = FaceSet.open(stored)
    view = faces.where(label=np.int64(1))
    assert (view.folder, view.info.checksum, view.info.count) == (None, "", 40)
    assert (faces.where(subject=None).labels == []).all()


def test_a_column_can_be_added_to_a_view(faces: FaceSet, tmp_path: Path) -> None:
    joined = faces.join(faces)
    ages = np.arange(240)
    aged = joined.with_column("age", ages).select([200, 3, 119, 120])
    assert aged.values("age").tolist() == [200, 3, 119, 120]
    assert aged.save(tmp_path / "aged").values("age").tolist() == [200, 3, 119, 120]
    with pytest.raises(MienError, match="240 values of age"):
        joined.with_column("age", [1])


def test_describe_counts_like_a_loop(faces: FaceSet) -> None:
    labels = faces.labels.copy()
    labels[::7] = -1
    part = FaceSet.from_arrays(faces.faces(), labels, faces.classes, {"split": faces.column("split")})
    found = describe(part)
    assert found.splits == ("test", "train")
    for row, split in enumerate(found.splits):
        for column, label in enumerate([0, 1, 2, -1]):
            pairs = zip(part.column("split").to_pylist(), labels, strict=True)
            assert found.counts[row, column] == sum(pair == (split, label) for pair in pairs)


def test_the_picture_has_a_row_per_class(faces: FaceSet, tmp_path: Path) -> None:
    picture, wider = examples(faces, per_class=4, side=20), examples(faces, per_class=7, side=20)
    lower = examples(faces.where(label=[0, 1]), per_class=4, side=20)
    assert (wider.width - picture.width) // 3 == (picture.height - lower.height) == 24, "a face of 20 pixels and a gap"
    write_examples(faces, tmp_path / "faces.png")
    assert (tmp_path / "faces.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(MienError, match=r"\.png"):
        write_examples(faces, tmp_path / "faces.txt")


def test_arrow_columns_keep_their_type(faces: FaceSet) -> None:
    assert faces.column("label").type == pa.int16()
    with pytest.raises(MienError, match="a column among id"):
        faces.column("age")


def test_a_set_or_its_folder_is_taken_through_one_door(stored: Path, faces: FaceSet) -> None:
    assert FaceSet.of(faces) is faces
    assert np.array_equal(FaceSet.of(str(stored)).faces(), FaceSet.open(stored).faces())
    (stored / "table.parquet").write_bytes((stored / "table.parquet").read_bytes()[:-4] + b"PAR2")
    with pytest.raises(MienError, match="checksum"):
        FaceSet.of(stored)
