"""Reads recipes' TOML files: by name from mien's own, or by path; and imports the code that they name, where it is trusted."""

import itertools
import os.path
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from mien.disk import read_bytes
from mien.errors import MienError
from mien.json_toml import MOST_TOML, read_toml
from mien.recipes.automatic import AUTO
from mien.recipes.base import with_bases
from mien.registry import import_named
from mien.wording import with_suggestion


def recipe_comment(name: Path | str) -> str:
    """The comment at the head of a recipe's file, which says what it takes from its paper and what it changes."""
    path = _file(name)
    text = own_recipe_text(name) if path is None else read_bytes(path, "mend the file", MOST_TOML).decode("utf-8", "replace")
    lines = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    return "\n".join(line.removeprefix("#").strip() for line in lines)


def trust_recipe(name: Path | str) -> None:
    """Import the modules beyond mien that a recipe's file, its bases and the recipes that it names refer to.

    Their code is run. Raises MienError where a file is no recipe, or a module cannot be imported.
    """
    left, seen = [str(name)], set[str]()
    while left:
        file = left.pop()
        if file not in seen:
            seen.add(file)
            table = read_recipe(file)
            import_named(table)
            left += files_of(table)


def files_of(values: Any) -> list[str]:
    """Recipes' files that nested settings name, such as a teacher's."""
    if isinstance(values, Mapping):
        values = list(values.values())
    if isinstance(values, list | tuple):
        return [file for value in values for file in files_of(value)]
    return [values] if isinstance(values, str) and values.endswith(".toml") and os.path.isfile(values) else []


def read_recipe(name: Path | str) -> dict[str, Any]:
    """The table of a recipe with all that it is based on written out."""
    return with_bases(read_recipe_alone(name), name, read_recipe_alone)


def read_recipe_alone(name: Path | str) -> dict[str, Any]:
    """The table of a recipe's name or file as it stands there, without its bases."""
    path = _file(name)
    return tomllib.loads(own_recipe_text(name)) if path is None else read_toml(path, "mend the file")


def _file(name: Path | str) -> Path | None:
    """The file that a recipe is read from; None for a recipe that comes with mien. Raises MienError where there is neither."""
    path = Path(name)
    if path.suffix == ".toml" and not os.path.isfile(path):
        raise MienError("a recipe file", f"nothing at {path}", "check the path")
    if path.suffix != ".toml" and str(name) not in recipe_names():
        raise MienError(
            f"a recipe among {', '.join(recipe_names())}",
            with_suggestion(str(name), recipe_names()),
            "choose one, or name a .toml file" + (f"; {AUTO} is for mien train" if str(name) == AUTO else ""),
        )
    return path if path.suffix == ".toml" else None


def own_recipe_text(name: Path | str) -> str:
    """The text of a recipe that comes with mien."""
    return (resources.files("mien.recipes") / f"{name}.toml").read_text("utf-8")


def recipe_names() -> list[str]:
    """Names of the recipes that come with mien."""
    return sorted(Path(entry.name).stem for entry in resources.files("mien.recipes").iterdir() if entry.name.endswith(".toml"))
