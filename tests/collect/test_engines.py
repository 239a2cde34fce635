"""Engines name addresses and read what is there, whatever it is; search words are there for all classes and languages."""

import html
import json
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_server import Served, picture

from mien.collect import download
from mien.collect.collect import collect_faces
from mien.collect.engines import ROOM, Hit, engine_from_text
from mien.collect.settings import CollectSettings
from mien.collect.web import Web
from mien.collect.words import read_words
from mien.errors import MienError
from mien.expressions import canonical
from mien.registry import component_names

pytest_plugins = ("web_fixtures",)

NAMES = component_names(ROOM)
A, B = "http://there/a.jpg", "http://there/page"
LINK = html.escape(json.dumps({"murl": A, "purl": B}))
PAGES = {
    "bing": f'<div><a class="iusc x" m="{LINK}"><a class="iusc" m="no"><a class="iusc"><a m="{LINK}"></div>',
    "baidu": json.dumps({"data": [{"hoverURL": "", "thumbURL": A, "replaceUrl": [{"FromURL": B}]}, {}, 3]}),
    "google": json.dumps({"items": [{"link": A, "image": {"contextLink": B}}, {"image": 3}]}),
    "openverse": json.dumps({"results": [{"url": A, "foreign_landing_url": B, "license": "by", "license_version": "2.0"}, {}]}),
    "searxng": json.dumps({"results": [{"img_src": A, "url": B}, {"url": B}]}),
}


@pytest.mark.parametrize("name", NAMES)
def test_an_engine_reads_its_pages(name: str) -> None:
    (hit,) = engine_from_text(name).hits(PAGES[name].encode())
    assert (hit.address, hit.page, hit.license) == (A, B, "by 2.0" if name == "openverse" else "")


@pytest.mark.parametrize("name", NAMES)
def test_an_engine_asks_for_page_after_page(name: str) -> None:
    engine = engine_from_text(f"{name} address=http://127.0.0.1:1/find")
    asked = [engine.search("wütend & böse", "de", page) for page in range(3)]
    assert len(set(asked)) == 3
    for address in asked:
        parts = urlsplit(address)
        assert (parts.hostname, parts.path) == ("127.0.0.1", "/find")
        assert ["wütend & böse"] in parse_qs(parts.query).values()


KEYS = st.sampled_from(["data", "items", "results", "url", "link", "image", "replaceUrl"])
VALUES = st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner))


@pytest.mark.parametrize("name", NAMES)
@given(content=st.binary() | VALUES.map(lambda one: json.dumps(one).encode()))
def test_whatever_comes_is_read_or_refused(name: str, content: bytes) -> None:
    try:
        found = engine_from_text(name).hits(content)
    except ValueError:
        return
    assert all(isinstance(hit, Hit) and isinstance(hit.address, str) for hit in found)


def test_marks_that_html_does_not_know_are_refused() -> None:
    for text in (b"<![weird[x]]>", b"<!DOCTYPE [ <!x", b"<!-", b"<a class='iusc' m"):
        with suppress(ValueError):
            assert engine_from_text("bing").hits(text) == []


@pytest.mark.parametrize("name", NAMES)
def test_what_is_nested_without_end_is_refused(name: str) -> None:
    engine = engine_from_text(name)
    if name == "bing":
        assert engine.hits(b'<a class="iusc" m="' + b"[" * 100_000 + b'">') == []
        return
    with pytest.raises(ValueError, match="nested"):
        engine.hits(b"[" * 100_000)


def test_google_wants_a_key_which_is_kept_nowhere(
    served: Served, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MIEN_GOOGLE_KEY", raising=False)
    monkeypatch.setenv("MIEN_GOOGLE_CX", "engine")
    asked = CollectSettings(None, ("anger",), ("en",), (f"google address={served.root}/api",), 1, 32, "whole", local=True)
    with pytest.raises(MienError, match="MIEN_GOOGLE_KEY; set them"):
        collect_faces(asked, tmp_path / "out", web=web)
    monkeypatch.setenv("MIEN_GOOGLE_KEY", "a-secret")
    served.answers["/api"] = (200, {}, json.dumps({"items": [{"link": f"{served.root}/a.png"}]}).encode())
    served.put("/a.png", picture(1))
    assert len(collect_faces(asked, tmp_path / "out", web=web).faces) == 1
    assert not [file for file in (tmp_path / "out").rglob("*") if file.is_file() and b"a-secret" in file.read_bytes()]


def test_what_is_no_engine_is_refused() -> None:
    with pytest.raises(MienError, match="a dataclass of settings"):
        engine_from_text("pathlib:Path")
    with pytest.raises(MienError, match="collect/engines, which has hits"):
        engine_from_text("photographs:Bright")


def test_words_are_there_for_every_class_in_every_language() -> None:
    found = read_words(None)
    labels, languages = {one.label for one in found}, {one.language for one in found}
    assert labels == {"anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"}
    assert {canonical(label) for label in labels} == labels
    assert len(found) == 3 * len(labels) * len(languages)
    assert len({one.words for one in found if one.language == "en"}) == 3 * len(labels)
    assert [one.language for one in found[: len(languages)]] == ["en", "de", "fr", "es", "it", "zh"]


OTHERS = (
    "anger = 3",
    "[anger]\nen = 3",
    '[anger]\nen = "word"',
    "[anger]\nen = [3]",
    '[anger]\nen = [" "]',
    "[anger]\n",
    "",
    "[x",
)


@pytest.mark.parametrize("text", OTHERS)
def test_other_words_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "words.toml"
    file.write_text(text)
    with pytest.raises(MienError):
        read_words(file)


def test_an_address_of_half_characters_is_no_hit() -> None:
    """A page of results keeps its hits as JSON in UTF-8, which such an address would spoil for good."""
    assert [download._is_whole(Hit(text)) for text in ("http://a.org/\ud800.jpg", "http://a.org/\u00e9.jpg")] == [False, True]
