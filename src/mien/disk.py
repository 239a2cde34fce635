"""Writing files so that what is there is whole, old or new, after a crash too; and reading JSON that may be damaged."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mien.errors import MienError

LOCK = ".lock"
"""In a folder that one process at a time works in."""


def read_json(path: Path, todo: str) -> dict[str, Any]:
    """The object in a JSON file. Raises MienError, with what to do, where it holds none."""
    try:
        values = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise MienError(f"JSON in {path}", str(error), todo) from error
    if not isinstance(values, dict):
        raise MienError(f"a JSON object in {path}", type(values).__name__, todo)
    return values


def write_aside(path: Path, content: bytes) -> None:
    """Write a file under another name and rename it: after a crash, too, `path` is the old file or the new one, never half."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(content)
        put(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def put(aside: Path, path: Path) -> None:
    """Give a file, or a folder and all in it, that was written aside its name: all of it is on disk before, and the name after.

    An earlier file is replaced. `aside` lies beside `path`, or at least in the same file system.
    """
    for folder, _, files in os.walk(aside, topdown=False):
        for name in files:
            _sync(Path(folder, name))
        _sync_folder(Path(folder))
    if not aside.is_dir():
        _sync(aside)
    os.replace(aside, path)
    _sync_folder(path.parent)


def put_new(aside: Path, path: Path) -> None:
    """As `put`, for a file, where there is nothing yet. Raises FileExistsError where there is something."""
    _sync(aside)
    try:
        os.link(aside, path)  # Renaming would replace what came meanwhile.
    except FileExistsError:
        raise
    except OSError:  # A file system without such links.
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        os.replace(aside, path)
    aside.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync(file: Path) -> None:
    # Windows wants a file that could be written to.
    number = os.open(file, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _sync_folder(folder: Path) -> None:
    """Where that can be: Windows opens no folder, and some file systems sync none."""
    with suppress(OSError):
        _sync(folder)


def require_new(folder: Path) -> None:
    """Raises MienError where a file is already, or a folder that holds something."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MienError(f"a new or an empty folder at {folder}", "something else", "choose another, or empty it first")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Work in a folder, which is made, as the only process; nothing is left of it where nothing came into it.

    Raises MienError where another one works there. A process that is killed holds nothing.
    """
    if folder.exists() and not folder.is_dir():
        raise MienError(f"a folder at {folder}", "a file", "choose another name")
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        todo = "wait until it is done, or end it"
        raise MienError(f"to work in {folder} alone", "another process that does", todo) from error
    try:
        yield
    finally:
        # While it is held: whoever comes now makes a file of their own.
        (folder / LOCK).unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):
            folder.rmdir()
