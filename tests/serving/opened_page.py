"""Fixtures: the page in a browser that has a camera. A test module that uses them says `pytest_plugins = ("opened_page",)`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request
from stub_service import running

from chromium import DESK, PATIENCE, chromium
from films import fake_camera, one_face, write_y4m
from mien import MienError, Recognizer
from mien.browser.vendored import require_vendored

READY = "() => !document.getElementById('start').disabled"


def skip_without_runtime() -> None:
    """Skips a test where onnxruntime-web is not there."""
    try:
        require_vendored()
    except MienError as error:
        pytest.skip(str(error))


@dataclass
class Opener:
    """Opens pages, and notes what they ask for."""

    browser: Browser
    asked: list[Request] = field(default_factory=list)

    @contextmanager
    def open(
        self, where: str, how: dict[str, Any] = DESK, before: str = "", allowed: Sequence[str] = ("camera",), tried: str = "-"
    ) -> Iterator[Page]:
        """A page; errors of its scripts, and what its policy forbids, fail the test, but for the address that is `tried`.

        `before`: a script that runs first. `allowed`: what it may use; all else is denied.
        """
        context = self.browser.new_context(**how, permissions=list(allowed))
        context.set_default_timeout(PATIENCE)
        try:
            page, errors = context.new_page(), list[str]()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None)
            page.on("request", lambda request: self.asked.append(request))
            if before:
                page.add_init_script(before)
            page.goto(where)
            yield page
            assert [one for one in errors if tried not in one] == []
        finally:
            context.close()


@pytest.fixture(scope="module")
def opener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opener]:
    """One browser for all tests of a module; its camera shows one face."""
    skip_without_runtime()
    film = write_y4m(Path(tmp_path_factory.mktemp("film"), "face.y4m"), one_face(10))
    with chromium(("--deny-permission-prompts", *fake_camera(film))) as browser:
        yield Opener(browser)


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    """The model in the box."""
    return Recognizer.load("mien-s", "cpu")


@pytest.fixture(scope="module")
def where(recognizer: Recognizer) -> Iterator[str]:
    """The address of a service."""
    skip_without_runtime()
    with running(recognizer) as address:
        yield address


@pytest.fixture(scope="module")
def page(opener: Opener, where: str) -> Iterator[Page]:
    """One page for all tests of a module, once its model is loaded."""
    with opener.open(where) as opened:
        opened.wait_for_function(READY)
        yield opened
