"""Fixtures: the page in a browser that has a camera. A test module that uses them says `pytest_plugins = ("opened_page",)`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from page_visits import READY, Opener, skip_without_runtime
from playwright.sync_api import Page

from chromium import chromium
from films import fake_camera, one_face, write_y4m
from mien import Recognizer
from stub_service import running


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
