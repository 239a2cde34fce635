"""Bing's image search: a part of its results page, 35 pictures at a time."""

import json
from collections.abc import Sequence
from html.parser import HTMLParser
from urllib.parse import urlencode

from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.collect.engines import Engine, Hit, text_of
from mien.settings import STRICT

COUNT = 35
"""Pictures of a page."""


@dataclass(frozen=True, config=STRICT)
class Bing(Engine):
    """Pictures by the links of class `iusc`, whose attribute `m` is JSON: `murl` is the picture, `purl` its page."""

    address: str = "https://www.bing.com/images/async"
    """Where it is asked."""

    @override
    def search(self, words: str, language: str, page: int) -> str:
        asked = {"q": words, "first": COUNT * page + 1, "count": COUNT, "setlang": language, "mmasync": 1}
        return f"{self.address}?{urlencode(asked)}"

    @override
    def hits(self, content: bytes) -> Sequence[Hit]:
        links = _Links()
        try:
            links.feed(content.decode("utf-8", "replace"))
        except AssertionError as error:  # Python's parser says so of marks that it does not know
            raise ValueError("no HTML") from error
        return [Hit(text_of(one, "murl"), text_of(one, "purl")) for one in links.found if text_of(one, "murl")]


class _Links(HTMLParser):
    """Collects the JSON of links to pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.found = list[dict[str, object]]()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag != "a" or "iusc" not in (given.get("class") or "").split():
            return
        try:
            entry = json.loads(given.get("m") or "")
        except (ValueError, RecursionError):
            return
        self.found += [entry] if isinstance(entry, dict) else []
