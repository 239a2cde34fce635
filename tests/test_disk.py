"""Files and folders that are written aside: on disk before they have their name, and the name after."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from mien import FaceSet
from mien.disk import create_atomically, replace_atomically, write_atomically
from mien.errors import MienError
from mien.folders import claim
from mien.training.checkpoint import write_state


class Recorder:
    """Notes in which order files are synced and renamed, by name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[tuple[str, ...]] = []
        self._names: dict[int, str] = {}
        opened, synced, replaced, linked = os.open, os.fsync, os.replace, os.link

        def open_(path: str | Path, *rest: int, **more: int) -> int:
            number = opened(path, *rest, **more)
            self._names[number] = Path(path).name
            return number

        def fsync(number: int) -> None:
            synced(number)
            self.steps.append(("sync", self._names[number]))

        def replace(source: Path, target: Path) -> None:
            replaced(source, target)
            self.steps.append(("name", Path(target).name))

        def link(source: Path, target: Path) -> None:
            linked(source, target)
            self.steps.append(("name", Path(target).name))

        monkeypatch.setattr(os, "open", open_)
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "replace", replace)
        monkeypatch.setattr(os, "link", link)


def test_a_file_is_on_disk_before_it_has_its_name_and_the_name_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, aside = Recorder(monkeypatch), f".a.json.{os.getpid()}"
    for content in (b"old", b"new"):
        recorder.steps.clear()
        write_atomically(tmp_path / "a.json", content)
        assert recorder.steps == [("sync", aside), ("name", "a.json"), ("sync", tmp_path.name)]
        assert (tmp_path / "a.json").read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_all_of_a_folder_is_on_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "aside" / "deep").mkdir(parents=True)
    for name in ("a", "deep/b"):
        (tmp_path / "aside" / name).write_text("x")
    recorder = Recorder(monkeypatch)
    replace_atomically(tmp_path / "aside", tmp_path / "there")
    assert recorder.steps == [
        ("sync", "b"),
        ("sync", "deep"),
        ("sync", "a"),
        ("sync", "aside"),
        ("name", "there"),
        ("sync", tmp_path.name),
    ]
    assert (tmp_path / "there" / "deep" / "b").read_text() == "x"


def test_sets_and_checkpoints_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(monkeypatch)
    FaceSet.from_arrays(np.zeros((3, 8, 8), np.uint8)).save(tmp_path / "set")
    named = recorder.steps.index(("name", "set"))
    assert {name for _, name in recorder.steps[:named]} >= {"faces.npy", "table.parquet", "faceset.json"}
    recorder.steps.clear()
    write_state(tmp_path / "checkpoint", {"epoch": 3})
    assert [step for step, _ in recorder.steps] == ["sync", "name", "sync"]


def test_what_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("old")

    def fail(number: int) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="gone"):
        write_atomically(tmp_path / "a", b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing tells no name, only opening does."""

    def fail(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space left") as full:
        write_atomically(tmp_path / "a", b"new")
    assert full.value.filename == str(tmp_path / "a")


def test_a_folder_that_cannot_be_synced_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def refuse(path: str | Path, *rest: int, **more: int) -> int:
        if Path(path).is_dir():
            raise PermissionError(path)  # as on Windows
        return opened(path, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_takes_no_place_that_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:

        def refuse(source: Path, target: Path) -> None:
            raise PermissionError(target)

        monkeypatch.setattr(os, "link", refuse)
    for name in ("aside", "again"):
        (tmp_path / name).write_text(name)
    create_atomically(tmp_path / "aside", tmp_path / "there")
    with pytest.raises(FileExistsError):
        create_atomically(tmp_path / "again", tmp_path / "there")
    assert (tmp_path / "there").read_text() == "aside"
    assert not (tmp_path / "aside").exists()


def test_a_folder_is_claimed_once_and_goes_on_where_the_same_was_asked(tmp_path: Path) -> None:
    def ask(folder: str, **asked: object) -> None:
        claim(tmp_path / folder / "asked.json", asked, lambda content: {"seed": content["seed"], "at": content["at"]}, "mine")

    ask("out", seed=1, at=Path("here"), more=2)
    ask("out", seed=1, at=Path("here"), more=3)
    assert json.loads((tmp_path / "out" / "asked.json").read_text()) == {"seed": 1, "at": "here", "more": 3}
    with pytest.raises(MienError, match=r"was begun with, seed = 1; found seed = 2 \(and 1 more\); give the same again"):
        ask("out", seed=2, at=Path("there"))
    (tmp_path / "out" / "asked.json").rename(tmp_path / "out" / "letter.txt")
    with pytest.raises(MienError, match="or that of mine; found other files"):
        ask("out", seed=1, at=Path("here"))
    with pytest.raises(MienError, match=r"a folder at .*; found a file"):
        ask("out/letter.txt", seed=1, at=Path("here"))
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["letter.txt"]
