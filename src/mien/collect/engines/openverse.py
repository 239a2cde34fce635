"""Openverse's search among openly licensed pictures, by its API: 20 pictures at a time, each with its license."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.collect.engines import Engine, Hit, entries, text_of
from mien.settings import STRICT

COUNT = 20
"""The most pictures of a page for those without a key."""
PAGES = 12
"""The most pages of a search for those without a key: they see 240 results."""


@dataclass(frozen=True, config=STRICT)
class Openverse(Engine):
    """Pictures in the list `results`."""

    address: str = "https://api.openverse.org/v1/images/"
    """Where it is asked."""

    @property
    @override
    def is_interface(self) -> bool:
        return True

    @override
    def search(self, words: str, language: str, page: int) -> str:
        asked = {"q": words, "page": page + 1, "page_size": COUNT}
        return "" if page >= PAGES else f"{self.address}?{urlencode(asked)}"

    @override
    def hits(self, content: bytes) -> Sequence[Hit]:
        found = [one for one in entries(content, "results") if text_of(one, "url")]
        return [Hit(text_of(one, "url"), text_of(one, "foreign_landing_url"), _license(one)) for one in found]


def _license(entry: dict[str, Any]) -> str:
    """The license with its version, such as `by-sa 2.0`, and who made the picture."""
    named = " ".join(part for part in (text_of(entry, "license"), text_of(entry, "license_version")) if part)
    creator = text_of(entry, "creator")
    return f"{named}, by {creator}" if creator and named else named
