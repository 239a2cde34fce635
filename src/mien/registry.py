"""Finds components by name: the folder is the registry, the file name is the name; `package.module:Name` is a user's own."""

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import is_dataclass
from functools import cache
from typing import Any

from mien.errors import MienError
from mien.settings import setting_docs, settings_from
from mien.wording import brief_repr, with_suggestion

REQUIRED_METHODS = {
    "mien.models": "build",
    "mien.data.sources": "blocks",
    "mien.neighbors.kinds": "fit",
    "mien.collect.engines": "hits",
}
"""The method that each component of a room must have; components of other rooms must be callable."""

LOADED = "a part of mien, or one whose module is imported already"


def component_names(room: str) -> list[str]:
    """The names of the components in the package `room`, sorted, for example of `component_names("mien.models")`."""
    return list(_module_names(room))


@cache
def _module_names(room: str) -> tuple[str, ...]:
    """The names of the modules in a package, sorted; the folder is looked through once."""
    spec = importlib.util.find_spec(room)
    path = spec.submodule_search_locations if spec else None
    return tuple(sorted(module.name for module in pkgutil.iter_modules(path) if not module.ispkg))


def find_component(room: str, name: str, typed: bool = False) -> type[Any]:
    """The component class named `name` in the package `room`: it bears its file's name, apart from case and underscores.

    A name such as `package.module:Name` is a user's own class. Its module is imported only with `typed`, which says that whoever
    runs this wrote the name; otherwise it must be imported already.
    Raises MienError for an unknown name, with the list of known ones, and for a class that is no component of the room.
    """
    if ":" in name:
        return _find_elsewhere(room, name, typed)
    if name not in component_names(room):
        raise MienError(
            f"one of {', '.join(component_names(room))} in {_kind(room)}",
            with_suggestion(name, component_names(room)),
            "choose one, or name package.module:Name",
        )
    module = importlib.import_module(f"{room}.{name}")
    wanted = name.replace("_", "")
    matches = [value for key, value in vars(module).items() if key.lower() == wanted and isinstance(value, type)]
    if len(matches) != 1:
        raise MienError(f"one class in {module.__name__} named like its file", f"{len(matches)}", "rename the class")
    return matches[0]


def _kind(room: str) -> str:
    return room.removeprefix("mien.").replace(".", "/")


def require_loaded(name: str, todo: str = "", place: object = "") -> None:
    """Raises MienError for a `package.module:Name` whose module this process has not imported. `place`: the file with that name.

    For names out of a file that somebody else may have written, such as a recipe or a model's card: a file must not choose which
    code is run. Whoever trusts the module imports it first.
    """
    module, colon, _ = name.partition(":")
    if colon and module not in sys.modules:
        where = f"; it stands in {place}" if place else ""
        raise MienError(LOADED, brief_repr(name), (todo or f"import {module} before, if you trust it") + where)


@contextmanager
def naming_file(place: object) -> Iterator[None]:
    """Errors of `require_loaded` that are raised in this context name the file `place`."""
    try:
        yield
    except MienError as error:
        if error.expected != LOADED or "; it stands in " in error.todo:
            raise
        raise MienError(LOADED, error.found, f"{error.todo}; it stands in {place}") from error


def import_named(values: Any) -> None:
    """Import the modules of every `package.module:Name` among nested settings, so that these components can be built.

    Importing a module runs its code. Raises MienError where a module cannot be imported.
    """
    for name in own_names(values):
        _load(name)


def own_names(values: Any) -> list[str]:
    """Every `package.module:Name` among nested settings; titles are none."""
    if isinstance(values, Mapping):
        return own_names([value for key, value in values.items() if key != "title"])
    if isinstance(values, list | tuple):
        return [name for value in values for name in own_names(value)]
    return [values] if isinstance(values, str) and is_own(values) else []


def is_own(name: str) -> bool:
    """Whether a name has the form `package.module:Name`, which stands for a user's own class."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))


def _load(name: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        found = f"{brief_repr(name)} ({error})"
        raise MienError("an importable package.module:Name", found, "check the name and the path") from error


def _find_elsewhere(room: str, name: str, typed: bool) -> type[Any]:
    module = name.partition(":")[0]
    ours = module.partition(".")[0] == "mien"
    if ours and not module.startswith(f"{room}."):
        known = ", ".join(component_names(room))
        raise MienError(f"a part of mien in {_kind(room)}", brief_repr(name), f"choose one of {known}")
    if not typed and not ours:
        todo = f"a recipe can name code that is run: if you trust it, give --trust, or in Python import {module} before"
        require_loaded(name, todo)
    value = _load(name)
    if not isinstance(value, type):
        raise MienError(f"a class at {brief_repr(name)}", type(value).__name__, "name the class itself")
    if not is_dataclass(value):
        raise MienError("a dataclass of settings", brief_repr(name), "name one, as mien's own are")
    method = REQUIRED_METHODS.get(room, "__call__")
    if not any(method in vars(base) for base in value.__mro__):  # a class itself can be called, too
        raise MienError(f"one of {_kind(room)}, which has {method}", brief_repr(name), "name one, as mien's own are")
    return value


def build_component(room: str, settings: Mapping[str, Any], key: str) -> Any:
    """The component of the package `room` whose name stands under `key` in `settings`, made with the other settings.

    Raises MienError where the name is unknown, a key is unknown (the known ones are listed) or a value does not fit.
    """
    return _build(room, settings, key, typed=False)


def _build(room: str, settings: Mapping[str, Any], key: str, typed: bool) -> Any:
    wanted = f"{key} = one of {', '.join(component_names(room))}"
    if not isinstance(settings, Mapping):
        raise MienError(wanted, brief_repr(settings), "give a name, or a table of settings")
    values = dict(settings)
    if key not in values:
        raise MienError(wanted, f"only {brief_repr(list(values))}", f"add {key}")
    place = "model" if room == "mien.models" else room.rpartition(".")[2] if room.startswith("mien.techniques.") else ""
    return settings_from(find_component(room, str(values.pop(key)), typed), values, place)


def component_from_text(room: str, text: str, key: str) -> Any:
    """The component for a text such as `worthiness extension=1`: its name, then its settings. `key`: its kind, for messages.

    The text is one that a user typed, not one out of a file: the module of a `package.module:Name` is imported.
    Raises MienError where the name or a key is unknown or a value does not fit.
    """
    name, *given = text.split() or [""]
    pairs = [setting.partition("=") for setting in given]
    if not all(equals and setting for setting, equals, _ in pairs):
        raise MienError(f"a {key} as NAME KEY=VALUE ...", repr(text), f"choose one of {', '.join(component_names(room))}")
    return _build(room, {key: name, **{setting: value for setting, _, value in pairs}}, key, typed=True)


def component_to_text(component: Any) -> str:
    """The text that `component_from_text` makes this component from, with all settings written out."""
    kind = type(component)
    return " ".join([component_name(kind), *(f"{key}={getattr(component, key)}" for key in setting_docs(kind))])


def component_name(kind: type[Any]) -> str:
    """The name by which `find_component` finds this class."""
    own = kind.__module__.startswith("mien.")
    return kind.__module__.rpartition(".")[2] if own else f"{kind.__module__}:{kind.__name__}"
