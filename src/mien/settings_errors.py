"""Sentences about settings that do not fit, made from pydantic's errors."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from mien.errors import MienError
from mien.wording import VALUE_LETTERS, brief_repr, plain_text, with_suggestion

BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("greater than or equal to", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("less than or equal to", "le"),
}
"""Pydantic's types of errors about bounds: their words, and the key that has the bound."""


def settings_error(
    kind: type[Any], docs: Mapping[str, str], error: ValidationError, place: str = "", named: bool = False
) -> MienError:
    """The error that a user sees for settings that do not fit: about the first of pydantic's complaints.

    `kind`: the class of settings; `docs`: its settings by name with their documentation; `place`: the key in a recipe that these
    settings stand under. `named`: whether they are arguments, which stand in backticks in a MienError, and not keys of a file.
    """
    first = error.errors(include_url=False)[0]
    loc = list(first["loc"])
    if loc and isinstance(loc[0], int):  # given by its place, not by name
        loc[0] = [*docs, *map(str, range(loc[0] + 1))][loc[0]]
    where = ".".join(map(str, loc))[:80]
    if first["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        return _unknown(kind, where, docs if len(first["loc"]) == 1 else None)
    if first["type"] in {"missing", "missing_argument"}:
        return _missing(kind, where, docs, place)
    given = plain_text(brief_repr(first["input"]), VALUE_LETTERS)
    if first["type"] == "literal_error":
        given = with_suggestion(first["input"], re.findall(r"'([^']*)'", first["ctx"]["expected"]))
    key = plain_text(where, VALUE_LETTERS)
    found = f"{f'`{key}`' if named else key} = {given}" if where else given
    return MienError(f"{_name(kind)} settings that fit ({complaint(first)})", found, "change that value")


def complaint(error: Any) -> str:
    """One of pydantic's complaints in its own words, with bounds in few digits."""
    if error["type"] in BOUNDS:
        words, name = BOUNDS[error["type"]]
        bound = error["ctx"][name]
        return f"value should be {words} {bound if isinstance(bound, int) else f'{bound:g}'}"
    return str(error["msg"]).lower().replace("input should", "value should")


def _name(kind: type[Any]) -> str:
    """A component's name in recipes and commands; for other classes the words of their name, without `settings`."""
    name = kind.__module__.rpartition(".")[2]
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).lower()
    if words.endswith(" settings"):
        return words.removesuffix(" settings")
    return name if name.replace("_", "") == kind.__name__.lower() else words


def _unknown(kind: type[Any], where: str, docs: Mapping[str, str] | None) -> MienError:
    """A key that is no setting. `docs`: None within a nested component, where the keys of the outer one would mislead."""
    known = "keys that are there" if docs is None else ", ".join(docs)
    if not known:
        return MienError(f"{_name(kind)} alone, which has no settings", brief_repr(where), "remove that key, or name another")
    return MienError(f"{_name(kind)} to be given {known}", with_suggestion(where, docs or ()), "remove or rename that key")


def _missing(kind: type[Any], where: str, docs: Mapping[str, str], place: str) -> MienError:
    """A setting without a default that was not given: its key, what it means, and how to give it."""
    key = f"{place}.{where}" if place else where
    about = docs.get(where, "").removesuffix(".")
    wanted = f"{_name(kind)} to be given {key}" + (f" ({about})" if about else "")
    if where == "input":
        return MienError(wanted, "none", "name INPUT before OUT")
    if place:
        return MienError(
            wanted, "none", f"give it: --set {key}=VALUE, or {where} = VALUE beside the name under {place} in a recipe's file"
        )
    return MienError(wanted, "none", "add it")
