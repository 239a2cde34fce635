"""A SearXNG server of one's own, which asks many engines, Google among them; its settings must allow the format json."""

from collections.abc import Sequence
from urllib.parse import urlencode

from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.collect.engines import Engine, Hit, entries, text_of
from mien.settings import STRICT

PAGES = 20
"""The most pages of a search."""


@dataclass(frozen=True, config=STRICT)
class Searxng(Engine):
    """Pictures in the list `results`, whose `img_src` is the picture."""

    address: str = "http://127.0.0.1:8080/search"
    """Where it is asked."""

    @property
    @override
    def is_interface(self) -> bool:
        return True

    @override
    def search(self, words: str, language: str, page: int) -> str:
        asked = {"q": words, "categories": "images", "language": language, "pageno": page + 1, "format": "json"}
        return "" if page >= PAGES else f"{self.address}?{urlencode(asked)}"

    @override
    def hits(self, content: bytes) -> Sequence[Hit]:
        found = entries(content, "results")
        return [Hit(_whole(text_of(one, "img_src")), text_of(one, "url")) for one in found if text_of(one, "img_src")]


def _whole(address: str) -> str:
    """An address that may begin with two slashes."""
    return f"https:{address}" if address.startswith("//") else address
