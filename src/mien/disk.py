"""Writing files so that what is there is whole, old or new, after a crash too; and reading JSON and TOML that may be damaged."""

import json
import os
import stat
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from mien.errors import MienError
from mien.settings import settings_from

T = TypeVar("T")

LOCK = ".lock"
"""In a folder that one process at a time works in."""
MOST_JSON, MOST_TOML = 64 << 20, 64 << 10
"""Bytes of a file that is read whole."""
MOST_DOTS = 4096
"""In a line of TOML: a key of many parts takes time that grows with their square."""
DEEPEST = 64
"""Lists and tables within each other."""
LARGEST = 2**64 - 1
"""A whole number further from 0 fits nothing that mien has."""


def require_regular(path: Path, todo: str) -> int:
    """The size in bytes of the file at `path`. Raises MienError where there is none, or a folder, a pipe or a device."""
    try:
        found = path.stat()
    except (OSError, ValueError) as error:  # a name may hold what no file's name can
        raise MienError(f"a file at {path}", getattr(error, "strerror", None) or str(error), todo) from error
    if not stat.S_ISREG(found.st_mode):
        raise MienError(f"a file at {path}", "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device", todo)
    return found.st_size


def read_bytes(path: Path, todo: str, most: int = MOST_JSON) -> bytes:
    """All of a file. Raises MienError as `require_regular` does, where it cannot be read, and for more than `most` bytes."""
    if require_regular(path, todo) > most:
        raise MienError(f"a file of at most {most >> 10} KiB at {path}", "a larger one", todo)
    try:
        return path.read_bytes()
    except OSError as error:
        raise MienError(f"a file at {path} that can be read", error.strerror or str(error), todo) from error


def read_json(path: Path, todo: str) -> dict[str, Any]:
    """The object in a JSON file. Raises MienError, with what to do, where it holds none."""
    values = parse_json(read_bytes(path, todo), str(path), todo)
    if not isinstance(values, dict):
        raise MienError(f"a JSON object in {path}", type(values).__name__, todo)
    return values


def read_as(kind: type[T], path: Path, todo: str) -> T:
    """A dataclass `kind` from the object in a JSON file. Raises MienError where the file holds none, or other values."""
    return fit(kind, read_json(path, todo), path, todo)


def fit(kind: type[T], values: Mapping[str, Any], path: Path, todo: str) -> T:
    """A dataclass `kind` from the values of a file. Raises MienError, which names the file, where they do not fit."""
    try:
        return settings_from(kind, values)
    except MienError as error:
        raise MienError(f"{error.expected} in {path}", error.found, todo) from error


def parse_json(content: bytes, where: str, todo: str) -> Any:
    """The value that JSON in UTF-8 says. Raises MienError for what is none, for a key that is there twice, and for values that
    are nested too deep or too large.
    """
    try:
        values = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_once)
    except RecursionError as error:
        raise MienError(f"JSON nested at most {DEEPEST} deep in {where}", "deeper", todo) from error
    except ValueError as error:
        raise MienError(f"JSON in {where}", str(error), todo) from error
    require_plain(values, where, todo)
    return values


def read_toml(path: Path, todo: str) -> dict[str, Any]:
    """The table in a TOML file. Raises MienError, with what to do, where it holds none, or one that is nested too deep."""
    content = read_bytes(path, todo, MOST_TOML)
    if any(line.count(b".") > MOST_DOTS for line in content.splitlines()):
        raise MienError(f"TOML whose lines have at most {MOST_DOTS} dots in {path}", "more in one", todo)
    try:
        values = tomllib.loads(content.decode("utf-8-sig"))
    except RecursionError as error:
        raise MienError(f"TOML nested at most {DEEPEST} deep in {path}", "deeper", todo) from error
    except ValueError as error:
        raise MienError(f"TOML in {path}", str(error), todo) from error
    require_plain(values, str(path), todo)
    return values


def value_of(text: str) -> Any:
    """The value that a word of the command line says in JSON, or the word itself where it is none."""
    todo = "give a simpler value"
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise MienError(f"a value nested at most {DEEPEST} deep", "a deeper one", todo) from error
    except ValueError:
        return text
    require_plain(values, "a setting", todo)
    return values


def require_plain(values: Any, where: str, todo: str) -> None:
    """Raises MienError for values nested too deep, for texts that UTF-8 cannot hold, and for whole numbers beyond 64 bits."""
    layer = [values]
    for _ in range(DEEPEST + 1):
        inner = list[Any]()
        for one in layer:
            if isinstance(one, dict):
                inner += [*one, *one.values()]
            elif isinstance(one, list | tuple):
                inner += one
            elif isinstance(one, str) and not _is_text(one):
                raise MienError(f"texts of whole characters in {where}", f"{one[:40]!a}", todo)
            elif isinstance(one, int) and abs(one) > LARGEST:
                raise MienError(f"numbers of at most 64 bits in {where}", "a larger one", todo)
        layer = inner
        if not layer:
            return
    raise MienError(f"values nested at most {DEEPEST} deep in {where}", "deeper", todo)


def _is_text(text: str) -> bool:
    """Whether no half of a character is among it, and no zero."""
    if text.isascii():
        return "\0" not in text
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} twice")
    return made


def require_name(path: Path, todo: str = "choose another name") -> None:
    """Raises MienError for a path whose letters are no UTF-8: tables, cards and runs cannot name it."""
    try:
        bytes_of = str(path).encode()
    except UnicodeEncodeError as error:
        raise MienError("a path in UTF-8", ascii(str(path)), todo) from error
    if b"\0" in bytes_of:
        raise MienError("a path without a zero byte", ascii(str(path)), todo)


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
