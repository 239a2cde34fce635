"""Fixtures: a browser that is open, and faces to ask about. A test module that uses them says `pytest_plugins = ("opened",)`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from served_page import write_pool

from chromium import chromium
from mien import FaceSet


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests of a module."""
    with chromium() as opened:
        yield opened


@pytest.fixture
def pool(tmp_path: Path) -> FaceSet:
    """Sixty faces."""
    return write_pool(tmp_path / "pool", 60)
