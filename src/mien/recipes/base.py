"""Bases of recipes: `base = NAME` in a recipe's file takes over all answers of another recipe that the file does not give."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mien.errors import MienError
from mien.wording import brief_repr

BASE = "base"
"""The key that names another recipe, or a TOML file by its path from this one's folder."""
MOST_BASES = 16
"""Most recipes that may be based one on the other."""

ReadTable = Callable[[Path | str], dict[str, Any]]
"""A function that gives the table of a recipe's name or file as it stands there."""


def with_bases(table: Mapping[str, Any], where: Path | str | None, read: ReadTable) -> dict[str, Any]:
    """A recipe's table with all that it is based on written out; its title stays its own.

    `where`: the file or name that the table was read from; None where a program made it. `read` gives the table of a name or a
    file as it stands there. Raises MienError for a base that is unknown or damaged, for a circle, and for more than 16 bases.
    """
    layers, names = [table], [None if where is None else str(where)]
    while BASE in layers[-1]:
        name = _beside(layers[-1][BASE], names[-1])
        if _place(name) in [_place(other) for other in names if other is not None]:
            circle = " -> ".join(Path(other).name for other in (*names, name) if other is not None)
            raise MienError("recipes that are not based on each other in a circle", brief_repr(circle), "take one base away")
        if len(layers) > MOST_BASES:
            raise MienError(f"at most {MOST_BASES} recipes based one on the other", "more", "write some of them into one file")
        layers.append(read(name))
        names.append(name)
    if len(layers) == 1:
        return dict(table)
    made: dict[str, Any] = {}
    for layer in (read("supervised"), *reversed(layers)):
        for key, value in layer.items():
            if key not in (BASE, "title"):
                made[key] = _over(made.get(key), value, "network" if key == "model" else "technique")
    return made | ({"title": table["title"]} if "title" in table else {})


def _over(below: Any, value: Any, name: str) -> Any:
    """A key's value over that of the base: settings without their component's name are put into the base's component."""
    if not isinstance(value, Mapping) or name in value:
        return value
    if isinstance(below, list) and len(below) == 1:  # weigh, which may be a list
        return [_over(below[0], value, name)]
    whole = {name: below} if isinstance(below, str) else below
    if not isinstance(whole, Mapping):
        return dict(value)
    return {**whole, **{key: _over(whole.get(key), one, name) for key, one in value.items()}}


def _beside(name: Any, where: str | None) -> str:
    """The base's name; a file's path is taken from the folder of the file that names it."""
    if not isinstance(name, str) or not name:
        raise MienError("base = a recipe's name or a TOML file", brief_repr(name), "name one, such as supervised_small")
    own = where is not None and where.endswith(".toml") and name.endswith(".toml")
    return str(Path(where).parent / name) if own and where is not None else name


def _place(name: str) -> str:
    return os.path.realpath(name) if name.endswith(".toml") else name
