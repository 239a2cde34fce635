"""The folder is the registry and the file name is the name; `package.module:Name` reaches a user's own."""

import difflib
import functools
import importlib
import importlib.util
import pkgutil
import re
import reprlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import is_dataclass
from typing import Annotated, Any, TypeVar, cast

from pydantic import BeforeValidator, ConfigDict, Field, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from mien.errors import MienError
from mien.limits import EVERY, LEAST_NUMBER, LONGEST, MOST, MOST_NUMBER, MOST_SEED, MOST_THREADS
from mien.plain import plain

T = TypeVar("T")


def _no_truth(value: Any) -> Any:
    """`true` would be 1."""
    if isinstance(value, bool):
        raise PydanticCustomError("number", "Input should be a number, not true or false")
    return value


_NUMBER = BeforeValidator(_no_truth)

Share = Annotated[float, _NUMBER, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, _NUMBER, Field(ge=-MOST_NUMBER, le=MOST_NUMBER, allow_inf_nan=False)]
NotNegative = Annotated[float, _NUMBER, Field(ge=0, le=MOST_NUMBER, allow_inf_nan=False)]
Positive = Annotated[float, _NUMBER, Field(ge=LEAST_NUMBER, le=MOST_NUMBER, allow_inf_nan=False)]
Count = Annotated[int, _NUMBER, Field(ge=1, le=MOST)]
CountOrZero = Annotated[int, _NUMBER, Field(ge=0, le=MOST)]
Seed = Annotated[int, _NUMBER, Field(ge=0, le=MOST_SEED)]
Threads = Annotated[int, _NUMBER, Field(ge=1, le=MOST_THREADS)]
Seconds = Annotated[float, _NUMBER, Field(ge=EVERY, le=LONGEST, allow_inf_nan=False)]
Power = Annotated[float, _NUMBER, Field(ge=0, le=100, allow_inf_nan=False)]
Batches = Annotated[int, _NUMBER, Field(ge=1, le=10**6)]
"""Kinds of numbers that settings take. Every one has two bounds: what is beyond them meets a library's own limits, late."""

Units = Annotated[int, _NUMBER, Field(ge=1, le=1 << 16)]
UnitsOrZero = Annotated[int, _NUMBER, Field(ge=0, le=1 << 16)]
Layers = Annotated[int, _NUMBER, Field(ge=0, le=64)]
Grid = Annotated[int, _NUMBER, Field(ge=1, le=64)]
GridOrZero = Annotated[int, _NUMBER, Field(ge=0, le=64)]
Side = Annotated[int, _NUMBER, Field(ge=0, le=2048)]
Factor = Annotated[float, _NUMBER, Field(ge=0.001, le=16, allow_inf_nan=False)]
"""Sizes of networks: channels or units of a layer, layers one after the other, places of a grid, pixels of a side, and what
widths are multiplied by. A card may come from anywhere: what it asks for is built, if only for a moment."""

CALLED_BY = {"mien.models": "build", "mien.data.sources": "blocks"}
"""What a component of a room has to have, beside its fields; those of other rooms can be called."""

LOADED = "a part of mien, or one whose module is imported already"

LETTERS = 80
"""Of a name that is none, which are compared with those that are."""

STRICT = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)
"""The pydantic configuration of every component: unknown keys are errors, the string below a field documents it, and no number is
nan or infinite."""


def names(room: str) -> list[str]:
    """The components in the package `room`, for example `names("mien.models")`, sorted."""
    spec = importlib.util.find_spec(room)
    path = spec.submodule_search_locations if spec else None
    return sorted(module.name for module in pkgutil.iter_modules(path) if not module.ispkg)


def find(room: str, name: str, typed: bool = False) -> type[Any]:
    """The class in `room`'s file `name` that bears the file's name, letter case and underscores aside.

    `package.module:Name` is somebody's own. `typed`: whoever runs this wrote the name, so its module is imported; else it has to
    be already. Raises MienError for a name that is no file of the room, with the list of those that are, and for what is no
    component of the room.
    """
    if ":" in name:
        return _find_elsewhere(room, name, typed)
    if name not in names(room):
        raise MienError(
            f"one of {', '.join(names(room))} in {_kind(room)}",
            meant(name, names(room)),
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
    """Raises MienError for a `package.module:Name` whose module this process has not imported. `place`: where it stands.

    For names out of a file that somebody else may have written, such as a recipe or a model's card: it must not choose what is
    run. Whoever wrote the module, or trusts it, imports it first.
    """
    module, colon, _ = name.partition(":")
    if colon and module not in sys.modules:
        where = f"; it stands in {place}" if place else ""
        raise MienError(LOADED, told(name), (todo or f"import {module} before, if you trust it") + where)


@contextmanager
def standing_in(place: object) -> Iterator[None]:
    """What `require_loaded` refuses in here stands in this file, which is then named."""
    try:
        yield
    except MienError as error:
        if error.expected != LOADED or "; it stands in " in error.todo:
            raise
        raise MienError(LOADED, error.found, f"{error.todo}; it stands in {place}") from error


def trust(values: Any) -> None:
    """Import the modules of all `package.module:Name` among nested settings, which can then be built.

    Importing runs what they hold. Raises MienError where one cannot be imported.
    """
    if isinstance(values, Mapping):
        trust([value for key, value in values.items() if key != "title"])
    elif isinstance(values, list | tuple):
        for value in values:
            trust(value)
    elif isinstance(values, str) and is_own(values):
        _load(values)


def is_own(name: str) -> bool:
    """Whether a text is somebody's own `package.module:Name`."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))


def _load(name: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise MienError("an importable package.module:Name", f"{told(name)} ({error})", "check the name and the path") from error


def _find_elsewhere(room: str, name: str, typed: bool) -> type[Any]:
    module = name.partition(":")[0]
    ours = module.partition(".")[0] == "mien"
    if ours and not module.startswith(f"{room}."):
        raise MienError(f"a part of mien in {_kind(room)}", told(name), f"choose one of {', '.join(names(room))}")
    if not typed and not ours:
        todo = f"a recipe can name code that is run: if you trust it, give --trust, or in Python import {module} before"
        require_loaded(name, todo)
    value = _load(name)
    if not isinstance(value, type):
        raise MienError(f"a class at {told(name)}", type(value).__name__, "name the class itself")
    if not is_dataclass(value):
        raise MienError("a dataclass of settings", told(name), "name one, as mien's own are")
    method = CALLED_BY.get(room, "__call__")
    if not any(method in vars(base) for base in value.__mro__):  # a class itself can be called, too
        raise MienError(f"one of {_kind(room)}, which has {method}", told(name), "name one, as mien's own are")
    return value


def build(room: str, settings: Mapping[str, Any], key: str) -> Any:
    """The component of `room` whose name stands under `key` in `settings`, made with the rest of them.

    Raises MienError where the name is unknown, a key is unknown (the known ones are listed) or a value does not fit.
    """
    return _build(room, settings, key, typed=False)


def _build(room: str, settings: Mapping[str, Any], key: str, typed: bool) -> Any:
    if not isinstance(settings, Mapping):
        raise MienError(f"{key} = one of {', '.join(names(room))}", told(settings), "give a name, or a table of settings")
    values = dict(settings)
    if key not in values:
        raise MienError(f"{key} = one of {', '.join(names(room))}", f"only {told(list(values))}", f"add {key}")
    place = "model" if room == "mien.models" else room.rpartition(".")[2] if room.startswith("mien.techniques.") else ""
    return validate(find(room, str(values.pop(key)), typed), values, place)


def build_from_text(room: str, text: str, key: str) -> Any:
    """The component that a text such as `worthiness extension=1` names, with its settings. `key`: what it is, for messages.

    Such a text is one that somebody gave, not one out of a file: the module of a `package.module:Name` is imported.
    Raises MienError where name, key or value are unknown.
    """
    name, *given = text.split() or [""]
    pairs = [setting.partition("=") for setting in given]
    if not all(equals and setting for setting, equals, _ in pairs):
        raise MienError(f"a {key} as NAME KEY=VALUE ...", repr(text), f"choose one of {', '.join(names(room))}")
    return _build(room, {key: name, **{setting: value for setting, _, value in pairs}}, key, typed=True)


def to_text(component: Any) -> str:
    """The text that `build_from_text` makes this component from, all settings written out."""
    kind = type(component)
    return " ".join([name_of(kind), *(f"{key}={getattr(component, key)}" for key in fields(kind))])


def name_of(kind: type[Any]) -> str:
    """The name by which `find` finds a component."""
    own = kind.__module__.startswith("mien.")
    return kind.__module__.rpartition(".")[2] if own else f"{kind.__module__}:{kind.__name__}"


def validate(kind: type[T], values: Mapping[str, Any], place: str = "") -> T:
    """A `kind` made from `values`; pydantic's complaints become one MienError. `place`: the key in a recipe that it answers."""
    if not isinstance(values, Mapping):
        raise MienError(f"settings of {kind.__name__} by name", told(values), "give a table")
    try:
        made: T = _adapter(cast(Any, kind)).validate_python(dict(values))
    except PydanticUserError as error:
        raise MienError("a dataclass of settings", f"{kind.__module__}:{kind.__name__}", "name one, as mien's own are") from error
    except ValidationError as error:
        raise _readable(kind, error, place) from error
    return made


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def require(kind: Any, **values: Any) -> None:
    """Raises MienError where one of these values, by name, is not of a kind of number such as `Count`; None passes."""
    for name, value in values.items():
        try:
            if value is not None:
                _adapter(kind).validate_python(value, strict=isinstance(value, str | bytes))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise MienError(f"{name} that fits ({_complaint(first)})", f"{name} = {told(value)}", "change that value") from error


def worded(kind: type[T]) -> type[T]:
    """A class decorator, above pydantic's `@dataclass`: whoever calls the class gets a MienError where a value does not fit."""
    made = kind.__init__

    @functools.wraps(made)
    def make(self: Any, *given: Any, **named: Any) -> None:
        try:
            made(self, *given, **named)
        except ValidationError as error:
            raise _readable(kind, error) from error

    kind.__init__ = make  # type: ignore[method-assign]
    return kind


def told(value: Any) -> str:
    """A value in a message: what Python writes, shortened where it is long."""
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = brief.maxlong = 120
    brief.maxlist = brief.maxtuple = brief.maxdict = 12
    try:
        return brief.repr(value)
    except ValueError:  # a whole number of thousands of digits
        return f"a {type(value).__name__} that is too long to write"


def meant(given: object, known: Iterable[str]) -> str:
    """A name in a message that is none of those `known`, and which of them it is like: `'fixmach' (did you mean fixmatch?)`."""
    return plain(told(given), 200) + like(given, known)


def each_meant(given: Iterable[str], known: Iterable[str]) -> str:
    """Several such names, sorted and with commas between them."""
    names = list(known)
    return ", ".join(sorted(name + like(name, names) for name in given))


def like(given: object, known: Iterable[str]) -> str:
    """` (did you mean fixmatch?)` where one of the names is like what was given, else nothing."""
    names = {name.lower(): name for name in known}
    found = difflib.get_close_matches(str(given)[:LETTERS].strip().lower(), names, 1)
    return f" (did you mean {names[found[0]]}?)" if found else ""


BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("greater than or equal to", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("less than or equal to", "le"),
}


def _complaint(first: Any) -> str:
    """What pydantic says, bounds in few letters."""
    if first["type"] in BOUNDS:
        words, name = BOUNDS[first["type"]]
        bound = first["ctx"][name]
        return f"value should be {words} {bound if isinstance(bound, int) else f'{bound:g}'}"
    return str(first["msg"]).lower().replace("input should", "value should")


def _readable(kind: type[Any], error: ValidationError, place: str = "") -> MienError:
    first = error.errors(include_url=False)[0]
    loc = list(first["loc"])
    if loc and isinstance(loc[0], int):  # given by its place, not by name
        loc[0] = [*fields(kind), *map(str, range(loc[0] + 1))][loc[0]]
    where = ".".join(map(str, loc))[:80]
    if first["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        # Within a nested component the keys of the outer one would mislead.
        known = ", ".join(fields(kind)) if len(first["loc"]) == 1 else "keys that are there"
        if not known:
            return MienError(f"{_called(kind)} alone, which has no settings", told(where), "remove that key, or name another")
        found = meant(where, fields(kind) if len(first["loc"]) == 1 else ())
        return MienError(f"{_called(kind)} to be given {known}", found, "remove or rename that key")
    if first["type"] in {"missing", "missing_argument"}:
        return _missing(kind, where, place)
    # Of a text without end a sentence shows the beginning.
    given = plain(told(first["input"]), 200)
    if first["type"] == "literal_error":
        given = meant(first["input"], re.findall(r"'([^']*)'", first["ctx"]["expected"]))
    found = f"{plain(where, 200)} = {given}" if where else given
    return MienError(f"{_called(kind)} settings that fit ({_complaint(first)})", found, "change that value")


def _called(kind: type[Any]) -> str:
    """A component by the name that recipes and commands have for it; others by the words of their class, less `settings`."""
    name = kind.__module__.rpartition(".")[2]
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).lower().removesuffix(" settings")
    return name if name.replace("_", "") == kind.__name__.lower() else words


def _missing(kind: type[Any], where: str, place: str) -> MienError:
    """A setting that has no default: which key it is, what it wants, and how it is given."""
    key = f"{place}.{where}" if place else where
    about = fields(kind).get(where, "").removesuffix(".")
    todo = (
        f"give it: --set {key}=VALUE, or {where} = VALUE beside the name under {place} in a recipe's file" if place else "add it"
    )
    return MienError(
        f"{_called(kind)} to be given {key}" + (f" ({about})" if about else ""),
        "none",
        "name INPUT before OUT" if where == "input" else todo,
    )


def fields(kind: type[Any]) -> dict[str, str]:
    """The settings of a component class and their one-line documentation."""
    known = getattr(kind, "__pydantic_fields__", {})
    return {name: (field.description or "").strip() for name, field in known.items()}
