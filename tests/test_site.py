"""The site of the docs: every page is in its menu, every link leads somewhere, and every public function is on a page."""

import importlib
import inspect
import re
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mien
from mien.progress import progress_bar

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
LINKING = [*PAGES, *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md"))]
SITE: dict[str, Any] = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]
FUNCTIONS = [
    name for page in sorted((DOCS / "api").glob("*.md")) for name in re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.M)
]
ELSEWHERE = re.compile(r"https?://")


def plain(text: str) -> str:
    """A page without its blocks of code and its code between marks."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))


def anchors(page: Path) -> set[str]:
    """What a link may name in a page after `#`: its headings, as the site's generator and code hosts write them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    found, times = set[str](), dict[str, int]()
    for heading in re.findall(r"^#+ (.*)$", text, re.M):
        word = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        word = re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", word).strip())
        times[word] = times.get(word, -1) + 1
        found.add(f"{word}-{times[word]}" if times[word] else word)
    return found


def links(page: Path) -> list[str]:
    """Where the page's links and pictures lead, but to other hosts."""
    found = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S))
    return [link for link in found if not ELSEWHERE.match(link)]


@pytest.mark.parametrize("page", LINKING, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        place = (page.parent / path).resolve() if path else page
        within = place.is_relative_to(DOCS) or not page.is_relative_to(DOCS)  # the site holds docs/ alone
        if not place.exists() or not within or (anchor and anchor not in anchors(place)):
            broken.append(link)
    assert broken == []


def menu(entries: list[Any]) -> Iterator[str]:
    """All pages of the menu, or of a part of it."""
    for entry in entries:
        if isinstance(entry, dict):
            for below in entry.values():
                yield from menu(below if isinstance(below, list) else [below])
        else:
            yield entry


def test_every_page_is_in_the_menu_once() -> None:
    assert sorted(menu(SITE["nav"])) == sorted(page.relative_to(DOCS).as_posix() for page in PAGES)


def test_pages_load_nothing_from_other_hosts() -> None:
    assert SITE["theme"]["font"] is False
    assert not {"extra_css", "extra_javascript", "extra"} & set(SITE)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', (DOCS / ".theme" / "main.html").read_text("utf-8"))
    assert policy.startswith("default-src 'self'")
    assert not re.search(r"https?:|\*", policy)
    loading = re.compile(r"!\[[^]]*\]\(https?:|<(script|link|iframe)\b|<img [^>]*https?:", re.M)
    assert [
        page for page in PAGES if loading.search(plain(page.read_text("utf-8"))) or "```mermaid" in page.read_text("utf-8")
    ] == []


def documented(name: str) -> Any:
    """What is imported by a dotted name."""
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


def own_types(hint: Any) -> Iterator[type]:
    """mien's classes in a type."""
    if isinstance(hint, type) and hint.__module__.startswith("mien."):
        yield hint
    for part in typing.get_args(hint):
        yield from own_types(part)


def test_every_public_function_is_on_one_page() -> None:
    commands = re.findall(r"^\| `mien [\w-]+` \| `([\w.]+)` \|$", (DOCS / "guides" / "python.md").read_text("utf-8"), re.M)
    assert len(FUNCTIONS) == len(set(FUNCTIONS))
    assert {f"mien.{name}" for name in mien.__all__} | set(commands) <= set(FUNCTIONS)


def test_what_functions_take_and_give_is_on_a_page_too() -> None:
    there = {id(documented(name)) for name in FUNCTIONS}
    functions = [one for name in FUNCTIONS if inspect.isfunction(one := documented(name)) and one is not progress_bar]
    assert len(functions) > 30
    missing = {
        f"{one.__module__}.{one.__name__}: {kind.__module__}.{kind.__name__}"
        for one in functions
        for hint in typing.get_type_hints(one).values()
        for kind in own_types(hint)
        if id(kind) not in there
    }
    assert missing == set()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_on_a_page_says_what_it_is(name: str) -> None:
    assert len((inspect.getdoc(documented(name)) or "").split()) > 2
