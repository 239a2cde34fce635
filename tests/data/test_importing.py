"""An import is whole or has never been; what it left out is written down."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data.faceset import FaceSet
from mien.data.format import Info
from mien.data.importing import import_source, source_from
from mien.data.source import FaceBlock, Source
from mien.data.writer import FaceSetWriter
from mien.errors import MienError
from mien.media.rejections import Rejected


@dataclass(frozen=True)
class Scripted(Source):
    """`faces` faces in each of `blocks`, one rejected input in each of the first `bad`; `fault` is raised at the end."""

    count: int = 2
    faces: int = 3
    bad: int = 0
    fault: BaseException | None = None

    def info(self) -> Info:
        return Info(classes=("a", "b"), side=4, name="scripted")

    def total(self) -> int:
        return self.count * self.faces + self.bad

    def blocks(self) -> Iterator[FaceBlock]:
        for block in range(self.count):
            columns = {"id": [f"{block}-{n}" for n in range(self.faces)], "label": np.zeros(self.faces, int)}
            rejected = (Rejected(f"face {block}, left.png", 'a "reason"'),) if block < self.bad else ()
            yield FaceBlock(np.full((self.faces, 4, 4), block, np.uint8), columns, rejected)
        if self.fault is not None:
            raise self.fault


class Untouchable(Scripted):
    """Fails the test that reads it."""

    def info(self) -> Info:
        raise AssertionError("read")

    def total(self) -> int:
        raise AssertionError("read")


def test_faces_come_in_order_and_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    result = import_source(Scripted(bad=1), tmp_path / "set", skip=1, progress=lambda done, of: told.append((done, of)))
    assert told == [(4, 7), (7, 7)]
    assert result.faces.faces()[:, 0, 0].tolist() == [0, 0, 0, 1, 1, 1]
    FaceSet.open(tmp_path / "set", verify=True)


def test_an_existing_folder_is_refused_before_reading_and_stays_as_it_was(tmp_path: Path) -> None:
    import_source(Scripted(), tmp_path / "set")
    before = {path: path.read_bytes() for path in (tmp_path / "set").iterdir()}
    with pytest.raises(MienError, match=r"nothing at .*set yet"):
        import_source(Untouchable(), tmp_path / "set")
    assert {path: path.read_bytes() for path in (tmp_path / "set").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_more_rejected_than_allowed(tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"found 5 of 20 without one \(face 0, left.png: .*face 2.*…\); .*--skip 5"):
        import_source(Scripted(count=5, bad=5), tmp_path / "deep" / "er" / "set", skip=4)
    assert list(tmp_path.iterdir()) == []


def test_rejected_inputs_are_listed_in_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = import_source(Scripted(bad=2), tmp_path / "set", skip=2)
    with (tmp_path / "set" / "rejected.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [["path", "reason"], *[[f"face {n}, left.png", 'a "reason"'] for n in range(2)]]
    assert [one.path for one in result.rejected] == ["face 0, left.png", "face 1, left.png"]
    FaceSet.open(tmp_path / "set", verify=True)

    def full(writer: FaceSetWriter, name: str, content: bytes) -> None:
        raise OSError(28, "No space left on device", name)

    monkeypatch.setattr(FaceSetWriter, "attach", full)
    with pytest.raises(OSError, match="No space left"):
        import_source(Scripted(bad=2), tmp_path / "full", skip=2)
    assert not (tmp_path / "full").exists(), "no set without its list"
    monkeypatch.undo()
    import_source(Scripted(), tmp_path / "clean")
    assert not (tmp_path / "clean" / "rejected.csv").exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Scripted(count=0), "at least one face; found none;"),
        (Scripted(faces=0, bad=2), "found none, 2 rejected .*left.png"),
    ],
)
def test_no_faces_are_an_error(tmp_path: Path, source: Scripted, message: str) -> None:
    with pytest.raises(MienError, match=message):
        import_source(source, tmp_path / "set", skip=9)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault", [MienError("a", "b", "c"), KeyboardInterrupt(), OSError("disk")])
def test_nothing_is_left_of_an_import_that_fails(tmp_path: Path, fault: BaseException) -> None:
    (tmp_path / "kept").mkdir()
    with pytest.raises(type(fault)):
        import_source(Scripted(fault=fault), tmp_path / "kept" / "new" / "set")
    assert list(tmp_path.rglob("*")) == [tmp_path / "kept"]


def test_nothing_is_left_where_the_list_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("mien.data.importing.csv.writer", full)
    with pytest.raises(OSError, match="no space"):
        import_source(Scripted(bad=1), tmp_path / "set", skip=1)
    assert list(tmp_path.iterdir()) == []


def test_broken_pictures_of_a_folder_count_against_skip(tmp_path: Path) -> None:
    folder = tmp_path / "faces" / "happy"
    folder.mkdir(parents=True)
    for n in range(4):
        Image.fromarray(np.full((8, 8), n, np.uint8)).save(folder / f"{n}.png")
    (folder / "1.png").write_bytes(b"")
    source = source_from("folder", {"input": str(tmp_path / "faces")})
    with pytest.raises(MienError, match=r"1 of 4 without one \(.*1\.png: an empty file\); .*--skip 1"):
        import_source(source, tmp_path / "set")
    result = import_source(source, tmp_path / "set", skip=1)
    assert result.faces.faces()[:, 0, 0].tolist() == [0, 2, 3]


def test_source_from_names_what_there_is() -> None:
    with pytest.raises(MienError, match=r"fer2013, ferplus, folder, .*in data/sources; found 'ferplusplus'"):
        source_from("ferplusplus", {})
    with pytest.raises(MienError, match="input"):
        source_from("folder", {})
