"""Reads which kind of neighbor is meant: by a recipe's name or table, or by what is typed on a command line."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from mien.errors import MienError
from mien.neighbors.kinds import Kind
from mien.protocols import require_subclass
from mien.registry import build_component, component_from_text, component_names, is_own
from mien.wording import suggestion

ROOM = "mien.neighbors.kinds"
"""The package whose files are the kinds of neighbors."""


def kind_from(given: str | Mapping[str, Any]) -> Kind:
    """The kind of a name, such as "views", or of a table: `{ kind = "views", shift = 0.05 }`.

    Raises MienError for an unknown kind, for settings that do not fit it, and for one of somebody's own that is no `Kind`.
    """
    return _checked(build_component(ROOM, {"kind": given} if isinstance(given, str) else given, "kind"))


def with_source(given: str | Mapping[str, Any], source: str | Mapping[str, Any]) -> Mapping[str, Any]:
    """The table of a kind; an autoencoder's has this `source` where it names none."""
    table = {"kind": given} if isinstance(given, str) else dict(given)
    return {"source": source, **table} if table.get("kind") == "autoencoder" else table


def kind_from_text(text: str) -> Kind:
    """The kind of a text such as `views shift=0.05`. Raises MienError as `kind_from` does."""
    return _checked(component_from_text(ROOM, text, "kind of neighbor"))


def names_kind(text: str) -> bool:
    """Whether a text names a kind of neighbor; else it is taken for an autoencoder's folder."""
    first, *settings = text.split() or [""]
    return (first in component_names(ROOM) or is_own(first)) and all("=" in one for one in settings)


def require_kind_or_folder(text: str) -> None:
    """Raises MienError where a text names neither a kind of neighbor nor a folder."""
    if not names_kind(text) and not Path(text).exists():
        names = component_names(ROOM)
        found = repr(text) + suggestion(text.split()[0] if text.split() else "", names)
        raise MienError(f"a kind of neighbor ({', '.join(names)}) or an autoencoder's folder", found, "name one of those")


def with_sigma(kind: Kind, sigma: float | None) -> Kind:
    """A kind with this noise; None leaves it as it is. Raises MienError for a kind whose `noise` is None."""
    if sigma is None:
        return kind
    if kind.noise is None:
        raise MienError("neighbors that are made by noise, for sigma", type(kind).__name__.lower(), "leave sigma out")
    return cast(Kind, replace(cast(Any, kind), sigma=sigma))


def _checked(made: Any) -> Kind:
    require_subclass(made, Kind, ROOM, "kind")
    return cast(Kind, made)
