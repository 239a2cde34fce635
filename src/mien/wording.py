"""How values, names and numbers are written in sentences, tables and pictures, whoever wrote what is in them."""

import difflib
import math
import reprlib
import unicodedata
from collections.abc import Iterable
from typing import Any

NAME_LETTERS = 80
"""The most letters of a name in a sentence, a table or a picture."""
LINE_LETTERS = 10_000
"""The most letters of a line on a terminal."""
COMPARED_LETTERS = 80
"""How many letters of an unknown name are compared with the known names."""
VALUE_LETTERS = 200
"""The most letters of an unknown name in a message."""
_JOINERS = "\u200c\u200d"
"""Letters that cannot be seen but belong into words of Persian and Hindi, and into emoji."""


def plain_text(text: object, most: int = LINE_LETTERS) -> str:
    """A text that is safe on a terminal, cut after `most` letters.

    Control characters are written out (`\\x1b`), and so are letters that cannot be seen or that turn the direction of writing.
    """
    said = str(text)
    shown = said if len(said) <= most else f"{said[: most - 1]}…"
    return shown if shown.isprintable() else "".join(letter if is_visible(letter) else ascii(letter)[1:-1] for letter in shown)


def is_visible(letter: str) -> bool:
    """Whether a terminal shows this letter as it is, without obeying it."""
    return letter.isprintable() or letter in _JOINERS or unicodedata.category(letter) == "Zs"


def short_name(text: object) -> str:
    """A name for a sentence, a table or a picture: safe on a terminal, and cut after 80 letters."""
    return plain_text(text, NAME_LETTERS)


def quantity(number: int, one: str, several: str = "") -> str:
    """A number with its noun: `1 face`, `2 faces`. `several`: the plural where it is more than an s."""
    return f"{number} {one if number == 1 else several or one + 's'}"


MINUS = "\u2212"
"""The letter for minus, as wide as a plus; a hyphen is shorter."""


def percent(
    share: float, digits: int | None = 1, sign: str = "%", unknown: str = "-", minus: str = "-", signed: bool = False
) -> str:
    """A share as people read it, `12.3%`; `unknown` for nan. `digits`: after the point, or None for as many as it needs.

    `minus`: what stands before a number below 0; where it is not a hyphen, -0.0 is 0.0. `signed`: a plus above 0.
    """
    if math.isnan(share):
        return unknown
    zero, form = "" if minus == "-" else "z", "g" if digits is None else f".{digits}f"
    return f"{100 * share:{'+' if signed else ''}{zero}{form}}".replace("-", minus) + sign


def percentage_points(difference: float, unknown: str = "-", minus: str = "-") -> str:
    """The difference of two shares as people read it, in percentage points with a sign, `+1.2`; `unknown` for nan."""
    return percent(difference, sign="", unknown=unknown, minus=minus, signed=True)


def brief_repr(value: Any) -> str:
    """A value as Python writes it, shortened where it is long."""
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = brief.maxlong = 120
    brief.maxlist = brief.maxtuple = brief.maxdict = 12
    try:
        return brief.repr(value)
    except ValueError:  # a whole number of thousands of digits
        return f"a {type(value).__name__} that is too long to write"


def with_suggestion(given: object, known: Iterable[str]) -> str:
    """An unknown name and the known name that is most like it: `'fixmach' (did you mean fixmatch?)`."""
    return plain_text(brief_repr(given), VALUE_LETTERS) + suggestion(given, known)


def with_suggestions(given: Iterable[str], known: Iterable[str]) -> str:
    """Unknown names, sorted and with commas between them, each with the known name that is most like it."""
    names = list(known)
    return ", ".join(sorted(name + suggestion(name, names) for name in given))


def suggestion(given: object, known: Iterable[str]) -> str:
    """The end of a message: ` (did you mean fixmatch?)` where a known name is like the given one, else an empty text."""
    names = {name.lower(): name for name in known}
    found = difflib.get_close_matches(str(given)[:COMPARED_LETTERS].strip().lower(), names, 1)
    return f" (did you mean {names[found[0]]}?)" if found else ""
