"""Baidu's image search: the JSON behind its results page, 30 pictures at a time."""

from collections.abc import Sequence
from urllib.parse import urlencode

from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.collect.engines import Engine, Hit, entries, text_of
from mien.settings import STRICT

COUNT = 30
"""Pictures of a page."""


@dataclass(frozen=True, config=STRICT)
class Baidu(Engine):
    """Pictures in the list `data`. The first address of an original is written in a cipher, so Baidu's own copies are taken."""

    address: str = "https://image.baidu.com/search/acjson"
    """Where it is asked."""

    @override
    def search(self, words: str, language: str, page: int) -> str:
        asked = {"tn": "resultjson_com", "ipn": "rj", "ie": "utf-8", "oe": "utf-8", "word": words, "queryWord": words}
        return f"{self.address}?{urlencode({**asked, 'pn': COUNT * page, 'rn': COUNT})}"

    @override
    def hits(self, content: bytes) -> Sequence[Hit]:
        # Its JSON escapes apostrophes, which JSON does not.
        found = entries(content.replace(b"\\'", b"'"), "data")
        pairs = [(text_of(one, "hoverURL", "middleURL", "thumbURL"), _page(one)) for one in found]
        return [Hit(address, page) for address, page in pairs if address]


def _page(entry: dict[str, object]) -> str:
    """The page of a picture: in clear where Baidu writes it so."""
    given = entry.get("replaceUrl")
    first = given[0] if isinstance(given, list) and given else {}
    return text_of(first, "FromURL") if isinstance(first, dict) else ""
