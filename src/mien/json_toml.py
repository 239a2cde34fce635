"""Reading JSON and TOML that may be damaged or hostile: nested without end, or with numbers of any size."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from mien.disk import read_bytes
from mien.errors import MienError
from mien.settings import settings_from

T = TypeVar("T")

MOST_TOML = 64 << 10
"""The most bytes of a TOML file."""
MOST_DOTS = 4096
"""The most dots in a line of TOML: keys of many parts take time that grows with the square of their number."""
DEEPEST = 64
"""How deep lists and tables may lie within each other."""
LARGEST = 2**64 - 1
"""The largest whole number, with either sign, that a file may hold."""


def read_json(path: Path, todo: str) -> dict[str, Any]:
    """The object in a JSON file. Raises MienError, which ends with `todo`, where the file holds no object."""
    values = parse_json(read_bytes(path, todo), str(path), todo)
    if not isinstance(values, dict):
        raise MienError(f"a JSON object in {path}", type(values).__name__, todo)
    return values


def read_settings(kind: type[T], path: Path, todo: str) -> T:
    """The object in a JSON file as a dataclass `kind`. Raises MienError, which ends with `todo`, where it does not fit."""
    return settings_of_file(kind, read_json(path, todo), path, todo)


def settings_of_file(kind: type[T], values: Mapping[str, Any], path: Path, todo: str) -> T:
    """The `values` of the file `path` as a dataclass `kind`. Raises MienError, which names the file, where they do not fit."""
    try:
        return settings_from(kind, values)
    except MienError as error:
        raise MienError(f"{error.expected} in {path}", error.found, todo) from error


def parse_json(content: bytes, where: str, todo: str) -> Any:
    """The value of a JSON text in UTF-8. `where`: the place to name in messages.

    Raises MienError for what is no JSON, for a key that comes twice, and for values that are too large or nested too deep.
    """
    try:
        values = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_once)
    except RecursionError as error:
        raise MienError(f"JSON nested at most {DEEPEST} deep in {where}", "deeper", todo) from error
    except ValueError as error:
        raise MienError(f"JSON in {where}", str(error), todo) from error
    require_simple(values, where, todo)
    return values


def read_toml(path: Path, todo: str) -> dict[str, Any]:
    """The table in a TOML file. Raises MienError, which ends with `todo`, for what is no TOML or nested too deep."""
    content = read_bytes(path, todo, MOST_TOML)
    if any(line.count(b".") > MOST_DOTS for line in content.splitlines()):
        raise MienError(f"TOML whose lines have at most {MOST_DOTS} dots in {path}", "more in one", todo)
    try:
        values = tomllib.loads(content.decode("utf-8-sig"))
    except RecursionError as error:
        raise MienError(f"TOML nested at most {DEEPEST} deep in {path}", "deeper", todo) from error
    except ValueError as error:
        raise MienError(f"TOML in {path}", str(error), todo) from error
    require_simple(values, str(path), todo)
    return values


def parse_word(text: str) -> Any:
    """The value of a word on the command line: read as JSON where it is JSON, else the word itself."""
    todo = "give a simpler value"
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise MienError(f"a value nested at most {DEEPEST} deep", "a deeper one", todo) from error
    except ValueError:
        return text
    require_simple(values, "a setting", todo)
    return values


def require_simple(values: Any, where: str, todo: str) -> None:
    """Raises MienError for values nested too deep, texts that UTF-8 cannot hold, and whole numbers beyond 64 bits."""
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
    """Whether UTF-8 can hold a text, and no zero is in it."""
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
