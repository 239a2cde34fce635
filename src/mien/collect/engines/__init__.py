"""Search engines for pictures, one a file, found by its name; all are asked in the same way.

An engine is a frozen dataclass of its own settings. It names addresses and reads what is there; it fetches nothing itself.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mien.errors import MienError
from mien.protocols import require_subclass
from mien.registry import component_from_text

ROOM = "mien.collect.engines"
"""The package whose files are the engines."""


@dataclass(frozen=True)
class Hit:
    """A picture that an engine has found."""

    address: str
    """Where the picture lies."""
    page: str = ""
    """The page that shows it; "" where the engine does not tell."""
    license: str = ""
    """The picture's license, as the engine tells it; "" where it does not."""


class Engine(Protocol):
    """Finds pictures by words. An engine of one's own subclasses it."""

    @property
    def is_interface(self) -> bool:
        """Whether its addresses are made for programs, by terms of their own; else the robots.txt of the host decides."""
        return False

    def require_ready(self) -> None:
        """Raises MienError where something is missing that the engine needs, such as a key."""

    def search(self, words: str, language: str, page: int) -> str:
        """The address of a page of results, counted from 0; "" where there are no more pages."""
        ...

    def hits(self, content: bytes) -> Sequence[Hit]:
        """The pictures on a page of results; none on the last. Raises ValueError for what is no such page."""
        ...


def engine_from_text(text: str) -> Engine:
    """The engine that a text such as `bing address=http://127.0.0.1:8000/` describes.

    Raises MienError for an unknown one, and for one of somebody's own that does not subclass Engine.
    """
    made: Engine = component_from_text(ROOM, text, "engine")
    require_subclass(made, Engine, ROOM, "engine")
    return made


def engines_from_texts(texts: Sequence[str]) -> dict[str, Engine]:
    """Engines by their names. Raises MienError where one is named twice, and as `engine_from_text` does."""
    made = {text.split()[0] if text.split() else "": engine_from_text(text) for text in texts}
    if len(made) < len(texts):
        raise MienError("each engine once", ", ".join(texts), "leave the second one out")
    return made


def entries(content: bytes, name: str) -> list[dict[str, Any]]:
    """The objects in the list `name` of a JSON text; none where there is no such list. Raises ValueError for no JSON object."""
    try:
        table = json.loads(content.decode("utf-8", "replace"))
    except RecursionError as error:
        raise ValueError("JSON nested too deep") from error
    if not isinstance(table, dict):
        raise ValueError("no JSON object")
    found = table.get(name, [])
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def text_of(entry: dict[str, Any], *names: str) -> str:
    """The first text that is not empty under one of these names; "" for none."""
    return next((value for name in names if isinstance(value := entry.get(name), str) and value), "")
