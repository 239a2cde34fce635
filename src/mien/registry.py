"""The folder is the registry and the file name is the name; `package.module:Name` reaches a user's own."""

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from mien.errors import MienError
from mien.plain import plain

T = TypeVar("T")


def _no_truth(value: Any) -> Any:
    """`true` would be 1."""
    if isinstance(value, bool):
        raise PydanticCustomError("number", "Input should be a number, not true or false")
    return value


_NUMBER = BeforeValidator(_no_truth)

Share = Annotated[float, _NUMBER, Field(ge=0, le=1, allow_inf_nan=False)]
NotNegative = Annotated[float, _NUMBER, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, _NUMBER, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, _NUMBER, Field(ge=1)]
CountOrZero = Annotated[int, _NUMBER, Field(ge=0)]
"""Kinds of numbers that settings take."""
Units = Annotated[int, _NUMBER, Field(ge=1, le=1 << 16)]
UnitsOrZero = Annotated[int, _NUMBER, Field(ge=0, le=1 << 16)]
Layers = Annotated[int, _NUMBER, Field(ge=0, le=64)]
Grid = Annotated[int, _NUMBER, Field(ge=1, le=64)]
GridOrZero = Annotated[int, _NUMBER, Field(ge=0, le=64)]
Side = Annotated[int, _NUMBER, Field(ge=0, le=2048)]
Factor = Annotated[float, _NUMBER, Field(gt=0, le=16, allow_inf_nan=False)]
"""Sizes of networks: channels or units of a layer, layers one after the other, places of a grid, pixels of a side, and what
widths are multiplied by. A card may come from anywhere: what it asks for is built, if only for a moment."""

STRICT = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)
"""The pydantic configuration of every component: unknown keys are errors, the string below a field documents it, and no number is
nan or infinite."""


def names(room: str) -> list[str]:
    """The components in the package `room`, for example `names("mien.models")`, sorted."""
    spec = importlib.util.find_spec(room)
    path = spec.submodule_search_locations if spec else None
    return sorted(module.name for module in pkgutil.iter_modules(path) if not module.ispkg)


def find(room: str, name: str) -> type[Any]:
    """The class in `room`'s file `name` that bears the file's name, letter case and underscores aside.

    Raises MienError for a name that is no file of the room, with the list of those that are.
    """
    if ":" in name:
        return _find_elsewhere(name)
    if name not in names(room):
        kind = room.removeprefix("mien.").replace(".", "/")
        raise MienError(f"one of {', '.join(names(room))} in {kind}", repr(name), "choose one, or name package.module:Name")
    module = importlib.import_module(f"{room}.{name}")
    wanted = name.replace("_", "")
    matches = [value for key, value in vars(module).items() if key.lower() == wanted and isinstance(value, type)]
    if len(matches) != 1:
        raise MienError(f"one class in {module.__name__} named like its file", f"{len(matches)}", "rename the class")
    return matches[0]


def require_loaded(name: str) -> None:
    """Raises MienError for a `package.module:Name` whose module this process has not imported.

    For names out of a file that somebody else may have written, such as a model's card: it must not choose what is run. Whoever
    wrote the module, or trusts it, imports it first.
    """
    module, colon, _ = name.partition(":")
    if colon and module not in sys.modules:
        raise MienError(
            "a part of mien, or one whose module is imported already", repr(name), f"import {module} before, if you trust it"
        )


def _find_elsewhere(name: str) -> type[Any]:
    module, _, attribute = name.partition(":")
    try:
        value = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise MienError("an importable package.module:Name", f"{name!r} ({error})", "check the name and the path") from error
    if not isinstance(value, type):
        raise MienError(f"a class at {name}", type(value).__name__, "name the class itself")
    return value


def build(room: str, settings: Mapping[str, Any], key: str) -> Any:
    """The component of `room` whose name stands under `key` in `settings`, made with the rest of them.

    Raises MienError where the name is unknown, a key is unknown (the known ones are listed) or a value does not fit.
    """
    values = dict(settings)
    if key not in values:
        raise MienError(f"{key} = one of {', '.join(names(room))}", f"only {', '.join(values)}", f"add {key}")
    found = find(room, str(values.pop(key)))
    return validate(found, values)


def build_from_text(room: str, text: str, key: str) -> Any:
    """The component that a text such as `worthiness extension=1` names, with its settings. `key`: what it is, for messages.

    Raises MienError where name, key or value are unknown.
    """
    name, *given = text.split() or [""]
    pairs = [setting.partition("=") for setting in given]
    if not all(equals and setting for setting, equals, _ in pairs):
        raise MienError(f"a {key} as NAME KEY=VALUE ...", repr(text), f"choose one of {', '.join(names(room))}")
    return build(room, {key: name, **{setting: value for setting, _, value in pairs}}, key)


def to_text(component: Any) -> str:
    """The text that `build_from_text` makes this component from, all settings written out."""
    kind = type(component)
    own = kind.__module__.startswith("mien.")
    name = kind.__module__.rpartition(".")[2] if own else f"{kind.__module__}:{kind.__name__}"
    return " ".join([name, *(f"{key}={getattr(component, key)}" for key in fields(kind))])


def validate(kind: type[T], values: Mapping[str, Any]) -> T:
    """A `kind` made from `values`; pydantic's complaints become one MienError."""
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except PydanticUserError as error:
        raise MienError("a dataclass of settings", f"{kind.__module__}:{kind.__name__}", "name one, as mien's own are") from error
    except ValidationError as error:
        raise _readable(kind, error) from error


def _readable(kind: type[Any], error: ValidationError) -> MienError:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        # Within a nested component the keys of the outer one would mislead.
        known = ", ".join(fields(kind)) or "no keys" if len(first["loc"]) == 1 else "keys that are there"
        return MienError(f"{kind.__name__} to be given {known}", repr(where), "remove or rename that key")
    if first["type"] in {"missing", "missing_argument"}:
        return MienError(
            f"{kind.__name__} to be given {where}", "none", "name INPUT before OUT" if where == "input" else "add it"
        )
    # Of a text without end a sentence shows the beginning.
    given = plain(repr(first["input"]), 200)
    found = f"{plain(where, 200)} = {given}" if where else given
    return MienError(
        f"{kind.__name__} settings that fit ({first['msg'].lower().replace('input should', 'value should')})",
        found,
        "change that value",
    )


def fields(kind: type[Any]) -> dict[str, str]:
    """The settings of a component class and their one-line documentation."""
    known = getattr(kind, "__pydantic_fields__", {})
    return {name: (field.description or "").strip() for name, field in known.items()}
