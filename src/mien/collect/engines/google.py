"""Google's image search by its Custom Search JSON API, 10 pictures at a time; its pages forbid programs, and need scripts.

It wants a key and the id of a search engine of one's own. Google gives no new keys, and ends the API with 2026.
"""

import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.collect.engines import Engine, Hit, entries, text_of
from mien.errors import MienError
from mien.settings import STRICT

COUNT = 10
"""Pictures of a page."""
MOST = 100
"""The most results of a search."""
KEY, ENGINE = "MIEN_GOOGLE_KEY", "MIEN_GOOGLE_CX"
"""Environment variables: a secret on a command line could be seen by others, and would be kept with what was asked."""


@dataclass(frozen=True, config=STRICT)
class Google(Engine):
    """Pictures in the list `items`."""

    address: str = "https://customsearch.googleapis.com/customsearch/v1"
    """Where it is asked."""

    @property
    @override
    def is_interface(self) -> bool:
        return True

    @override
    def require_ready(self) -> None:
        if missing := [name for name in (KEY, ENGINE) if not os.environ.get(name)]:
            todo = "set them if you have them (Google gives no new ones), or leave google out of --engines"
            raise MienError(f"a key and a search engine's id in {KEY} and {ENGINE}", f"no {' and no '.join(missing)}", todo)

    @override
    def search(self, words: str, language: str, page: int) -> str:
        if COUNT * (page + 1) > MOST:
            return ""
        asked = {"key": os.environ.get(KEY, ""), "cx": os.environ.get(ENGINE, ""), "searchType": "image", "q": words}
        return f"{self.address}?{urlencode({**asked, 'hl': language, 'num': COUNT, 'start': COUNT * page + 1})}"

    @override
    def hits(self, content: bytes) -> Sequence[Hit]:
        return [Hit(text_of(one, "link"), _page(one)) for one in entries(content, "items") if text_of(one, "link")]


def _page(entry: dict[str, Any]) -> str:
    image = entry.get("image")
    return text_of(image, "contextLink") if isinstance(image, dict) else ""
