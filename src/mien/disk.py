"""Writing files so that what is there is whole, the old content or the new; and reading JSON that may be damaged."""

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
    """Write a file under another name and rename it, so that `path` is never half-written."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


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
