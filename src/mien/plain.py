"""Plain JSON and plain text: what every program can read, and what a terminal shows as it is, whoever wrote the names in it."""

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

NAME = 80
"""Letters of a name that stand in a sentence, a table or a picture."""
LINE = 10_000
"""Letters of a line on a terminal."""
_JOINERS = "\u200c\u200d"
"""Within words of Persian and Hindi, and within emoji."""
_ODD = re.compile(r"[^\n\x20-\x7e]")


def plain(text: object, most: int = LINE) -> str:
    """A text as a terminal may show it: control characters are written out (`\\x1b`), and so are what turns the direction of
    writing and what cannot be seen. Longer ones than `most` letters are cut."""
    said = str(text)
    shown = said if len(said) <= most else f"{said[: most - 1]}…"
    return shown if shown.isprintable() else "".join(letter if _shown(letter) else ascii(letter)[1:-1] for letter in shown)


def short(text: object) -> str:
    """A name in a sentence, a table or a picture: plain, and cut after 80 letters."""
    return plain(text, NAME)


def counted(number: int, one: str, several: str = "") -> str:
    """`1 face`, `2 faces`; `several` where it is more than an s."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def percent(share: float, digits: int | None = 1, sign: str = "%", unknown: str = "-") -> str:
    """A share as people read it, `12.3%`; `unknown` for nan. `digits`: after the point, or None for as many as it needs."""
    if math.isnan(share):
        return unknown
    return f"{100 * share:g}{sign}" if digits is None else f"{100 * share:.{digits}f}{sign}"


def percentage_points(difference: float, unknown: str = "-") -> str:
    """The difference of two shares as people read it, in percentage points with a sign, `+1.2`; `unknown` for nan."""
    return unknown if math.isnan(difference) else f"{100 * difference:+.1f}"


def _shown(letter: str) -> bool:
    return letter.isprintable() or letter in _JOINERS or unicodedata.category(letter) == "Zs"


def to_json(values: Any, indent: int | None = 1, ascii_only: bool = False) -> str:
    """JSON that every reader takes: numbers that are none (nan, infinite) are null, and what has no JSON is its text.

    Letters stay as they are, unless `ascii_only`; those that a terminal would obey are written out.
    """
    text = json.dumps(plain_values(values), indent=indent, ensure_ascii=ascii_only, allow_nan=False, default=str)
    return _ODD.sub(lambda found: found[0] if _shown(found[0]) else json.dumps(found[0])[1:-1], text)


def plain_values(value: Any) -> Any:
    """`value` of lists, dicts, numbers and texts alone; nan becomes None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {entry.name: plain_values(getattr(value, entry.name)) for entry in fields(value)}
    if hasattr(value, "tolist"):  # numpy's, which need not be loaded for this
        return plain_values(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain_values(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
