"""Writing files and folders so that after a crash, too, each is the whole old one or the whole new one."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from mien.errors import MienError

MOST_BYTES = 64 << 20
"""The most bytes of a file that is read whole."""


def require_regular(path: Path, todo: str) -> int:
    """The size in bytes of the file at `path`. Raises MienError where there is none, or a folder, a pipe or a device."""
    try:
        found = path.stat()
    except (OSError, ValueError) as error:  # a name may hold what no file's name can
        raise MienError(f"a file at {path}", getattr(error, "strerror", None) or str(error), todo) from error
    if not stat.S_ISREG(found.st_mode):
        raise MienError(f"a file at {path}", "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device", todo)
    return found.st_size


def size_and_time(path: Path) -> tuple[int, int] | None:
    """A file's size and when it was written, in nanoseconds, which tell it from another one in its place; None for no file.

    Its inode number would not do: some network file systems give a file another one after a while.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def read_bytes(path: Path, todo: str, most: int = MOST_BYTES) -> bytes:
    """The content of a file. Raises MienError where it cannot be read, is no file, or has more than `most` bytes."""
    if require_regular(path, todo) > most:
        raise MienError(f"a file of at most {most >> 10} KiB at {path}", "a larger one", todo)
    try:
        return path.read_bytes()
    except OSError as error:
        raise MienError(f"a file at {path} that can be read", error.strerror or str(error), todo) from error


def require_utf8_path(path: Path, todo: str = "choose another name") -> None:
    """Raises MienError for a path that is not UTF-8 or has a zero byte: tables, cards and runs cannot name it."""
    try:
        bytes_of = str(path).encode()
    except UnicodeEncodeError as error:
        raise MienError("a path in UTF-8", ascii(str(path)), todo) from error
    if b"\0" in bytes_of:
        raise MienError("a path without a zero byte", ascii(str(path)), todo)


def relative_name(path: str | Path, start: str | Path) -> str:
    """The path from the folder `start` to `path`, with slashes; the whole path where none leads there, as between drives."""
    try:
        found = os.path.relpath(path, start) if str(start) else os.path.abspath(path)
    except ValueError:
        found = os.path.abspath(path)
    return found if os.sep == "/" else found.replace(os.sep, "/")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that after a crash, too, `path` is the old file or the new one, never half of it."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(content)
        replace_atomically(aside, path)
    except OSError as error:
        if error.errno is not None and error.filename is None:  # writing names no file, as on a full disk
            error.filename = str(path)
        raise
    finally:
        aside.unlink(missing_ok=True)


def replace_atomically(aside: Path, path: Path) -> None:
    """Rename a file or folder `aside` to `path`, replacing an earlier file, so that a crash leaves the old one or the new.

    Everything in it is on disk before it is renamed. `aside` must lie in the same file system as `path`.
    """
    for folder, _, files in os.walk(aside, topdown=False):
        for name in files:
            _sync(Path(folder, name))
        _sync_folder(Path(folder))
    if not aside.is_dir():
        _sync(aside)
    os.replace(aside, path)
    _sync_folder(path.parent)


def create_atomically(aside: Path, path: Path) -> None:
    """Rename a file `aside` to `path`, where nothing may be yet, with its content on disk before.

    Raises FileExistsError where something is at `path`.
    """
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
    """Write a folder's entries to disk, where the system can: Windows opens no folder, and some file systems sync none."""
    with suppress(OSError):
        _sync(folder)
