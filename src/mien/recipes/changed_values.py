"""Changes values of a recipe's table by key, as in `step.temperature` or `stages.0.lr`."""

from collections.abc import Mapping
from typing import Any

from mien.errors import MienError
from mien.json_toml import parse_word
from mien.wording import with_suggestion


def with_values(table: dict[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's table with values changed by key, as `Recipe.with_settings` does it; the table itself is changed."""
    for key, value in settings.items():
        _put(table, key, parse_word(value) if isinstance(value, str) else value)
    return table


def _is_place(text: str) -> bool:
    """Whether the text is the number of a place in a list."""
    return text.isascii() and text.isdigit() and len(text) < 10


def _put(table: Any, key: str, value: Any) -> None:
    """Set `key`, names and numbers with dots between them, in nested tables."""
    first, _, rest = key.partition(".")
    if isinstance(table, list):
        if not _is_place(first) and len(table) == 1:
            # A list of one answer may be spoken of as that answer: weigh.power for weigh.0.power.
            _put(table[0], key, value)
            return
        if not _is_place(first) or int(first) >= len(table):
            raise MienError(
                f"a number from 0 to {len(table) - 1} before {rest or first!r}", repr(first), "say which one, as in stages.0.lr"
            )
    elif not isinstance(table, dict) or (rest and first not in table):
        known = ", ".join(table) if isinstance(table, dict) else "nothing"
        raise MienError(
            f"a key among {known}", with_suggestion(first, table if isinstance(table, dict) else ()), "choose one of those"
        )
    place: Any = int(first) if isinstance(table, list) else first
    if not rest:
        table[place] = value
        return
    if isinstance(table[place], str):
        table[place] = {"network" if place == "model" else "technique": table[place]}
    _put(table[place], rest, value)
