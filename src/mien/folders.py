"""Folders that are somebody's: new ones, those of an earlier command, those in which the same work was begun, or goes on."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mien.disk import create_atomically, replace_atomically, require_utf8_path, write_atomically
from mien.errors import MienError
from mien.json_text import to_json
from mien.json_toml import read_json
from mien.wording import short_name

LOCK = ".lock"
"""The lock file in a folder that one process at a time works in."""


def require_new(folder: Path) -> None:
    """Raises MienError unless nothing or an empty folder is at `folder`."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MienError(f"a new or an empty folder at {folder}", "something else", "choose another, or empty it first")


def require_absent(path: Path) -> None:
    """Raises MienError where something is at `path` already: a file, a folder, or a link that leads nowhere."""
    if os.path.lexists(path):
        raise MienError(f"nothing at {path} yet", "a file or folder", "choose another name, or remove it first")


def write_new(path: Path, content: bytes) -> None:
    """Write a file whole where nothing may be yet, and the folders that lead to it. Raises MienError where something is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(content)
        create_atomically(aside, path)
    except FileExistsError:
        require_absent(path)
        raise
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A context with a folder aside, which becomes `folder` at its end: a new or an empty one until then.

    After an error in it nothing is left.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield aside
        aside.chmod(0o755)
        if sys.platform == "win32" and folder.is_dir():
            folder.rmdir()  # Windows replaces no folder, even an empty one.
        replace_atomically(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def require_own(out: Path, files: Collection[str], command: str) -> list[str]:
    """The names of what is at `out`, sorted: nothing, or some of the `files` that an earlier `command` left there.

    Raises MienError where anything else is there.
    """
    found = sorted(path.name for path in out.iterdir()) if out.is_dir() else [out.name] if out.exists() else []
    if strange := [name for name in found if name not in files or not out.is_dir()]:
        wanted = f"nothing at {out}, or what {command} left there and nothing else"
        listed = ", ".join(strange[:3]) + (", …" if len(strange) > 3 else "")
        raise MienError(wanted, listed, "choose another `out`, or move what is there")
    return found


def require_folder(folder: Path) -> None:
    """Raises MienError where a file is."""
    if folder.exists() and not folder.is_dir():
        raise MienError(f"a folder at {folder}", "a file", "choose another name")


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """A context in which this process alone works in a folder, which is made where it is missing.

    An empty folder is removed at the end. Raises MienError where another process works there; a killed process blocks nobody.
    """
    require_folder(folder)
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
        # While it is held: whoever comes now makes a file of their own. Windows removes no file that is open.
        with suppress(PermissionError):
            (folder / LOCK).unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):
            if sys.platform == "win32":
                (folder / LOCK).unlink(missing_ok=True)
            folder.rmdir()


def remove_all_but_lock(folder: Path) -> None:
    """Remove what is in a folder that this process holds by `exclusive`, which removes the lock and the empty folder itself."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def claim(
    file: Path,
    asked: Mapping[str, Any],
    decides: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    work: str,
    otherwise: str = "choose another --out",
    empty: bool = True,
) -> None:
    """Take the folder of `file`, a new one or one where the same work was begun, by writing down what is `asked` there, as JSON.

    `decides`: from such a file's content, the values that have to be the same for the work to go on, by name. `work`: what it
    is called, such as `an earlier grid`. `otherwise`: what to do where it is not the same. `empty`: a folder without that file
    must be empty; one that only this work knows need not be.
    Raises MienError where the folder is a file or holds other files, or one of these values was another; nothing is changed.
    """
    folder, now = file.parent, json.loads(to_json(asked))
    require_utf8_path(folder)
    require_folder(folder)
    if file.is_file():
        was = read_json(file, otherwise)
        if was == now:
            return
        _require_same(folder, decides(was), decides(now), otherwise)
    elif empty and folder.is_dir() and not all(_is_own(one.name, file) for one in folder.iterdir()):
        raise MienError(f"an empty folder at {folder}, or that of {work}", "other files", otherwise)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(file, to_json(now).encode())


def is_claimed(
    file: Path,
    asked: Mapping[str, Any],
    decides: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    otherwise: str = "choose another --out",
) -> bool:
    """Whether the folder of `file` was taken for what is `asked`, by `claim`, which has the same arguments. Nothing is written.

    False where there is no such file. Raises MienError where one of the values that decide was another.
    """
    if not file.is_file():
        return False
    _require_same(file.parent, decides(read_json(file, otherwise)), decides(json.loads(to_json(asked))), otherwise)
    return True


def _require_same(folder: Path, before: Mapping[str, Any], after: Mapping[str, Any], otherwise: str) -> None:
    """Raises MienError where one of the values after is not what the work in `folder` was begun with."""
    if other := [key for key in after if before.get(key) != after[key]]:
        wanted, found = (f"{other[0]} = {short_name(values.get(other[0]))}" for values in (before, after))
        more = f" (and {len(other) - 1} more)" if len(other) > 1 else ""
        raise MienError(f"what {folder} was begun with, {wanted}", found + more, f"give the same again, or {otherwise}")


def _is_own(name: str, file: Path) -> bool:
    """Whether a name in the folder of `file` is that of its lock, or of what a killed process had begun to write."""
    return name == LOCK or name.startswith(f".{file.name}.")
