"""What differs on Windows and macOS, with the other system played by a stand-in."""

import io
import ntpath
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien import cli
from mien.disk import create_atomically, relative_name, write_atomically
from mien.folders import LOCK, exclusive
from mien.http_server.connections import most_connections
from mien.media import memory_limit
from mien.media.named_inputs import named_inputs
from mien.onnx_file import thread_count
from mien.preparation import worker_process


@pytest.fixture
def drives(monkeypatch: pytest.MonkeyPatch) -> None:
    """No path leads from one folder to another, as between drives of Windows."""

    def refuse(*paths: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(os.path, "commonpath", refuse)
    monkeypatch.setattr(os.path, "relpath", refuse)


@pytest.mark.usefixtures("drives")
def test_inputs_on_two_drives_have_whole_names(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / name / "photo.png")
    found = named_inputs([tmp_path / "a", tmp_path / "b" / "photo.png"], ())
    assert [one.path for one in found] == [tmp_path / "a", tmp_path / "b" / "photo.png"]
    assert [one.prefix for one in found] == [str(tmp_path / "a"), str(tmp_path / "b" / "photo.png")]


def test_names_have_slashes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert relative_name("/a/b/c.png", "/a") == "b/c.png"
    monkeypatch.setattr(os, "sep", "\\")
    monkeypatch.setattr(os.path, "relpath", ntpath.relpath)
    assert relative_name("C:\\a\\b\\c.png", "C:\\a") == "b/c.png"


def test_a_lock_that_cannot_be_removed_while_it_is_open_is_removed_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    removed, asked = Path.unlink, list[Path]()

    def unlink(path: Path, missing_ok: bool = False) -> None:
        asked.append(path)
        if len(asked) == 1:
            raise PermissionError(13, "The process cannot access the file", str(path))
        removed(path, missing_ok=missing_ok)

    with monkeypatch.context() as patched:
        with exclusive(tmp_path / "work"):
            patched.setattr(Path, "unlink", unlink)
            patched.setattr(sys, "platform", "win32")
        assert asked == [tmp_path / "work" / LOCK] * 2
    assert not (tmp_path / "work").exists()


def test_folders_that_cannot_be_opened_or_synced_stop_no_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def open_(path: str | Path, *rest: int, **more: int) -> int:
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *rest, **more)

    monkeypatch.setattr(os, "open", open_)
    monkeypatch.setattr(os, "link", lambda *paths: (_ for _ in ()).throw(OSError("no links here")))
    write_atomically(tmp_path / "file", b"one")
    (tmp_path / "aside").write_bytes(b"two")
    create_atomically(tmp_path / "aside", tmp_path / "new")
    assert (tmp_path / "file").read_bytes() + (tmp_path / "new").read_bytes() == b"onetwo"


@pytest.mark.parametrize(("platform", "coding"), [("win32", "utf-8"), ("linux", "cp1252"), ("darwin", "cp1252")])
def test_what_is_written_to_a_file_on_windows_is_utf8(monkeypatch: pytest.MonkeyPatch, platform: str, coding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "cp1252")
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "argv", ["mien", "--version"])
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit):
            cli.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert stream.encoding == coding


def test_what_linux_alone_has_is_not_asked_for_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(signal, "pthread_sigmask", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    for platform in ("win32", "darwin"):
        monkeypatch.setattr(sys, "platform", platform)
        memory_limit.limit_memory(1)  # a byte more: where it counted, nothing would work any more
        assert most_connections(7) == 7
        assert thread_count() == os.cpu_count()
        with worker_process._without_interrupts():
            pass
