"""What a list says beside path, label, split and subject goes along; nothing is dropped without a word."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typing_extensions import override

from conftest import Command
from mien.data.faceset import FaceSet
from mien.data.format import Info
from mien.faces.detect import Detector
from mien.faces.face import Face
from mien.media.photos import Photo
from mien.preparation.whole_photos import WholePhotoShare, measure_whole_photos
from mien.recognize.alignment_note import alignment_note


def listed(folder: Path, *rows: str) -> Path:
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(np.full((20, 20), 99, np.uint8)).save(folder / name)
    (folder / "list.csv").write_text("\n".join(rows))
    return folder / "list.csv"


def test_columns_of_a_list_go_along_by_their_type(mien: Command, tmp_path: Path) -> None:
    path = listed(tmp_path, "path,label,age,camera,weight", "a.png,sad,30,x,1", "b.png,happy,,y z,2.5", "c.png,happy,41,,")
    done = mien("prepare", path, tmp_path / "set", "--align", "whole", "--workers", 1, "--set", "keep=age,weight,camera")
    assert (done.code, "left out;" in done.err) == (0, False)
    faces = FaceSet.open(tmp_path / "set")
    assert faces.column("age").to_pylist() == [30, None, 41]
    assert faces.column("age").type == pa.int64()
    assert faces.column("weight").to_pylist() == [1.0, 2.5, None]
    assert faces.column("camera").to_pylist() == ["x", "y z", None]


def test_a_list_may_be_parquet(mien: Command, tmp_path: Path) -> None:
    listed(tmp_path)
    table = {"path": ["a.png", "b.png", None], "label": ["sad", "nan", "x"], "split": ["TEST", None, ""], "age": [30, None, 4]}
    pq.write_table(pa.table(table), tmp_path / "list.parquet")
    done = mien("prepare", tmp_path / "list.parquet", tmp_path / "set", "--align", "whole", "--workers", 1, "--set", "keep=age")
    assert done.code == 0
    faces = FaceSet.open(tmp_path / "set")
    assert [faces.column(name).to_pylist() for name in ("id", "label", "split", "age")] == [
        ["a.png", "b.png"],
        [0, -1],
        ["test", None],
        [30, None],
    ]
    pq.write_table(pa.table({"file": ["a.png"]}), tmp_path / "list.parquet")
    assert "columns path in" in mien("prepare", tmp_path / "list.parquet", tmp_path / "other").err
    (tmp_path / "list.parquet").write_bytes(b"PAR1 and more")
    assert "mend it, or give the right file" in mien("prepare", tmp_path / "list.parquet", tmp_path / "other").err


def test_columns_that_are_left_out_are_named(mien: Command, tmp_path: Path) -> None:
    path = listed(tmp_path, "path,label,age,camera", "a.png,sad,30,x")
    done = mien("prepare", path, tmp_path / "set", "--align", "whole", "--workers", 1, "--set", "keep=age")
    assert "columns camera of the list are left out; --set keep=camera takes them along" in done.err
    assert "camera" not in FaceSet.open(tmp_path / "set").column_names


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        ("height", "columns height in a list among the inputs; found only path, label, age"),
        ("box", "other columns to keep than those that faces have anyhow; found box"),
    ],
)
def test_columns_that_cannot_be_kept(mien: Command, tmp_path: Path, keep: str, said: str) -> None:
    path = listed(tmp_path, "path,label,age", "a.png,sad,30")
    done = mien("prepare", path, tmp_path / "set", "--align", "whole", "--workers", 1, "--set", f"keep={keep}")
    assert (done.code, said in done.err) == (1, True)


class Central(Detector):
    """Finds a face of a given share of the picture's shorter side, so far beside its middle."""

    def __init__(self, share: float, beside: float = 0.0) -> None:
        self.share, self.beside = share, beside

    @override
    def __call__(self, photos: Sequence[Photo]) -> list[tuple[Face, ...]]:
        made = list[tuple[Face, ...]]()
        for photo in photos:
            high, wide = photo.shape[:2]
            half, x, y = self.share * min(high, wide) / 2, wide / 2 + self.beside * min(high, wide), high / 2
            made.append((Face((x - half, y - half, x + half, y + half), None, 1.0),))
        return made


@pytest.mark.parametrize(("share", "beside", "whole"), [(0.7, 0.0, 0), (1.1, 0.1, 0), (0.3, 0.0, 24), (0.8, 0.4, 24)])
def test_imported_pictures_that_are_whole_photos_are_told(
    mien: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, beside: float, whole: int
) -> None:
    monkeypatch.setattr("mien.preparation.whole_photos.detector_from_text", lambda name: Central(share, beside))
    (tmp_path / "in" / "happy").mkdir(parents=True)
    for number in range(30):
        Image.fromarray(np.full((400, 500), number, np.uint8)).save(tmp_path / "in" / "happy" / f"{number:02}.png")
    (tmp_path / "in" / "happy" / "00.png").write_bytes(b"none")
    found = measure_whole_photos(sorted((tmp_path / "in" / "happy").iterdir()))
    assert found == WholePhotoShare(23, 23 if whole else 0)
    done = mien("import", "folder", tmp_path / "in", tmp_path / "set", "--side", 48, "--skip", 1)
    assert done.code == 0
    assert ("mien prepare finds the faces in them" in done.err) == bool(whole)


@pytest.mark.parametrize(
    ("model", "faces", "said"),
    [
        ("eyes; mtcnn; largest", "eyes; mtcnn; all", ""),
        ("eyes; mtcnn; largest", "eyes; mtcnn runtime=torch; largest", ""),
        ("unknown", "eyes; mtcnn; largest", ""),
        ("unknown", "unknown", ""),
        ("eyes; mtcnn; largest", "box; mtcnn; largest", "and these were cut out by box"),
        ("eyes; mtcnn; largest", "eyes distance=0.3; mtcnn; largest", "and these were cut out by eyes distance=0.3"),
        ("eyes; mtcnn; largest", "unknown", "this set does not say how its faces were cut out"),
        ("eyes; mtcnn; largest", "whole", "and these were cut out by whole"),
    ],
)
def test_another_alignment_than_the_models_is_told(model: str, faces: str, said: str) -> None:
    note = alignment_note(Info((), alignment=model), Info((), alignment=faces))
    assert (said in note) if said else not note
